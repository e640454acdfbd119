#!/bin/sh
# patterns.sh - patterns, prune, override and allow_requantize of quantize: what they choose, what
# a header says, what is refused. That whole files equal llama-quantize's: presets.sh
. tests/e2e/lib.sh
golden=$root/tests/golden
models=$root/tests/models
workspace words
ln -s "$golden/quant/model/src.gguf" src.gguf
cp "$golden/imatrix/model.dat" im.dat
base="source '$models/nano-llama-base'"

# makes OUT WORDS...: OUT/x.gguf, quantized with WORDS, and its listing in OUT.txt
makes() {
    printf '%s\n' "local f = source 'src.gguf'" "local m = $base" \
        "return { x = gguf { quantize { $2 } } }" >makes.lua
    rm -rf "$1"
    vb -o "$1" makes.lua
    [ "$code" = 0 ] || sed 's/^/    /' "$scratch/err"
    "$VBUILD" inspect "$1/x.gguf" >"$1.txt" 2>/dev/null
}
# type OUT TENSOR: its type there
type() { awk -v name="$2" '$1 == name { print $2 }' "$1.txt"; }
# key OUT KEY: its value there
key() { sed -n "s/^  $2 = //p" "$1.txt"; }

# ---- patterns ------------------------------------------------------------------------------------
makes first "m, 'Q4_K_M', patterns = { { 'attn_v', 'q8_0' }, { 'attn', 'q5_k' } }"
same the_first_pattern_decides "q8_0 q5_k q4_k" \
    "$(type first blk.0.attn_v.weight) $(type first blk.0.attn_k.weight) \
$(type first blk.0.ffn_up.weight)"
makes swapped "m, 'Q4_K_M', patterns = { { 'attn', 'q5_k' }, { 'attn_v', 'q8_0' } }"
same their_order_counts q5_k "$(type swapped blk.0.attn_v.weight)"
ok one_that_decides_nothing_is_noted \
    grep -q "pattern 2 ('attn_v') decides nothing" "$scratch/out" "$scratch/err"
makes over "m, 'Q4_K_M', attn = 'q3_k', token_embd = 'q8_0', output = 'q5_0', optional = true,
  patterns = { { 'attn_v|token_embd', 'q6_k' } }"
same patterns_go_before_words_but_not_before_the_two_options "q6_k q3_k q8_0" \
    "$(type over blk.0.attn_v.weight) $(type over blk.0.attn_q.weight) \
$(type over token_embd.weight)"
makes pure "m, 'Q4_K_M', pure = true, patterns = { { 'blk\\\\.[13]\\\\.', 'q5_0' } }"
same patterns_win_over_pure "q4_k q5_0 q4_k q5_0" \
    "$(for i in 0 1 2 3; do type pure blk.$i.ffn_down.weight; done | tr '\n' ' ' | sed 's/ $//')"
same norms_are_reached_by_none f32 "$(type pure blk.1.attn_norm.weight)"
makes own "m, types { attn_v = 'q3_k', default = 'q4_k' },
  patterns = { { 'attn_v', 'q8_0' }, { 'embd', 'keep' } }"
same patterns_go_before_the_words_of_types "q8_0 q4_k bf16" \
    "$(type own blk.2.attn_v.weight) $(type own blk.2.attn_k.weight) $(type own token_embd.weight)"
makes alone "m, patterns = { { '^.*\$', 'q8_0' } }"
makes plain "m, default = 'q8_0'"
ok patterns_alone_are_an_allocation cmp alone/x.gguf plain/x.gguf
makes lower "f, 'Q4_K_M', as = 'llama-quantize', patterns = { { 'ATTN_V', 'q8_0' }, { 'zz', 'f16' } }"
makes upper "f, 'Q4_K_M', patterns = { { 'attn_v', 'q8_0' } }"
ok as_llama_quantize_letters_are_small_and_dead_patterns_nothing cmp lower/x.gguf upper/x.gguf
makes float "f, 'F16', as = 'llama-quantize', patterns = { { 'attn_v', 'q8_0' } }"
makes f16 "f, 'F16'"
ok as_llama_quantize_f16_heeds_no_pattern cmp float/x.gguf f16/x.gguf
makes cached "m, 'Q4_K_M', patterns = { { 'attn_v', 'q8_0' }, { 'attn_', 'q5_k' } }"
same the_same_choice_by_another_pattern_runs_nothing "0 0" "$code $(of run)"

