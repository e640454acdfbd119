-- layers.lua FILE INPUT: the GGUF file FILE with the arrays that INPUT has under the same keys
--
-- What llama-quantize --prune-layers writes has the arrays of the whole model still; vbuild's have
-- the elements of the layers that are left. FILE so changed is llama-quantize's file, or more
-- differs. Prints it to the standard output; on the standard error "KEY LENGTH of LENGTH" for each
-- array of another length.
local widths = { [0] = 1, [1] = 1, [2] = 2, [3] = 2, [4] = 4, [5] = 4, [6] = 4, [7] = 1, [10] = 8,
  [11] = 8, [12] = 8 }
local TEXT, ARRAY = 8, 9

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

-- Where a value of KIND at AT ends.
local function after(text, kind, at)
  if kind == TEXT then return select(2, string.unpack("<s8", text, at)) end
  if kind ~= ARRAY then return at + widths[kind] end
  local item, count, from = string.unpack("<I4I8", text, at)
  for _ = 1, count do from = after(text, item, from) end
  return from
end

-- The key-values: a list of { key, kind, raw }; where they begin and end.
local function key_values(text)
  local list, _, _, _, count, at = {}, string.unpack("<c4I4I8I8", text)
  local begin = at
  for i = 1, count do
    local key, kind, from = string.unpack("<s8I4", text, at)
    at = after(text, kind, from)
    list[i] = { key = key, kind = kind, raw = text:sub(from, at - 1) }
  end
  return list, begin, at
end

-- Where the tensor table ends that begins at AT.
local function table_end(text, at)
  for _ = 1, (select(3, string.unpack("<c4I4I8", text))) do
    local _, rank, from = string.unpack("<s8I4", text, at)
    at = from + 8 * rank + 12
  end
  return at
end

local function padded(text) return text .. ("\0"):rep(-#text % 32) end

local text, parts, theirs = read(arg[1]), {}, {}
local list, begin, stop = key_values(text)
for _, entry in ipairs(key_values(read(arg[2]))) do theirs[entry.key] = entry end
for i, entry in ipairs(list) do
  local other = entry.kind == ARRAY and theirs[entry.key]
  local raw = other and other.raw or entry.raw
  if #raw ~= #entry.raw then
    io.stderr:write(("%s %d of %d\n"):format(entry.key, string.unpack("<I8", entry.raw, 5),
      (string.unpack("<I8", raw, 5))))
  end
  parts[i] = string.pack("<s8I4", entry.key, entry.kind) .. raw
end
local finish = table_end(text, stop)
local head = text:sub(1, finish - 1)
io.write(padded(text:sub(1, begin - 1) .. table.concat(parts) .. text:sub(stop, finish - 1)),
  text:sub(#padded(head) + 1))
