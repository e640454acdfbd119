#!/bin/sh
# inspect.sh - inspect --types: which type each role has in which layers, and the error against the
# model that a file was quantized from, measured once
#
# tests/e2e/errors.lua computes the errors again, in plain Lua, from the dequantized file.
. tests/e2e/lib.sh
golden=$root/tests/golden
models=$root/tests/models
e2e=$root/tests/e2e
base=$models/nano-llama-base

# types ARGUMENTS...: inspect --types; its table in $scratch/out, its messages in $scratch/err
types() {
    "$VBUILD" inspect --types "$@" >"$scratch/out" 2>"$scratch/err"
    code=$?
}
# rows: the table without its heading: role, type, tensors, layers (the last column)
rows() { sed '1,/^role/d' "$scratch/out" | sed '/^all/,$d' | awk '{ print $1, $2, $3, $NF }'; }
# report FIELD FILE: a number of the report as a whole
report() { sed -n 's/.*"'"$1"'":\([0-9]*\).*/\1/p' "$2" | tail -n 1; }
# figures FILE: a report without the names of what its errors are against
figures() {
    sed 's/"against":"[^"]*"//; s/"source":"[^"]*",//; /^{"v"/d; s/"measured":.*//' "$1"
}
# refused NAME TEXT ARGUMENTS...: exit code 2, with a message that holds TEXT
refused() {
    case=$1 text=$2
    shift 2
    types "$@"
    same "$case" 2 "$code"
    ok "$case.says_why" grep -qF -e "$text" "$scratch/err"
}
# Stamps of files that are as old as the hashing are not believed.
settle() { sleep 0.1; }

# ---- the table -----------------------------------------------------------------------------------
workspace table
cat >build.lua <<EOF
local base = source "$base"
local function last(layer, layers)
  return layer == layers - 1 and "q8_0" or "q5_k"
end
return {
  x = gguf { quantize { base, default = "q4_k", attn_v = "q6_k", down_proj = last } },
}
EOF
vb
types outputs/x.gguf
same the_table_is_printed 0 "$code"
rows >got
cat >want <<'EOF'
token_embd q4_k 1 -
attn_q q4_k 4 0-3
attn_k q4_k 4 0-3
attn_v q6_k 4 0-3
attn_output q4_k 4 0-3
ffn_gate q4_k 4 0-3
ffn_up q4_k 4 0-3
ffn_down q5_k 3 0-2
ffn_down q8_0 1 3
attn_norm f32 4 0-3
ffn_norm f32 4 0-3
output_norm f32 1 -
EOF
ok types_are_those_of_the_recipe diff want got
ok a_row_has_bits_and_bytes grep -qE '^attn_v +q6_k +4 +6\.562 +107520 ' "$scratch/out"
ok unknown_errors_have_no_column sh -c "! grep -q rmse '$scratch/out'"
ok unknown_errors_are_said grep -qF -e "--against SOURCE measures them" "$scratch/out"
grep 'bits per weight' "$scratch/out" >said
vb -v plan
ok the_line_below_is_that_of_the_build grep -qF "$(cat said)" "$scratch/out"
sed -n '/"e":"end"/s/.*"bpw":\([0-9.]*\),.*"bpw_quantized":\([0-9.]*\).*/\1 \2/p' \
    "$scratch/json" >bits
types outputs/x.gguf --json=x.json
same totals_are_those_of_the_end_line "$(cat bits)" \
    "$(sed -n 's/.*"bpw":\([0-9.]*\),"bpw_quantized":\([0-9.]*\),"known".*/\1 \2/p' x.json)"
same json_has_every_tensor 38 "$(grep -c '"role":' x.json)"
ok json_has_role_and_layer grep -qE '"name":"blk.3.ffn_down.weight","role":"ffn_down",'\
'"bias":false,"layer":3,'\
'"dtype":"q8_0","shape":.256,256.,"bpw":8.5,"bytes":69632,"error":null' x.json
ok json_outside_layers_is_null grep -qF '"role":"token_embd","bias":false,"layer":null' x.json
types -v outputs/x.gguf
same verbose_has_a_row_for_each_tensor 38 "$(rows | wc -l)"
types "$base"
same a_folder_has_a_table "11 0" "$(rows | wc -l) $code"

