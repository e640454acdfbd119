#!/bin/bash
# merge.sh [WHAT...] - vbuild merge against mergekit-yaml: the same configuration files
#
# Two (a base and one other) or four checkpoints of 0.9 GB in BF16, default settings of both, two
# cores. WHAT, by default all: a method; METHOD4, of four models; `chain`, a merge straight to
# Q4_K_M against quantizing alone, and against mergekit, convert_hf_to_gguf, llama-quantize. `of
# floor` is the wall time over that of the fastest cp of the output: how far a method is from
# reading and writing its bytes once.
set -u
cd "$(dirname "$0")/.." || exit 2
. bench/lib.sh
peer=$peer_venv/bin/mergekit-yaml
[ -x "$peer" ] || { echo "$peer is missing: make peers" >&2; exit 1; }
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1

sources a b c d
cd "$dir/src" || exit 2

# model NAME [PARAMETER...]: an item of models:
model() {
    echo "  - model: $1"
    shift
    [ $# -eq 0 ] || echo "    parameters: {$(IFS=,; echo "$*")}"
}

# range NAME...: one slice of all layers
range() {
    echo "slices:"
    echo "  - sources:"
    for name in "$@"; do echo "      - {model: $name, layer_range: [0, 14]}"; done
}

# yaml METHOD: a configuration as people write them
yaml() {
    local w='weight: 0.5' d='density: 0.5'
    echo "merge_method: ${1%4}"
    echo "dtype: bfloat16"
    case $1 in
    passthrough | linear | karcher | nuslerp | multislerp) ;;
    *) echo "base_model: a" ;;
    esac
    case $1 in
    passthrough)
        range a
        echo "parameters: {scale: [{filter: o_proj, value: 1.5}, {filter: down_proj, value: 1.5}]}"
        ;;
    slerp)
        range a b
        echo "parameters: {t: 0.4}"
        ;;
    nearswap)
        echo "parameters: {t: 0.001}"
        echo "models:"
        model b
        ;;
    linear | karcher | nuslerp | multislerp)
        echo "models:"
        model a "$w"
        model b "$w"
        ;;
    *4 | model_stock)
        echo "models:"
        for name in b c d; do model "$name" "$w" "$d"; done
        ;;
    breadcrumbs*)
        echo "models:"
        model b "$w" "$d" "gamma: 0.01"
        ;;
    della*)
        echo "models:"
        model b "$w" "$d" "epsilon: 0.1"
        ;;
    *)
        echo "models:"
        model b "$w" "$d"
        ;;
    esac
}

compare() { # METHOD
    local method=$1
    yaml "$method" >"$method.yml"
    for _ in $(seq "$runs"); do
        once "peer.$method" "$peer" --no-write-model-card "$method.yml" "$dir/out/p"
        for isa in $isas; do
            once "$isa.$method" env VBUILD_ISA="$isa" "$vbuild" -q --cache "$dir/cache" \
                merge "$method.yml" "$dir/out/o"
        done
        once cp cp --reflink=never a/model.safetensors "$dir/out/p"
    done
    for isa in $isas; do
        row "$method $isa" "$isa.$method" "peer.$method"
        sort -n "$dir/figures.cp" | awk -v a="$(of "$isa.$method" 1)" \
            'NR == 1 { printf "%26s %7.1f of floor\n", "", a / $1 }'
    done
}

three() { # mergekit, then conversion, then quantizing
    "$peer" --no-write-model-card linear.yml "$dir/out/m" &&
        "$peer_python" "$peer_source/convert_hf_to_gguf.py" --outfile "$dir/out/m.gguf" \
            "$dir/out/m" &&
        "$peer_bin/llama-quantize" "$dir/out/m.gguf" "$dir/out/p.gguf" Q4_K_M 2
}
export -f three
export peer dir peer_python peer_source peer_bin

chain() {
    heading "merge to Q4_K_M"
    yaml linear >linear.yml
    cat >chain.lua <<'END'
local m = merge.linear { source "a", source "b", weight = 0.5, dtype = "bf16" }
return {
  merged = gguf { quantize { m, "Q4_K_M" }, name = "o" },
  alone = gguf { quantize { source "a", "Q4_K_M" }, name = "o1" },
}
END
    for _ in $(seq "$runs"); do
        for isa in $isas; do
            for what in merged alone; do
                once "$isa.$what" env VBUILD_ISA="$isa" "$vbuild" -q --cache "$dir/cache" \
                    -o "$dir/out" chain.lua "$what"
            done
        done
        once peer.chain bash -c three
    done
    for isa in $isas; do
        row "merge and quantize $isa" "$isa.merged" peer.chain
        printf '%26s %7.2f times quantizing alone, of CPU %.2f\n' "" \
            "$(pairs "$isa.merged" "$isa.alone" 1)" "$(pairs "$isa.merged" "$isa.alone" 2)"
    done
    du -sm "$dir/out" | awk '{ printf "  the three steps leave %d MB, the result included\n", $1 }'
}

methods="passthrough linear slerp task_arithmetic model_stock dare_linear dare_ties della
della_linear ties ties4 breadcrumbs breadcrumbs_ties sce nuslerp multislerp karcher arcee_fusion
nearswap ram ramplus_tl"
for what in ${*:-methods $methods chain}; do
    case $what in
    methods) heading "method, instruction set" ;;
    chain) chain ;;
    *) compare "$what" ;;
    esac
done
