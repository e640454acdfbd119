--- imatrix = of quantize: how much each column of a matrix matters, from an imatrix file.
-- Source: specs/gguf-quant.md 3.2, 4.4 to 4.6; rulings qm 31 and 33.

local check = require "check"
local frozen = require "frozen"
local maps = require "maps"
local model = require "model"
local presets = require "presets"

local m = {}

local PATH_BYTES = 127 -- of the texts that llama-quantize writes into a header

local word = {
  name = "imatrix",
  keys = { { "include", "table" }, { "exclude", "table" }, { "of", "model" } },
}

-- A list of parts of names, as --include-weights and --exclude-weights each give one.
local function texts(name, list)
  if list == nil then return nil end
  local out = {}
  for key, item in pairs(frozen.open(list)) do
    if math.type(key) ~= "integer" or type(item) ~= "string" or item == "" then
      check.fail("imatrix: '%s' takes a list of texts: { \"ffn_\" }, parts of tensor names", name)
    end
    out[#out + 1] = item
  end
  if #out == 0 then check.fail("imatrix: '%s' is an empty list", name) end
  table.sort(out)
  return out
end

-- A tensor of a source is its own origin.
local function source_of(value)
  if value == nil then return nil end
  local data = model.data("imatrix", value, "'of'")
  for _, t in ipairs(data.tensors) do
    if t.from ~= t then
      check.fail("imatrix: 'of' is a model made of others, expected the source whose imatrix it is")
    end
  end
  return data
end

--- What `imatrix =` says, its file read; nil when it says nothing. ITEM: "FILE" or
-- { "FILE", include = { TEXTS }, exclude = { TEXTS }, of = SOURCE }. LAX: as llama-quantize has it,
-- for which a file of which nothing is left is none.
function m.open(item, lax)
  if item == nil then return nil end
  local value = frozen.open(item)
  local items, options = { value }, {}
  if type(value) == "table" and not engine.content(value) then
    items, options = check.args(word, value)
  end
  local path = items[1]
  if type(path) ~= "string" or path == "" or path:find("\0", 1, true) or #items > 1 then
    check.fail("quantize: 'imatrix' is %s, expected the path of a file or { \"FILE\", include = "
      .. "{ ... }, of = source }", #items > 1 and "more than one item" or check.kind(path))
  end
  local include, exclude = texts("include", options.include), texts("exclude", options.exclude)
  if include and exclude then
    check.fail("imatrix: 'include' and 'exclude' cannot both be given; name what is to be used, "
      .. "or what is not")
  end
  local all = engine.imatrix(path)
  local used = all
  if include or exclude then
    used = engine.imatrix(path, { include = include, exclude = exclude })
    if used.entries == 0 and lax then
      engine.warn(("imatrix: '%s' leaves none of the %d entries of '%s': none is used"):format(
        include and "include" or "exclude", all.entries, path))
      return nil
    end
    if used.entries == 0 then
      check.fail("imatrix: '%s' leaves none of the %d entries of '%s'",
        include and "include" or "exclude", all.entries, path)
    end
  end
  return { path = path, used = used, all = all, of = source_of(options.of) }
end

-- The name under which T's entry stands; nil: it is of another model than `of`.
local function entry_name(im, t)
  if not im.of then return im.was and im.was[t.gguf] or t.gguf end
  local from = t.from.origin or t.from
  local found = model.by_name(im.of)[from.name]
  return found and found.node == from.node and found.gguf or nil
end

local function wanted(t)
  local dims = { engine.dims(t.node) }
  return dims[#dims], #dims > 2 and dims[#dims - 2] or 1
end

-- Whether an entry fits T. One of a wrong length is of another model; only that of the token
-- embedding is passed over (Q 4.5).
local function fits(im, t, name)
  local cols, matrices = wanted(t)
  local have = im.used.values[name]
  if have == cols * matrices then return true end
  local text = ("imatrix: %s has %d values for %s, which has %d columns%s"):format(im.path, have,
    t.gguf, cols, matrices > 1 and (" in each of %d matrices"):format(matrices) or "")
  if t.gguf ~= "token_embd.weight" then
    check.fail("quantize: %s: it is the imatrix of another model", text)
  end
  engine.warn(text .. ": not used")
  return false
end

-- llama-imatrix has no entries for these unless asked, and no type demands them.
local function is_outside(t)
  local category = presets.category(t.gguf)
  return category == "embd" or category == "output"
end

local weighted = {}

-- Whether a type's codes depend on an imatrix.
local function is_weighted(to)
  if weighted[to] == nil then weighted[to] = select(5, engine.dtype(to)) or false end
  return weighted[to]
end

--- The vector of each tensor of LIST by its place. TYPES: the type each is made, nil or "keep"
-- where it stays; MAY(t): whether llama-quantize may quantize it.
function m.vectors(im, list, types, may)
  local vectors, matched, uses, missing, first = {}, 0, 0, 0, nil
  for i, t in ipairs(list) do
    if may(t) then
      local name = entry_name(im, t)
      local to = types[i]
      local made = to and to ~= "keep" and to ~= engine.type(t.node)
      if name and im.used.vectors[name] then
        matched = matched + 1
        if made and fits(im, t, name) then vectors[i] = im.used.vectors[name] end
      end
      if made and is_weighted(to) and not is_outside(t) then
        uses = uses + 1
        if not (name and im.all.vectors[name]) then
          missing, first = missing + 1, first or t.gguf
        end
      end
    end
  end
  if matched == 0 then
    check.fail("quantize: imatrix of another model: none of the %d entries of '%s' names a matrix "
      .. "of this one (the first is '%s')%s", im.used.entries, im.path, im.used.names[1],
      im.of and ", by the names of 'of'" or "")
  end
  if missing > 0 and not im.warned then
    im.warned = true -- the same matrices may be asked for in another order, too
    engine.warn(("imatrix: %s has no entry for %d of the %d matrices that would use one (%s%s): "
      .. "they are quantized without"):format(im.path, missing, uses, first,
      missing > 1 and ", ..." or ""))
  end
  return vectors
end

--- Refuse T as type TO without a vector where llama-quantize refuses. GIVEN: what says the type.
function m.demand(im, t, to, preset, given, vector)
  if vector or not presets.needs_imatrix(preset, t.gguf, to) then return end
  if engine.sizes_only() then
    engine.warn(("quantize: %s requires an imatrix that has every matrix"):format(given))
    return
  end
  if not im then
    check.fail("quantize: this quantization requires an imatrix: %s gives %s the type %s; write "
      .. "imatrix = \"FILE\"", given, t.gguf, to)
  end
  check.fail("quantize: this quantization requires an imatrix: %s gives %s the type %s, and '%s' "
    .. "has no entry for it%s", given, t.gguf, to, im.path,
    im.used ~= im.all and " that is used" or "")
end

--- T as type TO, which is a type of blocks, with its vector.
function m.quantize(t, to, vector)
  if not (vector and is_weighted(to)) then return maps.to_type(t, to, "block") end
  local node = engine.op("quantize", t.node, { type = to, imatrix = vector }, t.gguf)
  return node == t.node and t or model.put(t, node, t.map)
end

--- What the header says of it (Q 4.5), in order: { { KEY, TYPE, VALUE }, ... }.
function m.facts(im)
  local list = { { "quantize.imatrix.file", "str", im.path:sub(1, PATH_BYTES) } }
  if im.used.dataset then
    list[2] = { "quantize.imatrix.dataset", "str", im.used.dataset:sub(1, PATH_BYTES) }
  end
  list[#list + 1] = { "quantize.imatrix.entries_count", "u32", im.used.entries }
  if im.used.chunks > 0 then
    list[#list + 1] = { "quantize.imatrix.chunks_count", "u32", im.used.chunks }
  end
  return list
end

return m
