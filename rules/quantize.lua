--- quantize: every tensor in the type that an allocation gives it.

local check = require "check"
local maps = require "maps"
local model = require "model"
local types = require "types"
local value = require "value"

local m = {}

-- Parts of GGUF names that llama-quantize never quantizes (specs/gguf-quant.md 4.3).
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
local glm5 = {
  "hc_", "indexer.attn_q_b", "indexer.attn_k", "indexer.proj", "indexer_compressor_gate",
  "indexer_compressor_ape", "ssm_f_a.weight", "ssm_f_b.weight", "ssm_g_a.weight",
  "ssm_g_b.weight", "ssm_beta.weight", "attn_kv_a_mqa.weight", "attn_k_b.weight",
  "attn_v_b.weight",
}

local function holds(name, parts)
  for _, part in ipairs(parts) do
    if name:find(part, 1, true) then return true end
  end
  return false
end

-- What the name alone says, remembered without the layer's number.
local remembered = {}

local function may_by_name(name, arch_name)
  local stem = name:match("^blk%.%d+(%..*)$") or name
  local key = arch_name == "glm5-next" and "glm5-next/" .. stem or stem
  local may = remembered[key]
  if may == nil then
    may = (name:sub(-6) == "weight" or #name == 5) and not holds(stem, skipped)
      and name ~= "position_embd.weight" and name ~= "token_types.weight"
      and not (arch_name == "glm5-next" and holds(stem, glm5))
    remembered[key] = may
  end
  return may
end

local by_row = {}

--- Whether llama-quantize may quantize a tensor.
function m.quantizable(t, arch_name)
  local may
  if t.row then
    may = by_row[t.row]
    if may == nil then
      may = may_by_name(t.gguf, arch_name)
      by_row[t.row] = may
    end
  else
    may = may_by_name(t.gguf, arch_name)
  end
  return may and engine.is_matrix(t.node)
end

local plain = { f32 = true, f16 = true, bf16 = true, f64 = true }

-- What a tensor that llama-quantize leaves alone becomes: its own type in a GGUF source, F32 in
-- any other, unless its own role, or `norm`, is named (ruling 3).
local function unquantized(data, t, layers)
  local function named(name) return name == t.role or name == "norm" end
  local got, by
  if not t.bias then got, by = types.pick(layers, t, data.layers, named) end
  if not got then return (data.card.kind == "gguf" or t.gguf_only) and "keep" or "f32" end
  if got ~= "keep" and not plain[got] then
    check.fail("quantize: '%s' = \"%s\": %s has no rows to quantize; use f32, f16, bf16 or keep",
      by, got, t.name)
  end
  return got
end

local function check_requantize(data, t, to)
  local from = engine.type(t.node)
  if maps.kind(from) == "float" or to == "keep" or to == from then return end
  maps.must_decode("quantize", t)
  check.fail("quantize: %s of '%s' is quantized already (%s); quantizing again loses more than "
    .. "%s alone would: use the unquantized model, or write allow_requantize = true", t.name,
    data.name, from, to)
end

local function check_width(t, to, elements, by)
  local cols = engine.cols(t.node)
  if cols % elements ~= 0 then
    check.fail("quantize: '%s' = \"%s\": the rows of %s have %d elements, %s takes multiples of %d",
      by, to, t.name, cols, to, elements)
  end
end

local function experts_note(t, by)
  if not t.row and t.role and by ~= t.role and by ~= "default" and t.role:find("exp") then
    engine.note(("'%s' also gives the type of the expert tensors (%s)"):format(by, t.role))
  end
end

--- quantize { m, types { ... }, ROLE = TYPE, default = TYPE }
function m.quantize(word, args)
  local items, options, by_role = check.args(word, args)
  local data = model.data("quantize", items[1])
  local layers = {}
  if type(items[2]) == "string" then
    if types.is_preset(items[2]) or engine.dtype(items[2]) or items[2]:upper() == "COPY" then
      check.fail("quantize: presets (\"%s\") come with the next release; write types { ... }",
        items[2])
    end
    check.fail("quantize: unknown preset '%s'", items[2])
  elseif items[2] ~= nil then
    layers = types.peek(items[2])
    if not layers then
      check.fail("quantize: the second item is %s, expected types { ... }", check.kind(items[2]))
    end
  end
  if #items > 2 then
    check.fail("quantize takes a model and an allocation, not %d items", #items)
  end
  layers = types.before("quantize", by_role, layers)
  if #layers == 0 then check.fail("quantize needs types: types { ... } or ROLE = TYPE") end
  if not options.optional then
    value.present("quantize", types.words(layers), model.roles(data), data.name)
  end

  local tensors = {}
  for i, t in ipairs(data.tensors) do
    local to, by
    if m.quantizable(t, data.arch_name) then
      to, by = types.pick(layers, t, data.layers)
      if not to then
        check.fail("quantize: nothing gives the type of %s (role '%s'); name it, its group or a "
          .. "default", t.name, t.role or "none")
      end
      experts_note(t, by)
      if not options.allow_requantize then check_requantize(data, t, to) end
    else
      to, by = unquantized(data, t, layers), t.role
      if maps.kind(engine.type(t.node)) == "plain" then to = "keep" end -- they stay as they are
    end
    if to ~= "keep" then
      local kind, elements = maps.kind(to)
      if kind == "block" then check_width(t, to, elements, by) end
      if engine.type(t.node) ~= to then maps.must_decode("quantize", t) end
      t = maps.to_type(t, to, kind)
    end
    tensors[i] = t
  end
  types.dead(layers, data.tensors)
  return model.derive(data, tensors, { quantized = true, plain = data.plain or data })
end

return m
