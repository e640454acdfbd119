#!/bin/sh
# rebuild.sh - what runs again, why, and what plan says of it beforehand
. tests/e2e/lib.sh
here=$root/tests/e2e

# The log believes a stamp only when a clear margin lies between the file's last change and its
# hashing, since file systems' clocks are coarse.
margin() { sleep 2.1; }

# copies of the trained models, to be changed
models() {
    mkdir models
    for m in base prose python; do cp -R "$root/tests/models/nano-llama-$m" models/$m; done
}
patch() { # FOLDER TENSOR: change one byte of it
    lua5.4 "$here/patch.lua" "models/$1/model.safetensors" "$2" 101
}
counts() { # of the last vb
    echo "$code $(of status): $(of run) run, $(of hit) hit, $(of cutoff) cutoff, $(of alias) alias"
}
# nothing_runs NAME: the last build ran nothing, and the files are those of the first
nothing_runs() {
    same "$1" "0 0" "$code $(of run)"
    same "$1: same bytes" "$first" "$(digest outputs)"
}
# explains NAME TEXT: TEXT is a line of what the last vb printed
explains() {
    name=$1 text=$2
    ok "explain: $name" grep -qxF -e "$text" "$scratch/out"
}

workspace runs
models
cat >r.lua <<'END'
local base, prose, python = source "models/base", source "models/prose", source "models/python"

local blend = merge.slerp { base, prose,
  t = option("t", 0.3) }
local S = types { default = "q4_k", attn_v = option("v", "q6_k") }

return {
  S      = gguf { quantize { blend, S } },
  L      = gguf { quantize { graft { blend, organs = python, layers = span(1, 3) }, default = "q6_k" } },
  folder = safetensors { blend },
}
END
source_bytes=$("$VBUILD" inspect --json models/prose |
    sed -n 's/.*"total":{[^}]*"bytes":\([0-9]*\).*/\1/p')
margin

# ---- nothing changed
vb plan r.lua
planned="$(of run) $(of alias)"
vb r.lua
first=$(digest outputs)
nodes=$(of nodes)
same plan_of_a_first_build_is_what_it_does "$planned" "$(of run) $(of alias)"
vb r.lua
nothing_runs second_build
same second_build_reads_and_writes_nothing "0 0" "$(of read_bytes) $(of written_bytes)"
same second_build_settles_every_node "$nodes" "$(($(of hit) + $(of alias)))"
ok second_build_says_so grep -q '^nothing to do: 3 artifacts' "$scratch/out"

# ---- a touched source: hashed once, then believed
touch models/prose/model.safetensors
margin
vb r.lua
nothing_runs touched_source
same touched_source_is_hashed_once "$source_bytes" "$(of read_bytes)"
vb r.lua
same touched_source_is_not_read_again "0 0" "$(of run) $(of read_bytes)"

# ---- the same tensors in other files
cat >shards.lua <<'END'
return { m = safetensors { source "models/prose", shard = "1MB", name = "prose" } }
END
vb shards.lua -q -o sharded --cache "$scratch/shard-cache"
rm models/prose/model.safetensors
cp sharded/prose/model* models/prose/
rm -r sharded
margin
vb r.lua
nothing_runs resharded_source
same resharded_source_has_several_files 4 "$(ls models/prose/model-*.safetensors | wc -l | tr -d ' ')"
same resharded_source_is_hashed_once "$source_bytes" "$(of read_bytes)"
vb r.lua
same resharded_source_is_not_read_again "0 0" "$(of run) $(of read_bytes)"
rm models/prose/model*
cp "$root/tests/models/nano-llama-prose/model.safetensors" models/prose/
margin
vb r.lua
nothing_runs source_in_one_file_again

# ---- comments
sed 's/^return {/-- three of them\nreturn {/' r.lua >r2.lua
mv r2.lua r.lua
vb r.lua
nothing_runs edited_comment
same edited_comment_writes_nothing "0 0" "$(of read_bytes) $(of written_bytes)"

# ---- artifacts and blobs lost
rm outputs/S.gguf
vb r.lua
nothing_runs deleted_artifact
same deleted_artifact_reads_no_source 0 "$(of read_bytes)"
rm -r outputs/folder
vb r.lua
nothing_runs deleted_folder
printf X | dd of=outputs/L.gguf bs=1 seek=1000 conv=notrunc 2>/dev/null
vb r.lua
nothing_runs overwritten_artifact

