-- "yaml/scopes.yml" as a recipe

local ft1 = source "models/ft1"
local ft2 = source "models/ft2"
local base = source "models/base"
local merged = stack {
  merge.ties {
    {
      slice(ft1, 0, 2),
      weight = by {
        {
          "q_proj",
          by { { "layernorm", 0.125 }, { "layers.2.", 1 }, { "q_proj", 0.25 }, 0.125 },
        },
        { "_proj", 0.75 },
        { "layernorm", 0.125 },
        { "layers.2.", 1 },
        { "q_proj", 0.25 },
        0.125,
      },
      density = by { { "mlp", 0.5 }, ramp { 0.5, 1 } },
    },
    {
      slice(ft2, 1, 3),
      weight = by { { "layernorm", 0.125 }, { "layers.2.", 1 }, { "q_proj", 0.25 }, 0.125 },
      density = by { { "mlp", 0.5 }, ramp { 0.5, 1 } },
    },
    base = slice(base, 0, 2),
    lambda = by { { "mlp", 1.5 }, { "norm", 0 }, 2 },
    dtype = "bf16", as = "mergekit",
  },
  merge.ties {
    { slice(ft1, 2, 4), weight = 1, density = by { { "mlp", 0.5 }, ramp { 0.5, 1 } } },
    base = slice(base, 2, 4),
    lambda = by { { "norm", 0 }, 2 },
    dtype = "bf16", first = 2, as = "mergekit",
  },
}

return {
  scopes = safetensors { merged },
}
