-- "yaml/slice_bases.yml" as a recipe

local ft1 = source "models/ft1"
local ft2 = source "models/ft2"
local ft3 = source "models/ft3"
local base = source "models/base"
local merged = stack {
  merge.task_arithmetic {
    { slice(ft1, 0, 1), weight = 1 },
    base = slice(ft2, 0, 1),
    dtype = "bf16", out_dtype = "f32", as = "mergekit",
  },
  merge.task_arithmetic {
    { slice(ft1, 1, 4), weight = 1 },
    { slice(ft3, 1, 4), weight = 1 },
    base = slice(base, 1, 4),
    dtype = "bf16", out_dtype = "f32", first = 1, as = "mergekit",
  },
  base = base,
}

return {
  slice_bases = safetensors { merged },
}