# blobs ARTIFACT [TENSOR]: the files of its tensors, or of that one, in the cache
blobs() {
    lua5.4 -e "package.path = '$here/?.lua'
        for _, t in ipairs(require('json').load('outputs/$1.manifest.json').tensors) do
            if t.name == ('$2' == '' and t.name or '$2') then
                print('cache/cas/' .. t.d:sub(1, 2) .. '/' .. t.d:sub(3))
            end
        end"
}
blob=$(blobs S.gguf blk.0.attn_q.weight)
ok a_blob_is_where_the_manifest_says test -f "$blob"
rm -f "$blob"
vb r.lua
nothing_runs evicted_blob_of_a_standing_artifact
same evicted_blob_reads_nothing 0 "$(of read_bytes)"
blobs folder | xargs rm -f
vb r.lua
nothing_runs evicted_intermediates
rm outputs/L.gguf
vb r.lua
nothing_runs evicted_intermediates_of_a_deleted_artifact
same evicted_intermediates_read_nothing 0 "$(of read_bytes)"
rm -r cache/cas/*
vb r.lua
nothing_runs all_blobs_evicted

# Lost and wanted: the tensor is made again, to the same bytes. Its merge is known by its digest, and
# only its bytes pass through once more.
vb r.lua --force -q
same forced_build_gives_the_same_bytes "$first" "$(digest outputs)"
same forced_build_runs_every_node "$nodes" "$(($(of run) + $(of cutoff) + $(of alias)))"
tensor=blk.0.attn_q.weight
rm outputs/L.gguf "$(blobs L.gguf $tensor)"
blobs folder | xargs rm -f
vb plan r.lua
planned=$(of run)
vb r.lua --explain
same evicted_and_wanted_runs_alone "1 1" "$(of run) $planned"
explains evicted "$tensor: its bytes are no longer in the cache (r.lua:10)"
same evicted_and_wanted_gives_the_same_bytes "$first" "$(digest outputs)"

# ---- one tensor of a source changed, its size and time of change as before: exactly its cone
one=model.layers.3.mlp.up_proj.weight
file=models/prose/model.safetensors
rm -r cache outputs
vb r.lua -q
touch -r $file stamp
patch prose $one
touch -r stamp $file
margin
"$VBUILD" graph r.lua >"$scratch/graph.json" 2>"$scratch/err"
same a_cone_is_the_merge_and_two_quants 3 "$(lua5.4 "$here/cone.lua" "$scratch/graph.json" $file $one)"
"$VBUILD" explain r.lua >"$scratch/out" 2>"$scratch/err"
ok explain_before_hashing_says_that_states_are_unknown grep -q 'unknown until their sources are hashed' \
    "$scratch/out"
vb r.lua --explain
same one_changed_tensor_runs_its_cone "0 3 $((nodes - 3)) 0" "$code $(of run) $(of hit) $(of cutoff)"
explains source "blk.3.ffn_up.weight: source changed: $file: $one (r.lua:3)"
same changed_source_changes_every_artifact "wrote wrote wrote" \
    "$(sed -n 's/^\(wrote\|kept\) outputs.*/\1/p' "$scratch/out" | tr '\n' ' ' | sed 's/ $//')"
changed=$(digest outputs)
patch prose $one
vb r.lua
nothing_runs source_changed_back
patch prose $one
margin
vb r.lua
same source_changed_forth_again_runs_nothing "0 0" "$code $(of run)"
same source_changed_forth_again_has_those_bytes "$changed" "$(digest outputs)"
patch prose $one
embed=model.embed_tokens.weight
patch base $embed
vb r.lua
"$VBUILD" graph r.lua >"$scratch/graph.json" 2>"$scratch/err"
same changed_embedding_runs_its_cone \
    "$(lua5.4 "$here/cone.lua" "$scratch/graph.json" models/base/model.safetensors $embed)" "$(of run)"
patch base $embed
margin
vb r.lua
nothing_runs embedding_changed_back

