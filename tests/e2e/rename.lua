-- rename.lua FROM TO PREFIX [DROP...]: the tensors of a llama model FROM under GPT-2's names,
-- PREFIXwte.weight, PREFIXh.N.attn.q_proj.weight, ..., lm_head.weight, as TO/model.safetensors
-- without those whose new names hold a DROP; a TO that ends in .safetensors is the file itself
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local tensors = require "tensors"

local from, to, prefix = arg[1], arg[2], arg[3]

local function renamed(name)
  local new = name:gsub("^model%.layers%.", prefix .. "h."):gsub("self_attn", "attn")
  new = new:gsub("^model%.embed_tokens", prefix .. "wte"):gsub("^model%.norm", prefix .. "ln_f")
  for i = 4, #arg do
    if new:find(arg[i], 1, true) then return nil end
  end
  return new
end

local all, header, data, at = tensors.open(from), {}, {}, 0
for _, name in ipairs(tensors.names(all)) do
  local t, new = all[name], renamed(name)
  if new then
    header[#header + 1] = ('"%s":{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'):format(new,
      t.type:upper(), table.concat(t.dims, ","), at, at + #t.data)
    data[#data + 1], at = t.data, at + #t.data
  end
end
local text = "{" .. table.concat(header, ",") .. "}"
text = text .. (" "):rep(-#text % 8)
local path = to:find("%.safetensors$") and to or to .. "/model.safetensors"
local file = assert(io.open(path, "wb"))
file:write(string.pack("<I8", #text), text, table.concat(data))
file:close()
