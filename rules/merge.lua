--- merge.METHOD: tensors of several models into one (specs/merge.md sections 1.2, 2, 3, 4, 6.5;
-- rulings 10, 11, 13, 17). What a method takes and which op it uses is its row in methods.lua;
-- models and parameters are read in rules/merge/; here is the walk over every place.
--
-- X, one use of a merge word: word, method (its row), options, lax (as = "mergekit"), first, seed,
-- dtype, out_dtype, list = { { data, parameters, compiled, base, index } ... } (the base first),
-- base, donor (whose card the result has), host (whose names and order), shared (parameters of
-- the outer table), counted and notes (what is said at the end).

local check = require "check"
local inputs = require "merge/inputs"
local maps = require "maps"
local model = require "model"
local names = require "names"
local notes = require "merge/notes"
local parameters = require "merge/parameters"

local m = {}

-- ---- places -----------------------------------------------------------------------------------

-- The tensor of a place in one input: its own, or a tied model's embedding for the head.
local function tensor_of(entry, t)
  local data = entry.data
  local found = model.by_name(data)[t.name]
  if found or not t.row.tied or (data.named and model.says_untied(data)) then return found end
  local embedding = model.embedding(data)
  if not embedding then return nil end
  local lent = model.put(t, embedding.node, embedding.map)
  lent.shard, lent.at = nil, nil
  lent.from = { name = t.name, model = data.name, origin = embedding.from }
  return lent
end

-- What has no layer comes before or after all of them.
local function section(t)
  if t.layer then return t.layer end
  return t.row.where == "before" and -1 or math.huge
end