# ---- a changed header with equal tensors: the artifact is written again, nothing runs
sed 's/"max_position_embeddings": 512/"max_position_embeddings": 256/' models/base/config.json >c.json
cp c.json models/base/config.json
vb r.lua
same edited_config_runs_nothing "0 0 0" "$code $(of run) $(of read_bytes)"
"$VBUILD" inspect outputs/S.gguf >"$scratch/out"
ok edited_config_is_in_the_artifact grep -q 'llama.context_length = 256' "$scratch/out"
vb r.lua -q
same edited_config_is_written_once 0 "$(of written_bytes)"
cp "$root/tests/models/nano-llama-base/config.json" models/base/
vb r.lua
nothing_runs config_as_it_was

# ---- changed recipes: the reasons, and what plan says before
# changes NAME RUN ARGUMENTS...: plan and build agree on what runs, and on the sizes
changes() {
    name=$1 want=$2
    shift 2
    vb plan "$@"
    unknown=$(of unknown) # needs a source that was never hashed: a build may have to run it
    planned="$(($(of run) + ${unknown:-0})) $(of alias)"
    sizes=$(grep -o '"path":"[^"]*","bytes":[0-9]*' "$scratch/json" | sort -u)
    vb "$@" --explain
    same "$name runs" "$want" "$(of run)"
    same "$name: plan said what runs" "$planned" "$(of run) $(of alias)"
    same "$name: plan said the sizes" "$sizes" "$(
        grep -o '"path":"[^"]*","bytes":[0-9]*' "$scratch/json" | sort -u)"
    same "$name: the files have them" "$sizes" "$(
        echo "$sizes" | sed 's/"path":"\([^"]*\)".*/\1/' | while read -r path; do
            bytes=$(find "$path" -type f -exec wc -c {} + | awk '$2 != "total" { n += $1 } END { print n }')
            echo "\"path\":\"$path\",\"bytes\":$bytes"
        done)"
}
# 38 merges; S of them; of L what neither python gives (6) nor S has (9 norms, 4 attn_v).
changes a_merge_parameter $((38 + 38 + 38 - 6 - 9 - 4)) r.lua -D t=0.4
explains param "output_norm.weight (and 37 more): param t: 0.3 -> 0.4 (r.lua:3)"
changes a_type 4 r.lua -D t=0.4 -D v=q5_k
explains type "blk.0.attn_v.weight (and 3 more): param type: q6_k -> q5_k (r.lua:9)"
sed 's/^  folder/  N      = gguf { quantize { prose, S } },\n  folder/' r.lua >r2.lua
changes a_new_variant 38 r2.lua -D t=0.4 -D v=q5_k
explains new "output_norm.weight (and 37 more): new in this artifact (r2.lua:11)"
sed 's/merge.slerp { base, prose,/merge.linear { base, prose,/; s/t = option("t", 0.3)/weight = 0.5/' r.lua >r3.lua
changes another_op $((38 + 38 + 38 - 6 - 9)) r3.lua -D v=q5_k
explains op "output_norm.weight (and 37 more): op: merge_slerp -> merge_linear (r3.lua:3)"
sed 's/merge.slerp { base, prose,/merge.slerp { base, python,/' r.lua >r4.lua
vb r.lua -q
changes another_input $((38 + 38 + 38 - 6 - 9 - 4)) r4.lua
explains input "output_norm.weight: input: models/prose/model.safetensors: model.norm.weight -> \
models/python/model.safetensors: model.norm.weight (r4.lua:3)"

# ---- plan and build agree on other recipes, from nothing and after a change
workspace plans
mkdir tests
cp -R "$root/tests/models" tests/models
# from_nothing NAME ARGUMENTS...: a first build runs all that is made
from_nothing() {
    rm -rf cache outputs
    name=$1
    shift
    "$VBUILD" graph "$@" >"$scratch/graph.json" 2>"$scratch/err"
    changes "$name" "$(lua5.4 "$here/cone.lua" "$scratch/graph.json")" "$@"
}
from_nothing demo "$root/recipes/demo.lua"
sed 's/0.2, 0.8/0.2, 0.7/' "$root/recipes/demo.lua" >demo.lua
# Layers 1 to 3 move (attention and norms of 1 and 2, all of 3): 21 merges, as many tensors of S, and
# what M and L have in other types than those before them.
changes demo_with_another_ramp $((21 + 21 + 4 + 11)) demo.lua
base=tests/models/nano-llama-base prose=tests/models/nano-llama-prose
from_nothing chimera "$root/recipes/chimera.lua" -D thought=$base -D memory=$prose
# The full chimera already has every organ of memory: only the organs of a layer of thought are new.
changes chimera_of_other_layers 3 "$root/recipes/chimera.lua" -D thought=$base -D memory=$prose \
    -D first=1 -D last=3
