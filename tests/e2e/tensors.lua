-- tensors.lua - the tensors of safetensors files, folders and GGUF files, by name, read with
-- nothing of vbuild's: what the product wrote is judged by another reader
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local json = require "json"

local m = {}

local function read(path)
  local file, why = io.open(path, "rb")
  if not file then error(why, 0) end
  local s = file:read("a")
  file:close()
  if not s then error(path .. ": not a file", 0) end
  return s
end
m.read = read

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

--- Add the tensors of one safetensors file to INTO: name -> { type, dims, data }.
function m.safetensors(path, into)
  local s = read(path)
  local length = string.unpack("<I8", s)
  local header = json.decode(s:sub(9, 8 + length))
  for name, t in pairs(header) do
    if name ~= "__metadata__" then
      assert(not into[name], name .. " is there twice")
      into[name] = {
        type = t.dtype:lower(), dims = t.shape,
        data = s:sub(9 + length + t.data_offsets[1], 8 + length + t.data_offsets[2]),
      }
    end
  end
  return into
end

-- ---- GGUF -------------------------------------------------------------------------------------

local widths = { [0] = 1, 1, 2, 2, 4, 4, 4, 1, nil, nil, 8, 8, 8 } -- of key-value types

-- type number -> name, elements of a block, bytes of a block
local types = {
  [0] = { "f32", 1, 4 }, [1] = { "f16", 1, 2 }, [2] = { "q4_0", 32, 18 }, [8] = { "q8_0", 32, 34 },
  [11] = { "q3_k", 256, 110 }, [12] = { "q4_k", 256, 144 }, [13] = { "q5_k", 256, 176 },
  [14] = { "q6_k", 256, 210 }, [30] = { "bf16", 1, 2 },
}

local function skip_value(s, kind, at)
  if kind == 8 then
    local _, after = string.unpack("<s8", s, at)
    return after
  elseif kind == 9 then
    local item, count, after = string.unpack("<I4I8", s, at)
    if item ~= 8 and item ~= 9 then return after + widths[item] * count end
    for _ = 1, count do after = skip_value(s, item, after) end
    return after
  end
  return at + widths[kind]
end

--- The tensors of a GGUF file, and its key-values as { key, raw bytes } in order.
function m.gguf(path)
  local s = read(path)
  local magic, _, count, kvs, at = string.unpack("<c4I4I8I8", s)
  assert(magic == "GGUF", path .. ": no GGUF file")
  local kv, align = {}, 32
  for i = 1, kvs do
    local key, kind, value = string.unpack("<s8I4", s, at)
    at = skip_value(s, kind, value)
    kv[i] = { key, s:sub(value - 4, at - 1) }
    if key == "general.alignment" then align = string.unpack("<I4", s, value) end
  end
  local list = {}
  for i = 1, count do
    local t, rank = { dims = {} }, nil
    t.name, rank, at = string.unpack("<s8I4", s, at)
    for k = 1, rank do t.dims[rank + 1 - k], at = string.unpack("<I8", s, at) end
    t.kind, t.offset, at = string.unpack("<I4I8", s, at)
    list[i] = t
  end
  local data = (at - 1 + align - 1) // align * align
  local into = {}
  for _, t in ipairs(list) do
    local facts = assert(types[t.kind], t.name .. ": a type this reader does not know")
    local n = 1
    for _, dim in ipairs(t.dims) do n = n * dim end
    t.type = facts[1]
    t.data = s:sub(data + t.offset + 1, data + t.offset + n // facts[2] * facts[3])
    into[t.name] = t
  end
  return into, kv, list
end

--- The tensors of a file or of a folder.
function m.open(path)
  if path:find("%.gguf$") then return (m.gguf(path)) end
  if path:find("%.safetensors$") then return m.safetensors(path, {}) end
  if exists(path .. "/model.safetensors") then
    return m.safetensors(path .. "/model.safetensors", {})
  end
  local index = json.load(path .. "/model.safetensors.index.json")
  local files, into = {}, {}
  for _, file in pairs(index.weight_map) do files[file] = true end
  for file in pairs(files) do m.safetensors(path .. "/" .. file, into) end
  return into
end

--- Names in order.
function m.names(tensors)
  local names = {}
  for name in pairs(tensors) do names[#names + 1] = name end
  table.sort(names)
  return names
end

return m
