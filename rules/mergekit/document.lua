--- One document of a mergekit file as an expression: models, slices or modules, with the scopes of
-- their parameters (specs/merge.md section 4; qm 50).

local ast = require "mergekit/ast"
local check = require "check"
local find = require "mergekit/find"
local params = require "mergekit/params"
local read = require "mergekit/read"

local m = {}

local top_keys = {
  "merge_method", "models", "slices", "modules", "base_model", "dtype", "out_dtype",
  "tokenizer_source", "tokenizer", "chat_template", "parameters", "name",
}

local later = { "tokenizer_source", "tokenizer", "chat_template" }

local dtypes = { bfloat16 = "bf16", float16 = "f16", float32 = "f32", float64 = "f64" }

-- ---- what a document says ---------------------------------------------------------------------

local function dtype(file, node, key)
  local given = read.get(node, key)
  if not given then return nil end
  local name = read.expect(file, given, "text", ("'%s'"):format(key)).text
  local known = dtypes[name:gsub("^torch%.", "")]
  if not known then
    read.fail(file, given, "'%s' is '%s'%s; it takes bfloat16, float16, float32 or float64", key,
      name, check.hint(name, { "bfloat16", "float16", "float32", "float64" }))
  end
  return known
end

local function refuse_later(file, node)
  local experts, key = read.get(node, "experts")
  if experts then
    read.fail(file, key, "a mergekit-moe document ('experts'): building mixtures of experts comes "
      .. "with a later release")
  end
  for _, name in ipairs(later) do
    local given, where = read.get(node, name)
    if given then
      read.fail(file, where, "'%s' comes with a later release; without it the tokenizer is the "
        .. "base's, or the first model's", name)
    end
  end
end

local function method_of(file, node)
  local given = read.get(node, "merge_method")
  if not given then
    read.fail(file, node, "this is no merge: there is no 'merge_method'")
  end
  local name = read.expect(file, given, "text", "'merge_method'").text
  local method = params.method(name)
  if not method then
    read.fail(file, given, "unknown merge method '%s'%s; one of %s", name,
      check.hint(name, params.methods()), table.concat(params.methods(), ", "))
  end
  return method, given
end

-- Exactly one of KEYS must be there: its node, and its name.
local function one_of(file, node, keys, what)
  local found, name, second
  for _, key in ipairs(keys) do
    local given, where = read.filled(node, key)
    if given and found then second = where end
    if given and not found then found, name = given, key end
  end
  if second then
    read.fail(file, second, "%s has '%s' and '%s'; it takes one of %s", what, name, second.text,
      table.concat(keys, ", "))
  end
  if not found then
    read.fail(file, node, "%s has nothing to merge: it takes one of %s", what,
      table.concat(keys, ", "))
  end
  return found, name
end

-- ---- sources ----------------------------------------------------------------------------------

-- [first, last] of a slice's source.
local function layer_range(file, node)
  local given, key = read.get(node, "layer_range")
  if not given then
    read.fail(file, key or node, "a source of a slice without 'layer_range: [FIRST, END]'")
  end
  if given.kind ~= "list" or #given ~= 2 then
    read.fail(file, given, "'layer_range' is %s, expected [FIRST, END]", read.kind(given))
  end
  local first = read.integer(file, given[1], "the first layer")
  local last = read.integer(file, given[2], "the end of 'layer_range'")
  if first < 0 or last < first then
    read.fail(file, given, "layers [%d, %d]: the range is half open and goes up, 0 <= first <= end",
      first, last)
  end
  return { first = first, last = last, node = given }
end

local source_keys = { "model", "parameters" }
local slice_source_keys = { "model", "layer_range", "parameters" }
local no_range = { layer_range = "'layer_range' counts in slices alone: here it is ignored" }

