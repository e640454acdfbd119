--- presets: the type that llama-quantize gives each tensor under the name of a preset.
-- A pure function of hyper-parameters, tensor names and shapes: no file and no node is looked
-- at. Source: specs/gguf-quant.md 4.2 to 4.4 with the corrections of specs/allarch.md 2.

local maps = require "maps"

local m = {}

-- ---- names (4.2) ------------------------------------------------------------------------------

--- Every preset: its name, its number in general.file_type, its default type.
m.list = {
  { name = "F32", number = 0, type = "f32" },
  { name = "F16", number = 1, type = "f16" },
  { name = "Q4_0", number = 2, type = "q4_0" },
  { name = "Q4_1", number = 3, type = "q4_1" },
  { name = "Q8_0", number = 7, type = "q8_0" },
  { name = "Q5_0", number = 8, type = "q5_0" },
  { name = "Q5_1", number = 9, type = "q5_1" },
  { name = "Q2_K", number = 10, type = "q2_k" },
  { name = "Q3_K_S", number = 11, type = "q3_k" },
  { name = "Q3_K_M", number = 12, type = "q3_k" },
  { name = "Q3_K_L", number = 13, type = "q3_k" },
  { name = "Q4_K_S", number = 14, type = "q4_k" },
  { name = "Q4_K_M", number = 15, type = "q4_k" },
  { name = "Q5_K_S", number = 16, type = "q5_k" },
  { name = "Q5_K_M", number = 17, type = "q5_k" },
  { name = "Q6_K", number = 18, type = "q6_k" },
  { name = "IQ2_XXS", number = 19, type = "iq2_xxs" },
  { name = "IQ2_XS", number = 20, type = "iq2_xs" },
  { name = "Q2_K_S", number = 21, type = "q2_k" },
  { name = "IQ3_XS", number = 22, type = "iq3_s" },
  { name = "IQ3_XXS", number = 23, type = "iq3_xxs" },
  { name = "IQ1_S", number = 24, type = "iq1_s" },
  { name = "IQ4_NL", number = 25, type = "iq4_nl" },
  { name = "IQ3_S", number = 26, type = "iq3_s" },
  { name = "IQ3_M", number = 27, type = "iq3_s" },
  { name = "IQ2_S", number = 28, type = "iq2_xs" },
  { name = "IQ2_M", number = 29, type = "iq2_s" },
  { name = "IQ4_XS", number = 30, type = "iq4_xs" },
  { name = "IQ1_M", number = 31, type = "iq1_m" },
  { name = "BF16", number = 32, type = "bf16" },
  { name = "TQ1_0", number = 36, type = "tq1_0" },
  { name = "TQ2_0", number = 37, type = "tq2_0" },
  { name = "MXFP4_MOE", number = 38, type = "mxfp4" },
  { name = "Q1_0", number = 40, type = "q1_0" },
  { name = "Q2_0", number = 41, type = "q2_0" },
  { name = "COPY" },
}

local by_name, names = {}, {}

