#!/bin/sh
# adopt.sh - what a killed merge had finished in its temporary is taken over, once it is checked
#
# Merged tensors are not kept in the store (only small ones are): their bytes are in the artifact,
# and after a kill in its temporary. The next build adopts it: what hashes to the recorded digest
# stays, everything else is made again.
. tests/e2e/lib.sh

workspace adopt
cat >build.lua <<'END'
local config = {
  architectures = { "LlamaForCausalLM" }, model_type = "llama", hidden_size = 256,
  num_hidden_layers = 6, intermediate_size = 768, num_attention_heads = 4, num_key_value_heads = 2,
  vocab_size = 1000, max_position_embeddings = 512, rms_norm_eps = 1e-5, rope_theta = 10000.0,
  torch_dtype = "bfloat16", hidden_act = "silu", tie_word_embeddings = false,
}
return {
  a = safetensors { synthetic { config = config, seed = 1 } },
  b = safetensors { synthetic { config = config, seed = 2 } },
}
END
cat >merge.lua <<'END'
return { m = safetensors { merge.slerp { source "src/a", source "src/b",
  t = tonumber(option("t", "0.3")) }, shard = option("shard", "4MB") } }
END
vb -o src
rm -rf cache
vb merge.lua
same the_merge_is_built 0 "$code"
all=$(of run)
wanted=$(digest outputs)
rm -rf src/*.manifest.json

# killed FAULT: a build that ends there, and what it left.
killed() {
    rm -rf outputs cache
    VBUILD_FAULT=$1 "$VBUILD_DEBUG" -q -j 2 merge.lua >/dev/null 2>&1
    [ ! -e outputs/m ] && [ "$(find outputs -name '*vbtmp*' | wc -l)" -ge 1 ]
}
temp() { find "$PWD/outputs" -maxdepth 1 -name '.m.vbtmp.*' | head -n 1; }
clean() { [ -z "$(find outputs -name '*vbtmp*')" ]; }

# Killed when all was written: the next build computes nothing.
ok killed_before_its_name killed artifact_rename:1
vb merge.lua
same a_finished_temporary_is_adopted "0 0 $wanted" "$code $(of run) $(digest outputs)"
ok an_adopted_temporary_leaves_nothing clean

# Killed half way: what the log knows is not run again.
ok killed_half_way killed action_record:30
finished=$(lua5.4 "$root/tests/e2e/records.lua" cache/log | grep -c action)
vb merge.lua
same half_a_temporary_is_adopted "0 $wanted" "$code $(digest outputs)"
ok what_was_finished_is_not_run_again [ "$(of run)" -le $((all - finished)) ]
ok something_was_finished [ "$finished" -ge 10 ]

# Bytes of strangers in the temporary: none of them may reach the result.
ok killed_to_be_damaged killed artifact_rename:1
for file in "$(temp)"/model-0*.safetensors; do
    for at in 9 5000 200000 3000001; do
        printf '\377\001' | dd of="$file" bs=1 seek=$at conv=notrunc 2>/dev/null
    done
done
echo stray >"$(temp)/stray.safetensors"
vb merge.lua
same a_damaged_temporary_gives_the_right_bytes "0 $wanted" "$code $(digest outputs)"
ok a_stray_file_is_not_taken_over [ ! -e outputs/m/stray.safetensors ]

# Another layout, another recipe, --force, a file where a folder was.
ok killed_before_another_layout killed artifact_rename:1
vb merge.lua -D shard=1GB
same another_layout_begins_anew 0 "$code"
one=$(digest outputs)
rm -rf outputs cache
vb merge.lua -D shard=1GB
same another_layout_has_its_bytes "$one" "$(digest outputs)"
ok killed_before_another_recipe killed artifact_rename:1
vb merge.lua -D t=0.6
same another_recipe_runs_its_own "0 $all" "$code $(of run)"
other=$(digest outputs)
rm -rf outputs cache
vb merge.lua -D t=0.6
same another_recipe_has_its_bytes "$other" "$(digest outputs)"
ok killed_before_force killed artifact_rename:1
vb merge.lua --force
same force_gives_the_right_bytes "0 $wanted" "$code $(digest outputs)"
ok force_adopts_nothing [ "$(of run)" -ge "$all" ]
ok killed_before_a_file_stands_there killed artifact_rename:1
temp=$(temp)
rm -rf "$temp"
echo x >"$temp"
vb merge.lua
same a_file_instead_of_the_folder "0 $wanted" "$code $(digest outputs)"

# Links in the temporary's place: what they lead to is not written.
ok killed_before_links_stand_there killed artifact_rename:1
temp=$(temp)
echo precious >victim
cp victim second
rm "$temp/model-00001-of-00003.safetensors" "$temp/config.json"
ln -s "$PWD/victim" "$temp/model-00001-of-00003.safetensors"
ln second "$temp/config.json"
vb merge.lua
same links_in_a_temporary_are_replaced "0 $wanted" "$code $(digest outputs)"
ok what_they_lead_to_is_untouched [ "$(cat victim second)" = "precious
precious" ]

ok killed_before_a_linked_folder killed artifact_rename:1
temp=$(temp)
mkdir elsewhere
echo mine >elsewhere/mine.txt
rm -rf "$temp"
ln -s "$PWD/elsewhere" "$temp"
vb merge.lua
same a_linked_folder_is_not_adopted "0 $wanted mine" "$code $(digest outputs) $(cat elsewhere/*)"

# A temporary of a process that lives is not touched.
ok killed_beside_the_living killed artifact_rename:1
mv "$(temp)" "outputs/.m.vbtmp.$$"
vb merge.lua
same a_living_temporary_is_left "0 $wanted" "$code $(rm -rf "outputs/.m.vbtmp.$$"; digest outputs)"
finish
