-- "yaml/module.yml" as a recipe

local ft1 = source "models/ft1"
local ft2 = source "models/ft2"
local merged = merge.linear {
  { ft1, weight = by { { "mlp", 2.0 }, 1 } },
  { ft2, weight = by { { "k_proj", 0.5 }, { "mlp", 2.0 }, 1 } },
  normalize = false, dtype = "inputs", as = "mergekit",
}

return {
  module = safetensors { merged },
}