-- The sources of a list: { ref =, range = (of slices), scope =, node = }.
local function sources(doc, list, sliced)
  local file, out, seen = doc.file, {}, {}
  read.expect(file, list, "list", sliced and "'sources'" or "'models'")
  for i, node in ipairs(list) do
    if node.kind ~= "map" then
      read.fail(file, node, "%s, expected { model: ... }", read.kind(node))
    end
    read.map(file, node, "a source", sliced and slice_source_keys or source_keys,
      not sliced and no_range or nil)
    local given, key = read.get(node, "model")
    if not given then read.fail(file, key or node, "a source without 'model'") end
    local ref = find.reference(file, given, "'model'")
    if seen[ref.id] then
      read.fail(file, given, "'%s' is there already, in line %d: a model counts once in a merge",
        ref.id, seen[ref.id].line)
    end
    seen[ref.id] = given
    out[i] = {
      ref = ref, range = sliced and layer_range(file, node) or nil, node = node,
      scope = params.scope(file, node, doc.method, true),
    }
  end
  return out
end

-- All ranges of a slice have one length.
local function check_lengths(doc, list)
  local first = list[1].range
  for _, source in ipairs(list) do
    local range = source.range
    if range.last - range.first ~= first.last - first.first then
      read.fail(doc.file, range.node, "layers [%d, %d] are %d, those of the slice's first source "
        .. "are %d", range.first, range.last, range.last - range.first, first.last - first.first)
    end
  end
end

-- ---- one merge --------------------------------------------------------------------------------

-- The model of a source, cut to its layers.
local function model_of(doc, ref, range)
  local expr = find.model(doc.file, doc, ref)
  if not range then return expr end
  return ast.call("slice", read.place(doc.file, range.node), {
    expr, ast.value(range.first), ast.value(range.last),
  })
end

local function find_base(list, base)
  for i, source in ipairs(list) do
    if base and source.ref.id == base.id then return i end
  end
  return nil
end

