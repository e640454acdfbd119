#!/bin/sh
# presets.sh - llama-quantize's presets: whole files equal its own, from GGUF files and from
# Hugging Face folders, with importance matrices and without; what a second preset costs; what is
# refused, and why
#
# The hashes are those of llama-quantize's output (tests/golden/quant). tests/e2e/runs.lua writes
# the recipes, and the 89 small models of as many architectures.
. tests/e2e/lib.sh
golden=$root/tests/golden
models=$root/tests/models
e2e=$root/tests/e2e
tab=$(printf '\t')

# planned NAME PATH BYTES: the JSON of the plan has that file with that size
planned() { ok "$1" grep -qF "\"path\":\"outputs/$2\",\"bytes\":$3," plan.json; }

# ---- every option set ----------------------------------------------------------------------------
workspace options
ln -s "$golden/quant/model/src.gguf" src.gguf
ln -s "$golden/imatrix/model.dat" im_model.dat
lua5.4 "$e2e/runs.lua" "$golden/quant/model/endtoend.json" . >list
vb plan
same plan_of_the_option_sets 0 "$code"
cp "$scratch/json" plan.json
vb
same option_sets_build 0 "$code"
while IFS=$tab read -r kind name sha bytes n; do
    same "$kind.$name.sha256" "$sha" "$(sha256sum "outputs/$name.gguf" | cut -d' ' -f1)"
    planned "$name.plan_told_its_bytes" "$name.gguf" "$bytes"
done <list
same there_are_33_option_sets 33 "$(grep -c ^file list)"
same thirteen_have_an_imatrix 13 "$(grep -c 'imatrix = ' build.lua)"
vb
same option_sets_again_run_nothing "0 0" "$(of run) $(of written_bytes)"

# --tensor-type, by roles: 'attn_v=q8_0' and 'blk\.1\.ffn_(up|down)=q3_k'
cat >words.lua <<'EOF'
local function second(layer)
  return layer == 1 and "q3_k" or nil
end
local m = source "src.gguf"
return {
  tt = gguf { quantize { m, "q4_k_m", v_proj = "q8_0", ffn_up = second, down_proj = second } },
  -- nothing but the preset, said in words
  same = gguf { quantize { m, "Q6_K", attn = "q6_k", token_embd = "q6_k" } },
}
EOF
vb words.lua
same words_over_a_preset_build 0 "$code"
same words_are_tensor_types 1c0ce4e43000bbc0eff4a2b60ffe98555aa57e2f09a92d739631b58958425cf6 \
    "$(sha256sum outputs/tt.gguf | cut -d' ' -f1)"
ok words_that_change_nothing_change_nothing cmp outputs/Q6_K.gguf outputs/same.gguf

# ---- every architecture --------------------------------------------------------------------------
workspace architectures
lua5.4 "$e2e/runs.lua" "$golden/quant/allarch/index.json" . >list
sed -n "s/^input$tab\([0-9]*\)$tab\(.*\)/\2  \1.gguf/p" list >inputs
ok inputs_are_those_of_the_index sha256sum -c --quiet inputs
same there_are_89_inputs 89 "$(wc -l <inputs)"
vb
same every_architecture_builds 0 "$code"
grep "^file" list >files
same there_are_942_files 942 "$(wc -l <files)"
while IFS=$tab read -r kind name sha bytes n; do echo "$sha  outputs/$name.gguf"; done <files >sums
sha256sum -c sums 2>&1 | sed -n 's/^outputs.\(.*\)\.gguf: OK$/ok \1/p' >right
same every_file_is_llama_quantizes "$(wc -l <files)" "$(wc -l <right)"
cut -d"$tab" -f2 files | sed 's/^/ok /' | grep -vxF -f right | sed 's/^ok/    differs:/'
# Pruned models with an array for each layer: but for what the arrays hold, the same files.
grep "^arrayfile" list >files
same there_are_nine_pruned_files_with_arrays 9 "$(wc -l <files)"
while IFS=$tab read -r kind name sha bytes n; do
    lua5.4 "$e2e/layers.lua" "outputs/$name.gguf" "$n.gguf" 2>arrays >whole.gguf
    same "$name.is_but_for_the_array_llama_quantizes" "$sha" \
        "$(sha256sum whole.gguf | cut -d' ' -f1)"
    ok "$name.has_an_array_of_one_layer_less" \
        awk '{ if ($2 + 1 != $4) exit 1 } END { exit NR != 1 }' arrays
