--- gguf and safetensors: what a build writes. A word only notes what is asked for; the files
-- are laid out when the recipe has returned, for the variants that are wanted (finish.lua).

local check = require "check"
local config = require "config"
local convert = require "convert"
local maps = require "maps"
local model = require "model"
local frozen = require "frozen"
local quantize = require "quantize"
local split = require "split"

local m = {}

local KIND = "an artifact"
local SHARD_BYTES = 5000000000

--- What lies behind an artifact's value, or nil.
function m.peek(value)
  local content, kind = engine.content(value)
  return kind == KIND and content or nil
end

local function check_expect(word, expect)
  local keys = { "bytes", "bpw", "bpw_quantized" }
  local known = { bytes = true, bpw = true, bpw_quantized = true }
  for key, item in pairs(expect or {}) do
    if not known[key] then
      check.fail("%s: expect: unknown key '%s'%s; it takes %s", word, tostring(key),
        check.hint(tostring(key), keys), table.concat(keys, ", "))
    end
    local number = key == "bytes" and check.bytes(item) or key ~= "bytes" and item
    if type(number) ~= "number" then
      check.fail("%s: expect.%s is %s, expected a number", word, key, check.kind(item))
    end
  end
end

--- Refuse what is no name of an artifact of WORD; nil is fine.
function m.check_name(word, name)
  if name == nil then return end
  if name == "" or name == "." or name == ".." or #name > 200 or name:find("[/%c\\]") then
    check.fail("%s: name '%s' is no file name: it has no folder, and is not empty", word, name)
  end
end

local function new(word, args, make)
  local items, options = check.args(word, args)
  options.expect = frozen.open(options.expect)
  check_expect(word.name, options.expect)
  m.check_name(word.name, options.name)
  local art = {
    kind = word.name, line = engine.line(), data = model.only(word.name, items),
    options = options, make = make,
  }
  return engine.freeze(art, KIND, { name = options.name, kind = word.name }, true)
end

-- ---- gguf -------------------------------------------------------------------------------------

-- general.file_type of a file of one type: the number of llama-quantize's plain preset.
local plain_preset = {
  f32 = 0, f16 = 1, q4_0 = 2, q4_1 = 3, q8_0 = 7, q5_0 = 8, q5_1 = 9, q2_k = 10, q3_k = 11,
  q4_k = 14, q5_k = 16, q6_k = 18, iq2_xxs = 19, iq2_xs = 20, iq3_xxs = 23, iq1_s = 24,
  iq4_nl = 25, iq3_s = 26, iq2_s = 28, iq4_xs = 30, iq1_m = 31, bf16 = 32, tq1_0 = 36,
  tq2_0 = 37, mxfp4 = 38, nvfp4 = 39, q1_0 = 40, q2_0 = 41,
}

local function is_float(name) return maps.kind(name) == "float" end

--- The type that holds most quantized weights (ruling 32), as its preset's number; with no
-- quantized weights, the float type of most matrices.
local function file_type_of(tensors)
  local blocks, floats = {}, {}
  for _, t in ipairs(tensors) do
    local name = engine.type(t.node)
    local into = is_float(name) and floats or blocks
    local number = plain_preset[name]
    if number and engine.is_matrix(t.node) then
      into[number] = (into[number] or 0) + engine.size(t.node)
    end
  end
  local best, most = 0, -1
  for number, weights in pairs(next(blocks) and blocks or floats) do -- numbers ascend
    if weights > most then best, most = number, weights end
  end
  return best
end

local function has_blocks(data)
  for _, t in ipairs(data.tensors) do
    if not is_float(engine.type(t.node)) then return true end
  end
  return false
end

local function all_sources(data)
  for _, t in ipairs(data.tensors) do
    if not engine.is_source(t.node) then return false end
  end
  return true
end

local function warn_all(list)
  for _, text in ipairs(list or {}) do engine.warn(text) end
end

