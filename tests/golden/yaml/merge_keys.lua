-- "yaml/merge_keys.yml" as a recipe

local ft1 = source "models/ft1"
local ft2 = source "models/ft2"
local ft3 = source "models/ft3"
local base = source "models/base"
local merged = merge.breadcrumbs {
  { ft1, weight = 0.1, density = 0.7 },
  { ft2, weight = 0.1, density = 0.2, gamma = 0.05 },
  { ft3, weight = 0.9, gamma = 0.05 },
  base = base, dtype = "f32", as = "mergekit",
}

return {
  merge_keys = safetensors { merged },
}