# With an imatrix: vectors go with tensors, whatever gave their type.
makes im "f, default = 'q4_k', imatrix = 'im.dat'"
makes im.by "f, imatrix = 'im.dat', patterns = { { '.', 'q4_k' } }"
same a_pattern_takes_the_vectors_too "0 0" "$code $(of run)"
makes im.some "f, imatrix = { 'im.dat', exclude = { 'ffn_' } },
  patterns = { { 'ffn_', 'q5_k' }, { '.', 'q4_k' } }"
makes im.none "f, patterns = { { 'ffn_', 'q5_k' }, { '.', 'keep' } }"
same a_filtered_entry_is_no_vector_of_a_patterns_tensor "0 0" "$code $(of run)"

# ---- prune ---------------------------------------------------------------------------------------
makes pruned "m, 'Q4_K_S', prune = { 2 }"
same the_rest_is_numbered_anew 3 "$(key pruned llama.block_count)"
same layers_after_it_move_down "" "$(type pruned blk.3.attn_q.weight)"
makes sliced "stack { slice(m, 0, 2), slice(m, 3, 4) }, 'Q4_K_S'"
same its_tensors_are_the_layers_that_are_left "0 0" "$code $(of run)"
makes both "m, 'Q4_K_M', prune = { 0, 3, 0 }, patterns = { { 'blk\\\\.1\\\\.attn_v', 'q8_0' } },
  ffn_up = function(layer, layers, source) return source == 1 and 'q5_0' or nil end"
same patterns_see_new_numbers_and_words_know_the_old "q8_0 q5_0 q4_k" \
    "$(type both blk.1.attn_v.weight) $(type both blk.0.ffn_up.weight) \
$(type both blk.1.ffn_up.weight)"
makes types "m, default = 'q4_k', prune = { 1 }"
same types_are_pruned_too "3 q4_k" "$(key types llama.block_count) $(type types blk.2.ffn_up.weight)"
same block_count_stands_last "  llama.block_count = 3" "$(grep '^  [a-z]*[.].* = ' types.txt | tail -1)"
makes f.pruned "f, 'Q4_K_M', prune = { 0 }, imatrix = 'im.dat'"
makes f.whole "slice(f, 1, 2), default = 'q4_k', imatrix = { 'im.dat', of = f }"
makes f.again "f, default = 'q4_k', imatrix = 'im.dat', prune = { 0 }"
same entries_of_an_imatrix_have_the_old_numbers "0 0" "$code $(of run)"
makes f.lax "f, 'Q4_K_S', as = 'llama-quantize', prune = { 7 }"
makes f.all "f, 'Q4_K_S'"
same as_llama_quantize_layers_may_be_missing 2 "$(key f.lax llama.block_count)"

