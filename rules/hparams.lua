--- hparams: the numbers of a model that llama-quantize's choices read, as the header of its GGUF
-- file would carry them (specs/allarch.md 1; rulings-quant-merge 30 and 40).

local config = require "config"
local model = require "model"
local override = require "override"
local presets = require "presets"

local m = {}

local scalars = { [0] = "<B", [1] = "<b", [2] = "<I2", [3] = "<i2", [4] = "<I4", [5] = "<i4",
  [7] = "<B", [10] = "<I8", [11] = "<i8" }

-- A whole number, of an array that of the first layer; nil when there is none.
local function number(entry)
  if not entry then return nil end
  if entry.type ~= "arr" then return math.tointeger(config.value(entry)) end
  local item, count = string.unpack("<I4I8", entry.raw)
  if count == 0 or not scalars[item] then return nil end
  return (string.unpack(scalars[item], entry.raw, 13))
end

-- Of a GGUF file; NAME: its architecture. GIVEN(key): the number that an override gives.
local function of_gguf(data, name, given)
  local entries = {}
  for _, entry in ipairs(data.card.kv) do entries[entry.key] = entry end
  local function get(key) return given(key) or number(entries[name .. "." .. key]) end
  -- Numbers that a file may have for each layer: there only one for all is overridden.
  local function heads(key)
    local entry = entries[name .. "." .. key]
    if not entry then return nil end
    return entry.type ~= "arr" and given(key) or number(entry)
  end
  local block_count = get "block_count" or data.layers
  local pruned = data.header and data.header.pruned -- when it was quantized before
  if pruned or (data.arch and data.card.layers ~= data.layers) then
    block_count = given "block_count" or data.layers
  end
  return {
    arch = name, block_count = block_count, heads = heads "attention.head_count",
    kv_heads = heads "attention.head_count_kv", experts = get "expert_count",
    nextn = get "nextn_predict_layers", loops = get "num_loops",
  }
end

--- The architecture that choices go by: the model's own, or what an override says.
function m.arch_name(data, overrides)
  return override.value(overrides, "general.architecture", "str") or data.arch_name or ""
end

--- What presets.choose wants to know of a model. OVERRIDES: of override.read, or nil.
function m.of(data, overrides)
  local name = m.arch_name(data, overrides)
  local before = data.header and data.header.overrides -- when it was quantized before
  local function given(key)
    return override.value(overrides, name .. "." .. key, "u32")
      or override.value(before, name .. "." .. key, "u32")
  end
  if data.card.kind == "gguf" then return presets.hparams(of_gguf(data, name, given)) end
  local cfg = model.config(model.structured("quantize", data))
  return presets.hparams {
    arch = name, block_count = given "block_count" or data.layers,
    heads = given "attention.head_count" or cfg.heads,
    kv_heads = given "attention.head_count_kv" or cfg.kv_heads, experts = given "expert_count",
    nextn = given "nextn_predict_layers", loops = given "num_loops",
  }
end

return m
