-- order.lua same|other A B: the tensors of two GGUF files lie in the same order, or in another
-- order.lua keys A B [KEY...]: their key-values are equal, in the same order, but for KEYs
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local tensors = require "tensors"

local _, kv_a, list_a = tensors.gguf(arg[2])
local _, kv_b, list_b = tensors.gguf(arg[3])

local function names(list)
  local out = {}
  for i, t in ipairs(list) do out[i] = t.name end
  return table.concat(out, "\n")
end

if arg[1] ~= "keys" then
  os.exit((names(list_a) == names(list_b)) == (arg[1] == "same"))
end

local skipped = {}
for i = 4, #arg do skipped[arg[i]] = true end

local function kept(kv)
  local out = {}
  for _, entry in ipairs(kv) do
    if not skipped[entry[1]] then out[#out + 1] = entry end
  end
  return out
end

local a, b, wrong = kept(kv_a), kept(kv_b), 0
for i = 1, math.max(#a, #b) do
  if not a[i] or not b[i] or a[i][1] ~= b[i][1] or a[i][2] ~= b[i][2] then
    print("key " .. i, a[i] and a[i][1], b[i] and b[i][1])
    wrong = wrong + 1
  end
end
os.exit(wrong == 0 and #a > 0)
