-- split.lua FOLDER COUNT: model.safetensors of FOLDER becomes COUNT shards and an index, the
-- tensors dealt like cards in the order of their names; nothing else is touched
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local tensors = require "tensors"

local dir, count = arg[1], math.tointeger(tonumber(arg[2]))
local all = tensors.open(dir .. "/model.safetensors")
local headers, data, sizes, map = {}, {}, {}, {}
for i = 1, count do headers[i], data[i], sizes[i] = {}, {}, 0 end
for i, name in ipairs(tensors.names(all)) do
  local t, shard = all[name], i % count + 1
  headers[shard][#headers[shard] + 1] = ('"%s":{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}')
    :format(name, t.type:upper(), table.concat(t.dims, ","), sizes[shard], sizes[shard] + #t.data)
  data[shard][#data[shard] + 1] = t.data
  sizes[shard] = sizes[shard] + #t.data
  map[#map + 1] = ('"%s":"model-%05d-of-%05d.safetensors"'):format(name, shard, count)
end

local function write(path, ...)
  local file = assert(io.open(dir .. "/" .. path, "wb"))
  file:write(...)
  file:close()
end

for i = 1, count do
  local header = '{"__metadata__":{"format":"pt"},' .. table.concat(headers[i], ",") .. "}"
  header = header .. (" "):rep(-#header % 8)
  write(("model-%05d-of-%05d.safetensors"):format(i, count), string.pack("<I8", #header), header,
    table.concat(data[i]))
end
write("model.safetensors.index.json", '{"metadata":{},"weight_map":{', table.concat(map, ","), "}}")
assert(os.remove(dir .. "/model.safetensors"))
