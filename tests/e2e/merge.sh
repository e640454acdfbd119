#!/bin/sh
# merge.sh - merges and stacks against mergekit's own files (tests/golden/merge)
#
# Each case is the Lua twin of a mergekit configuration; tolerances are those of index.json. The
# last part is recipes/fimbulvetr.lua in miniature: what runs, what is an alias, what is rebuilt.
. tests/e2e/lib.sh
golden=$root/tests/golden/merge
e2e=$root/tests/e2e
tab=$(printf '\t')

workspace merge
ln -s "$golden/models" models
ln -s "$root/tests/golden/convert/qwen2-yarn/Qwen2-0.2M-yarn-128k" qwen

cat >twins.lua <<'EOF'
local base = source "models/base"
local ft1, ft2, ft3 = source "models/ft1", source "models/ft2", source "models/ft3"

local function folder(name, model) return safetensors { model, name = name } end

local mixed = {
  { source "models/ft1_f32", weight = 0.6 }, { source "models/ft3_f16", weight = 0.4 },
}
local nonorm = {
  { base, weight = 0.5 }, { ft1, weight = 0.4 }, { ft3, weight = -0.1 }, normalize = false,
}
local nonorm_f32 = {
  { base, weight = 0.5 }, { ft1, weight = 0.4 }, { ft3, weight = -0.1 }, normalize = false,
  dtype = "f32",
}
return {
  linear_2 = folder("linear_2", merge.linear {
    { ft1, weight = 0.7 }, { ft2, weight = 0.3 }, dtype = "bf16",
  }),
  linear_3_nonorm_f32 = folder("linear_3_nonorm_f32",
    cast { merge.linear(nonorm_f32), to = "bf16" }),
  linear_3_inside = folder("linear_3_inside", merge.linear(nonorm)),
  linear_filters_gradient = folder("linear_filters_gradient", merge.linear {
    { ft1, weight = by { { "self_attn", ramp { 0.2, 0.8 } }, { "mlp", 1.0 }, 0.5 } },
    { ft2, weight = ramp { 1, 0, 0.25, 1 } },
    dtype = "bf16",
  }),
  linear_mixed_dtype_nodtype = folder("linear_mixed_dtype_nodtype", merge.linear(mixed)),
  slerp_const = folder("slerp_const", merge.slerp { ft1, ft2, t = 0.5, dtype = "bf16" }),
  slerp_gradient_slices = folder("slerp_gradient_slices", merge.slerp {
    ft1, ft3, dtype = "bf16",
    t = by {
      { "self_attn", ramp { 0, 0.5, 0.3, 0.7, 1 } }, { "mlp", ramp { 1, 0.5, 0.7, 0.3, 0 } }, 0.5,
    },
  }),
  slerp_f32_out_f16 = folder("slerp_f32_out_f16", cast {
    merge.slerp { ft2, ft3, base = ft3, t = 0.3, dtype = "f32" }, to = "f16",
  }),
  slerp_two_ranges = folder("slerp_two_ranges", stack {
    merge.slerp { slice(ft1, 0, 2), slice(ft2, 1, 3), t = ramp { 0.1, 0.9 }, dtype = "bf16" },
    merge.slerp { slice(ft1, 2, 4), slice(ft2, 2, 4), t = 0.25, dtype = "bf16" },
  }),
  mistral_slerp = folder("mistral_slerp", merge.slerp {
    source "models/mis_a", source "models/mis_b", t = 0.6, dtype = "bf16",
  }),
  passthrough_franken = folder("passthrough_franken", cast {
    stack { slice(ft1, 0, 3), slice(ft2, 1, 4), slice(ft3, 2, 4) }, to = "f16",
  }),
  modules_syntax = folder("modules_syntax", merge.passthrough {
    slice(ft1, 1, 3), scale = by { { "o_proj", 0.5 }, 1.0 },
  }),
}
EOF
vb twins.lua
same twins_of_mergekit_configurations_build 0 "$code"

deep=$root/recipes/fimbulvetr.lua
vb -D model=models/deep48 "$deep"
same fimbulvetr_of_a_bf16_source_builds 0 "$code"
cp -R outputs/Fimbulvetr-11B-deep outputs/seed003
cp "$scratch/json" first.json

