#!/bin/sh
# snapshot.sh - a build with nothing to do runs no recipe, and still misses no change
#
# A snapshot counts only when its inputs are older than the file systems' coarsest clock, so each
# case waits for that margin once and then makes one change. After each, the ordinary build must
# have run (its end line has no "snapshot"), and right after that the snapshot must serve again.
. tests/e2e/lib.sh
here=$root/tests/e2e
margin() { sleep 2.1; }
served() { grep -c '"e":"end".*"snapshot":true' "$scratch/json"; }
# plain: the JSON lines of the last vb without times, memory and the field that differs
plain() {
    sed -e 's/"t":[0-9]*,//' -e 's/"snapshot":true,//' \
        -e 's/"\(wall_ms\|cpu_ms\|peak_rss_bytes\)":[0-9]*/"\1":0/g' "$scratch/json"
}
said() { sed 's/([0-9.:]* s)$//' "$scratch/out" "$scratch/err"; }

# settle ARGUMENTS...: until a snapshot serves (a change of a moment ago has to age first)
settle() {
    vb "$@"
    margin
    vb "$@"
    vb "$@"
    [ "$(served)" = 1 ]
}
# seen NAME RUN ARGUMENTS...: the build evaluates; RUN nodes run ("some": any number above 0)
seen() {
    name=$1 want=$2
    shift 2
    vb "$@"
    ran=$(of run)
    [ "$want" = some ] && [ "$ran" -gt 0 ] && ran=some
    same "$name" "0 0 $want" "$(served) $code $ran"
}

workspace snapshot
cp -R "$root/tests/models/nano-llama-base" model
mkdir lib
echo 'return { type = "q8_0" }' >lib/bits.lua
cat >r.lua <<'END'
local bits = require "lib.bits"
local m = source "model"
print("hello")
return {
  small = gguf { quantize { m, default = option("type", bits.type) }, name = "small" },
  folder = safetensors { m, name = "folder" },
}
END
margin
vb r.lua
same the_first_build_runs "0 0" "$(served) $code"
vb r.lua
same the_second_build_is_served "1 0 0" "$(served) $code $(of run)"
plain >"$scratch/short"
said >"$scratch/short.said"
vb --no-snapshot r.lua
same a_flag_turns_it_off "0 0 0" "$(served) $code $(of run)"
plain >"$scratch/full"
said >"$scratch/full.said"
ok the_same_json cmp "$scratch/short" "$scratch/full"
ok the_same_words cmp "$scratch/short.said" "$scratch/full.said"
ok what_the_recipe_prints_is_said grep -qx hello "$scratch/short.said"
if command -v strace >/dev/null && strace -o "$scratch/trace" true 2>/dev/null; then
    ASAN_OPTIONS=detect_leaks=0 strace -f -o "$scratch/trace" "$VBUILD" -q r.lua
    ok the_recipe_is_not_opened sh -c "! grep -q 'open.*r\\.lua' '$scratch/trace'"
    ok nothing_is_written sh -c "! grep -Eq 'O_WRONLY|O_RDWR|O_CREAT|flock' '$scratch/trace'"
fi
vb -q r.lua
same served_in_silence "1 " "$(served) $(cat "$scratch/out" "$scratch/err")"
vb -C lib r.lua 2>/dev/null
same another_folder_another_recipe 2 "$code"
vb -C lib ../r.lua
same found_from_any_folder_of_the_workspace 0 "$code"

# ---- what asks for more than "nothing to do"
first=$(digest outputs)
seen force_runs some --force r.lua
seen verbose_evaluates 0 -v r.lua
seen explain_evaluates 0 --explain r.lua
seen durable_evaluates 0 --durable r.lua
vb plan r.lua
same plan_evaluates "0 planned" "$(served) $(of status)"
same forced_bytes_are_the_same "$first" "$(digest outputs)"

# ---- other words
ok settled settle r.lua
seen another_define some -D type=q4_0 r.lua
seen the_word_as_before 0 r.lua
vb -D type=q5_9 r.lua
same a_wrong_define_is_refused "0 2" "$(served) $code"
vb -D tpye=q4_0 r.lua
same an_unknown_define_is_refused "0 2" "$(served) $code"
seen one_variant 0 r.lua folder
seen another_output_folder 0 -o elsewhere r.lua
ok another_output_folder_is_filled [ -f elsewhere/small.gguf ]
seen another_cache some --cache other r.lua
ok settled_again settle r.lua

