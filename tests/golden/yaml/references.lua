-- "yaml/references.yml" as a recipe

local ft1 = source "models/ft1"
local plus_minus = source "plus+minus"
local some_model = source "hf://some-org/some-model@v1.0"
local other = source "hf://other-org/other@main"
local merged = merge.linear {
  { ft1, weight = 1 },
  { plus_minus, weight = 2 },
  { some_model, weight = 3 },
  { other, weight = 4 },
  dtype = "inputs", as = "mergekit",
}

return {
  references = safetensors { merged },
}
