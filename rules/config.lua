--- config.json: what it means (defaults filled in, rope normalised, every value checked), how
-- it is edited without touching its other bytes, and how one is made of GGUF key-values.
-- Source: specs/hf-and-convert.md sections 3.1, 3.2 and 4.1; rulings 20 and 33.

local arch = require "arch"

local m = {}

local SIZE_MAX = 1 << 31 -- of any size; layers have a limit of their own
local LAYERS_MAX = 4096

local rope_types = {
  default = true, linear = true, dynamic = true, yarn = true, longrope = true, su = true,
  llama3 = true,
}

local function show(value)
  if type(value) == "string" then return engine.json_string(value) end
  if type(value) == "table" then return engine.is_array(value) and "a list" or "an object" end
  return value == engine.null and "null" or tostring(value)
end

local function fail(key, value, wanted)
  if value == nil then
    error(("config.json: %s is missing, %s was expected"):format(key, wanted), 0)
  end
  error(("config.json: %s is %s, %s was expected"):format(key, show(value), wanted), 0)
end

-- nil for what is absent or null
local function get(c, key)
  local value = c[key]
  if value == engine.null then return nil end
  return value
end

local function integer(c, key, most)
  local value = get(c, key)
  if math.type(value) ~= "integer" or value < 1 or value > (most or SIZE_MAX) then
    fail(key, c[key], "an integer from 1 to " .. (most or SIZE_MAX))
  end
  return value
end

local function number(c, key, fallback)
  local value = get(c, key)
  if value == nil then value = fallback end
  if type(value) ~= "number" or value ~= value or value < 0 or value == math.huge then
    fail(key, c[key], "a number that is not negative")
  end
  return value + 0.0
end

local function boolean(c, key, fallback)
  local value = get(c, key)
  if value == nil then return fallback end
  if type(value) ~= "boolean" then fail(key, value, "true or false") end
  return value
end

-- The table of the file, with text_config laid over the root.
local function laid_over(c)
  if type(c) ~= "table" or engine.is_array(c) then
    error("config.json: a JSON object was expected", 0)
  end
  local inner = get(c, "text_config")
  if type(inner) ~= "table" then return c end
  local all = {}
  for key, value in pairs(c) do all[key] = value end
  for key, value in pairs(inner) do all[key] = value end
  return all
end

local function class_of(c)
  local list = get(c, "architectures")
  if type(list) ~= "table" or type(list[1]) ~= "string" then
    fail("architectures", c.architectures, 'a list such as ["LlamaForCausalLM"]')
  end
  return list[1]
end

-- One table for the old rope_scaling and the new rope_parameters.
local function rope_of(c, defaults, context)
  local source = get(c, "rope_scaling") or get(c, "rope_parameters") or {}
  if type(source) ~= "table" or engine.is_array(source) then
    fail("rope_scaling", source, "an object or null")
  end
  local kind = get(source, "rope_type") or get(source, "type") or "default"
  if not rope_types[kind] then
    fail("rope_type", kind, "one of default, linear, dynamic, yarn, longrope, llama3")
  end
  if kind == "su" then kind = "longrope" end
  local rope = { type = kind }
  rope.theta = number(source, "rope_theta", number(c, "rope_theta", defaults.rope_theta))
  if kind == "llama3" or kind == "yarn" or kind == "longrope" then
    local original = get(c, "original_max_position_embeddings")
      or get(source, "original_max_position_embeddings") or context
    rope.original = integer({ original_max_position_embeddings = original },
      "original_max_position_embeddings")
  end
  if kind == "linear" or kind == "yarn" then rope.factor = number(source, "factor") end
  if kind == "yarn" then
    for _, key in ipairs { "extrapolation_factor", "attention_factor", "attn_factor", "beta_fast",
      "beta_slow" } do
      if get(source, key) ~= nil then rope[key] = number(source, key) end
    end
  elseif kind == "llama3" then
    rope.factor = number(source, "factor", 8.0)
    rope.low = number(source, "low_freq_factor", 1.0)
    rope.high = number(source, "high_freq_factor", 4.0)
    rope.original = rope.original or 8192
  end
  return rope