local function add(name, preset)
  by_name[name], names[#names + 1] = preset, name
end
for _, preset in ipairs(m.list) do add(preset.name, preset) end
for _, name in ipairs { "Q3_K", "Q4_K", "Q5_K" } do add(name, by_name[name .. "_M"]) end

--- Every name that m.find knows; the caller must not change it.
m.names = names

--- The preset of a name in any case, or nil.
function m.find(name) return by_name[name:upper()] end

-- ---- which tensors (4.3) ----------------------------------------------------------------------

local skipped = {
  "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel",
  "per_layer_model_proj", "ssm_conv1d", "shortconv.conv.weight", "indexer.k_proj.weight",
  "indexer.q_proj.weight", "time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight",
  "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight",
  "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight",
  "time_mix_g2.weight", "time_mix_decay_w1.weight", "time_mix_decay_w2.weight",
  "time_mix_lerp_fused.weight", "attn_rel_b.weight", ".position_embd", "sam.pos_embd",
  "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd", ".patch_merger", "a.rvq.codebook",
  "mm.a.code_embd",
}
local glm5_skipped = {
  "hc_", "indexer.attn_q_b", "indexer.attn_k", "indexer.proj", "indexer_compressor_gate",
  "indexer_compressor_ape", "ssm_f_a.weight", "ssm_f_b.weight", "ssm_g_a.weight",
  "ssm_g_b.weight", "ssm_beta.weight", "attn_kv_a_mqa.weight", "attn_k_b.weight",
  "attn_v_b.weight",
}
local glm5_q8_0 = { "attn_q_a", "attn_q_b", "nextn.eh_proj" }

local function holds(name, parts)
  for _, part in ipairs(parts) do
    if name:find(part, 1, true) then return true end
  end
  return false
end

-- Remembered by the name without the layer's number.
local remembered = {}

--- Whether llama-quantize may quantize a matrix of this name. Any name of five bytes passes:
-- upstream's test for the ending wraps around there.
function m.may(name, arch_name)
  local stem = name:match("^blk%.%d+(%..*)$") or name
  local key = arch_name == "glm5-next" and "glm5-next/" .. stem or stem
  local may = remembered[key]
  if may == nil then
    may = (name:sub(-6) == "weight" or #name == 5) and not holds(stem, skipped)
      and name ~= "position_embd.weight" and name ~= "token_types.weight"
      and not (arch_name == "glm5-next" and holds(stem, glm5_skipped))
    remembered[key] = may
  end
  return may
end

-- ggml's count of dimensions leaves out trailing ones.
local function is_matrix(ne)
  for i = 2, #ne do
    if ne[i] > 1 then return true end
  end
  return false
end

-- The first that a name holds is its category (4.3.2).
local categories = {
  { "attn_qkv.weight", "v" }, { "attn_kv_b.weight", "v" }, { "attn_v.weight", "v" },
  { "attn_k.weight", "k" }, { "attn_q.weight", "q" }, { "attn_output.weight", "ao" },
  { "ffn_up", "up" }, { "ffn_gate", "gate" }, { "ffn_down", "down" },
}

--- What a tensor's name says it is: output, embd, v (with qkv and kv_b), k, q, ao, up, gate,
-- down or other.
function m.category(name)
  if name == "output.weight" then return "output" end
  if name == "token_embd.weight" or name == "per_layer_token_embd.weight" then return "embd" end
  for _, row in ipairs(categories) do
    if name:find(row[1], 1, true) then return row[2] end
  end
  return "other"
end

-- ---- widths that blocks do not divide (4.3.1) -------------------------------------------------

local narrower = {
  iq1_s = "iq4_nl", iq1_m = "iq4_nl", iq2_xxs = "iq4_nl", iq2_xs = "iq4_nl", iq2_s = "iq4_nl",
  iq3_xxs = "iq4_nl", iq3_s = "iq4_nl", iq4_xs = "iq4_nl", q2_0 = "q4_0", q2_k = "q4_0",
  q3_k = "q4_0", tq1_0 = "q4_0", tq2_0 = "q4_0", q4_k = "q5_0", q5_k = "q5_1", q6_k = "q8_0",
}

local function elements(type_) return (select(2, maps.kind(type_))) end

local function fallback(t, type_)
  local cols = t.ne[1]
  if cols % elements(type_) == 0 then return type_ end
  local to = narrower[type_]
  if not to and elements(type_) > 32 then
    return nil, ("the rows of %s have %d elements, %s takes multiples of %d, and no tensor type "
      .. "fallback is defined for it"):format(t.name, cols, type_, elements(type_))
  end
  to = to or type_
  return cols % elements(to) == 0 and to or "f16"
end

-- ---- hyper-parameters -------------------------------------------------------------------------

local layers_of_70b = { llama = 80, ["llama-embed"] = 80, deci = 80, qwen2 = 80, olmo = 80,
  jais2 = 68 }

--- What the mixture reads, from a header's numbers: arch, block_count, heads and kv_heads of
-- layer 0 (nil: absent), experts, nextn (layers that predict further tokens), loops.
function m.hparams(h)
  local heads = h.heads or 0
  local kv_heads = h.kv_heads or heads
  local layers = h.block_count
  if h.arch == "graniteswitch" then layers = layers + 1 end
  if h.arch == "nanbeige" then layers = layers * (h.loops or 1) end
  if h.arch == "clip" then layers = 0 end
  local is_llama = h.arch == "llama" or h.arch == "llama-embed"
  return {
    arch = h.arch, layers = layers, experts = h.experts or 0,
    gqa = h.arch ~= "clip" and kv_heads > 0 and heads // kv_heads or 0,
    is_70b = h.block_count - (h.nextn or 0) == layers_of_70b[h.arch]
      and (not is_llama or heads ~= kv_heads),
  }
end

-- ---- the mixture (4.4) ------------------------------------------------------------------------

-- Layers that matter most: the first and last eighth and every third between.
local function more(i, n) return i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2 end

local function set(...)
  local out = {}
  for _, name in ipairs { ... } do out[name] = true end
  return out
end

local smallest = set("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M")
local big = set("IQ2_S", "IQ2_M")
local output_q5_k = set("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ1_S", "IQ1_M")
local embd = {
  IQ2_XXS = "q2_k", IQ2_XS = "q2_k", IQ1_S = "q2_k", IQ1_M = "q2_k", IQ2_S = "iq3_s",
  IQ2_M = "iq3_s", IQ3_XXS = "iq3_s", TQ1_0 = "q4_k", TQ2_0 = "q4_k", Q2_0 = "q4_k",
}

-- What values, by preset: of the counter i of values before this one; nil: the default.
local values = {
  Q2_K = function(s) return s.gqa >= 4 and "q4_k" or "q3_k" end,
  Q2_K_S = function(s) return s.gqa >= 4 and "q4_k" end,
  IQ3_XXS = function(s) return s.gqa >= 4 and "q4_k" or not s.has_im and "iq3_s" end,
  IQ3_XS = function(s) return s.gqa >= 4 and "q4_k" end,
  IQ3_S = function(s) return s.gqa >= 4 and "q4_k" end,
  IQ3_M = function() return "q4_k" end,
  Q3_K_M = function(_, i) return i < 2 and "q5_k" or "q4_k" end,
  Q3_K_L = function() return "q5_k" end,
  IQ4_NL = function(s) return s.gqa >= 4 and "q5_k" end,
  IQ4_XS = function(s) return s.gqa >= 4 and "q5_k" end,
  Q4_K_M = function(s, i) return more(i, s.values) and "q6_k" end,
  Q5_K_M = function(s, i) return more(i, s.values) and "q6_k" end,
  Q4_K_S = function(_, i) return i < 4 and "q5_k" end,
}

-- The same for ffn_down, i being the layer of n.
local function iq4_down(s, i, n) return i < n // 8 and not s.has_im and "q5_k" end
local downs = {
  Q2_K = function() return "q3_k" end,
  Q2_K_S = function(_, i, n) return i < n // 8 and "q4_k" end,
  IQ3_XXS = function(s, i, n) return not s.has_im and (i < n // 8 and "q4_k" or "q3_k") end,
  Q3_K_M = function(s, i, n)
    if i < n // 16 then return "q5_k" end
    return (not s.falcon or more(i, n)) and "q4_k" or "q3_k"
  end,
  IQ3_M = function(s, i, n) return (i < n // 8 or (s.experts == 8 and more(i, n))) and "q4_k" end,
  Q3_K_L = function(s) return s.falcon and "q4_k" or "q5_k" end,
  Q4_K_M = function(s, i, n)
    if not s.falcon then return more(i, n) and "q6_k" end
    return i < n // 16 and "q6_k" or more(i, n) and "q5_k" or "q4_k"
  end,
  IQ4_NL = iq4_down,
  IQ4_XS = iq4_down,
  Q5_K_M = function(_, i, n) return more(i, n) and "q6_k" end,
  Q4_K_S = function(s, i, n) return not s.falcon and i < n // 8 and "q5_k" end,
  Q4_0 = function(s, i, n) return s.has_im and i < n // 8 and "q4_1" end,
  Q5_0 = function(s, i, n) return s.has_im and i < n // 8 and "q5_1" end,
}

local attention_out = {
  Q2_K = "q3_k", IQ3_XXS = "iq3_s", Q3_K_M = "q4_k", Q3_K_L = "q5_k", IQ3_M = "q4_k",
}
local attention_out_8 = set("Q2_K", "IQ3_XS", "IQ3_XXS", "Q3_K_S", "Q3_K_M", "IQ4_NL", "Q4_K_S",
  "Q4_K_M", "IQ3_S", "IQ3_M", "IQ4_XS")

-- Take the next number of a category's count.
local function advance(s, category)
  local i = s[category]
  s[category] = i + 1
  return i
end

-- The layer of a feed-forward tensor: a running count, but the name's number among experts.
local function ffn_layer(s, t, category)
  local count = advance(s, category)
  if s.experts <= 1 then return count end
  local digits = t.name:match("^blk%.%s*([+-]?%d+)")
  local layer = digits and math.tointeger(tonumber(digits))
  if not layer then
    return nil, ("failed to determine the layer of %s: it does not begin with blk.N."):format(
      t.name)
  end
  if layer < 0 or layer >= s.layers then
    return nil, ("bad layer %d in %s: the model has %d"):format(layer, t.name, s.layers)
  end
  return layer
end

-- Rule 4: the presets of one and two bits.
local function small_mixture(s, category, default)
  local is_big = big[s.preset]
  if category == "v" then
    advance(s, "v")
    if s.gqa >= 4 or s.experts >= 4 then return "q4_k" end
    return is_big and "iq3_s" or "q2_k"
  elseif category == "k" then
    return s.experts == 8 and "q4_k" or default
  elseif category == "down" then
    local i = advance(s, "down")
    return i < s.layers // 8 and (is_big and "iq3_s" or "q2_k") or default
  elseif category == "ao" then
    if s.experts == 8 then return "q5_k" end
    if s.preset:find("^IQ1") then return "iq2_xxs" end
    return is_big and "iq3_s" or default
  end
  return default
end

local function value_type(s, default)
  local i = advance(s, "v")
  local rule = values[s.preset]
  local got = rule and rule(s, i) or default
  if s.is_70b and (got == "q3_k" or got == "q4_k") then got = "q5_k" end
  return s.experts == 8 and "q8_0" or got
end

local function attention_out_type(s, default)
  if s.falcon then return s.preset == "Q3_K_L" and "q4_k" or default end
  if s.experts == 8 then return attention_out_8[s.preset] and "q5_k" or default end
  return attention_out[s.preset] or default
end

local function head_type(s, t, default)
  if s.options.output then return s.options.output end
  if s.preset == "MXFP4_MOE" or s.falcon or t.ne[1] % elements(default) ~= 0 then return "q8_0" end
  if output_q5_k[s.preset] then return "q5_k" end
  return default == "q8_0" and default or "q6_k"
end

local function moe_type(s, t, category)
  local feed = category == "up" or category == "gate" or category == "down"
  local experts = (t.ne[3] or 1) > 1 and (s.arch ~= "bailingmoe3" or feed)
  return experts and "mxfp4" or "q8_0"
end

local function mixture(s, t, category)
  local default = s.default
  if s.arch == "glm5-next" and holds(t.name, glm5_q8_0) then return "q8_0" end
  if category == "output" or (category == "embd" and s.tied) then
    return head_type(s, t, default)
  end
  if s.preset == "MXFP4_MOE" then return moe_type(s, t, category) end
  if category == "embd" then return embd[s.preset] or default end
  if smallest[s.preset] then return small_mixture(s, category, default) end
  if category == "v" then return value_type(s, default) end
  if category == "k" and s.experts == 8 then return "q8_0" end
  if category == "k" or category == "q" then
    return s.preset == "IQ3_XS" and "iq3_xxs" or s.preset == "IQ3_XXS" and "iq2_s" or default
  end
  if category == "ao" then return attention_out_type(s, default) end
  if category == "other" then return default end
  local i, failed = ffn_layer(s, t, category)
  if not i then return nil, failed end
  local n = s.layers
  if category == "down" then
    local rule = downs[s.preset]
    return rule and rule(s, i, n) or default
  end
  return s.preset == "IQ3_XS" and i >= n // 8 and i < 7 * n // 8 and "iq3_xxs" or default
end

-- ---- the choice (4.3) -------------------------------------------------------------------------

-- The type of one tensor that may be quantized; nil and the reason when it is refused.
local function decide(s, t, named)
  local category, options = m.category(t.name), s.options
  if named == "keep" then return t.type end
  if category == "embd" and options.token_embd and not (named and t.name:find("^per_layer")) then
    return options.token_embd
  end
  if category == "output" and options.output then return options.output end
  if maps.kind(s.default) == "float" then return s.default end
  if named or options.pure then return fallback(t, named or s.default) end
  local got, failed = mixture(s, t, category)
  if not got then return nil, failed end
  return fallback(t, got)
end

--- The type of each of TENSORS ({ name =, ne = { columns, rows, ... }, type = }), which are all
-- tensors of the file in its order: a list, or nil and why llama-quantize refuses. HP: of
-- m.hparams. PRESET: of m.find. OPTIONS:
--   named       by place: a type as of --tensor-type, or "keep"
--   output      as of --output-tensor-type; token_embd: of --token-embedding-type
--   pure        no mixture; has_im: an importance matrix is given
function m.choose(tensors, hp, preset, options)
  options = options or {}
  local s = {
    preset = preset.name, default = preset.type, options = options, arch = hp.arch,
    layers = hp.layers, experts = hp.experts, gqa = hp.gqa, is_70b = hp.is_70b,
    falcon = hp.arch == "falcon", has_im = options.has_im, tied = true, values = 0,
    v = 0, down = 0, gate = 0, up = 0,
  }
  for _, t in ipairs(tensors) do
    if m.category(t.name) == "v" then s.values = s.values + 1 end
    if t.name == "output.weight" then s.tied = false end
  end
  local chosen, named = {}, options.named or {}
  for i, t in ipairs(tensors) do
    chosen[i] = t.type
    if preset.type and is_matrix(t.ne) and m.may(t.name, hp.arch) then
      local got, failed = decide(s, t, named[i])
      if not got then return nil, failed end
      chosen[i] = got
    end
  end
  return chosen
end

local guessed = {
  f16 = 1, q4_0 = 2, q4_1 = 3, q8_0 = 7, q5_0 = 8, q5_1 = 9, q2_k = 10, q3_k = 12, q4_k = 15,
  q5_k = 17, q6_k = 18, iq2_xxs = 19, iq2_xs = 20, iq3_xxs = 23, iq1_s = 24, iq4_nl = 25,
  iq3_s = 26, iq2_s = 28, iq4_xs = 30, iq1_m = 31, bf16 = 32, tq1_0 = 36, tq2_0 = 37, nvfp4 = 39,
  q1_0 = 40, q2_0 = 41,
}
local GUESSED = 1024

--- The number that llama-quantize's COPY gives general.file_type where the source has none: of the
-- type that most of its tensors have. TYPES: of all of them, in llama-quantize's order; of two
-- that are as many, the one that is first as many.
function m.guess(types)
  local count, most, best = {}, 0, nil
  for _, type_ in ipairs(types) do
    count[type_] = (count[type_] or 0) + 1
    if count[type_] > most then most, best = count[type_], type_ end
  end
  return GUESSED | (guessed[best] or 0)
end

local demanding = set("iq3_xxs", "iq2_xxs", "iq2_xs", "iq2_s", "iq1_m", "iq1_s")

--- Whether llama-quantize refuses to make NAME of this type without an importance matrix.
function m.needs_imatrix(preset, name, type_)
  local category = m.category(name)
  if category == "output" or category == "embd" then return false end
  return demanding[type_] or (type_ == "q2_k" and preset.name == "Q2_K_S") or false
end

return m