# 48 layers, types that alternate: what a screen holds, by ranges of layers.
cat >deep.lua <<'EOF'
local m = synthetic { config = {
  architectures = { "LlamaForCausalLM" }, hidden_size = 64, intermediate_size = 64,
  num_hidden_layers = 48, num_attention_heads = 2, num_key_value_heads = 1, head_dim = 32,
  vocab_size = 32, rms_norm_eps = 1e-5, max_position_embeddings = 64, torch_dtype = "bfloat16",
} }
return { deep = gguf { quantize { m, default = "q4_0", attn_v = edges("q5_0", "q8_0") } } }
EOF
vb deep.lua
types outputs/deep.gguf
ok a_deep_model_fits_a_screen test "$(wc -l <"$scratch/out")" -lt 24
ok alternating_layers_are_ranges grep -qE \
    '^attn_v +q8_0 .* 0-5,8,11,14,17,20,23,26,29,32,35,38,41-47$' "$scratch/out"

# ---- errors --------------------------------------------------------------------------------------
workspace errors
cat >build.lua <<EOF
local base = source "$base"
return {
  x = gguf { quantize { base, "Q4_K_M" } }, f32 = gguf { base, outtype = "f32" },
}
EOF
vb
echo 'return { back = safetensors { cast { source "outputs/x.gguf", to = "f32" } } }' >back.lua
vb back.lua
settle
types outputs/x.gguf --against "$base" --json=hf.json
same errors_are_measured "0 38 38" "$code $(report measured hf.json) $(report known hf.json)"
ok errors_are_those_of_another_program lua5.4 "$e2e/errors.lua" hf.json outputs/back "$base"
types outputs/x.gguf --against outputs/f32.gguf --json=gguf.json
same a_gguf_source_is_measured 38 "$(report measured gguf.json)"
figures hf.json >hf
figures gguf.json >gguf
ok permuted_rows_have_the_same_errors diff hf gguf
types outputs/back --against "$base" --json=back.json
sed -n 's/.*"source":"\([^"]*\)".*"rmse":\([^,]*\),.*/\1 \2/p' back.json | sort >back
sed -n 's/.*"source":"\([^"]*\)".*"rmse":\([^,]*\),.*/\1 \2/p' hf.json | sort >hf
same every_tensor_has_a_source 38 "$(wc -l <hf)"
ok a_folder_has_the_errors_of_its_file diff hf back
types "$base" --against "$base" --json=self.json
same a_model_has_no_error_against_itself "39 0" \
    "$(grep -o '"rmse":0,"relative":0,"max_abs":0,' self.json | wc -l) $code"

types outputs/x.gguf --against "$base"
ok rows_show_their_error grep -qE '^attn_q +q4_k +4 +4\.500 +147456 +0\.00[0-9]+ +[67]\.[0-9]+% ' \
    "$scratch/out"
ok norms_are_exact grep -qE '^output_norm +f32 .* 0 +0\.000% +0 ' "$scratch/out"
ok the_total_is_that_of_the_report grep -qF "rmse of 38 tensors is $(sed -n \
    's/.*"known":38,"rmse":\([^,]*\).*/\1/p' hf.json | awk '{ printf "%.6g", $1 }')," "$scratch/out"

# ---- measured once -------------------------------------------------------------------------------
types outputs/x.gguf --against "$base" --json=again.json
same a_second_time_reads_nothing "0 0 0" \
    "$code $(report measured again.json) $(report read_bytes again.json)"
figures again.json >again
figures hf.json >first
ok a_second_time_has_the_same_figures diff first again
types outputs/x.gguf
ok errors_are_known_without_the_source grep -qF "against $base" "$scratch/out"
ok known_errors_have_their_column grep -qE '^attn_q +q4_k .* [67]\.[0-9]+% ' "$scratch/out"
ln -s "$base" elsewhere
types outputs/x.gguf --against elsewhere --json=moved.json
same another_path_of_the_same_tensors_is_measured_already "0 0" \
    "$code $(report measured moved.json)"
sed -i 's/"Q4_K_M"/"Q4_K_M", attn_v = "q8_0"/' build.lua
vb
settle
types outputs/x.gguf --against "$base" --json=changed.json
same only_what_changed_is_measured "0 4 38" \
    "$code $(report measured changed.json) $(report known changed.json)"
