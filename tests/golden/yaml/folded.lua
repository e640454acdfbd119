-- "yaml/folded.yml" as a recipe

local ft2 = source "models/ft2"
local ft1 = source "models/ft1"
local merged = merge.slerp { ft2, base = ft1, t = 1.0, dtype = "inputs", as = "mergekit" }

return {
  folded = safetensors { merged },
}
