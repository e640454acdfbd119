--- mergekit's YAML as a recipe (specs/merge.md sections 4, 9 and 10): a file becomes a tree of
-- calls of words, which is run or printed. A file of several documents is a chain of merges, where
-- a document's `name` stands for its result.

local ast = require "mergekit/ast"
local check = require "check"
local document = require "mergekit/document"
local find = require "mergekit/find"
local print_ = require "mergekit/print"
local read = require "mergekit/read"
local run = require "mergekit/run"

local m = {}

-- ---- documents --------------------------------------------------------------------------------

-- "merge" of "DIR/merge.yml"
local function stem(path)
  local base = path:match("([^/]*)$")
  return base:match("^(.+)%.[^.]*$") or base
end

-- The documents of a file that hold something, with their names.
local function documents(file)
  local list, unnamed = {}, nil
  for _, node in ipairs(engine.yaml(file.path)) do
    if node.kind ~= "null" then
      read.expect(file, node, "map", "the document")
      local given = read.get(node, "name")
      local name = given and read.expect(file, given, "text", "'name'").text
      local doc = { file = file, node = node, name = name, needs = {} }
      doc.statement = { name = name or "merged" }
      if not name and unnamed then
        read.fail(file, node, "a second document without 'name' (the first begins in line %d)",
          unnamed.node.line)
      elseif name and file.by_name[name] then
        read.fail(file, given, "a second document named '%s'", name)
      end
      if name then file.by_name[name] = doc else unnamed = doc end
      list[#list + 1] = doc
    end
  end
  if #list == 0 then check.fail("%s: the file holds no merge", file.path) end
  return list
end

-- The statements of all documents, each after those that it needs. A ring is an error.
local function in_order(file, list)
  local out, state = {}, {}
  for _, root in ipairs(list) do
    local stack = { { doc = root, at = 0 } }
    if state[root] then stack[1] = nil end
    while #stack > 0 do
      local top = stack[#stack]
      state[top.doc] = state[top.doc] or "open"
      top.at = top.at + 1
      local need = top.doc.needs[top.at]
      if not need then
        state[top.doc] = "done"
        out[#out + 1] = top.doc.statement
        stack[#stack] = nil
      elseif state[need.document] == "open" then
        local ring, inside = {}, false
        for _, frame in ipairs(stack) do
          inside = inside or frame.doc == need.document
          if inside then ring[#ring + 1] = frame.doc.name or "the unnamed document" end
        end
        ring[#ring + 1] = need.document.name
        read.fail(file, need.node, "the documents need each other: %s",
          table.concat(ring, " -> "))
      elseif not state[need.document] then
        stack[#stack + 1] = { doc = need.document, at = 0 }
      end
    end
  end
  return out
end

-- What a file makes: { name, doc } (qm 59).
local function results(file, list)
  if #list == 1 then return { { name = stem(file.path), doc = list[1] } } end
  local out = {}
  for _, doc in ipairs(list) do
    if not doc.name then return { { name = stem(file.path), doc = doc } } end
    if not doc.needed then out[#out + 1] = { name = doc.name, doc = doc } end
  end
  return out
end

local SEED_MAX = "18446744073709551615"

-- The seed as a word takes it: a whole number, or a text "0x..." beyond 63 bits.
local function seed_of(given)
  if type(given) ~= "string" or not given:find("^%d+$") then return given end
  local digits = given:gsub("^0+(%d)", "%1")
  if #digits > #SEED_MAX or (#digits == #SEED_MAX and digits > SEED_MAX) then return given end
  local sum = 0
  for digit in digits:gmatch("%d") do sum = sum * 10 + math.tointeger(tonumber(digit)) end
  return sum >= 0 and sum or ("0x%x"):format(sum)
end

--- The tree of the file at PATH. OPTIONS: strict, model_dir, seed, truncate_vocab,
-- allow_mixed_arch; LAX: models that are not on this disk are named as the hub's.
local function load(path, options, lax)
  local file = {
    path = path, dir = path:match("^(.*)/[^/]*$") or "", strict = options.strict,
    model_dir = options.model_dir, seed = seed_of(options.seed),
    truncate_vocab = options.truncate_vocab, allow_mixed_arch = options.allow_mixed_arch,
    by_name = {}, opened = {}, statements = {}, missing = {},
  }
  if path:find("^/[^/]*$") then file.dir = "/" end
  file.documents = documents(file)
  for _, doc in ipairs(file.documents) do doc.statement.expr = document.build(doc) end
  if not lax then find.check(file) end
  for _, statement in ipairs(in_order(file, file.documents)) do
    file.statements[#file.statements + 1] = statement
  end
  file.results = results(file, file.documents)
  return file
end

-- ---- what comes of it -------------------------------------------------------------------------

local function words() return require "words" end

local function start(file)
  local going = run.statements(file, file.statements, words().find)
  run.check(going)
  return going
end

-- The artifacts of a file as expressions: { name, expr }.
local function artifacts(file, options)
  local list = {}
  for i, result in ipairs(file.results) do
    local keys = {}
    local shard = options.shard
    ast.set(keys, "shard", shard and math.tointeger(tonumber(shard)) or shard)
    if options.no_tokenizer then ast.set(keys, "tokenizer", false) end
    list[i] = {
      name = #file.results == 1 and options.name or result.name,
      expr = ast.form("safetensors", read.place(file, result.doc.at),
        { ast.ref(result.doc.statement) }, keys),
    }
  end
  return list
end

--- What a recipe made of the file at PATH returns: artifacts by name.
function m.recipe(path, options)
  local file = load(path, options or {})
  local going, out = start(file), {}
  for _, artifact in ipairs(artifacts(file, options or {})) do
    out[artifact.name] = run.value(going, artifact.expr)
  end
  return out
end

--- The same as text.
function m.text(path, options)
  local file = load(path, options, true)
  for _, one in ipairs(file.missing) do
    if not one.command then find.check(file) end
  end
  return print_.recipe(path, file.statements, artifacts(file, options), words().list)
end

-- ---- the word ---------------------------------------------------------------------------------

local function chosen(file, name)
  local names = {}
  for i, doc in ipairs(name and file.documents or {}) do
    if doc.name == name then return doc end
    names[i] = doc.name or "(unnamed)"
  end
  if name then
    check.fail("merge.yaml: '%s' has no document '%s'%s; it has %s", file.path, name,
      check.hint(name, names), table.concat(names, ", "))
  end
  if #file.results == 1 then return file.results[1].doc end
  for i, result in ipairs(file.results) do names[i] = result.name end
  check.fail("merge.yaml: '%s' makes %d models (%s); choose one with name =", file.path,
    #file.results, table.concat(names, ", "))
end

--- merge.yaml "FILE.yml", merge.yaml { "FILE.yml", name = "DOCUMENT" }
function m.word(word, args)
  local items, options = { args }, {}
  if type(args) ~= "string" then items, options = check.args(word, args) end
  if type(items[1]) ~= "string" or items[1] == "" or #items > 1 then
    check.fail("merge.yaml takes the path of a mergekit file, not %s", check.kind(items[1]))
  end
  local file = load(items[1], options)
  local doc = chosen(file, options.name)
  return run.value(start(file), ast.ref(doc.statement))
end

return m
