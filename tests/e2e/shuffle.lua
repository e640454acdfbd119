-- shuffle.lua FILE: the same JSON with the keys of every object the other way round, its numbers
-- and white space written anew
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local json = require "json"

local value = json.load(arg[1])
local text = json.encode(value, function(keys)
  for i = 1, #keys // 2 do keys[i], keys[#keys + 1 - i] = keys[#keys + 1 - i], keys[i] end
end)
local file = assert(io.open(arg[1], "wb"))
file:write(text, "\n")
file:close()
