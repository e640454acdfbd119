--- merge.linear, merge.slerp, merge.passthrough: tensors of several models into one
-- (specs/merge.md sections 2.1, 2.2, 2.12 and 4; rulings 10 and 17).

local check = require "check"
local layers = require "layers"
local maps = require "maps"
local model = require "model"
local frozen = require "frozen"
local value = require "value"

local m = {}

-- ---- inputs -----------------------------------------------------------------------------------

-- The models of a merge: `model` or `{ model, weight = 0.5 }`, with the parameters each may have.
local function inputs(word, items, own)
  local list = {}
  for i, item in ipairs(items) do
    local entry = { parameters = {} }
    local plain = frozen.open(item)
    if not model.peek(item) and type(plain) == "table" and not engine.content(plain) then
      local inner, options = check.args(own, plain)
      entry.data = model.data(word, inner[1], "item " .. i)
      if #inner > 1 then check.fail("%s: item %d holds %d models", word, i, #inner) end
      entry.parameters = options
    else
      entry.data = model.data(word, item, "item " .. i)
    end
    list[i] = entry
  end
  if #list == 0 then check.fail("%s needs at least one model", word) end
  for _, entry in ipairs(list) do
    model.structured(word, entry.data)
    layers.same_arch(word, list[1].data, entry.data)
    if entry.data.layers ~= list[1].data.layers then
      check.fail("%s: '%s' has %d layers and '%s' has %d; slice them to equal ranges", word,
        list[1].data.name, list[1].data.layers, entry.data.name, entry.data.layers)
    end
  end
  return list
end

local function compile(word, list, key, shared)
  for _, entry in ipairs(list) do
    local given = entry.parameters[key]
    if given == nil then given = shared end
    entry[key] = given ~= nil and value.compile(word, key, given, value.number) or nil
  end
end

-- The type that the merge works in and gives, from dtype =.
local function work_type(word, options)
  if not options.dtype or options.dtype == "inputs" then return nil end
  local to, kind = maps.type(word, "'dtype'", options.dtype)
  if kind ~= "float" then check.fail("%s: 'dtype' is '%s', expected a float type", word, to) end
  return to
end

-- The tensor of a place in one input: its own, or a tied model's embedding for the head.
local function tensor_of(entry, t)
  local index = model.by_name(entry.data)
  local found = index[t.name]
  if found or not t.row.tied then return found end
  for _, other in ipairs(entry.data.tensors) do
    if other.role == "token_embd" then return other end
  end
  return nil
end

local function same_map(a, b)
  if not a or not b then return a == b end
  return a.kind == b.kind and a.head == b.head
end

-- All inputs in one row order: their own when they agree and the method looks at rows alone,
-- else Hugging Face's.
local function align(nodes, tensors, row_local)
  local map, same = tensors[1].map, row_local
  for _, t in ipairs(tensors) do same = same and same_map(t.map, map) end
  if same then return map end
  for i, t in ipairs(tensors) do
    if t.map then nodes[i] = engine.op("permute", { nodes[i] }, t.map, t.name) end
  end
  return nil
end

local function check_shapes(word, list, tensors)
  for i = 2, #tensors do
    if tensors[i] and not engine.same_shape(tensors[1].node, tensors[i].node) then
      check.fail("%s: %s is [%s] in '%s' and [%s] in '%s'", word, tensors[1].name,
        table.concat({ engine.dims(tensors[1].node) }, ", "), list[1].data.name,
        table.concat({ engine.dims(tensors[i].node) }, ", "), list[i].data.name)
    end
  end
end