# ---- changes of what the recipe looks at
echo '-- a comment' >>r.lua
seen a_comment_in_the_recipe 0 r.lua
ok settled settle r.lua
sed -i 's/q8_0/q4_k/' lib/bits.lua
seen a_module_of_the_recipe some r.lua
ok settled settle r.lua
mkdir -p model/.spare && cp model/config.json model/.spare/
seen a_new_name_in_the_folder 0 r.lua
ok settled settle r.lua
touch model/model.safetensors
seen a_touched_source 0 r.lua
ok settled settle r.lua
touch -r model/model.safetensors "$scratch/then"
lua5.4 "$here/patch.lua" model/model.safetensors model.layers.0.mlp.up_proj.weight 101
touch -r "$scratch/then" model/model.safetensors
seen a_source_overwritten_with_its_time_put_back some r.lua
ok settled settle r.lua
sed -i 's/"rope_theta": *[0-9.]*/"rope_theta": 20000.0/' model/config.json
seen an_edited_config 0 r.lua
ok settled settle r.lua
echo '{ "temperature": 0.5 }' >model/generation_config.json
seen a_generation_config_that_appears 0 r.lua
ok it_is_in_the_folder_now [ -f outputs/folder/generation_config.json ]
ok settled settle r.lua
mv model/tokenizer.json "$scratch/tokenizer.json"
vb r.lua
same a_tokenizer_that_is_gone_is_no_secret 0 "$(served)"
mv "$scratch/tokenizer.json" model/
ok settled settle r.lua
mv model "$scratch/model"
vb r.lua
same a_source_that_is_gone_is_an_error "0 2" "$(served) $code"
mv "$scratch/model" model
echo 'return nil' >lib/bits.lua
vb r.lua
same an_error_is_said "0 2" "$(served) $code"
echo 'return { type = "q4_k" }' >lib/bits.lua
ok settled settle r.lua

# ---- changes of what was written
ok settled settle r.lua
whole=$(digest outputs)
rm outputs/small.gguf
seen a_deleted_artifact 0 r.lua
truncate -s -1 outputs/small.gguf
seen a_truncated_artifact 0 r.lua
cp outputs/small.gguf copy && mv copy outputs/small.gguf
seen a_replaced_artifact 0 r.lua
rm outputs/folder/config.json
seen a_file_missing_in_a_folder 0 r.lua
printf x | dd of=outputs/folder/model.safetensors bs=1 seek=5000 conv=notrunc 2>/dev/null
seen an_overwritten_artifact 0 r.lua
same all_of_it_is_back "$whole" "$(digest outputs)"

# ---- the cache
ok settled settle r.lua
for blob in cache/cas/*/*; do
    chmod u+w "$blob"
    lua5.4 "$here/bytes.lua" flip "$blob" -1
done
vb r.lua
same damaged_blobs_harm_no_artifact_that_stands "1 0 $whole" "$(served) $code $(digest outputs)"
log=$(stat -c %s cache/log)
lua5.4 "$here/bytes.lua" flip cache/log $((log / 2))
vb r.lua
same a_damaged_log_is_found "0 0" "$(served) $code"
ok settled settle r.lua
truncate -s -100 cache/log
vb r.lua
same a_cut_log_is_found "0 0" "$(served) $code"
ok settled settle r.lua
for last in cache/last/*; do lua5.4 "$here/bytes.lua" flip "$last" -1; done
seen a_damaged_snapshot_is_none 0 r.lua
vb r.lua
same the_next_one_serves 1 "$(served)"
echo 'vbuild-cache 2' >cache/FORMAT
vb r.lua
same a_newer_cache_is_refused "0 4" "$(served) $code"
echo 'vbuild-cache 1' >cache/FORMAT
vb r.lua
same a_cache_of_this_version_serves 1 "$(served)"
chmod -R u+w cache
rm -rf cache
seen a_deleted_cache some r.lua
same the_bytes_are_the_same "$whole" "$(digest outputs)"

# ---- another program: its rules may differ
ok settled settle r.lua
cp "$VBUILD" "$scratch/vbuild"
"$scratch/vbuild" --json="$scratch/json" r.lua >/dev/null 2>&1
same another_program_evaluates 0 "$(served)"

# ---- models of the hub: where they lie and what a name means may change
hub=$scratch/hub/models--org--name
a=0000000000000000000000000000000000000001 b=0000000000000000000000000000000000000002
mkdir -p "$hub/refs" "$hub/snapshots"
cp -R model "$hub/snapshots/$a"
cp -R "$root/tests/models/nano-llama-prose" "$hub/snapshots/$b"
printf %s $a >"$hub/refs/main"
echo 'return { hub = gguf { quantize { source "hf://org/name", default = "q8_0" } } }' >hub.lua
HF_HUB_CACHE=$scratch/hub
export HF_HUB_CACHE
ok settled settle hub.lua
printf %s $b >"$hub/refs/main"
seen a_name_that_means_another_commit some hub.lua
ok settled settle hub.lua
HF_HUB_CACHE=$scratch/nowhere
vb hub.lua
same another_hub_folder "0 2" "$(served) $code"
finish
