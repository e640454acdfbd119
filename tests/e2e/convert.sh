#!/bin/sh
# convert.sh - Hugging Face folders to GGUF and back, against convert_hf_to_gguf's own files
#
# tests/golden/convert holds the folders and the files; tests/e2e/tensors.lua reads both formats
# on its own, so that a mistake in vbuild's readers cannot hide one in its writers.
. tests/e2e/lib.sh
golden=$root/tests/golden/convert
other=$root/tests/golden/gguf
e2e=$root/tests/e2e
tab=$(printf '\t')

same_tensors() { lua5.4 "$e2e/same.lua" "$@"; }

workspace convert
ln -s "$golden" golden
ln -s "$other" gguf
lua5.4 "$e2e/cases.lua" convert "$golden/index.json" >cases

# ---- every golden, byte for byte --------------------------------------------------------------
{
    echo 'local out = {}'
    while IFS=$tab read -r case dir type rest; do
        echo "out['$case.$type'] = gguf {"
        echo "  source 'golden/$case/$dir', outtype = '$type', name = '$case.$type' }"
    done <cases
    echo 'return out'
} >all.lua
vb plan all.lua
same plan_of_the_goldens 0 "$code"
cp "$scratch/json" plan.json
vb all.lua
same goldens_are_converted 0 "$code"
while IFS=$tab read -r case dir type sha bytes; do
    same "$case.$type.sha256" "$sha" "$(sha256sum "outputs/$case.$type.gguf" | cut -d' ' -f1)"
    ok "$case.$type.plan_told_its_bytes" \
        grep -q "\"path\":\"outputs/$case.$type.gguf\",\"bytes\":$bytes," plan.json
done <cases
ok rows_that_blocks_do_not_divide_are_said \
    grep -F "rows of 80 do not divide into blocks of 32" "$scratch/err"
vb all.lua
same converting_again_runs_nothing "0 0" "$(of run) $(of written_bytes)"

# Without outtype, `auto` decides, which is the source's own type.
cat >auto.lua <<'EOF'
return { x = gguf { source "golden/llama3-bpe/Acme-Llama-3-0.2M-Instruct", name = "auto" } }
EOF
vb auto.lua
ok auto_is_the_default cmp "golden/llama3-bpe/llama3-bpe.bf16.gguf" outputs/auto.gguf

# ---- GGUF to GGUF: the file comes back, of any architecture ------------------------------------
{
    echo 'local out = {}'
    for file in golden/*/*.gguf gguf/other/*.gguf gguf/valid/v*.gguf; do
        name=again-$(basename "$file" .gguf)
        echo "out['$name'] = gguf { source '$file', name = '$name' }"
    done
    echo 'return out'
} >again.lua
vb again.lua
same gguf_files_are_written_again 0 "$code"
same nothing_runs_for_it 0 "$(of run)"
for file in golden/*/*.gguf gguf/other/*.gguf gguf/valid/v*.gguf; do
    name=again-$(basename "$file" .gguf)
    case $file in
    # of version 2, not padded at the end, or padded with other bytes than zeros: not canonical
    */v2_* | */v3_empty* | */v3_all_arrays* | */v3_all_scalars* | */v3_no_final_pad* | \
        */v3_nonutf8* | */v3_nonzero_padding* | */v3_trailing_bytes*) ;;
    *) ok "$name.is_the_file" cmp "$file" "outputs/$name.gguf" ;;
    esac
done
mv outputs first
{
    echo 'local out = {}'
    for file in first/again-v*.gguf; do
        name=$(basename "$file" .gguf)
        echo "out['$name'] = gguf { source '$file', name = '$name' }"
    done
    echo 'return out'
} >twice.lua
vb twice.lua
for file in first/again-v*.gguf; do
    name=$(basename "$file" .gguf)
    ok "$name.of_itself_is_itself" cmp "$file" "outputs/$name.gguf"
done

# refused NAME TEXT: a recipe on standard input is refused while planning, saying TEXT
refused() {
    cat >refused.lua
    vb refused.lua
    same "$1.code" 2 "$code"
    ok "$1.message" grep -F -e "$2" "$scratch/err"
}
for word in 'slice(m, 0, 1)' 'stack { m }' 'graft { m, ffn = m }' 'merge.linear { m, weight = 1 }'; do
    refused "${word%%[ (]*}_of_a_gguf_without_table" \
        "needs the structure of 'gpt2-bpe.f16.gguf': the architecture 'gpt2'" <<EOF
local m = source "gguf/other/gpt2-bpe.f16.gguf"
return { x = gguf { $word } }
EOF
done
refused folder_of_a_gguf_without_table \
    "safetensors needs the structure of 'gpt2-bpe.f16.gguf'" <<'EOF'