done <files
vb
same every_architecture_again_runs_nothing 0 "$(of run)"

# With an imatrix, of both formats: its path is part of the file, so each model has its own folder.
grep "^imfile" list >files
same there_are_691_files_with_an_imatrix 691 "$(wc -l <files)"
cut -d"$tab" -f5 files | sort -un >folders
: >right
while read -r n; do
    cd "$n" || exit 2
    vb
    [ "$code" = 0 ] || sed "s/^/    $n: /" "$scratch/err"
    cd ..
done <folders
while IFS=$tab read -r kind name sha bytes n; do echo "$sha  $n/outputs/$name.gguf"; done \
    <files >sums
sha256sum -c sums 2>&1 | grep -v ': OK$' | sed 's/^/    /'
same every_file_with_an_imatrix_is_llama_quantizes 691 "$(sha256sum -c sums 2>&1 | grep -c ': OK$')"

# Dry runs of the presets whose types are not made yet: the choice is llama-quantize's all the same.
grep "^dry" list >files
same there_are_854_dry_runs 854 "$(wc -l <files)"
: >wrong
while IFS=$tab read -r kind n line types; do
    cd "$n" || exit 2
    # shellcheck disable=SC2086
    "$VBUILD" quantize --dry-run $line >../said 2>../err || echo "exit code" >>../said
    [ "$types" = "$(awk '$NF == "MiB" { printf "%s ", $(NF - 2) }' ../said)" ] ||
        echo "$line" >>../wrong
    cd ..
done <files
same every_dry_run_tells_llama_quantizes_types "" "$(cat wrong)"

grep -v "file\|^input\|^dry" list | sed 's/^im//; s/"im\.\(dat\|gguf\)"/"N\/im.\1"/' >others
while IFS=$tab read -r kind name n words; do
    echo "return { other = gguf { quantize { source '$n.gguf', $words } } }" |
        sed "s|\"N/|\"$n/|" >other.lua
    vb other.lua
    case $kind in
    refused) want="2 0" ;;
    *) want="0 1" ;; # llama-quantize crashes; there is an answer
    esac
    same "$kind.$name" "$want" "$code $(find outputs -name other.gguf | wc -l)"
    rm -f outputs/other.gguf
done <others
echo 'return { x = gguf { quantize { source "3.gguf", "Q1_0" } } }' >other.lua
vb other.lua
ok an_odd_width_is_named grep -F "no tensor type fallback is defined" "$scratch/err"

# ---- folders, through the conversion -------------------------------------------------------------
workspace converted
ln -s "$golden/convert" golden
grep -v '^#' "$golden/quant/model/converted.txt" >list
{
    echo 'local out = {}'
    while read -r case dir type preset sha bytes; do
        echo "out['$case.$preset'] = gguf { quantize { source 'golden/$case/$dir', '$preset' } }"
        echo "out['file.$case.$preset'] = gguf {"
        echo "  quantize { source 'golden/$case/$case.$type.gguf', '$preset' } }"
    done <list
    echo 'return out'
} >all.lua
vb plan all.lua
cp "$scratch/json" plan.json
vb all.lua
same folders_and_files_build 0 "$code"
while read -r case dir type preset sha bytes; do
    for name in "$case.$preset" "file.$case.$preset"; do
        same "$name.sha256" "$sha" "$(sha256sum "outputs/$name.gguf" | cut -d' ' -f1)"
        planned "$name.plan_told_its_bytes" "$name.gguf" "$bytes"
    done
done <list
same there_are_six_files 6 "$(wc -l <list)"