types --cache other outputs/x.gguf
ok another_cache_knows_nothing grep -qF -e "--against SOURCE measures them" "$scratch/out"
ok looking_writes_nothing test ! -e other
figures changed.json >changed
for how in "-j1 scalar" "-j5 scalar" "-j1" "-j5"; do
    isa=$(echo "$how" | cut -d' ' -f2 -s)
    rm -rf other
    env ${isa:+VBUILD_ISA="$isa"} "$VBUILD" inspect --types --cache other "${how%% *}" \
        outputs/x.gguf --against "$base" --json=how.json 2>"$scratch/err"
    figures how.json >how
    same "measured_anew_with_$how" 38 "$(report measured how.json)"
    ok "figures_do_not_depend_on_$how" diff changed how
done
cp outputs/x.gguf copy.gguf
settle
types copy.gguf --against "$base" --json=copy.json
same a_copy_is_hashed_and_not_measured "0 0" "$code $(report measured copy.json)"
# The last byte of the copy is one of its last tensor.
lua5.4 - copy.gguf <<'EOF'
local file = assert(io.open(arg[1], "r+b"))
file:seek("end", -1)
local byte = file:read(1):byte()
file:seek("end", -1)
file:write(string.char(byte ~ 0x40))
file:close()
EOF
settle
types copy.gguf --against "$base" --json=copy.json
same a_changed_byte_is_measured "0 1" "$code $(report measured copy.json)"
: >file
types --cache file/x outputs/x.gguf --against "$base"
same a_cache_that_cannot_be_is_exit_4 4 "$code"

# ---- weighed by an imatrix -----------------------------------------------------------------------
workspace weighed
ln -s "$golden/quant/model/src.gguf" src.gguf
ln -s "$golden/imatrix/model.dat" im.dat
ln -s "$golden/imatrix/model.gguf" im.gguf
echo 'return { x = gguf { quantize { source "src.gguf", "Q3_K_M", imatrix = "im.dat" } } }' \
    >build.lua
vb
cat >back.lua <<'EOF'
local function f32(path)
  return safetensors { cast { source(path), to = "f32" } }
end
return { made = f32 "outputs/x.gguf", source = f32 "src.gguf" }
EOF
vb back.lua
settle
types outputs/x.gguf --against src.gguf --json=plain.json
types outputs/x.gguf --against src.gguf --imatrix im.dat --json=weighed.json
same weighed_errors_are_measured 0 "$code"
for how in "plain" "weighed im.dat"; do
    # Both by Hugging Face names.
    sed 's/"source":"token_embd.weight"/"source":"model.embed_tokens.weight"/
        s/"source":"output_norm.weight"/"source":"model.norm.weight"/
        s/"source":"output.weight"/"source":"lm_head.weight"/
        s/"source":"blk\./"source":"model.layers./
        s/"source":"\([^"]*\)attn_norm/"source":"\1input_layernorm/
        s/"source":"\([^"]*\)ffn_norm/"source":"\1post_attention_layernorm/
        s/"source":"\([^"]*\)attn_output/"source":"\1self_attn.o_proj/
        s/"source":"\([^"]*\)attn_\([qkv]\)/"source":"\1self_attn.\2_proj/
        s/"source":"\([^"]*\)ffn_\([a-z]*\)/"source":"\1mlp.\2_proj/' "${how% *}.json" >named.json
    # shellcheck disable=SC2086
    set -- $how
    ok "$1.errors_are_those_of_another_program" \
        lua5.4 "$e2e/errors.lua" named.json outputs/made outputs/source ${2:+"$2"}
done
same only_tensors_with_a_vector_are_measured_anew "$(grep -c '"imatrix":"im.dat"}' weighed.json)" \
    "$(report measured weighed.json)"
types outputs/x.gguf --against src.gguf --imatrix im.gguf --json=twin.json
same the_same_vectors_are_measured_already 0 "$(report measured twin.json)"
types outputs/x.gguf
ok the_weights_are_said grep -qF "columns weighed by im.gguf" "$scratch/out"
refused an_imatrix_of_another_model "imatrix of another model" "$models/nano-qwen2" \
    --against "$models/nano-qwen2" --imatrix "$golden/imatrix/experts.gguf"
