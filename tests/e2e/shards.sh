#!/bin/sh
# shards.sh - keep_split: the shards of a split GGUF file stay its shards, as llama-quantize's
# --keep-split has them; a set of files is one artifact, whole or not there
#
# The hashes are llama-quantize's (tests/golden/quant/model/keepsplit.txt); gsplit.lua splits as
# llama-gguf-split does.
. tests/e2e/lib.sh
golden=$root/tests/golden
e2e=$root/tests/e2e

split() { lua5.4 "$e2e/gsplit.lua" "$@"; }
five() { for i in 1 2 3 4 5; do echo "$1-0000$i-of-00005.gguf"; done; } # the shards of tiny

# ---- whole files -------------------------------------------------------------------------------
workspace bytes
cat >sources.lua <<'END'
-- Thirteen layers: the order of names (1, 10, 11, 12, 2, ...) is not that of layers.
local long = synthetic { seed = 5, config = {
  model_type = "llama", architectures = { "LlamaForCausalLM" }, torch_dtype = "bfloat16",
  max_position_embeddings = 512, rms_norm_eps = 1e-5, hidden_act = "silu", bos_token_id = 0,
  eos_token_id = 0, vocab_size = 64, hidden_size = 256, intermediate_size = 256,
  num_hidden_layers = 13, num_attention_heads = 4, num_key_value_heads = 2, rope_theta = 10000.0,
  tie_word_embeddings = false,
} }
return { long = gguf { long }, sorted = gguf { quantize { long, "F16" } } }
END
vb -o . sources.lua
same sources_build 0 "$code"
ln -s "$golden/quant/model/src.gguf" tiny.gguf
ln -s "$golden/imatrix/model.dat" im_model.dat
split tiny.gguf tiny 5
split long.gguf long 40
split long.gguf empty 40 empty
split sorted.gguf sorted 40
cat >build.lua <<'END'
local tiny, long = source "tiny-00001-of-00005.gguf", source "long-00001-of-00003.gguf"
local sorted = source "sorted-00001-of-00003.gguf"
local function kept(m) return gguf { m, keep_split = true } end
return {
  ["tiny-Q4_K_M"] = kept(quantize { tiny, "Q4_K_M" }),
  ["tiny-copy"] = kept(quantize { tiny, "COPY" }),
  ["tiny-im"] = kept(quantize { tiny, "Q2_K_S", imatrix = "im_model.dat" }),
  ["long-Q4_K_M"] = kept(quantize { long, "Q4_K_M" }),
  ["long-Q5_K_M"] = kept(quantize { long, "Q5_K_M", output = "q8_0", token_embd = "q5_0" }),
  ["long-pruned"] = kept(quantize { long, "Q3_K_M", prune = { 0, 3 } }),
  ["empty-Q4_K_S"] = kept(quantize { source "empty-00001-of-00004.gguf", "Q4_K_S" }),
  -- nothing is left of the last shard, of all but the first
  ["sorted-pruned"] = kept(quantize { sorted, "Q4_K_M", prune = { 8, 9, 10, 11, 12 } }),
  ["sorted-first"] = kept(quantize { sorted, "Q4_0", prune = { 4, 5, 6, 7, 8, 9, 10, 11, 12 } }),
  -- a file that is not split keeps its order, as with that option
  whole = kept(quantize { source "long.gguf", "Q4_K_M", as = "llama-quantize" }),
}
END
vb plan
cp "$scratch/json" plan.json
vb
same kept_shards_build 0 "$code"
grep -v '^#' "$golden/quant/model/keepsplit.txt" >sums
ok the_sources_are_those_of_the_hashes sh -c "grep -v -e '-of-' sums | sha256sum -c --quiet"
cd outputs || exit 2
while read -r sha name; do
    [ -f "$name" ] && same "$name.sha256" "$sha" "$(sha256sum "$name" | cut -d' ' -f1)"
done <../sums
same there_are_these_shards_and_no_other "$(grep -c -e '-of-' ../sums)" \
    "$(find . -name '*.gguf' | wc -l)"
cd ..
bytes=$(cat outputs/tiny-Q4_K_M-*.gguf | wc -c)
said='"path":"outputs/tiny-Q4_K_M-00001-of-00005.gguf","bytes":'$bytes','
ok a_plan_tells_the_bytes_of_the_set grep -qF "$said" plan.json
ok the_account_tells_the_shards grep -q "$said.*\"shards\":5" "$scratch/json"
vb --no-snapshot
same shards_again_run_nothing "0 0" "$(of run) $(of written_bytes)"
vb
same shards_again_are_a_snapshot "0 true" "$code $(of snapshot)"
ok a_snapshot_tells_the_shards_too grep -q "$said.*\"shards\":5" "$scratch/json"

# What is read back is one model; what is not kept is one file, of llama-quantize's order.
cat >again.lua <<'END'
local tiny = source "tiny-00001-of-00005.gguf"
return {
  rewritten = gguf { tiny, keep_split = true },
  one = gguf { tiny },
  joined = gguf { quantize { tiny, "Q4_K_M" } },
  plain = gguf { quantize { source "tiny.gguf", "Q4_K_M" } },
  back = gguf { source "outputs/tiny-Q4_K_M-00001-of-00005.gguf" },
  kept = gguf { source "outputs/tiny-Q4_K_M-00001-of-00005.gguf", keep_split = true },
}
END
vb again.lua
same all_of_them_build 0 "$code"
for i in 1 2 3 4 5; do
    ok "unquantized_shard_$i_is_itself" cmp "tiny-0000$i-of-00005.gguf" \
        "outputs/rewritten-0000$i-of-00005.gguf"
    ok "quantized_shard_$i_is_itself" cmp "outputs/tiny-Q4_K_M-0000$i-of-00005.gguf" \
        "outputs/kept-0000$i-of-00005.gguf"
