--- Architectures without a table: their structure, from the names of tensors alone
-- (specs/merge.md section 7). The first ".NUMBER." of a name splits it; the prefix with most
-- layers is the stack, and everything else lies before it (embeddings) or after it.
--
-- data.named = { prefix = "transformer.h" or nil, alias = "transformer." or "" }; rows have `hf`,
-- `gguf` (the same), `where`, and `embed`, `vocab`, `tied` as the tables of rules/arch/ have them.

local model = require "model"

local m = {}

local before = { "embed_tokens", "wte", "wpe", "word_embeddings", "embed_in", "tok_embeddings",
  "embeddings." }
local tokens = { embed_tokens = true, wte = true, word_embeddings = true, embed_in = true,
  tok_embeddings = true, embeddings = true }
local heads = { lm_head = true, embed_out = true }

--- The prefix, number and rest of a name; nil when it holds no canonical number.
local function split(name)
  local prefix, digits, rest = name:match("^(.-)%.(%d+)%.(.+)$")
  if not digits or #digits > 6 or digits ~= ("%d"):format(tonumber(digits)) then return nil end
  return prefix, math.tointeger(tonumber(digits)), rest
end

-- Prefix -> { layers (distinct), last, count (tensors) }.
local function groups(list)
  local found = {}
  for _, name in ipairs(list) do
    local prefix, layer = split(name)
    if prefix then
      local group = found[prefix] or { prefix = prefix, seen = {}, layers = 0, last = 0, count = 0 }
      found[prefix] = group
      if not group.seen[layer] then
        group.seen[layer] = true
        group.layers = group.layers + 1
      end
      group.last, group.count = math.max(group.last, layer), group.count + 1
    end
  end
  return found
end

--- The structure that these names have: data.named.
function m.structure(list)
  local best
  for _, group in pairs(groups(list)) do -- in the order of their names
    local whole = group.layers == group.last + 1
    if whole and (not best or group.layers > best.layers
      or (group.layers == best.layers and group.count > best.count)) then
      best = group
    end
  end
  local prefix = best and best.prefix
  local alias = prefix and (prefix:match("^transformer%.") or prefix:match("^bert%.")) or ""
  return { prefix = prefix, alias = alias }
end

local rows = {}

local function new_row(name, rest)
  if rest then return { hf = name .. ".%d." .. rest, before = name .. ".", after = "." .. rest } end
  local module, kind = name:match("([^.]+)%.([^.]+)$")
  local row = { hf = name, where = "after" }
  for _, text in ipairs(before) do
    if name:find(text, 1, true) then row.where = "before" end
  end
  row.embed = kind == "weight" and tokens[module] or nil
  local head = heads[module] or name:find("^output%.")
  row.tied = head and kind == "weight" or nil
  row.vocab = row.embed or (head and (kind == "weight" or kind == "bias")) or nil
  return row
end

--- The row of a name in a structure, and its layer (nil outside the stack). Equal names of
-- several models have one row.
function m.row(named, name)
  local prefix, layer, rest = split(name)
  if prefix == nil or prefix ~= named.prefix then prefix, layer, rest = name, nil, nil end
  local key = rest and ("%d:%s%s"):format(#prefix, prefix, rest) or ":" .. prefix
  local row = rows[key]
  if not row then
    row = new_row(prefix, rest)
    row.gguf = row.hf
    rows[key] = row
  end
  return row, layer
end

-- The host's spelling of a name of data: one of them may lack a leading "transformer.".
local function respelled(host, data, name)
  local own, theirs = data.named.alias, host.named.alias
  if own ~= "" and name:sub(1, #own) == own then return theirs .. name:sub(#own + 1) end
  if own ~= "" or model.by_name(host)[name] then return name end
  local layered = data.named.prefix and name:sub(1, #data.named.prefix + 1)
    == data.named.prefix .. "."
  return (layered or model.by_name(host)[theirs .. name]) and theirs .. name or name
end

--- DATA with the host's spelling of names where the two differ by a leading "transformer." or
-- "bert." only; else DATA itself.
function m.adopt(host, data)
  local a, b = host.named, data.named
  if not a or not b or a.alias == b.alias or not a.prefix or not b.prefix
    or a.prefix:sub(#a.alias + 1) ~= b.prefix:sub(#b.alias + 1) then
    return data
  end
  local new, seen = {}, {}
  for key, item in pairs(data) do new[key] = item end
  new.index, new.tensors, new.named = nil, {}, a
  for i, t in ipairs(data.tensors) do
    local name = respelled(host, data, t.name)
    if seen[name] then return data end -- ambiguous: both spellings are in one model
    seen[name] = true
    local copy = model.put(t, t.node, t.map)
    copy.name, copy.gguf = name, name
    copy.row, copy.layer = m.row(a, name)
    new.tensors[i] = copy
  end
  return new
end

return m