return { x = safetensors { source "gguf/other/gpt2-bpe.f16.gguf" } }
EOF
refused experts_in_a_llama_file "is not one of the architecture 'llama'" <<'EOF'
return { x = gguf { slice(source "gguf/other/mixtral-spm.bf16.gguf", 0, 1) } }
EOF
refused a_file_without_layers "needs the structure of 'v3_one_tensor.gguf'" <<'EOF'
return { x = gguf { slice(source "gguf/valid/v3_one_tensor.gguf", 0, 1) } }
EOF

# ---- there and back ----------------------------------------------------------------------------
# The tokenizer of a GGUF file does not come back: the source's own files are laid beside.
cat >back.lua <<'EOF'
local out = {}
local function back(case, dir, types)
  for _, type in ipairs(types) do
    local name = case .. "." .. type
    local file = "first/" .. name .. ".gguf"
    out[name] = safetensors { source(file), name = name }
    if type == "bf16" then
      local whole = cast { source(file), to = "bf16" }
      out[name .. ".cast"] = safetensors { whole, name = name .. ".cast" }
    end
  end
end
back("llama3-bpe", "Acme-Llama-3-0.2M-Instruct", { "bf16", "f16" })
back("llama2-spm-kq", "tiny-llama2-spm", { "f16" })
back("llama2-hfvocab", "Llama-HFvocab-tiny", { "f16" })
back("mistral-nemo", "Tiny-Nemo-Base-2407", { "bf16" })
back("mistral-nemo-sharded", "Tiny-Nemo-Base-2407", { "bf16" })
back("qwen2-bpe-kq", "Qwen2.5-0.6M-Tiny", { "bf16" })
back("qwen3-bpe", "Qwen3-0.2M-Tiny", { "bf16" })
back("qwen2-yarn", "Qwen2-0.2M-yarn-128k", { "f16" })
out.full = gguf {
  source "golden/llama3-bpe/Acme-Llama-3-0.2M-Instruct", outtype = "f32", name = "llama3-bpe.f32",
}
return out
EOF
vb back.lua
same folders_of_gguf_files 0 "$code"
ok lost_tokenizers_are_said grep -F "the tokenizer of a GGUF file is not written" "$scratch/err"
ok lost_rope_factors_are_said grep -F "rope_freqs.weight" "$scratch/err"
mv outputs folders
cat >full.lua <<'EOF'
return { x = safetensors { source "folders/llama3-bpe.f32.gguf", name = "llama3-bpe.f32" } }
EOF
vb full.lua
mv outputs/llama3-bpe.f32 folders/
{
    echo 'local out = {}'
    for folder in folders/*.bf16 folders/*.f16 folders/*.f32; do
        name=${folder#*/}
        cp golden/"${name%.*}"/*/tokenizer* "$folder"
        echo "out['$name'] = gguf { source '$folder', outtype = '${name##*.}', name = '$name' }"
    done
    echo 'return out'
} >forth.lua
vb forth.lua
same gguf_files_of_those_folders 0 "$code"
# llama3's rope factors are a tensor in GGUF, and config in a folder: that of the folder is lost
for folder in folders/*.bf16 folders/*.f16; do
    name=${folder#*/}
    ok "$name.gguf_folder_gguf_has_the_same_tensors" \
        same_tensors "golden/${name%.*}/$name.gguf" "outputs/$name.gguf" except '^rope_freqs'
done
ok llama3-bpe.f32.gguf_folder_gguf_has_the_same_tensors same_tensors \
    folders/llama3-bpe.f32.gguf outputs/llama3-bpe.f32.gguf except '^rope_freqs'
