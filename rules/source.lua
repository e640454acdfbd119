--- source and synthetic: where models come from.

local arch = require "arch"
local check = require "check"
local config = require "config"
local convert = require "convert"
local model = require "model"
local names = require "names"
local roles = require "roles"

local m = {}

--- Every model opened so far: finish.lua names layers that nothing uses.
m.opened = {}

local CONFIG_BYTES_MAX = 16 << 20

-- Buffers of old checkpoints that no conversion wants (specs/hf-and-convert.md 3.3).
local dropped = { "%.attention%.masked_bias$", "%.attention%.bias$", "%.attn%.masked_bias$",
  "%.attn%.bias$", "%.rotary_emb%.inv_freq$" }

local function is_dropped(name)
  for _, pattern in ipairs(dropped) do
    if name:find(pattern) then return true end
  end
  return false
end

--- The last component of a path, or the repository id of a hub name.
local function label(path)
  local id = path:match("^hf://models/([^/]+/[^/@]+)") or path:match("^hf://([^/]+/[^/@]+)")
  if id then return id end
  return path:gsub("/+$", ""):match("([^/]+)$") or path
end

-- A tensor of a source: it is its own origin.
local function tensor(name, layer, row, gguf, node, model_name)
  local t = {
    name = name, layer = layer, role = row and row.role, bias = row and row.bias and true,
    gguf = gguf, node = node, row = row, model = model_name, shard = false, at = false,
    map = nil,
  }
  t.from = t
  return t
end

--- Call TAKE(row, layer) for the rows of an architecture in its order, layer by layer for as
-- long as TAKE finds a tensor in each; returns the number of layers.
local function walk(rows, take)
  local layers, any = 0, true
  for _, row in ipairs(rows) do
    if row.where == "before" then take(row) end
  end
  while any do
    any = false
    for _, row in ipairs(rows) do
      if not row.where and take(row, layers) then any = true end
    end
    if any then layers = layers + 1 end
  end
  for _, row in ipairs(rows) do
    if row.where == "after" then take(row) end
  end
  return layers
end

