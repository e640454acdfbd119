-- "yaml/anchors.yml" as a recipe

local ft1 = source "models/ft1"
local ft2 = source "models/ft2"
local base = source "models/base"
local merged = merge.ties {
  { ft1, weight = 0.5, density = ramp { 1, 0.5 } },
  { ft2, weight = 0.25, density = ramp { 1, 0.5 } },
  base = base, dtype = "inputs", as = "mergekit",
}

return {
  anchors = safetensors { merged },
}
