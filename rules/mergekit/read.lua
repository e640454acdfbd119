--- Reading a mergekit file: nodes of engine.yaml with checks whose messages carry line and column,
-- and scalars as lax as the peer takes them (specs/merge.md section 4).
--
-- FILE is what is known of the file: { path =, strict =, ... } (rules/mergekit.lua).

local check = require "check"

local m = {}

--- "FILE:LINE:COLUMN" of a node.
function m.place(file, node) return ("%s:%d:%d"):format(file.path, node.line, node.column) end

-- Names of the file in messages: without line ends and control characters.
local function text_of(format, ...) return (format:format(...):gsub("%c", "?")) end

function m.fail(file, node, format, ...)
  engine.place(m.place(file, node), engine.fail, text_of(format, ...))
end

function m.warn(file, node, format, ...)
  engine.place(m.place(file, node), engine.warn, text_of(format, ...))
end

--- What the peer passes over in silence: a warning, under strict an error.
function m.complain(file, node, format, ...)
  local say = file.strict and m.fail or m.warn
  say(file, node, format, ...)
end

local shown_max = 60

--- What a node is, for messages.
function m.kind(node)
  if node.kind == "null" then return "empty" end
  if node.kind == "list" then return "a list" end
  if node.kind == "map" then return "a map" end
  local text = #node.text > shown_max and node.text:sub(1, shown_max) .. "..." or node.text
  return node.kind == "text" and ("'%s'"):format(text) or text
end

--- The value of KEY in a map, and the node of the key; nil when it is absent or empty (null).
function m.get(map, key)
  for i, name in ipairs(map.keys) do
    if name.text == key then
      if map[i].kind == "null" then return nil, name end
      return map[i], name
    end
  end
  return nil
end

--- As get, but empty lists and maps count as absent too, as they do for the peer.
function m.filled(map, key)
  local node, name = m.get(map, key)
  if node and #node == 0 and (node.kind == "list" or node.kind == "map") then return nil, name end
  return node, name
end

--- NODE, which must be of that kind ("map", "list", "text").
function m.expect(file, node, kind, what)
  if node.kind ~= kind then
    m.fail(file, node, "%s is %s, expected a %s%s", what, m.kind(node), kind,
      kind == "text" and node.text and node.kind ~= "null" and "; put it in quotes" or "")
  end
  return node
end

--- The map NODE, whose keys are among KNOWN; others are complained of. IGNORED: keys that have a
-- word of their own for that: { key = text }.
function m.map(file, node, what, known, ignored)
  m.expect(file, node, "map", what)
  local is = {}
  for _, key in ipairs(known) do is[key] = true end
  for _, key in ipairs(node.keys) do
    local why = ignored and ignored[key.text]
    if why then
      m.complain(file, key, "%s", why)
    elseif not is[key.text] then
      m.complain(file, key, "%s has no key '%s'%s; it is ignored", what, key.text,
        check.hint(key.text, known))
    end
  end
  return node
end

-- ---- scalars ----------------------------------------------------------------------------------

local function trim(text) return text:match("^%s*(.-)%s*$") end

-- A number in a text: what a dot or a sign is missing for in YAML ("1e-5"), or what was quoted.
local function number_of(text)
  text = trim(text):gsub("(%d)_(%d)", "%1%2"):gsub("(%d)_(%d)", "%1%2")
  local digits, exponent = text:match("^[+-]?([%d.]+)(.*)$")
  local plain = digits and digits:find("%d") and not digits:find("%..*%.")
    and (exponent == "" or exponent:find("^[eE][+-]?%d+$"))
  return plain and tonumber((text:gsub("^%+", ""))) or nil
end

local function is_number(node) return node.kind == "int" or node.kind == "float" end

--- The number that a node is, or nil: numbers, texts that hold one, true and false as 1 and 0.
function m.number(file, node, what)
  local value = node.value
  if node.kind == "bool" then value = value and 1 or 0 end
  if node.kind == "text" then value = number_of(node.text) end
  if type(value) ~= "number" then
    m.fail(file, node, "%s is %s, expected a number", what, m.kind(node))
  elseif value - value ~= 0 then
    m.fail(file, node, "%s is %s, expected a finite number", what, node.text)
  end
  return value
end

function m.integer(file, node, what)
  local value = node.kind == "text" and number_of(node.text) or node.value
  if node.kind == "bool" then value = node.value and 1 or 0 end
  value = type(value) == "number" and math.tointeger(value) or nil
  if not value then
    m.fail(file, node, "%s is %s, expected a whole number", what, m.kind(node))
  end
  return value
end

local truths = {
  ["true"] = true, t = true, yes = true, y = true, on = true, ["1"] = true,
  ["false"] = false, f = false, no = false, n = false, off = false, ["0"] = false,
}

function m.boolean(file, node, what)
  if node.kind == "bool" then return node.value end
  local value
  if node.kind == "text" then value = truths[node.text:lower()] end
  if is_number(node) and (node.value == 0 or node.value == 1) then value = node.value == 1 end
  if value == nil then
    m.fail(file, node, "%s is %s, expected true or false", what, m.kind(node))
  end
  return value
end

--- A scalar, not a list or a map?
function m.is_scalar(node) return node.kind ~= "list" and node.kind ~= "map" end

return m