done
ok shards_join_to_the_file_before_the_split cmp tiny.gguf outputs/one.gguf
ok without_keep_split_there_is_one_file cmp outputs/joined.gguf outputs/plain.gguf
vb diff outputs/tiny-Q4_K_M-00001-of-00005.gguf outputs/joined.gguf
ok the_tensors_are_those_of_the_one_file grep -q '"tensors_differ":0,"only_a":\[\],"only_b":\[\]' \
    "$scratch/json"
"$VBUILD" inspect outputs/joined.gguf >keys
same one_file_has_no_split_keys 0 "$(grep -c 'split\.' keys)"

# ---- one artifact ------------------------------------------------------------------------------
workspace set
lua5.4 "$e2e/gsplit.lua" "$golden/quant/model/src.gguf" tiny 5
recipe() {
    echo "local m = source 'tiny-00001-of-00005.gguf'
return { x = gguf { quantize { m, '$1' }, keep_split = true } }" >build.lua
}
shards=$(five x)
digest() { (cd outputs && cat $shards | sha256sum); }
recipe Q5_K_S
vb
old=$(digest)
recipe Q4_K_M
vb
new=$(digest)
same five_shards_and_a_manifest 6 "$(find outputs -type f | wc -l)"

# again NAME: the next build has the bytes back without running a node
again() {
    vb
    same "$1" "0 0 $new" "$code $(of run) $(digest)"
}
rm outputs/x-00003-of-00005.gguf
again a_deleted_shard_comes_back
rm outputs/x-00001-of-00005.gguf
again the_first_shard_comes_back
printf x | dd of=outputs/x-00004-of-00005.gguf bs=1 seek=2000 conv=notrunc 2>/dev/null
again an_overwritten_shard_comes_back
truncate -s -1 outputs/x-00005-of-00005.gguf
again a_cut_shard_comes_back
chmod -R u+w cache
rm -rf cache
vb
same without_a_cache_the_bytes_are_the_same "0 $new" "$code $(digest)"
rm -rf outputs cache
vb --durable -j1 --mem 1MiB
same durable_and_small_memory_give_the_same "0 $new" "$code $(digest)"

rm -f outputs/x-00003-of-00005.gguf
mkdir outputs/x-00003-of-00005.gguf
rm outputs/x-00005-of-00005.gguf
before=$(sha256sum outputs/x-00001-of-00005.gguf)
vb
same a_folder_in_the_place_of_a_shard "1 $before" \
    "$code $(sha256sum outputs/x-00001-of-00005.gguf)"
ok it_is_named grep -q "x-00003-of-00005.gguf.*a folder stands" "$scratch/err"
same nothing_is_left_over 0 "$(find outputs -name '*vbtmp*' | wc -l)"
rmdir outputs/x-00003-of-00005.gguf
again it_is_built_when_the_folder_is_gone

# Killed between two renames: with the first shard the whole set is there, of one build.
if [ -x "$VBUILD_DEBUG" ]; then
    for n in 1 2 3 4 5; do
        recipe Q5_K_S
        vb
        same "before_kill_$n" "$old" "$(digest)"
        recipe Q4_K_M
        VBUILD_FAULT=artifact_swap:$n "$VBUILD_DEBUG" -q -j 1 >/dev/null 2>&1
        same "kill_$n_kills" 137 $?
        ok "after_kill_$n_no_first_shard_opens_a_mixture" \
            sh -c '! [ -e outputs/x-00001-of-00005.gguf ]'
        vb
        same "after_kill_$n_the_next_build_ends_well" "0 0 $new 0" \
            "$code $(of run) $(digest) $(find outputs -name '*vbtmp*' | wc -l)"
    done
fi

# ---- refused -------------------------------------------------------------------------------------
mv outputs kept
# refused NAME VALUE TEXT...: exit 2, saying every TEXT, and nothing is written
refused() {
    case_=$1
    echo "local m = source 'tiny-00001-of-00005.gguf'
local whole = source '$golden/quant/model/src.gguf'
local folder = source '$root/tests/models/nano-llama-base'
return { $2 }" >refused.lua
    vb refused.lua
    same "$case_" "2 no" "$code $([ -e outputs ] && echo yes || echo no)"
    shift 2
    for text in "refused.lua:4:" "$@"; do
        ok "$case_.says_$text" grep -qF -e "$text" "$scratch/err"
    done
}
refused a_file_that_is_not_split "x = gguf { whole, keep_split = true }" "keep_split" "src.gguf"
refused a_folder "x = gguf { folder, keep_split = true }" "keep_split" "nano-llama-base"
refused a_folder_under_llama_quantize "x = gguf { quantize { folder, 'Q8_0', \
as = 'llama-quantize' }, keep_split = true }" "keep_split"
refused layers_twice "x = gguf { stack { m, m }, keep_split = true }" "has no shard"
refused a_merge "x = gguf { merge.linear { m, whole, weight = 1 }, keep_split = true }" \
    "has no shard"
refused a_shard_that_loses_all "x = gguf { quantize { m, 'Q8_0', prune = { 0 } }, \
keep_split = true }" "of 5 would be empty"
refused two_of_one_name "x = gguf { m, keep_split = true }, \
y = gguf { whole, name = 'x-00004-of-00005' }" "two artifacts are named 'x-00004-of-00005.gguf'"
refused no_boolean "x = gguf { m, keep_split = 5 }" "true or false"
refused a_key_with_a_folder "['../x'] = gguf { m, keep_split = true }" "no file name"
refused a_limit "x = gguf { m, keep_split = true, limit = '100KB' }" "the limit is 100000"
finish
