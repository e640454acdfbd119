#!/bin/sh
# presets.sh - llama-quantize's presets: whole files equal its own, from GGUF files and from
# Hugging Face folders; what a second preset costs; what is refused, and why
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

# ---- every option set that a recipe can say ------------------------------------------------------
workspace options
ln -s "$golden/quant/model/src.gguf" src.gguf
lua5.4 "$e2e/runs.lua" "$golden/quant/model/endtoend.json" . >list
vb plan
same plan_of_the_option_sets 0 "$code"
cp "$scratch/json" plan.json
vb
same option_sets_build 0 "$code"
while IFS=$tab read -r kind name sha bytes; do
    same "$kind.$name.sha256" "$sha" "$(sha256sum "outputs/$name.gguf" | cut -d' ' -f1)"
    planned "$name.plan_told_its_bytes" "$name.gguf" "$bytes"
done <list
same there_are_seventeen_option_sets 17 "$(grep -c ^file list)"
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
same there_are_821_files 821 "$(wc -l <files)"
while IFS=$tab read -r kind name sha bytes; do echo "$sha  outputs/$name.gguf"; done <files >sums
sha256sum -c sums 2>&1 | sed -n 's/^outputs.\(.*\)\.gguf: OK$/ok \1/p' >right
same every_file_is_llama_quantizes "$(wc -l <files)" "$(wc -l <right)"
cut -d"$tab" -f2 files | sed 's/^/ok /' | grep -vxF -f right | sed 's/^ok/    differs:/'
vb
same every_architecture_again_runs_nothing 0 "$(of run)"
grep -v "^file\|^input" list >others
while IFS=$tab read -r kind name n words; do
    echo "return { other = gguf { quantize { source '$n.gguf', $words } } }" >other.lua
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

# ---- refused -------------------------------------------------------------------------------------
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
refused a_preset_that_needs_an_imatrix "m, 'Q2_K_S'" "this quantization requires an imatrix" "q2_k"
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