# ---- a conversion first, then the preset: the same file as in one step ---------------------------
# steps NAME MODEL [OUTTYPE]: quantize { MODEL, ... } is what the GGUF file of MODEL quantizes to.
# One artifact name, since it enters the header.
steps() {
    echo "return { x = gguf { $2${3:+, outtype = '$3'} } }" >convert.lua
    vb -o "$1.converted" convert.lua
    echo "return { x = gguf { quantize { source '$1.converted/x.gguf', 'Q4_K_M' } } }" >two.lua
    echo "return { x = gguf { quantize { $2, 'Q4_K_M'${4:-} } } }" >one.lua
    vb -o "$1.two" two.lua
    vb -o "$1.one" one.lua
    cp "$scratch/err" "$1.err"
    cp "$scratch/out" "$1.out"
    ok "$1.in_one_step" cmp "$1.two/x.gguf" "$1.one/x.gguf"
}
base="source '$models/nano-llama-base'" code_="source '$models/nano-llama-python'"
fine="scale { cast { $base, to = 'f32' }, all = 1.37 }" # of values that f16 and bf16 must round
steps as_it_is "$base"
steps layers_taken_out "slice($base, 1, 3)"
steps layers_put_on "stack { $base, $code_, slice($base, 1, 4) }"
steps a_merge "merge.slerp { $base, $code_, t = 0.5 }"
steps a_graft "graft { $base, ffn = $code_ }"
steps tied "source '$models/nano-qwen2'"
steps f32_goes_through_f16 "$fine"
ok f32_through_f16_is_said grep -qF "through f16" f32_goes_through_f16.out f32_goes_through_f16.err
steps via_f32_is_not_rounded "$fine" f32 ", via = 'f32'"
steps via_bf16 "$fine" bf16 ", via = 'BF16'"
ok via_changes_the_file sh -c '! cmp -s f32_goes_through_f16.one/x.gguf via_bf16.one/x.gguf'
ok via_f32_changes_it_too \
    sh -c '! cmp -s f32_goes_through_f16.one/x.gguf via_f32_is_not_rounded.one/x.gguf'
echo "return { x = gguf { quantize { $fine, default = 'q8_0' } } }" >types.lua
echo "return { x = gguf { quantize { $fine, default = 'q8_0', via = 'f32' } } }" >via.lua
echo "return { x = gguf { quantize { $fine, default = 'q8_0', via = 'auto' } } }" >auto.lua
vb -o types types.lua
vb -o via via.lua
vb -o auto auto.lua
ok types_take_the_values_as_they_are cmp types/x.gguf via/x.gguf
ok types_go_through_what_via_says sh -c '! cmp -s types/x.gguf auto/x.gguf'

# `output` over a model without one is the head all the same, as --output-tensor-type is.
for word in output token_embd embed; do
    echo "local m = source '$models/nano-qwen2'
return { x = gguf { quantize { m, 'Q4_K_M', $word = 'q5_k' } } }" >head.lua
    vb -o "head.$word" head.lua
done
ok output_of_a_tied_model_is_its_embedding cmp head.output/x.gguf head.token_embd/x.gguf
ok embed_of_a_tied_model_is_its_embedding cmp head.embed/x.gguf head.token_embd/x.gguf
ok a_word_for_the_head_changes_the_file sh -c '! cmp -s head.output/x.gguf tied.one/x.gguf'

# ---- only what changed ---------------------------------------------------------------------------
workspace changes
ln -s "$golden/quant/model/src.gguf" src.gguf
echo 'return { x = gguf { quantize { source "src.gguf", option("type", "Q4_K_M") } } }' >one.lua
vb one.lua
first=$(of run)
same a_first_preset_quantizes_every_matrix "16" "$first"
vb one.lua -D type=Q4_K_S
same another_preset_runs_only_tensors_of_other_types "0 3" "$code $(of run)"
vb one.lua -D type=q4_k
same a_preset_again_runs_nothing "0 0" "$code $(of run)"
echo 'return { x = gguf { quantize { source "src.gguf", "Q4_K_M", attn_k = "q5_k" } } }' >word.lua
vb word.lua
same a_word_runs_its_tensors "0 2" "$code $(of run)"
vb -o small one.lua -D type=Q4_K_S
cat >types.lua <<'EOF'
return {
  x = gguf { quantize { source "src.gguf", default = "q4_k", output = "q6_k", attn_v = "q5_k" } },
}
EOF
vb types.lua
same types_find_what_a_preset_made "0 0" "$code $(of run)"
ok the_same_choice_in_words_is_the_same_file cmp small/x.gguf outputs/x.gguf

