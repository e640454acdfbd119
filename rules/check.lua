--- Arguments of words: unknown keys with the nearest word, wrong types, wrong counts.

local frozen = require "frozen"
local roles = require "roles"

local m = {}

--- Raise an error at the recipe's line.
function m.fail(format, ...) engine.fail(format:format(...)) end

--- " (did you mean 'x'?)" or "".
function m.hint(word, list)
  local near = engine.nearest(word, list)
  return near and (" (did you mean '%s'?)"):format(near) or ""
end

--- What a value is, in words, for messages.
function m.kind(value)
  local _, kind = engine.content(value)
  if kind then return kind end
  local name = type(value)
  if name == "string" then return ("'%s'"):format(value) end
  if value ~= value then return "nan" end
  if name == "number" then return "the number " .. tostring(value) end
  return name == "nil" and "nothing" or "a " .. name
end

local units = {
  B = 1, KB = 1000, MB = 1000 ^ 2, GB = 1000 ^ 3, TB = 1000 ^ 4,
  KIB = 1024, MIB = 1024 ^ 2, GIB = 1024 ^ 3, TIB = 1024 ^ 4,
}

--- Bytes from a number or a text like "5GB" or "8.7GiB"; nil if it is neither.
function m.bytes(value)
  if type(value) == "number" then return value >= 0 and math.tointeger(value) or nil end
  if type(value) ~= "string" then return nil end
  local number, unit = value:match("^(%d+%.?%d*)%s*(%a*)$")
  local factor = units[(unit == "" and "B" or unit or "?"):upper()]
  return factor and math.floor(tonumber(number) * factor) or nil
end

-- What a key may hold: the check, and its words for messages.
local kinds = {
  string = { function(v) return type(v) == "string" end, "a text" },
  boolean = { function(v) return type(v) == "boolean" end, "true or false" },
  integer = { function(v) return math.type(v) == "integer" end, "a whole number" },
  number = { function(v) return type(v) == "number" and v == v end, "a number" },
  bytes = { function(v) return m.bytes(v) ~= nil end, "bytes: a number or a text like \"5GB\"" },
  table = { function(v) return type(v) == "table" and not engine.content(v) end, "a table" },
  span = { function(v) return select(2, engine.content(v)) == "a span" end, "span(first, last)" },
  model = { function(v) return select(2, engine.content(v)) == "a model" end, "a model" },
  any = { function() return true end, "" },
}

--- The keys of a word's description as a table by name, made once.
local function by_name(word)
  if not word.key then
    word.key, word.names = {}, {}
    for _, key in ipairs(word.keys or {}) do
      word.key[key[1]] = key
      word.names[#word.names + 1] = key[1]
    end
    if word.roles then
      for _, name in ipairs(roles.words()) do word.names[#word.names + 1] = name end
      if word.default then word.names[#word.names + 1] = "default" end
    end
  end
  return word.key, word.names
end

--- Words that later releases have: their keys and values are errors that say so.
local function unknown(word, key)
  local _, names = by_name(word)
  if word.later and word.later[key] then
    m.fail("%s: '%s' comes with a later release", word.name, key)
  end
  local what = word.roles and "role or option" or "key"
  m.fail("%s: unknown %s '%s'%s", word.name, what, key, m.hint(key, names))
end

--- Check the one table that WORD was called with. Returns its items, its options, and the
-- values by role or group word (in the recipe's spelling).
function m.args(word, args)
  args = frozen.open(args)
  if type(args) ~= "table" or engine.content(args) then
    m.fail("%s takes a table: %s { ... }, not %s", word.name, word.name, m.kind(args))
  end
  local known = by_name(word)
  local items, options, by_role = {}, {}, {}
  for i, item in ipairs(args) do items[i] = item end
  for key, value in pairs(args) do
    local item = math.type(key) == "integer" and key >= 1 and key <= #items
    if type(key) == "number" and not item then
      m.fail("%s: item %s follows an empty one (nil)", word.name, key)
    elseif type(key) ~= "string" and not item then
      m.fail("%s: a key is %s, expected a word", word.name, m.kind(key))
    elseif known[key] then
      local kind = kinds[known[key][2]]
      if not kind[1](value) then
        m.fail("%s: '%s' is %s, expected %s", word.name, key, m.kind(value), kind[2])
      end
      options[key] = value
    elseif not item and word.roles and (roles.find(key) or (word.default and key == "default")) then
      by_role[key] = value
    elseif not item then
      unknown(word, key)
    end
  end
  for _, key in ipairs(word.keys or {}) do
    if key.required and options[key[1]] == nil then
      m.fail("%s needs '%s' (%s)", word.name, key[1], key[3])
    end
  end
  return items, options, by_role
end

--- A sorted copy of the keys of a table, joined for messages.
function m.list(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = tostring(name) end
  return table.concat(names, ", ")
end

return m
