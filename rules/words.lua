--- The vocabulary of recipes, in one table: what each word takes, since when, and an example.
-- Checks of arguments, messages and docs/words.md all come from here.

local artifact = require "artifact"
local check = require "check"
local graft = require "graft"
local layers = require "layers"
local maps = require "maps"
local merge = require "merge"
local mergekit = require "mergekit"
local methods = require "methods"
local options = require "options"
local quantize = require "quantize"
local source = require "source"
local types = require "types"
local value = require "value"
local variants = require "variants"

local m = {}

-- A key: its name, what it holds (check.lua), what it means.
local function key(name, kind, doc, required)
  return { name, kind, doc, required = required }
end

local optional = key("optional", "boolean", "a role that names no tensor is no error")
local expect = key("expect", "table", "{ bytes =, bpw =, bpw_quantized = }: checked while planning")
local limit = key("limit", "bytes", "the files must not be larger")
local name = key("name", "string", "file or folder under outputs/ (default: the variant's name)")

--- Every word, in the order of the documentation. `form` is how it is written; `roles`: role and
-- group words are keys too; `whole`: a recipe may return its value; `own`: what may stand beside
-- one model; `later`: keys to come.
m.list = {
  { name = "source", since = "0.1", run = source.source, form = 'source "PATH"',
    doc = "A model: a Hugging Face folder, hf://ORG/NAME[@REV] of the hub's cache on disk, a "
      .. "safetensors file, a GGUF file.",
    later = { sha256 = true, arch = true },
    example = 'source "tests/models/nano-llama-base"' },
  { name = "synthetic", since = "0.1", run = source.synthetic, form = "synthetic { config = ... }",
    doc = "A model of that shape with defined random weights, made only when needed.",
    keys = {
      key("config", "any", "a config.json's values as a table, or its file name", true),
      key("seed", "integer", "other weights (default 0)"),
      key("name", "string", "what messages call it (default \"synthetic\")"),
    },
    example = 'synthetic { config = "tests/models/nano-llama-base/config.json", seed = 1 }' },
  { name = "slice", since = "0.1", run = layers.slice, form = "slice(model, first, last)",
    doc = "The layers first .. last - 1, numbered from 0, with what is outside layers.",
    example = "slice(base, 0, 2)" },
  { name = "span", since = "0.1", run = layers.span, form = "span(first, last)",
    doc = "The layers first .. last - 1, for graft.",
    example = "graft { base, organs = code, layers = span(1, 3) }" },
  { name = "stack", since = "0.1", run = layers.stack, form = "stack { part, part, ... }",
    doc = "Layers on layers: the embedding of the first part, norm and head of the last.",
    keys = {
      key("base", "model", "whose config and tokenizer it has (default: the first part)"),
      key("embed", "model", "whose embedding it has"),
      key("output", "model", "whose last norm and head it has"),
    },
    example = "stack { slice(base, 0, 3), slice(code, 1, 4) }" },
  { name = "graft", since = "0.1", run = graft.graft, roles = true,
    form = "graft { host, ROLE_OR_GROUP = donor }",
    doc = "Tensors of donors in the place of the host's.",
    keys = {
      key("layers", "span", "only in these layers"),
      key("optional", "boolean", "what a donor lacks stays the host's"),
    },
    later = { blend = true },
    example = "graft { base, attn = prose, organs = code }" },
  { name = "cast", since = "0.1", run = maps.cast, form = "cast { model, to = TYPE }",
    doc = "Every tensor as f32, f16, bf16 or f64; quantized ones are dequantized.",
    keys = { key("to", "string", "the float type", true) },
    example = 'cast { base, to = "f32" }' },
  { name = "scale", since = "0.1", run = maps.scale, roles = true, default = true,
    form = "scale { model, ROLE_OR_GROUP = gain }",
    doc = "Tensors times a number; a role covers weight and bias.",
    keys = { optional },
    example = "scale { base, attn_output = 1.5, ffn_down = ramp { 1, 1.5 } }" },
  { name = "merge.yaml", since = "0.2", run = mergekit.word, form = 'merge.yaml "FILE.yml"',
    doc = "The model that a mergekit configuration makes. `vbuild FILE.yml` builds the same, "
      .. "`vbuild merge FILE.yml --recipe` prints it in these words.",
    keys = {
      key("name", "string", "of a file with several documents: which one"),
      key("strict", "boolean", "what mergekit ignores (unknown keys, parameters of other methods, "
        .. "filters that hit nothing) is an error"),
      key("model_dir", "string", "a folder of models, DIR/ORG/NAME or DIR/NAME"),
      key("seed", "any", "of random methods: a whole number or \"0x...\" (default 0)"),
      key("truncate_vocab", "boolean", "vocabularies of unlike size: keep the rows that all have"),
      key("allow_mixed_arch", "boolean", "models of different architectures merge by names"),
    },
    example = 'merge.yaml "recipes/merge.yml"' },
  { name = "ramp", since = "0.1", run = value.ramp, form = "ramp { 0, 0.5, 1 }",
    doc = "A parameter that changes over the layers: a gradient through these points.",
    example = "merge.slerp { base, code, t = ramp { 0, 0.5, 1 } }" },
  { name = "by", since = "0.1", run = value.by, form = 'by { { "PATTERN", value }, rest }',
    doc = "A parameter by parts of tensor names: the first that occurs decides. The value "
      .. "\"default\" stands for none.",
    example = 'merge.slerp { base, code, t = by { { "mlp", 0.3 }, 0.5 } }' },
  { name = "types", since = "0.1", run = types.types, roles = true, default = true,
    form = "types { ROLE_OR_GROUP = TYPE, default = TYPE }",
    doc = "Which type each tensor is quantized to; the most specific word decides.",
    example = 'quantize { base, types { ffn = "q4_k", embed = "q8_0", default = "q6_k" } }' },
  { name = "with", since = "0.1", run = types.with, roles = true, default = true,
    form = "with(types, { ROLE_OR_GROUP = TYPE })",
    doc = "The same types with changes, which go before.",
    example = 'quantize { base, with(types { default = "q4_k" }, { attn_v = "q6_k" }) }' },
  { name = "edges", since = "0.1", run = types.edges, form = "edges(low, high)",
    doc = "The type high in the first and last eighth of the layers and every third between.",
    example = 'quantize { base, ffn_down = edges("q5_k", "q6_k"), default = "q5_k" }' },
  { name = "quantize", since = "0.1", run = quantize.quantize, roles = true, default = true,
    form = 'quantize { model, "Q4_K_M" or types, ROLE_OR_GROUP = TYPE }',
    doc = "Every tensor in the type it is given; norms and biases stay F32. A name (Q4_K_M, Q6_K, "
      .. "Q8_0, ...) is llama-quantize's preset: its choice for each tensor, and its file. Words "
      .. "beside it count as its options: output and token_embd as --output-tensor-type and "
      .. "--token-embedding-type, others as --tensor-type; keep copies.",
    keys = {
      key("pure", "boolean", "a preset's default type for every matrix, no mixture"),
      key("via", "string", "f32, f16, bf16 or auto: the float type that weights pass through "
        .. "first (default: under a preset the conversion's, so F32 checkpoints pass through F16)"),
      key("imatrix", "any", "an imatrix file (llama-imatrix's, GGUF or legacy), or { \"FILE\", "
        .. "include = { TEXTS } or exclude = { TEXTS }, of = source }: entries whose names hold a "
        .. "text; of: the source whose tensors it names (default: the names in this model)"),
      key("patterns", "table", "{ { \"REGEX\", TYPE }, ... }: the first whose regular expression "
        .. "(ECMAScript, searched for) is found in the GGUF name of a matrix gives its type, as "
        .. "--tensor-type does. It goes before every word, but for output and token_embd beside a "
        .. "preset, which are options of their own there. One that is found nowhere is an error"),
      key("prune", "table", "{ LAYER, ... }: layers left out, the rest numbered anew, as "
        .. "--prune-layers. Presets count by the model before that, imatrix entries have its "
        .. "numbers; words and patterns see the new ones. Metadata with an element for each layer "
        .. "loses those of the dropped ones, which llama-quantize forgets"),
      key("override", "table", "{ { \"KEY\", VALUE }, ... }: metadata of the file, as "
        .. "--override-kv: a whole number is written as u32 of its absolute value, others as f32, "
        .. "texts (at most 127 bytes) and booleans as such; presets heed it"),
      key("as", "string", "\"llama-quantize\": as lax as that command: patterns in lower case, "
        .. "and nothing that has no effect is an error; overrides of general.architecture, "
        .. "general.alignment and split.* are obeyed"),
      key("allow_requantize", "boolean", "quantized sources may be quantized again; the manifest "
        .. "says so of each tensor"), optional,
    },
    later = {
      budget = true, allow = true, floor = true, importance = true,
    },
    example = 'quantize { base, "Q4_K_M", attn_v = "q6_k", output = "q8_0" }' },
  { name = "gguf", since = "0.1", run = artifact.gguf, artifact = true,
    form = "gguf { model, name = NAME }",
    doc = "A GGUF file: of an unquantized model convert_hf_to_gguf's, of a quantized one "
      .. "llama-quantize's.",
    keys = {
      name, key("outtype", "string", "f32, f16, bf16, q8_0 or auto (default auto)"),
      key("title", "string", "general.name in the file"),
      key("keep_split", "boolean", "the shards of a split GGUF source are kept, as by "
        .. "llama-quantize --keep-split: NAME-00001-of-0000N.gguf and so on"),
      expect, limit,
    },
    later = { shard = true },
    example = 'gguf { base, outtype = "f16" }' },
  { name = "variants", since = "0.2", run = function(word, args)
      return variants.variants(word, args, m.find("quantize"), m.find("gguf"))
    end,
    form = 'variants { model, types = { "Q4_K_M", NAME = { "Q4_K_M", ROLE = TYPE } } }',
    doc = "One model in many quantizations: a table of artifacts, each gguf { quantize { ... } }, "
      .. "for `return variants { ... }`, or to take out (`.Q4_K_M`) or go over with pairs. Every "
      .. "key of quantize, and gguf's keep_split, title and limit, count for all of them. The "
      .. "source is read once.",
    keys = {
      key("types", "any", "presets, each named as itself, and NAME = what quantize takes: "
        .. "{ preset or types, ROLE_OR_GROUP = TYPE, options }, which go before those of all",
        true),
      key("name", "string", "file under outputs/; {variant} in it is the name of each (default: "
        .. "the variant's name)"),
    },
    whole = true,
    example = 'variants { base, name = "base-{variant}", types = { "Q4_K_M", "Q6_K", '
      .. 'mine = { "Q4_K_M", attn_v = "q8_0" } } }' },
  { name = "safetensors", since = "0.1", run = artifact.safetensors, artifact = true,
    form = "safetensors { model, name = NAME }",
    doc = "A Hugging Face folder: weights, config.json, tokenizer files.",
    keys = {
      name, key("shard", "bytes", "the most in one file (default \"5GB\")"),
      key("tokenizer", "boolean", "false: neither its files nor generation_config.json"),
      expect, limit,
    },
    example = 'safetensors { base, shard = "1MB" }' },
  { name = "option", since = "0.1", run = options.option, form = "option(name, default)",
    doc = "What -D name=value says on the command line, else the default.",
    example = 'source(option("model", "tests/models/nano-llama-base"))' },
}

