--- The GGUF file of a model as convert_hf_to_gguf writes it: checks, key-values, extra tensors,
-- order, types. Source: specs/hf-and-convert.md sections 3.2 to 3.10; rulings 12, 13, 18, 23, 32.
--
-- A model here is the data of rules/model.lua. What these functions read of it: layers, arch,
-- card, card_layers, unknown (names that no row of the architecture has), tensors; of a tensor:
-- name, gguf, layer, node, row, role, shard, at, from, gguf_only. card.layers, where it is
-- there, is the number of layers that the source's files hold.

local arch = require "arch"
local config = require "config"
local metadata = require "metadata"
local prune = require "prune"

local m = {}

local FILE_TYPES = { f32 = 0, f16 = 1, q8_0 = 7, bf16 = 32 }

local effective = setmetatable({}, { __mode = "k" }) -- of each card, made once

-- Config numbers of what the model is now, which need not be what its donor was.
local function settings(model)
  local card = model.card
  local donor = effective[card]
  if not donor then
    if card.kind == "gguf" then
      donor = config.from_kv(card.kv)
    elseif card.config then
      donor = config.effective(card.config)
    end
    if not donor then
      error(("%s has no config.json of a known architecture: a GGUF file cannot be made of it")
        :format(card.label or "the model"), 0)
    end
    effective[card] = donor
  end
  local cfg = {}
  for key, value in pairs(donor) do cfg[key] = value end
  cfg.donor_layers, cfg.layers = donor.layers, model.layers
  return cfg
end

--- The table of rules/arch/ for a GGUF file whose key-values and tensors it describes, or nil
-- and the reason: a llama file with experts, or with heads of its own in each layer, is a file
-- of an unknown architecture (ruling 46). NAMES: those of its tensors.
function m.gguf_arch(kv, names)
  local cfg, reason = config.from_kv(kv)
  if not cfg then return nil, reason end
  local found = arch.of_gguf(cfg.arch)
  for _, name in ipairs(names) do
    local row, layer = arch.find_gguf(found, name)
    if (not row and name:find("blk%.%d")) or (layer and layer >= cfg.layers) then
      return nil, ("tensor %s is not one of the architecture '%s'"):format(name, cfg.arch)
    end
  end
  return found
end

-- ---- checks (3.2) ----------------------------------------------------------------------------

