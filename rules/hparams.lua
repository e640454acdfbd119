--- hparams: the numbers of a model that llama-quantize's choices read, as the header of its GGUF
-- file would carry them (specs/allarch.md 1; rulings-quant-merge 30).

local config = require "config"
local model = require "model"
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

local function of_gguf(data)
  local entries = {}
  for _, entry in ipairs(data.card.kv) do entries[entry.key] = entry end
  local name = data.arch_name or ""
  local function get(key) return number(entries[name .. "." .. key]) end
  local block_count = get "block_count" or data.layers
  if data.arch and data.card.layers ~= data.layers then block_count = data.layers end
  return {
    arch = name, block_count = block_count, heads = get "attention.head_count",
    kv_heads = get "attention.head_count_kv", experts = get "expert_count",
    nextn = get "nextn_predict_layers", loops = get "num_loops",
  }
end

--- What presets.choose wants to know of a model.
function m.of(data)
  if data.card.kind == "gguf" then return presets.hparams(of_gguf(data)) end
  local cfg = model.config(model.structured("quantize", data))
  return presets.hparams {
    arch = data.arch.name, block_count = data.layers, heads = cfg.heads, kv_heads = cfg.kv_heads,
  }
end

return m
