#!/bin/sh
# bad.sh - bad input: each case has its message (what, where, what to do) and its exit code, and
# what is found before anything ran touches nothing under outputs/ or cache/
#
# The workspace has built something before, so that there is something to touch.
. tests/e2e/lib.sh
models=$root/tests/models
bytes=$root/tests/e2e/bytes.lua
wrong=

tree() { find "$@" -printf '%p %y %m %s %T@ %C@ %i\n' 2>/dev/null | sort; }

# judged NAME CODE TEXTS...: was the last run's exit code CODE, and is every text in its messages?
judged() {
    name=$1
    if [ "$code" -ne "$2" ]; then
        wrong="exit $code, not $2"
    fi
    shift 2
    for text in "$@"; do
        grep -qF -e "$text" "$scratch/err" || wrong="$wrong; not said: $text"
    done
    [ -z "$SHOW" ] || sed "s/^/    $name: /" "$scratch/err"
    [ -z "$wrong" ] || sed 's/^/    /' "$scratch/err"
    same "$name" "" "$wrong"
    wrong=
}

# run [ARGUMENTS...] <RECIPE: into bad.lua, where it is line 3 on
run() {
    {
        echo "local base = source \"$models/nano-llama-base\""
        echo "local qwen = source \"$models/nano-qwen2\""
        cat
    } >bad.lua
    tree outputs cache >"$scratch/before"
    vb bad.lua "$@"
    tree outputs cache >"$scratch/after"
}

# bad NAME TEXTS... <RECIPE: found while planning: exit 2, and nothing is touched
bad() {
    run
    cmp -s "$scratch/before" "$scratch/after" || wrong="outputs/ or cache/ was touched"
    name=$1
    shift
    judged "$name" 2 "$@"
}

workspace good
cat >build.lua <<END
local base = source "$models/nano-llama-base"
return { S = gguf { quantize { base, default = "q4_k" }, name = "good" } }
END
vb
same a_good_build_is_there 0 "$code"

# ---- typos: the nearest word, file and line
bad typo_in_a_word "bad.lua:3:" "'quantise'" "did you mean 'quantize'?" <<'END'
return { a = gguf { quantise { base, default = "q4_k" } } }
END
bad typo_in_a_merge "bad.lua:3:" "'slrep'" "did you mean 'slerp'?" <<'END'
return { a = gguf { merge.slrep { base, base, t = 0.5 } } }
END
bad typo_in_a_role "bad.lua:3:" "'ffn_dwon'" "did you mean 'ffn_down'?" <<'END'
return { a = gguf { quantize { base, ffn_dwon = "q4_k", default = "q6_k" } } }
END
bad typo_in_a_role_of_types "bad.lua:4:" "'atn_v'" "did you mean 'attn_v'?" <<'END'
local t =
  types { atn_v = "q4_k", default = "q6_k" }
