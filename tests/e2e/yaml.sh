#!/bin/sh
# yaml.sh - mergekit's YAML as recipes: what it means, where its models lie, what is refused
#
# tests/golden/yaml holds small configurations and the recipes that they stand for;
# tests/golden/merge/configs those of mergekit's own files, which must come out.
. tests/e2e/lib.sh
golden=$root/tests/golden/merge
e2e=$root/tests/e2e
tab=$(printf '\t')

workspace yaml
ln -s "$golden/models" models
ln -s "$golden/configs" configs
ln -s "$root/tests/golden/yaml" yaml
ln -s models/ft1 plus+minus
ln -s models/ft1 'a "quoted"
]] \ name'
ln -s models/ft2 "it's -- ünï"

# vbm WORDS...: the drop-in, as vb
vbm() {
    "$VBUILD" --json="$scratch/json" merge "$@" >"$scratch/out" 2>"$scratch/err"
    code=$?
}
stem() { basename "$1" | sed 's/\.ya\{0,1\}ml$//'; }
# Digests of the artifacts of the last run, sorted.
digests() {
    sed -n '/"e":"end"/s/.*"artifacts"://p' "$scratch/json" | tr ',' '\n' |
        sed -n 's/.*"digest":"\([0-9a-f]*\)".*/\1/p' | sort
}

