-- quantize.lua INDEX: the runs of tests/golden/quant/model/endtoend.json as command lines
--
-- A line each, words between tabs: NAME SHA256 SIZE OPTIONS, the options quoted for a shell.
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local json = require "json"

local runs, names = json.load(arg[1]).runs, {}
for name in pairs(runs) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  local run, words = runs[name], {}
  for i, word in ipairs(run.args) do words[i] = "'" .. word:gsub("'", "'\\''") .. "'" end
  print(("%s\t%s\t%d\t%s"):format(name, run.sha256, run.size, table.concat(words, " ")))
end
