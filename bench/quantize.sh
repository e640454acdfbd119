#!/bin/bash
# quantize.sh [WHAT...] - vbuild quantize against llama-quantize: the same command line, 2 threads
#
# A BF16 GGUF of 0.9 GB. WHAT, by default all: a type, made of every matrix, or TYPE+im, with an
# importance matrix; `copies`, F16, BF16 and COPY against cp; `ladders`, ten types at once against
# ten runs; `changes`, what another type of one role costs.
set -u
cd "$(dirname "$0")/.." || exit 2
. bench/lib.sh
peer=$peer_bin/llama-quantize
[ -x "$peer" ] || { echo "$peer is missing: make peers" >&2; exit 1; }

sources m
printf 'return { m = gguf { source "m", name = "m" } }\n' >"$dir/src/m.lua"
(cd "$dir/src" && "$vbuild" -q --cache "$dir/made" -o "$dir/src" m.lua) || exit 1
rm -rf "$dir/made" "$dir/src/m" "$dir"/src/*.json "$dir"/src/*.lua
cd "$dir/src" || exit 2
"$vbuild" inspect --json=tensors.json m.gguf >/dev/null || exit 1
lua5.4 "$OLDPWD/bench/imatrix.lua" tensors.json >m.imatrix || exit 1

ours() { # TAG ISA TYPE OPTION...
    once "$1" env VBUILD_ISA="$2" "$vbuild" -q -j 2 --cache "$dir/cache" quantize "${@:4}" \
        m.gguf "$dir/out/o.gguf" "$3" 2
}
theirs() { once "$1" "$peer" "${@:3}" m.gguf "$dir/out/p.gguf" "$2" 2; }

compare() { # NAME TYPE OPTION...
    local name=$1 type=$2
    shift 2
    for _ in $(seq "$runs"); do
        theirs "peer.$name" "$type" "$@"
        for isa in $isas; do ours "$isa.$name" "$isa" "$type" "$@"; done
    done
    for isa in $isas; do row "$name $isa" "$isa.$name" "peer.$name"; done
}

copies() {
    heading "copies, against cp"
    for type in F16 BF16 COPY; do
        for _ in $(seq "$runs"); do
            once "cp.$type" cp --reflink=never m.gguf "$dir/out/p.gguf"
            ours "own.$type" avx512 "$type"
        done
        row "$type" "own.$type" "cp.$type"
    done
}

ladder=Q2_K,Q3_K_M,Q4_0,Q4_K_S,Q4_K_M,Q5_K_S,Q5_K_M,Q6_K,Q8_0,IQ4_XS
ten() { for t in ${ladder//,/ }; do "$peer" m.gguf "$dir/out/p-$t.gguf" "$t" 2 || return 1; done; }
export -f ten
export peer dir ladder

ladders() {
    heading "ladder"
    BACKED=3500000000
    once own.ladder "$vbuild" -q -j 2 --cache "$dir/cache" --json="$dir/ladder.json" \
        quantize m.gguf "$dir/out/" "$ladder"
    once peer.ladder bash -c ten
    row "ladder of ten" own.ladder peer.ladder
    awk -v all="$(stat -c %s m.gguf)" -F'"read_bytes":' '/"e":"end"/ { split($2, a, ",");
        printf "  read %.3f times the source\n", a[1] / all }' "$dir/ladder.json"
    BACKED=2500000000
}

# A change of one role's type, on the cache and the file of the build before.
changed() {
    fresh
    "$vbuild" -q -j 2 --cache "$dir/cache" quantize m.gguf "$dir/out/o.gguf" Q4_K_M 2 || exit 1
    /usr/bin/time -o "$dir/time" -f '%e %U %S %M' "$vbuild" -q -j 2 --cache "$dir/cache" quantize \
        --tensor-type attn_v=q8_0 m.gguf "$dir/out/o.gguf" Q4_K_M 2 || exit 1
    awk '{ print $1, $2 + $3, $4 / 1024 }' "$dir/time" >>"$dir/figures.own.change"
}

changes() {
    heading "changes"
    for _ in $(seq "$runs"); do
        theirs peer.change Q4_K_M --tensor-type attn_v=q8_0
        changed
    done
    row "Q4_K_M, another attn_v" own.change peer.change
    command -v strace >/dev/null || return 0
    # From start to the first byte of the output: strace's clock when its temporary gets its header.
    fresh
    strace -f -r --seccomp-bpf -e trace=execve,pwrite64 -o "$dir/trace" \
        "$vbuild" -q -j 2 --cache "$dir/cache" quantize m.gguf "$dir/out/o.gguf" Q4_K_M 2 >/dev/null
    awk '{ t += $2 } /"GGUF/ {
        printf "  %.0f ms from start to the first write (traced)\n", 1000 * t
        exit
    }' "$dir/trace"
}

plain="Q2_K Q3_K_S Q4_K_S Q5_K_S Q6_K IQ4_NL IQ4_XS Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 TQ1_0 TQ2_0 Q1_0 Q2_0"
weighted="Q2_K+im Q3_K_S+im Q4_K_S+im Q5_K_S+im Q6_K+im IQ4_XS+im"
for what in ${*:-types $plain $weighted copies ladders changes}; do
    case $what in
    types) heading "type, instruction set" ;;
    copies | ladders | changes) $what ;;
    *+im) compare "$what" "${what%+im}" --pure --imatrix m.imatrix ;;
    *) compare "$what" "$what" --pure ;;
    esac
done