# ---- every golden: names, types, shapes, elements, config -----------------------------------
lua5.4 "$e2e/cases.lua" merge "$golden/index.json" >cases
while IFS=$tab read -r name exact ulp rel flip; do
    ok "$name" lua5.4 "$e2e/compare.lua" "$golden/expected/$name.safetensors" "outputs/$name" \
        "$exact" "$ulp" "$rel" "$flip"
    echo "    $(tail -n 1 "$scratch/said")"
    ok "$name.config" lua5.4 "$e2e/config.lua" "$golden/expected/$name.config.json" \
        "outputs/$name/config.json"
done <cases
while IFS=$tab read -r name exact rest; do
    case $exact in
    1.0) ok "$name.file_is_equal_byte_for_byte" \
        cmp "$golden/expected/$name.safetensors" "outputs/$name/model.safetensors" ;;
    esac
done <cases
ok f32_inside_rounds_once_as_dtype_f32_and_a_cast \
    lua5.4 "$e2e/same.lua" outputs/linear_3_nonorm_f32 outputs/linear_3_inside
ok tokenizer_comes_along cmp models/ft1/tokenizer.json outputs/linear_2/tokenizer.json
# The comparison itself can fail: another model is neither equal nor near.
ok another_model_is_not_the_golden sh -c '! lua5.4 "$@"' - "$e2e/compare.lua" \
    "$golden/expected/slerp_const.safetensors" models/ft1 0.98 1 0.00390625 0

# ---- the same merge said otherwise is the same merge ------------------------------------------
# Digests of the artifacts, in the order of their names.
digests() {
    sed -n '/"e":"end"/s/.*"artifacts"://p' "$scratch/json" | tr ',' '\n' |
        sed -n 's/.*"digest":"\([0-9a-f]*\)".*/\1/p' | sort -u
}
cat >ways.lua <<'EOF'
local ft1, ft2 = source "models/ft1", source "models/ft2"
local t = ramp { 0.2, 0.8 }
local ways = {
  first_is_the_base = merge.slerp { ft1, ft2, t = t },
  base_named        = merge.slerp { ft2, base = ft1, t = t },
  base_named_twice  = merge.slerp { ft2, ft1, base = ft1, t = t },
  function_of_layer = merge.slerp { ft1, ft2, t = function(i, n)
    local f = i / (n - 1)
    return (1 - f) * 0.2 + f * 0.8
  end },
  work_type_named   = merge.slerp { ft1, ft2, t = t, dtype = "bf16" },
}
local out = {}
for name, model in pairs(ways) do out[name] = safetensors { model, name = name } end
return out
EOF
vb ways.lua
same five_ways_to_write_a_slerp_build 0 "$code"
same five_ways_run_each_tensor_once 39 "$(of run)"
same five_ways_have_one_digest 1 "$(digests | wc -l)"

cat >ends.lua <<'EOF'
local ft1, ft2 = source "models/ft1", source "models/ft2"
return {
  alone = safetensors { merge.linear { { ft1, weight = 3 } }, name = "alone" },
  plain = safetensors { merge.passthrough { ft2, scale = 1 }, name = "plain" },
}
EOF
vb ends.lua
same merges_of_one_model_build 0 "$code"
same passthrough_with_scale_one_is_all_aliases 39 "$(of alias)"
ok one_model_in_a_linear_merge_is_itself lua5.4 "$e2e/same.lua" models/ft1 outputs/alone
ok passthrough_with_scale_one_is_itself lua5.4 "$e2e/same.lua" models/ft2 outputs/plain

