-- json.lua - read and write JSON for the end-to-end scripts (files of our own: no hardening)
--
-- Objects are tables with string keys, `keys[object]` is their order; null is `null`; numbers
-- are Lua numbers, written again so that they read back equal.
local m = { null = setmetatable({}, { __tostring = function() return "null" end }) }

--- Key order of every object decoded.
m.keys = setmetatable({}, { __mode = "k" })

local escapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function text_at(s, at)
  local parts = {}
  while true do
    local stop = s:find('["\\]', at)
    parts[#parts + 1] = s:sub(at, stop - 1)
    if s:sub(stop, stop) == '"' then return table.concat(parts), stop + 1 end
    local c = s:sub(stop + 1, stop + 1)
    at = stop + 2
    if c == "u" then
      local code = tonumber(s:sub(at, at + 3), 16)
      at = at + 4
      if code >= 0xD800 and code < 0xDC00 then
        local low = tonumber(s:sub(at + 2, at + 5), 16)
        code, at = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00), at + 6
      end
      parts[#parts + 1] = utf8.char(code)
    else
      parts[#parts + 1] = escapes[c] or c
    end
  end
end

local function skip(s, at) return s:find("[^ \t\r\n]", at) or #s + 1 end

local value_at

local function object_at(s, at)
  local object, order = {}, {}
  m.keys[object] = order
  at = skip(s, at)
  if s:sub(at, at) == "}" then return object, at + 1 end
  while true do
    local name, value
    name, at = text_at(s, skip(s, at) + 1)
    at = skip(s, at)
    assert(s:sub(at, at) == ":", "json: expected ':' at " .. at)
    value, at = value_at(s, at + 1)
    object[name], order[#order + 1] = value, name
    at = skip(s, at)
    local c = s:sub(at, at)
    at = at + 1
    if c == "}" then return object, at end
    assert(c == ",", "json: expected ',' at " .. at)
  end
end

local function array_at(s, at)
  local list = {}
  at = skip(s, at)
  if s:sub(at, at) == "]" then return list, at + 1 end
  while true do
    list[#list + 1], at = value_at(s, at)
    at = skip(s, at)
    local c = s:sub(at, at)
    at = at + 1
    if c == "]" then return list, at end
    assert(c == ",", "json: expected ',' at " .. at)
  end
end

local words = { ["true"] = true, ["false"] = false, null = m.null }

function value_at(s, at)
  at = skip(s, at)
  local c = s:sub(at, at)
  if c == "{" then return object_at(s, at + 1) end
  if c == "[" then return array_at(s, at + 1) end
  if c == '"' then return text_at(s, at + 1) end
  local word = s:match("^%a+", at)
  if word then
    assert(words[word] ~= nil, "json: unknown word '" .. word .. "'")
    return words[word], at + #word
  end
  local number = s:match("^[%d%.eE+-]+", at)
  return assert(tonumber(number), "json: no value at " .. at), at + #number
end

function m.decode(s) return (value_at(s, 1)) end

local function text(s)
  return '"' .. s:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

--- JSON of a value; ORDER(list) may change the order of each object's keys.
function m.encode(value, order)
  if value == m.null then return "null" end
  if type(value) == "string" then return text(value) end
  if math.type(value) == "float" then
    local out = ("%.17g"):format(value)
    return out:find("[.eE]") and out or out .. ".0"
  end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  local keys = m.keys[value]
  if not keys then
    for i, item in ipairs(value) do parts[i] = m.encode(item, order) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  keys = table.move(keys, 1, #keys, 1, {})
  if order then order(keys) end
  for i, key in ipairs(keys) do parts[i] = text(key) .. ":" .. m.encode(value[key], order) end
  return "{" .. table.concat(parts, ", ") .. "}"
end

function m.load(path)
  local file = assert(io.open(path, "rb"))
  local s = file:read("a")
  file:close()
  return m.decode(s)
end

return m
