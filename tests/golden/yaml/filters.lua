-- "yaml/filters.yml" as a recipe

local ft2 = source "models/ft2"
local ft1 = source "models/ft1"
local merged = merge.slerp {
  ft2, base = ft1,
  t = by { { "self_attn", 0 }, 0.3 },
  dtype = "inputs", as = "mergekit",
}

return {
  filters = safetensors { merged },
}
