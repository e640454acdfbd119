--- functions.lua - a function fits a screen: over 70 lines it is named, over 100 it fails
--
-- Relies on the formatting gate: the braces of a C function's body are alone in column 1. Of Lua
-- the functions that begin and end in column 1 are measured.

package.path = "tests/lint/shared/?.lua;" .. package.path
local kit = require "kit"

local SOFT, HARD = 70, 100

local function check_file(path, text, say, note)
  local lua = path:match("%.lua$")
  local from, name, last
  for number, line in kit.lines(lua and text or kit.code(text)) do
    if not from and lua and (line:match("^function ") or line:match("^local function ")) and
        not line:match("%send%s*$") then
      from, name = number, line:match("function%s+([^%s(]+)")
    elseif not from and not lua and line == "{" then
      from, name = number, (last or "?"):match("([%w_]+)%(") or "?"
    elseif from and line:match(lua and "^end" or "^}") then
      local length = number - from + 1
      local tell = length > HARD and say or length > SOFT and note
      if tell then tell(path, from, "%s has %d lines (%d at most)", name, length,
        length > HARD and HARD or SOFT) end
      from = nil
    end
    if line:match("^[%w_].*%(") then last = line end
  end
end

local function check(tree, say, note)
  for _, path in ipairs(tree.list) do check_file(path, tree.text[path], say, note) end
end

local function body(n) return "int f(void)\n{\n" .. ("    x();\n"):rep(n - 2) .. "}\n" end
local function lua_body(n) return "local function f()\n" .. ("  x()\n"):rep(n - 2) .. "end\n" end

local plants = {
  { "a long function", { ["engine/base/a.c"] = body(100) } },
  { "a struct", { ["engine/base/a.c"] = "struct s {\n" .. ("    int x;\n"):rep(200) .. "};\n" } },
  { "one too long", { ["engine/base/a.c"] = body(101) }, "a.c:2: f has 101 lines" },
  { "one too long in Lua", { ["rules/a.lua"] = lua_body(101) }, "a.lua:1: f has 101 lines" },
}

kit.main("functions", check, plants, function()
  return kit.tree({ "engine", "rules" }, { c = true, h = true, lua = true })
end)
