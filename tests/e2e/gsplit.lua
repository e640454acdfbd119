-- gsplit.lua FILE PREFIX COUNT [empty]: a GGUF file as llama-gguf-split --split-max-tensors COUNT
-- writes it: PREFIX-00001-of-0000N.gguf and so on; with "empty", --no-tensor-first-split
local path, prefix, count = arg[1], arg[2], math.tointeger(tonumber(arg[3]))
local file = assert(io.open(path, "rb"))
local s = file:read("a")
file:close()

local widths = { [0] = 1, 1, 2, 2, 4, 4, 4, 1, nil, nil, 8, 8, 8 }

local function after_value(kind, at)
  if kind == 8 then return (select(2, string.unpack("<s8", s, at))) end
  if kind ~= 9 then return at + widths[kind] end
  local item, n, next_ = string.unpack("<I4I8", s, at)
  for _ = 1, n do next_ = after_value(item, next_) end
  return next_
end

-- ---- the whole file ---------------------------------------------------------------------------

local _, _, tensors, kvs, at = string.unpack("<c4I4I8I8", s)
local first = at
for _ = 1, kvs do
  local _, kind, value = string.unpack("<s8I4", s, at)
  at = after_value(kind, value)
end
local keys = s:sub(first, at - 1)

local list = {}
for i = 1, tensors do
  local _, rank, dims = string.unpack("<s8I4", s, at)
  local stop = dims + 8 * rank + 4 -- after dimensions and type
  list[i] = { info = s:sub(at, stop - 1), offset = string.unpack("<I8", s, stop) }
  at = stop + 8
end
local data = at - 1 + -(at - 1) % 32
for i, t in ipairs(list) do -- to the next, padding and all
  t.bytes = s:sub(data + t.offset + 1, list[i + 1] and data + list[i + 1].offset or #s)
end

-- ---- the shards -------------------------------------------------------------------------------

local shards = { arg[4] and {} or nil }
for i, t in ipairs(list) do
  if (i - 1) % count == 0 then shards[#shards + 1] = {} end
  table.insert(shards[#shards], t)
end

local function number(key, kind, format, value)
  return string.pack("<s8I4" .. format, key, kind, value)
end

for i, shard in ipairs(shards) do
  local infos, bytes, offset = {}, {}, 0
  for k, t in ipairs(shard) do
    infos[k], bytes[k] = t.info .. string.pack("<I8", offset), t.bytes
    offset = offset + #t.bytes
  end
  local head = string.pack("<c4I4I8I8", "GGUF", 3, #shard, 3 + (i == 1 and kvs or 0))
    .. (i == 1 and keys or "") .. number("split.no", 2, "I2", i - 1)
    .. number("split.tensors.count", 5, "i4", tensors) .. number("split.count", 2, "I2", #shards)
    .. table.concat(infos)
  local out = assert(io.open(("%s-%05d-of-%05d.gguf"):format(prefix, i, #shards), "wb"))
  out:write(head, ("\0"):rep(-#head % 32), table.concat(bytes))
  out:close()
end
