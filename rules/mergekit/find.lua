--- Where the models of a mergekit file lie (specs/merge.md 4 and 10; qm 59, 60): another document
-- of the file, the working directory, the file's folder, --model-dir, the hub's cache.

local ast = require "mergekit/ast"
local read = require "mergekit/read"

local m = {}

-- ---- references -------------------------------------------------------------------------------

local function refuse_lora(file, node)
  read.fail(file, node, "LoRA references (MODEL+ADAPTER) come with a later release; a path that "
    .. "holds a '+' is written { model: { path: ... } }")
end

-- "PATH" or "PATH@REVISION"
local function split_revision(file, node, text)
  local path, revision = text:match("^([^@]*)@([^@]*)$")
  if not path and text:find("@", 1, true) then
    read.fail(file, node, "'%s' holds more than one '@'; such a path is written "
      .. "{ model: { path: ..., revision: ... } }", text)
  end
  return path or text, revision
end

local function from_text(file, node)
  if node.text:find("+", 1, true) then refuse_lora(file, node) end
  return split_revision(file, node, node.text)
end

-- { model: "PATH" or { path, revision }, lora, override_architecture }
local function from_map(file, node)
  read.map(file, node, "a model", { "model", "lora", "override_architecture" })
  local inner, lora = read.get(node, "model"), read.get(node, "lora")
  local arch, arch_key = read.get(node, "override_architecture")
  if lora then refuse_lora(file, lora) end
  if arch then
    read.fail(file, arch_key, "'override_architecture' comes with a later release")
  end
  if not inner then read.fail(file, node, "a model without 'model'") end
  if inner.kind ~= "map" then
    return split_revision(file, inner, read.expect(file, inner, "text", "'model'").text)
  end
  read.map(file, inner, "a model", { "path", "revision" })
  local path, revision = read.get(inner, "path"), read.get(inner, "revision")
  if not path then read.fail(file, inner, "a model without 'path'") end
  return read.expect(file, path, "text", "'path'").text,
    revision and read.expect(file, revision, "text", "'revision'").text
end

--- What a node names: { path =, revision =, node =, id = }; equal ids are one model.
function m.reference(file, node, what)
  local path, revision
  if node.kind == "map" then
    path, revision = from_map(file, node)
  else
    path, revision = from_text(file, read.expect(file, node, "text", what))
  end
  if path == "" or revision == "" then
    read.fail(file, node, "%s is %s, expected a path or a name of the hub", what, read.kind(node))
  end
  local id = revision and path .. "@" .. revision or path
  return { path = path, revision = revision, node = node, id = id }
end

-- ---- on this disk -----------------------------------------------------------------------------

-- The places of PATH, in the order in which they are tried.
local function candidates(file, path)
  local list = { path }
  if path:sub(1, 1) == "/" then return list end
  local function add(dir, name)
    list[#list + 1] = dir:gsub("/*$", "") .. "/" .. name
  end
  if file.dir ~= "" then add(file.dir, path) end
  if file.model_dir then
    add(file.model_dir, path)
    local name = path:match("([^/]+)/*$")
    if name and name ~= path then add(file.model_dir, name) end
  end
  return list
end

-- What is not there: kept until all are known, so that one line downloads them all.
local function miss(file, ref, looked, hub_error)
  local on_hub, command = (hub_error or ""):match("; looked in (.*); download it with: (.*)$")
  file.missing[#file.missing + 1] = {
    ref = ref, command = command, hub_error = not on_hub and hub_error or nil,
    looked = table.concat(looked, ", ") .. (on_hub and ", " .. on_hub or ""),
  }
end

-- The text that `source` takes for a reference; when it lies nowhere, the name of the hub.
local function locate(file, ref)
  if ref.path:find("^hf://") then return ref.id end
  local looked = candidates(file, ref.path)
  for _, path in ipairs(looked) do
    if engine.find(path) then
      if ref.revision then
        read.fail(file, ref.node, "'%s' lies on this disk (%s), where it has no revisions; take "
          .. "'@%s' away", ref.path, path, ref.revision)
      end
      return path
    end
  end
  local here = file.model_dir and engine.hub(ref.id, file.model_dir)
  if here then return here end
  local found, why = engine.hub(ref.id)
  if not found then miss(file, ref, looked, why) end
  return "hf://" .. ref.id
end

--- Fail when models are missing: where the first was looked for, and what downloads all.
function m.check(file)
  local first = file.missing[1]
  if not first then return end
  local commands, names = {}, {}
  for _, one in ipairs(file.missing) do
    if one.command then commands[#commands + 1] = one.command end
    if one ~= first then names[#names + 1] = one.ref.id end
  end
  local text = first.hub_error or ("'%s' is not on this disk; looked in %s"):format(first.ref.id,
    first.looked)
  if #names > 0 then text = text .. "; missing too: " .. table.concat(names, ", ") end
  if #commands > 0 then
    text = text .. ("; download %s with: %s"):format(#commands > 1 and "them" or "it",
      table.concat(commands, " && "))
  end
  read.fail(file, first.ref.node, "%s", text)
end

-- ---- as statements ----------------------------------------------------------------------------

-- The statement that opens a model, made once.
local function opened(file, ref)
  local statement = file.opened[ref.id]
  if not statement then
    local text = locate(file, ref)
    statement = {
      name = ref.path:match("([^/]+)/*$") or "model",
      expr = ast.call("source", read.place(file, ref.node), { ast.value(text) }),
    }
    file.opened[ref.id] = statement
    file.statements[#file.statements + 1] = statement
  end
  return statement
end

--- The expression of a reference: another document's result, or a source. FROM: the document that
-- asks; it remembers whom it needs.
function m.model(file, from, ref)
  local document = file.by_name[ref.path]
  if not document then return ast.ref(opened(file, ref)) end
  if ref.revision then
    read.fail(file, ref.node, "'%s' is a document of this file, which has no revisions", ref.path)
  end
  if engine.find(ref.path) and not document.warned then
    document.warned = true
    read.warn(file, ref.node, "'%s' is a document of this file and a path, too; the document is "
      .. "taken", ref.path)
  end
  from.needs[#from.needs + 1] = { document = document, node = ref.node }
  document.needed = true
  return ast.ref(document.statement)
end

return m
