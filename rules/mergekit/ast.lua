--- The recipe that a mergekit file stands for, as a tree: calls of words with the place in the file
-- that asked for them. It is either run (run.lua) or printed (print.lua), so both are the same.
--
--   value  { kind = "value", value = number, text or truth }
--   ref    { kind = "ref", to = statement }
--   call   { kind = "call", word =, place =, args = { expr... } }     slice(a, 0, 2)
--          { kind = "call", word =, place =, table = a table }       merge.ties { ... }
--   table  { kind = "table", items = { expr... }, keys = { { name, expr }... } }
--   statement { name = a local's name, expr = }
--
-- Trees are as deep as the schema is, whatever the file holds.

local m = {}

function m.value(value) return { kind = "value", value = value } end

function m.ref(statement) return { kind = "ref", to = statement } end

--- WORD(a, b, ...); one argument that is a text is written without brackets.
function m.call(word, place, args)
  return { kind = "call", word = word, place = place, args = args }
end

function m.table(items, keys) return { kind = "table", items = items or {}, keys = keys or {} } end

--- WORD { items, keys }
function m.form(word, place, items, keys)
  return { kind = "call", word = word, place = place, table = m.table(items, keys) }
end

--- Add KEY = EXPR to a list of keys, unless there is none.
function m.put(keys, key, expr)
  if expr then keys[#keys + 1] = { key, expr } end
end

--- The same for a plain value.
function m.set(keys, key, value)
  if value ~= nil then m.put(keys, key, m.value(value)) end
end

return m
