-- "yaml/residual.yml" as a recipe

local ft1 = source "models/ft1"
local merged = slice(ft1, 0, 4)

return {
  residual = safetensors { merged },
}