from_nothing vikras "$root/recipes/vikras-mixp.lua" -D first=$base -D second=$prose
cat >deep.lua <<'END'
local m = source "tests/models/nano-llama-base"
local last = scale { slice(m, 1, 3), attn_output = option("gain", 1.5), ffn_down = 1.5 }
return { deep = safetensors { stack { slice(m, 0, 3), last } } }
END
from_nothing passthrough deep.lua
changes passthrough_with_another_gain 2 deep.lua -D gain=2

# ---- a merge replaced by one with equal bytes: its consumers are cut off, whatever the budget
workspace cutoff
cat >wide.lua <<'END'
local function wide(seed)
  return safetensors { synthetic { seed = seed, config = {
    architectures = { "LlamaForCausalLM" }, torch_dtype = "bfloat16", vocab_size = 512,
    hidden_size = 512, intermediate_size = 2560, num_hidden_layers = 2, rms_norm_eps = 1e-5,
    num_attention_heads = 4, num_key_value_heads = 2, head_dim = 128, rope_theta = 1e4,
    max_position_embeddings = 512, tie_word_embeddings = true } } }
end
return { a = wide(1), b = wide(2) }
END
vb wide.lua -q -o models --cache "$scratch/wide-cache"
for m in a b; do
    cp "$root"/tests/models/nano-llama-base/tokenizer*.json models/$m/
    lua5.4 "$here/patch.lua" models/$m/model.safetensors norms
done
cp -R models/a models/c
cat >linear.lua <<'END'
local w = option("w", 0.5)
local m = merge.linear { { source "models/a", weight = w }, { source "models/b", weight = w } }
return { S = gguf { quantize { m, default = "q4_k" } },
         L = gguf { quantize { scale { m, attn_output = 1.5 }, default = "q5_k", embed = "q8_0" } } }
END
cat >slerp.lua <<'END'
local m = merge.slerp { source "models/a", source "models/c", t = option("w", 0.25) }
return { S = gguf { quantize { m, default = "q4_k" } },
         L = gguf { quantize { scale { m, attn_output = 1.5 }, default = "q5_k", embed = "q8_0" } } }
END
margin
for recipe in linear slerp; do
    "$VBUILD" graph $recipe.lua >"$scratch/graph.json" 2>"$scratch/err"
    merges=$(grep -c "\"op\":\"merge_$recipe\"" "$scratch/graph.json")
    ops=$(grep -c '"op":"' "$scratch/graph.json")
    [ $recipe = linear ] && w=1 || w=0.75
    for mem in 1M 64M 1G; do
        rm -rf cache outputs
        vb $recipe.lua --mem $mem
        same "$recipe at $mem: all run at first" "0 $ops" "$code $(of run)"
        all=$(digest outputs/*.gguf)
        vb $recipe.lua --mem $mem -D w=$w
        same "$recipe at $mem: merges run, consumers are cut off" "0 $merges $((ops - merges)) 0" \
            "$code $(of run) $(of cutoff) $(of hit)"
        same "$recipe at $mem: no byte is written" "$all" "$(digest outputs/*.gguf)"
        vb $recipe.lua --mem $mem -D w=$w
        same "$recipe at $mem: then all is known" "0 0 0" "$(of run) $(of cutoff) $(of read_bytes)"
    done
done

# Two folders with equal names share a cache: neither makes the other's work look old.
for name in one two; do
    workspace "shared-$name"
    mkdir models
    cp -R "$root/tests/models/nano-qwen2" models/m
    [ $name = one ] || cp "$root/tests/models/nano-llama-base/generation_config.json" models/m/
    echo 'return { S = gguf { quantize { source "models/m", default = "q8_0" } } }' >r.lua
done
margin
for name in one two; do
    cd "$scratch/shared-$name" || exit 2
    vb r.lua --cache "$scratch/shared-cache"
done
for name in one two one; do
    cd "$scratch/shared-$name" || exit 2
    vb r.lua --cache "$scratch/shared-cache" --no-snapshot
    same "a shared cache knows folder $name" "0 0 0 0" \
        "$code $(of run) $(of read_bytes) $(of written_bytes)"
done

finish