# ---- what a configuration means ---------------------------------------------------------------
for file in yaml/*.yml yaml/*.yaml; do
    this=$(stem "$file")
    vbm --recipe --seed 0x1f "$file"
    same "$this.is_a_recipe" 0 "$code"
    ok "$this.recipe" diff "yaml/$this.lua" "$scratch/out"
done

# The file, the drop-in and the printed recipe are one merge; the latter two find all of it done.
for file in yaml/*.yml yaml/*.yaml; do
    this=$(stem "$file")
    case $this in references | named) continue ;; esac
    vb --seed 31 "$file"
    same "$this.builds" 0 "$code"
    first=$(digests)
    ok "$this.is_there" test -s "outputs/$this/model.safetensors"
    vbm "$file" "dropin/$this" --random-seed=31
    same "$this.dropin_builds" "0 $first" "$code $(digests)"
    same "$this.dropin_runs_nothing" 0 "$(of run)"
    ok "$this.dropin_is_the_same_folder" diff -r "outputs/$this" "dropin/$this"
    cp "yaml/$this.lua" recipe.lua
    vb -o printed recipe.lua
    same "$this.recipe_builds" "0 $first 0" "$code $(digests) $(of run)"
done
ok dropin_writes_no_manifest sh -c '! ls dropin | grep manifest'

vb yaml/named.yml
same documents_that_no_other_needs_are_built 0 "$code"
ok under_their_names test -d outputs/left -a -d outputs/right -a ! -e "outputs/half way"
vbm yaml/named.yml dropin/named
same dropin_makes_one_model 1 "$code"
ok and_says_which_there_are grep -F "makes 2 models (left, right)" "$scratch/err"
cat >word.lua <<'END'
local right = merge.yaml { "yaml/named.yml", name = "right" }
return { other = safetensors { right }, chain = safetensors { merge.yaml "yaml/chain.yml" } }
END
vb word.lua
same merge_yaml_gives_a_model "0 0" "$code $(of run)"
ok merge_yaml_is_the_same_merge diff -r outputs/other outputs/right

# ---- what mergekit passes over ----------------------------------------------------------------
vb yaml/ignored.yml
same ignored_things_are_built "0 9" "$code $(grep -c '^warning: yaml/ignored.yml:' "$scratch/err")"
while IFS= read -r line; do
    ok "warned_of: $line" grep -F -e "yaml/ignored.yml:$line" "$scratch/err"
done <<'END'
2:1: a merge has no key 'merge_metod' (did you mean 'merge_method'?)
7:5: 'layer_range' counts in slices alone
9:18: 't' is one value for all models
9:26: slerp has no parameter 'density'
10:5: a source has no key 'weight'
12:16: the filter 'self_atn' of 't' is in no tensor's name
12:51: 't': the condition before takes every tensor
13:3: there is no parameter 'normalise'
14:3: slerp has no parameter 'normalize'
END
vb --strict yaml/ignored.yml
same under_strict_the_first_of_them_is_an_error 2 "$code"
ok strict_names_the_place grep -F "error: yaml/ignored.yml:2:1: " "$scratch/err"
vbm --strict yaml/residual.yml strict
same the_dropin_is_strict_too 1 "$code"
ok with_the_place grep -F "yaml/residual.yml:4:5: 'residual_weight'" "$scratch/err"
ok and_writes_nothing test ! -e strict
vbm --strict yaml/residual.yml strict/deep/er
ok nor_the_folders_above test ! -e strict
mkdir taken && echo mine >taken/other.safetensors
vbm yaml/plain.yml taken
same weights_of_others_are_found_before_anything_runs "1 0 mine" \
    "$code $(of run) $(cat taken/*)"
vb --strict yaml/chain.yml
same strict_passes_what_is_right 0 "$code"

# ---- mergekit's own files ---------------------------------------------------------------------
lua5.4 "$e2e/cases.lua" merge "$golden/index.json" >cases
while IFS=$tab read -r this exact ulp rel flip; do
    test -f "configs/$this.yml" || continue
    vb --seed 7 "configs/$this.yml"
    same "$this.builds" 0 "$code"
    ok "$this.golden" lua5.4 "$e2e/compare.lua" "$golden/expected/$this.safetensors" \
        "outputs/$this" "$exact" "$ulp" "$rel" "$flip"
    ok "$this.config" lua5.4 "$e2e/config.lua" "$golden/expected/$this.config.json" \
        "outputs/$this/config.json"
done <cases
for file in configs/*.yml; do # those without their files here: every line is understood
    this=$(stem "$file")
    case $this in lora_* | tokenizer_*) continue ;; esac
    grep -q "^$this$tab" cases && continue
    mkdir -p "elsewhere/models/$this"
    vbm --recipe "$file"
    case $code in
    0) ok "$this.is_understood" test -s "$scratch/out" ;;
    *) ok "$this.lacks_its_models_alone" grep -F "is not on this disk" "$scratch/err" ;;
    esac
done
for this in lora_linear tokenizer_base tokenizer_model_padded tokenizer_tokens_pad \
    tokenizer_union; do
    vb "configs/$this.yml"
    same "$this.is_refused" 2 "$code"
    ok "$this.by_name" grep -E "error: configs/$this.yml:[0-9]+:[0-9]+: .*(LoRA|'tokenizer).* later" \
        "$scratch/err"
done

# ---- refused, with the place ------------------------------------------------------------------
# refused NAME LINE:COLUMN TEXT: the configuration on standard input
refused() {
    cat >refused.yml
    rm -rf outputs/refused
    vb refused.yml
    same "$1" 2 "$code"
    ok "$1.message" grep -F -e "error: refused.yml:$2: " "$scratch/err"
    ok "$1.says" grep -F -e "$3" "$scratch/err"
    ok "$1.writes_nothing" test ! -e outputs/refused
}
two='models: [{model: models/ft1}, {model: models/ft2}]'
refused a_key_twice 3:1 "'merge_method' is there already, in line 1" <<END
merge_method: slerp
$two
merge_method: linear
END
refused a_tab 2:1 "a tab" <<END
models:
	- model: models/ft1
END
refused a_tag 1:15 "tag '!x'" <<END
merge_method: !x slerp
END
refused an_alias_of_nothing 1:15 "there is no &m before it" <<END
merge_method: *m
END
{
    echo 'a0: &a0 [x, x, x, x, x, x, x, x, x]'
    for i in 1 2 3 4 5 6 7 8 9; do
        p="*a$((i - 1))"
        echo "a$i: &a$i [$p, $p, $p, $p, $p, $p, $p, $p, $p]"
    done
} >bomb.yml
refused an_alias_bomb 7:5 "alias bomb" <bomb.yml
bomb=$(of peak_rss_bytes)
refused no_merge 1:1 "there is no 'merge_method'" <<END
a: 1
END
ok an_alias_bomb_costs_no_memory test "$bomb" -lt $(($(of peak_rss_bytes) + 16777216))
refused a_list 1:1 "the document is a list, expected a map" <<END
- merge_method: slerp
END
refused an_unknown_method 1:15 "did you mean 'slerp'?" <<END
merge_method: slurp
$two
END
refused a_mixture_of_experts 2:1 "mergekit-moe" <<END
base_model: models/base
experts: [{source_model: models/ft1, positive_prompts: [x]}]
END
refused a_chat_template 3:1 "'chat_template' comes with a later release" <<END
merge_method: linear
$two
chat_template: auto
END
refused no_models 1:1 "it takes one of models, slices, modules" <<END
merge_method: slerp
models: []
END
refused models_and_slices 3:1 "'models' and 'slices'" <<END
merge_method: slerp
$two
slices: [{sources: [{model: models/ft1, layer_range: [0, 1]}]}]
END
refused an_unknown_module 2:11 "unknown module 'text_decoder'" <<END
merge_method: passthrough
modules: {text_decoder: {models: [{model: models/ft1}]}}
END
refused a_model_twice 4:13 "'models/ft1' is there already, in line 3" <<END
merge_method: linear
models:
  - {model: models/ft1, parameters: {weight: 1}}
  - {model: models/ft1, parameters: {weight: 1}}
END
refused a_model_that_is_a_number 3:13 "'model' is 7, expected a text; put it in quotes" <<END
merge_method: linear
models:
  - {model: 7}
END
refused no_range 3:15 "without 'layer_range" <<END
merge_method: passthrough
slices:
  - sources: [{model: models/ft1}]
END
refused a_reversed_range 3:48 "0 <= first <= end" <<END
merge_method: passthrough
slices:
  - sources: [{model: models/ft1, layer_range: [3, 1]}]
END
refused a_negative_range 3:48 "0 <= first <= end" <<END
merge_method: passthrough
slices:
  - sources: [{model: models/ft1, layer_range: [0, -1]}]
END
refused a_range_beyond_the_model 3:48 "'ft1' has 4 layers" <<END
merge_method: passthrough
slices:
  - sources: [{model: models/ft1, layer_range: [3, 5]}]
END
refused ranges_of_two_lengths 5:40 "layers [1, 4] are 3, those of the slice's first source are 2" <<END
merge_method: slerp
base_model: models/ft1
slices:
  - sources: [{model: models/ft1, layer_range: [0, 2]},
      {model: models/ft2, layer_range: [1, 4]}]
parameters: {t: 0.5}
END
refused no_number 3:46 "'weight' is 'much', expected a number" <<END
merge_method: linear
models:
  - {model: models/ft1, parameters: {weight: much}}
END
refused infinity 3:46 "'weight' is .inf, expected a finite number" <<END
merge_method: linear
models:
  - {model: models/ft1, parameters: {weight: .inf}}
END
refused a_list_of_both 3:30 "{ filter, value } alone, or plain values alone" <<END
merge_method: slerp
$two
parameters: {t: [{value: 1}, 2]}
base_model: models/ft1
END
refused a_condition_without_value 3:18 "has no 'value'" <<END
merge_method: slerp
$two
parameters: {t: [{filter: mlp}]}
base_model: models/ft1
END
refused a_parameter_that_is_missing 2:9 "'t'" <<END
merge_method: slerp
$two
base_model: models/ft1
END
refused weights_that_are_missing 2:9 "has no weight for" <<END
merge_method: linear
$two
END
refused a_base_that_is_missing 2:9 "needs 'base'" <<END
merge_method: ties
$two
parameters: {weight: 1}
END
refused a_density_beyond_one 2:9 "density is 1.5" <<END
merge_method: ties
$two
parameters: {weight: 1, density: 1.5}
base_model: models/base
END
refused an_unknown_dtype 3:8 "did you mean 'bfloat16'?" <<END
merge_method: linear
$two
dtype: bfloat6
parameters: {weight: 1}
END
refused a_ring 8:21 "the documents need each other: a -> b -> a" <<END
name: a
merge_method: passthrough
models: [{model: b}]
---
# the other
name: b
merge_method: passthrough
models: [{ model:   a }]
END
refused two_documents_without_name 4:1 "a second document without 'name'" <<END
merge_method: passthrough
models: [{model: models/ft1}]
---
merge_method: passthrough
models: [{model: models/ft2}]
END
refused two_documents_of_one_name 5:7 "a second document named 'x'" <<END
name: x
merge_method: passthrough
models: [{model: models/ft1}]
---
name: x
merge_method: passthrough
models: [{model: models/ft2}]
END
refused a_revision_on_this_disk 2:18 "it has no revisions" <<END
merge_method: passthrough
models: [{model: models/ft1@main}]
END
refused a_lora_as_a_map 2:44 "LoRA" <<END
merge_method: passthrough
models: [{model: {model: models/ft1, lora: {path: x}}}]
END
mkdir pickles && cp models/ft1/config.json pickles && printf 'PK\003\004xxxx' >pickles/pytorch_model.bin
refused a_model_of_pickles 2:18 "pytorch_model.bin" <<END
merge_method: passthrough
models: [{model: pickles}]
END
: >refused.yml
vb refused.yml
same an_empty_file 2 "$code"
ok an_empty_file.says grep -F "refused.yml: the file holds no merge" "$scratch/err"

# ---- where models lie -------------------------------------------------------------------------
mkdir -p here/sub store/org/one store/two
cp -R models/ft1/. store/org/one
cp -R models/ft2/. store/two
cp -R models/ft3 here/sub/near
cat >here/sub/where.yml <<'END'
merge_method: linear
models:
  - {model: org/one, parameters: {weight: 1}}
  - {model: any/two, parameters: {weight: 1}}
  - {model: near, parameters: {weight: 1}}
END
vbm --recipe --model-dir store here/sub/where.yml
same models_are_found 0 "$code"
for text in '"store/org/one"' '"store/two"' '"here/sub/near"'; do
    ok "found: $text" grep -F "source $text" "$scratch/out"
done
vb --model-dir store here/sub/where.yml
same and_built 0 "$code"
mkdir any && cp -R models/base any/two
vbm --recipe --model-dir store here/sub/where.yml
ok the_working_directory_goes_first grep -F 'source "any/two"' "$scratch/out"
rm -r any

vb here/sub/where.yml
same models_that_are_missing 2 "$code"
ok at_the_first_of_them grep -F "error: here/sub/where.yml:3:13: 'org/one' is not on this disk" \
    "$scratch/err"
hub=$HOME/.cache/huggingface/hub
ok with_every_place_tried \
    grep -F "looked in org/one, here/sub/org/one, $hub/models--org--one;" "$scratch/err"
ok with_the_others grep -F "missing too: any/two" "$scratch/err"
ok and_one_line_for_all \
    grep -F "download them with: hf download org/one && hf download any/two" "$scratch/err"
commit=0123456789abcdef0123456789abcdef01234567
mkdir -p "$hub/models--org--one/refs" "$hub/models--org--one/snapshots/$commit"
printf %s "$commit" >"$hub/models--org--one/refs/main"
cp models/ft1/* "$hub/models--org--one/snapshots/$commit"
vb here/sub/where.yml
ok what_the_hub_has_is_found grep -F "'any/two' is not on this disk" "$scratch/err"
vbm --recipe here/sub/where.yml
ok and_named_as_such grep -F 'source "hf://org/one"' "$scratch/out"
vbm --recipe --transformers-cache "$hub" here/sub/where.yml
ok another_hub_folder grep -F "snapshots/$commit" "$scratch/out"
mkdir first
cp yaml/chain.yml chained.yml
vb chained.yml
same a_document_goes_before_a_path 0 "$code"
ok and_that_is_said grep -F "'first' is a document of this file and a path, too" "$scratch/err"

# ---- the command ------------------------------------------------------------------------------
vb plan yaml/chain.yml
same plan_reads_yaml 0 "$code"
ok plan_says_sizes grep -E "outputs/chain: [0-9]+ bytes, 39 tensors" "$scratch/out"
cat >unused.yml <<'END'
merge_method: passthrough
slices: [{sources: [{model: models/ft1, layer_range: [0, 2]}]}]
END
ok plan_says_memory grep -E "^memory: at most [0-9.]+ MiB of tensor bytes" "$scratch/out"
vb plan unused.yml
ok plan_says_unused_layers grep -F "layers 2..3 of ft1 are used nowhere" "$scratch/err"
sed 's/0.5/0.75/' yaml/filters.yml | sed 's/value: 0.3/value: 0.6/' >filters.yml
vb --explain filters.yml
ok explain_names_the_place_in_the_file grep -E '0.3 -> 0.6 \(filters.yml:4:9\)' "$scratch/out"
vb yaml/filters.yml other.lua
same two_recipes 2 "$code"

usage() { # NAME WORDS...: a wrong command line is exit 2, as the peer's
    this=$1
    shift
    vbm "$@"
    same "$this" 2 "$code"
}
usage no_words
usage no_out_path yaml/plain.yml
usage three_arguments yaml/plain.yml a b
usage an_unknown_option --allow-crime yaml/plain.yml a
ok an_unknown_option.near grep -F "did you mean '--allow-crimes'" "$scratch/err"
usage a_seed_that_is_none --random-seed x yaml/plain.yml a
usage a_switch_with_a_value --cuda=1 yaml/plain.yml a
usage an_option_without_value yaml/plain.yml a --device
vbm nowhere.yml a
same no_such_file 1 "$code"
ok no_such_file.says grep -F "nowhere.yml" "$scratch/err"
vbm --no-safe-serialization yaml/plain.yml a
same pickles_are_not_written 2 "$code"
vbm -v -j1 yaml/plain.yml deep/er/out --cuda --lazy-unpickle --no-copy-tokenizer \
    --out-shard-size 40k --write-threads=3 --no-write-model-card
same options_of_mergekit 0 "$code"
ok options_without_effect_are_named \
    grep -F "without effect here: --cuda, --lazy-unpickle, --write-threads" "$scratch/err"
ok shards test -f deep/er/out/model.safetensors.index.json
ok no_tokenizer test ! -e deep/er/out/tokenizer.json
ok a_config_all_the_same test -s deep/er/out/config.json
vbm --out-shard-size 40k --no-copy-tokenizer --recipe yaml/plain.yml deep/er/out
ok recipe_says_so grep -F 'out = safetensors { merged, shard = 40000, tokenizer = false }' \
    "$scratch/out"
vbm yaml/plain.yml one --out-shard-size 0
ok one_file_on_demand test -f one/model.safetensors
vbm yaml/random.yml r1 --random-seed 1
first=$(digests)
vbm yaml/random.yml r2 --seed 2
ok the_seed_counts test "$first" != "$(digests)" -a "$code" = 0
vbm --help
same help "0 1" "$code $(grep -c -e '--unsafe-truncate-embeddings' "$scratch/out")"
finish
