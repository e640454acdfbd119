-- "yaml/named.yml" as a recipe

local ft1 = source "models/ft1"
local ft2 = source "models/ft2"
local base = source "models/base"
local ft3 = source "models/ft3"
local half_way = merge.linear {
  { ft1, weight = 1 },
  { ft2, weight = 1 },
  dtype = "inputs", as = "mergekit",
}
local left = merge.slerp { base, base = half_way, t = 0.25, dtype = "inputs", as = "mergekit" }
local right = merge.slerp { ft3, base = half_way, t = 0.75, dtype = "inputs", as = "mergekit" }

return {
  left = safetensors { left },
  right = safetensors { right },
}
