--- inspect --types: every tensor of a file with its role and layer, and beside it the tensor of
-- another model that stands in the same place (what it was quantized from).

local check = require "check"
local model = require "model"
local names = require "names"
local roles = require "roles"
local source = require "source"

local m = {}

-- The role that a Hugging Face name of no table shows: that of its module's word where some
-- architecture uses the word, else the name itself without its layer.
local function role_by_word(row, name)
  local rest = row.after and row.after:sub(2) or name
  local stem, kind = rest:match("^(.*)%.(%a+)$")
  if kind ~= "weight" and kind ~= "bias" then return rest, nil end
  local found = roles.find(stem:match("([^.]*)$"))
  return found and found.kind == "role" and found.name or stem, kind == "bias" or nil
end

local function entry(own, t, role, bias)
  return {
    own = own, name = t.name, gguf = t.gguf, role = role, bias = bias or false, layer = t.layer,
    node = t.node, head = t.map and t.map.head or nil,
  }
end

-- Tensors that the architecture's table does not list.
local function add_rest(list, opened, taken)
  local named
  for at, own in ipairs(opened.names) do
    if not taken[at] then
      named = named or names.structure(opened.names)
      local row, layer = names.row(named, own)
      local t = { name = own, gguf = own, layer = layer, node = opened.nodes[at] }
      list[#list + 1] = entry(own, t, role_by_word(row, own))
    end
  end
end

-- Every tensor of the model at PATH, in the model's order.
local function look(path)
  local value, opened = source.open(path, true)
  local data, taken, list = model.peek(value), {}, {}
  for i, t in ipairs(data.tensors) do
    local role, bias = t.role, t.bias
    if not role then role, bias = role_by_word(t.row, t.name) end
    list[i] = entry(opened.names[t.at], t, role, bias)
    taken[t.at] = true
  end
  add_rest(list, opened, taken)
  return { path = path, list = list, data = data, gguf = opened.kv ~= nil }
end

local function index(list, key)
  local by = {}
  for _, e in ipairs(list) do by[e[key]] = e end
  return by
end

--- Put the tensors of REF beside those of FILE; the own names of what is left over. Both go by
-- Hugging Face names and row order, except two GGUF files of which one is of no known structure:
-- these hold their names and rows as they are.
local function pair(file, ref)
  local plain = file.gguf and ref.gguf and not (file.data.arch and ref.data.arch)
  local key = plain and "own" or "name"
  local by, alone, pairs_ = index(ref.list, key), {}, 0
  for _, e in ipairs(file.list) do
    local other = by[e[key]]
    if other then
      e.ref, e.ref_name, e.ref_head, other.paired = other.node, other.own, other.head, true
      if plain then e.head, e.ref_head = nil, nil end
      pairs_ = pairs_ + 1
    end
  end
  for _, e in ipairs(ref.list) do
    if not e.paired then alone[#alone + 1] = e.own end
  end
  if pairs_ == 0 then
    check.fail("%s and %s have no tensor in common (%s, %s)%s", file.path, ref.path,
      file.list[1] and file.list[1].own or "none", ref.list[1] and ref.list[1].own or "none",
      file.gguf ~= ref.gguf and ": the names of GGUF files and of Hugging Face files are matched "
      .. "for architectures with a table in rules/arch/ only" or "")
  end
  return alone
end

-- The vectors of an imatrix file for the matrices of FILE, by the names that GGUF files use.
local function weigh(file, path)
  local im, matched = engine.imatrix(path), 0
  for _, e in ipairs(file.list) do
    local vector = im.vectors[e.gguf]
    if vector then
      local dims = { engine.dims(e.node) }
      local cols, matrices = dims[#dims] or 1, 1
      for i = 1, #dims - 2 do matrices = matrices * dims[i] end
      matched = matched + 1
      if im.values[e.gguf] == cols * matrices then
        e.vector = vector
      elseif e.role ~= "token_embd" then
        check.fail("imatrix: %s has %d values for %s, which has %d columns%s: it is the imatrix of "
          .. "another model", path, im.values[e.gguf], e.own, cols,
          matrices > 1 and (" in each of %d matrices"):format(matrices) or "")
      end
    end
  end
  if matched == 0 then
    check.fail("imatrix of another model: none of the %d entries of %s names a matrix of %s (the "
      .. "first is %s)", im.entries, path, file.path, im.names[1])
  end
end

--- { tensors = every tensor of PATH, alone = what only AGAINST (or nil) has, arch =, layers = }.
function m.survey(path, against, imatrix)
  local file = look(path)
  local alone = against and pair(file, look(against)) or {}
  if imatrix then weigh(file, imatrix) end
  return {
    tensors = file.list, alone = alone, arch = file.data.arch_name, layers = file.data.layers,
  }
end

return m
