#!/bin/sh
# variants.sh - ladders: one model in many quantizations reads and decodes each tensor once, makes
# each (tensor, type) once, and is the table of artifacts that gguf { quantize { ... } } makes
. tests/e2e/lib.sh
model=$root/tests/models/nano-llama-base
ladder='"Q2_K", "Q3_K_M", "Q4_0", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0", "IQ4_XS"'

# tensors FILE...: "NAME TYPE" of each tensor, each pair once
tensors() {
    for file in "$@"; do "$VBUILD" inspect "$file"; done |
        awk '$2 != "=" && $3 ~ /^\[/ { print $1, $2 }' | sort -u
}

# ---- one pass ------------------------------------------------------------------------------------
workspace ladder
echo "local m = source '$model'
return variants { m, name = 'nano-{variant}', types = { $ladder } }" >build.lua
echo "return { source = gguf { source '$model' } }" >source.lua
vb -o . source.lua
size=$(stat -L -c %s "$model/model.safetensors")
vb plan
planned=$(of nodes)
vb --cache fresh
same a_ladder_builds 0 "$code"
same ten_files 10 "$(find outputs -name 'nano-*.gguf' | wc -l)"
ok the_source_is_read_once [ "$(of read_bytes)" -le $((size + size / 50)) ]
ok and_all_of_it [ "$(of read_bytes)" -ge $((size - size / 50)) ]
pairs=$(tensors outputs/*.gguf | wc -l)
same a_node_is_a_tensor_in_a_type "$pairs $pairs" "$(of nodes) $planned"
same none_is_known_before 0 "$(of cutoff)"
for mem in 1MiB 4MiB 1GiB; do
    for jobs in 1 3; do
        vb --cache "mem$mem.$jobs" --mem $mem -j $jobs -o small
        ok "read_once_with_$mem.$jobs" [ "$(of read_bytes)" -le $((size + size / 50)) ]
        same "nodes_with_$mem.$jobs" "$pairs" "$(of nodes)"
        for file in outputs/*.gguf; do
            cmp -s "$file" "small/${file#outputs/}" || echo "$file with $mem, -j $jobs"
        done >differ
        ok "bytes_with_$mem.$jobs" [ ! -s differ ]
        chmod -R u+w "mem$mem.$jobs"
        rm -rf "mem$mem.$jobs" small
    done
done
vb --cache fresh
same again_runs_nothing "0 0 0" "$code $(of run) $(of read_bytes)"
vb --cache fresh --no-snapshot
same without_a_snapshot_too "0 0 0" "$code $(of run) $(of read_bytes)"

# One more of the ladder runs only what it alone has; a variant alone is the same file.
sed -i 's/"Q2_K", /"Q2_K", "Q5_0", /' build.lua
vb --cache fresh
more=$(tensors outputs/*.gguf | wc -l)
same one_more_runs_its_own_tensors "0 $((more - pairs))" "$code $(of run)"
same the_others_are_kept 1 "$(grep -c '"written":true' "$scratch/json")"
vb --cache other -o alone Q4_K_M
same one_variant_is_one_file "0 1" "$code $(find alone -name '*.gguf' | wc -l)"
ok it_is_the_same_file cmp alone/nano-Q4_K_M.gguf outputs/nano-Q4_K_M.gguf

# From a GGUF file, of which every tensor is read, too.
sed -i "s|source '.*'|source 'source.gguf'|" build.lua
size=$(stat -c %s source.gguf)
vb --cache gguf -o gguf
ok a_gguf_source_is_read_once [ "$(of read_bytes)" -le $((size + size / 50)) ]
same its_nodes_are_as_many "$more" "$(of nodes)"

# ---- what it stands for --------------------------------------------------------------------------
workspace words
ln -s "$root/tests/golden/quant/model/src.gguf" src.gguf
ln -s "$root/tests/golden/imatrix/model.dat" im.dat
cat >lib.lua <<'END'
return { types = { "Q4_K_M", mine = { "Q4_K_M", attn_v = "q8_0", output = "q4_k" } } }
END
cat >build.lua <<'END'
local m = source "src.gguf"
local lib = require "lib"
local out = { -- as an entry, named by its key
  S = variants { m, types = { "Q4_K_M" } }.Q4_K_M,
}
local ladder = variants { m, name = "im-{variant}.gguf", imatrix = "im.dat", title = "ladder",
  ffn_up = "q6_k", types = {
    "Q4_K_M", "q5_k_m",
    own = { "Q4_K_M", ffn_up = "q3_k", imatrix = { "im.dat", exclude = { "ffn" } } },
    text = "Q6_K", words = types { default = "q5_k" }, role = { attn = "q8_0", default = "q4_k" },
    pure = { "Q5_K_M", pure = true },
  } }
for name, artifact in pairs(ladder) do out[name] = artifact end
for name, artifact in pairs(variants { m, name = "%1{variant}%", types = lib.types }) do
  out["lib-" .. name] = artifact
end
return out
END
cat >long.lua <<'END'
local m = source "src.gguf"
local function im(name, args)
  args[1], args.imatrix = m, args.imatrix or "im.dat"
  return gguf { quantize(args), title = "ladder", name = "im-" .. name }
end
return {
  S = gguf { quantize { m, "Q4_K_M" } },
  Q4_K_M = im("Q4_K_M", { m, "Q4_K_M", ffn_up = "q6_k" }),
  q5_k_m = im("q5_k_m", { m, "Q5_K_M", ffn_up = "q6_k" }),
  own = im("own", { m, "Q4_K_M", ffn_up = "q3_k", imatrix = { "im.dat", exclude = { "ffn" } } }),
  text = im("text", { m, "Q6_K", ffn_up = "q6_k" }),
  words = im("words", { m, types { default = "q5_k" }, ffn_up = "q6_k" }),
  role = im("role", { m, attn = "q8_0", default = "q4_k", ffn_up = "q6_k" }),
  pure = im("pure", { m, "Q5_K_M", pure = true, ffn_up = "q6_k" }),
  ["lib-Q4_K_M"] = gguf { quantize { m, "Q4_K_M" }, name = "%1Q4_K_M%" },
  ["lib-mine"] = gguf { quantize { m, "Q4_K_M", attn_v = "q8_0", output = "q4_k" },
    name = "%1mine%" },
}
END
vb
same variants_build 0 "$code"
files=$(find outputs -name '*.gguf' | wc -l)
vb -o long long.lua
same the_long_form_makes_the_same "0 0 10 10" \
    "$code $(of run) $files $(find long -name '*.gguf' | wc -l)"
for file in long/*.gguf; do ok "${file#long/}.is_the_same" cmp "$file" "outputs/${file#long/}"; done
ok the_files_differ sh -c '! cmp -s outputs/im-own.gguf outputs/im-Q4_K_M.gguf'

# A split source keeps its shards in each of them.
lua5.4 "$root/tests/e2e/gsplit.lua" src.gguf split 5
echo 'return variants { source "split-00001-of-00005.gguf", keep_split = true, name = "k-{variant}",
  types = { "Q8_0", "Q4_K_M" } }' >split.lua
vb split.lua
same shards_of_each "0 10" "$code $(find outputs -name 'k-*-of-00005.gguf' | wc -l)"

# ---- refused -------------------------------------------------------------------------------------
rm -rf outputs
# refused NAME ARGUMENTS TEXT...: variants { m, ARGUMENTS } is exit 2 at its line
refused() {
    case_=$1
    echo "local m = source 'src.gguf'
return variants { $2 }" >refused.lua
    vb refused.lua
    same "$case_" "2 no" "$code $([ -e outputs ] && echo yes || echo no)"
    shift 2
    for text in "refused.lua:2:" "$@"; do
        ok "$case_.says_$text" grep -qF -e "$text" "$scratch/err"
    done
}
refused no_types "m" "needs 'types'"
refused empty_types "m, types = {}" "empty"
refused no_table "m, types = 'Q4_K_M'" "'Q4_K_M'" "expected a table"
refused no_model "types = { 'Q4_K_M' }" "one model"
refused two_models "m, m, types = { 'Q4_K_M' }" "one model, not 2"
refused a_preset_outside "m, 'Q4_K_M', types = { 'Q6_K' }" "'types'"
refused an_item_without_a_name "m, types = { types { default = 'q4_k' } }" "NAME = "
refused a_number "m, types = { 5 }" "number 5"
refused a_hole "m, types = { 'Q6_K', [3] = 'Q8_0' }" "number 3"
refused a_name_twice "m, types = { 'Q4_K_M', 'Q4_K_M' }" "'Q4_K_M'" "one name"
refused a_name_in_other_case "m, types = { 'Q4_K_M', q4_k_m = 'Q6_K' }" "q4_k_m" "one name"
refused an_unknown_preset "m, types = { 'Q4_K_MM' }" "unknown preset 'Q4_K_MM'" "Q4_K_M"
refused an_entry_of_no_use "m, types = { a = 5 }" "'a'" "number 5"
refused an_unknown_key "m, nmae = 'x', types = { 'Q6_K' }" "'nmae'" "'name'"
refused an_unknown_word "m, types = { a = { 'Q6_K', atn_v = 'q8_0' } }" "'atn_v'" "'attn_v'"
refused one_name_for_all "m, name = 'x', types = { 'Q6_K', 'Q8_0' }" "{variant}"
refused another_field "m, name = '{type}-{variant}', types = { 'Q6_K', 'Q8_0' }" "{type}"
refused a_name_with_a_folder "m, name = 'x/{variant}', types = { 'Q6_K', 'Q8_0' }" "no file name"
refused a_key_with_a_folder "m, types = { ['x/y'] = 'Q6_K' }" "no file name"
refused a_variant_that_is_not_there "m, types = { 'Q6_K' } }.Q8_0, { " "has no 'Q8_0'"
refused a_change "m, types = { 'Q6_K' } }, rawset and { " "undeclared"
echo "local v = variants { source 'src.gguf', types = { 'Q6_K' } }
v.more = 5
return v" >refused.lua
vb refused.lua
same the_table_is_frozen 2 "$code"
ok the_table_is_frozen_is_said grep -qF "refused.lua:2:" "$scratch/err"
finish
