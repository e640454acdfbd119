-- patch.lua FILE TENSOR AT: change the byte at AT of that tensor's data, in place
-- patch.lua FILE norms: make all norms differ (those of synthetic models are alike, and equal
-- tensors are made once)
-- FILE is a safetensors file; its size stays, its inode too.
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local json = require "json"

local file = assert(io.open(arg[1], "r+b"))
local length = string.unpack("<I8", file:read(8))
local header = json.decode(file:read(length))

local function put(tensor, at, change)
  local place = 8 + length + assert(header[tensor], tensor).data_offsets[1] + at
  assert(place < 8 + length + header[tensor].data_offsets[2], "beyond the tensor")
  file:seek("set", place)
  local byte = file:read(1):byte()
  file:seek("set", place)
  file:write(string.char(change(byte)))
end

if arg[2] == "norms" then
  local names = {}
  for name in pairs(header) do
    if name:find("norm") then names[#names + 1] = name end
  end
  table.sort(names)
  for i, name in ipairs(names) do put(name, 0, function() return i end) end
else
  put(arg[2], tonumber(arg[3]), function(byte) return byte ~ 1 end)
end
assert(file:close())
