--- Parameters of a mergekit file: settings, and how their scopes become one value of the recipe
-- language (specs/merge.md section 4).
--
-- A setting is a scalar, a gradient, or conditions of which the first whose filter occurs in the
-- tensor's name decides. When it gives nothing (null, an empty list), or none matches, the next
-- scope is asked: so the conditions of all scopes, in their order, are one `by`.

local ast = require "mergekit/ast"
local check = require "check"
local methods = require "methods"
local read = require "mergekit/read"
local value = require "value"

local m = {}

local by_name, every = {}, {}
for _, method in ipairs(methods.list) do
  by_name[method.name] = method
  for _, p in ipairs(method.params) do every[p.name] = true end
end

--- The row of rules/methods.lua, or nil; all their names.
function m.method(name) return by_name[name] end

function m.methods()
  local names = {}
  for i, method in ipairs(methods.list) do names[i] = method.name end
  return names
end

local function param_of(method, name)
  for _, p in ipairs(method.params) do
    if p.name == name then return p end
  end
  return nil
end

-- ---- settings ---------------------------------------------------------------------------------

local function scalar(file, node, p, what)
  if not read.is_scalar(node) or node.kind == "null" then
    read.fail(file, node, "%s is %s, expected a plain value", what, read.kind(node))
  end
  local kind = p.kind == value.boolean and read.boolean or p.kind == value.integer and read.integer
    or read.number
  return kind(file, node, what)
end

-- A scalar or a gradient as an expression; nil: it gives nothing.
local function plain(file, node, p, what)
  if node.kind == "null" then return nil end
  if node.kind ~= "list" then return ast.value(scalar(file, node, p, what)) end
  if #node == 0 then return nil end
  local points = {}
  for i, item in ipairs(node) do
    local kind = p.kind == value.integer and { kind = value.number } or p -- checked when asked
    points[i] = ast.value(scalar(file, item, kind, ("point %d of %s"):format(i, what)))
  end
  if #points == 1 then return points[1] end
  return ast.form("ramp", read.place(file, node), points)
end

local function condition(file, node, p, what)
  read.map(file, node, "a condition of " .. what, { "filter", "value" })
  local filter, given = read.get(node, "filter"), nil
  for i, key in ipairs(node.keys) do
    if key.text == "value" then given = node[i] end
  end
  if not given then read.fail(file, node, "a condition of %s has no 'value'", what) end
  if given.kind == "map" then
    read.fail(file, given, "'value' in a condition is a map, expected a plain value or a list")
  end
  local pattern = filter and read.expect(file, filter, "text", "'filter'").text
  if pattern == "*" or pattern == "" then pattern = nil end
  return {
    pattern = pattern, expr = plain(file, given, p, what), node = filter or node, what = what,
  }
end

local function conditions(file, list, p, what)
  local out = {}
  for i, node in ipairs(list) do
    if node.kind ~= "map" then
      read.fail(file, node, "%s is a list of conditions, and this is %s; it holds { filter, "
        .. "value } alone, or plain values alone", what, read.kind(node))
    end
    local last = out[i - 1]
    if last and (last.ends or not last.pattern) then
      read.complain(file, node, "%s: the condition before takes every tensor; this one is never "
        .. "asked", what)
    end
    out[i] = condition(file, node, p, what)
    out[i].ends = last and (last.ends or not last.pattern)
  end
  return out
end

--- One setting of parameter P: { expr = } or { conditions = }; nil when it gives nothing.
local function setting(file, node, p)
  local what = ("'%s'"):format(p.name)
  if node.kind == "map" then return { conditions = conditions(file, { node }, p, what) } end
  if node.kind == "list" and node[1] and node[1].kind == "map" then
    return { conditions = conditions(file, node, p, what) }
  end
  local expr = plain(file, node, p, what)
  return expr and { expr = expr }
end

--- The settings of one `parameters:` map for a method, by name; {} when there is none. OF_MODEL:
-- they stand beside one model, where what counts for the whole tensor has no effect.
function m.scope(file, holder, method, of_model)
  local node = read.get(holder, "parameters")
  local out, names = {}, {}
  if not node then return out end
  read.expect(file, node, "map", "'parameters'")
  for _, p in ipairs(method.params) do names[#names + 1] = p.name end
  for i, key in ipairs(node.keys) do
    local p = param_of(method, key.text)
    if not p and every[key.text] then
      read.complain(file, key, "%s has no parameter '%s'%s; it is ignored", method.name, key.text,
        check.hint(key.text, names))
    elseif not p then
      read.complain(file, key, "there is no parameter '%s'%s; it is ignored", key.text,
        check.hint(key.text, names))
    elseif of_model and p.scope == "S" then
      read.complain(file, key, "'%s' is one value for all models: beside one model it is ignored",
        key.text)
    else
      out[p.name] = setting(file, node[i], p)
    end
  end
  return out
end

-- ---- scopes -----------------------------------------------------------------------------------

-- Add what one condition gives to a `by`. REST: what the next scope gives (an expression or nil).
local function add_condition(by, cond, rest)
  local expr = cond.expr or rest
  if cond.pattern then
    by.items[#by.items + 1] = { pattern = cond.pattern, expr = expr or ast.value("default"),
      cond = cond }
  else
    by.rest, by.closed = expr, true
  end
end

-- After all conditions of a scope: the next scope's own, in the same list.
local function add_rest(by, rest)
  if rest and rest.kind == "by" then
    for _, item in ipairs(rest.items) do by.items[#by.items + 1] = item end
    by.rest = rest.rest
  else
    by.rest = rest
  end
end

--- The expression of a parameter from its settings, the nearest scope first (nil: none there);
-- nil when no scope gives anything. COUNT: how many scopes there are.
function m.chain(name, scopes, count)
  local rest
  for at = count, 1, -1 do
    local here = scopes[at] and scopes[at][name]
    if here and here.expr then
      rest = here.expr
    elseif here then
      local by = { kind = "by", items = {} }
      for _, cond in ipairs(here.conditions) do
        if not by.closed then add_condition(by, cond, rest) end
      end
      if not by.closed then add_rest(by, rest) end
      rest = #by.items > 0 and by or by.rest
    end
  end
  return rest
end

return m
