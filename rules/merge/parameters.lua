--- Parameters of a merge: compiled once, asked for each tensor (specs/merge.md section 4), and the
-- tensor at hand as the rows of rules/methods.lua see it.

local check = require "check"
local model = require "model"
local value = require "value"

local m = {}

-- ---- of the whole merge -------------------------------------------------------------------------

local function compile(x, p, given, data)
  if given == nil then return nil end
  local compiled = value.compile(x.word, p.name, given, p.kind)
  local role = value.role_word(compiled)
  if role and data.named then
    check.fail("%s: '%s' names the role '%s', and the architecture of '%s' has no roles; name "
      .. "tensors with by { { \"TEXT\", value } }", x.word, p.name, role, data.name)
  elseif role and compiled.spelled and data.layers > 0 then
    value.present(x.word, compiled.spelled, model.roles(data), data.name)
  end
  return compiled
end

--- Compile what the recipe gave, for the whole merge and for each input.
function m.compile(x)
  for _, p in ipairs(x.method.params) do
    x.shared[p.name] = compile(x, p, x.options[p.name], x.host)
    for _, entry in ipairs(p.scope ~= "S" and x.list or {}) do
      entry.compiled = entry.compiled or {}
      entry.compiled[p.name] = compile(x, p, entry.parameters[p.name], entry.data)
    end
  end
end

--- Patterns that name no tensor; of no layers at all nothing is asked.
function m.dead(x, result)
  local report = x.lax and value.note_dead or value.dead
  if x.host.layers == 0 then return end
  local all, own = {}, {}
  for _, entry in ipairs(x.list) do
    for _, compiled in pairs(entry.compiled or {}) do report(compiled, entry.data.tensors) end
    table.move(entry.data.tensors, 1, #entry.data.tensors, #all + 1, all)
  end
  for i, t in ipairs(result) do own[i] = t.from end
  for _, p in ipairs(x.method.params) do
    local compiled = x.shared[p.name]
    if compiled then report(compiled, p.scope == "S" and own or all, p.scope == "S") end
  end
end

--- The seed of random masks, as an integer of 64 bits.
function m.seed(x)
  local seed = x.options.seed
  if seed == nil then return 0 end
  if math.type(seed) == "integer" and seed >= 0 then return seed end
  if type(seed) == "string" and seed:find("^0[xX]%x+$") and #seed <= 18 then
    return math.tointeger(tonumber(seed))
  end
  check.fail("%s: 'seed' is %s, expected a whole number from 0, or a text like \"0x1f\" of up to "
    .. "16 digits", x.word, check.kind(seed))
end

-- ---- of one tensor ------------------------------------------------------------------------------

local place = {}
place.__index = place

--- The place of tensor T: what came of it so far is filled in by rules/merge.lua.
function m.place(x, t)
  return setmetatable({ x = x, t = t, entries = {}, tensors = {}, nodes = {} }, place)
end

function place:fail(format, ...)
  check.fail("%s: %s: %s", self.x.word, self.here.name, format:format(...))
end

--- One more tensor of which the merge warns at its end.
function place:count(format, ...)
  local counted, text = self.x.counted, format:format(...)
  if not counted[text] then counted[#counted + 1] = text end
  counted[text] = (counted[text] or 0) + 1
end

local function param_of(x, name)
  for _, p in ipairs(x.method.params) do
    if p.name == name then return p end
  end
  error(("%s has no parameter '%s'"):format(x.method.name, name), 0)
end

--- A parameter of the whole tensor.
function place:one(name)
  local p, compiled = param_of(self.x, name), self.x.shared[name]
  local given = compiled and value.at(compiled, self.t, self.x.host.layers, self.here.name)
  if given == nil then given = p.default end
  if given == nil and p.required then self:fail("no '%s' for it", name) end
  return given
end

--- The name of the I-th model besides the base.
function place:name(i) return self.entries[self.base and i + 1 or i].data.name end

--- A parameter of each input that is there, or of each but the base (scope N); false where
-- nothing gives one.
function place:list(name)
  local p, list = param_of(self.x, name), {}
  for i, entry in ipairs(self.entries) do
    if p.scope == "I" or not entry.base then
      local t, own, shared = self.tensors[i], entry.compiled[name], self.x.shared[name]
      local given
      if own then given = value.at(own, t, entry.data.layers, t.from.name) end
      if given == nil and shared then
        given = value.at(shared, t, entry.data.layers, t.from.name)
      end
      if given == nil then given = p.default end
      if given == nil and p.required then
        check.fail("%s: '%s' has no %s for %s", self.x.word, entry.data.name, name, self.here.name)
      end
      list[#list + 1] = given or false
    end
  end
  return list
end

--- The keys of the random masks (specs/merge.md section 3): by the tensor's name in the result and
-- the model's place among those configured.
function place:masks()
  local list = {}
  for _, entry in ipairs(self.entries) do
    if not entry.base then
      list[#list + 1] = engine.mask_key(self.here.name, entry.index, self.x.seed)
    end
  end
  return list
end

--- An op over the inputs that are there.
function place:op(name, params) return engine.op(name, self.nodes, params, self.here.name) end

-- The type that arithmetic on these nodes would have: all of one, else the wider float.
local function promoted(nodes)
  local first = engine.type(nodes[1])
  for _, node in ipairs(nodes) do
    if engine.type(node) ~= first then return "f32" end
  end
  return first
end

--- The same, of an op that can round to a work type after every step. That is said only where
-- it matters, so that keys of other tensors do not depend on it (rulings 10, qm 2).
function place:steps(name, params)
  local dtype = promoted(self.nodes)
  local half = dtype == "bf16" or dtype == "f16"
  params.math = half and self.x.options.dtype and "inputs" or "f32"
  return self:op(name, params)
end

return m
