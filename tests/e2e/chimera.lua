-- chimera.lua COUNT LAYERS: how many distinct (model, tensor, type) the COUNT chimeras of
-- figures.sh hold, one number a chimera: what each adds to those before it
--
-- Chimera i takes the organs of the second model in layers first(i) .. last(i) - 1; its attn_v is
-- Q6_K when i is even, Q5_K when odd; all other matrices are Q4_K.
local count, layers = tonumber(arg[1]), tonumber(arg[2])
local made, out = {}, {}

for i = 1, count do
  local first, last, run = i % 4, i % 4 + 1 + i % 3, 0
  local function add(model, tensor, type)
    local key = model .. "/" .. tensor .. "/" .. type
    if not made[key] then
      made[key] = true
      run = run + 1
    end
  end
  for layer = 0, layers - 1 do
    local organs = layer >= first and layer < last and "second" or "first"
    for _, module in ipairs { "q", "k", "o", "norm1", "norm2" } do
      add("first", layer .. module, module:find("norm") and "f32" or "q4_k")
    end
    add("first", layer .. "v", i % 2 == 0 and "q6_k" or "q5_k")
    for _, module in ipairs { "gate", "up", "down" } do add(organs, layer .. module, "q4_k") end
  end
  for _, name in ipairs { "embed", "head" } do add("first", name, "q4_k") end
  add("first", "norm", "f32")
  out[#out + 1] = run
end
print(table.concat(out, " "))
