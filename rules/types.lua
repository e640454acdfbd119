--- types, with, edges: which type a tensor is quantized to, by role, group and layer.
-- An allocation is a list of tables by canonical word, the newest first: the first that speaks
-- of a role decides, inside it the most specific word, and defaults come last (rulings 3, 43).

local check = require "check"
local frozen = require "frozen"
local maps = require "maps"
local presets = require "presets"
local value = require "value"

local m = {}

local KIND = "a types value"

--- The name of a type that weights can be stored in; errors say what the word is instead.
function m.target(word, what, name)
  if type(name) ~= "string" then
    check.fail("%s: %s is %s, expected a type name", word, what, check.kind(name))
  end
  local lower = name:lower()
  if lower == "keep" then return "keep" end
  if presets.find(name) and not engine.dtype(name) then
    check.fail("%s: %s: '%s' is a preset, not a type; a preset is the second item of quantize "
      .. "{ m, \"%s\" }", word, what, name, name:upper())
  end
  local found, kind = maps.type(word, what, name)
  if found == "q8_k" or found == "q8_1" then
    local more = found == "q8_k" and "; published files labelled so hold q8_0" or ""
    check.fail("%s: %s: '%s' is a type of activations, not of weights%s", word, what, found, more)
  end
  if (kind == "plain" and not maps.is_told(found)) or found == "f64" then
    check.fail("%s: %s: tensors cannot be made '%s' in this release", word, what, found)
  end
  return found
end

-- One table by canonical word, its values ready to be asked.
local function layer_of(word, by_word)
  local out = {}
  for name, item in pairs(value.canonical(word, by_word)) do
    local function leaf(v)
      if type(v) ~= "string" and type(v) ~= "number" then return nil end
      return m.target(word, "'" .. name .. "'", v)
    end
    out[name] = value.compile(word, name, item, leaf, false)
  end
  return { by = out, spelled = by_word }
end

local function make(layers)
  local visible = {}
  for i = #layers, 1, -1 do
    for name, item in pairs(layers[i].spelled) do visible[name] = item end
  end
  return engine.freeze(layers, KIND, visible)
end

--- The layers of a types value, or nil.
function m.peek(v)
  local layers, kind = engine.content(v)
  return kind == KIND and layers or nil
end

--- types { ROLE_OR_GROUP = TYPE, default = TYPE }
function m.types(word, args)
  local items, _, by_role = check.args(word, args)
  if #items > 0 then check.fail("types takes only words: types { attn_v = \"q6_k\" }") end
  return make { layer_of("types", by_role) }
end

--- with(types, { changes }): the same allocation with other types for some words.
function m.with(word, base, changes)
  local layers = m.peek(base)
  if not layers then
    local more = type(base) == "string" and "; over a preset write quantize { m, \"Q4_K_M\", "
      .. "ROLE = TYPE }" or ""
    check.fail("with: the first argument is %s, expected types { ... }%s", check.kind(base), more)
  end
  if type(frozen.open(changes)) ~= "table" or engine.content(frozen.open(changes)) then
    check.fail("with: the changes are %s, expected a table", check.kind(changes))
  end
  local _, _, by_role = check.args(word, changes)
  local list = { layer_of("with", by_role) }
  for _, layer in ipairs(layers) do list[#list + 1] = layer end
  return make(list)
end

--- edges(low, high): high in the first and last eighth of the layers and every third between
-- them, low elsewhere: llama.cpp's choice for the layers that matter most (ruling 4).
function m.edges(_, low, high)
  m.target("edges", "the first argument", low)
  m.target("edges", "the second argument", high)
  return function(layer, layers)
    local eighth = layers // 8
    local more = layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
    return more and high or low
  end
end

--- The layers of an allocation with more words before them.
function m.before(word, by_role, layers)
  if next(by_role) == nil then return layers end
  local list = { layer_of(word, by_role) }
  for _, layer in ipairs(layers) do list[#list + 1] = layer end
  return list
end

--- The type for T, and the canonical word that decided; nil: nothing speaks of it.
-- ONLY: names that may decide (for tensors that groups do not reach).
function m.pick(layers, t, count, only)
  local chain = t.role and value.chain(t.role)
  for i = 1, #layers do
    local layer = layers[i]
    if chain then
      for k = 1, #chain do
        local name = chain[k]
        local item = layer.by[name]
        if item and (not only or only(name)) then
          local got = value.at(item, t, count, t.from.name)
          if got then return got, name end
        end
      end
    elseif layer.by.all and not only then
      local got = value.at(layer.by.all, t, count, t.from.name)
      if got then return got, "all" end
    end
  end
  for _, layer in ipairs(layers) do
    if layer.by.default and not only then
      local got = value.at(layer.by.default, t, count, t.from.name)
      if got then return got, "default" end
    end
  end
  return nil
end

--- Every spelled word of an allocation.
function m.words(layers)
  local all = {}
  for _, layer in ipairs(layers) do
    for name, item in pairs(layer.spelled) do all[name] = item end
  end
  return all
end

--- Patterns of by { } in it that match none of the tensors are errors.
function m.dead(layers, tensors)
  for _, layer in ipairs(layers) do
    for _, item in pairs(layer.by) do value.dead(item, tensors) end
  end
end

return m
