-- "yaml/plain.yml" as a recipe

local ft1 = source "models/ft1"
local merged = ft1

return {
  plain = safetensors { merged },
}
