--- Parameter values: a number, ramp, by, a table by role or group, or a function of the layer.
-- Layers count inside the value a word acts on (ruling 17); specs/merge.md section 4.

local check = require "check"
local frozen = require "frozen"
local roles = require "roles"

local m = {}

local RAMP, BY = "a ramp", "a by list"

-- ---- ramp and by ------------------------------------------------------------------------------

local function finite(v) return type(v) == "number" and v - v == 0 end

--- ramp { 0, 0.5, 1 }
function m.ramp(word, args)
  local points = check.args(word, args)
  if #points == 0 then check.fail("ramp needs at least one number") end
  local switches = type(points[1]) == "boolean"
  for i, point in ipairs(points) do
    if type(point) ~= "boolean" and not finite(point) then
      check.fail("ramp: point %d is %s, expected a number", i, check.kind(point))
    elseif (type(point) == "boolean") ~= switches then
      check.fail("ramp: point %d is %s: all are numbers, or all are true or false", i,
        check.kind(point))
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

-- Between switches there is nothing: the one before the place holds.
local function on_ramp(points, layer, layers)
  local at = position(layer, layers) * (#points - 1)
  local low = math.floor(at)
  if type(points[1]) == "boolean" then return points[low + 1] end
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

--- The leaf checks of parameters: a plain value, or nil when it is none.
function m.number(value) return finite(value) and value or nil end

function m.boolean(value)
  if type(value) == "boolean" then return value end
  return nil
end

function m.integer(value) return finite(value) and math.tointeger(value) or nil end

local leaf_words = {
  [m.number] = "a number", [m.boolean] = "true or false", [m.integer] = "a whole number",
}

-- A ramp for this leaf: of switches for m.boolean, of numbers for the others.
local function compile_ramp(self, points)
  local switches = type(points[1]) == "boolean"
  if leaf_words[self.leaf] and switches ~= (self.leaf == m.boolean) then
    check.fail("%s: '%s' is a ramp of %s, expected %s", self.word, self.key,
      switches and "switches" or "numbers", leaf_words[self.leaf])
  end
  self.ramp = points
end

--- A parameter ready to be asked: WORD and KEY for messages; LEAF(value) checks a plain value
-- and gives it back, or nil when it is none. TABLES: whether tables by role may stand here.
function m.compile(word, key, value, leaf, tables)
  local self = { word = word, key = key, leaf = leaf, hits = {} }
  local content, kind = engine.content(value)
  value = frozen.open(value)
  if kind == RAMP and (leaf_words[leaf] or leaf(0.5)) then
    compile_ramp(self, content)
  elseif kind == BY then
    self.by = {}
    for i, item in ipairs(content) do
      local inner = m.compile(word, key, item.value, leaf, tables)
      self.by[i] = { pattern = item.pattern, value = inner }
    end
  elseif value == "default" then -- in `by`: as if nothing were given there
    self.none = true
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
    check.fail("%s: '%s' is %s, expected %s, ramp, by, a table by role, or a function", word,
      key, check.kind(value), leaf_words[leaf] or "a value")
  end
  return self
end

-- What a ramp or a function gave, checked.
local function checked(self, given, t)
  if given == nil then return nil end
  local value = self.leaf(given)
  if value == nil then
    check.fail("%s: %s of '%s' gave %s for layer %d, expected %s", self.word,
      self.call and "the function" or "the ramp", self.key, check.kind(given), t.layer or 0,
      leaf_words[self.leaf] or "a value")
  end
  return value
end

--- The value for tensor T of a model of LAYERS layers under the name NAME; nil: none given.
function m.at(self, t, layers, name)
  if self.constant ~= nil then return self.constant end
  if self.none then return nil end
  if self.ramp then return checked(self, on_ramp(self.ramp, t.layer, layers), t) end
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
    local layer = t.layer or 0
    return checked(self, self.call(layer, layers, t.from and t.from.layer or layer), t)
  end
  local inner = m.pick(self.roles, t.role) or self.roles.default
  if inner == nil then return nil end
  return m.at(inner, t, layers, name)
end

-- Every by { } item of a parameter and of the values in it: CALL(item, the parameter it is in,
-- its place there).
local function items_of(self, call)
  for i, item in ipairs(self.by or {}) do
    call(item, self, i)
    items_of(item.value, call)
  end
  for _, inner in pairs(self.roles or {}) do items_of(inner, call) end
end

local function occurs(pattern, tensors, own)
  for _, t in ipairs(tensors) do
    if (own and t.name or t.from.name):find(pattern, 1, true) then return true end
  end
  return false
end

--- Patterns of `by` that occur in no name of TENSORS (the value's own, or those of OWN = true:
-- the names in this model) are errors; call it after the last m.at.
function m.dead(self, tensors, own)
  items_of(self, function(item, inside, i)
    if item.pattern and not inside.hits[i] and not occurs(item.pattern, tensors, own) then
      check.fail("%s: the pattern '%s' of '%s' matches no tensor", inside.word, item.pattern,
        inside.key)
    end
  end)
end

-- Patterns of merges that were imported: what one slice does not hit another may.
local late = { order = {} }

--- The same for parameters of imported configurations, where a pattern may be dead: it is warned
-- of when it occurs in no word's tensors (m.warn_dead).
function m.note_dead(self, tensors, own)
  items_of(self, function(item, inside, i)
    if not item.pattern then return end
    local id = inside.word .. "\n" .. inside.key .. "\n" .. item.pattern
    if not late[id] then
      late[id] = { word = inside.word, key = inside.key, pattern = item.pattern }
      late.order[#late.order + 1] = late[id]
    end
    late[id].hit = late[id].hit or inside.hits[i] or occurs(item.pattern, tensors, own)
  end)
end

--- Warn of the patterns that m.note_dead was told of and that nothing hit.
function m.warn_dead()
  for _, item in ipairs(late.order) do
    if not item.hit then
      engine.warn(("%s: the filter '%s' of '%s' matches no tensor"):format(item.word, item.pattern,
        item.key))
    end
  end
end

--- The first role or group word (not `all` or `default`) that a parameter asks for, or nil.
function m.role_word(self)
  for name in pairs(self.spelled or {}) do
    if name ~= "all" and name ~= "default" then return name end
  end
  for _, item in ipairs(self.by or {}) do
    local word = m.role_word(item.value)
    if word then return word end
  end
  return nil
end

return m
