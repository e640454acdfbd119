--- unique.lua - a file's name says which one it is: names are unique over engine/ and over tests
--
-- NAME.c and NAME.h are one module and lie in one folder; no other folder has a NAME.

package.path = "tests/lint/shared/?.lua;" .. package.path
local kit = require "kit"

local function check(tree, say)
  local first = {}
  for _, path in ipairs(tree.list) do
    local top, folder, stem = path:match("^(%w+)/(.*)/([^/]+)%.%w+$")
    if stem and top == "tests" and not stem:match("^test_") then
      stem = nil -- helpers of one folder of tests are included from there alone
    end
    local key = stem and top .. ":" .. stem
    if key and first[key] and first[key] ~= folder then
      say(path, 1, "%s is also in %s/%s", stem, top, first[key])
    elseif key then
      first[key] = folder
    end
  end
end

local plants = {
  { "a module", { ["engine/base/a.c"] = "", ["engine/base/a.h"] = "" } },
  { "helpers of tests", { ["tests/unit/op/run.h"] = "", ["tests/unit/lua/run.h"] = "" } },
  { "one name twice", { ["engine/base/log.c"] = "", ["engine/store/log.c"] = "" },
    "log is also in engine/base" },
  { "one name in two modules", { ["engine/base/log.h"] = "", ["engine/store/log.c"] = "" },
    "log is also in engine/base" },
  { "one test twice", { ["tests/unit/op/test_a.c"] = "", ["tests/unit/base/test_a.c"] = "" },
    "test_a is also in tests/unit/base" },
}

kit.main("unique", check, plants, function()
  return kit.tree({ "engine", "tests/unit" }, { c = true, h = true, def = true })
end)