return { a = gguf { quantize { base, t } } }
END
bad typo_in_a_hugging_face_role "bad.lua:3:" "'down_prj'" "did you mean 'down_proj'?" <<'END'
return { a = gguf { scale { base, down_prj = 2 } } }
END
bad typo_in_a_group "bad.lua:3:" "'orgnas'" "did you mean 'organs'?" <<'END'
return { a = gguf { graft { base, orgnas = base } } }
END
bad typo_in_a_type "bad.lua:3:" "'q4_j'" "did you mean 'q4_" <<'END'
return { a = gguf { quantize { base, default = "q4_j" } } }
END
bad typo_in_an_option "bad.lua:3:" "'nmae'" "did you mean 'name'?" <<'END'
return { a = gguf { base, nmae = "x" } }
END
bad typo_in_an_outtype "bad.lua:3:" "'bf61'" "did you mean 'bf16'?" "q8_0" <<'END'
return { a = gguf { base, outtype = "bf61" } }
END
bad typo_in_expect "bad.lua:3:" "'bits'" "bytes, bpw, bpw_quantized" <<'END'
return { a = gguf { base, expect = { bits = 4 } } }
END
bad typo_in_a_library "bad.lua:3:" "'concta'" "did you mean 'concat'?" <<'END'
return { a = gguf { base, name = table.concta { "a" } } }
END
bad syntax "bad.lua:4:" "'}' expected (to close '{' at line 3)" <<'END'
return { a = gguf { base }
END
run variant <<'END'
return { small = gguf { base }, large = gguf { base, outtype = "f32" } }
END
judged unknown_variant 2 "'variant'" "small" "large"
run smal <<'END'
return { small = gguf { base }, large = gguf { base, outtype = "f32" } }
END
judged typo_in_a_variant 2 "'smal'" "did you mean 'small'?"
run -D seeed=1 <<'END'
return { a = gguf { base, title = option("seed", "x") } }
END
judged typo_in_a_definition 2 "'seeed'" "did you mean 'seed'?"
run -D n=two <<'END'
return { a = gguf { slice(base, 0, option("n", 2)) } }
END
judged a_definition_of_another_kind 2 "-D n=two" "a number"

# ---- types
bad a_preset_in_types "bad.lua:3:" "'q4_k_m'" "preset" 'quantize { m, "Q4_K_M" }' <<'END'
return { a = gguf { quantize { base, types { default = "q4_k_m" } } } }
END
bad an_unknown_preset "bad.lua:3:" "'Q4_K_X'" "did you mean 'Q4_K_" "types { ... }" <<'END'
return { a = gguf { quantize { base, "Q4_K_X" } } }
END
bad q8_k "bad.lua:3:" "'q8_k'" "activations" "published files labelled so hold q8_0" <<'END'
return { a = gguf { quantize { base, default = "q8_k" } } }
END
bad q8_1 "bad.lua:3:" "'q8_1'" "activations" <<'END'
return { a = gguf { quantize { base, default = "q8_1" } } }
END
bad a_type_that_is_no_text "bad.lua:3:" "'default' is the number 4" "a type name" <<'END'
return { a = gguf { quantize { base, default = 4 } } }
END
bad a_tensor_that_no_type_covers "bad.lua:3:" "token_embd" "default" <<'END'
return { a = gguf { quantize { base, types { attn = "q4_k", ffn = "q4_k" } } } }
END
bad a_block_type_for_norms "bad.lua:3:" "norm" "q4_k" "f32" <<'END'
return { a = gguf { quantize { base, norm = "q4_k", default = "q4_k" } } }
END
bad a_width_that_blocks_do_not_divide "bad.lua:7:" "q4_k" "256" "80" <<'END'
local odd = synthetic { config = {
  architectures = { "LlamaForCausalLM" }, hidden_size = 160, intermediate_size = 80,
  num_hidden_layers = 1, num_attention_heads = 2, vocab_size = 64, rms_norm_eps = 1e-5,
} }
return { a = gguf { quantize { odd, ffn_down = "q4_k", default = "q8_0" } } }
END
bad requantizing "bad.lua:3:" "quantized already" "allow_requantize = true" <<END
return { a = gguf { quantize { source "$scratch/good/outputs/good.gguf", default = "q3_k" } } }
END
bad scaling_block_types "bad.lua:3:" "q4_k" "f32" <<END
return { a = gguf { scale { source "$scratch/good/outputs/good.gguf", ffn = 2 } } }
END
bad blocks_into_safetensors "bad.lua:3:" "q4_k" "cast { m, to =" <<'END'
return { a = safetensors { quantize { base, default = "q4_k" } } }
END
bad casting_to_blocks "bad.lua:3:" "'q4_k'" "quantize" <<'END'
return { a = gguf { cast { base, to = "q4_k" } } }
END
bad an_unknown_float_type "bad.lua:3:" "'fp16'" "f16" <<'END'
return { a = gguf { cast { base, to = "fp16" } } }
END
bad an_outtype_of_quantized_tensors "bad.lua:3:" "outtype" <<'END'
return { a = gguf { quantize { base, default = "q4_k" }, outtype = "f16" } }
END

# ---- layers, roles, patterns, parameters
bad a_slice_outside_the_model "bad.lua:3:" "slice(2, 9)" "4 layers" <<'END'
return { a = gguf { slice(base, 2, 9) } }
END
bad a_slice_that_goes_down "bad.lua:3:" "0 <= first <= last" <<'END'
return { a = gguf { slice(base, 3, 1) } }
END
bad a_slice_of_halves "bad.lua:3:" "whole numbers" "0.5" <<'END'
return { a = gguf { slice(base, 0.5, 2) } }
END
bad a_graft_outside_the_model "bad.lua:3:" "layers 2..7" "which has 4" <<'END'
return { a = gguf { graft { base, ffn = base, layers = span(2, 8) } } }
END
bad an_empty_span "bad.lua:3:" "span(2, 2)" <<'END'
return { a = gguf { graft { base, ffn = base, layers = span(2, 2) } } }
END
bad a_model_without_layers "bad.lua:3:" "layer" <<'END'
return { a = gguf { slice(base, 1, 1) } }
END
bad a_pattern_that_matches_nothing "bad.lua:3:" "'down_porj'" "matches no tensor" <<'END'
return { a = gguf { merge.passthrough { base, scale = by { { "down_porj", 2 }, 1 } } } }
END
bad a_pattern_of_types_that_matches_nothing "bad.lua:3:" "'layers.77.'" "matches no tensor" <<'END'
return { a = gguf { quantize { base, default = by { { "layers.77.", "q8_0" }, "q4_k" } } } }
END
bad a_role_that_the_model_lacks "bad.lua:3:" "ffn_gate_exps" "optional = true" <<'END'
return { a = gguf { quantize { base, ffn_gate_exps = "q4_k", default = "q4_k" } } }
END
bad a_bare_list_as_a_parameter "bad.lua:3:" "'t'" "ramp" <<'END'
return { a = gguf { merge.slerp { base, cast { base, to = "f32" }, t = { 0, 1 } } } }
END
bad a_parameter_that_is_nan "bad.lua:3:" "'t'" "nan" <<'END'
return { a = gguf { merge.slerp { base, cast { base, to = "f32" }, t = 0/0 } } }
END
bad a_parameter_that_is_missing "bad.lua:3:" "'t'" <<'END'
return { a = gguf { merge.slerp { base, base } } }
END
bad a_function_that_gives_nonsense "bad.lua:3:" "function" "layer 0" <<'END'
return { a = gguf { merge.slerp { base, cast { base, to = "f32" }, t = function() return "x" end } } }
END
bad a_function_that_fails "bad.lua:4:" "attempt to" <<'END'
return { a = gguf { merge.slerp { base, cast { base, to = "f32" }, t = function(layer)
  return layer.x.y end } } }
END
bad two_architectures_in_a_merge "bad.lua:3:" "qwen2" "llama" <<'END'
return { a = gguf { merge.slerp { base, qwen, t = 0.5 } } }
END
bad models_of_two_depths "bad.lua:3:" "4 layers" "2" "slice" <<'END'
return { a = gguf { merge.slerp { base, slice(base, 0, 2), t = 0.5 } } }
END
bad a_path_where_a_model_is_expected "bad.lua:3:" 'source "some/model"' <<'END'
return { a = gguf { "some/model" } }
END
bad a_name_that_nothing_has "bad.lua:3:" "undeclared variable 'bsae'" <<'END'
return { a = gguf { bsae } }
END

# ---- artifacts
bad two_artifacts_of_one_name "bad.lua:4:" "'x.gguf'" "bad.lua:3" <<'END'
return { a = gguf { base, name = "x" },
  b = gguf { base, name = "x", outtype = "f32" } }
END
bad two_artifacts_of_one_name_by_default "'a.gguf'" "bad.lua:" <<'END'
return { a = gguf { base },
  b = gguf { base, name = "a.gguf", outtype = "f32" } }
END
bad a_name_with_a_folder "bad.lua:3:" "'../x'" <<'END'
return { a = gguf { base, name = "../x" } }
END
bad no_artifact "bad.lua" "'a'" "gguf { ... }" <<'END'
return { a = base }
END
bad no_table "bad.lua" "return {" <<'END'
local x = 1
END
bad one_artifact_without_a_name "bad.lua" "return { NAME = gguf" <<'END'
return gguf { base }
END
bad expect_bytes_misses "bad.lua:3:" "expect says 5" "bytes" <<'END'
return { a = gguf { base, expect = { bytes = 5 } } }
END
bad expect_bpw_misses "bad.lua:3:" "16.000" "expect says 4.500" <<'END'
return { a = safetensors { base, expect = { bpw = 4.5 } } }
END
bad limit_is_exceeded "bad.lua:3:" "the limit is 1000000" <<'END'
return { a = gguf { base, limit = "1MB" } }
END
bad limit_that_is_no_size "bad.lua:3:" "'limit'" "bytes" <<'END'
return { a = gguf { base, limit = "1 elephant" } }
END

# ---- the sandbox
bad a_write_to_a_global_table "bad.lua:3:" "string" <<'END'
string.format = nil
return {}
END
bad a_write_to_the_environment "bad.lua:3:" "'x'" "local" <<'END'
x = 1
return {}
END
bad a_write_to__G "bad.lua:3:" "'print'" "cannot be assigned" <<'END'
_G.print = nil
return {}
END
bad a_write_to_a_model "bad.lua:3:" "a model cannot be changed" "frozen" <<'END'
base.layers = 9
return {}
END
bad a_write_to_an_artifact "bad.lua:4:" "an artifact cannot be changed" <<'END'
local a = gguf { base }
a.name = "other"
return { a = a }
END
bad a_write_to_types "bad.lua:4:" "a types value cannot be changed" <<'END'
local t = types { default = "q4_k" }
t.default = "q8_0"
return {}
END
bad a_fact_that_a_model_has_not "bad.lua:3:" "'layer'" "did you mean 'layers'?" <<'END'
return { a = gguf { slice(base, 0, base.layer) } }
END
for word in io os debug load loadstring dofile loadfile pcall xpcall rawset collectgarbage coroutine \
    package; do
    bad "there_is_no_$word" "bad.lua:3:" "$word" <<END
local x = $word ("x")
return {}
END
done
bad the_metatable_of_strings "bad.lua:3:" <<'END'
getmetatable("x").__index.format = nil
return {}
END
bad the_metatable_of_a_model "bad.lua:3:" <<'END'
getmetatable(base).__newindex = nil
return {}
END
bad another_metatable_for_string "bad.lua:3:" <<'END'
setmetatable(string, {})
return {}
END
bad another_metatable_for__G "bad.lua:3:" <<'END'
setmetatable(_G, {})
return {}
END
bad an_endless_loop "bad.lua" "steps" <<'END'
while true do end
END
bad an_endless_string "bad.lua" <<'END'
local x = "x"
while true do x = x .. x end
END
bad an_endless_recursion "bad.lua" <<'END'
local function f() return 1 + f() end
return f()
END
bad require_outside_the_workspace "bad.lua:3:" <<'END'
local x = require "../../etc/passwd"
return {}
END
bad require_of_nothing "bad.lua:3:" "'nothing'" <<'END'
local x = require "nothing"
return {}
END
bad reserved_words "bad.lua:3:" "merge.yeam" "later release" <<'END'
return { a = gguf { merge.yeam { base, base } } }
END
bad a_model_that_is_there_twice "bad.lua:3:" "merge.karcher" "the same model" <<'END'
return { a = gguf { merge.karcher { base, base } } }
END
bad a_reserved_option "bad.lua:3:" "'budget'" "later release" <<'END'
return { a = gguf { quantize { base, default = "q4_k", budget = "5GB" } } }
END


# ---- recipes
printf '\033Lua' >binary.lua
vb binary.lua
judged a_recipe_of_bytecode 2 "binary.lua"
printf 'return {}\000' >nul.lua
vb nul.lua
judged a_recipe_with_a_nul 2 "nul.lua"
mkdir folder.lua
vb folder.lua
judged a_recipe_that_is_a_folder 2 "folder.lua"
vb absent.lua
judged a_recipe_that_is_not_there 2 "absent.lua"

# ---- sources
spoiled() { # a copy of a model, to be spoiled
    rm -rf spoiled
    cp -r "$models/nano-llama-base" spoiled
}
source_() { # NAME TEXTS...: of a recipe with that source
    bad "$@" <<'END'
return { a = gguf { source "spoiled" } }
END
}
bad a_missing_source "bad.lua:3:" "./no/such/model" "No such file" <<'END'
return { a = gguf { source "./no/such/model" } }
END
bad a_source_that_looks_like_a_hub_name "bad.lua:3:" 'hf://nobody/nothing' <<'END'
return { a = gguf { source "nobody/nothing" } }
END
export HF_HUB_CACHE="$scratch/hub"
bad a_hub_model_that_is_not_here "bad.lua:3:" "hf://nobody/nothing@v2" "looked in" "$scratch/hub" \
    "hf download nobody/nothing --revision v2" <<'END'
return { a = gguf { source "hf://nobody/nothing@v2" } }
END
bad all_hub_models_that_are_not_here "bad.lua:3:" \
    "hf download nobody/nothing --revision v2 && hf download some/other" <<'END'
return { a = gguf { merge.linear { source "hf://nobody/nothing@v2", source "hf://some/other" } } }
END
bad a_hub_name_that_is_none "bad.lua:3:" "hf://nobody" "hf://" <<'END'
return { a = gguf { source "hf://nobody" } }
END
spoiled
truncate -s 100000 spoiled/model.safetensors
source_ a_truncated_source "bad.lua:3:" "spoiled/model.safetensors" "bytes"
spoiled
truncate -s 5 spoiled/model.safetensors
source_ a_source_cut_in_its_header "bad.lua:3:" "spoiled/model.safetensors"
spoiled
lua5.4 "$bytes" put spoiled/model.safetensors 7 ff
source_ a_source_with_an_absurd_header "bad.lua:3:" "spoiled/model.safetensors"
spoiled
lua5.4 "$bytes" put spoiled/model.safetensors 20 0000
source_ a_source_with_a_corrupt_header "bad.lua:3:" "spoiled/model.safetensors"
spoiled
: >spoiled/model.safetensors
source_ an_empty_source "bad.lua:3:" "spoiled/model.safetensors" "empty" "fetch it again"
spoiled
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 999\n' 1 \
    >spoiled/model.safetensors
source_ a_pointer_instead_of_weights "bad.lua:3:" "Git LFS pointer" "git lfs pull"
spoiled
echo '<!DOCTYPE html><html>' >spoiled/model.safetensors
source_ a_web_page_instead_of_weights "bad.lua:3:" "web page" "download"
spoiled
printf 'PK\003\004xxxxxxxxxxxxxxxx' >spoiled/model.safetensors
source_ a_zip_instead_of_weights "bad.lua:3:" "zip" "convert it to safetensors"
spoiled
mv spoiled/model.safetensors spoiled/pytorch_model.bin
source_ a_pickle_instead_of_weights "bad.lua:3:" "pytorch_model.bin" "convert them to safetensors"
spoiled
rm spoiled/model.safetensors
source_ a_folder_without_weights "bad.lua:3:" "spoiled" "expected model.safetensors"
spoiled
echo '{"weight_map":{"model.norm.weight":"model-00001-of-00001.safetensors"}}' \
    >spoiled/model.safetensors.index.json
source_ a_missing_shard "bad.lua:3:" "model-00001-of-00001.safetensors" "index.json"
spoiled
rm spoiled/config.json
source_ a_source_without_a_config "bad.lua:3:" "config.json" "architecture"
spoiled
echo '{"architectures":["LlamaForCausalLM"]' >spoiled/config.json
source_ a_config_that_is_cut_off "bad.lua:3:" "spoiled/config.json"
spoiled
echo '{"model_type":"llama"}' >spoiled/config.json
source_ a_config_without_an_architecture "bad.lua:3:" "spoiled" '"architectures"'
spoiled
sed -i 's/LlamaForCausalLM/MarsForCausalLM/' spoiled/config.json
source_ an_architecture_without_a_table "bad.lua:3:" "MarsForCausalLM" "rules/arch"
bad roles_of_an_unknown_architecture "bad.lua:4:" "MarsForCausalLM" "graft" <<'END'
local m = source "spoiled"
return { a = safetensors { graft { m, ffn = m } } }
END
spoiled
sed -i 's/"num_hidden_layers": *4/"num_hidden_layers": 6/' spoiled/config.json
source_ a_config_of_more_layers "bad.lua:3:" "layers"
spoiled
sed -i 's/"hidden_size": *[0-9]*/"hidden_size": 64/' spoiled/config.json
source_ a_config_of_another_width "bad.lua:3:" "[512, 256]" "[512, 64]" "config"
spoiled
rm spoiled/tokenizer.json
source_ a_source_without_a_tokenizer "bad.lua:3:" "tokenizer.json" "expected"
spoiled
truncate -s 3000 spoiled/tokenizer.json
source_ a_tokenizer_that_is_cut_off "bad.lua:3:" "spoiled/tokenizer.json"
head -c 20000 outputs/good.gguf >cut.gguf
bad a_gguf_that_is_cut_off "bad.lua:3:" "cut.gguf" <<'END'
return { a = gguf { source "cut.gguf" } }
END
head -c 3 outputs/good.gguf >cut.gguf
bad a_gguf_cut_in_its_magic "bad.lua:3:" "cut.gguf" <<'END'
return { a = gguf { source "cut.gguf" } }
END
echo 'Dear diary' >letter
bad a_file_of_no_format "bad.lua:3:" "letter" <<'END'
return { a = gguf { source "letter" } }
END
bad a_synthetic_model_without_a_config "bad.lua:3:" "config" <<'END'
return { a = gguf { synthetic { seed = 1 } } }
END
bad a_synthetic_model_of_an_absent_config "bad.lua:3:" "'absent.json'" <<'END'
return { a = gguf { synthetic { config = "absent.json" } } }
END
bad a_synthetic_model_that_is_absurd "bad.lua:3:" <<'END'
return { a = gguf { synthetic { config = {
  architectures = { "LlamaForCausalLM" }, hidden_size = 1 << 50, intermediate_size = 80,
  num_hidden_layers = 1, num_attention_heads = 2, vocab_size = 1 << 50, rms_norm_eps = 1e-5,
} } } }
END
bad a_synthetic_model_of_text_sizes "bad.lua:3:" "hidden_size" <<'END'
return { a = gguf { synthetic { config = {
  architectures = { "LlamaForCausalLM" }, hidden_size = "x", intermediate_size = 80,
  num_hidden_layers = 1, num_attention_heads = 2, vocab_size = 64, rms_norm_eps = 1e-5,
} } } }
END

# ---- found while nodes ran: exit 1, and an artifact that was there stays as it is
# Files only: that a temporary came and went shows in the folder's own times.
files() { find outputs ! -type d -printf '%p %y %m %s %T@ %C@ %i\n' | sort; }
kept() { # NAME CODE TEXTS...: judged, and the files of outputs/ are as before
    files >"$scratch/after"
    cmp -s "$scratch/before" "$scratch/after" || wrong="outputs/ was touched"
    judged "$@"
}
spoiled
cat >nan.lua <<END
local m = source "spoiled"
return { blocks = gguf { quantize { m, default = "q4_k" }, name = "nan" },
  other = gguf { source "$models/nano-llama-prose", name = "other" } }
END
vb nan.lua
same a_source_is_built_before_it_is_spoiled 0 "$code"
cp outputs/nan.gguf nan.was
size=$(stat -c %s spoiled/model.safetensors)
lua5.4 "$bytes" put spoiled/model.safetensors $((size - 300000)) c07f
files >"$scratch/before"
vb nan.lua
kept nan_into_blocks 1 "nan.lua:2" "weight" "row " "column " "not finite"
same nan_into_blocks_keeps_the_old_file "" "$(cmp outputs/nan.gguf nan.was 2>&1)"
same nan_into_blocks_is_told_in_json "failed 1" "$(of status) $(of failed)"
rm outputs/other.gguf
vb -k nan.lua
judged keep_going_after_nan 1 "row " "column "
ok keep_going_writes_the_other_artifact [ -f outputs/other.gguf ]
same keep_going_keeps_the_old_file "" "$(cmp outputs/nan.gguf nan.was 2>&1)"
ok nothing_unfinished_is_left [ -z "$(find outputs cache -name '*vbtmp*')" ]
cat >cast.lua <<'END'
return { a = safetensors { cast { scale { source "spoiled", all = 1e30 }, to = "f16" } } }
END
files >"$scratch/before"
vb cast.lua
kept infinity_of_finite_values 1 "cast.lua:1" "infinity" "row 0" "wider type"

# ---- sources that change while they are used
cat >large.lua <<'END'
return { large = safetensors { synthetic { seed = 2, config = { architectures =
  { "LlamaForCausalLM" }, model_type = "llama", hidden_size = 1024, intermediate_size = 2048,
  num_hidden_layers = 2, num_attention_heads = 8, vocab_size = 8192, rms_norm_eps = 1e-5,
  tie_word_embeddings = true } }, name = "large" } }
END
vb large.lua
cp -r outputs/large changing
cat >change.lua <<'END'
return { a = safetensors { scale { source "changing", all = 0.5 }, name = "changed" },
  b = safetensors { source "changing", name = "copy" } }
END
modify_byte() { lua5.4 "$bytes" flip changing/model.safetensors -9; }
modify_cut() { truncate -s -100 changing/model.safetensors; }
modify_time() { touch changing/model.safetensors; }
modify_replace() { cp changing/model.safetensors new && mv new changing/model.safetensors; }
modify_back() { # the same size and time of change as before
    touch -r changing/model.safetensors time
    lua5.4 "$bytes" flip changing/model.safetensors -9
    touch -r time changing/model.safetensors
}
modify_gone() { rm changing/model.safetensors; }
for how in byte cut time replace back gone; do
    rm -rf changing
    cp -r outputs/large changing
    : >"$scratch/err"
    files >"$scratch/before"
    flock cache/lock sh -c '
        while [ ! -e go ]; do sleep 0.02; done' &
    holder=$!
    sleep 0.1
    "$VBUILD" change.lua >"$scratch/out" 2>"$scratch/err" &
    build=$!
    n=0
    while ! grep -q waiting "$scratch/err" && [ $n -lt 200 ]; do
        sleep 0.02
        n=$((n + 1))
    done
    modify_$how
    touch go
    wait $holder
    wait $build
    code=$?
    rm -f go
    if [ $how = gone ]; then
        kept a_source_removed_after_its_header_was_read 1 "changing/model.safetensors"
    else
        kept a_source_changed_after_its_header_was_read_by_$how 1 "changing/model.safetensors" \
            "changed since its header was read" "build again"
    fi
done
for how in byte cut replace back; do
    rm -rf changing
    cp -r outputs/large changing
    rm -rf cache
    files >"$scratch/before"
    "$VBUILD" -q -j 1 change.lua >"$scratch/out" 2>"$scratch/err" &
    build=$!
    while [ ! -e cache/log ]; do :; done
    while [ "$(stat -c %s cache/log)" -lt 500 ]; do :; done # the first nodes are done
    kill -STOP $build
    modify_$how
    kill -CONT $build
    wait $build
    code=$?
    kept a_source_changed_while_it_is_read_by_$how 1 "changing/model.safetensors" "change" \
        "build again"
    ok nothing_unfinished_is_left_by_$how [ -z "$(find outputs cache -name '*vbtmp*')" ]
    vb change.lua
    if [ $how != cut ]; then
        same the_next_build_takes_the_source_as_it_is_by_$how 0 "$code"
        rm -rf changed
        mv outputs/changed changed
        rm -rf outputs/copy* outputs/changed* cache
        vb change.lua
        ok no_old_bytes_are_in_it_by_$how diff -rq changed outputs/changed
        rm -rf outputs/copy* outputs/changed*
    fi
done

# ---- outputs that cannot be written
cat >small.lua <<'END'
return { a = gguf { source "outputs.was/good.gguf", name = "a" } }
END
mkdir outputs.was
cp outputs/good.gguf outputs.was
mv outputs outputs.kept
echo 'a file' >outputs
vb small.lua
judged a_file_in_the_place_of_the_output_folder 1 "outputs" "not a folder" "-o"
same a_file_in_the_place_of_the_output_folder_stays "a file" "$(cat outputs)"
rm outputs
mkdir -p outputs/a.gguf
vb small.lua
judged a_folder_in_the_place_of_the_file 1 "outputs/a.gguf" "a folder stands"
ok a_folder_in_the_place_of_the_file_stays [ -d outputs/a.gguf ]
rm -rf outputs
mkdir outputs
echo 'return { a = safetensors { source "spoiled", name = "f" } }' >folder2.lua
echo 'mine' >outputs/f
vb folder2.lua
judged a_file_in_the_place_of_the_folder 1 "outputs/f" "a file stands"
same a_file_in_the_place_of_the_folder_stays "mine" "$(cat outputs/f)"
rm outputs/f
mkdir outputs/f
echo 'mine' >outputs/f/weights.safetensors
echo 'notes' >outputs/f/notes.txt
vb folder2.lua
judged weights_of_others_in_the_folder 1 "outputs/f" "weights.safetensors" "move them away"
same weights_of_others_stay "mine notes" "$(cat outputs/f/weights.safetensors) $(cat outputs/f/notes.txt)"
rm outputs/f/weights.safetensors
vb folder2.lua
same notes_in_the_folder_are_no_trouble "0 notes" "$code $(cat outputs/f/notes.txt)"
ok nothing_unfinished_is_left_in_outputs [ -z "$(find outputs -name '*vbtmp*')" ]
if [ "$(id -u)" -ne 0 ]; then
    as=
elif command -v setpriv >/dev/null &&
    setpriv --reuid=65534 --regid=65534 --clear-groups true 2>/dev/null; then
    as="setpriv --reuid=65534 --regid=65534 --clear-groups"
else
    as=skip
fi
if [ "$as" = skip ]; then
    echo "skip a_read_only_output_folder: root may write everywhere, and setpriv does not serve"
else
    cp "$VBUILD" "$scratch/vbuild"
    chmod 755 "$scratch" "$scratch/vbuild" "$scratch/good"
    chmod -R a+rX outputs.was outputs small.lua
    [ -z "$as" ] || chown -R 65534:65534 cache
    chmod -R a-w outputs
    files >"$scratch/before"
    $as "$scratch/vbuild" --json="/dev/null" small.lua >"$scratch/out" 2>"$scratch/err"
    code=$?
    kept a_read_only_output_folder 1 "outputs" "ermission denied" "-o"
    chmod 600 outputs.was/good.gguf
    $as "$scratch/vbuild" --json="/dev/null" small.lua >"$scratch/out" 2>"$scratch/err"
    code=$?
    kept a_source_that_may_not_be_read 2 "small.lua:1" "outputs.was/good.gguf" "ermission denied"
    chmod -R u+w outputs
fi

# Not refused, but said (ruling 39): bools that are numbers are copied, never computed with.
workspace bools
cp "$root/tests/golden/malformed/safetensors/bool-value.safetensors" .
cat >bools.lua <<'END'
return { a = safetensors { source "bool-value.safetensors", name = "copied" } }
END
vb bools.lua
same bools_that_are_numbers_are_copied "0 1" "$code $(of alias)"
ok bools_that_are_numbers_are_warned_of grep -q "not 0 or 1 (the first at row 0, column 0)" "$scratch/err"

finish
