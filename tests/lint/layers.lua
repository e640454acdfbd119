--- layers.lua - who may include whom, and in what order (ARCHITECTURE: layers)
--
-- A file includes its own layer and lower ones; kernel, format and store do not see each other,
-- and store sees base alone; a unit test sees what its layer sees. Every include names its layer.
-- In engine/: own header first (of NAME_part.c it may be the module's), then project headers, then
-- system headers, a blank line between, each block sorted. Lua's headers belong to engine/lua. A
-- header's guard is its path.

package.path = "tests/lint/shared/?.lua;" .. package.path
local kit = require "kit"

local sees = {
  base = { "base" },
  tensor = { "tensor", "base" },
  kernel = { "kernel", "tensor", "base" },
  format = { "format", "tensor", "base" },
  store = { "store", "base" },
}
local function add(layer, below)
  sees[layer] = { layer }
  for _, other in ipairs(below) do table.insert(sees[layer], other) end
end
add("op", { "kernel", "format", "store", "tensor", "base" })
add("graph", sees.op)
add("lua", sees.graph)
add("cli", sees.lua)
for _, list in pairs(sees) do
  for _, layer in ipairs(list) do list[layer] = true end
end

-- The includes of headers at the top level of a file (not those under a condition), as
-- { line =, kind = "own" | "project" | "system", name =, gap = a blank line or text before it }.
local function includes(path, text)
  local list, depth, gap = {}, path:match("%.h$") and -1 or 0, true
  local own = path:match("^engine/(.*)%.c$")
  for number, line in kit.lines(kit.code(text)) do
    local open, name = line:match('^%s*#%s*include%s*([<"])([^>"]+)[>"]')
    if line:match("^%s*#%s*if") then depth = depth + 1 end
    if line:match("^%s*#%s*endif") then depth = depth - 1 end
    if name and name:match("%.h$") and depth == 0 then
      local kind = open == "<" and "system" or "project"
      if own and name == own .. ".h" then kind = "own" end
      list[#list + 1] = { line = number, kind = kind, name = name, gap = gap }
      gap = false
    elseif not name then
      gap = true
    end
  end
  return list
end

local rank = { own = 0, project = 1, system = 2 }

-- A part of a module without a header of its own may open with the module's, alone.
local function claim_own(path, list)
  local first, second = list[1], list[2]
  local layer, name = path:match("^engine/([^/]+)/([^/]+)%.c$")
  local header = first and first.name:match("^" .. (layer or "?") .. "/([^/]+)%.h$")
  if header and name and first.kind == "project" and (not second or second.gap) then
    first.kind = "own"
  end
end

local function check_order(path, list, say)
  for i, this in ipairs(list) do
    local last = list[i - 1]
    if last and rank[this.kind] < rank[last.kind] then
      say(path, this.line, "%s comes after %s: own header, project headers, system headers",
        this.name, last.name)
      return
    elseif last and this.kind ~= last.kind and not this.gap then
      say(path, this.line, "no blank line between %s and %s", last.name, this.name)
    elseif last and this.kind == last.kind and not this.gap and this.name < last.name then
      say(path, this.line, "%s is not sorted: it comes before %s", this.name, last.name)
    elseif last and this.kind == last.kind and this.gap then
      say(path, this.line, "%s begins a second block of %s headers", this.name, this.kind)
    end
  end
end

local function check_layer(tree, path, number, name, say)
  local layer, other = kit.layer(path), name:match("^([^/]+)/")
  if not other then
    if path:match("^engine/") then say(path, number, "%q does not name its layer", name) end
  elseif not sees[other] then
    say(path, number, "%q names no layer", name)
  elseif not sees[layer][other] then
    say(path, number, "%s may not see %s (%q)", layer, other, name)
  elseif not tree.text["engine/" .. name] and not tree.text["tests/unit/" .. name] then
    say(path, number, "there is no engine/%s", name)
  end
end

local function check_file(tree, path, text, say)
  local layer = kit.layer(path)
  if not layer then return end -- tests/unit/test.h
  if not sees[layer] then
    say(path, 1, "%s is no layer", layer)
    return
  end
  for number, line in kit.lines(kit.code(text)) do
    local name = line:match('^%s*#%s*include%s*"([^"]+)"')
    local system = line:match("^%s*#%s*include%s*<([^>]+)>")
    if name then check_layer(tree, path, number, name, say) end
    if system == "lua.h" or system == "lauxlib.h" or system == "lualib.h" then
      if layer ~= "lua" then say(path, number, "<%s> belongs to engine/lua alone", system) end
    end
  end
  if not path:match("^engine/") then return end
  local list = includes(path, text)
  claim_own(path, list)
  check_order(path, list, say)
  local own = path:match("^engine/(.*)%.c$")
  if own and tree.text["engine/" .. own .. ".h"] and (not list[1] or list[1].kind ~= "own") then
    say(path, list[1] and list[1].line or 1, "its own header %s.h does not come first", own)
  end
  local header = path:match("^engine/(.*)%.h$")
  if header then
    local guard = header:upper():gsub("[^%w]", "_") .. "_H"
    if not text:find("#ifndef " .. guard .. "\n#define " .. guard .. "\n", 1, true) then
      say(path, 1, "the guard is not %s", guard)
    end
  end
end

local function check(tree, say)
  for _, path in ipairs(tree.list) do
    if path:match("%.[ch]$") then check_file(tree, path, tree.text[path], say) end
  end
end

local header = "#ifndef BASE_B_H\n#define BASE_B_H\n#endif\n"
local c = "engine/base/a.c"
local plants = {
  { "a clean pair", { ["engine/base/b.h"] = header,
    ["engine/base/b.c"] = '#include "base/b.h"\n\n#include <a.h>\n#include <b.h>\n' } },
  { "a part of a module", { ["engine/base/b.h"] = header,
    ["engine/base/a.h"] = (header:gsub("B_H", "A_H")),
    ["engine/base/b_read.c"] = '#include "base/b.h"\n\n#include "base/a.h"\n' } },
  { "a conditional include", { [c] = "#include <b.h>\n#if X\n#include <a.h>\n#endif\n" } },
  { "an include in a comment", { [c] = '/* #include "op/x.h" */\n' } },
  { "an upward include", { [c] = '#include "op/op.h"\n', ["engine/op/op.h"] = "" },
    "base may not see op" },
  { "a sideways include", { ["engine/format/a.c"] = '#include "kernel/k.h"\n' },
    "format may not see kernel" },
  { "store beyond base", { ["engine/store/a.c"] = '#include "tensor/t.h"\n' },
    "store may not see tensor" },
  { "a test above its layer", { ["tests/unit/base/test_a.c"] = '#include "op/op.h"\n' },
    "base may not see op" },
  { "a nameless layer", { [c] = '#include "b.h"\n' }, "does not name its layer" },
  { "a missing header", { [c] = '#include "base/none.h"\n' }, "there is no engine/base/none.h" },
  { "own header late", { ["engine/base/b.c"] = '#include "base/a.h"\n#include "base/b.h"\n',
    ["engine/base/b.h"] = header }, "own header" },
  { "system before project", { [c] = '#include <a.h>\n\n#include "base/b.h"\n' }, "comes after" },
  { "unsorted", { [c] = "#include <b.h>\n#include <a.h>\n" }, "not sorted" },
  { "no gap", { [c] = '#include "base/b.h"\n#include <a.h>\n', ["engine/base/b.h"] = header },
    "no blank line" },
  { "two blocks", { [c] = "#include <a.h>\n\n#include <b.h>\n" }, "second block" },
  { "Lua outside lua", { [c] = "#include <lauxlib.h>\n" }, "belongs to engine/lua" },
  { "a wrong guard", { ["engine/base/b.h"] = "#ifndef B_H\n#define B_H\n#endif\n" }, "guard" },
  { "an unknown layer", { ["engine/util/a.c"] = "" }, "util is no layer" },
}

kit.main("layers", check, plants, function()
  return kit.tree({ "engine", "tests/unit" }, { c = true, h = true, def = true })
end)
