#!/bin/sh
# names.sh - models whose architecture has no table: structure from the names of tensors alone
#
# The models are ft1, ft2 and base of the merge goldens under GPT-2's names, so that what llama's
# table makes of them says what names alone must make.
. tests/e2e/lib.sh
golden=$root/tests/golden/merge/models
e2e=$root/tests/e2e
workspace names

# model NAME PREFIX MODEL [DROP...]: a folder with GPT-2's config
model() {
    to=$1
    prefix=$2
    from=$3
    shift 3
    mkdir "$to"
    lua5.4 "$e2e/rename.lua" "$golden/$from" "$to" "$prefix" "$@"
    cat >"$to/config.json" <<END
{
 "architectures": ["GPT2LMHeadModel"],
 "model_type": "gpt2",
 "n_layer": 4,
 "attention_layers": ["a", "b", "c", "d"],
 "odd": [1, 2, 3, 4],
 "vocab_size": 64,
 "torch_dtype": "bfloat16"
}
END
}
model base transformer. base
model one transformer. ft1
model two transformer. ft2
model bare "" ft2
model tied transformer. ft1 lm_head
model narrow transformer. mis_a
cp "$golden/ft1/tokenizer.json" "$golden/ft1/tokenizer_config.json" one

# ---- merges -----------------------------------------------------------------------------------
ln -s "$golden" models
cat >pairs.lua <<'END'
local one, two, bare = source "one", source "two", source "bare"
local ft1, ft2 = source "models/ft1", source "models/ft2"
local function both(a, b)
  return merge.slerp {
    a, b, t = by { { "q_proj", ramp { 0, 0.5, 1 } }, { "h.1.", 0.9 }, { "layers.1.", 0.9 }, 0.3 },
    as = "mergekit",
  }
end
return {
  names = safetensors { both(one, two) },
  table = safetensors { both(ft1, ft2) },
  bare = safetensors { both(one, bare) },
  scaled = safetensors { merge.passthrough { one, scale = by { { "ln_f", 2 } } } },
}
END
vb pairs.lua
same merges_by_names_build 0 "$code"
mkdir want
lua5.4 "$e2e/rename.lua" outputs/table want transformer.
ok names_alone_make_what_the_table_makes lua5.4 "$e2e/same.lua" want outputs/names
ok a_leading_transformer_is_no_difference lua5.4 "$e2e/same.lua" want outputs/bare
ok the_config_is_as_it_was cmp one/config.json outputs/names/config.json
ok the_tokenizer_comes_along cmp one/tokenizer.json outputs/names/tokenizer.json

# Positions have no size that a factor could change: they are copied, of one model as of two.
mkdir counted && cp one/config.json counted
header='{"x.position_ids":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},'
header=$header'"x.weight":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}   '
{
    printf "\\$(printf %o ${#header})\\0\\0\\0\\0\\0\\0\\0%s" "$header"
    printf '\5\0\0\0\0\0\0\0\0\0\200\077\0\0\0\100'
} >counted/model.safetensors
cat >counted.lua <<'END'
local counted = source "counted"
return {
  doubled = safetensors { merge.passthrough { counted, scale = 2 } },
  weighed = safetensors { merge.linear { { counted, weight = 2 }, normalize = false } },
}
END
vb counted.lua
same positions_beside_weights_build 0 "$code"
for this in doubled weighed; do
    same "$this.positions_are_copied" " 05 00 00 00 00 00 00 00 00 00 00 40 00 00 80 40" \
        "$(tail -c 16 outputs/$this/model.safetensors | od -An -tx1)"
done

# ---- layers -------------------------------------------------------------------------------------
cat >stacks.lua <<'END'
local one, two, bare = source "one", source "two", source "bare"
local ft1, ft2 = source "models/ft1", source "models/ft2"
return {
  names = safetensors { stack { slice(one, 0, 3), slice(two, 1, 4), slice(two, 4, 4) } },
  bare = safetensors { stack { slice(one, 0, 3), slice(bare, 1, 4) } },
  table = safetensors { stack { slice(ft1, 0, 3), slice(ft2, 1, 4) } },
}
END
vb stacks.lua
same stacks_by_names_build 0 "$code"
rm -r want && mkdir want
lua5.4 "$e2e/rename.lua" outputs/table want transformer.
ok a_stack_by_names_is_the_one_by_the_table lua5.4 "$e2e/same.lua" want outputs/names
ok a_part_without_transformer_is_renamed lua5.4 "$e2e/same.lua" want outputs/bare
ok the_key_of_the_layers_is_edited grep -qx ' "n_layer": 6,' outputs/names/config.json
ok a_known_list_of_layers_is_reindexed \
    grep -qxF ' "attention_layers": ["a", "b", "c", "b", "c", "d"],' outputs/names/config.json
ok another_list_is_left_alone grep -qx ' "odd": \[1, 2, 3, 4\],' outputs/names/config.json
ok and_that_is_said grep -F 'the list odd is as long as the donor has layers' "$scratch/err"
ok nothing_else_of_the_config_changes \
    sh -c 'test "$(diff one/config.json outputs/names/config.json | grep -c "^[<>]")" = 4'

