--- The table that a recipe returns: variants, their artifacts, and the files laid out.

local artifact = require "artifact"
local check = require "check"
local frozen = require "frozen"
local layers = require "layers"
local source = require "source"
local value = require "value"

local m = {}

-- The variants in order, each with its list of artifacts.
local function variants_of(result, path)
  local table_ = frozen.open(result)
  if artifact.peek(result) then
    check.fail("%s: the recipe returns one artifact; give it a name: return { NAME = %s { ... } }",
      path, artifact.peek(result).kind)
  end
  if type(table_) ~= "table" or engine.content(table_) then
    check.fail("%s: the recipe returns %s; it must end with return { NAME = gguf { ... } }", path,
      check.kind(table_))
  end
  local list = {}
  for key, item in pairs(table_) do
    if type(key) ~= "string" then
      check.fail("%s: a variant has no name; write return { NAME = ... }", path)
    end
    local arts = {}
    local plain = frozen.open(item)
    if artifact.peek(item) then
      arts[1] = artifact.peek(item)
    elseif type(plain) == "table" and not engine.content(plain) then
      for i, one in ipairs(plain) do arts[i] = artifact.peek(one) or false end
    end
    for i = 1, math.max(#arts, 1) do
      if not arts[i] then
        check.fail("%s: variant '%s' is %s, expected an artifact (gguf { ... }) or a list of them",
          path, key, check.kind(plain))
      end
    end
    list[#list + 1] = { name = key, arts = arts }
  end
  if #list == 0 then check.fail("%s: the recipe returns no variants", path) end
  return list
end

-- Only the variants asked for; none: all.
local function chosen(list, wanted, path)
  if #wanted == 0 then return list end
  local by_name, names, out = {}, {}, {}
  for i, variant in ipairs(list) do
    by_name[variant.name], names[i] = variant, variant.name
  end
  for _, name in ipairs(wanted) do
    if not by_name[name] then
      check.fail("%s has no variant '%s'%s; it has %s", path, name, check.hint(name, names),
        table.concat(names, ", "))
    end
    if not out[name] then
      out[name] = true
      out[#out + 1] = by_name[name]
    end
  end
  return out
end

local function ranges(list)
  local parts, i = {}, 1
  while i <= #list do
    local last = i
    while list[last + 1] == list[last] + 1 do last = last + 1 end
    parts[#parts + 1] = ("%d..%d"):format(list[i], list[last])
    i = last + 1
  end
  return table.concat(parts, ", ")
end

-- Layers of a sliced source of which nothing is used although others are (ruling 56).
local function unused_layers()
  for _, data in ipairs(source.opened) do
    local used, any = {}, false
    for _, t in ipairs(layers.sliced[data.name] and data.tensors or {}) do
      if t.layer and engine.used(t.node) then used[t.layer], any = true, true end
    end
    local missing = {}
    for layer = 0, data.layers - 1 do
      if any and not used[layer] then missing[#missing + 1] = layer end
    end
    if #missing > 0 then
      engine.note(("layers %s of %s are used nowhere"):format(ranges(missing), data.name))
    end
  end
end

-- Two artifacts of one name would write over each other, whichever variants are asked for.
local function check_names(list)
  local seen = {}
  for _, variant in ipairs(list) do
    for _, art in ipairs(variant.arts) do
      local name = art.options.name or variant.name
      engine.at(art.line, artifact.check_name, art.kind, name)
      for _, file in ipairs(artifact.files(art, name)) do
        local other = seen[file]
        if other and other ~= art then
          engine.at(art.line, check.fail, "two artifacts are named '%s': here and at %s", file,
            other.line)
        end
        seen[file] = art
      end
    end
  end
end

--- Lay out what the recipe returned: a list of { variant, name, line, handle }.
function m.finish(result, wanted, path)
  local all = variants_of(result, path)
  check_names(all)
  local unused = engine.option_unused()
  if unused then
    check.fail("%s has no option '%s'%s", path, unused,
      check.hint(unused, require("options").names))
  end
  local out, handles = {}, {}
  for _, variant in ipairs(chosen(all, wanted, path)) do
    for _, art in ipairs(variant.arts) do
      local name = art.options.name or variant.name
      local handle, file = engine.at(art.line, art.make, art, name)
      engine.at(art.line, artifact.verify, art, handle, file)
      handles[#handles + 1] = handle
      out[#out + 1] = { variant = variant.name, name = file, line = art.line, handle = handle }
    end
  end
  engine.reach(handles)
  unused_layers()
  value.warn_dead()
  return out
end

return m