-- Every place that any input has: the host's in its order, others' where the architecture has
-- them.
local function places(x)
  local order, rank, more = {}, {}, false
  for i, row in ipairs(x.host.arch and x.host.arch.tensors or {}) do rank[row] = i end
  local seen = {}
  local function add(data)
    for _, t in ipairs(data.tensors) do
      if not t.gguf_only and not seen[t.name] then
        seen[t.name] = { t = t, at = #order + 1, rank = rank[t.row] or 0, section = section(t) }
        order[#order + 1] = seen[t.name]
        more = more or data ~= x.host
      end
    end
  end
  add(x.host)
  for _, entry in ipairs(x.list) do add(entry.data) end
  if more then
    table.sort(order, function(a, b)
      if a.section ~= b.section then return a.section < b.section end
      if a.rank ~= b.rank then return a.rank < b.rank end
      return a.at < b.at
    end)
  end
  for i, item in ipairs(order) do order[i] = item.t end
  return order
end

-- What becomes of a place that not every input has: "error", "intersection" (it is left out) or
-- "union" (what the method says).
local function policy(x, t)
  if x.options.missing then return x.options.missing end
  if t.row.optional then return "union" end
  if x.options.allow_mixed_arch then -- what the host lacks is none of its architecture's
    return model.by_name(x.host)[t.name] and "error" or "intersection"
  end
  return x.host.named and x.host.arch_name and "union" or "error"
end

local function fail_missing(x, t, lacks, has)
  check.fail("%s: '%s' has %s, which '%s' lacks; missing = \"union\" merges it from the models "
    .. "that have it, \"intersection\" leaves it out", x.word, has, t.name, lacks)
end

-- Whether a place is merged at all, given the inputs that have it.
local function is_wanted(x, t, present)
  if #present == #x.list then return true end
  local how, has = policy(x, t), {}
  for _, entry in ipairs(present) do has[entry] = true end
  for _, entry in ipairs(x.list) do
    if not has[entry] and how == "error" then
      fail_missing(x, t, entry.data.name, present[1].data.name)
    end
  end
  local what = "not in every model" .. (how == "union" and "" or " and left out")
  notes.add(x, what, t.name)
  return how == "union"
end

-- The node of a place that some inputs lack, where the method copies or leaves it out; true: it is
-- merged from what there is; nil: left out.
local function partial(c)
  local how, only = c.x.method.missing, #c.nodes == 1
  if #c.nodes == #c.x.list then return true end
  if only and (how == "single" or (c.base and (how == "base" or how == "skip"))) then
    return c.nodes[1]
  end
  local right = inputs.enough(c.x.method, #c.nodes, c.others)
  if how == "skip" and not right then
    c:count("left out, as too few models have it")
    return nil
  end
  if c.x.list[1].base and not c.base then
    c:fail("the base '%s' lacks it, and another model has it", c.x.list[1].data.name)
  end
  if not right then
    c:fail("it is in %d of the models, and the method takes %s", #c.nodes,
      inputs.counts(c.x.method))
  end
  return true
end

-- ---- shapes, types, rows ------------------------------------------------------------------------

local function shape(node) return table.concat({ engine.dims(node) }, ", ") end

local function fail_shapes(x, t, a, b, more)
  check.fail("%s: %s is [%s] in '%s' and [%s] in '%s'%s", x.word, t.name, shape(a.node),
    a.from.model or x.host.name, shape(b.node), b.from.model or x.host.name, more or "")
end

-- Vocabularies of unlike size: the common leading rows, if the recipe wants that.
local function cut_rows(x, t, tensors)
  local least, most = math.maxinteger, 0
  for i, own in ipairs(tensors) do
    local rows = engine.dims(own.node)
    least, most = math.min(least, rows or 0), math.max(most, rows or 0)
    if rows ~= engine.dims(tensors[1].node) and not x.options.truncate_vocab then
      fail_shapes(x, t, tensors[1], tensors[i], (": the vocabularies differ; %s keeps the rows "
        .. "that all have"):format(x.lax and "vbuild merge --unsafe-truncate-embeddings"
        or "truncate_vocab = true"))
    end
  end
  if least == most then return end
  notes.add(x, ("cut to the %d rows that all models have, of up to %d"):format(least, most), t.name)
  for i, own in ipairs(tensors) do
    if engine.dims(own.node) ~= least then
      local node = engine.rows(own.node, least, own.from.model .. ": " .. t.name)
      local new = model.put(own, node, own.map)
      new.shard, new.at = nil, nil
      tensors[i] = new
    end
  end
end

local function check_shapes(x, t, tensors)
  if model.is_vocabulary(t) then cut_rows(x, t, tensors) end
  for i = 2, #tensors do
    if not engine.same_shape(tensors[1].node, tensors[i].node) then
      fail_shapes(x, t, tensors[1], tensors[i])
    end
  end
end

local function is_plain(node) return maps.kind(engine.type(node)) == "plain" end

local function float_type(x, key)
  local given = x.options[key]
  if given == nil or (key == "dtype" and given == "inputs") then return nil end
  local to, kind = maps.type(x.word, "'" .. key .. "'", given)
  if kind ~= "float" then check.fail("%s: '%s' is '%s', expected a float type", x.word, key, to) end
  return to
end

-- Integers (positions) keep their type, whatever dtype says.
local function to_float(x, t, to)
  local kind, elements = maps.kind(engine.type(t.node))
  if not to or (kind == "plain" and elements == 1) then return t end
  maps.must_decode(x.word, t)
  return maps.to_type(t, to, "float")
end

local function same_map(a, b)
  if not a or not b then return a == b end
  return a.kind == b.kind and a.head == b.head
end

-- All inputs in one row order: their own when they agree and the method looks at elements alone,
-- else Hugging Face's.
local function align(nodes, tensors, elementwise)
  local map, same = tensors[1].map, elementwise or #nodes == 1
  for _, t in ipairs(tensors) do same = same and same_map(t.map, map) end
  if same then return map end
  for i, t in ipairs(tensors) do
    if t.map then nodes[i] = engine.op("permute", { nodes[i] }, t.map, t.name) end
  end
  return nil
end

-- Integers have no mean: equal ones are copied, by an op that looks, and no parameter counts.
local function node_of(c)
  local plain, ones = true, {}
  for _, node in ipairs(c.nodes) do plain = plain and is_plain(node) end
  if not plain then return c.x.method.node(c) end
  if #c.nodes == 1 then return c.nodes[1] end
  for i in ipairs(c.nodes) do ones[i] = 1 end
  return c:op("merge_linear", { weights = ones, normalize = false })
end

-- ---- the walk -----------------------------------------------------------------------------------

-- The inputs that have a place, their tensors cut and cast, in C.
local function gather(x, t)
  local c = parameters.place(x, t)
  for _, entry in ipairs(x.list) do
    local own = tensor_of(entry, t)
    if own then
      c.entries[#c.entries + 1], c.tensors[#c.tensors + 1] = entry, own
    end
  end
  return c
end

local function prepare(x, c)
  local t = c.t
  check_shapes(x, t, c.tensors)
  for i, own in ipairs(c.tensors) do
    own = to_float(x, own, x.dtype)
    c.tensors[i], c.nodes[i] = own, own.node
  end
  c.here = t.layer and x.first > 0 and model.renumber(t, t.layer + x.first) or t
  c.base = c.entries[1].base == true
  c.others = c.base and #c.nodes - 1 or #c.nodes
  c.rank = select("#", engine.dims(c.nodes[1]))
  c.map = align(c.nodes, c.tensors, x.method.elementwise)
end

-- The tensor of the result in a place.
local function put(x, c, node)
  local t = c.t
  local new = model.put(t, node, c.map)
  new.shard, new.at = nil, nil
  for _, own in ipairs(c.tensors) do
    if node == own.node and not new.shard then new.shard, new.at = own.shard, own.at end
  end
  local from = (model.by_name(x.donor)[t.name] or t).from
  new.from = {
    name = c.here.name, layer = t.layer, model = x.donor.name, origin = from.origin or from,
  }
  return to_float(x, new, x.out_dtype)
end

local function walk(x)
  local result = {}
  for _, t in ipairs(places(x)) do
    local c = gather(x, t)
    if is_wanted(x, t, c.entries) then
      prepare(x, c)
      local node = partial(c)
      if node == true then node = node_of(c) end
      if node then result[#result + 1] = put(x, c, node) end
    end
  end
  return result
end

-- The value of a merge: the donor's card, and what it has in GGUF files only (rope factors).
local function finish(x, tensors)
  local parts = {}
  for _, t in ipairs(x.donor.tensors) do
    if t.gguf_only then tensors[#tensors + 1] = t end
  end
  for i, entry in ipairs(x.list) do parts[i] = entry.data end
  return model.derive(x.donor, tensors, { quantized = false }, parts)
end

local function one_of(x, key, list)
  local given = x.options[key]
  for _, name in ipairs(list) do
    if given == nil or given == name then return end
  end
  check.fail("%s: '%s' is '%s'%s; one of %s", x.word, key, given, check.hint(given, list),
    table.concat(list, ", "))
end

--- The merge of ARGS by a row of methods.lua; WORD: its row in words.lua.
function m.run(method, word, args)
  local items, options = check.args(word, args)
  local x = {
    word = word.name, method = method, options = options, lax = options.as == "mergekit",
    first = options.first or 0, shared = {}, counted = {}, notes = {},
  }
  one_of(x, "as", { "mergekit" })
  one_of(x, "missing", { "error", "union", "intersection" })
  if x.first < 0 then check.fail("%s: 'first' is %d, expected 0 or more", x.word, x.first) end
  x.list = inputs.written(word, items)
  x.base = options.base and model.data(x.word, options.base, "'base'")
  x.donor = x.base or x.list[1].data
  inputs.base_first(x, x.list)
  x.host = x.list[1].data
  for _, entry in ipairs(x.list) do
    if model.same(entry.data, x.donor) then x.host = entry.data end
  end
  inputs.check(x, x.list)
  x.donor = names.adopt(x.host, x.donor)
  x.dtype, x.out_dtype = float_type(x, "dtype"), float_type(x, "out_dtype")
  x.seed = parameters.seed(x)
  for i, entry in ipairs(x.list) do entry.index = x.list[1].base and i - 2 or i - 1 end
  parameters.compile(x)
  local tensors = walk(x)
  if #tensors == 0 then check.fail("%s: no tensor is in every model", x.word) end
  parameters.dead(x, tensors)
  notes.tell(x)
  notes.compare_tokens(x)
  return finish(x, tensors)
end

return m
