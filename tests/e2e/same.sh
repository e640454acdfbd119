#!/bin/sh
# same.sh - the same bytes whatever the threads, memory, tiles, folder, time zone, language, umask,
# mode and compiler; and a merge of large tensors in little memory
#
# FULL=1 runs the memory case at the size the issue names (two tensors of 131072 x 5120: several
# minutes of CPU) instead of a tenth of it.
. tests/e2e/lib.sh

# Tensors of 1.25 million elements: tiles of 65,536 elements and up divide them.
recipes() {
    cp "$root/recipes/demo.lua" .
    mkdir tests
    ln -s "$root/tests/models" tests/models
    cat >wide.lua <<'END'
local function wide(seed)
  return synthetic { seed = seed, config = {
    architectures = { "MistralForCausalLM" }, torch_dtype = "bfloat16", vocab_size = 512,
    hidden_size = 512, intermediate_size = 2560, num_hidden_layers = 1, rms_norm_eps = 1e-5,
    num_attention_heads = 4, num_key_value_heads = 2, head_dim = 256, rope_theta = 1e4,
    max_position_embeddings = 512, tie_word_embeddings = true } }
end
local a, b = wide(1), wide(2)
local m = scale { merge.slerp { a, b, t = 0.3 }, attn_output = 1.25, ffn_down = 0.7 }
local l = merge.linear { { a, weight = 0.3 }, { m, weight = 0.9 }, { b, weight = 0.2 } }
return {
  small = gguf { quantize { m, default = "q4_k", ffn_gate = "q3_k", ffn_down = "q6_k" } },
  other = gguf { quantize { l, default = "q5_k", ffn_up = "q8_0", ffn_gate = "q4_0" } },
  full  = safetensors { l, shard = "4MB" },
  f16   = gguf { cast { l, to = "f16" } },
}
END
}

# build FOLDER ARGUMENTS...: both recipes in a new folder with a new cache; $files is their digest
build() {
    workspace "$1"
    shift
    recipes
    vb demo.lua "$@"
    first=$code
    digests=$(grep -o '"digest":"[^"]*"' "$scratch/json" | sort -u)
    vb wide.lua "$@"
    digests="$digests $(grep -o '"digest":"[^"]*"' "$scratch/json" | sort -u)"
    files="$first $code $(cd outputs && digest .)"
}
# equal NAME ARGUMENTS...: the build gives the files and digests of the first
equal() {
    name=$1
    shift
    build "$name" "$@"
    same "$name gives the same files" "$want" "$files"
    same "$name says the same digests" "$want_digests" "$digests"
}

build first
want=$files
want_digests=$digests
same first_build_succeeds "0 0" "${want% *}"
same first_build_has_eight_artifacts 8 "$(find outputs -name '*.manifest.json' | wc -l | tr -d ' ')"
for j in 1 2 7; do equal "threads_$j" -j $j; done
for m in 1M 64M 2G; do equal "memory_$m" --mem $m; done
equal memory_1M_threads_7 --mem 1M -j 7
for t in 1 65536 300000 1000000; do
    export VBUILD_TILE=$t
    equal "tile_$t"
done
unset VBUILD_TILE
equal a/folder/elsewhere/with/a/long/path
TZ=Pacific/Kiritimati LANG=de_DE.UTF-8 LC_ALL=de_DE.UTF-8
export TZ LANG
equal time_zone_and_language
unset TZ LANG
LC_ALL=C
mask=$(umask)
umask 077
equal umask_077
umask "$mask"
export VBUILD_ISA=scalar
equal scalar
unset VBUILD_ISA

# In other orders of work: a variant at a time, the last first; with the cache, and with none.
workspace one_by_one
recipes
for v in folder L M S; do vb demo.lua $v; done
for v in other full small f16; do vb wide.lua $v; done
same a_variant_at_a_time_gives_the_same_files "$want" "0 $code $(cd outputs && digest .)"
rm -rf outputs/*
vb demo.lua
vb wide.lua
same from_the_cache_gives_the_same_files "$want" "0 $code $(cd outputs && digest .)"

release=$VBUILD
for other in "debug $VBUILD_DEBUG" "clang $VBUILD_CLANG"; do
    VBUILD=${other#* }
    if [ -x "$VBUILD" ]; then
        equal "${other%% *}"
    else
        echo "   ${other%% *} not compared: there is no $VBUILD"
    fi
done
VBUILD=$release

# ---- memory: two large tensors merged and quantized within 200 MiB of addresses beyond the
# program's own
cols=512
[ "${FULL:-0}" -eq 0 ] || cols=5120
large() { # the models as files, too: of those no more than the header may take addresses
    cat >models.lua <<END
local function model(seed)
  return synthetic { seed = seed, config = {
    architectures = { "LlamaForCausalLM" }, torch_dtype = "bfloat16", vocab_size = 131072,
    hidden_size = $cols, intermediate_size = 256, num_hidden_layers = 1, rms_norm_eps = 1e-5,
    num_attention_heads = 1, num_key_value_heads = 1, head_dim = 256, rope_theta = 1e4,
    max_position_embeddings = 512, tie_word_embeddings = true } }
end
return { a = safetensors { model(1) }, b = safetensors { model(2) } }
END
    sed '/^return/,$d' models.lua >large.lua
    cat >>large.lua <<END
return { Q = gguf { quantize { merge.slerp { model(1), model(2), t = 0.4 }, default = "q4_k" } },
  M = safetensors { merge.ties { { source "models/a", weight = 0.5, density = 0.4 },
    base = source "models/b" } } }
END
}
runs_in() { # KIB: the program starts within so many addresses
    (ulimit -v "$1" && "$VBUILD" version) >"$scratch/out" 2>&1
}
own=1024
while ! runs_in $own; do own=$((own + 512)); done
limit=$((own + 200 * 1024))
echo "   the program's own addresses: $own KiB; the limit: $limit KiB"
workspace large
large
vb models.lua -o models
rm -rf cache
vb large.lua --mem 4G
same large_tensors_without_a_limit 0 "$code"
want=$(digest outputs)
echo "   without a limit: $(of cpu_ms) ms of CPU, peak $(of peak_rss_bytes) bytes"
for j in 2 7; do
    rm -rf cache outputs
    [ $j -eq 2 ] && mem= || mem="--mem 64M" # by default the limit decides
    (
        # shellcheck disable=SC2086
        ulimit -v "$limit" && vb large.lua $mem -j $j
        exit "$code"
    )
    same "large_tensors_in_200_MiB_with_${j}_threads" "0 $want" "$? $(digest outputs)"
    rss=$(of peak_rss_bytes)
    echo "   in 200 MiB with $j threads: $(of cpu_ms) ms of CPU, peak $rss bytes"
    ok "peak_memory_with_${j}_threads_is_below_300_MiB" [ "$rss" -lt $((300 << 20)) ]
done

finish
