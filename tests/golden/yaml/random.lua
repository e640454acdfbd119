-- "yaml/random.yml" as a recipe

local ft1 = source "models/ft1"
local ft2 = source "models/ft2"
local base = source "models/base"
local merged = merge.della {
  { ft1, weight = 0.5, density = 0.5, epsilon = 0.1 },
  { ft2, weight = 0.5, density = ramp { 0.4, 0.6 } },
  base = base, dtype = "inputs", seed = "0x1f", as = "mergekit",
}

return {
  random = safetensors { merged },
}