-- ---- merges ------------------------------------------------------------------------------------

-- What every merge takes beside the parameters of its method.
local of_merges = {
  key("dtype", "string", "work type: inputs are cast to it, every step is rounded to it, the "
    .. "result has it; \"inputs\": the type that theirs promote to (default: f32 inside, rounded "
    .. "once to the inputs' type)"),
  key("out_dtype", "string", "the float type of the result"),
  key("first", "integer", "the number of the first layer in names that `by` and masks see"),
  key("missing", "string", "what becomes of a tensor that not every model has: \"error\", "
    .. "\"union\" (merged from those that have it), \"intersection\" (left out)"),
  key("truncate_vocab", "boolean", "vocabularies of unlike size: keep the rows that all have"),
  key("allow_mixed_arch", "boolean", "models of different architectures merge by names"),
  key("as", "string", "\"mergekit\": patterns that hit nothing are warned of, as in its YAML"),
}
local base_docs = {
  none = "whose config and tokenizer the result has (default: the first)",
  optional = "changes are counted from it; its config and tokenizer are the result's",
  required = "changes are counted from it; its config and tokenizer are the result's",
}

local function parameter(p)
  local default = p.default ~= nil and (" (default %s)"):format(tostring(p.default)) or ""
  return key(p.name, "any", p.doc .. default)
