-- "yaml/ignored.yml" as a recipe

local ft2 = source "models/ft2"
local ft1 = source "models/ft1"
local merged = merge.slerp {
  ft2, base = ft1,
  t = by { { "self_atn", 0 }, 0.5 },
  dtype = "inputs", as = "mergekit",
}

return {
  ignored = safetensors { merged },
}
