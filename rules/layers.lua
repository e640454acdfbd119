--- slice, span, stack: layers of models, by number.

local check = require "check"
local model = require "model"
local names = require "names"

local m = {}

local SPAN = "a span"

local function bounds(word, first, last)
  if math.type(first) ~= "integer" or math.type(last) ~= "integer" then
    check.fail("%s: layers are whole numbers, not %s and %s", word, check.kind(first),
      check.kind(last))
  end
  if first < 0 or last < first then
    check.fail("%s(%d, %d): the range is half open and goes up: 0 <= first <= last", word, first,
      last)
  end
end

--- span(first, last): the layers first .. last - 1.
function m.span(_, first, last)
  bounds("span", first, last)
  if first == last then check.fail("span(%d, %d) holds no layer", first, last) end
  return engine.freeze({ first = first, last = last }, SPAN)
end

--- First and last of a span, checked against a model.
function m.range(word, value, data)
  local span = engine.content(value)
  if span.last > data.layers then
    check.fail("%s: layers %d..%d of '%s', which has %d", word, span.first, span.last - 1,
      data.name, data.layers)
  end
  return span.first, span.last
end

--- The labels of models that were sliced: finish.lua names layers of theirs that nothing uses.
m.sliced = {}

--- slice(model, first, last): these layers, renumbered from 0, and what is outside layers.
function m.slice(_, value, first, last)
  local data = model.layered("slice", model.data("slice", value))
  bounds("slice", first, last)
  if last > data.layers then
    check.fail("slice(%d, %d): '%s' has %d layers", first, last, data.name, data.layers)
  end
  for _, label in ipairs(data.sources) do m.sliced[label] = true end
  local tensors, card_layers = {}, {}
  for _, t in ipairs(data.tensors) do
    if not t.layer then
      tensors[#tensors + 1] = t
    elseif t.layer >= first and t.layer < last then
      tensors[#tensors + 1] = model.renumber(t, t.layer - first)
    end
  end
  for i = first, last - 1 do card_layers[#card_layers + 1] = data.card_layers[i + 1] end
  return model.derive(data, tensors, { layers = last - first, card_layers = card_layers })
end

-- The tensors of a model outside layers, by where its architecture puts them.
local function outside(data, where, list)
  for _, t in ipairs(data.tensors) do
    if not t.layer and not t.gguf_only and t.row.where == where then list[#list + 1] = t end
  end
end

-- What an architecture is called in messages.
local function arch_of(data)
  return data.arch_name or "of no known architecture (there is no config.json)"
end

--- Two models whose tensors may stand in one. HOW: what lifts the rule, for the message.
function m.same_arch(word, host, other, how)
  model.layered(word, other)
  if host.arch ~= other.arch or (not host.arch and host.arch_name ~= other.arch_name) then
    check.fail("%s: '%s' is %s and '%s' is %s: models of two architectures do not mix%s", word,
      host.name, arch_of(host), other.name, arch_of(other), how or "")
  end
end

-- The data of a part of a stack, in the spelling of the first.
local function part_of(what, value, first)
  local data = model.layered("stack", model.data("stack", value, what))
  if not first then return data end
  m.same_arch("stack", first, data)
  return names.adopt(first, data)
end

--- stack { part, part, ..., base = model, embed = model, output = model }
function m.stack(word, args)
  local items, options = check.args(word, args)
  if #items == 0 then check.fail("stack needs at least one part") end
  local parts = {}
  for i, item in ipairs(items) do
    parts[i] = part_of("item " .. i, item, parts[1])
  end
  local first = parts[1]
  local embed = options.embed and part_of("'embed'", options.embed, first) or first
  local head = options.output and part_of("'output'", options.output, first) or parts[#parts]
  local donor = options.base and part_of("'base'", options.base, first) or first
  local tensors, card_layers, layers = {}, {}, 0
  for _, t in ipairs(first.tensors) do
    if t.gguf_only then tensors[#tensors + 1] = t end
  end
  outside(embed, "before", tensors)
  for _, part in ipairs(parts) do
    for _, t in ipairs(part.tensors) do
      if t.layer then tensors[#tensors + 1] = model.renumber(t, t.layer + layers) end
    end
    for _, i in ipairs(part.card_layers) do card_layers[#card_layers + 1] = i end
    layers = layers + part.layers
  end
  if layers == 0 then check.fail("stack: no part has a layer") end
  outside(head, "after", tensors)
  m.same_widths("stack", tensors)
  parts[#parts + 1], parts[#parts + 2], parts[#parts + 3] = embed, head, donor
  return model.derive(donor, tensors, { layers = layers, card_layers = card_layers }, parts)
end

--- All tensors of one row must have one shape, or no model can be made of them.
function m.same_widths(word, tensors)
  local seen = {}
  for _, t in ipairs(tensors) do
    local row = t.row
    local other = row and seen[row]
    if row and not other then
      seen[row] = t
    elseif row and other.node ~= t.node and not engine.same_shape(other.node, t.node) then
      check.fail("%s: %s is [%s] in '%s' and [%s] in '%s'", word, t.name,
        table.concat({ engine.dims(other.node) }, ", "), other.from.model,
        table.concat({ engine.dims(t.node) }, ", "), t.from.model)
    end
  end
end

return m
