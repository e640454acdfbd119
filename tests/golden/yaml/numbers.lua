-- "yaml/numbers.yml" as a recipe

local base = source "models/base"
local ft1 = source "models/ft1"
local ft2 = source "models/ft2"
local ft3 = source "models/ft3"
local ft1_f32 = source "models/ft1_f32"
local ft3_f16 = source "models/ft3_f16"
local merged = merge.linear {
  { base, weight = 1e-05 },
  { ft1, weight = 16 },
  { ft2, weight = 15 },
  { ft3, weight = 90 },
  { ft1_f32, weight = 1000.5 },
  { ft3_f16, weight = ramp { 0.5, 0.25, 3, 0.1, 1, -0.03, 180.5 } },
  dtype = "inputs", as = "mergekit",
}

return {
  numbers = safetensors { merged },
}
