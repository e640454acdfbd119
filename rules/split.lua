--- split: GGUF files in shards as their source has them (specs/gguf-quant.md 1.3, 4.5).

local check = require "check"

local m = {}

local kinds = { ["split.no"] = "u16", ["split.count"] = "u16",
  ["split.tensors.count"] = "i32" }

--- The number of shards that keep_split writes: the last that one of the tensors lies in. What
-- llama-quantize's option leaves undefined is an error.
function m.count(data)
  local card, seen, held = data.card, {}, {}
  if card.kind ~= "gguf" or (card.shards < 2 and data.as ~= "llama-quantize") then
    check.fail("gguf: 'keep_split' keeps the shards of a split GGUF file, and '%s' is none",
      data.name)
  end
  local count = 1
  for _, t in ipairs(data.tensors) do
    if t.from.card ~= card or not t.at or seen[t.at] then
      check.fail("gguf: 'keep_split': %s of '%s' has no shard: it is not one tensor of the file "
        .. "that was split", t.gguf, data.name)
    end
    seen[t.at], held[t.shard] = true, true
    count = math.max(count, t.shard)
  end
  for i = 2, count do -- the first may hold none but the keys
    if not held[i] then
      check.fail("gguf: 'keep_split': shard %d of %d would be empty: no tensor of it is left", i,
        count)
    end
  end
  return count
end

--- A file name without its end.
function m.prefix(name) return (name:gsub("%.[gG][gG][uU][fF]$", "")) end

--- The name of shard I of COUNT.
function m.name(name, i, count)
  return ("%s-%05d-of-%05d.gguf"):format(m.prefix(name), i, count)
end

local by_quantize = { "split.no", "split.count", "split.tensors.count" } -- llama-quantize's order

-- The order in which a source has them: gguf-split's is another.
local function order_of_source(card)
  local list = {}
  for _, entry in ipairs(card.kv) do
    if kinds[entry.key] then list[#list + 1] = entry.key end
  end
  return #list == #by_quantize and list or by_quantize
end

-- The keys of shard I: all of the model's are in the first. ORDER: of the split keys.
local function split_keys(kv, i, count, total, order)
  local list = {}
  local function put(key, value)
    local kind = kinds[key]
    list[#list + 1] = { key = key, type = kind, value = value, raw = engine.encode(kind, value) }
  end
  if count == 1 then return kv end
  for _, entry in ipairs(i == 1 and kv or {}) do
    if not kinds[entry.key] then list[#list + 1] = entry end
  end
  local values = {
    ["split.no"] = i - 1, ["split.count"] = count, ["split.tensors.count"] = total,
  }
  for _, key in ipairs(order) do put(key, values[key]) end
  return list
end

--- The shards of an artifact, for engine.gguf; ORDER and TENSORS: the model's tensors and how
-- each is written.
function m.files(art, name, kv, align, order, tensors)
  local files = {}
  local keys = art.data.quantized and by_quantize or order_of_source(art.data.card)
  for i = 1, art.shards do
    files[i] = {
      path = i == 1 and "" or "../" .. m.name(name, i, art.shards), tensors = {},
      kv = split_keys(kv, i, art.shards, #order, keys), align = i == 1 and align or nil,
    }
  end
  for i, t in ipairs(order) do
    local list = files[t.shard].tensors
    list[#list + 1] = tensors[i]
  end
  return files
end

--- The model with the types that it gets when it is visited in the order of its shards.
function m.visited(data)
  local copy = {}
  for key, item in pairs(data) do copy[key] = item end
  if data.split then copy.tensors = data.split() end
  return copy
end

return m