# A model with an array for each layer, and others of the same length.
lua5.4 - per.gguf <<'LUA'
local function array(kind, pack, ...)
  local list = { ... }
  for i, item in ipairs(list) do list[i] = string.pack(pack, item) end
  return 9, string.pack("<I4I8", kind, #list) .. table.concat(list)
end
local kv = {}
local function put(key, kind, raw) kv[#kv + 1] = string.pack("<s8I4", key, kind) .. raw end
put("general.architecture", 8, string.pack("<s8", "lfm9"))
put("lfm9.block_count", 4, string.pack("<I4", 4))
put("lfm9.attention.head_count", 4, string.pack("<I4", 8))
put("lfm9.attention.head_count_kv", array(5, "<i4", 8, 0, 2, 4))
put("lfm9.kinds", array(8, "<s8", "conv", "full", "", "last"))
put("lfm9.flags", array(7, "<B", 1, 0, 1, 1))
put("lfm9.rope.dimension_sections", array(5, "<i4", 1, 2, 3, 4))
put("lfm9.five", array(4, "<I4", 1, 2, 3, 4, 5))
put("tokenizer.ggml.tokens", array(8, "<s8", "a", "b", "c", "d"))
local head, body = { "GGUF", string.pack("<I4I8I8", 3, 4, #kv), table.concat(kv) }, {}
for layer = 0, 3 do
  head[#head + 1] = string.pack("<s8I4I8I8I4I8", ("blk.%d.attn_v.weight"):format(layer), 2, 32, 2,
    0, layer * 256)
  body[layer + 1] = string.pack("<f", layer + 1):rep(64)
end
local text = table.concat(head)
local file = assert(io.open(arg[1], "wb"))
file:write(text, ("\0"):rep(-#text % 32), table.concat(body))
file:close()
LUA
makes arrays "source 'per.gguf', 'Q8_0', prune = { 1, 2 }"
ok arrays_of_layers_are_said grep -q "lfm9.kinds has an element for each layer" \
    "$scratch/out" "$scratch/err"
same arrays_of_layers_lose_theirs '[8, 4] ["conv", "last"] [true, true] 2' \
    "$(key arrays lfm9.attention.head_count_kv) $(key arrays lfm9.kinds) $(key arrays lfm9.flags) \
$(key arrays lfm9.block_count)"
same other_arrays_stay '[1, 2, 3, 4] [1, 2, 3, 4, 5] ["a", "b", "c", "d"]' \
    "$(key arrays lfm9.rope.dimension_sections) $(key arrays lfm9.five) \
$(key arrays tokenizer.ggml.tokens)"

# ---- override ------------------------------------------------------------------------------------
makes kv "m, 'Q4_K_M', imatrix = nil, override = { { 'general.name', 'neu' }, { 'x.n', -5 },
  { 'x.f', 5.0 }, { 'x.t', true }, { 'x.u', false }, { 'x.max', 0xffffffff } }"
same overrides_have_their_types '"neu" 5 5 true false 4294967295' \
    "$(for k in general.name x.n x.f x.t x.u x.max; do key kv $k; done | tr '\n' ' ' | sed 's/ $//')"
same overridden_keys_stand_last "general.name x.n x.f x.t x.u x.max" \
    "$(sed -n 's/^  \([a-z]*[.][a-z_.]*\) = .*/\1/p' kv.txt | tail -n 6 | tr '\n' ' ' | sed 's/ $//')"
makes eight "m, 'Q4_K_M', override = { { 'llama.expert_count', 8 } }"
same choices_heed_an_override "q8_0 q8_0" \
    "$(type eight blk.0.attn_k.weight) $(type eight blk.0.attn_v.weight)"
makes eight.f "f, default = 'q4_k', override = { { 'llama.expert_count', 8 } }"
same types_do_not q4_k "$(type eight.f blk.0.attn_k.weight)"
makes aligned "f, 'Q4_K_S', as = 'llama-quantize', override = { { 'general.alignment', 256 } }"
same an_overridden_alignment_is_that_of_the_file "0 0" \
    "$code $(($(wc -c <aligned/x.gguf) % 256))"
makes aligned.copy "source 'aligned/x.gguf', 'COPY'"
same and_it_can_be_read 0 "$code"
makes named "f, 'Q4_K_S', as = 'llama-quantize', override = { { 'x.n', 1 }, { 'x.n', 2 } }"
same as_llama_quantize_the_last_of_two_counts 2 "$(key named x.n)"

# A model that is quantized in two steps: the header says what both did.
makes one "f, 'Q8_0', prune = { 1 }, override = { { 'x.a', 1 }, { 'x.b', 1 } }"
makes two "quantize { f, 'Q8_0', prune = { 1 }, override = { { 'x.a', 1 }, { 'x.b', 1 } } },
  'Q4_K_M', allow_requantize = true, override = { { 'x.b', 2 } }"
makes two.files "source 'one/x.gguf', 'Q4_K_M', allow_requantize = true, override = { { 'x.b', 2 } }"
same what_two_steps_changed_stays "1 1 2" \
    "$(key two llama.block_count) $(key two x.a) $(key two x.b)"
ok two_steps_in_one_recipe_are_two_files cmp two/x.gguf two.files/x.gguf

# A folder is converted first: the same file as from its GGUF file, whatever is changed.
echo "return { x = gguf { $base } }" >convert.lua
vb -o converted convert.lua
what="'Q4_K_M', prune = { 1 }, patterns = { { 'blk.1.*_k', 'q8_0' } }, output = 'keep',
  override = { { 'llama.block_count', 9 } }, as = 'llama-quantize'"
makes from.folder "m, $what"
makes from.file "source 'converted/x.gguf', $what"
ok a_folder_gives_the_file_that_its_conversion_gives cmp from.folder/x.gguf from.file/x.gguf

# ---- requantized ---------------------------------------------------------------------------------
makes q8 "m, default = 'q8_0', attn_v = 'f16'"
makes again "source 'q8/x.gguf', 'Q4_K_S', allow_requantize = true, ffn_up = 'keep'"
manifest=again/x.gguf.manifest.json
[ -e $manifest ] || manifest=$(ls again/*.manifest.json)
# says TENSOR: what its line of the manifest says it was before
says() { sed -n "s/.*\"name\":\"$1\".*\"requantized_from\":\"\([a-z0-9_]*\)\".*/\1/p" "$manifest"; }
same the_manifest_says_what_was_quantized_before q8_0 "$(says blk.0.attn_q.weight)"
same a_first_quantization_is_none "" "$(says blk.0.attn_v.weight)"
same a_copy_is_none "" "$(says blk.0.ffn_up.weight)"
echo "return { x = safetensors { cast { source 'q8/x.gguf', to = 'f32' } },
  y = gguf { quantize { cast { source 'q8/x.gguf', to = 'f32' }, 'Q6_K' } } }" >cast.lua
vb -o cast cast.lua
manifest=$(ls cast/x*.manifest.json)
same a_dequantized_tensor_is_none 0 "$(grep -c requantized_from "$manifest")"
manifest=$(ls cast/y*.manifest.json)
same one_that_was_dequantized_between_is_one q8_0 "$(says blk.0.attn_q.weight)"

# ---- refused -------------------------------------------------------------------------------------
# refused NAME WORDS TEXT...: quantize { WORDS } is refused while planning, saying every TEXT
refused() {
    case_=$1
    printf '%s\n' "local f = source 'src.gguf'" "local m = $base" \
        "return { x = gguf { quantize { $2 } } }" >refused.lua
    vb refused.lua
    same "$case_.code" 2 "$code"
    shift 2
    for text in "refused.lua:3:" "$@"; do
        ok "$case_.says_$text" grep -qF -e "$text" "$scratch/err"
    done
}
refused a_dead_pattern "m, 'Q4_K_M', patterns = { { 'attn_v', 'q8_0' }, { 'atn', 'q8_0' } }" \
    "the pattern 'atn' is found in the name of no matrix"
refused a_dead_pattern_of_types "m, default = 'q4_k', patterns = { { '_norm', 'f16' } }" "'_norm'"
refused capital_letters "m, 'Q4_K_M', patterns = { { 'ATTN', 'q8_0' } }" "'ATTN'"
refused an_unknown_type "m, 'Q4_K_M', patterns = { { 'attn', 'q8_O' } }" \
    "the pattern 'attn': unknown type 'q8_O' (did you mean 'q8_0'?)"
refused a_preset_as_a_type "m, 'Q4_K_M', patterns = { { 'attn', 'q3_k_m' } }" "is a preset"
refused an_activation_type "m, 'Q4_K_M', patterns = { { 'attn', 'q8_k' } }" "activations"
refused a_broken_pattern "m, 'Q4_K_M', patterns = { { 'attn(', 'q8_0' } }" \
    "the pattern 'attn(': a '(' has no ')'"
refused lookbehind "m, 'Q4_K_M', as = 'llama-quantize', patterns = { { '(?<=a)t', 'q8_0' } }" \
    "lookbehind"
refused a_pattern_without_end \
    "m, 'Q4_K_M', patterns = { { '((a|.)(t|.)?)+\$w', 'q8_0' } }" "more than 100000 steps"
refused patterns_over_f16 "m, 'F16', patterns = { { 'attn', 'q8_0' } }" "under F16"
refused patterns_over_copy "f, 'COPY', patterns = { { 'attn', 'q8_0' } }" "COPY copies"
refused a_width_of_an_own_allocation \
    "source 'per.gguf', default = 'q8_0', patterns = { { 'attn_v', 'q4_k' } }" \
    "'attn_v' = \"q4_k\"" "multiples of 256"
refused patterns_that_are_no_list "m, 'Q4_K_M', patterns = { attn = 'q8_0' }" "has the key attn"
refused a_pattern_that_is_no_pair "m, 'Q4_K_M', patterns = { 'attn' }" "item 1 of 'patterns'"
refused a_pattern_without_a_type "m, 'Q4_K_M', patterns = { { 'attn' } }" "has no second value"
refused a_pattern_with_more "m, 'Q4_K_M', patterns = { { 'attn', 'q8_0', 1 } }" "more than a pair"
refused a_pattern_of_no_letters "m, 'Q4_K_M', patterns = { { '', 'q8_0' } }" "an empty text"
refused a_pattern_that_is_a_number "m, 'Q4_K_M', patterns = { { 3, 'q8_0' } }" "the number 3"
refused no_patterns "m, 'Q4_K_M', patterns = {}" "'patterns' is an empty list"
refused patterns_that_are_a_text "m, 'Q4_K_M', patterns = 'attn=q8_0'" "'patterns'" "a table"
refused a_layer_beyond "m, 'Q4_K_M', prune = { 1, 4 }" "names layer 4 of 'nano-llama-base'" "has 4"
refused every_layer "m, 'Q4_K_M', prune = { 0, 1, 2, 3 }" "leaves no layer"
refused a_negative_layer "m, 'Q4_K_M', prune = { -1 }" "item 1 of 'prune' is the number -1"
refused a_layer_in_words "m, 'Q4_K_M', prune = { 'last' }" "'last'"
refused no_layers "m, 'Q4_K_M', prune = {}" "'prune' is an empty list"
refused a_hole_in_the_list "m, 'Q4_K_M', prune = { 1, nil, 2 }" "after an empty one"
refused a_number_beyond_u32 "m, 'Q4_K_M', override = { { 'x.n', 4294967296 } }" "does not fit u32"
refused the_least_number "m, 'Q4_K_M', override = { { 'x.n', math.mininteger } }" "does not fit u32"
refused a_number_beyond_f32 "m, 'Q4_K_M', override = { { 'x.n', 1e39 } }" "does not fit f32"
refused no_number "m, 'Q4_K_M', override = { { 'x.n', 0 / 0 } }" "does not fit f32"
refused a_long_text "m, 'Q4_K_M', override = { { 'x.n', ('x'):rep(128) } }" "128 bytes"
refused a_long_key "m, 'Q4_K_M', override = { { ('x'):rep(128), 1 } }" "at most 127 bytes"
refused a_key_that_is_no_text "m, 'Q4_K_M', override = { { 'a\\255', 1 } }" "UTF-8"
refused a_model_as_a_value "m, 'Q4_K_M', override = { { 'x.n', m } }" "a model"
refused a_key_twice "m, 'Q4_K_M', override = { { 'x.n', 1 }, { 'x.n', 1 } }" "named twice"
for name in general.architecture general.alignment split.no split.anything; do
    refused "override_of_$name" "m, 'Q4_K_M', override = { { '$name', 1 } }" "$name: not overridden"
done
refused an_alignment_that_is_none \
    "f, 'Q4_K_S', as = 'llama-quantize', override = { { 'general.alignment', 48 } }" \
    "alignment 48 is no power of two"
refused as_something_else "m, 'Q4_K_M', as = 'llama-quantise'" "did you mean 'llama-quantize'?"
finish
