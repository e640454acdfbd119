--- Running the tree of a mergekit file: its calls, with the place in the file before messages.

local model = require "model"
local read = require "mergekit/read"

local m = {}

local value_of -- an expression's value, made once

-- ---- filters ----------------------------------------------------------------------------------

-- Every condition in the value of a parameter; a null one holds those of the next scope.
local function each_item(expr, call)
  for _, item in ipairs(expr.kind == "by" and expr.items or {}) do
    call(item)
    each_item(item.expr, call)
  end
  if expr.kind == "by" and expr.rest then each_item(expr.rest, call) end
end

local function occurs(pattern, names)
  for _, name in ipairs(names) do
    if name:find(pattern, 1, true) then return true end
  end
  return false
end

-- Mark the conditions of KEYS that are in none of NAMES: here they say nothing.
local function note(run, keys, names)
  for _, key in ipairs(keys) do
    each_item(key[2], function(item)
      local node = item.cond.node
      if not node.seen then
        node.seen, node.what = true, item.cond.what
        run.filters[#run.filters + 1] = node
      end
      item.dead = not occurs(item.pattern, names)
      node.hit = node.hit or not item.dead
    end)
  end
end

-- The names that a filter beside one model may hit: its own, and those outside layers, since a
-- tied model lends its embedding where another has a head.
local function source_names(data, outside)
  local names = table.move(outside, 1, #outside, 1, {})
  for _, t in ipairs(data.tensors) do names[#names + 1] = t.from.name end
  return names
end

-- Add the names of a model's tensors in the result to ALL; those outside layers to OUTSIDE, too.
local function add_names(data, first, all, outside)
  for _, t in ipairs(data.tensors) do
    local name = (t.layer and first > 0 and model.renumber(t, t.layer + first) or t).name
    all[#all + 1] = name
    if not t.layer then outside[#outside + 1] = name end
  end
end

-- The filters of a merge, once its models are there.
local function note_filters(run, call)
  local first, all, outside, inputs = 0, {}, {}, {}
  for _, key in ipairs(call.table.keys) do
    if key[1] == "first" then first = key[2].value end
  end
  for i, item in ipairs(call.table.items) do
    inputs[i] = model.peek(value_of(run, item.kind == "table" and item.items[1] or item))
    add_names(inputs[i], first, all, outside)
  end
  for _, key in ipairs(call.table.keys) do
    if key[1] == "base" then add_names(model.peek(value_of(run, key[2])), first, all, outside) end
  end
  for i, item in ipairs(call.table.items) do
    if item.kind == "table" then note(run, item.keys, source_names(inputs[i], outside)) end
  end
  note(run, call.table.keys, all)
end

--- Complain of the filters that nothing hit; call it when all is run.
function m.check(run)
  for _, node in ipairs(run.filters) do
    if not node.hit then
      read.complain(run.file, node, "the filter '%s' of %s is in no tensor's name", node.text,
        node.what)
    end
  end
end

-- ---- expressions ------------------------------------------------------------------------------

local function table_of(run, expr)
  local out = {}
  for i, item in ipairs(expr.items) do out[i] = value_of(run, item) end
  for _, key in ipairs(expr.keys) do out[key[1]] = value_of(run, key[2]) end
  return out
end

-- A `by` without what is dead here; nil when nothing is left.
local function by_of(run, expr)
  local list = {}
  for _, item in ipairs(expr.items) do
    local value
    if not item.dead then value = value_of(run, item.expr) end
    if value ~= nil then list[#list + 1] = { item.pattern, value } end
  end
  local rest
  if expr.rest then rest = value_of(run, expr.rest) end
  if #list == 0 then return rest end
  list[#list + 1] = rest
  return run.word("by")(list)
end

local function call_of(run, expr)
  local word = run.word(expr.word)
  if expr.filters then note_filters(run, expr) end
  if expr.table then return engine.place(expr.place, word, table_of(run, expr.table)) end
  local args = {}
  for i, arg in ipairs(expr.args) do args[i] = value_of(run, arg) end
  return engine.place(expr.place, word, table.unpack(args, 1, #args))
end

function value_of(run, expr)
  if expr.kind == "value" then return expr.value end
  if expr.kind == "ref" then return run.values[expr.to] end
  if run.values[expr] ~= nil then return run.values[expr] end
  local value
  if expr.kind == "table" then value = table_of(run, expr) end
  if expr.kind == "by" then value = by_of(run, expr) end
  if expr.kind == "call" then value = call_of(run, expr) end
  run.values[expr] = value
  return value
end

--- Run the statements of a file in their order. Returns the run; m.value gives what they made.
function m.statements(file, statements, find_word)
  local run = { file = file, filters = {}, values = {} }
  function run.word(name)
    local word = find_word(name)
    return function(...) return word.run(word, ...) end
  end
  for _, statement in ipairs(statements) do
    run.values[statement] = value_of(run, statement.expr)
  end
  return run
end

--- The value of an expression after the statements were run.
function m.value(run, expr) return value_of(run, expr) end

return m
