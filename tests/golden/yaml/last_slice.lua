-- "yaml/last_slice.yml" as a recipe

local ft1 = source "models/ft1"
local ft2 = source "models/ft2"
local ft3 = source "models/ft3"
local merged = stack {
  slice(ft1, 0, 2),
  merge.passthrough {
    { slice(ft1, 1, 2), scale = 0.5 },
    dtype = "inputs", first = 2, as = "mergekit",
  },
  slice(ft2, 4, 4),
  base = ft3,
}

return {
  last_slice = safetensors { merged },
}
