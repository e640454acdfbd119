--- option("name", default): what -D name=value says.

local check = require "check"

local m = {}

--- The names that the recipe asked for.
m.names = {}

local function convert(name, text, default)
  local kind = type(default)
  if kind == "number" then
    local number = math.type(default) == "integer" and math.tointeger(tonumber(text))
      or tonumber(text)
    if not number then check.fail("-D %s=%s: a number was expected", name, text) end
    return number
  elseif kind == "boolean" then
    if text ~= "true" and text ~= "false" then
      check.fail("-D %s=%s: true or false was expected", name, text)
    end
    return text == "true"
  end
  return text
end

--- option("name", default)
function m.option(_, name, default)
  if type(name) ~= "string" or not name:find("^[%a_][%w_%-]*$") then
    check.fail("option: the name is %s, expected a word like \"base\"", check.kind(name))
  end
  m.names[#m.names + 1] = name
  local text = engine.option(name)
  if text == nil then return default end
  return convert(name, text, default)
end

return m
