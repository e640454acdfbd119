-- "yaml/base_listed.yml" as a recipe

local ft1 = source "models/ft1"
local ft2 = source "models/ft2"
local base = source "models/base"
local merged = merge.nuslerp {
  { ft1, weight = 1 },
  { ft2, weight = 3 },
  base = base, nuslerp_flatten = false, dtype = "inputs", as = "mergekit",
}
local listed = merge.linear {
  { ft1, weight = 0.5 },
  { base, weight = 0.5 },
  base = base, dtype = "inputs", as = "mergekit",
}
local appended = merge.linear {
  { ft1, weight = 0.5 },
  { base, weight = 0.5 },
  base = base, dtype = "inputs", as = "mergekit",
}

return {
  base_listed = safetensors { merged },
}
