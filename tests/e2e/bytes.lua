-- bytes.lua COMMAND FILE...: what the scripts do to single bytes of a file
--
--   flip FILE OFFSET [MASK]   change the byte there (from the end when OFFSET is negative)
--   put FILE OFFSET HEX       write these bytes there
local file = assert(io.open(arg[2], "r+b"))
local offset = math.tointeger(tonumber(arg[3]))
local size = file:seek("end")
if offset < 0 then offset = size + offset end
assert(offset >= 0 and offset < size, "the offset is outside the file")
file:seek("set", offset)
if arg[1] == "flip" then
  local byte = file:read(1):byte()
  file:seek("set", offset)
  file:write(string.char(byte ~ math.tointeger(tonumber(arg[4] or 0x40))))
elseif arg[1] == "put" then
  file:write((arg[4]:gsub("%x%x", function(hex) return string.char(tonumber(hex, 16)) end)))
else
  error("flip or put")
end
file:close()