refused an_imatrix_of_other_widths "which has 256 columns: it is the imatrix of another model" \
    "$base" --against "$base" --imatrix im.dat

# ---- any file ------------------------------------------------------------------------------------
workspace any
lua5.4 "$e2e/runs.lua" "$golden/quant/allarch/index.json" . >list
# Every architecture has a table whose tensors and bytes are those of plain inspect.
for f in *.gguf; do
    types "$f" --json=types.json
    "$VBUILD" inspect --json "$f" >plain.json
    sed -n 's/.*"total"//p' plain.json >total.json
    [ "$code $(report bytes types.json) $(grep -c '"role":' types.json)" = \
        "0 $(report bytes total.json) $(grep -c '"offset":' plain.json)" ] || echo "$f"
done >bad
same every_architecture_has_a_table "89 0" "$(find . -name '[0-9]*.gguf' | wc -l) $(wc -l <bad)"
# A model of experts, of no table here: by its own names and rows.
cp "$(grep -l qwen2moe ./[0-9]*.gguf | head -n 1)" moe.gguf
echo 'return { x = gguf { quantize { source "moe.gguf", "Q8_0" } } }' >build.lua
vb
echo 'return { f32 = gguf { cast { source "outputs/x.gguf", to = "f32" } } }' >f32.lua
vb f32.lua
settle
types outputs/x.gguf --against moe.gguf --json=q.json
same an_unknown_architecture_is_measured "0 0" "$code $(grep -c '"error":null' q.json)"
ok expert_roles_come_from_names grep -qF '"role":"ffn_down_exps"' q.json
types outputs/f32.gguf --against moe.gguf --json=f.json
sed -n 's/.*"name":"\([^"]*\)".*\("rmse":[^,]*\),.*/\1 \2/p' q.json | sort >q
sed -n 's/.*"name":"\([^"]*\)".*\("rmse":[^,]*\),.*/\1 \2/p' f.json | sort >f
ok its_dequantized_twin_has_the_same_errors diff q f
ok its_matrices_have_an_error test "$(grep -vc '"rmse":0$' q)" -gt 10

ln -s "$golden/quant/model/src.gguf" src.gguf
lua5.4 "$e2e/gsplit.lua" src.gguf split 5
first=$(find . -name 'split-00001-of-*')
types "$first" --json=split.json
types src.gguf --json=whole.json
sed 's/"path":"[^"]*"//' split.json >split
sed 's/"path":"[^"]*"//' whole.json >whole
ok a_split_file_has_the_table_of_the_whole diff split whole
types "$first" --against src.gguf --json=split.json
same a_split_file_is_measured "0 0" "$code $(grep -c '"error":null' split.json)"
ok a_split_file_is_the_whole grep -qF '"rmse":0,"relative":0,"max_abs":0,"not_finite":0}' split.json

echo "local m = source '$base'
return { part = gguf { quantize { slice(m, 0, 2), default = 'q8_0' } } }" >part.lua
vb part.lua
types outputs/part.gguf --against "$base"
same a_part_is_measured 0 "$code"
ok what_only_the_source_has_is_said grep -qF "only in $base: 18 tensors" "$scratch/out"
types "$base" --against outputs/part.gguf
ok what_only_the_file_has_is_said grep -qF "only in $base: 18 tensors" "$scratch/out"
# Biases of q and k are permuted too, one value a row (a head of 32 rows: 2 of q, 1 of k).
cat >bias.lua <<'EOF'
local m = synthetic { config = {
  architectures = { "LlamaForCausalLM" }, hidden_size = 64, intermediate_size = 64,
  num_hidden_layers = 2, num_attention_heads = 2, num_key_value_heads = 1, head_dim = 32,
  vocab_size = 512, rms_norm_eps = 1e-5, max_position_embeddings = 64, torch_dtype = "bfloat16",
  attention_bias = true,
} }
return { biased = safetensors { m } }
EOF
vb bias.lua
cp "$base"/tokenizer* outputs/biased
echo 'return { bias = gguf { source "outputs/biased" } }' >to_gguf.lua
lua5.4 - outputs/biased/model.safetensors <<'EOF'
local file = assert(io.open(arg[1], "r+b"))
local size = string.unpack("<I8", file:read(8))
local header = file:read(size)
for at, last in header:gmatch('[qk]_proj%.bias"[^}]-"data_offsets":%[(%d+),(%d+)%]') do
  file:seek("set", 8 + size + at)
  for i = 0, (last - at) // 2 - 1 do file:write(string.pack("<f", i + 1):sub(3)) end