-- Tensors that blocks cannot hold are F32 in every GGUF file made from a Hugging Face model.
local function settle(data, t)
  if data.card.kind == "gguf" or t.gguf_only or quantize.quantizable(t, data.arch_name)
    or not is_float(engine.type(t.node)) or data.quantized then
    return t
  end
  return maps.to_type(t, "f32", "float")
end

-- llama-quantize's order: by layer, then by name; names outside layers first (Q 4.5). Inside
-- the architectures with a table the layer is known; other names go the long way.
local function quantize_order(data, extra)
  if not data.arch then return convert.order(data, "quantize", extra) end
  local buckets, list = { [-1] = {} }, {}
  local function add(t)
    local bucket = buckets[t.layer or -1]
    if not bucket then
      bucket = {}
      buckets[t.layer] = bucket
    end
    bucket[#bucket + 1] = t
  end
  for _, t in ipairs(data.tensors) do
    if t.gguf_only then return convert.order(data, "quantize", extra) end
    add(t)
  end
  for _, t in ipairs(extra) do add(t) end
  for layer = -1, data.layers - 1 do
    local bucket = buckets[layer] or {}
    table.sort(bucket, function(a, b) return a.gguf < b.gguf end)
    table.move(bucket, 1, #bucket, #list + 1, list)
  end
  return list
end

-- How a model's tensors are written: the order, the type of each, general.file_type.
local function plan_gguf(data, options, extra)
  local how = options.keep_split and "split" or "reference"
  local quantized = data.quantized or (data.card.kind ~= "gguf" and has_blocks(data))
  local keep = data.card.kind == "gguf" and not options.outtype
    and (not data.arch or has_blocks(data) or all_sources(data))
  if quantized or keep then
    if options.outtype then
      check.fail("gguf: 'outtype' is for models that are not quantized; name types in quantize")
    end
    local order = quantized and how ~= "split" and quantize_order(data, extra)
      or convert.order(data, how, extra)
    for i, t in ipairs(order) do order[i] = settle(data, t) end
    return order, quantized and (data.file_type or file_type_of(order)) or nil, quantized
  end
  local types, file_type, warnings = convert.types(data, options.outtype or "auto", extra)
  warn_all(warnings)
  local order = convert.order(data, how, extra)
  for i, t in ipairs(order) do
    local to = types[t.gguf]
    if to and to ~= engine.type(t.node) then
      order[i] = maps.to_type(t, to, (maps.kind(to)))
    end
  end
  return order, file_type, false
end

local function alignment(kv)
  for _, entry in ipairs(kv) do
    if entry.key == "general.alignment" then return config.value(entry) end
  end
  return nil
end

local function make_gguf(art, name)
  local data, options = art.data, art.options
  if art.shards then data = split.visited(data) end
  if not data.arch and data.card.kind ~= "gguf" then
    model.structured("gguf", data)
  end
  local extra = {}
  if data.arch then
    if data.layers == 0 then check.fail("gguf: '%s' has no layer", data.name) end
    local plain = data.plain or data -- the same shapes: checked once for all its variants
    if not plain.checked then
      warn_all(convert.check(plain))
      plain.checked = true
    end
    extra = convert.extra(data)
  end
  local order, file_type, quantized = plan_gguf(data, options, extra)
  local kv, facts = convert.kvs(data.plain or data, {
    file_type = file_type, title = options.title, name = name, sources = data.sources,
    extra = extra, quantize = quantized or nil, header = data.header,
  })
  warn_all(facts.warnings)
  if facts.chat_template == false then
    engine.note(("%s has no chat template"):format(data.card.label))
  end
  local tensors = {}
  for i, t in ipairs(order) do
    local head = t.row and t.row.permute and not t.map and model.head(data, t)
    tensors[i] = {
      name = t.gguf, node = t.node, map = head and { kind = "to_gguf", head = head } or nil,
    }
  end
  local file = name:sub(-5):lower() == ".gguf" and name or name .. ".gguf"
  local align = alignment(kv)
  local files = { { path = "", kv = kv, tensors = tensors, align = align } }
  if art.shards then
    files = split.files(art, name, kv, align, order, tensors)
    file = split.name(name, 1, art.shards)
  end
  return engine.gguf { files = files, trim = quantized }, file -- ranks as llama-quantize has them
end

--- gguf { m, name = "NAME", outtype = "f16" }
function m.gguf(word, args)
  local value = new(word, args, make_gguf)
  local options = m.peek(value).options
  local known = { "f32", "f16", "bf16", "q8_0", "auto" }
  local given = options.outtype
  if given then
    local lower, found = given:lower(), false
    for _, name in ipairs(known) do found = found or name == lower end
    if not found then
      check.fail("gguf: unknown outtype '%s'%s; one of %s", given, check.hint(lower, known),
        table.concat(known, ", "))
    end
    options.outtype = lower
  end
  local art = m.peek(value)
  if options.keep_split then art.shards = split.count(art.data) end
  return value
end

-- ---- folders ----------------------------------------------------------------------------------

-- Small files that go with the weights as they are (specs/merge.md section 8).
local beside = {
  "added_tokens.json", "chat_template.jinja", "chat_template.json", "generation_config.json",
  "merges.txt", "special_tokens_map.json", "tokenizer.json", "tokenizer.model",
  "tokenizer_config.json", "vocab.json",
}

-- The dtype that holds most bytes, and the number of all bytes.
local function main_dtype(tensors)
  local bytes, total = {}, 0
  for _, t in ipairs(tensors) do
    local name = engine.type(t.node)
    local _, size = engine.size(t.node)
    bytes[name] = (bytes[name] or 0) + size
    total = total + size
  end
  local best, most = "bf16", -1
  for name, size in pairs(bytes) do
    if size > most then best, most = name, size end
  end
  return best, total
end

-- The config of an architecture without a table: what changed is written where the donor says it.
local function config_by_names(data, dtype, tied, rows)
  local card = data.card
  local says = engine.json(card.config)
  if type(says) ~= "table" then return card.config end
  local changes = {
    layers = data.layers, donor_layers = card.layers, source_layers = data.card_layers,
  }
  if (says.torch_dtype or says.dtype) ~= nil or not all_sources(data) then changes.dtype = dtype end
  if says.vocab_size == card.rows and rows ~= card.rows then changes.vocab_size = rows end
  if tied ~= card.tied then changes.tied = tied end
  local text, warnings = config.edit(card.config, changes)
  warn_all(warnings)
  return text
end

local function config_json(data, tensors)
  local card, dtype = data.card, main_dtype(tensors)
  local tied, rows = true, nil
  for _, t in ipairs(tensors) do
    if t.row and t.row.tied then tied = false end
    if t.role == "token_embd" or (t.row and t.row.embed) then rows = engine.dims(t.node) end
  end
  if card.kind == "gguf" then
    local cfg = config.from_kv(card.kv, tied)
    cfg.layers, cfg.vocab = data.layers, rows or cfg.vocab
    engine.warn(("%s: the tokenizer of a GGUF file is not written as Hugging Face files")
      :format(data.name))
    return config.text(cfg, dtype)
  end
  if not data.arch then return config_by_names(data, dtype, tied, rows) end
  local changes = {
    layers = data.layers, dtype = dtype, vocab_size = rows, source_layers = data.card_layers,
  }
  if tied ~= card.tied then changes.tied = tied end
  local text, warnings = config.edit(card.config, changes)
  warn_all(warnings)
  return text
end

-- Fill shards in the model's order: a tensor beyond the limit has a shard of its own, else a
-- shard is closed when the next tensor would not fit (specs/hf-and-convert.md 1.5).
local function fill_shards(tensors, limit)
  local shards, current, size = {}, {}, 0
  for _, t in ipairs(tensors) do
    local _, bytes = engine.size(t.node)
    if bytes > limit then
      shards[#shards + 1] = { t }
    else
      if size + bytes > limit and #current > 0 then
        shards[#shards + 1] = current
        current, size = {}, 0
      end
      current[#current + 1] = t
      size = size + bytes
    end
  end
  if #current > 0 then shards[#shards + 1] = current end
  return shards
end

local function weight_files(tensors, limit)
  local files, names, shard_of = {}, {}, {}
  local shards = fill_shards(tensors, limit)
  for i, shard in ipairs(shards) do
    local path = #shards == 1 and "model.safetensors"
      or ("model-%05d-of-%05d.safetensors"):format(i, #shards)
    local list = {}
    for k, t in ipairs(shard) do
      list[k] = { name = t.name, node = t.node, map = t.map }
      names[#names + 1], shard_of[#shard_of + 1] = t.name, path
    end
    files[i] = { path = path, safetensors = list }
  end
  if #shards > 1 then
    local _, total = main_dtype(tensors)
    files[#files + 1] = {
      path = "model.safetensors.index.json", text = engine.index(names, shard_of, total),
    }
  end
  return files
end

local function make_folder(art, name)
  local data, options = art.data, art.options
  local tensors, files = {}, {}
  if data.card.kind == "gguf" then model.structured("safetensors", data) end
  if data.layers == 0 and (data.arch or (data.card.layers or 0) > 0) then
    check.fail("safetensors: '%s' has no layer", data.name)
  end
  for _, t in ipairs(data.tensors) do
    if t.gguf_only then
      engine.warn(("%s: %s has no Hugging Face name and is left out%s"):format(data.name, t.name,
        t.name == "rope_freqs.weight" and "; add \"rope_scaling\" of type llama3 to config.json"
        or ""))
    else
      local dtype = engine.type(t.node)
      if maps.kind(dtype) == "block" then
        check.fail("safetensors: %s is %s, which safetensors files do not hold; cast { m, to = "
          .. "\"bf16\" } first", t.name, dtype)
      end
      tensors[#tensors + 1] = t
    end
  end
  if data.card.config or data.card.kind == "gguf" then
    files[1] = { path = "config.json", text = config_json(data, tensors) }
  else
    engine.warn(("%s: there is no config.json to write beside the weights"):format(data.name))
  end
  for _, path in ipairs(options.tokenizer ~= false and beside or {}) do
    local text = data.card.read and data.card.read(path)
    if text then files[#files + 1] = { path = path, text = text } end
  end
  local limit = check.bytes(options.shard) or SHARD_BYTES
  if limit < 1 then check.fail("safetensors: 'shard' must be at least one byte") end
  for _, file in ipairs(weight_files(tensors, limit)) do files[#files + 1] = file end
  return engine.folder { files = files }, name
end

--- safetensors { m, name = "NAME", shard = "5GB" }
function m.safetensors(word, args) return new(word, args, make_folder) end

--- The files or the folder that an artifact of that name is, under outputs/.
function m.files(art, name)
  if art.kind ~= "gguf" then return { name } end
  if not art.shards then return { split.prefix(name) .. ".gguf" } end
  local list = {}
  for i = 1, art.shards do list[i] = split.name(name, i, art.shards) end
  return list
end

-- ---- what was expected ------------------------------------------------------------------------

--- Compare the sizes of a laid out artifact with expect = and limit =.
function m.verify(art, handle, name)
  local bytes, _, bpw, quantized = engine.sizes(handle)
  local expect = art.options.expect or {}
  local want = expect.bytes and check.bytes(expect.bytes)
  if want and want ~= bytes then
    check.fail("%s: %s has %d bytes, expect says %d", art.kind, name, bytes, want)
  end
  if expect.bpw and math.abs(expect.bpw - bpw) > 0.005 then
    check.fail("%s: %s has %.3f bits per weight, expect says %.3f", art.kind, name, bpw, expect.bpw)
  end
  if expect.bpw_quantized and math.abs(expect.bpw_quantized - quantized) > 0.005 then
    check.fail("%s: %s has %.3f bits per quantized weight, expect says %.3f", art.kind, name,
      quantized, expect.bpw_quantized)
  end
  local limit = art.options.limit and check.bytes(art.options.limit)
  if limit and bytes > limit then
    check.fail("%s: %s has %d bytes, the limit is %d", art.kind, name, bytes, limit)
  end
end

return m
