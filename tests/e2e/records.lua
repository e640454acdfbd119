-- records.lua LOG: the records of a cache's log, one "OFFSET BYTES TYPE N" line each
--
-- BYTES with frame and padding, N the bytes of its payload. It ends at the first record that is cut
-- off or is none. What it knows of the form is what engine/store/log.h and inner.h say.
local types = { "action", "link", "source", "artifact", "fact", "tombstone" }

local file = assert(io.open(arg[1], "rb"))
local log = file:read("a")
file:close()
local at = 17 -- after the head
while at + 24 <= #log + 1 do
  local magic, n = ("<c4I4"):unpack(log, at)
  if magic ~= "VBR1" or at + 16 + n > #log + 1 then break end
  local size = 16 + (n + 7) // 8 * 8
  print(at - 1, size, types[log:byte(at + 16)] or "unknown", n)
  at = at + size
end
