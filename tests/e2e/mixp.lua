-- mixp.lua types VARIANT LAYERS FILE: every tensor of FILE (the JSON of `vbuild inspect` or of
-- `vbuild graph`) has the type that MixP's variant S, M or L gives it
-- mixp.lua runs LAYERS: how many tensors of a BF16 model must be made for S, then M, then L
--
-- The types are written out here as the issue states them, not with vbuild's own words.
local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local json = require "json"

-- llama.cpp's choice of the layers that matter most: the outer eighths, and every third between.
local function more(i, n)
  if i < n // 8 then return true end
  if i >= 7 * n // 8 then return true end
  return (i - n // 8) % 3 == 2
end

local s = {
  attn_q = "q4_k", attn_output = "q4_k", attn_k = "q5_k", ffn_up = "q5_k", attn_v = "q3_k",
  ffn_gate = "q3_k",
}
local changes = {
  S = {},
  M = { attn_v = "q4_k", ffn_gate = "q4_k", ffn_down = "q6_k" },
  L = { attn_v = "q6_k", ffn_gate = "q4_k", ffn_down = "q6_k", attn_q = "q6_k", ffn_up = "q6_k" },
}

local function type_of(variant, name, layers)
  if name == "token_embd.weight" or name == "output.weight" then return "bf16" end
  if name:find("norm%.weight$") then return "f32" end
  local layer, module = name:match("^blk%.(%d+)%.([%w_]+)%.weight$")
  if module == "ffn_down" and not changes[variant].ffn_down then
    return more(tonumber(layer), layers) and "q6_k" or "q5_k"
  end
  return changes[variant][module] or s[module]
end

local function names(layers)
  local list = { "token_embd.weight", "output.weight", "output_norm.weight" }
  for layer = 0, layers - 1 do
    for _, module in ipairs { "attn_norm", "ffn_norm", "attn_q", "attn_k", "attn_v", "attn_output",
      "ffn_gate", "ffn_up", "ffn_down" } do
      list[#list + 1] = ("blk.%d.%s.weight"):format(layer, module)
    end
  end
  return list
end

-- name -> dtype, of either JSON.
local function types_of(file, variant)
  local found, doc = {}, json.load(file)
  if doc.tensors then
    for _, t in ipairs(doc.tensors) do found[t.name] = t.dtype end
    return found
  end
  for _, a in ipairs(doc.artifacts) do
    if a.variant == variant then
      for _, t in ipairs(a.files[1].tensors) do found[t.name] = doc.nodes[t.node + 1].dtype end
    end
  end
  return found
end

local function check(variant, layers, file)
  local found, count, wrong = types_of(file, variant), 0, 0
  for _, name in ipairs(names(layers)) do
    local want = type_of(variant, name, layers)
    if found[name] ~= want then
      wrong = wrong + 1
      if wrong < 6 then print(("%s: want %s, is %s"):format(name, want, found[name])) end
    end
    count = count + 1
    found[name] = nil
  end
  if next(found) then print("not expected: " .. next(found)) end
  if count ~= 3 + 9 * layers then print("expected names are wrong") end
  return wrong == 0 and not next(found)
end

-- A tensor already in BF16 stays as it is; one already made in a type is not made again.
local function runs(layers)
  local made, out = {}, {}
  for _, variant in ipairs { "S", "M", "L" } do
    local run = 0
    for _, name in ipairs(names(layers)) do
      local type = type_of(variant, name, layers)
      if type ~= "bf16" and not made[name .. type] then
        made[name .. type] = true
        run = run + 1
      end
    end
    out[#out + 1] = run
  end
  return ("%d %d %d"):format(out[1], out[2], out[3])
end

if arg[1] == "runs" then
  print(runs(tonumber(arg[2])))
else
  os.exit(check(arg[2], tonumber(arg[3]), arg[4]))
end
