#!/bin/sh
# figures.sh - the figures of MixP and of chimeras: sizes of a plan, types, how much is run
. tests/e2e/lib.sh
here=$root/tests/e2e

# model FOLDER SEED LAYERS: a BF16 model of Nemo's form (heads wider than hidden / heads, untied)
model() {
    cat >recipe.lua <<END
return { m = safetensors { synthetic { seed = $2, config = {
  architectures = { "MistralForCausalLM" }, torch_dtype = "bfloat16", vocab_size = 512,
  hidden_size = 256, intermediate_size = 256, num_hidden_layers = $3, rms_norm_eps = 1e-5,
  num_attention_heads = 4, num_key_value_heads = 1, head_dim = 128, rope_theta = 1e6,
  max_position_embeddings = 1024, tie_word_embeddings = false } }, name = "$1" } }
END
    vb recipe.lua -q -o "$scratch/models" --cache "$scratch/models-cache"
    cp "$root"/tests/models/nano-llama-base/tokenizer*.json "$scratch/models/$1"
    lua5.4 "$here/patch.lua" "$scratch/models/$1/model.safetensors" norms
}
workspace make
model nemo 1 40
same a_miniature_model_is_made 0 "$code"
model first 2 8
model second 3 8
same two_small_models_are_made 0 "$code"

# ---- the plan at full size: figures exact, nothing made
workspace plan
vb plan "$root/recipes/vikras-mixp.lua" S
same plan_of_mixp_succeeds 0 "$code"
ok plan_of_mixp_says_its_figures grep -q "^outputs/Vikra-MixP-S.gguf: .*; 4\.894 bits per weight \
over quantized tensors, 6\.112 over all, 8\.715 GiB of tensors$" "$scratch/out"
same plan_of_mixp_reads_no_weight "0 0" "$(of read_bytes) $(of written_bytes)"
same plan_status_is_planned planned "$(of status)"
same plan_makes_no_file ./build.lua "$(find . -mindepth 1)"
echo "   plan of S at full size: $(of cpu_ms) ms of CPU, peak $(of peak_rss_bytes) bytes"
vb plan "$root/recipes/vikras-mixp.lua"
same plan_of_the_family_makes_no_file "0 ./build.lua" "$code $(find . -mindepth 1)"
echo "   plan of the family: $(of cpu_ms) ms of CPU, peak $(of peak_rss_bytes) bytes"
"$VBUILD" graph "$root/recipes/vikras-mixp.lua" >"$scratch/graph.json" 2>"$scratch/err"
for v in S M L; do
    ok "types_of_mixp_${v}_at_full_size" lua5.4 "$here/mixp.lua" types $v 40 "$scratch/graph.json"
done

# ---- S, M, L of one BF16 model, one after the other: 361 + 100 + 120 made, two taken as they are
same expected_runs_at_40_layers "361 100 120" "$(lua5.4 "$here/mixp.lua" runs 40)"
workspace mixp
cat >mixp.lua <<'END'
local model = source(option "model")
local S = types {
  embed = "bf16", norm = "f32", attn_q = "q4_k", attn_k = "q5_k", attn_v = "q3_k",
  attn_output = "q4_k", ffn_gate = "q3_k", ffn_up = "q5_k", ffn_down = edges("q5_k", "q6_k"),
}
local M = with(S, { attn_v = "q4_k", ffn_gate = "q4_k", ffn_down = "q6_k" })
local L = with(M, { attn_q = "q6_k", attn_v = "q6_k", ffn_up = "q6_k" })
return { S = gguf { quantize { model, S } }, M = gguf { quantize { model, M } },
         L = gguf { quantize { model, L } } }
END
runs=
cpu=0
for v in S M L; do
    vb mixp.lua $v -D model="$scratch/models/nemo"
    runs="$runs$(of run) "
    cpu=$((cpu + $(of cpu_ms)))
    same "${v}_takes_embedding_and_head_as_they_are" 2 "$(of alias)"
    "$VBUILD" inspect --json outputs/$v.gguf >"$scratch/inspect.json"
    ok "types_in_the_file_of_$v" lua5.4 "$here/mixp.lua" types $v 40 "$scratch/inspect.json"
done
same runs_of_S_then_M_then_L "361 100 120 " "$runs"
echo "   S, M and L of 40 miniature layers: $cpu ms of CPU"
one=$(digest outputs/*.gguf)
rm -rf cache outputs
vb mixp.lua -D model="$scratch/models/nemo"
same S_M_L_at_once "581 2" "$(of run) $(of alias)"
same S_M_L_at_once_read_each_tensor_once "$("$VBUILD" inspect --json "$scratch/models/nemo" |
    sed -n 's/.*"total":{[^}]*"bytes":\([0-9]*\).*/\1/p')" "$(of read_bytes)"
same S_M_L_at_once_give_the_same_files "$one" "$(digest outputs/*.gguf)"

# ---- moving the graft's range by two layers runs only the layers that change sides
workspace move
chimera() { # FIRST LAST
    vb "$root/recipes/chimera.lua" upper -D thought="$scratch/models/first" \
        -D memory="$scratch/models/second" -D first="$1" -D last="$2"
}
chimera 2 6
same a_chimera_quantizes_each_tensor_once "0 $((8 * 9 + 3))" "$code $(of run)"
chimera 4 8
same moving_the_graft_runs_the_layers_that_change_sides "0 12" "$code $(of run)"
moved=$(digest outputs/chimera-upper.gguf)
chimera 2 6
same moving_it_back_runs_nothing "0 0" "$code $(of run)"
chimera 3 8
same a_range_whose_layers_are_known_runs_nothing "0 0" "$code $(of run)"
rm -rf cache outputs
chimera 4 8
same the_moved_chimera_is_that_of_a_first_build "$moved" "$(digest outputs/chimera-upper.gguf)"

# ---- ten chimeras of two models
workspace ten
cat >ten.lua <<'END'
local first, second = source(option "first"), source(option "second")
local function chimera(i)
  local model = graft { first, organs = second, layers = span(i % 4, i % 4 + 1 + i % 3) }
  local v = i % 2 == 0 and "q6_k" or "q5_k"
  return gguf { quantize { model, default = "q4_k", attn_v = v } }
end
local out = {}
for i = 1, 10 do out["c" .. i] = chimera(i) end
return out
END
ten() {
    vb ten.lua "$@" -D first="$scratch/models/first" -D second="$scratch/models/second"
}
want=$(lua5.4 "$here/chimera.lua" 10 8)
runs=
for i in 1 2 3 4 5 6 7 8 9 10; do
    ten c$i
    runs="$runs${runs:+ }$(of run)"
done
same ten_chimeras_each_run_only_what_is_new "$want" "$runs"
one=$(digest outputs/*.gguf)
rm -rf cache outputs
ten
same ten_chimeras_quantize_each_tensor_once_a_type $(($(echo "$want" | tr ' ' '+'))) "$(of run)"
same ten_chimeras_at_once_are_those_one_by_one "$one" "$(digest outputs/*.gguf)"
ten
same ten_chimeras_again_run_nothing "0 0" "$(of run) $(of read_bytes)"

finish
