#!/bin/sh
# quantize.sh - vbuild quantize: llama-quantize's command line gives llama-quantize's files, at the
# paths it was given; the recipe it prints is what it runs; what it costs; what is refused
#
# The hashes are those of llama-quantize's output (tests/golden/quant/model). tests/e2e/quantize.lua
# lists its runs as command lines.
. tests/e2e/lib.sh
golden=$root/tests/golden
model=$golden/quant/model/src.gguf
imatrix=$golden/imatrix/model.dat
q4_k_m=2ba9ab163f8a5378a1200b511b3501c761c1b4993500aa45c512c22fa5a2f6e9
tab=$(printf '\t')

sha() { sha256sum <"$1" 2>/dev/null | cut -d' ' -f1; }

# folder NAME: a new folder with the model, no workspace, which is then the present one
folder() {
    mkdir -p "$scratch/$1"
    cd "$scratch/$1" || exit 2
    cp "$model" src.gguf
    cp "$imatrix" im_model.dat
}

# q WORDS...: vbuild quantize on a cache of its own
q() { vb --cache "$scratch/cache" quantize "$@"; }

# refused NAME TEXT WORDS...: exit 1, TEXT in what it says, and nothing is written
refused() {
    name=$1 text=$2
    shift 2
    find . | sort >"$scratch/before"
    q "$@"
    find . | sort >"$scratch/after"
    same "$name.exit" 1 "$code"
    ok "$name.is_explained" grep -qF -e "$text" "$scratch/err" "$scratch/out"
    ok "$name.writes_nothing" cmp -s "$scratch/before" "$scratch/after"
}

