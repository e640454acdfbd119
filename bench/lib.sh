# lib.sh - what the benchmarks against peers share; sourced by bash, from the root of the tree
#
# A figure is the median of RUNS (3) runs, the two sides in turn, and a ratio that of the pairs, so
# that a machine whose speed drifts does not favour one. Before each run what the last one wrote is
# deleted and a file of that size is written and deleted too: fresh memory of a virtual machine
# costs seconds the first time it is touched, and would be charged to whoever comes first. Sources
# are in the page cache, vbuild's cache is empty unless a line says otherwise.
. tests/peers/where.sh
vbuild=${VBUILD:-$PWD/vbuild}
runs=${RUNS:-3}
dir=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/vbuild-bench.XXXXXX") || exit 2
trap 'rm -rf "$dir"' EXIT
[ -x /usr/bin/time ] || { echo "GNU time is missing: apt-get install time" >&2; exit 1; }

tokenizer=tests/golden/convert/llama2-spm-kq/tiny-llama2-spm # that convert_hf_to_gguf knows

# sources NAME...: the synthetic checkpoint of seeds 1, 2, ... as folders NAME; 450.7 M weights
# unless CONFIG names a Lua table of another shape.
config='{ architectures = { "LlamaForCausalLM" }, model_type = "llama", hidden_size = 1536,
  num_hidden_layers = 14, intermediate_size = 4096, num_attention_heads = 12,
  num_key_value_heads = 4, vocab_size = 32000, max_position_embeddings = 4096,
  rms_norm_eps = 1e-5, rope_theta = 10000.0, torch_dtype = "bfloat16", hidden_act = "silu",
  tie_word_embeddings = false }'
sources() {
    local n=0 body=
    for name in "$@"; do
        n=$((n + 1))
        body="$body ['$name'] = safetensors { synthetic { config = c, seed = $n } },"
    done
    printf 'local c = %s\nreturn {%s }\n' "${CONFIG:-$config}" "$body" >"$dir/sources.lua"
    (cd "$dir" && "$vbuild" -q --cache "$dir/made" -o "$dir/src" sources.lua) || exit 1
    rm -rf "$dir/made" "$dir"/src/*.manifest.json
    for name in "$@"; do cp "$tokenizer"/token* "$dir/src/$name"; done
}

# once TAG COMMAND...: one run; adds "wall cpu rss" (s, s, MiB) to the figures of TAG
once() {
    local tag=$1
    shift
    fresh
    /usr/bin/time -o "$dir/time" -f '%e %U %S %M' "$@" >"$dir/said" 2>&1 || {
        tail -n 5 "$dir/said" >&2
        echo "failed: $*" >&2
        exit 1
    }
    tail -n 1 "$dir/time" | awk '{ print $1, $2 + $3, $4 / 1024 }' >>"$dir/figures.$tag"
}

# fresh: nothing of the last run is left, and memory for the next output is backed
fresh() {
    rm -rf "$dir/out" "$dir/cache"
    mkdir "$dir/out"
    head -c "${BACKED:-2500000000}" /dev/zero >"$dir/out/backed"
    cat "$dir"/src/*/*.safetensors "$dir"/src/*.gguf >/dev/null 2>&1
    rm "$dir/out/backed"
}

# of TAG COLUMN: the median (1 wall s, 2 CPU s, 3 MiB)
of() {
    sort -n -k "$2,$2" "$dir/figures.$1" |
        awk -v c="$2" '{ v[NR] = $c } END { print v[int((NR + 1) / 2)] }'
}

# pairs A B COLUMN: the median of A over B, run by run: a noisy minute has both
pairs() {
    paste -d ' ' "$dir/figures.$1" "$dir/figures.$2" |
        awk -v c="$3" '{ print $c / $(c + 3) }' | sort -n |
        awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# row NAME OURS PEER: medians of wall and CPU of both, ratios of the pairs, memory of both
row() {
    awk -v n="$1" -v a="$(of "$2" 1)" -v b="$(of "$3" 1)" -v ac="$(of "$2" 2)" \
        -v bc="$(of "$3" 2)" -v am="$(of "$2" 3)" -v bm="$(of "$3" 3)" \
        -v r="$(pairs "$3" "$2" 1)" -v rc="$(pairs "$3" "$2" 2)" 'BEGIN {
            printf "%-26s %7.2f %7.2f %6.1fx  %7.2f %7.2f %6.1fx  %6.0f %6.0f\n",
                n, a, b, r, ac, bc, rc, am, bm }'
}
heading() {
    printf '%-26s %7s %7s %7s  %7s %7s %7s  %6s %6s\n' "$1" wall peer ratio CPU peer ratio MiB peer
}

# The instruction sets that this CPU runs, widest last.
isas=avx2
grep -q avx512bw /proc/cpuinfo && isas="avx2 avx512"