local function same(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

local function shown(dims) return "[" .. table.concat(dims, ", ") .. "]" end

local function check_tensor(cfg, t)
  local kind, dims = engine.tensor(t.node)
  local want = config.shape(cfg, t.row)
  if not same(dims, want) then
    error(("tensor %s has the shape %s, the config says %s"):format(t.name, shown(dims),
      shown(want)), 0)
  end
  if kind:find("^f8") or kind:find("^[iu]%d+$") or kind == "bool" then
    error(("tensor %s is of type %s, which cannot be converted without scales"):format(t.name,
      kind), 0)
  end
end

local function checked(model)
  local cfg = settings(model)
  local found = model.arch
  if not found then
    error(("%s: its architecture has no table in rules/arch/"):format(model.card.label or ""), 0)
  end
  if model.card.layers and model.card.layers ~= cfg.donor_layers then
    error(("config.json: num_hidden_layers is %d, the files hold %d layers")
      :format(cfg.donor_layers, model.card.layers), 0)
  end
  for _, name in ipairs(model.unknown or {}) do
    error(("tensor %s: the architecture %s has no such tensor"):format(name, found.name), 0)
  end
  local there = {}
  for _, t in ipairs(model.tensors) do
    local row, layer = arch.find_hf(found, t.name)
    if not row and not t.gguf_only then
      error(("tensor %s: the architecture %s has no such tensor"):format(t.name, found.name), 0)
    end
    if row then
      if layer and layer >= cfg.layers then
        error(("tensor %s lies beyond the %d layers that the config says"):format(t.name,
          cfg.layers), 0)
      end
      check_tensor(cfg, { name = t.name, row = row, node = t.node })
      there[t.name] = true
    end
  end
  for _, need in ipairs(arch.expand(found, cfg)) do
    if not there[need.name] then
      error(("tensor %s is missing"):format(need.name), 0)
    end
  end
  return cfg.warnings
end

--- Refuse a model that would convert to a file that cannot load, or loads wrong: tensors and
-- config disagree about layers, names or shapes. Returns a list of warnings. What comes from a
-- GGUF file was such a file already: it is not checked. Messages begin with the folder.
function m.check(model)
  if model.card.kind == "gguf" then return {} end
  local ok, result = pcall(checked, model)
  if not ok and type(result) == "string" then
    local where = model.card.dir or model.card.label or "the model"
    error(where .. (result:find("^config%.json") and "/" or ": ") .. result, 0)
  elseif not ok then
    error(result, 0)
  end
  return result
end

-- ---- extra tensors ---------------------------------------------------------------------------

--- The tensors that a conversion adds: rope_freqs.weight for llama3 rope. A list of T.
function m.extra(model)
  if model.card.kind == "gguf" or not (model.arch and model.arch.rope_freqs) then return {} end
  local cfg = settings(model)
  local rope = cfg.rope
  if rope.type ~= "llama3" then return {} end
  local node = engine.op("rope_freqs", {}, {
    head_dim = cfg.head, base = rope.theta, factor = rope.factor, low = rope.low,
    high = rope.high, old = rope.original + 0.0,
  })
  local name = "rope_freqs.weight"
  return { { name = name, gguf = name, role = "rope", node = node, gguf_only = true } }
end

-- ---- order -----------------------------------------------------------------------------------

-- The layer by which llama-quantize sorts: the number after a leading "blk.", -1 without one.
local function sort_layer(name)
  return math.tointeger(tonumber(name:match("^blk%.([+-]?%d+)") or -1)) or -1
end

-- Every tensor comes from a place of its own in one source.
local function from_one_file(tensors)
  local seen, model = {}, nil
  for _, t in ipairs(tensors) do
    local source = t.from and t.from.model
    if not t.at or seen[t.at] or (model and model ~= source) then return false end
    seen[t.at], model = true, source
  end
  return true
end

local function all_sharded(tensors)
  for _, t in ipairs(tensors) do
    if not t.shard then return false end
  end
  return true
end

--- The tensors in the order of the file: "quantize" is llama-quantize's; "reference" is the
-- converter's (extra tensors, then shards, in each the names by their bytes), and for a GGUF
-- source the order of that file; "split" is the order of a GGUF source's files, as
-- llama-quantize --keep-split has it. EXTRA: the result of m.extra, or nil.
function m.order(model, how, extra)
  local list = table.move(model.tensors, 1, #model.tensors, 1, {})
  local less
  if how == "split" then
    less = function(a, b) return a.at < b.at end
  elseif how == "quantize" then
    for _, t in ipairs(extra or {}) do list[#list + 1] = t end
    less = function(a, b)
      local x, y = sort_layer(a.gguf), sort_layer(b.gguf)
      if x ~= y then return x < y end
      return a.gguf < b.gguf
    end
  elseif model.card.kind == "gguf" then
    if not from_one_file(list) then return list end
    less = function(a, b) return a.at < b.at end
  else
    local sharded = all_sharded(list) and from_one_file(list)
    less = function(a, b)
      if sharded and a.shard ~= b.shard then return a.shard < b.shard end
      return a.name < b.name
    end
  end
  table.sort(list, less)
  if how == "quantize" or not extra then return list end
  return table.move(list, 1, #list, #extra + 1, table.move(extra, 1, #extra, 1, {}))
end

-- ---- types (3.4) -----------------------------------------------------------------------------

-- Tensors that stay F32 whatever the type asked for.
local function stays_f32(name, rank)
  return rank <= 1 or name:find("_norm%.weight$") or not name:find("%.weight$")
    or name:find("%.ffn_gate_inp%.weight$") or name:find("%.ffn_gate_inp_shexp%.weight$")
    or name == "position_embd.weight" or name == "token_types.weight"
end

-- What `auto` means: the first matrix that is BF16 or F16 decides; F32 files become F16.
local function auto_type(model)
  for _, t in ipairs(m.order(model, "reference")) do
    local kind, dims = engine.tensor(t.node)
    if #dims >= 2 and (kind == "bf16" or kind == "f16") then return kind end
  end
  return "f16"
end

--- The type of each tensor under an outtype ("f32", "f16", "bf16", "q8_0", "auto"): a table
-- from GGUF name to type, the number for general.file_type, and warnings. EXTRA as in m.order.
function m.types(model, outtype, extra)
  local kind = outtype == "auto" and auto_type(model) or outtype
  local file_type = FILE_TYPES[kind]
  if not file_type then
    error(("outtype '%s' is none of f32, f16, bf16, q8_0, auto"):format(tostring(outtype)), 0)
  end
  local types, warnings = {}, {}
  for _, t in ipairs(m.order(model, "reference", extra)) do
    local _, dims = engine.tensor(t.node)
    local to = kind
    if stays_f32(t.gguf, #dims) then
      to = "f32"
    elseif kind == "q8_0" and dims[#dims] % 32 ~= 0 then
      to = "f16"
      warnings[#warnings + 1] = ("%s: rows of %d do not divide into blocks of 32, f16 is written")
        :format(t.gguf, dims[#dims])
    end
    types[t.gguf] = to
  end
  return types, file_type, warnings
end

-- ---- key-values ------------------------------------------------------------------------------

-- A list of { key =, type =, value =, raw = }; a key put again keeps its place and takes the
-- new value. nil, "" and empty lists are not put.
local function builder()
  local list, at = {}, {}
  local function add(entry)
    if at[entry.key] then
      list[at[entry.key]] = entry
    else
      list[#list + 1] = entry
      at[entry.key] = #list
    end
  end
  local function put(key, kind, value)
    if value == nil or value == "" or (type(value) == "table" and #value == 0) then return end
    local raw = engine.encode(kind, value)
    if type(value) == "table" then kind, value = "arr", nil end
    add { key = key, type = kind, value = value, raw = raw }
  end
  return list, put, add
end

-- The keys of the architecture (3.6), for those that use the shared block.
local function put_family(put, found, cfg, file_type)
  local function key(name) return found.name .. "." .. name end
  local rope = cfg.rope
  put(key "block_count", "u32", cfg.layers)
  put(key "context_length", "u32", cfg.context)
  put(key "embedding_length", "u32", cfg.hidden)
  put(key "feed_forward_length", "u32", cfg.ffn)
  put(key "attention.head_count", "u32", cfg.heads)
  put(key "attention.head_count_kv", "u32", cfg.kv_heads)
  if rope.type == "linear" or rope.type == "yarn" then
    put(key "rope.scaling.type", "str", rope.type)
    put(key "rope.scaling.factor", "f32", rope.factor)
  elseif rope.type == "longrope" then
    put(key "rope.scaling.type", "str", rope.type)
  end
  if rope.type == "yarn" then
    put(key "rope.scaling.original_context_length", "u32", rope.original)
    put(key "rope.scaling.yarn_ext_factor", "f32", rope.extrapolation_factor)
    put(key "rope.scaling.yarn_attn_factor", "f32", rope.attention_factor or rope.attn_factor)
    put(key "rope.scaling.yarn_beta_fast", "f32", rope.beta_fast)
    put(key "rope.scaling.yarn_beta_slow", "f32", rope.beta_slow)
  end
  put(key "rope.freq_base", "f32", rope.theta)
  put(key "attention.layer_norm_rms_epsilon", "f32", cfg.rms_norm_eps)
  put(key "attention.key_length", "u32", cfg.head_dim)
  put(key "attention.value_length", "u32", cfg.head_dim)
  put("general.file_type", "u32", file_type)
  local extra = { vocab_size = cfg.vocab, ["rope.dimension_count"] = cfg.head }
  for _, name in ipairs(found.extra_keys) do put(key(name), "u32", extra[name]) end
end

local function elements(list)
  local total = 0
  for _, t in ipairs(list) do
    local n = 1
    for _, dim in ipairs((select(2, engine.tensor(t.node)))) do n = n * dim end
    total = total + n
  end
  return total
end

-- The labels of the sources that the tensors come from, in order of appearance, and whether
-- every tensor comes unchanged.
local function sources_of(model)
  local labels, seen, unchanged = {}, {}, true
  for _, t in ipairs(model.tensors) do
    local _, _, is_source = engine.tensor(t.node)
    local label = t.from and t.from.model
    if label and not seen[label] then
      seen[label] = true
      labels[#labels + 1] = label
    end
    unchanged = unchanged and is_source
  end
  return labels, unchanged
end

-- What general.* is made from (ruling 23).
local function general_info(model, options, total)
  local card = model.card
  local read = card.read or function() return nil end
  local labels, unchanged = sources_of(model)
  labels = options.sources or labels
  local info = {
    total = total, title = options.title, generation = read "generation_config.json",
  }
  if unchanged and #labels <= 1 and card.kind == "hf" then
    local raw = engine.json(card.config)
    info.label, info.readme = card.label, read "README.md"
    info.name_or_path = raw._name_or_path
  else
    info.label = options.name and options.name:gsub("%.gguf$", "") or options.title or card.label
    if card.kind ~= "synthetic" and #labels > 0 then info.base_models = labels end
  end
  return info
end

local function put_tokenizer(put, add, model, cfg, options)
  local card = model.card
  if options.vocab then
    for _, entry in ipairs(options.vocab) do add(entry) end
    return { warnings = {} }
  end
  if card.kind ~= "hf" then -- ruling 18
    put("tokenizer.ggml.model", "str", "no_vocab")
    put(model.arch.name .. ".vocab_size", "u32", cfg.vocab)
    return { warnings = {} }
  end
  local manner = model.arch.tokenizer
  local list, facts = engine.tokenizer {
    dir = card.dir, arch = model.arch.name, vocab_size = cfg.vocab, pre = options.pre,
    config = card.config, spm = manner.spm, hf_vocab = manner.hf_vocab,
    space_prefix = manner.space_prefix, by_size = manner.by_size,
  }
  for _, entry in ipairs(list) do add(entry) end
  return facts
end

-- The keys that llama-quantize sets, in its order; those set again count where they are set last
-- (Q 4.5). HEADER: of a quantized model's data.
local function quantize_keys(file_type, header)
  local list = {
    { "general.quantization_version", "u32", 2 }, { "general.file_type", "u32", file_type },
  }
  for _, part in ipairs { header.overrides or {}, header.imatrix or {} } do
    table.move(part, 1, #part, #list + 1, list)
  end
  if header.pruned then
    list[#list + 1] = { header.arch_name .. ".block_count", "u32", header.pruned.layers }
  end
  return list
end

-- The key-values LIST as llama-quantize leaves them: those that it sets go to the end.
local function as_quantize(list, file_type, header)
  local out, _, add = builder()
  if header.before then list = as_quantize(list, file_type, header.before) end
  local keys, last = quantize_keys(file_type, header), {}
  for i, item in ipairs(keys) do last[item[1]] = i end
  if header.pruned then list = prune.arrays(list, header.arch_name, header.pruned) end
  for _, entry in ipairs(list) do
    if not last[entry.key] and not entry.key:find("^split%.") then add(entry) end
  end
  for i, item in ipairs(keys) do
    local key, kind, value = table.unpack(item)
    if last[key] == i then
      add { key = key, type = kind, value = value, raw = engine.encode(kind, value) }
    end
  end
  return out
end

-- The key-values of a GGUF source, edited.
local function from_gguf(model, options)
  local list, put, add = builder()
  local name, layers
  for _, entry in ipairs(model.card.kv) do
    if entry.key == "general.architecture" then name = config.value(entry) end
  end
  for _, entry in ipairs(model.card.kv) do
    if entry.key == tostring(name) .. ".block_count" then layers = config.value(entry) end
  end
  local changed = model.arch and layers and (model.card.layers or layers) ~= model.layers
  for _, entry in ipairs(model.card.kv) do
    local new = changed and entry.type == "arr" and entry.key:find("^" .. name .. "%.")
      and prune.relayered(entry, layers, model.card_layers)
    if not entry.key:find("^split%.") then add(new or entry) end
  end
  if changed then put(name .. ".block_count", "u32", model.layers) end
  if options.title then put("general.name", "str", options.title) end
  if options.file_type then put("general.file_type", "u32", options.file_type) end
  for _, entry in ipairs(options.vocab or {}) do add(entry) end
  if options.quantize then list = as_quantize(list, options.file_type, options.header or {}) end
  return list
end

--- The key-values of the file in order: a list of { key =, type =, raw =, value = (scalars) },
-- and { warnings =, chat_template = }. OPTIONS: file_type (needed but for a GGUF source that
-- keeps its own), title, name (of the artifact), pre, sources (labels of the parents), vocab
-- (tokenizer entries to take instead), extra (as in m.order), quantize = true: the keys as
-- llama-quantize leaves them, file_type being that of the quantized file, and header what else it
-- says (that of the model's data).
function m.kvs(model, options)
  if model.card.kind == "gguf" then
    return from_gguf(model, options), { warnings = {}, chat_template = true }
  end
  local cfg = settings(model)
  local list, put, add = builder()
  local extra = options.extra or m.extra(model)
  local total = elements(model.tensors) + elements(extra)
  put("general.architecture", "str", model.arch.name)
  metadata.general(put, general_info(model, options, total))
  put_family(put, model.arch, cfg, options.file_type)
  put("general.quantization_version", "u32", 2)
  local facts = put_tokenizer(put, add, model, cfg, options)
  if options.quantize then list = as_quantize(list, options.file_type, options.header or {}) end
  return list, facts
end

--- The row map that brings a tensor's bytes into GGUF order: { kind = "to_gguf", head = n }, or
-- nil when they lie so already (T.map says so) or the architecture permutes nothing.
function m.map(model, t)
  local row = t.row or (model.arch and arch.find_hf(model.arch, t.name))
  if not row or not row.permute or t.map then return nil end
  local cfg = settings(model)
  local _, dims = engine.tensor(t.node)
  local heads = cfg[row.permute]
  if dims[1] % heads ~= 0 or dims[1] // heads % 2 ~= 0 then
    error(("tensor %s: %d rows do not divide into %d heads of an even size"):format(t.name, dims[1],
      heads), 0)
  end
  return { kind = "to_gguf", head = dims[1] // heads }
end

return m
