--- Parameter values: a number, ramp, by, a table by role or group, or a function of the layer.
-- Layers count inside the value a word acts on (ruling 17); specs/merge.md section 4.

local check = require "check"
local frozen = require "frozen"
local roles = require "roles"

local m = {}

local RAMP, BY = "a ramp", "a by list"

-- ---- ramp and by ------------------------------------------------------------------------------

--- ramp { 0, 0.5, 1 }
function m.ramp(word, args)
  local points = check.args(word, args)
  if #points == 0 then check.fail("ramp needs at least one number") end
  for i, point in ipairs(points) do
    if type(point) ~= "number" or point ~= point then
      check.fail("ramp: point %d is %s, expected a number", i, check.kind(point))
    end
  end
  return engine.freeze(points, RAMP)
end

--- by { {"o_proj", 0.5}, {"mlp", ramp {0, 1}}, 0.3 }
function m.by(word, args)
  local items = check.args(word, args)
  local list = {}
  if #items == 0 then check.fail("by needs at least one { \"pattern\", value }") end
  for i, item in ipairs(items) do
    local pair = frozen.open(item)
    if type(pair) == "table" and not engine.content(pair) then
      local pattern, value = pair[1], pair[2]
      if type(pattern) ~= "string" or value == nil or pair[3] ~= nil then
        check.fail("by: item %d is no { \"pattern\", value }", i)
      end
      list[i] = { pattern = pattern ~= "*" and pattern or nil, value = value }
    elseif i == #items then
      list[i] = { value = item }
    else
      check.fail("by: item %d has no pattern; only the last value stands for the rest", i)
    end
  end
  return engine.freeze(list, BY)
end

--- Where a layer lies between 0 and 1: one layer is 1, outside layers is 0.
local function position(layer, layers)
  if not layer then return 0 end
  return layers <= 1 and 1 or layer / (layers - 1)
end

local function on_ramp(points, layer, layers)
  local at = position(layer, layers) * (#points - 1)
  local low = math.floor(at)
  local high = math.min(#points - 1, low + 1)
  local part = at - low
  return (1 - part) * points[low + 1] + part * points[high + 1]
end

-- ---- tables by role ---------------------------------------------------------------------------

local chains = {}

--- The words that speak of a role, most specific first.
function m.chain(role)
  if not chains[role] then chains[role] = roles.chain(role) end
  return chains[role]
end

--- A table of canonical words from one in the recipe's spelling; "default" stays.
function m.canonical(word, by_word)
  local out, spelled = {}, {}
  for name, value in pairs(by_word) do
    local found = name ~= "default" and roles.find(name) or nil
    local list = { name }
    if found then
      list = {}
      if found.kind == "group" then
        list[1] = found.name
      else
        for role in pairs(found.roles) do list[#list + 1] = role end
      end
    elseif name ~= "default" then
      check.fail("%s: unknown role '%s'%s", word, name, check.hint(name, roles.words()))
    end
    for _, canonical in ipairs(list) do
      local other = spelled[canonical]
      if other and #list == 1 and other.alone then
        check.fail("%s: '%s' and '%s' are the same role", word, other.name, name)
      end
      if not other or #list == 1 then
        out[canonical] = value
        spelled[canonical] = { name = name, alone = #list == 1 }
      end
    end
  end
  return out
end

--- The value for a role in a canonical table, and the word that gave it; nil if none does.
function m.pick(table_, role)
  if role then
    for _, name in ipairs(m.chain(role)) do
      local value = table_[name]
      if value ~= nil then return value, name end
    end
  elseif table_.all ~= nil then
    return table_.all, "all"
  end
  return nil
end

--- Role words (not groups) that name nothing in a model with this set of roles are errors.
function m.present(word, by_word, have, model)
  for name in pairs(by_word) do
    local found = name ~= "default" and roles.find(name) or nil
    if found and found.kind == "role" then
      local any = false
      for role in pairs(found.roles) do any = any or have[role] end
      for role in pairs(have) do any = any or roles.reaches(found, role) end
      if not any then
        check.fail("%s: '%s' has no tensor of role '%s'; write optional = true to allow it", word,
          model, name)
      end
    end
  end
end

-- ---- evaluation -------------------------------------------------------------------------------

--- A parameter ready to be asked: WORD and KEY for messages; LEAF(value) checks a plain value
-- and gives it back, or nil when it is none. TABLES: whether tables by role may stand here.
function m.compile(word, key, value, leaf, tables)
  local self = { word = word, key = key, leaf = leaf, hits = {} }
  local content, kind = engine.content(value)
  value = frozen.open(value)
  if kind == RAMP and leaf(0.5) then
    self.ramp = content
  elseif kind == BY then
    self.by = {}
    for i, item in ipairs(content) do
      local inner = m.compile(word, key, item.value, leaf, tables)
      self.by[i] = { pattern = item.pattern, value = inner }
    end
  elseif type(value) == "function" then
    self.call = value
  elseif leaf(value) ~= nil then
    self.constant = leaf(value)
  elseif type(value) == "table" and not engine.content(value) then
    if value[1] ~= nil then
      check.fail("%s: '%s' is a bare list; write ramp { ... } for a gradient over the layers, or "
        .. "{ model, %s = value } beside each model", word, key, key)
    end
    if tables == false then check.fail("%s: '%s' cannot be a table here", word, key) end
    self.roles = {}
    for role, item in pairs(m.canonical(word, value)) do
      self.roles[role] = m.compile(word, key, item, leaf, false)
    end
    self.spelled = value
  else
    check.fail("%s: '%s' is %s, expected a value, ramp, by, a table by role, or a function", word,
      key, check.kind(value))
  end
  return self
end

--- The value for tensor T of a model of LAYERS layers under the name NAME; nil: none given.
function m.at(self, t, layers, name)
  if self.constant ~= nil then return self.constant end
  if self.ramp then return on_ramp(self.ramp, t.layer, layers) end
  if self.by then
    for i, item in ipairs(self.by) do
      if not item.pattern or name:find(item.pattern, 1, true) then
        self.hits[i] = true
        return m.at(item.value, t, layers, name)
      end
    end
    return nil
  end
  if self.call then
    local given = self.call(t.layer or 0, layers, t.from and t.from.layer or t.layer or 0)
    local value = given ~= nil and self.leaf(given) or nil
    if given ~= nil and value == nil then
      check.fail("%s: the function of '%s' gave %s for layer %d", self.word, self.key,
        check.kind(given), t.layer or 0)
    end
    return value
  end
  local inner = m.pick(self.roles, t.role) or self.roles.default
  if inner == nil then return nil end
  return m.at(inner, t, layers, name)
end

--- Patterns of `by` that occur in no name of TENSORS (the value's own, or those of OWN = true:
-- the names in this model) are errors; call it after the last m.at.
function m.dead(self, tensors, own)
  for i, item in ipairs(self.by or {}) do
    if item.pattern and not self.hits[i] then
      local found = false
      for _, t in ipairs(tensors) do
        local name = own and t.name or t.from.name
        found = found or name:find(item.pattern, 1, true) ~= nil
      end
      if not found then
        check.fail("%s: the pattern '%s' of '%s' matches no tensor", self.word, item.pattern,
          self.key)
      end
    end
  end
  for _, inner in pairs(self.roles or {}) do m.dead(inner, tensors, own) end
end

--- The leaf check of numeric parameters.
function m.number(value)
  return type(value) == "number" and value == value and value or nil
end

return m