# ---- importance matrices -------------------------------------------------------------------------
workspace weighted
ln -s "$golden/quant/model/src.gguf" src.gguf
cp "$golden/imatrix/model.dat" im_model.dat
cp "$golden/imatrix/model.gguf" twin.gguf
mkdir same
cp twin.gguf same/im_model.dat
cp src.gguf same/src.gguf
echo 'return {}' >same/build.lua

# weighs OUT WORDS: OUT/x.gguf, quantized with WORDS
weighs() {
    echo "local f = source 'src.gguf'
return { x = gguf { quantize { $2 } } }" >weighs.lua
    vb -o "$1" weighs.lua
}
# imatrix FILE NAME COUNT...: a legacy file, N values of 2 for each NAME
imatrix() {
    lua5.4 - "$@" <<'EOF'
local out = { string.pack("<i4", (#arg - 1) // 2) }
for i = 2, #arg, 2 do
  out[#out + 1] = string.pack("<s4i4i4", arg[i], 1, arg[i + 1] + 0)
    .. string.pack("<f", 2):rep(arg[i + 1] + 0)
end
local file = assert(io.open(arg[1], "wb"))
file:write(table.concat(out))
file:close()
EOF
}
weighs plain "f, 'Q4_K_M'"
weighs q8 "f, 'Q8_0'"
weighs legacy "f, 'Q4_K_M', imatrix = 'im_model.dat'"
same only_tensors_with_a_vector_run 15 "$(of run)"
same an_imatrix_gives_no_warning 0 "$(grep -c warning "$scratch/err")"
weighs gguf "f, 'Q4_K_M', imatrix = 'twin.gguf'"
same the_same_vectors_run_nothing "0 0" "$code $(of run)"
ok another_path_is_another_header sh -c '! cmp -s legacy/x.gguf gguf/x.gguf'
cp weighs.lua same/weighs.lua
sed -i 's/twin.gguf/im_model.dat/' same/weighs.lua
cd same || exit 2
vb weighs.lua
cd ..
ok the_same_path_and_vectors_are_the_same_file cmp legacy/x.gguf same/outputs/x.gguf
weighs q8im "f, 'Q8_0', imatrix = 'im_model.dat'"
same a_type_that_uses_no_vector_runs_nothing "0 0" "$code $(of run)"
ok its_header_names_the_imatrix sh -c '! cmp -s q8/x.gguf q8im/x.gguf'
weighs words "f, default = 'q4_k', imatrix = { 'im_model.dat', exclude = { 'ffn_', 'output' } }"
same types_take_an_imatrix 0 "$code"
same what_is_left_out_on_purpose_is_no_warning 0 "$(grep -c warning "$scratch/err")"
"$VBUILD" inspect words/x.gguf >keys
sed -n '/general.file_type/,/^$/p' keys | sed -n 's/^ *quantize\.imatrix\.//p' >facts
same types_name_it_after_the_file_type \
    'file = "im_model.dat" dataset = "calib.txt" entries_count = 6 chunks_count = 7' \
    "$(tr '\n' ' ' <facts | sed 's/ $//')"
weighs small "f, 'Q2_K_S', imatrix = 'im_model.dat'"
same q2_k_s_builds_with_an_imatrix 0 "$code"

# One changed value: byte 40 of the vector of blk.0.attn_v.weight.
lua5.4 - im_model.dat <<'EOF'
local file = assert(io.open(arg[1], "r+b"))
local _, name = file:read("a"):find("blk.0.attn_v.weight", 1, true)
file:seek("set", name + 8 + 40)
file:write(string.pack("<f", 1234.5))
file:close()
EOF
weighs changed "f, 'Q4_K_M', imatrix = 'im_model.dat'"
same a_changed_vector_runs_its_tensor "0 1" "$code $(of run)"
ok a_changed_vector_changes_the_file sh -c '! cmp -s legacy/x.gguf changed/x.gguf'
weighs words "f, default = 'q4_k', attn_v = 'q8_0', imatrix = 'twin.gguf'"
weighs words "f, default = 'q4_k', attn_v = 'q8_0', imatrix = 'im_model.dat'"
same a_changed_vector_that_nothing_uses_runs_nothing "0 0" "$code $(of run)"

# Under layers' origins, and under the names of the model that is quantized.
weighs all "f, default = 'q4_k', imatrix = 'twin.gguf'"
weighs of "slice(f, 1, 2), default = 'q4_k', imatrix = { 'twin.gguf', of = f }"
same an_origins_vectors_are_those_of_its_own_layer "0 0" "$code $(of run)"
weighs of "slice(f, 1, 2), default = 'q4_k', imatrix = { 'twin.gguf', of = source 'src.gguf' }"
same the_same_file_again_is_the_same_origin "0 0" "$code $(of run)"
merged="merge.slerp { slice(f, 1, 2), slice(f, 0, 1), t = 0.5 }, default = 'q4_k'"
weighs merged "$merged, imatrix = { 'twin.gguf', of = f }"
weighs merged "$merged, imatrix = { 'twin.gguf', of = f, exclude = { 'blk.0' } }"
same a_merges_origin_is_its_first_models "0 0" "$code $(of run)"
weighs merged "$merged, imatrix = { 'twin.gguf', of = f, exclude = { 'blk.1' } }"
same and_no_other "0 7" "$code $(of run)"
weighs final "slice(f, 1, 2), default = 'q4_k', imatrix = 'twin.gguf'"
same without_of_the_final_names_count "0 7" "$code $(of run)"

imatrix embd.dat token_embd.weight 7 blk.0.attn_v.weight 256
weighs embd "f, 'Q4_K_M', imatrix = 'embd.dat'"
same a_wrong_length_of_the_embedding_is_passed_over 0 "$code"
ok it_is_said grep -q "warning.*7 values for token_embd.weight, which has 256 columns" "$scratch/err"
ok missing_entries_are_counted_once \
    sh -c 'test "$(grep -c "no entry for 13 of the 14 matrices" "$1")" = 1' - "$scratch/err"
"$VBUILD" inspect embd/x.gguf >keys
same no_chunks_and_no_dataset_have_no_key "file entries_count" \
    "$(sed -n 's/^ *quantize\.imatrix\.\([a-z_]*\) .*/\1/p' keys | tr '\n' ' ' | sed 's/ $//')"
long=$(printf '%0125d' 0 | sed 's|0|d/|g')
mkdir -p "$long"
cp twin.gguf "$long/im"
weighs long "f, 'Q4_K_M', imatrix = '$long/im'"
"$VBUILD" inspect long/x.gguf >keys
ok a_path_is_cut_at_127_bytes \
    grep -qxF "  quantize.imatrix.file = \"$(echo "$long" | cut -c-127)\"" keys
cp "$golden/imatrix/model.dat" im_model.dat
imatrix width.dat blk.0.attn_v.weight 128
imatrix other.dat model.layers.0.attn_v.weight 256
imatrix last.dat blk.1.attn_v.weight 256
head -c 1000 im_model.dat >cut.dat
cp plain/x.gguf x.gguf

# ---- refused -------------------------------------------------------------------------------------
mkdir -p outputs
cp ../changes/outputs/x.gguf outputs/x.gguf
# refused NAME VALUE TEXT...: quantize { VALUE } is refused while planning, saying every TEXT
refused() {
    case_=$1
    echo "local m = source '$models/nano-llama-base'
local f = source 'src.gguf'
return { x = gguf { quantize { $2 } } }" >refused.lua
    vb refused.lua
    same "$case_.code" 2 "$code"
    shift 2
    for text in "refused.lua:3:" "$@"; do
        ok "$case_.says_$text" grep -qF -e "$text" "$scratch/err"
    done
}
for row in IQ1_S:iq2_xxs IQ1_M:iq2_xxs IQ2_XXS:q2_k IQ2_XS:q2_k IQ2_S:iq3_s IQ2_M:iq3_s \
    IQ3_XXS:iq3_s IQ3_XS:iq3_ IQ3_S:iq3_s IQ3_M:iq3_s; do
    refused "${row%:*}" "f, '${row%:*}'" "${row%:*} gives " "not made in this release"
done
refused a_preset_that_needs_an_imatrix "m, 'Q2_K_S'" "this quantization requires an imatrix" "q2_k" \
    'imatrix = "FILE"'
refused an_entry_that_is_needed "f, 'Q2_K_S', imatrix = { 'im_model.dat', exclude = { 'blk.1' } }" \
    "requires an imatrix" "blk.1.attn_k.weight" "has no entry for it"
refused an_imatrix_that_is_not_there "f, 'Q4_K_M', imatrix = 'none.dat'" "none.dat: No such file"
refused a_damaged_imatrix "f, 'Q4_K_M', imatrix = 'cut.dat'" "cut.dat: byte "
refused an_imatrix_of_another_model "f, 'Q4_K_M', imatrix = 'other.dat'" "imatrix of another model" \
    "other.dat" "model.layers.0.attn_v.weight"
refused an_imatrix_of_another_origin \
    "slice(f, 0, 1), default = 'q4_k', imatrix = { 'last.dat', of = f }" "imatrix of another model"
refused another_file_of_the_same_name \
    "f, 'Q4_K_M', imatrix = { 'im_model.dat', of = source 'same/src.gguf' }" "by the names of 'of'"
refused a_vector_of_another_width "f, 'Q4_K_M', imatrix = 'width.dat'" \
    "128 values for blk.0.attn_v.weight, which has 256 columns"
refused both_filters \
    "f, 'Q4_K_M', imatrix = { 'im_model.dat', include = { 'a' }, exclude = { 'b' } }" \
    "'include' and 'exclude' cannot both"
refused a_filter_that_leaves_nothing \
    "f, 'Q4_K_M', imatrix = { 'im_model.dat', include = { 'zz' } }" "none of the 15 entries"
refused a_filter_that_is_no_list "f, 'Q4_K_M', imatrix = { 'im_model.dat', include = { 3 } }" \
    "'include' takes a list of texts"
refused a_filter_with_no_text "f, 'Q4_K_M', imatrix = { 'im_model.dat', exclude = {} }" "empty list"
refused an_unknown_key_of_imatrix "f, 'Q4_K_M', imatrix = { 'im_model.dat', inclde = { 'a' } }" \
    "did you mean 'include'?"
refused an_origin_that_is_no_source \
    "f, 'Q4_K_M', imatrix = { 'im_model.dat', of = slice(f, 1, 2) }" "expected the source"
refused an_imatrix_that_is_a_number "f, 'Q4_K_M', imatrix = 3" "'imatrix' is the number 3"
refused an_imatrix_that_is_two "f, 'Q4_K_M', imatrix = { 'a', 'b' }" "more than one item"
refused a_preset_nearly "m, 'Q4_KM'" "unknown preset 'Q4_KM'" "did you mean 'Q4_K_M'?" \
    "types { ... }"
refused a_type_that_is_no_preset "m, 'nvfp4'" "'nvfp4'" 'default = "nvfp4"'
refused a_preset_and_a_default "m, 'Q4_K_M', default = 'q4_k'" "'default' has nothing to do"
refused a_word_over_copy "m, 'COPY', attn_v = 'q8_0'" "COPY copies every tensor"
refused a_word_that_f16_would_ignore "m, 'F16', attn_v = 'q8_0'" "'attn_v'" 'default = "f16"'
refused pure_without_a_preset "m, default = 'q4_k', pure = true" "'pure'"
refused pure_that_is_no_truth "m, 'Q4_K_M', pure = 1" "'pure'" "true or false"
refused an_unknown_via "m, 'Q4_K_M', via = 'bf6'" "'bf6'" "did you mean 'bf16'?"
refused a_preset_in_words "m, 'Q4_K_M', attn_v = 'Q6_K_M'" "'Q6_K_M'"
refused a_preset_as_a_type "m, 'Q4_K_M', attn_v = 'q3_k_m'" "preset" 'quantize { m, "Q3_K_M" }'
refused with_of_a_preset "m, with('Q4_K_M', { attn_v = 'q6_k' })" "with" \
    'quantize { m, "Q4_K_M", ROLE'
refused a_role_that_is_not_there "m, 'Q4_K_M', ffn_up_exps = 'q6_k'" "'ffn_up_exps'" "optional"
refused a_third_item "m, 'Q4_K_M', 'Q6_K'" "not 3 items"
refused nothing_to_go_by "m" "a preset" "types { ... }"
cp outputs/x.gguf quantized.gguf
refused a_quantized_source "source 'quantized.gguf', 'Q6_K'" "quantized already" "allow_requantize"
same refusals_leave_no_file x.gguf "$(cd outputs && ls ./*.gguf | sed 's|^./||')"
finish
