-- "yaml/flow.yaml" as a recipe

local ft1 = source "models/ft1"
local ft2 = source "models/ft2"
local ft3 = source "models/ft3"
local merged = merge.karcher {
  ft1, ft2, ft3, max_iter = 5, tol = 0.0001, dtype = "f16", as = "mergekit",
}

return {
  flow = safetensors { merged },
}
