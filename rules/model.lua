--- Models: layers x roles -> tensors, and a donor card (ruling 13).
-- A recipe sees `layers`, `arch` and `name`; everything else stays in these files:
--
--   data = { layers, arch (table of rules/arch/ or nil), arch_name, card, name,
--            named (without a table: the structure that rules/names.lua found, or nil),
--            tensors = { T... }, card_layers (for each layer, its number in the card's config),
--            sources = { labels of the models it is made from }, unknown = { names left out },
--            quantized, plain (the model before quantize, for the metadata),
--            file_type (the number of the preset it is quantized to),
--            as ("llama-quantize": it is as lax as that; quantize.lua),
--            header (what its file says of how it was quantized: overrides, imatrix (both lists
--            of { KEY, TYPE, VALUE }), arch_name, pruned (of prune.apply), before (that of the
--            model it was made of, if quantized itself)),
--            split (its tensors, chosen in the order of a split source: finds them) }
--   T = { name, layer, role, bias, gguf, node, map, row, shard, at,
--         from = { name, layer, model } } (of a source: T itself, with its model and, in a GGUF
--         file, its card; of a merge also origin: the T of a source that its donor has there)
-- T.shard and T.at: its file and its place over all files, from 1, in the source that it is of.
-- T.map = { kind = "to_hf", head = n }: the bytes lie in GGUF row order. Tensors are shared
-- between models and never changed after they were made.

local check = require "check"
local config = require "config"

local m = {}

local KIND = "a model"

--- The value that a recipe gets.
function m.new(data)
  local visible = { layers = data.layers, arch = data.arch_name, name = data.name }
  return engine.freeze(data, KIND, visible, true)
end

--- What lies behind a recipe's value, or nil.
function m.peek(value)
  local data, kind = engine.content(value)
  return kind == KIND and data or nil
end

--- The same, or an error that says what WORD expected.
function m.data(word, value, what)
  local data = m.peek(value)
  if data then return data end
  local more = type(value) == "string" and ("; write source \"%s\""):format(value) or ""
  check.fail("%s: %s is %s, expected a model%s", word, what or "the first item",
    check.kind(value), more)
end

--- The one model of a word with a single item.
function m.only(word, items)
  if #items > 1 then check.fail("%s takes one model, not %d", word, #items) end
  return m.data(word, items[1])
end

--- A model made from DATA: its card and structure, with other tensors and the named CHANGES.
-- PARTS: other models whose tensors it may hold.
function m.derive(data, tensors, changes, parts)
  changes = changes or {}
  local new = {
    layers = data.layers, arch = data.arch, arch_name = data.arch_name, card = data.card,
    named = data.named, name = data.name, tensors = tensors, card_layers = data.card_layers,
    unknown = data.unknown, quantized = data.quantized, sources = data.sources,
  }
  for key, item in pairs(changes) do new[key] = item end
  for _, part in ipairs(parts or {}) do new.sources = m.union(new.sources, part.sources) end
  return m.new(new)
end

--- The labels of two lists, each once, in their order.
function m.union(a, b)
  local list, seen = {}, {}
  for _, from in ipairs { a, b } do
    for _, label in ipairs(from) do
      if not seen[label] then list[#list + 1] = label end
      seen[label] = true
    end
  end
  return list
end

--- A tensor in the same place with other bytes.
function m.put(t, node, map)
  return {
    name = t.name, layer = t.layer, role = t.role, bias = t.bias, gguf = t.gguf, node = node,
    map = map, row = t.row, shard = t.shard, at = t.at, from = t.from, gguf_only = t.gguf_only,
  }
end

local names = {}

local function split(pattern)
  local before, after = pattern:match("^(.-)%%d(.*)$")
  return before or pattern, after or ""
end

local function names_of(row)
  local of_row = { hf = {}, gguf = {} }
  if row.before then -- of a name that may hold percent signs itself
    of_row.hf_before, of_row.hf_after = row.before, row.after
    of_row.gguf_before, of_row.gguf_after = row.before, row.after
  else
    of_row.hf_before, of_row.hf_after = split(row.hf)
    of_row.gguf_before, of_row.gguf_after = split(row.gguf)
  end
  names[row] = of_row
  return of_row
end

--- Both names of an architecture's row in a layer (nil: outside layers), remembered.
function m.names(row, layer)
  if not layer then return row.hf, row.gguf end
  local of_row = names[row] or names_of(row)
  local hf = of_row.hf[layer]
  if not hf then
    hf = of_row.hf_before .. layer .. of_row.hf_after
    of_row.hf[layer] = hf
    of_row.gguf[layer] = of_row.gguf_before .. layer .. of_row.gguf_after
  end
  return hf, of_row.gguf[layer]
end

--- The same tensor in another layer.
function m.renumber(t, layer)
  if t.layer == layer then return t end
  local new = m.put(t, t.node, t.map)
  new.layer = layer
  new.name, new.gguf = m.names(t.row, layer)
  return new
end

--- A model that WORD can take apart by layers and roles.
function m.structured(word, data)
  if data.arch then return data end
  local why = data.unstructured or (data.card.kind == "none"
    and "there is no config.json beside its weights, which names the architecture")
  check.fail("%s needs the structure of '%s': %s", word, data.name, why
    or ("the architecture '%s' has no table in rules/arch/"):format(data.arch_name or "unknown"))
end

--- A model that WORD can take apart by layers: by its architecture's table, or by names.
function m.layered(word, data)
  if data.named then return data end
  return m.structured(word, data)
end

--- Whether two values hold the same tensors in the same places.
function m.same(a, b)
  if a == b then return true end
  if #a.tensors ~= #b.tensors then return false end
  for i, t in ipairs(a.tensors) do
    local u = b.tensors[i]
    if t.node ~= u.node or t.name ~= u.name then return false end
  end
  return #a.tensors > 0
end

--- Whether the first dimension of a tensor is the vocabulary.
function m.is_vocabulary(t)
  local row = t.row
  return row ~= nil and (row.vocab or (row.shape ~= nil and row.shape[1] == "vocab")) or false
end

--- The embedding of tokens, which a tied model's head is; nil if there is none.
function m.embedding(data)
  for _, t in ipairs(data.tensors) do
    if t.role == "token_embd" or (t.row and t.row.embed) then return t end
  end
  return nil
end

--- Whether a config says that the head is not tied.
function m.says_untied(data)
  local card = data.card
  if card.untied == nil then
    local says = card.config and engine.json(card.config)
    card.untied = type(says) == "table" and says.tie_word_embeddings == false
  end
  return card.untied
end

--- The tensors by name, made once.
function m.by_name(data)
  if not data.index then
    local index = {}
    for _, t in ipairs(data.tensors) do index[t.name] = t end
    data.index = index
  end
  return data.index
end

--- The set of roles a model has, made once.
function m.roles(data)
  if not data.role_set then
    local set = {}
    for _, t in ipairs(data.tensors) do
      if t.role then set[t.role] = true end
    end
    data.role_set = set
  end
  return data.role_set
end

--- The effective config of a model's card, made once; nil when it has none.
function m.config(data)
  local card = data.card
  if card.effective == nil then
    if card.kind == "gguf" then
      card.effective = data.arch and config.from_kv(card.kv) or false
    else
      card.effective = card.config and data.arch and config.effective(card.config) or false
    end
  end
  return card.effective or nil
end

--- The rows of one head in a tensor whose row is permuted; nil for others.
function m.head(data, t)
  local field = t.row and t.row.permute
  local cfg = field and m.config(data)
  if not cfg then return nil end
  local rows = engine.dims(t.node)
  return cfg[field] and rows // cfg[field]
end

return m