-- Every place that any input has, in the architecture's order: that of the longest list, and
-- then what only others have (an untied head) in theirs.
local function places(list)
  local order, seen = {}, {}
  local longest = list[1]
  for _, entry in ipairs(list) do
    if #entry.data.tensors > #longest.data.tensors then longest = entry end
  end
  for _, t in ipairs(longest.data.tensors) do
    if not t.gguf_only then
      order[#order + 1] = t
      seen[t.name] = true
    end
  end
  for _, entry in ipairs(list) do
    for _, t in ipairs(entry.data.tensors) do
      if not t.gguf_only and not seen[t.name] then
        check.fail("merge: '%s' has %s, which '%s' lacks", entry.data.name, t.name,
          longest.data.name)
      end
    end
  end
  return order
end

-- Run COMBINE(t, nodes, tensors, present, name) -> node over every place of the merge; NAME is
-- the one that patterns of the whole merge see.
local function over(word, list, donor, options, row_local, combine)
  local first = options.first or 0
  local dtype = work_type(word, options)
  local result = {}
  for _, t in ipairs(places(list)) do
    local nodes, tensors, present = {}, {}, {}
    for i, entry in ipairs(list) do
      local own = tensor_of(entry, t)
      if own then
        if dtype then own = maps.to_type(own, dtype, "float") end
        tensors[#tensors + 1], nodes[#nodes + 1] = own, own.node
        present[#present + 1] = i
      end
    end
    check_shapes(word, list, tensors)
    local map = align(nodes, tensors, row_local)
    local here = t.layer and first > 0 and model.renumber(t, t.layer + first) or t
    local node = combine(t, nodes, tensors, present, here.name)
    local new = model.put(t, node, map)
    new.shard, new.at = nil, nil
    if node == nodes[1] and #nodes == 1 then new.shard, new.at = t.shard, t.at end
    local from = (model.by_name(donor)[t.name] or t).from
    new.from = {
      name = here.name, layer = t.layer, model = donor.name, origin = from.origin or from,
    }
    result[#result + 1] = new
  end
  return result
end

-- The value of a merge: DONOR's card, and what it has in GGUF files only (rope factors).
local function finish(donor, list, tensors)
  for _, t in ipairs(donor.tensors) do
    if t.gguf_only then tensors[#tensors + 1] = t end
  end
  local parts = {}
  for i, entry in ipairs(list) do parts[i] = entry.data end
  return model.derive(donor, tensors, { quantized = false }, parts)
end

local function dead(list, key)
  for _, entry in ipairs(list) do
    if entry[key] then value.dead(entry[key], entry.data.tensors) end
  end
end

-- The donor of config and tokenizer: base =, else the first model.
local function donor_of(word, options, list)
  if not options.base then return list[1].data end
  local base = model.structured(word, model.data(word, options.base, "'base'"))
  layers.same_arch(word, list[1].data, base)
  return base
end

-- ---- the methods ------------------------------------------------------------------------------

--- merge.linear { {a, weight = 0.7}, {b, weight = 0.3}, normalize = true }
function m.linear(word, args)
  local items, options = check.args(word, args)
  local list = inputs("merge.linear", items, word.own)
  local donor = donor_of("merge.linear", options, list)
  compile("merge.linear", list, "weight", options.weight)
  local normalize = options.normalize ~= false
  local tensors = over("merge.linear", list, donor, options, true, function(t, nodes, own, present)
    if #present < #list then
      check.fail("merge.linear: %s is not in every model", t.name)
    end
    local weights = {}
    for i, entry in ipairs(list) do
      local w = entry.weight and value.at(entry.weight, own[i], entry.data.layers, own[i].from.name)
      if not w then
        check.fail("merge.linear: '%s' has no weight for %s", entry.data.name, t.name)
      end
      weights[i] = w
    end
    return engine.op("merge_linear", nodes, { weights = weights, normalize = normalize }, t.name)
  end)
  dead(list, "weight")
  return finish(donor, list, tensors)
end

-- base first, whether it is named by base = or is the first of two.
local function pair(items, options, own)
  local list = inputs("merge.slerp", items, own)
  local base = options.base and model.data("merge.slerp", options.base, "'base'") or list[1].data
  if #list == 2 and list[2].data == base then
    list[1], list[2] = list[2], list[1]
  elseif #list == 1 and options.base then
    list = inputs("merge.slerp", { options.base, items[1] }, own)
  elseif #list == 2 and list[1].data ~= base then
    check.fail("merge.slerp: 'base' is neither of the two models")
  end
  if #list ~= 2 then check.fail("merge.slerp takes two models, not %d", #list) end
  return list
end

--- merge.slerp { base, other, t = 0.5 } or merge.slerp { other, base = base, t = 0.5 }
function m.slerp(word, args)
  local items, options = check.args(word, args)
  local list = pair(items, options, word.own)
  local donor = list[1].data
  local t_of = value.compile("merge.slerp", "t", options.t, value.number)
  local count = donor.layers
  local tensors = over("merge.slerp", list, donor, options, false, function(t, nodes, _, _, name)
    if #nodes == 1 then return nodes[1] end
    local at = value.at(t_of, t, count, name)
    if not at then check.fail("merge.slerp: no 't' for %s", t.name) end
    return engine.op("merge_slerp", nodes, at, t.name)
  end)
  local seen = {}
  for i, t in ipairs(tensors) do seen[i] = t.from end
  value.dead(t_of, seen, true)
  return finish(donor, list, tensors)
end

--- merge.passthrough { m, scale = by { {"o_proj", 1.5} } }
function m.passthrough(word, args)
  local items, options = check.args(word, args)
  local list = inputs("merge.passthrough", items, word.own)
  if #list ~= 1 then
    check.fail("merge.passthrough takes one model, not %d; put layers on layers with stack", #list)
  end
  local donor = donor_of("merge.passthrough", options, list)
  local entry = list[1]
  compile("merge.passthrough", list, "scale", options.scale)
  local tensors = over("merge.passthrough", list, donor, options, true, function(t, nodes, own)
    local gain = entry.scale and value.at(entry.scale, own[1], entry.data.layers, own[1].from.name)
    if not gain or gain == 1 then return nodes[1] end
    return engine.op("scale", nodes, gain, t.name)
  end)
  dead(list, "scale")
  return finish(donor, list, tensors)
end

return m
