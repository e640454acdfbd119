-- "yaml/booleans.yml" as a recipe

local ft1 = source "models/ft1"
local base = source "models/base"
local merged = merge.ties {
  { ft1, weight = 1, density = 1 },
  base = base,
  normalize = ramp { true, false, false, true },
  rescale = true, lambda = 1.5, int8_mask = false, dtype = "inputs", as = "mergekit",
}

return {
  booleans = safetensors { merged },
}