end

-- The word of a method of rules/methods.lua.
local function merge_word(method)
  local own, keys = {}, { key("base", "model", base_docs[method.base]) }
  for _, p in ipairs(method.params) do
    keys[#keys + 1] = parameter(p)
    keys[#keys].required = p.required and p.scope == "S"
    if p.scope ~= "S" then own[#own + 1] = key(p.name, "any", p.doc) end
  end
  if method.random then
    keys[#keys + 1] = key("seed", "any", "of the random masks: a whole number or \"0x...\" "
      .. "(default 0)")
  end
  for _, item in ipairs(of_merges) do keys[#keys + 1] = item end
  return {
    name = "merge." .. method.name, since = "0.1", doc = method.doc, form = method.form,
    keys = keys, own = { name = "merge." .. method.name, keys = own }, example = method.example,
    later = { tokenizer = true, chat_template = true },
    run = function(word, args) return merge.run(method, word, args) end,
  }
end

for i, word in ipairs(m.list) do
  if word.name == "ramp" then
    for k, method in ipairs(methods.list) do
      table.insert(m.list, i + k - 1, merge_word(method))
    end
    break
  end
end

-- Words that later releases bring: they are errors that say so.
local reserved = {
  "archive", "each", "evaluate", "exec", "hct", "lora", "measure", "organ_folder", "purify",
  "sizes", "yeam", "merge.yeam",
}

--- The row of a word.
function m.find(wanted)
  for _, word in ipairs(m.list) do
    if word.name == wanted then return word end
  end
  return nil
end

--- What sandbox_word registers: { name, run }.
m.words = {}

for _, word in ipairs(m.list) do
  m.words[#m.words + 1] = { name = word.name, run = function(...) return word.run(word, ...) end }
end
for _, word in ipairs(reserved) do
  m.words[#m.words + 1] = {
    name = word, run = function() check.fail("%s comes with a later release", word) end,
  }
end

-- ---- the page ---------------------------------------------------------------------------------

-- A whole recipe of an example.
local prelude = 'local base = source "tests/models/nano-llama-base"\n'
  .. 'local prose = source "tests/models/nano-llama-prose"\n'
  .. 'local code = source "tests/models/nano-llama-python"\n'

--- The example of a word as a recipe that plans by itself.
function m.recipe(word)
  local used = {}
  local names = (" " .. word.example .. " "):gsub("[\"'][^\"']*[\"']", "")
  for line in prelude:gmatch("[^\n]+\n") do
    local bound = line:match("local (%w+)")
    if names:find("%f[%w]" .. bound .. "%f[%W]") then used[#used + 1] = line end
  end
  local value_ = word.artifact and word.example or "safetensors { cast { " .. word.example
    .. ', to = "f32" } }'
  if word.example:find("^quantize") then value_ = "gguf { " .. word.example .. " }" end
  if word.whole then return table.concat(used) .. "return " .. word.example .. "\n" end
  return table.concat(used) .. "return { example = " .. value_ .. " }\n"
end

local function describe(word, out)
  local function put(...) out[#out + 1] = table.concat { ... } end
  put("## ", word.name)
  put("")
  put("`", word.form, "` (since ", word.since, ")")
  put("")
  put(word.doc)
  put("")
  if word.keys and #word.keys > 0 or word.roles then
    put("| key | meaning |")
    put("|---|---|")
    for _, item in ipairs(word.keys or {}) do
      put("| `", item[1], "` | ", item[3], item.required and "; needed" or "", " |")
    end
    for _, item in ipairs(word.own and word.own.keys or {}) do
      put("| `{ model, ", item[1], " = }` | ", item[3], " |")
    end
    if word.roles then
      put("| a role or group", word.default and ", `default`" or "", " | what it gets |")
    end
    put("")
  end
  put("```lua")
  put((m.recipe(word):gsub("\n$", "")))
  put("```")
  put("")
end

--- docs/words.md
function m.page()
  local roles = require "roles"
  local out = {
    "# Words of the recipe language", "",
    "Printed by `vbuild words` from rules/words.lua; every example is a recipe that the tests",
    "plan. A recipe is Lua in a closed environment that returns a table of variants; words are",
    "functions without side effects, and what they return is frozen.", "",
  }
  for _, word in ipairs(m.list) do describe(word, out) end
  out[#out + 1] = "## Roles and groups"
  out[#out + 1] = ""
  out[#out + 1] = "The GGUF and the Hugging Face word of a module both serve; the most specific "
    .. "word decides."
  out[#out + 1] = ""
  out[#out + 1] = "`" .. table.concat(roles.words(), "`, `") .. "`"
  out[#out + 1] = ""
  out[#out + 1] = "## Words of later releases"
  out[#out + 1] = ""
  out[#out + 1] = "`" .. table.concat(reserved, "`, `") .. "`"
  out[#out + 1] = ""
  return table.concat(out, "\n")
end

return m
