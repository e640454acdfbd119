-- "yaml/quotes.yml" as a recipe

local it_s_n = source "it's -- ünï"
local a_quoted_name = source "a \"quoted\"\n]] \\ name"
local merged = merge.slerp {
  it_s_n, base = a_quoted_name,
  t = by { { "]]\n\"'", 0.1 }, 0.30000000000000004 },
  dtype = "inputs", as = "mergekit",
}

return {
  quotes = safetensors { merged },
}
