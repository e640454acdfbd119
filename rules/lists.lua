--- Keys of words that hold a list: { item, item, ... }, or { { name, value }, ... }.

local check = require "check"
local frozen = require "frozen"

local m = {}

local function fail(word, key, form, what)
  check.fail("%s: '%s' %s, expected %s", word, key, what, form)
end

--- The items of the table LIST, which is what KEY of WORD holds. FORM: what was expected.
function m.items(word, key, list, form)
  local out, count = {}, 0
  for at, item in ipairs(frozen.open(list)) do out[at] = item end
  for at in pairs(frozen.open(list)) do
    count = count + 1
    if math.type(at) ~= "integer" then fail(word, key, form, "has the key " .. tostring(at)) end
  end
  if count == 0 then fail(word, key, form, "is an empty list") end
  if count ~= #out then fail(word, key, form, "has an item after an empty one (nil)") end
  return out
end

--- The same where every item is a pair whose first is a text: a list of { TEXT, VALUE }.
function m.pairs(word, key, list, form)
  local out = m.items(word, key, list, form)
  for at, item in ipairs(out) do
    local pair, where = frozen.open(item), ("item %d of '%s'"):format(at, key)
    if type(pair) ~= "table" or engine.content(pair) then
      check.fail("%s: %s is %s, expected %s", word, where, check.kind(pair), form)
    end
    for field in pairs(pair) do
      if field ~= 1 and field ~= 2 then
        check.fail("%s: %s has more than a pair ('%s'), expected %s", word, where, tostring(field),
          form)
      end
    end
    if type(pair[1]) ~= "string" or pair[1] == "" then
      check.fail("%s: %s begins with %s, expected %s", word, where,
        pair[1] == "" and "an empty text" or check.kind(pair[1]), form)
    end
    if pair[2] == nil then
      check.fail("%s: %s has no second value, expected %s", word, where, form)
    end
    out[at] = { pair[1], pair[2] }
  end
  return out
end

return m
