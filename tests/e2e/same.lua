-- same.lua A B [except PATTERN]: both hold the same tensors (names, types, shapes, bytes)
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local tensors = require "tensors"

local a, b = tensors.open(arg[1]), tensors.open(arg[2])
local except = arg[3] == "except" and arg[4] or nil
local wrong, count = 0, 0

local function say(...)
  wrong = wrong + 1
  if wrong <= 5 then print(string.format(...)) end
end

for _, name in ipairs(tensors.names(a)) do
  local x, y = a[name], b[name]
  if not (except and name:find(except)) then
    count = count + 1
    if not y then
      say("%s is not in %s", name, arg[2])
    elseif x.type ~= y.type then
      say("%s is %s and %s", name, x.type, y.type)
    elseif table.concat(x.dims, ",") ~= table.concat(y.dims, ",") then
      say("%s is [%s] and [%s]", name, table.concat(x.dims, ","), table.concat(y.dims, ","))
    elseif x.data ~= y.data then
      say("%s has other bytes", name)
    end
  end
end
for _, name in ipairs(tensors.names(b)) do
  if not a[name] and not (except and name:find(except)) then
    say("%s is not in %s", name, arg[1])
  end
end
if count == 0 then say("nothing was compared") end
print(("%d tensors compared, %d wrong"):format(count, wrong))
os.exit(wrong == 0)
