--- Frozen values: what a word returns can be read and passed on, never changed.

local m = {}

--- A frozen copy of a table and all tables in it; functions and frozen values stay themselves.
function m.deep(value, seen)
  if type(value) ~= "table" or engine.content(value) then return value end
  seen = seen or {}
  if seen[value] then return seen[value] end
  local copy = {}
  local view = engine.freeze(copy, "the module's table")
  seen[value] = view
  for key, item in pairs(value) do copy[key] = m.deep(item, seen) end
  return view
end

local plain = { ["the module's table"] = true, ["the table of variants"] = true }

--- A frozen table that m.open opens again; KIND is one of the above.
function m.table(content, kind)
  assert(plain[kind])
  return engine.freeze(content, kind, content, true)
end

--- The table behind a frozen plain table (of a required module), else the value itself.
function m.open(value)
  local content, kind = engine.content(value)
  if content and plain[kind] then return content end
  return value
end

return m
