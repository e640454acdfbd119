--- The vocabulary of recipes, in one table: what each word takes, since when, and an example.
-- Checks of arguments, messages and docs/words.md all come from here.

local artifact = require "artifact"
local check = require "check"
local graft = require "graft"
local layers = require "layers"
local maps = require "maps"
local merge = require "merge"
local options = require "options"
local quantize = require "quantize"
local source = require "source"
local types = require "types"
local value = require "value"

local m = {}

-- A key: its name, what it holds (check.lua), what it means.
local function key(name, kind, doc, required)
  return { name, kind, doc, required = required }
end

local dtype = key("dtype", "string",
  "work type: inputs are cast to it, the result has it (default: f32 inside, the inputs' type out)")
local base = key("base", "model", "whose config and tokenizer the result has (default: the first)")
local first = key("first", "integer", "the number of the first layer in names that `by` sees")
local optional = key("optional", "boolean", "a role that names no tensor is no error")
local expect = key("expect", "table", "{ bytes =, bpw =, bpw_quantized = }: checked while planning")
local limit = key("limit", "bytes", "the files must not be larger")
local name = key("name", "string", "file or folder under outputs/ (default: the variant's name)")

--- Every word, in the order of the documentation. `form` is how it is written; `roles`: role and
-- group words are keys too; `own`: what may stand beside one model; `later`: keys to come.
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
  { name = "merge.linear", since = "0.1", run = merge.linear,
    form = "merge.linear { { model, weight = 0.7 }, { model, weight = 0.3 } }",
    doc = "The weighted mean of models, as mergekit's linear.",
    keys = {
      base, key("weight", "any", "of every model that names none"),
      key("normalize", "boolean", "divide by the sum of the weights (default true)"), dtype, first,
    },
    own = { name = "merge.linear", keys = { key("weight", "any", "how much of it") } },
    later = { tokenizer = true, chat_template = true, missing = true, out_dtype = true },
    example = "merge.linear { { base, weight = 0.6 }, { code, weight = 0.4 } }" },
  { name = "merge.slerp", since = "0.1", run = merge.slerp,
    form = "merge.slerp { base, model, t = 0.5 }",
    doc = "Spherical interpolation from the base (t = 0) to the other model (t = 1).",
    keys = { base, key("t", "any", "how far: any parameter value", true), dtype, first },
    own = { name = "merge.slerp", keys = {} },
    later = { tokenizer = true, chat_template = true, out_dtype = true },
    example = 'merge.slerp { base, code, t = by { { "self_attn", ramp { 0, 1 } }, 0.5 } }' },
  { name = "merge.passthrough", since = "0.1", run = merge.passthrough,
    form = "merge.passthrough { model, scale = ... }",
    doc = "One model as it is, but for tensors that scale names.",
    keys = { base, key("scale", "any", "any parameter value"), dtype, first },
    own = { name = "merge.passthrough", keys = { key("scale", "any", "any parameter value") } },
    later = { tokenizer = true, chat_template = true, out_dtype = true },
    example = 'merge.passthrough { base, scale = by { { "o_proj", 1.5 } } }' },
  { name = "ramp", since = "0.1", run = value.ramp, form = "ramp { 0, 0.5, 1 }",
    doc = "A parameter that changes over the layers: a gradient through these points.",
    example = "merge.slerp { base, code, t = ramp { 0, 0.5, 1 } }" },
  { name = "by", since = "0.1", run = value.by, form = 'by { { "PATTERN", value }, rest }',
    doc = "A parameter by parts of tensor names: the first that occurs decides.",
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
      key("allow_requantize", "boolean", "quantized sources may be quantized again"), optional,
    },
    later = {
      budget = true, patterns = true, prune = true, override = true,
      allow = true, floor = true, importance = true,
    },
    example = 'quantize { base, "Q4_K_M", attn_v = "q6_k", output = "q8_0" }' },
  { name = "gguf", since = "0.1", run = artifact.gguf, artifact = true,
    form = "gguf { model, name = NAME }",
    doc = "A GGUF file: of an unquantized model convert_hf_to_gguf's, of a quantized one "
      .. "llama-quantize's.",
    keys = {
      name, key("outtype", "string", "f32, f16, bf16, q8_0 or auto (default auto)"),
      key("title", "string", "general.name in the file"), expect, limit,
    },
    later = { keep_split = true, shard = true },
    example = 'gguf { base, outtype = "f16" }' },
  { name = "safetensors", since = "0.1", run = artifact.safetensors, artifact = true,
    form = "safetensors { model, name = NAME }",
    doc = "A Hugging Face folder: weights, config.json, tokenizer files.",
    keys = {
      name, key("shard", "bytes", "the most in one file (default \"5GB\")"), expect, limit,
    },
    example = 'safetensors { base, shard = "1MB" }' },
  { name = "option", since = "0.1", run = options.option, form = "option(name, default)",
    doc = "What -D name=value says on the command line, else the default.",
    example = 'source(option("model", "tests/models/nano-llama-base"))' },
}

-- Words that later releases bring: they are errors that say so.
local reserved = {
  "archive", "each", "evaluate", "exec", "hct", "lora", "measure", "organ_folder", "purify",
  "sizes", "variants", "yeam", "merge.arcee_fusion", "merge.breadcrumbs",
  "merge.breadcrumbs_ties", "merge.dare_linear", "merge.dare_ties", "merge.della",
  "merge.della_linear", "merge.karcher", "merge.model_stock", "merge.multislerp",
  "merge.nearswap", "merge.nuslerp", "merge.ram", "merge.ramplus_tl", "merge.sce",
  "merge.task_arithmetic", "merge.ties", "merge.yeam",
}

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
