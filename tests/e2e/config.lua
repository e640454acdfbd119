-- config.lua WANT GOT: every key of the projection WANT has its value in the config.json GOT;
-- `dtype` is that or `torch_dtype`, whichever GOT has
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local json = require "json"

local want, got = json.load(arg[1]), json.load(arg[2])
local wrong = 0
for _, key in ipairs(json.keys[want]) do
  local w, g = json.encode(want[key]), got[key]
  if key == "dtype" and g == nil then g = got.torch_dtype end
  if key == "tie_word_embeddings" and g == nil then g = false end
  if g == nil or json.encode(g) ~= w then
    print(("%s: want %s, got %s"):format(key, w, g == nil and "nothing" or json.encode(g)))
    wrong = wrong + 1
  end
end
os.exit(wrong == 0)
