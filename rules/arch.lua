--- Architectures: the tables of rules/arch/ found by GGUF name or Hugging Face class, and
-- tensor names matched with their rows. A new architecture is one file there and one word here.

local m = {}

--- Every architecture with a table, in the order messages list them.
m.names = { "llama", "qwen2", "qwen3" }

local by_name, by_class = {}, {}

-- "model.layers.%d.x" from "model.layers.7.x", and 7; nil when there is no canonical number.
local function numbered(prefix, name)
  if name:sub(1, #prefix) ~= prefix then return nil end
  local digits, rest = name:match("^(%d+)(%..+)$", #prefix + 1)
  if not digits or #digits > 6 or digits ~= tostring(math.tointeger(tonumber(digits))) then
    return nil
  end
  return prefix .. "%d" .. rest, math.tointeger(tonumber(digits))
end

local function prepare(arch)
  arch.hf_rows, arch.gguf_rows = {}, {}
  for _, row in ipairs(arch.tensors) do
    row.optional = type(row.bias) == "string" or row.tied or nil
    arch.hf_rows[row.hf] = row
    arch.gguf_rows[row.gguf] = row
  end
  by_name[arch.name] = arch
  for _, class in ipairs(arch.classes) do by_class[class] = arch end
end

for _, name in ipairs(m.names) do prepare(require("arch/" .. name)) end

--- The table of a GGUF architecture name, or nil.
function m.of_gguf(name) return by_name[name] end

--- The table of a Hugging Face class ("MistralForCausalLM"), or nil.
function m.of_class(class) return by_class[class] end

--- Every Hugging Face class that has a table, sorted.
function m.classes()
  local list = {}
  for _, name in ipairs(m.names) do
    for _, class in ipairs(by_name[name].classes) do list[#list + 1] = class end
  end
  table.sort(list)
  return list
end

--- The row of a Hugging Face tensor name and its layer (nil outside layers); nil if unknown.
function m.find_hf(arch, name)
  local row = arch.hf_rows[name]
  if row and row.where then return row end
  local key, layer = numbered(arch.layer_prefix, name)
  row = key and arch.hf_rows[key]
  if row then return row, layer end
  return nil
end

--- The row of a GGUF tensor name and its layer (nil outside layers); nil if unknown.
function m.find_gguf(arch, name)
  local row = arch.gguf_rows[name]
  if row and row.where then return row end
  local key, layer = numbered("blk.", name)
  row = key and arch.gguf_rows[key]
  if row then return row, layer end
  return nil
end

-- Names hold no other percent sign, so this is format without its escapes.
local function numbering(pattern, layer) return (pattern:gsub("%%d", tostring(layer))) end

--- The Hugging Face name of a row in a layer.
function m.hf_name(row, layer) return row.where and row.hf or numbering(row.hf, layer) end

--- The GGUF name of a row in a layer.
function m.gguf_name(row, layer) return row.where and row.gguf or numbering(row.gguf, layer) end

--- Whether a model of this effective config (config.effective) must have the tensor of a row.
function m.needs(row, cfg)
  if row.tied then return not cfg.tie_word_embeddings end
  if type(row.bias) == "string" then return cfg[row.bias] == true end
  return true
end

--- Every tensor that a model of this effective config has, in canonical order: a list of
-- { row =, layer =, name =, gguf = }.
function m.expand(arch, cfg)
  local list = {}
  local function add(row, layer)
    if m.needs(row, cfg) then
      list[#list + 1] = {
        row = row, layer = layer, name = m.hf_name(row, layer), gguf = m.gguf_name(row, layer),
      }
    end
  end
  for _, row in ipairs(arch.tensors) do
    if row.where == "before" then add(row) end
  end
  for layer = 0, cfg.layers - 1 do
    for _, row in ipairs(arch.tensors) do
      if not row.where then add(row, layer) end
    end
  end
  for _, row in ipairs(arch.tensors) do
    if row.where == "after" then add(row) end
  end
  return list
end

return m
