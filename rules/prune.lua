--- prune = of quantize: layers left out of a model, the rest numbered anew, as llama-quantize's
-- --prune-layers; and what a header says of each layer. Source: specs/gguf-quant.md 4.5;
-- rulings qm 30 and 41.

local check = require "check"
local config = require "config"
local lists = require "lists"
local model = require "model"

local m = {}

local FORM = "numbers of layers: { 4, 5 }"

-- ---- tensors ----------------------------------------------------------------------------------

-- A tensor's layer; without a table's as llama-quantize's regular expression finds it: anywhere
-- in the name.
local function block_of(t)
  if t.row then return t.layer end
  return math.tointeger(tonumber(t.gguf:match("blk%.(%d+)%."))) -- nil: too long for a number, too
end

local function set_of(list, data, lax)
  local set = {}
  for at, layer in ipairs(lists.items("quantize", "prune", list, FORM)) do
    if math.type(layer) ~= "integer" or layer < 0 then
      check.fail("quantize: item %d of 'prune' is %s, expected %s", at, check.kind(layer), FORM)
    end
    if layer >= data.layers and not lax then
      check.fail("quantize: 'prune' names layer %d of '%s', which has %d", layer, data.name,
        data.layers)
    end
    set[layer] = true
  end
  return set
end

-- The new number of each layer that stays, and how many there are. Up to the first that goes
-- they keep theirs.
local function renumbering(given, dropped)
  local seen, list, into, next_ = {}, {}, {}, 0
  local first = math.maxinteger
  for layer in pairs(dropped) do first = math.min(first, layer) end
  for _, t in ipairs(given) do
    local layer = block_of(t)
    if layer and not seen[layer] then
      seen[layer], list[#list + 1] = true, layer
    end
  end
  table.sort(list)
  for _, layer in ipairs(list) do
    if not dropped[layer] then
      into[layer] = layer < first and layer or next_
      next_ = into[layer] + 1
    end
  end
  return into, next_
end

local function moved(t, layer, to)
  if t.row then return model.renumber(t, to) end
  local new = model.put(t, t.node, t.map)
  new.gguf = t.gguf:gsub("blk%.%d+%.", ("blk.%d."):format(to), 1)
  new.name = new.gguf
  if t.layer == layer then new.layer = to end
  return new
end

-- The name under which llama-quantize looks up an imatrix's entry for a pruned tensor.
local function imatrix_name(t, layer)
  return (t.gguf:gsub("blk%.%d+%.", ("blk.%d."):format(layer), 1))
end

--- The model DATA without the layers that LIST names; nil: none are. GIVEN: its tensors. LAX:
-- layers that it does not have are no error. Returns the data of the new model, its tensors and
-- { layers = how many stay, dropped = set, was = { [new GGUF name] = its name in an imatrix } }.
function m.apply(list, data, given, lax)
  if not list then return data, given, nil end
  if data.card.kind ~= "gguf" then model.structured("quantize: 'prune'", data) end
  local dropped = set_of(list, data, lax)
  local into, count = renumbering(given, dropped)
  if count == 0 then
    check.fail("quantize: 'prune' leaves no layer of the %d of '%s'", data.layers, data.name)
  end
  local tensors, was, card_layers = {}, {}, {}
  for _, t in ipairs(given) do
    local layer = block_of(t)
    local new = t
    if layer then new = into[layer] and moved(t, layer, into[layer]) end
    if new then
      tensors[#tensors + 1] = new
      if layer then was[new.gguf] = imatrix_name(t, layer) end
    end
  end
  for layer = 0, data.layers - 1 do
    if not dropped[layer] then card_layers[#card_layers + 1] = data.card_layers[layer + 1] end
  end
  local pruned = model.peek(model.derive(data, tensors, {
    layers = count, card_layers = card_layers, unstructured = data.unstructured,
  }))
  return pruned, tensors, { layers = count, dropped = dropped, was = was }
end

-- ---- key-values -------------------------------------------------------------------------------

local widths = {
  [0] = 1, [1] = 1, [2] = 2, [3] = 2, [4] = 4, [5] = 4, [6] = 4, [7] = 1, [10] = 8, [11] = 8,
  [12] = 8,
}
local TEXT = 8

-- Arrays of an architecture's that are no list of layers, however long they are.
local others = { "%.rope%.dimension_sections$", "%.classifier%.", "%.adapters%.", "%.ple%.",
  "%.target_layers$", "%.image_mean$", "%.image_std$" }

local function is_other(key)
  for _, pattern in ipairs(others) do
    if key:find(pattern) then return true end
  end
  return false
end

-- The elements of an array as their bytes.
local function elements(raw, item, count)
  local parts, at = {}, 13
  for i = 1, count do
    local size = widths[item] or 8 + string.unpack("<I8", raw, at)
    parts[i] = raw:sub(at, at + size - 1)
    at = at + size
  end
  return parts
end

--- An array with one element for each of LAYERS layers, with those of the list FROM instead;
-- nil when ENTRY is none.
function m.relayered(entry, layers, from)
  if entry.type ~= "arr" or not from or is_other(entry.key) then return nil end
  local item, count = string.unpack("<I4I8", entry.raw)
  if count ~= layers or not (widths[item] or item == TEXT) then return nil end
  local all, parts = elements(entry.raw, item, count), { string.pack("<I4I8", item, #from) }
  for i, layer in ipairs(from) do
    if layer >= layers then return nil end
    parts[i + 1] = all[layer + 1]
  end
  return { key = entry.key, type = entry.type, raw = table.concat(parts) }
end

local function remaining(layers, dropped)
  local list = {}
  for layer = 0, layers - 1 do
    if not dropped[layer] then list[#list + 1] = layer end
  end
  return list
end

--- The key-values LIST of the architecture NAME without the elements of dropped layers, which
-- llama-quantize leaves in (and no loader reads such a file).
function m.arrays(list, name, pruned)
  local layers, from, out = nil, nil, {}
  for _, entry in ipairs(list) do
    if entry.key == name .. ".block_count" then layers = config.value(entry) end
  end
  for i, entry in ipairs(list) do
    local new
    if layers and entry.key:sub(1, #name + 1) == name .. "." and config.count(entry) == layers then
      from = from or remaining(layers, pruned.dropped)
      new = #from < layers and m.relayered(entry, layers, from)
    end
    if new then
      engine.note(("%s has an element for each layer: those of pruned layers are left out, as "
        .. "llama-quantize does not"):format(entry.key))
    end
    out[i] = new or entry
  end
  return out
end

return m