-- Fill data.tensors and data.layers from an opened checkpoint whose names are the WHICH-th of
-- model.names (1: Hugging Face, 2: GGUF). Returns the set of places that were taken.
local function take_known(data, opened, which)
  local list, taken, index = {}, {}, opened.index
  data.layers = walk(data.arch.tensors, function(row, layer)
    local hf, gguf = model.names(row, layer)
    local at = index[which == 1 and hf or gguf]
    if not at then return false end
    local t = tensor(hf, layer, row, gguf, opened.nodes[at], data.name)
    t.shard, t.at = opened.shards[at], at
    list[#list + 1], taken[at] = t, true
    return true
  end)
  data.tensors = list
  return taken
end

--- A model of an architecture without a table: its names say what lies where.
local function from_names(data, opened)
  local before, stack, after, layers = {}, {}, {}, 0
  data.named = names.structure(opened.names)
  for at, name in ipairs(opened.names) do
    local row, layer = names.row(data.named, name)
    local t = tensor(name, layer, row, name, opened.nodes[at], data.name)
    t.shard, t.at = opened.shards[at], at
    local list = row.where == "before" and before or after
    if layer then
      list = stack[layer] or {}
      stack[layer], layers = list, math.max(layers, layer + 1)
    end
    list[#list + 1] = t
  end
  data.layers, data.tensors = layers, before
  for layer = 0, layers - 1 do
    table.move(stack[layer], 1, #stack[layer], #before + 1, before)
  end
  table.move(after, 1, #after, #before + 1, before)
end

--- A model whose files use Hugging Face names.
local function from_hf(data, opened)
  if not data.arch then return from_names(data, opened) end
  local taken, unknown = take_known(data, opened, 1), {}
  for at, name in ipairs(opened.names) do
    if not taken[at] and not is_dropped(name) then unknown[#unknown + 1] = name end
  end
  data.unknown = unknown
  if #unknown > 0 and not data.whole then
    engine.warn(("%s: %d tensors that its architecture does not list are left out ('%s'%s)")
      :format(data.name, #unknown, unknown[1], #unknown > 1 and ", ..." or ""))
  end
end

-- A tensor of a GGUF file by its own name, its role by name pattern.
local function by_pattern(data, opened, at)
  local name = opened.names[at]
  local role, _, layer, bias = roles.of_gguf(name)
  local t = tensor(name, layer, nil, name, opened.nodes[at], data.name)
  t.role, t.bias, t.shard, t.at = role, bias or nil, opened.shards[at], at
  return t
end

--- A GGUF file of an architecture with a table: names mapped back, q and k as views with a row
-- map. Tensors without a Hugging Face name (rope_freqs) come last.
local function from_gguf(data, opened)
  local taken = take_known(data, opened, 2)
  for _, t in ipairs(data.tensors) do
    local head = t.row.permute and model.head(data, t)
    if head then t.map = { kind = "to_hf", head = head } end
  end
  for at in ipairs(opened.names) do
    if not taken[at] then
      local t = by_pattern(data, opened, at)
      t.gguf_only, t.layer = true, nil
      data.tensors[#data.tensors + 1] = t
    end
  end
end

--- And any other GGUF file: its own names and order, roles by name pattern (ruling 46).
local function from_unknown(data, opened)
  local layers = 0
  data.tensors = {}
  for at in ipairs(opened.names) do
    local t = by_pattern(data, opened, at)
    if t.layer and t.layer >= layers then layers = t.layer + 1 end
    data.tensors[at] = t
  end
  data.layers = layers
end

local function kv_value(kv, key)
  for _, item in ipairs(kv) do
    if item.key == key then return item.value end
  end
  return nil
end

--- The card of a Hugging Face folder; NAME reads a small file beside the weights.
local function hf_card(dir, name)
  local function read(file) return engine.read(dir .. "/" .. file, CONFIG_BYTES_MAX * 8) end
  local text = read("config.json")
  if not text then return { kind = "none", label = name } end
  return { kind = "hf", dir = dir, config = text, read = read, label = name }
end

--- The architecture of a config's text: its table or nil, and its name.
local function arch_of(text, where)
  local ok, cfg = pcall(engine.json, text)
  if not ok then check.fail("%s: %s", where, tostring(cfg)) end
  if type(cfg) ~= "table" then check.fail("%s is no JSON object", where) end
  local inner = type(cfg.text_config) == "table" and cfg.text_config or cfg
  local list = inner.architectures or cfg.architectures
  local class = type(list) == "table" and list[1] or nil
  if type(class) ~= "string" then
    check.fail("%s names no architecture (\"architectures\": [...])", where)
  end
  local found = arch.of_class(class)
  return found, found and found.name or class
end

local function identity(layers)
  local list = {}
  for i = 0, layers - 1 do list[i + 1] = i end
  return list
end

-- What every source ends with.
local function opened_model(data)
  data.card_layers = identity(data.layers)
  data.card.layers = data.layers
  data.card.tied = true
  for _, t in ipairs(data.tensors) do
    if t.row and t.row.tied then data.card.tied = false end
  end
  local embedding = model.embedding(data)
  data.card.rows = embedding and engine.dims(embedding.node) or nil
  data.sources = { data.name }
  m.opened[#m.opened + 1] = data
  return model.new(data)
end

local function open_hf(data, opened)
  local dir = opened.dir or opened.path:match("^(.*)/[^/]*$") or "."
  data.card = hf_card(dir, data.name)
  if data.card.config then
    data.arch, data.arch_name = arch_of(data.card.config, dir .. "/config.json")
  end
  from_hf(data, opened)
end

-- The table of a GGUF file's architecture where it describes this file, else nil and why not.
local function gguf_table(opened)
  local kind = kv_value(opened.kv, "general.type")
  if kind ~= nil and kind ~= "model" then
    return nil, ("it is a file of type '%s'"):format(tostring(kind))
  end
  return convert.gguf_arch(opened.kv, opened.names)
end

local function open_gguf(data, opened)
  data.card = { kind = "gguf", kv = opened.kv, label = data.name, shards = #opened.files }
  data.arch_name = kv_value(opened.kv, "general.architecture")
  data.arch, data.unstructured = gguf_table(opened)
  if data.arch then from_gguf(data, opened) end
  if data.arch and data.layers == 0 then data.arch, data.unstructured = nil, "it has no layer" end
  if not data.arch then from_unknown(data, opened) end
  for _, t in ipairs(data.tensors) do t.card = data.card end -- whose shards and places it counts
end

--- The model at PATH, and what was opened. WHOLE: for who looks at all that was opened, so that
-- nothing is said of tensors that the model leaves out.
function m.open(path, whole)
  local opened = engine.open(path)
  local data = { name = label(path), whole = whole }
  if opened.kv then open_gguf(data, opened) else open_hf(data, opened) end
  return opened_model(data), opened
end

--- source "PATH", source { "PATH" }
function m.source(word, args)
  local path = args
  if type(args) ~= "string" then
    local items = check.args(word, args)
    path = items[1]
    if #items > 1 then check.fail("source takes one path, not %d", #items) end
  end
  if type(path) ~= "string" or path == "" then
    check.fail("source takes the path of a model, not %s", check.kind(path))
  end
  return (m.open(path))
end

-- ---- synthetic --------------------------------------------------------------------------------

local function json_of(value)
  local kind = math.type(value) or type(value)
  if kind == "boolean" then return tostring(value) end
  if kind == "integer" or kind == "float" then return config.number(value) end
  if kind == "string" then return engine.json_string(value) end
  if kind ~= "table" then check.fail("synthetic: the config holds %s", check.kind(value)) end
  local parts = {}
  if value[1] ~= nil then
    for i, item in ipairs(value) do parts[i] = json_of(item) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key, item in pairs(value) do
    if type(key) ~= "string" then check.fail("synthetic: the config has a key that is no text") end
    parts[#parts + 1] = engine.json_string(key) .. ":" .. json_of(item)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local types = { float32 = "f32", float16 = "f16", bfloat16 = "bf16", float64 = "f64" }

local function config_text(value)
  if type(value) == "string" then
    local text = engine.read(value, CONFIG_BYTES_MAX)
    if not text then check.fail("synthetic: there is no file '%s'", value) end
    return text
  end
  return json_of(value)
end

local function dtype_of(text)
  local cfg = engine.json(text)
  local name = cfg.torch_dtype or cfg.dtype
  if type(name) ~= "string" then return "bf16" end
  local dtype = types[name:gsub("^torch%.", "")]
  if not dtype then check.fail("synthetic: the config's dtype '%s' is no float type", name) end
  return dtype
end

--- synthetic { config = { ... } or "config.json", seed = 1 }
function m.synthetic(word, args)
  local items, options = check.args(word, args)
  if #items > 0 then check.fail("synthetic takes no model: synthetic { config = { ... } }") end
  local frozen_config = require("frozen").open(options.config)
  if type(frozen_config) ~= "string" and type(frozen_config) ~= "table" then
    check.fail("synthetic: 'config' is %s, expected a table or a file name",
      check.kind(frozen_config))
  end
  local text = config_text(frozen_config)
  local name = options.name or "synthetic"
  local data = { name = name, card = { kind = "synthetic", config = text, label = name } }
  data.arch, data.arch_name = arch_of(text, "synthetic: 'config'")
  model.structured("synthetic", data)
  local cfg = model.config(data)
  local dtype, seed = dtype_of(text), options.seed or 0
  local shapes, list = {}, {}
  local function take(row, layer)
    if (layer and layer >= cfg.layers) or not arch.needs(row, cfg) then return false end
    local hf, gguf = model.names(row, layer)
    shapes[row] = shapes[row] or config.shape(cfg, row)
    local node = engine.op("synthetic", {},
      { name = hf, seed = seed, shape = shapes[row], type = dtype }, hf)
    list[#list + 1] = tensor(hf, layer, row, gguf, node, name)
    return true
  end
  data.layers, data.tensors = walk(data.arch.tensors, take), list
  return opened_model(data)
end

return m
