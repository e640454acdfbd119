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
cat >methods.lua <<'EOF'
local base = source "models/base"
local ft1, ft2, ft3 = source "models/ft1", source "models/ft2", source "models/ft3"

local list = {
  arcee_fusion_f32 = merge.arcee_fusion { ft1, base = base, dtype = "f32", out_dtype = "bf16" },
  breadcrumbs = merge.breadcrumbs {
    { ft1, weight = 0.7, density = 0.9, gamma = 0.01 },
    { ft2, weight = 0.3, density = 0.5, gamma = 0.1 }, base = base, dtype = "bf16",
  },
  breadcrumbs_ties = merge.breadcrumbs_ties {
    { ft1, weight = 0.7, density = 0.8, gamma = 0.05 }, { ft2, weight = 0.5, density = 0.6 },
    base = base, rescale = true, dtype = "f32", out_dtype = "bf16",
  },
  dare_linear_f32_seed7 = merge.dare_linear {
    { ft1, density = 0.2 }, { ft3, density = 0.8 }, weight = 0.5, base = base, seed = 7,
    dtype = "f32", out_dtype = "bf16",
  },
  dare_ties_seed7 = merge.dare_ties {
    { ft1, weight = 0.5, density = 0.53 }, { ft2, weight = 0.4, density = 0.6 }, base = base,
    int8_mask = true, seed = "0x7", dtype = "bf16",
  },
  della_linear_f32_seed7 = merge.della_linear {
    { ft1, density = 0.6 }, { ft3, density = 0.7 }, weight = 0.5, base = base, seed = 7,
    dtype = "f32", out_dtype = "bf16",
  },
  della_seed7 = merge.della {
    { ft1, weight = 0.5, density = 0.6, epsilon = 0.1 },
    { ft2, weight = 0.5, density = 0.5, epsilon = 0.2 }, base = base, lambda = 1.1, seed = 7,
    dtype = "bf16",
  },
  karcher_3_f32 = merge.karcher {
    ft1, ft2, ft3, max_iter = 10, tol = 1e-5, dtype = "f32", out_dtype = "bf16",
  },
  model_stock = merge.model_stock { ft1, ft2, ft3, base = base, dtype = "bf16" },
  model_stock_filterwise_f32 = merge.model_stock {
    ft1, ft2, base = base, filter_wise = true, dtype = "f32", out_dtype = "bf16",
  },
  multislerp_base_f32 = merge.multislerp {
    { ft1, weight = 0.5 }, { ft2, weight = 0.25 }, { ft3, weight = 0.25 }, base = base,
    dtype = "f32", out_dtype = "bf16",
  },
  multislerp_nobase = merge.multislerp { ft1, ft2, weight = 0.5, dtype = "bf16" },
  nearswap = merge.nearswap { base, ft1, base = base, t = 0.002, dtype = "bf16" },
  nuslerp_colwise_f32 = merge.nuslerp {
    { ft1, weight = 0.5 }, { ft2, weight = 0.5 }, nuslerp_flatten = false, dtype = "f32",
    out_dtype = "bf16",
  },
  nuslerp_flat = merge.nuslerp {
    { ft1, weight = 0.6 }, { ft2, weight = 0.2 }, dtype = "bf16",
  },
  nuslerp_rowwise_base = merge.nuslerp {
    { ft1, weight = 1 }, { ft3, weight = 1 }, base = base, nuslerp_flatten = false,
    nuslerp_row_wise = true, dtype = "f32", out_dtype = "bf16",
  },
  qwen2_ties_tied = merge.ties {
    { source "models/qw_ft1", weight = 0.5, density = 0.5 },
    { source "models/qw_ft2", weight = 0.5, density = 0.6 }, base = source "models/qw_base",
    dtype = "bf16",
  },
  ram = merge.ram { ft1, ft2, ft3, base = base, dtype = "bf16" },
  ramplus_tl_f32 = merge.ramplus_tl {
    ft1, ft2, base = base, r = 0.2, dtype = "f32", out_dtype = "bf16",
  },
  sce_topk = merge.sce {
    ft1, ft2, ft3, base = base, select_topk = 0.3, dtype = "f32", out_dtype = "bf16",
  },
  task_arithmetic_lambda = merge.task_arithmetic {
    { ft1, weight = 0.6 }, { ft2, weight = 0.5 }, base = base, lambda = 0.8, dtype = "bf16",
  },
  ties_05 = merge.ties {
    base, { ft1, weight = 0.5, density = 0.5 }, { ft2, weight = 0.5, density = 0.5 },
    { ft3, weight = 0.3, density = 0.7 }, base = base, dtype = "bf16",
  },
  ties_gradient_int8_f32 = merge.ties {
    { ft1, weight = by { { "mlp", 0.5 }, 0 }, density = ramp { 1, 0.7, 0.1 } },
    { ft2, weight = ramp { 0, 0.3, 0.7, 1 }, density = 0.5 }, base = base, int8_mask = true,
    normalize = false, dtype = "f32", out_dtype = "bf16",
  },
}
local out = {}
for name, model in pairs(list) do out[name] = safetensors { model, name = name } end
return out
EOF
vb twins.lua
same twins_of_mergekit_configurations_build 0 "$code"
vb methods.lua
same twins_of_every_method_build 0 "$code"
ok weights_that_are_all_zero_are_counted grep -F "all weights are 0: " "$scratch/err"

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