end

local function refuse_quantized(c)
  local q = get(c, "quantization_config")
  if q == nil then return end
  local method = type(q) == "table" and get(q, "quant_method") or q
  error(("config.json: quantization_config of method %s is not handled: use the model's "
    .. "unquantized checkpoint"):format(show(method)), 0)
end

-- A field that the library would fill in: its default, and a warning.
local function defaulted(cfg, c, key, value)
  if c[key] == nil then
    local shown = math.type(value) == "float" and ("%g"):format(value) or value
    cfg.warnings[#cfg.warnings + 1] =
      ("config.json: %s is missing, %s is taken as transformers does"):format(key, shown)
  end
  return value
end

local function heads_of(cfg, c, defaults)
  cfg.heads = integer(c, "num_attention_heads")
  if get(c, "num_key_value_heads") ~= nil then
    cfg.kv_heads = integer(c, "num_key_value_heads")
  else
    local fallback = defaults.kv_heads
    if c.num_key_value_heads == engine.null then fallback = "heads" end
    cfg.kv_heads = defaulted(cfg, c, "num_key_value_heads",
      fallback == "heads" and cfg.heads or fallback)
  end
  if cfg.heads % cfg.kv_heads ~= 0 then
    error(("config.json: num_attention_heads %d is no multiple of num_key_value_heads %d")
      :format(cfg.heads, cfg.kv_heads), 0)
  end
  local head = get(c, "head_dim") and integer(c, "head_dim")
  if not head and math.type(defaults.head_dim) == "integer" then head = defaults.head_dim end
  if not head and cfg.hidden % cfg.heads ~= 0 then
    error(("config.json: hidden_size %d is no multiple of num_attention_heads %d, and there is "
      .. "no head_dim"):format(cfg.hidden, cfg.heads), 0)
  end
  cfg.head = head or cfg.hidden // cfg.heads
  cfg.head_dim = (head or defaults.head_dim) and cfg.head
  if cfg.head % 2 ~= 0 then
    error(("config.json: head_dim %d is odd: rotary embeddings need an even one")
      :format(cfg.head), 0)
  end
end

--- The effective config: what a config.json (text, or the table of engine.json) means for the
-- library. Fields: arch (name), class, layers, hidden, ffn, heads, kv_heads, head (rows of one
-- head), head_dim (nil where the library has none), vocab, context, rms_norm_eps, rope {type,
-- theta, ...}, tie_word_embeddings, attention_bias, mlp_bias, dtype, raw, warnings.
-- Anything missing without default, of a wrong kind or out of range is an error.
function m.effective(config)
  local raw = config
  if type(config) == "string" then
    local ok, value = pcall(engine.json, config)
    if not ok then error("config.json: " .. tostring(value), 0) end
    raw = value
  end
  local c = laid_over(raw)
  local class = class_of(c)
  local found = arch.of_class(class)
  if not found then
    error(("config.json: the architecture %s is not handled; handled are %s")
      :format(show(class), table.concat(arch.classes(), ", ")), 0)
  end
  refuse_quantized(c)
  local defaults = found.defaults[class]
  local cfg = { arch = found.name, class = class, raw = c, warnings = {} }
  cfg.layers = integer(c, "num_hidden_layers", LAYERS_MAX)
  cfg.hidden = integer(c, "hidden_size")
  cfg.ffn = integer(c, "intermediate_size")
  cfg.vocab = integer(c, "vocab_size")
  heads_of(cfg, c, defaults)
  cfg.rms_norm_eps = number(c, "rms_norm_eps", defaults.rms_norm_eps)
  defaulted(cfg, c, "rms_norm_eps", cfg.rms_norm_eps)
  cfg.context = get(c, "max_position_embeddings") and integer(c, "max_position_embeddings")
    or defaults.max_position_embeddings
  cfg.rope = rope_of(c, defaults, cfg.context)
  cfg.tie_word_embeddings =
    boolean(c, "tie_word_embeddings", defaults.tie_word_embeddings)
  cfg.attention_bias = boolean(c, "attention_bias", false)
  cfg.mlp_bias = boolean(c, "mlp_bias", false)
  cfg.dtype = get(c, "torch_dtype") or get(c, "dtype")
  return cfg
end

--- The shape (Hugging Face order) that a row of rules/arch must have under an effective config.
function m.shape(cfg, row)
  local sizes = {
    vocab = cfg.vocab, hidden = cfg.hidden, ffn = cfg.ffn, head = cfg.head,
    q = cfg.heads * cfg.head, kv = cfg.kv_heads * cfg.head,
  }
  local dims = {}
  for i, word in ipairs(row.shape) do dims[i] = sizes[word] end
  return dims
end

-- ---- editing ---------------------------------------------------------------------------------

local dtype_words = { bf16 = "bfloat16", f16 = "float16", f32 = "float32", f64 = "float64" }

-- A list re-indexed by source layer, as JSON text; nil when a layer has no entry.
local function reindexed(list, source_layers)
  local parts = {}
  for i, layer in ipairs(source_layers) do
    local value = list[layer + 1]
    if type(value) == "string" then
      parts[i] = engine.json_string(value)
    elseif math.type(value) == "integer" or type(value) == "boolean" then
      parts[i] = tostring(value)
    else
      return nil
    end
  end
  return "[" .. table.concat(parts, ", ") .. "]"
end

-- Lists by layer that several architectures without a table have.
local common_lists = { "layer_types", "layers_block_type", "mlp_layer_types", "no_rope_layers",
  "attention_layers" }

-- COUNT: the donor's layers.
local function edit_lists(c, count, changes, edits, warnings)
  local found = arch.of_class(type(c.architectures) == "table" and c.architectures[1])
  local named = {}
  for _, key in ipairs(found and found.layer_lists or common_lists) do named[key] = true end
  local keys = {}
  for key, value in pairs(c) do
    if type(value) == "table" and engine.is_array(value) and #value == count
      and #value > 0 and key ~= "architectures" then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local text = named[key] and reindexed(c[key], changes.source_layers)
    if text then
      edits[#edits + 1] = { key, text }
    elseif #c[key] > 1 then
      warnings[#warnings + 1] = ("config.json: the list %s is as long as the donor has layers; it "
        .. "is left alone"):format(key)
    end
  end
end

-- The keys that count layers, in architectures without a table.
local layer_keys = { "num_hidden_layers", "n_layer", "n_layers", "num_layers" }

-- The key of the number of layers; nil, and a warning, when no key has the donor's number.
local function layer_key(c, changes, warnings)
  if not changes.donor_layers then return "num_hidden_layers" end
  for _, key in ipairs(layer_keys) do
    if c[key] == changes.donor_layers then return key end
  end
  if changes.layers ~= changes.donor_layers then
    warnings[#warnings + 1] = ("config.json: no key says that there are %d layers (%s were tried); "
      .. "write %d there"):format(changes.donor_layers, table.concat(layer_keys, ", "),
      changes.layers)
  end
  return nil
end

-- What transformers takes where a config does not say whether the head is tied; nil: unknown.
local function tied_by_default(c)
  local class = type(c.architectures) == "table" and c.architectures[1]
  local found = arch.of_class(class)
  if not found then return nil end
  return found.defaults[class].tie_word_embeddings
end

local function unchanged(list, layers)
  if #list ~= layers then return false end
  for i, layer in ipairs(list) do
    if layer ~= i - 1 then return false end
  end
  return true
end

--- The text of a config.json with some values changed and every other byte kept: layers,
-- vocab_size, dtype ("bf16"), tied, source_layers (the donor's layer of each layer, from 0),
-- donor_layers (for architectures without a table: how many the donor has, by which the key is
-- found). Returns the text and a list of warnings.
function m.edit(text, changes)
  local c = engine.json(text)
  local edits, warnings = {}, {}
  local count_key = layer_key(c, changes, warnings)
  local function set(key, value, json)
    if c[key] ~= value then edits[#edits + 1] = { key, json } end
  end
  if changes.layers and count_key then set(count_key, changes.layers, tostring(changes.layers)) end
  if changes.vocab_size then set("vocab_size", changes.vocab_size, tostring(changes.vocab_size)) end
  local says = c.tie_word_embeddings
  if says == nil then says = tied_by_default(c) end
  if changes.tied ~= nil and changes.tied ~= says then
    set("tie_word_embeddings", changes.tied, tostring(changes.tied))
  end
  local word = dtype_words[changes.dtype]
  if word then
    local json = engine.json_string(word)
    if c.dtype ~= nil then set("dtype", word, json) end
    if c.torch_dtype ~= nil or c.dtype == nil then set("torch_dtype", word, json) end
  end
  local from, count = changes.source_layers, changes.donor_layers or c.num_hidden_layers
  if from and not unchanged(from, count) then edit_lists(c, count, changes, edits, warnings) end
  if #edits == 0 then return text, warnings end
  return engine.json_edit(text, edits), warnings
end

-- ---- from GGUF -------------------------------------------------------------------------------

local packs = {
  u8 = "<I1", i8 = "<i1", u16 = "<I2", i16 = "<i2", u32 = "<I4", i32 = "<i4", u64 = "<I8",
  i64 = "<i8", f32 = "<f", f64 = "<d", str = "<s8",
}

--- The value of a scalar key-value, from its raw bytes where it has no value field.
function m.value(entry)
  if entry == nil then return nil end
  if entry.value ~= nil then return entry.value end
  if entry.type == "bool" then return entry.raw:byte(1) ~= 0 end
  local pack = packs[entry.type]
  return pack and (string.unpack(pack, entry.raw))
end

--- How many elements an array key-value has; nil for others.
function m.count(entry)
  if entry == nil or entry.type ~= "arr" then return nil end
  return (select(2, string.unpack("<I4I8", entry.raw)))
end

-- A float read as f32, as the shortest decimal that is that f32 (1e-05, not 9.99999975e-06).
local function shortest(value)
  for digits = 1, 9 do
    local text = ("%%.%dg"):format(digits):format(value)
    if string.pack("<f", tonumber(text)) == string.pack("<f", value) then return tonumber(text) end
  end
  return value
end

-- Reads the keys of one architecture; the first that is missing or of a wrong kind is kept as
-- the reason why the file is not regular.
local function reader(by_key, name)
  local r = {}
  local function bad(key, value, wanted)
    r.reason = r.reason or ("%s.%s is %s, %s was expected"):format(name, key,
      value == nil and "missing" or tostring(value), wanted)
    return 1
  end
  function r.size(key, fallback, most)
    local entry = by_key[name .. "." .. key]
    local value = m.value(entry)
    if entry == nil then value = fallback end
    if math.type(value) ~= "integer" or value < 1 or value > (most or SIZE_MAX) then
      return bad(key, value or (entry and "a list"), "an integer from 1 to " .. (most or SIZE_MAX))
    end
    return value
  end
  function r.float(key, fallback)
    local value = m.value(by_key[name .. "." .. key])
    if type(value) ~= "number" then return fallback end
    return shortest(value)
  end
  return r
end

local function rope_from_kv(r, by_key, name, defaults, context)
  local rope = { type = "default", theta = r.float("rope.freq_base", defaults.rope_theta) }
  local kind = m.value(by_key[name .. ".rope.scaling.type"])
  if kind == "linear" or kind == "yarn" then
    rope.type = kind
    rope.factor = r.float("rope.scaling.factor", 1.0)
    if kind == "yarn" then
      rope.original = r.size("rope.scaling.original_context_length", context)
    end
  end
  return rope
end

--- The effective config that the key-values of a GGUF file say (the fields of m.effective but
-- raw; vocab may be nil). TIED: the file has no output.weight. For an architecture without a
-- table, or a file that this one's table does not describe (sizes missing, or one per layer):
-- nil and the reason.
function m.from_kv(kv, tied)
  local by_key = {}
  for _, entry in ipairs(kv) do by_key[entry.key] = entry end
  local name = m.value(by_key["general.architecture"])
  local found = arch.of_gguf(name)
  if not found then
    return nil, ("the architecture '%s' has no table in rules/arch/"):format(tostring(name))
  end
  local defaults = found.defaults[found.classes[1]]
  local r = reader(by_key, name)
  local cfg = { arch = name, class = found.classes[1], warnings = {} }
  cfg.layers = r.size("block_count", nil, LAYERS_MAX)
  cfg.hidden = r.size "embedding_length"
  cfg.ffn = r.size "feed_forward_length"
  cfg.heads = r.size "attention.head_count"
  cfg.kv_heads = r.size("attention.head_count_kv", cfg.heads)
  local given = by_key[name .. ".attention.key_length"]
  cfg.head = r.size("attention.key_length", cfg.hidden // cfg.heads)
  cfg.head_dim = (given or defaults.head_dim) and cfg.head or nil
  cfg.vocab = m.count(by_key["tokenizer.ggml.tokens"]) or m.value(by_key[name .. ".vocab_size"])
  cfg.context = r.size("context_length", defaults.max_position_embeddings)
  cfg.rms_norm_eps = r.float("attention.layer_norm_rms_epsilon", defaults.rms_norm_eps)
  cfg.rope = rope_from_kv(r, by_key, name, defaults, cfg.context)
  cfg.tie_word_embeddings = tied == true
  cfg.attention_bias, cfg.mlp_bias = false, false
  for word, key in pairs { bos = "bos", eos = "eos", pad = "padding" } do
    cfg[word .. "_token_id"] = m.value(by_key["tokenizer.ggml." .. key .. "_token_id"])
  end
  if r.reason then return nil, r.reason end
  return cfg
end

--- A number as JSON: the shortest digits that read back as it; floats keep a point or exponent.
function m.number(value)
  if math.type(value) == "integer" then return tostring(value) end
  local text
  for digits = 15, 17 do
    text = ("%%.%dg"):format(digits):format(value)
    if tonumber(text) == value then break end
  end
  return text:find("[.e]") and text or text .. ".0"
end

--- A config.json of an effective config that has none (a GGUF source written as a folder).
-- DTYPE is the word of the tensors ("bf16").
function m.text(cfg, dtype)
  local lines = {}
  local function put(key, json)
    if json ~= nil then lines[#lines + 1] = ("  %s: %s"):format(engine.json_string(key), json) end
  end
  local function whole(key, value) put(key, value and tostring(value)) end
  put("architectures", ("[\n    %s\n  ]"):format(engine.json_string(cfg.class)))
  whole("attention_bias", cfg.arch ~= "qwen2" and tostring(cfg.attention_bias) or nil)
  whole("bos_token_id", cfg.bos_token_id)
  put("dtype", engine.json_string(dtype_words[dtype] or "float32"))
  whole("eos_token_id", cfg.eos_token_id)
  whole("head_dim", cfg.head_dim)
  put("hidden_act", '"silu"')
  whole("hidden_size", cfg.hidden)
  whole("intermediate_size", cfg.ffn)
  whole("max_position_embeddings", cfg.context)
  put("model_type", engine.json_string(cfg.class == "MistralForCausalLM" and "mistral" or cfg.arch))
  whole("num_attention_heads", cfg.heads)
  whole("num_hidden_layers", cfg.layers)
  whole("num_key_value_heads", cfg.kv_heads)
  whole("pad_token_id", cfg.pad_token_id)
  put("rms_norm_eps", m.number(cfg.rms_norm_eps))
  local rope = cfg.rope
  if rope.type == "default" then
    put("rope_scaling", "null")
  else
    local parts = { ('"factor": %s'):format(m.number(rope.factor)) }
    if rope.original then
      parts[2] = ('"original_max_position_embeddings": %d'):format(rope.original)
    end
    parts[#parts + 1] = ('"rope_type": %s'):format(engine.json_string(rope.type))
    put("rope_scaling", "{\n    " .. table.concat(parts, ",\n    ") .. "\n  }")
  end
  put("rope_theta", m.number(rope.theta))
  whole("tie_word_embeddings", tostring(cfg.tie_word_embeddings))
  whole("vocab_size", cfg.vocab)
  return "{\n" .. table.concat(lines, ",\n") .. "\n}\n"
end

return m
