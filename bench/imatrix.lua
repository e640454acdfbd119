-- imatrix.lua TENSORS.json - a legacy importance matrix for every matrix of a model that
-- `vbuild inspect --json` listed: positive values of a fixed sequence, to standard output
local text = assert(io.open(assert(arg[1]), "rb")):read("a")
local names, state = {}, 1

local function value()
  state = (state * 1103515245 + 12345) % 2147483648
  return 0.01 + state / 2147483648
end

for line in text:gmatch("{([^{}]+)}") do
  local name, dims = line:match('"name":"([^"]+)".-"shape":%[([^%]]+)%]')
  local cols = dims and dims:match(",%s*(%d+)$")
  if cols and name:find("^blk%.") then names[#names + 1] = { name, tonumber(cols) } end
end
assert(#names > 0, "no matrices found")
io.write(string.pack("<i4", #names))
for _, entry in ipairs(names) do
  local list = {}
  for i = 1, entry[2] do list[i] = string.pack("<f", value()) end
  io.write(string.pack("<i4", #entry[1]), entry[1], string.pack("<i4i4", 1, entry[2]),
    table.concat(list))
end