refused vocabularies_of_unlike_size "truncate_vocab = true keeps the rows" <<'EOF'
local a, b = source "models/base", source "models/ftpad"
return { x = safetensors { merge.linear { a, b, weight = 1 }, name = "refused" } }
EOF
refused a_head_that_the_base_lacks_a_row_of "[64, 64] in 'base' and [72, 64] in 'ftpad'" <<'EOF'
local a, b = source "models/base", source "models/ftpad"
return { x = safetensors { merge.ties { b, base = a, weight = 1 }, name = "refused" } }
EOF
refused rows_of_what_reduces_cannot_be_cut "cannot be cut" <<'EOF'
local a, b, pad = source "models/ft1", source "models/ft2", source "models/ftpad"
local m = merge.slerp { pad, merge.passthrough { pad, scale = 2 }, t = 0.5 }
local n = merge.linear { a, m, weight = 1, truncate_vocab = true }
return { x = safetensors { n, name = "refused" } }
EOF

# ---- sources of other formats, other architectures, layers put together -------------------------
ln -s "$root/tests/models" nano
mkdir asqwen3
cp models/ft2/* asqwen3
sed -i 's/LlamaForCausalLM/Qwen3ForCausalLM/' asqwen3/config.json
cat >forms.lua <<'EOF'
local nano, prose = source "nano/nano-llama-base", source "nano/nano-llama-prose"
local code = source "nano/nano-llama-python"
local ft1, ft2 = source "models/ft1", source "models/ft2"
local function dare(b, x, y, first)
  return merge.dare_linear {
    { x, weight = 0.5, density = 0.4 }, { y, weight = 0.4, density = ramp { 0.2, 0.9 } }, base = b,
    seed = "0xfedcba9876543210", dtype = "bf16", first = first,
  }
end
local function part(first, last)
  return merge.slerp { slice(ft1, first, last), slice(ft2, first, last), t = 0.5, first = first }
end
local out = {
  plain = safetensors { dare(nano, prose, code) },
  mixed = safetensors { merge.nuslerp {
    ft1, source "asqwen3", weight = 1, allow_mixed_arch = true,
  } },
  alike = safetensors { merge.nuslerp { ft1, ft2, weight = 1 } },
  whole = safetensors { part(0, 4) },
  parts = safetensors { stack { part(0, 1), part(1, 4), part(4, 4) } },
  f1 = gguf { prose, outtype = "bf16" }, f2 = gguf { code, outtype = "bf16" },
}
if option("again", false) then
  out.again = safetensors { dare(nano, source "outputs/f1.gguf", source "outputs/f2.gguf") }
end
return out
EOF
vb forms.lua f1 f2
vb -D again=true forms.lua
same merges_of_many_forms_build 0 "$code"
ok gguf_sources_merge_as_what_they_were_made_of \
    lua5.4 "$e2e/same.lua" outputs/plain outputs/again
ok other_architectures_merge_by_names lua5.4 "$e2e/same.lua" outputs/alike outputs/mixed
ok a_stack_of_merges_is_the_merge_of_the_whole lua5.4 "$e2e/same.lua" outputs/whole outputs/parts
vb -D again=true forms.lua
same nothing_runs_again 0 "$(of run)"

# ---- vocabularies of unlike size or order -----------------------------------------------------
cat >cut.lua <<'EOF'
local base, pad, vocab = source "models/base", source "models/ftpad", source "models/ftvocab"
return {
  cut = safetensors { merge.linear {
    { base, weight = 0 }, { cast { scale { pad, embed = 2 }, to = "f32" }, weight = 1 },
    truncate_vocab = true, out_dtype = "bf16",
  } },
  padded = safetensors { merge.passthrough { cast { scale { pad, embed = 2 }, to = "f32" } } },
  tokens = safetensors { merge.linear { base, vocab, weight = 0.5, truncate_vocab = true } },
}
EOF
vb cut.lua
same vocabularies_are_cut 0 "$code"
ok rows_that_all_have_are_kept lua5.4 - "$e2e" <<'EOF'
package.path = arg[1] .. "/?.lua"
local tensors = require "tensors"
local cut, padded = tensors.open "outputs/cut", tensors.open "outputs/padded"
for _, name in ipairs { "model.embed_tokens.weight", "lm_head.weight" } do
  local t, whole, rows = cut[name], padded[name].data, {}
  assert(t.dims[1] == 64 and padded[name].dims[1] == 72)
  for i = 1, 64 * 64 do rows[i] = whole:sub(4 * i - 1, 4 * i) end
  assert(t.data == table.concat(rows), name)
end
EOF
ok the_config_has_the_rows grep -q '"vocab_size": 64' outputs/cut/config.json
ok the_cut_is_said grep -F "cut to the 64 rows that all models have, of up to 72: 2 tensors" \
    "$scratch/err"
ok tokens_of_other_numbers_are_counted \
    grep -F "tokens of 'ftvocab' have another number than in 'base'" "$scratch/err"

# ---- integers, and tensors that not every model has ----------------------------------------------
mkdir one other
lua5.4 - "$golden/models" "$e2e" <<'EOF'
package.path = arg[2] .. "/?.lua"
local tensors = require "tensors"
local extra = {
  one = { ["model.position_ids"] = { "i64", "\1\0\0\0\0\0\0\0" },
    ["model.layers.0.self_attn.q_proj.bias"] = { "bf16", ("\0\63"):rep(64) } },
  other = { ["model.position_ids"] = { "i64", "\1\0\0\0\0\0\0\0" } },
}
for to, from in pairs { one = "ft1", other = "ft2" } do
  local all, header, data, at = tensors.open(arg[1] .. "/" .. from), {}, {}, 0
  for name, t in pairs(extra[to]) do
    all[name] = { type = t[1], dims = { t[1] == "i64" and 1 or 64 }, data = t[2] }
  end
  for _, name in ipairs(tensors.names(all)) do
    local t = all[name]
    header[#header + 1] = ('"%s":{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'):format(name,
      t.type:upper(), table.concat(t.dims, ","), at, at + #t.data)
    data[#data + 1], at = t.data, at + #t.data
  end
  local text = "{" .. table.concat(header, ",") .. "}"
  local file = assert(io.open(to .. "/model.safetensors", "wb"))
  file:write(string.pack("<I8", #text), text, table.concat(data))
  file:close()
end
EOF
cat >extra.lua <<'EOF'
local one, other = source "one", source "other"
return { extra = safetensors {
  merge.slerp { one, other, t = 0.5, missing = "union", dtype = "bf16", out_dtype = "f32" },
} }
EOF
vb extra.lua
same integers_and_single_tensors_merge 0 "$code"
ok equal_integers_are_copied_a_single_tensor_too lua5.4 - "$e2e" <<'EOF'
package.path = arg[1] .. "/?.lua"
local all = require("tensors").open "outputs/extra"
local ids, bias = all["model.position_ids"], all["model.layers.0.self_attn.q_proj.bias"]
assert(ids.type == "i64" and ids.data == "\1\0\0\0\0\0\0\0")
assert(bias.type == "f32" and bias.data == ("\0\0\0\63"):rep(64))
EOF

# ---- warnings ------------------------------------------------------------------------------------
cat >warn.lua <<'EOF'
local base, ft1, ft2 = source "models/base", source "models/ft1", source "models/ft2"
return { w = safetensors { merge.ties {
  { ft1, weight = { attn = 0, default = 1 }, density = ramp { 0, 1 } }, { ft2, weight = 0 },
  base = base,
} } }
EOF
vb plan warn.lua
same density_zero_and_weights_of_zero_are_no_errors 0 "$code"
ok but_warned_of_with_their_number sh -c 'grep -F "$1" "$0" && grep -F "$2" "$0"' "$scratch/err" \
    "warn.lua:2: merge.ties: density 0 drops every change of 'ft1': 12 tensors" \
    "warn.lua:2: merge.ties: all weights are 0: 16 tensors"

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