# ---- every option set of the golden --------------------------------------------------------------
folder options
lua5.4 "$root/tests/e2e/quantize.lua" "$golden/quant/model/endtoend.json" >list
while IFS=$tab read -r name want size words; do
    type=${name%%/*} case=$(echo "$name" | tr / .)
    eval "q $words src.gguf $case.gguf $type 2"
    same "$case.exit" 0 "$code"
    same "$case.sha256" "$want" "$(sha "$case.gguf")"
    eval "q $words --dry-run src.gguf $type"
    ok "$case.dry_run_told_its_bytes" grep -qx "file: $size bytes" "$scratch/out"
    # the printed recipe is what was run: nothing is left to do, and the file is the same
    eval "q --recipe $words src.gguf $case.gguf $type 2"
    cp "$scratch/out" "$case.lua"
    vb --cache "$scratch/cache" -o again "$case.lua"
    same "$case.recipe_runs_nothing" "0 0" "$code $(of run)"
    ok "$case.recipe_makes_the_same_file" cmp "$case.gguf" "again/$case.gguf"
done <list
same there_are_33_option_sets 33 "$(wc -l <list)"
same no_manifest_is_written 0 "$(find . -maxdepth 1 -name '*.json' | wc -l)"

# ---- names of the output -------------------------------------------------------------------------
folder names
mkdir other
# default_name TYPE NAME: IN TYPE writes NAME beside IN, as llama-quantize spells it
default_name() {
    q src.gguf "$1"
    ok "default_name_of_$1" test -f "$2"
    rm -f "$2"
}
default_name q4_k_m ggml-model-Q4_K_M.gguf
default_name Q4_K ggml-model-Q4_K.gguf
default_name 15 ggml-model-Q4_K.gguf # the first of its names
default_name 0 ggml-model-F32.gguf
default_name cOpY ggml-model-COPY.gguf
default_name 7x ggml-model-Q8_0.gguf # as std::stoi reads it
cp src.gguf other/in.gguf
q other/in.gguf Q4_K_M
same default_output_is_beside_the_input $q4_k_m "$(sha other/ggml-model-Q4_K_M.gguf)"
q src.gguf plain Q4_K_M
same output_without_extension $q4_k_m "$(sha plain)"
q src.gguf out.bin 15
same output_of_another_extension $q4_k_m "$(sha out.bin)"
q src.gguf "$PWD/other/absolute.gguf" Q4_K_M 0
same output_by_an_absolute_path $q4_k_m "$(sha other/absolute.gguf)"
q src.gguf ./other/../up.gguf Q4_K_M -1
same output_by_a_roundabout_path $q4_k_m "$(sha up.gguf)"
echo theirs >theirs.gguf
ln -s other/target.gguf link.gguf
ln -s theirs.gguf link2.gguf
q src.gguf theirs.gguf Q4_K_M
same a_file_that_is_not_ours_is_replaced $q4_k_m "$(sha theirs.gguf)"
echo theirs >theirs.gguf
q src.gguf link2.gguf Q4_K_M
same a_link_is_followed "$q4_k_m yes" \
    "$(sha theirs.gguf) $(test -L link2.gguf && echo yes)"
q src.gguf link.gguf Q4_K_M
same a_link_to_nothing_is_followed "$q4_k_m yes" \
    "$(sha other/target.gguf) $(test -L link.gguf && echo yes)"
same no_temporary_is_left 0 "$(find . -name '*vbtmp*' | wc -l)"

# Names that are hard to write in Lua.
nl='
'
for hard in "a'b\"c" 'x]]y' 'back\slash' "new${nl}line" '%s {variant} %1' '-- no comment' \
    'return nil' 'ünï.gguf' '$HOME `id`' '\065\n'; do
    cp src.gguf "in $hard"
    rm -f "out $hard"
    q "in $hard" "out $hard" Q4_K_M
    same "hard_name.$(printf %s "$hard" | tr -c '[:alnum:]' _)" $q4_k_m "$(sha "out $hard")"
    q --recipe "in $hard" "out $hard" Q4_K_M
    cp "$scratch/out" hard.lua
    rm -rf hard
    vb --cache "$scratch/cache" -o hard hard.lua
    same "hard_name_in_a_recipe.$(printf %s "$hard" | tr -c '[:alnum:]' _)" "0 0 $q4_k_m" \
        "$code $(of run) $(sha hard/*.gguf)"
done

# Hard texts in options reach the file as they are.
text="a'b\"c\\d]]e${nl}f"
q --override-kv "general.name=str:$text" --override-kv x.i=int:-7 --override-kv x.f=float:5 \
    --override-kv x.g=float:0.1 --override-kv x.b=bool:false src.gguf kv.gguf Q4_K_M
"$VBUILD" inspect kv.gguf >keys
same an_integer_is_its_absolute_value 7 "$(sed -n 's/^ *x\.i = //p' keys)"
ok a_float_of_a_whole_number_stays_one grep -q 'x\.f = 5' keys
ok a_bool_is_one grep -q 'x\.b = false' keys
q --recipe --override-kv "general.name=str:$text" src.gguf kv.gguf Q4_K_M
cp "$scratch/out" kv.lua
q --override-kv "general.name=str:$text" src.gguf kv.gguf Q4_K_M
vb --cache "$scratch/cache" -o kv kv.lua
ok texts_of_overrides_survive_the_recipe cmp kv.gguf kv/kv.gguf
lua5.4 - kv.gguf "$text" <<'EOL'
local bytes = assert(io.open(arg[1], "rb")):read("a")
assert(bytes:find(string.pack("<s8", arg[2]), 1, true), "the text is not in the file")
EOL
same texts_of_overrides_are_in_the_file 0 $?

# ---- what it costs -------------------------------------------------------------------------------
folder costs
vb --cache c quantize src.gguf a.gguf Q4_K_M
first=$(of run)
vb --cache c quantize src.gguf a.gguf Q4_K_M
same the_same_again_does_nothing "0 0 0" "$code $(of run) $(of written_bytes)"
ok and_says_so grep -q "up to date" "$scratch/out"
vb --cache c --no-snapshot quantize src.gguf a.gguf Q4_K_M
same nor_when_it_looks_again "0 0 0" "$code $(of run) $(of written_bytes)"
vb --cache c quantize src.gguf b.gguf Q4_K_S
ok a_second_type_runs_less test "$(of run)" -gt 0 -a "$(of run)" -lt "$first"
rm a.gguf
vb --cache c quantize src.gguf a.gguf Q4_K_M
same a_lost_output_is_written_from_the_cache "0 0 $q4_k_m" "$code $(of run) $(sha a.gguf)"
echo damaged >a.gguf
vb --cache c quantize src.gguf a.gguf Q4_K_M
same a_changed_output_is_written_again "0 0 $q4_k_m" "$code $(of run) $(sha a.gguf)"
echo 'return { x = gguf { quantize { source "src.gguf", "Q4_K_M" } } }' >hand.lua
vb --cache c -o hand hand.lua
same a_recipe_by_hand_runs_nothing "0 0" "$code $(of run)"
ok a_recipe_by_hand_is_the_same_file cmp a.gguf hand/x.gguf
mkdir moved
cp src.gguf moved/renamed.gguf
vb --cache c quantize moved/renamed.gguf moved/out.gguf Q4_K_M
same a_copy_elsewhere_runs_nothing "0 0 $q4_k_m" "$code $(of run) $(sha moved/out.gguf)"
vb --cache d -j 1 --mem 1M quantize --max-buffer-size 1 src.gguf d.gguf Q4_K_M 3
same threads_and_memory_change_no_byte "0 $q4_k_m" "$code $(sha d.gguf)"
printf '{"old":1}\n' >a.gguf.manifest.json
vb --cache c --force quantize src.gguf a.gguf Q5_K_M
ok a_manifest_that_is_there_is_kept_up grep -q q5_k a.gguf.manifest.json

# ---- ladders -------------------------------------------------------------------------------------
folder ladder
mv src.gguf My.Model-BF16.gguf
vb --cache c quantize My.Model-BF16.gguf out/ Q4_K_M,q6_k,8
same a_ladder_builds 0 "$code"
same its_files "My.Model-Q4_K_M.gguf My.Model-Q5_0.gguf My.Model-Q6_K.gguf" \
    "$(cd out && echo *)"
same it_reads_the_source_once yes \
    "$(test "$(of read_bytes)" -le "$(stat -c %s My.Model-BF16.gguf)" && echo yes)"
same a_rung_is_llama_quantizes $q4_k_m "$(sha out/My.Model-Q4_K_M.gguf)"
vb --cache c quantize --recipe My.Model-BF16.gguf out/ Q4_K_M,q6_k,8
cp "$scratch/out" ladder.lua
ok a_ladder_is_said_with_variants grep -q 'variants {' ladder.lua
vb --cache c -o again ladder.lua
same its_recipe_runs_nothing "0 0" "$code $(of run)"
ok its_recipe_makes_the_same_files diff -r -x '*.json' out again
vb --cache c quantize My.Model-BF16.gguf out/ Q4_K_M,Q6_K,8,Q8_0
same one_more_rung_keeps_the_others yes \
    "$(test "$(of run)" -gt 0 -a "$(of run)" -le 16 && echo yes)"
weigh="--imatrix im_model.dat --leave-output-tensor My.Model-BF16.gguf"
vb --cache c quantize $weigh im/ Q4_K_M,COPY
same options_count_for_every_rung 0 "$code"
vb --cache c quantize $weigh one.gguf Q4_K_M
ok a_rung_with_options_is_the_file_alone cmp one.gguf im/My.Model-Q4_K_M.gguf
vb --cache c quantize My.Model-BF16.gguf single/ Q6_K
ok one_type_into_a_folder cmp single/My.Model-Q6_K.gguf out/My.Model-Q6_K.gguf
for name in m.f16 m_F32 m-fp16 m; do # the end that names a type is not of the model's name
    cp My.Model-BF16.gguf "$name.gguf"
    rm -rf stem
    vb --cache c quantize "$name.gguf" stem/ COPY
    same "stem_of_$name" m-COPY.gguf "$(cd stem && echo *)"
done

# ---- where past work is kept ---------------------------------------------------------------------
folder caches
"$VBUILD" quantize src.gguf a.gguf Q4_K_M >said 2>&1
ok a_folder_gets_no_cache test ! -e cache
ok the_users_cache_is_used test -f "$HOME/.cache/vbuild/FORMAT"
same it_is_said_once 1 "$(grep -c "$HOME/.cache/vbuild" said)"
VBUILD_CACHE=$PWD/named "$VBUILD" quantize src.gguf a.gguf Q4_K_M >said 2>&1
ok the_variable_names_it test -f named/FORMAT
ok a_cache_that_was_named_is_not_said sh -c '! grep -q "past work" said'
XDG_CACHE_HOME=$PWD/xdg "$VBUILD" quantize src.gguf b.gguf Q4_K_M >said 2>&1
ok xdg_names_the_users test -f xdg/vbuild/FORMAT
mkdir cache
XDG_CACHE_HOME=$PWD/xdg "$VBUILD" quantize src.gguf b.gguf Q4_K_S >said 2>&1
same a_folder_named_cache_is_not_ours "" "$(ls cache)"
echo 'return {}' >build.lua
"$VBUILD" quantize src.gguf c.gguf Q4_K_M >said 2>&1
ok a_workspace_has_its_own test -f cache/FORMAT
rm build.lua
"$VBUILD" quantize src.gguf d.gguf Q4_K_M >said 2>&1
ok ours_is_used_without_a_recipe grep -q "kept in cache;" said
mkdir -p deep/er
echo 'return {}' >build.lua
cd deep/er || exit 2
cp ../../src.gguf .
XDG_CACHE_HOME=$PWD/xdg "$VBUILD" quantize src.gguf a.gguf Q4_K_M >said 2>&1
same no_workspace_is_looked_for "$q4_k_m yes" \
    "$(sha a.gguf) $(test -f xdg/vbuild/FORMAT && echo yes)"

# ---- dry runs ------------------------------------------------------------------------------------
folder dry
find . | sort >"$scratch/before"
export XDG_CACHE_HOME="$scratch/dry-cache"
"$VBUILD" quantize --dry-run src.gguf Q4_K_M >"$scratch/said" 2>"$scratch/err"
same a_dry_run_succeeds 0 $?
find . | sort >"$scratch/after"
cp "$scratch/said" said
ok a_dry_run_writes_nothing cmp "$scratch/before" "$scratch/after"
ok a_dry_run_makes_no_cache test ! -e "$scratch/dry-cache"
unset XDG_CACHE_HOME
same a_dry_run_lists_every_tensor 21 "$(grep -c ' MiB' said)"
ok a_dry_run_tells_types grep -q '^blk.0.attn_k.weight .* f16 .* -> q4_k' said
q src.gguf q.gguf Q4_K_M
q --dry-run q.gguf Q5_K_M
same a_dry_run_of_a_quantized_model_needs_no_leave 0 "$code"
q --dry-run src.gguf Q2_K_S
same a_dry_run_needs_no_imatrix 0 "$code"
ok but_says_that_the_run_does grep -q "requires an imatrix" "$scratch/err"

# ---- other models --------------------------------------------------------------------------------
folder others
sed 's/llama/llomo/g' src.gguf >unknown.gguf
q unknown.gguf out.gguf Q4_K_M
same an_architecture_nobody_knows_is_quantized "0 q4_k" \
    "$code $("$VBUILD" inspect out.gguf | sed -n 's/^ *blk.0.attn_k.weight *\(q4_k\).*/\1/p')"
q out.gguf again.gguf Q5_K_M
same a_quantized_source_is_refused 1 "$code"
q --allow-requantize out.gguf again.gguf Q5_K_M
same unless_it_is_allowed 0 "$code"
q --leave-output-tensor --output-tensor-type q8_0 --tensor-type 'nothing_has_this=q8_0' \
    unknown.gguf left.gguf COPY
same what_has_no_effect_is_no_error 0 "$code"
cp "$golden"/gguf/valid/shard-0000?-of-00002.gguf .
q --keep-split shard-00001-of-00002.gguf parts.gguf COPY
same shards_are_kept "0 parts-00001-of-00002.gguf parts-00002-of-00002.gguf" \
    "$code $(echo parts*.gguf)"
q --keep-split shard-00001-of-00002.gguf parts COPY
same with_and_without_the_extension 0 "$code"
q shard-00001-of-00002.gguf whole.gguf COPY
same shards_are_joined 0 "$code"
q --keep-split src.gguf alone.gguf Q4_K_M
same a_whole_file_is_one_shard b6ad229b030b700ff6dd18a038e1fe8d5b9cb77b0d9febb149721dfe4ddbbe80 \
    "$(sha alone-00001-of-00001.gguf)"
q --imatrix im_model.dat --include-weights nothing src.gguf none.gguf Q4_K_M
same an_imatrix_of_which_nothing_is_left_is_none "0 $q4_k_m" "$code $(sha none.gguf)"

# ---- refused -------------------------------------------------------------------------------------
folder refused
ln -s src.gguf alias.gguf
ln src.gguf hard.gguf
mkdir dir
cp "$golden"/gguf/valid/shard-0000?-of-00002.gguf .
refused no_words "usage: vbuild"
refused one_word "a type is needed" src.gguf
refused type_missing "no type follows" src.gguf out.gguf
refused type_unknown "'Q4_Z' is no type" src.gguf out.gguf Q4_Z
refused type_number_unknown "'39' is no type" src.gguf out.gguf 39
refused threads_garbage "'many' is no number of threads" src.gguf out.gguf Q4_K_M many
refused threads_too_large "is no number of threads" src.gguf out.gguf Q4_K_M 99999999999
refused options_go_first "options go before" src.gguf out.gguf Q4_K_M --pure
refused unknown_option "did you mean '--pure'" --pur src.gguf out.gguf Q4_K_M
refused option_of_vbuild "before the word quantize" --cache c src.gguf out.gguf Q4_K_M
refused value_missing "needs a value" --imatrix
refused tensor_type_malformed "is not PATTERN=TYPE" --tensor-type attn src.gguf o.gguf Q4_K_M
refused tensor_type_empty "is not PATTERN=TYPE" --tensor-type =q8_0 src.gguf o.gguf Q4_K_M
refused tensor_type_unknown "is no tensor type" --tensor-type a=q99 src.gguf o.gguf Q4_K_M
refused tensor_type_of_no_gguf "is no tensor type" --output-tensor-type u8 src.gguf o.gguf Q4_K_M
refused tensor_type_file_missing "nowhere.txt" --tensor-type-file nowhere.txt src.gguf o.gguf Q6_K
refused both_filters "cannot both be given" \
    --include-weights a --exclude-weights b src.gguf o.gguf Q6_K
refused layers_garbage "is no layer" --prune-layers 0,x src.gguf o.gguf Q4_K_M
refused layers_negative "is no layer" --prune-layers -1 src.gguf o.gguf Q4_K_M
refused override_malformed "is not KEY=TYPE:VALUE" --override-kv x src.gguf o.gguf Q4_K_M
refused override_untyped "is not int:N" --override-kv x=5 src.gguf o.gguf Q4_K_M
refused override_bool "is not int:N" --override-kv x=bool:yes src.gguf o.gguf Q4_K_M
refused buffer_garbage "--max-buffer-size is 'x'" --max-buffer-size x src.gguf o.gguf Q4_K_M
refused input_missing "nowhere.gguf" nowhere.gguf o.gguf Q4_K_M
refused input_is_a_folder "dir is no GGUF file; other models" dir o.gguf Q4_K_M
refused input_is_no_gguf "is no GGUF file" im_model.dat o.gguf Q4_K_M
refused input_is_the_output "the same file" src.gguf src.gguf Q4_K_M
refused input_is_the_output_by_a_path "the same file" src.gguf ./dir/../src.gguf Q4_K_M
refused input_is_the_output_by_a_link "the same file" src.gguf alias.gguf Q4_K_M
refused output_is_the_input_by_a_link "the same file" alias.gguf src.gguf Q4_K_M
refused input_is_the_output_by_a_hard_link "the same file" src.gguf hard.gguf Q4_K_M
refused output_is_another_shard "the same file" \
    shard-00001-of-00002.gguf shard-00002-of-00002.gguf COPY
refused kept_shards_would_be_the_input "the same file" --keep-split \
    shard-00001-of-00002.gguf shard.gguf COPY
refused output_is_a_folder "a folder stands" src.gguf dir Q4_K_M
refused output_folder_missing "there is no folder" src.gguf nowhere/out.gguf Q4_K_M
refused output_in_a_file "there is no folder" src.gguf src.gguf/out.gguf Q4_K_M
refused output_is_a_device "no ordinary file" src.gguf /dev/null Q4_K_M
refused output_cannot_be_written "/proc: " src.gguf /proc/out.gguf Q4_K_M
refused imatrix_missing "nowhere.dat" --imatrix nowhere.dat src.gguf o.gguf Q4_K_M
refused imatrix_demanded "requires an imatrix" src.gguf o.gguf Q2_K_S
refused regex_of_no_ecmascript "the pattern 'a++b'" --tensor-type 'a++b=q8_0' src.gguf o.gguf Q4_K_M
refused list_without_a_folder "needs a folder before it" src.gguf Q4_K_M,Q6_K
refused list_with_a_stranger "'Q9' is no type" src.gguf dir/ Q4_K_M,Q9
refused list_with_a_double "names Q6_K twice" src.gguf dir/ Q6_K,Q4_K_M,18
refused list_for_a_folder_in_a_file "'src.gguf' is not a folder" src.gguf src.gguf/a/ Q6_K,Q4_K_M
# the folder of a list is made by the build alone
refused list_that_no_build_begins_with "the pattern 'a('" --tensor-type 'a(=q8_0' src.gguf \
    new/er/ Q6_K,Q4_K_M
cp src.gguf nan.gguf
lua5.4 "$root/tests/e2e/bytes.lua" put nan.gguf $(($(stat -c %s nan.gguf) - 2)) 007e
refused a_source_with_nan "error: nan.gguf: blk." nan.gguf o.gguf Q4_K_M
ok a_source_with_nan_is_placed grep -q 'NaN at row [0-9]*, column [0-9]*' "$scratch/err"
same the_input_is_untouched "$(sha "$model")" "$(sha src.gguf)"
"$VBUILD" quantize src.gguf out.gguf >out 2>err
same one_line_says_what_is_wrong 1 "$(grep -c error err)"
vb --cache c --bogus quantize src.gguf out.gguf Q4_K_M
same vbuilds_own_misuse_is_exit_2 2 "$code"

q src.gguf o.gguf Q2_K_S
same no_line_of_a_recipe_nobody_wrote_is_named "error: quantize: this quantization" \
    "$(grep -o '^error: quantize: this quantization' "$scratch/err")"

# ---- vbuild's own options, before the word -------------------------------------------------------
folder options_before
cd .. || exit 2
vb --cache "$scratch/cache" -C options_before -q --progress=none quantize src.gguf out.gguf Q4_K_M
same a_directory_and_quiet "0 $q4_k_m 0" \
    "$code $(sha options_before/out.gguf) $(cat "$scratch/out" "$scratch/err" | wc -c)"
same json_names_the_file "$PWD/options_before/out.gguf" "$(of path)"
cd options_before || exit 2
q --recipe src.gguf out.gguf Q4_K_M
sed 1d "$scratch/out" >first
vb --recipe quantize src.gguf out.gguf Q4_K_M
sed 1d "$scratch/out" >before
q src.gguf out.gguf Q4_K_M --recipe
sed 1d "$scratch/out" >last
ok a_recipe_is_asked_for_before cmp first before
ok a_recipe_is_asked_for_last cmp first last
VBUILD_CACHE=$scratch/cache "$VBUILD" --force --explain quantize src.gguf out.gguf Q4_K_M >said 2>&1
ok reasons_are_told grep -q "forced\|--force" said
same reasons_name_no_line 0 "$(grep -c 'quantize:[0-9]' said)"

# ---- help ----------------------------------------------------------------------------------------
"$VBUILD" quantize --help >help 2>err
same help_is_a_success 0 $?
for option in --allow-requantize --leave-output-tensor --pure --imatrix --include-weights \
    --exclude-weights --output-tensor-type --token-embedding-type --tensor-type \
    --tensor-type-file --prune-layers --keep-split --override-kv --dry-run --max-buffer-size \
    --recipe; do
    ok "help_explains.$option" grep -q "^  $option " help
done
"$VBUILD" help quantize >help2
ok help_by_either_word cmp help help2

# Every type that the help lists is one that recipes know.
folder types
"$VBUILD" help quantize | sed -n '/^Types/,/^$/p' | grep -o '[A-Z][A-Z0-9_]* ([0-9]*)\|COPY' >types
same there_are_39_types 39 "$(wc -l <types)"
cut -d' ' -f1 types | while read -r type; do
    "$VBUILD" quantize --dry-run src.gguf "$type" >out 2>err ||
        grep -q "not made in this release" err || echo "$type"
done >unknown
same every_type_is_known_to_recipes "" "$(cat unknown)"

finish
