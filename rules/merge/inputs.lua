--- The inputs of a merge: its models in their order, the base first, and how many there may be.
-- X, here and in the files beside: one use of a merge word (rules/merge.lua).

local check = require "check"
local frozen = require "frozen"
local layers = require "layers"
local model = require "model"
local names = require "names"

local m = {}

--- The models as written: `model` or `{ model, weight = 0.5 }`, with the parameters of each.
function m.written(word, items)
  local list = {}
  for i, item in ipairs(items) do
    local entry = { parameters = {} }
    local plain = frozen.open(item)
    if not model.peek(item) and type(plain) == "table" and not engine.content(plain) then
      local inner, options = check.args(word.own, plain)
      entry.data = model.data(word.name, inner[1], "item " .. i)
      if #inner > 1 then check.fail("%s: item %d holds %d models", word.name, i, #inner) end
      entry.parameters = options
    else
      entry.data = model.data(word.name, item, "item " .. i)
    end
    for k, other in ipairs(list) do
      if model.same(other.data, entry.data) then
        check.fail("%s: items %d and %d are the same model ('%s')", word.name, k, i,
          entry.data.name)
      end
    end
    list[i] = entry
  end
  if #list == 0 then check.fail("%s needs at least one model", word.name) end
  return list
end

--- Put the base before the others, whether it is among them, named by base =, or both. The base's
-- parameters of models that are not the base say nothing: in a recipe that is an error.
function m.base_first(x, list)
  local method, base = x.method, x.base
  if method.base == "none" then return end
  local at = not base and method.first and 1 or nil
  for i, entry in ipairs(list) do
    if base and model.same(entry.data, base) then at = i end
  end
  if not at and not base then
    if method.base == "optional" then return end
    check.fail("%s needs 'base' (the model that changes are counted from)", x.word)
  end
  local entry = at and table.remove(list, at) or { data = base, parameters = {} }
  entry.base = true
  for _, p in ipairs(method.params) do
    if p.scope == "N" and entry.parameters[p.name] ~= nil and not x.lax then
      check.fail("%s: '%s' is the base, which takes no '%s'", x.word, entry.data.name, p.name)
    end
  end
  table.insert(list, 1, entry)
end

--- How many inputs a method takes, in words.
function m.counts(method)
  local least, most = method.inputs[1], method.inputs[2]
  local of = method.inputs.of and " besides the base"
    or method.base == "required" and " with the base" or ""
  return ("%s%d model%s%s"):format(least == most and "" or "at least ", least,
    least == 1 and "" or "s", of)
end

--- Whether a number of inputs is right: COUNT of them, OTHERS without the base.
function m.enough(method, count, others)
  local n = method.inputs.of and others or count
  return n >= method.inputs[1] and n <= method.inputs[2]
end

--- Check their number, architectures and layers; their names become those of x.host.
function m.check(x, list)
  local others = list[1].base and #list - 1 or #list
  if not m.enough(x.method, #list, others) then
    check.fail("%s takes %s, not %d%s", x.word, m.counts(x.method),
      x.method.inputs.of and others or #list,
      x.method.name == "passthrough" and "; put layers on layers with stack" or "")
  end
  local host = x.host
  local function fits(data)
    model.layered(x.word, data)
    if not x.options.allow_mixed_arch then
      layers.same_arch(x.word, host, data, ("; %s merges them by names"):format(
        x.lax and "vbuild merge --allow-crimes" or "allow_mixed_arch = true"))
    end
    if data.layers ~= host.layers then
      check.fail("%s: '%s' has %d layers and '%s' has %d; slice them to equal ranges", x.word,
        host.name, host.layers, data.name, data.layers)
    end
  end
  for _, entry in ipairs(list) do
    fits(entry.data)
    entry.data = names.adopt(host, entry.data)
  end
  fits(x.donor)
end

return m