# ---- tied heads, tensors that not every model has -----------------------------------------------
cat >heads.lua <<'END'
local tied, two = source "tied", source "two"
return {
  lent = safetensors { merge.linear { { tied, weight = 1 }, { two, weight = 0 } } },
  both = safetensors { merge.linear { { tied, weight = 1 }, { source "tied2", weight = 1 } } },
}
END
mkdir tied2 && lua5.4 "$e2e/rename.lua" models/ft2 tied2 transformer. lm_head
cp tied/config.json tied2
vb heads.lua
same tied_and_untied_merge 0 "$code"
ok the_tied_one_lends_its_embedding lua5.4 - "$e2e" <<'END'
package.path = arg[1] .. "/?.lua"
local t = require("tensors").open "outputs/lent"
assert(t["lm_head.weight"].data == t["transformer.wte.weight"].data)
END
ok the_config_says_untied grep -q '"tie_word_embeddings": false' outputs/lent/config.json
ok none_has_a_head_none_is_written sh -c '! grep -qa lm_head outputs/both/model.safetensors'
ok and_the_config_stays cmp tied/config.json outputs/both/config.json

model less transformer. ft2 h.2.attn.q_proj
cat >missing.lua <<'END'
local one, less = source "one", source "less"
local function m(how) return merge.linear { one, less, weight = 0.5, missing = how } end
local out = {
  union = safetensors { m "union" }, default = safetensors { m() },
  intersection = safetensors { m "intersection" },
}
if option("strict", false) then out.error = safetensors { m "error" } end
return out
END
vb plan missing.lua
same a_missing_tensor_is_no_error_without_a_table 0 "$code"
ok plan_names_what_is_missing grep -F "not in every model: 1 tensor (transformer.h.2.attn.q_" \
    "$scratch/err"
vb missing.lua
ok union_keeps_it sh -c 'grep -qa h.2.attn.q_proj outputs/union/model.safetensors'
ok union_is_the_default cmp outputs/union/model.safetensors outputs/default/model.safetensors
ok intersection_drops_it sh -c '! grep -qa h.2.attn.q_proj outputs/intersection/model.safetensors'
ok it_is_copied_from_the_one_that_has_it lua5.4 - "$e2e" <<'END'
package.path = arg[1] .. "/?.lua"
local tensors, name = require "tensors", "transformer.h.2.attn.q_proj.weight"
assert(tensors.open("outputs/union")[name].data == tensors.open("one")[name].data)
END
vb -D strict=true missing.lua
same missing_error_is_an_error 2 "$code"
ok it_names_both_and_the_tensor grep -F "'one' has transformer.h.2.attn.q_proj.weight, which 'less'" \
    "$scratch/err"

# ---- files without a config ---------------------------------------------------------------------
lua5.4 "$e2e/rename.lua" models/ft1 a.safetensors transformer.
lua5.4 "$e2e/rename.lua" models/ft2 b.safetensors transformer. ln_f
cat >lone.lua <<'END'
local a, b = source "a.safetensors", source "b.safetensors"
return { lone = safetensors { merge.slerp { a, b, t = 0.5, missing = "union" } } }
END
vb lone.lua
same lone_files_merge 0 "$code"
ok that_there_is_no_config_is_said grep -F "no config.json" "$scratch/err"
ok without_a_config_nothing_but_weights_is_written \
    sh -c 'test "$(ls outputs/lone)" = model.safetensors'

# refused NAME TEXT...: the recipe on standard input is refused while planning, saying each TEXT
refused() {
    what=$1
    shift
    cat >refused.lua
    vb refused.lua
    same "$what.code" 2 "$code"
    for text in "$@"; do ok "$what.says $text" grep -F -e "$text" "$scratch/err"; done
}
refused lone_files_that_differ "'a.safetensors' has transformer.ln_f.weight" "missing = \"union\"" <<'END'
local a, b = source "a.safetensors", source "b.safetensors"
return { lone = safetensors { merge.slerp { a, b, t = 0.5 } } }
END
refused a_role_without_roles "refused.lua:1:" "names the role 'attn_v'" "by {" <<'END'
return { x = safetensors { merge.linear { source "one", source "two", weight = { attn_v = 1 } } } }
END
refused gguf_by_names "GPT2LMHeadModel" "rules/arch" <<'END'
return { x = gguf { merge.linear { source "one", source "two", weight = 1 } } }
END
refused graft_by_names "GPT2LMHeadModel" "rules/arch" <<'END'
return { x = safetensors { graft { source "one", attn = source "two" } } }
END
refused a_slice_beyond_the_names "has 4 layers" <<'END'
return { x = safetensors { slice(source "one", 2, 5) } }
END
refused two_architectures "GPT2LMHeadModel" "llama" "allow_mixed_arch" <<'END'
return { x = safetensors { merge.linear { source "one", source "models/ft1", weight = 1 } } }
END
refused another_width "transformer.wte.weight is [" <<'END'
local m = merge.linear { slice(source "one", 0, 3), source "narrow", weight = 1 }
return { x = safetensors { m } }
END
finish