for folder in folders/*.bf16.cast; do
    name=${folder#*/}
    ok "${name%.bf16.cast}.folder_gguf_folder_has_the_same_tensors" \
        same_tensors golden/"${name%.bf16.cast}"/*/ "$folder"
done

# ---- the same model said otherwise --------------------------------------------------------------
cp -R golden/llama3-bpe/Acme-Llama-3-0.2M-Instruct renamed
cp -R golden/llama3-bpe/Acme-Llama-3-0.2M-Instruct split
cp -R golden/llama3-bpe/Acme-Llama-3-0.2M-Instruct shuffled
cp -R golden/llama3-bpe/Acme-Llama-3-0.2M-Instruct shuffled-config
chmod -R u+w renamed split shuffled shuffled-config
lua5.4 "$e2e/split.lua" split 3
for file in config.json generation_config.json tokenizer_config.json tokenizer.json; do
    lua5.4 "$e2e/shuffle.lua" "shuffled/$file"
done
# Keys of config.json alone: everything but the name is the golden's, in a folder of its name.
mkdir apart
mv shuffled-config apart/Acme-Llama-3-0.2M-Instruct
lua5.4 "$e2e/shuffle.lua" apart/Acme-Llama-3-0.2M-Instruct/config.json
cat >shards.lua <<'EOF'
local m = source "golden/llama3-bpe/Acme-Llama-3-0.2M-Instruct"
return { shards = safetensors { m, shard = "50KB", name = "shards" } }
EOF
vb shards.lua
same resharding_is_all_aliases "0 21" "$(of run) $(of alias)"
ok shards_have_an_index test -f outputs/shards/model.safetensors.index.json
ok shards_hold_the_same_tensors \
    same_tensors golden/llama3-bpe/Acme-Llama-3-0.2M-Instruct outputs/shards
for file in outputs/shards/model-*.safetensors; do
    ok "$(basename "$file").is_no_larger_than_asked" test "$(wc -c <"$file")" -lt 52000
done
mv outputs/shards shards
for way in renamed split shards shuffled; do
    echo "return { x = gguf { source '$way', outtype = 'bf16', name = '$way' } }" >way.lua
    vb way.lua
    same "$way.builds" 0 "$code"
    same "$way.runs_nothing" 0 "$(of run)"
    ok "$way.has_the_same_tensors" same_tensors golden/llama3-bpe/llama3-bpe.bf16.gguf \
        "outputs/$way.gguf"
done
ok renamed_keeps_the_order lua5.4 "$e2e/order.lua" same golden/llama3-bpe/llama3-bpe.bf16.gguf \
    outputs/renamed.gguf
ok split_has_another_order lua5.4 "$e2e/order.lua" other golden/llama3-bpe/llama3-bpe.bf16.gguf \
    outputs/split.gguf
for way in renamed split; do # a folder that vbuild wrote has no README, hence no license key
    ok "$way.has_the_same_keys" lua5.4 "$e2e/order.lua" keys \
        golden/llama3-bpe/llama3-bpe.bf16.gguf "outputs/$way.gguf" general.name general.basename \
        general.size_label general.finetune general.version
done
echo 'return { x = gguf { source "apart/Acme-Llama-3-0.2M-Instruct", outtype = "bf16" } }' >way.lua
vb way.lua
ok order_of_config_keys_does_not_matter cmp golden/llama3-bpe/llama3-bpe.bf16.gguf outputs/x.gguf

# ---- types: from the folder or from its GGUF file, the same blocks ------------------------------
cat >bf16.lua <<'EOF'
local m = cast { source "golden/llama2-spm-kq/tiny-llama2-spm", to = "bf16" }
return { folder = safetensors { m, name = "folder" }, file = gguf { m, name = "file" } }
EOF
vb bf16.lua
same a_bf16_llama_as_folder_and_file 0 "$code"
mv outputs/folder outputs/file.gguf .
cat >types.lua <<'EOF'
local mixed = types {
  embed = "q8_0", attn_q = "q4_k", attn_k = "q6_k", attn_v = "q5_k", attn_output = "q4_0",
  ffn_gate = "q3_k", ffn_up = "q4_k", ffn_down = edges("q5_k", "q6_k"),
}
local out = {}
for name, m in pairs { folder = source "folder", file = source "file.gguf" } do
  out[name] = gguf { quantize { m, mixed }, name = "types-" .. name }
  local one = quantize { m, default = "q4_k", attn_output = "q8_0" }
  out[name .. "-one"] = gguf { one, name = "one-" .. name }
end
return out
EOF
vb types.lua folder
same types_of_a_folder 0 "$code"
vb types.lua file
same only_the_permuted_rows_of_q_and_k_are_other_tensors "2 6 3" "$(of run) $(of hit) $(of alias)"
vb types.lua
same types_of_folder_and_file 0 "$code"
ok types_of_folder_and_file_have_the_same_tensors \
    same_tensors outputs/types-folder.gguf outputs/types-file.gguf
ok one_type_of_folder_and_file_has_the_same_tensors \
    same_tensors outputs/one-folder.gguf outputs/one-file.gguf
ok types_of_folder_and_file_have_the_same_order lua5.4 "$e2e/order.lua" same \
    outputs/types-folder.gguf outputs/types-file.gguf
vb types.lua
same types_again_run_nothing 0 "$(of run)"
refused a_quantized_source "q4_k" <<'EOF'
return { x = gguf { quantize { source "outputs/one-file.gguf", default = "q6_k" } } }
EOF
finish
