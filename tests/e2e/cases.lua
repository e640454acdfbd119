-- cases.lua convert|merge INDEX: the cases of an index.json as lines of words, for the shell
--
-- cases.lua convert INDEX: CASE SOURCE_DIR OUTTYPE SHA256 BYTES of every output
-- cases.lua merge INDEX: NAME EXACT_MIN ULP_MAX REL_MAX FLIP_MAX of every case
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local json = require "json"

local index = json.load(arg[2])
for _, case in ipairs(index.cases) do
  if arg[1] == "merge" then
    local t = case.tolerance
    print(case.name, t.exact_min, t.ulp_max, t.rel_max, t.flip_max)
  else
    for _, out in ipairs(case.outputs) do
      print(case.case, case.source_dir, out.outtype, out.sha256, out.bytes)
    end
  end
end