-- A base that is not listed: beside models the last input, as for the peer; in slices it has the
-- layers of the others.
local function add_base(doc, list, base)
  if not base or find_base(list, base) then return end
  local range = list[1].range
  for _, source in ipairs(list) do
    if range and (source.range.first ~= range.first or source.range.last ~= range.last) then
      read.fail(doc.file, source.range.node, "the base '%s' is no source of this slice, and the "
        .. "sources have different layers; list it with its own", base.id)
    end
  end
  list[#list + 1] = { ref = base, range = range, scope = {}, node = base.node }
end

-- The parameters of METHOD in one of SCOPES ("S"; "I" and "N"), as keys.
local function add_params(doc, keys, scopes, count, shared)
  for _, p in ipairs(doc.method.params) do
    if (p.scope == "S") == shared then
      ast.put(keys, p.name, params.chain(p.name, scopes, count))
    end
  end
end

-- One input of a merge: the model, with its own parameters.
local function input(doc, source, slice)
  local expr, keys = model_of(doc, source.ref, source.range), {}
  add_params(doc, keys, { source.scope, slice.scope, doc.module_scope, doc.scope }, 4, false)
  if #keys == 0 then return expr end
  return ast.table({ expr }, keys)
end

local function add_rest(doc, keys, first)
  local file = doc.file
  ast.set(keys, "dtype", doc.dtype or "inputs")
  ast.set(keys, "out_dtype", doc.out_dtype)
  if doc.method.random then ast.set(keys, "seed", file.seed) end
  if first > 0 then ast.set(keys, "first", first) end
  if file.truncate_vocab then ast.set(keys, "truncate_vocab", true) end
  if file.allow_mixed_arch then ast.set(keys, "allow_mixed_arch", true) end
  ast.set(keys, "as", "mergekit")
end

-- Is the merge of LIST its only model, unchanged?
local function is_plain(doc, list, slice)
  local scope = { list[1].scope, slice.scope, doc.module_scope, doc.scope }
  return doc.method.name == "passthrough" and #list == 1 and not doc.dtype and not doc.out_dtype
    and not params.chain("scale", scope, 4)
end

-- The merge of the sources of one slice, or of all models (RANGE nil); FIRST: the layers before.
local function merge(doc, list, slice, first)
  local method, base, items, keys = doc.method, slice.base or doc.base, {}, {}
  local sliced = list[1].range ~= nil
  local ignored = method.base == "none"
  if not (ignored and sliced) then add_base(doc, list, base) end
  if is_plain(doc, list, slice) then return model_of(doc, list[1].ref, list[1].range) end
  local at = find_base(list, base)
  for i, source in ipairs(list) do
    if i ~= at or ignored then items[#items + 1] = input(doc, source, slice) end
  end
  if at then ast.put(keys, "base", model_of(doc, list[at].ref, list[at].range)) end
  add_params(doc, keys, { slice.scope, doc.module_scope, doc.scope }, 3, true)
  add_rest(doc, keys, first)
  local call = ast.form("merge." .. method.name, read.place(doc.file, slice.node), items, keys)
  call.filters = true
  return call
end

-- ---- slices -----------------------------------------------------------------------------------

local slice_keys = { "sources", "base_model", "residual_weight", "parameters" }

local function one_slice(doc, node)
  local file = doc.file
  read.map(file, node, "a slice", slice_keys)
  local given, key = read.filled(node, "sources")
  if not given then read.fail(file, key or node, "a slice without 'sources'") end
  local _, residual = read.get(node, "residual_weight")
  if residual then
    read.complain(file, residual, "'residual_weight' has no effect, here as in mergekit")
  end
  local base = read.get(node, "base_model")
  local list = sources(doc, given, true)
  check_lengths(doc, list)
  return {
    node = node, list = list, scope = params.scope(file, node, doc.method),
    base = base and find.reference(file, base, "'base_model'"),
  }
end

-- Whose config and tokenizer the result has where the first slice alone would not say so.
local function donor(doc, slice)
  local base = doc.base
  if not base then return nil end
  local own = slice.base or base
  if doc.method.base ~= "none" and own.id == base.id then return nil end
  if doc.method.base == "none" and slice.list[1].ref.id == base.id then return nil end
  return base
end

local function slices(doc, list)
  local parts, first, start = {}, 0, nil
  read.expect(doc.file, list, "list", "'slices'")
  for i, node in ipairs(list) do
    local slice = one_slice(doc, node)
    local range = slice.list[1].range
    start = start or slice
    parts[i] = merge(doc, slice.list, slice, first)
    first = first + range.last - range.first
  end
  local from = donor(doc, start)
  if #parts == 1 and not from then return parts[1] end
  local keys = {}
  ast.put(keys, "base", from and find.model(doc.file, doc, from))
  return ast.form("stack", read.place(doc.file, list), parts, keys)
end

local function models(doc, list)
  return merge(doc, sources(doc, list, false), { node = list, scope = {} }, 0)
end

-- The one module of an architecture is called "default".
local function module_of(doc, node)
  local file = doc.file
  read.expect(file, node, "map", "'modules'")
  for _, key in ipairs(node.keys) do
    if key.text ~= "default" then
      read.fail(file, key, "unknown module '%s'%s; these architectures have one, 'default'",
        key.text, check.hint(key.text, { "default" }))
    end
  end
  return read.map(file, node[1], "a module", { "slices", "models", "parameters" })
end

--- The model of a document: { node =, file =, needs = {} } as an expression.
function m.build(doc)
  local file, node = doc.file, doc.node
  refuse_later(file, node)
  doc.method, doc.at = method_of(file, node)
  read.map(file, node, "a merge", top_keys)
  doc.dtype, doc.out_dtype = dtype(file, node, "dtype"), dtype(file, node, "out_dtype")
  local base = read.get(node, "base_model")
  doc.base = base and find.reference(file, base, "'base_model'")
  doc.scope, doc.module_scope = params.scope(file, node, doc.method), {}
  local given, kind = one_of(file, node, { "models", "slices", "modules" }, "the merge")
  if kind == "modules" then
    local holder = module_of(doc, given)
    doc.module_scope = params.scope(file, holder, doc.method)
    given, kind = one_of(file, holder, { "models", "slices" }, "the module")
  end
  if kind == "models" then return models(doc, given) end
  return slices(doc, given)
end

return m