end
file:close()
EOF
vb to_gguf.lua
cat >permuted.lua <<'EOF'
package.path = arg[1] .. "/?.lua;" .. package.path
local all, seen = require("tensors").open "outputs/bias.gguf", 0
for name, t in pairs(all) do
  if name:find "attn_[qk]%.bias" then
    for row = 0, #t.data // 4 - 1 do
      local head, k = row // 32 * 32, row % 32
      assert(string.unpack("<f", t.data, 4 * row + 1) == head + k % 2 * 16 + k // 2 + 1, name)
      seen = seen + 1
    end
  end
end
assert(seen == 2 * (64 + 32))
EOF
ok biases_are_permuted_as_their_rows lua5.4 permuted.lua "$e2e"
types outputs/bias.gguf --against outputs/biased
ok permuted_biases_have_no_error grep -qE '^attn_q.bias .* 0 +0\.000% +0  0-1$' "$scratch/out"
all=$golden/gguf/valid/v3_all_tensor_types.gguf
types "$all" --against "$all"
ok types_that_nobody_decodes_are_said grep -qF "11 tensors cannot be measured" "$scratch/out"
ok they_have_no_error grep -qE '^t +iq1_s +1 +1\.562 +50 +- +- +- ' "$scratch/out"

lua5.4 - <<'EOF'
local header = '{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}'
for name, v in pairs { a = { 1, 0 / 0, 3 }, b = { 1.5, 2, 1 / 0 } } do
  local file = assert(io.open(name .. ".safetensors", "wb"))
  file:write(string.pack("<s8", header), string.pack("<fff", v[1], v[2], v[3]))
  file:close()
end
EOF
types b.safetensors --against a.safetensors --json=nan.json
same values_that_are_not_finite_are_counted "0 2" "$code $(report not_finite nan.json)"
ok they_are_in_no_error grep -qF '"rmse":0.5,"relative":0.5,"max_abs":0.5,"max_at":0,' nan.json

# ---- refused -------------------------------------------------------------------------------------
refused another_model "its shape is [512, 256], that of its source [768, 512]" outputs/part.gguf \
    --against "$models/nano-qwen2"
ok another_model.both_are_named grep -qF \
    "outputs/part.gguf: $models/nano-qwen2 is not what it was made of: token_embd.weight" \
    "$scratch/err"
refused nothing_in_common "have no tensor in common" moe.gguf --against "$base"
refused no_file "needs one file or folder"
refused a_missing_file "nowhere" nowhere
refused a_missing_source "nowhere" src.gguf --against nowhere
refused a_missing_imatrix "nowhere" src.gguf --against src.gguf --imatrix nowhere
refused an_imatrix_without_a_source "name the source" src.gguf --imatrix nowhere
refused an_imatrix_that_is_none "config.json" src.gguf --against src.gguf --imatrix \
    "$base/config.json"
"$VBUILD" inspect --types src.gguf moe.gguf >"$scratch/out" 2>"$scratch/err"
same two_files 2 $?
"$VBUILD" inspect src.gguf --against src.gguf >"$scratch/out" 2>"$scratch/err"
same against_without_types 2 $?
"$VBUILD" plan --types >"$scratch/out" 2>"$scratch/err"
same types_is_of_inspect 2 $?
for f in "$golden"/safetensors/*.safetensors "$golden"/malformed/safetensors/* \
    "$golden"/gguf/bad/*; do
    types "$f" --against "$f"
    [ "$code" = 0 ] || [ "$code" = 2 ] || echo "$f: $code"
    LC_ALL=C tr -d '\n\040-\176\200-\377' <"$scratch/out"
done >bad
same strangers_files_are_shown_or_refused 0 "$(wc -c <bad)"
finish
