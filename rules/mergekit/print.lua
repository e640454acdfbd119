--- The tree of a mergekit file as the text of a recipe.

local m = {}

local WIDTH = 96 -- lines are broken beyond it
local LOCALS_MAX = 150 -- Lua allows 200 in a function

local reserved, hidden = {}, {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat "
  .. "return then true until while"):gmatch("%S+") do
  reserved[word] = true
end
-- What a recipe may want although this one does not.
for word in ("assert error getmetatable ipairs math next pairs print rawequal rawget rawlen "
  .. "require select setmetatable string table tonumber tostring type utf8 models"):gmatch("%S+") do
  hidden[word] = true
end

--- Any text as a Lua string in one line.
function m.quote(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    if c == "\n" then return "\\n" end
    if c == '"' or c == "\\" then return "\\" .. c end
    return ("\\%03d"):format(c:byte())
  end) .. '"'
end

--- A number such that Lua reads the same one.
function m.number(value)
  if math.type(value) == "integer" then
    if value == math.mininteger then return "math.mininteger" end
    return ("%d"):format(value)
  end
  for digits = 15, 17 do
    local text = ("%." .. digits .. "g"):format(value)
    if tonumber(text) == value then
      return text:find("[.eE]") and text or text .. ".0"
    end
  end
  return ("%a"):format(value)
end

-- ---- names ------------------------------------------------------------------------------------

-- A local's name from a model's: letters, digits, one underscore between.
local function local_name(text, taken)
  local name = text:lower():gsub("[^%w]+", "_"):gsub("^_+", ""):gsub("_+$", "")
  if name == "" then name = "model" end
  if name:find("^%d") then name = "m_" .. name end
  name = name:sub(1, 40)
  local plain, n = name, 1
  while taken[name] do
    n = n + 1
    name = ("%s_%d"):format(plain, n)
  end
  taken[name] = true
  return name
end

local function name_all(statements, words)
  local taken, names = {}, {}
  for word in pairs(reserved) do taken[word] = true end
  for word in pairs(hidden) do taken[word] = true end
  for _, word in ipairs(words) do taken[word.name:match("^[^.]+")] = true end
  for i, statement in ipairs(statements) do
    names[statement] = #statements > LOCALS_MAX and ("models[%d]"):format(i)
      or local_name(statement.name, taken)
  end
  return names
end

-- ---- expressions ------------------------------------------------------------------------------

local function key_text(key)
  if key:find("^[%a_][%w_]*$") and not reserved[key] then return key end
  return "[" .. m.quote(key) .. "]"
end

-- A node for the printer: a text, or { before, list of nodes, after }.
local shape

local function entries(names, expr)
  local list = {}
  for _, item in ipairs(expr.items) do list[#list + 1] = shape(names, item) end
  for _, key in ipairs(expr.keys) do
    local inner = shape(names, key[2])
    if type(inner) == "string" then
      list[#list + 1] = key_text(key[1]) .. " = " .. inner
    else
      list[#list + 1] = { key_text(key[1]) .. " = " .. inner[1], inner[2], inner[3] }
    end
  end
  return list
end

local function shape_by(names, expr)
  local list = {}
  for _, item in ipairs(expr.items) do
    list[#list + 1] = { "{ ", { m.quote(item.pattern), shape(names, item.expr) }, " }" }
  end
  if expr.rest then list[#list + 1] = shape(names, expr.rest) end
  return { "by { ", list, " }" }
end

function shape(names, expr)
  if expr.kind == "ref" then return names[expr.to] end
  if expr.kind == "by" then return shape_by(names, expr) end
  if expr.kind == "table" then return { "{ ", entries(names, expr), " }" } end
  if expr.kind == "value" then
    if type(expr.value) == "string" then return m.quote(expr.value) end
    if type(expr.value) == "number" then return m.number(expr.value) end
    return tostring(expr.value)
  end
  if expr.table then return { expr.word .. " { ", entries(names, expr.table), " }" } end
  if #expr.args == 1 then return expr.word .. " " .. shape(names, expr.args[1]) end
  local list = {}
  for i, arg in ipairs(expr.args) do list[i] = shape(names, arg) end
  return { expr.word .. "(", list, ")" }
end

local function inline(node)
  if type(node) == "string" then return node end
  local parts = {}
  for i, inner in ipairs(node[2]) do parts[i] = inline(inner) end
  return node[1] .. table.concat(parts, ", ") .. node[3]
end

local put

-- The entries of a table, one a line, but short ones together.
local function put_entries(out, list, indent)
  local pad, open = ("  "):rep(indent), false
  for _, inner in ipairs(list) do
    local text = type(inner) == "string" and inner .. "," or nil
    if text and open and #out[#out] + 1 + #text <= WIDTH then
      out[#out] = out[#out] .. " " .. text
    elseif text then
      out[#out + 1] = pad .. text
    else
      put(out, inner, indent, "", ",")
    end
    open = text ~= nil
  end
end

-- Lines of a node behind PREFIX; a comma follows in lists.
function put(out, node, indent, prefix, after)
  local pad = ("  "):rep(indent)
  local line = pad .. prefix .. inline(node) .. after
  if type(node) == "string" or #line <= WIDTH or node[3] == ")" then
    out[#out + 1] = line
    return
  end
  out[#out + 1] = pad .. prefix .. node[1]:gsub(" +$", "")
  put_entries(out, node[2], indent + 1)
  out[#out + 1] = pad .. node[3]:gsub("^ +", "") .. after
end

--- The recipe: STATEMENTS, then the artifacts { name, expr } that it returns.
function m.recipe(path, statements, artifacts, words)
  local names = name_all(statements, words)
  local out = { "-- " .. m.quote(path) .. " as a recipe", "" }
  if #statements > LOCALS_MAX then out[#out + 1] = "local models = {}" end
  for _, statement in ipairs(statements) do
    local start = #statements > LOCALS_MAX and "" or "local "
    put(out, shape(names, statement.expr), 0, start .. names[statement] .. " = ", "")
  end
  out[#out + 1] = ""
  out[#out + 1] = "return {"
  for _, artifact in ipairs(artifacts) do
    put(out, shape(names, artifact.expr), 1, key_text(artifact.name) .. " = ", ",")
  end
  out[#out + 1] = "}"
  out[#out + 1] = ""
  return table.concat(out, "\n")
end

return m