# refused NAME TEXT: a recipe on standard input is refused while planning, saying TEXT
refused() {
    cat >refused.lua
    rm -rf outputs/refused
    vb refused.lua
    same "$1.code" 2 "$code"
    ok "$1.message" grep -F -e "$2" "$scratch/err"
    ok "$1.nothing_is_written" test ! -e outputs/refused
}
refused weights_that_sum_to_zero "sum" <<'EOF'
local a, b = source "models/ft1", source "models/ft2"
local m = merge.linear { { a, weight = 1 }, { b, weight = -1 } }
return { x = safetensors { m, name = "refused" } }
EOF
refused a_model_without_weight "no weight" <<'EOF'
local a, b = source "models/ft1", source "models/ft2"
return { x = safetensors { merge.linear { { a, weight = 1 }, b }, name = "refused" } }
EOF
refused models_of_two_architectures "architecture" <<'EOF'
local a, b = source "models/ft1", source "qwen"
return { x = safetensors { merge.slerp { a, b, t = 0.5 }, name = "refused" } }
EOF
refused models_of_two_lengths "layers" <<'EOF'
local a, b = source "models/ft1", source "models/ft2"
return { x = safetensors { merge.slerp { slice(a, 0, 3), b, t = 0.5 }, name = "refused" } }
EOF
refused models_of_two_widths "is [" <<'EOF'
local a, b = source "models/ft1", source "models/deep48"
return { x = safetensors { merge.slerp { a, slice(b, 0, 4), t = 0.5 }, name = "refused" } }
EOF
refused a_gradient_without_ramp "ramp" <<'EOF'
local a, b = source "models/ft1", source "models/ft2"
return { x = safetensors { merge.slerp { a, b, t = { 0, 1 } }, name = "refused" } }
EOF
refused a_pattern_that_hits_nothing "matches no tensor" <<'EOF'
local a, b = source "models/ft1", source "models/ft2"
return { x = safetensors { merge.slerp { a, b, t = by { { "mpl", 1 }, 0.5 } }, name = "refused" } }
EOF
refused a_layer_beyond_the_model "layers" <<'EOF'
return { x = safetensors { stack { slice(source "models/ft1", 2, 5) }, name = "refused" } }
EOF

# ---- Fimbulvetr in miniature: 47 layers of 48 in twelve slices --------------------------------
workspace fimbulvetr
ln -s "$golden/models" models
vb plan -D model=models/deep48 "$deep"
same plan_of_fimbulvetr 0 "$code"
planned=$(of bytes)
ok plan_makes_nothing sh -c 'test ! -e outputs && test ! -e cache'
vb -D model=models/deep48 "$deep"
same first_build_runs_the_scaled_tensors "86 0 0 340" "$(of run) $(of hit) $(of cutoff) $(of alias)"
same plan_told_the_size_to_the_byte "$(of bytes)" "$planned"
ok unused_layers_are_named grep -F "layers 47..47 of deep48 are used nowhere" "$scratch/err"
vb -D model=models/deep48 "$deep"
same second_build_runs_nothing "0 86 0 340" "$(of run) $(of hit) $(of cutoff) $(of alias)"
same second_build_writes_nothing 0 "$(of written_bytes)"
rm -r outputs
vb -D model=models/deep48 "$deep"
same deleted_artifact_comes_back_without_a_run "0 86 340" "$(of run) $(of hit) $(of alias)"
ok deleted_artifact_comes_back_the_same \
    cmp "$golden/expected/seed003.safetensors" outputs/Fimbulvetr-11B-deep/model.safetensors

sed 's/band(44, 47, 4.0)/band(44, 47, 4.5)/' "$deep" >changed.lua
vb --explain -D model=models/deep48 changed.lua
same another_gain_of_the_last_slice_runs_six "6 80 0 340" \
    "$(of run) $(of hit) $(of cutoff) $(of alias)"
ok and_the_reason_is_the_gain grep -F "gain: 4 -> 4.5 (changed.lua:16)" "$scratch/out"

# From F16 every tensor is cast, and the build says so.
cat >half.lua <<'EOF'
return { f = safetensors { cast { source "models/deep48", to = "f16" }, name = "half" } }
EOF
vb half.lua
same an_f16_model_is_made 0 "$code"
mv outputs/half half
rm -r cache
vb -D model=half "$deep"
same f16_source_is_cast_and_scaled "512 0 0 0" "$(of run) $(of hit) $(of cutoff) $(of alias)"
ok the_cast_is_said \
    grep -F "tensors are cast from f16 to bf16, none of them is copied" "$scratch/err"
vb -D model=half "$deep"
same f16_source_second_build_runs_nothing "0 0" "$(of run) $(of failed)"
finish
