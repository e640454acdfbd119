-- "yaml/chain.yml" as a recipe

local ft1 = source "models/ft1"
local ft2 = source "models/ft2"
local base = source "models/base"
local ft3 = source "models/ft3"
local first = merge.linear {
  { ft1, weight = 1 },
  { ft2, weight = 1 },
  dtype = "bf16", as = "mergekit",
}
local second = stack { slice(first, 0, 2), slice(ft3, 2, 4) }
local merged = merge.slerp { base, base = second, t = 0.5, dtype = "inputs", as = "mergekit" }

return {
  chain = safetensors { merged },
}
