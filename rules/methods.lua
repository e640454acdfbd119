--- The merge methods, one row each: what each takes, and the use of an op that makes a tensor.
-- Source: specs/merge.md section 2; rulings 10, 21, 46, 49. The machinery is rules/merge.lua.
--
-- A row: name, base ("none": an input like the others, "optional", "required"), inputs (least,
-- most; of = "others" where the base does not count), params, missing (what becomes of a tensor
-- that is not in every input: "single", the only one there is copied; "base", the base's is, when
-- it alone has it; "skip", the same or else the tensor is left out; nil: merged from those that
-- have it), elementwise (rows may come in any order), node(c), doc, form, example.
-- A parameter: name, scope (S: one value a tensor; I: one for each input; N: for each but the
-- base), kind of rules/value.lua, default (nil: none; required says whether that is an error).
-- C is the tensor at hand: c.nodes (base first), c.base, c.others (how many are not the base),
-- c:one(S), c:list(I or N), c:op, c:steps (an op with a work type), c:count, c:fail.

local value = require "value"

local m = {}

local function param(name, scope, kind, default, doc)
  return { name = name, scope = scope, kind = kind, default = default, doc = doc }
end

local function required(name, scope, kind, doc)
  local p = param(name, scope, kind, nil, doc)
  p.required = true
  return p
end

local number, boolean, integer = value.number, value.boolean, value.integer

local weight = required("weight", "N", number, "how much of a model's change")
local density = param("density", "N", number, 1.0, "the share of a change's elements that is kept")
local gamma = param("gamma", "N", number, 0.01, "the share of the largest changes that is dropped")
local epsilon = param("epsilon", "N", number, 0.15, "how far the chances go from density")
local lambda = param("lambda", "S", number, 1.0, "a factor of the whole change")
local int8_mask = param("int8_mask", "S", boolean, false, "accepted; changes nothing")

local function switch(name, default, doc) return param(name, "S", boolean, default, doc) end

local function family(normalize, rescale, ...)
  return {
    weight, density,
    switch("normalize", normalize, "divide by the sum of the weights"),
    switch("rescale", rescale, "scale what is kept to the size of the whole"),
    lambda, int8_mask, ...,
  }
end

-- ---- task vectors -----------------------------------------------------------------------------

local function between(d) return d > 0 and d < 1 end

-- Densities of a tensor, and whether any of them drops a part. Of 0 nothing is left.
local function densities(c)
  local list, partly = c:list "density", false
  for i, d in ipairs(list) do
    if d < 0 or d > 1 then c:fail("density is %s, expected 0 to 1", d) end
    if d == 0 then c:count("density 0 drops every change of '%s'", c:name(i)) end
    partly = partly or between(d)
    list[i] = d + 0.0
  end
  return list, partly
end

local function weights(c)
  local list, any = c:list "weight", false
  for _, w in ipairs(list) do any = any or w ~= 0 end
  if not any and #list > 0 then c:count("all weights are 0") end
  return list
end

-- Lists that matter only where a density is between 0 and 1; elsewhere REST.
local function where_partly(list, density_of, rest)
  for i, d in ipairs(density_of) do
    if not between(d) then list[i] = rest end
  end
  return list
end

local function gammas(c)
  local list = c:list "gamma"
  for _, g in ipairs(list) do
    if g < 0 or g >= 1 then c:fail("gamma is %s, expected 0 to 1, without 1", g) end
  end
  return list
end

local function epsilons(c, density_of)
  local list = c:list "epsilon"
  for i, d in ipairs(density_of) do
    local e = list[i]
    if between(d) and (d + e >= 1 or d - e <= 0) then
      c:fail("density %s with epsilon %s: density - epsilon and density + epsilon lie between 0 "
        .. "and 1, both without the ends", d, e)
    end
  end
  return where_partly(list, density_of, 0)
end

-- The changes of all models onto the base. MORE(density, params): what the method adds.
local function onto_base(op, more)
  return function(c)
    if c.others == 0 then return c.nodes[1] end
    local params = {
      weights = weights(c), normalize = c:one "normalize", lambda = c:one "lambda",
    }
    if more then
      local partly
      params.density, partly = densities(c)
      params.rescale = partly and c:one "rescale"
      more(c, params)
    end
    return c:steps(op, params)
  end
end

local function plain() end
local function outliers(c, params)
  params.gamma = where_partly(gammas(c), params.density, 0)
end
local function random(c, params) params.masks = where_partly(c:masks(), params.density, 0) end
local function ranked(c, params)
  params.epsilon = epsilons(c, params.density)
  random(c, params)
end

-- ---- spheres ----------------------------------------------------------------------------------

local function nuslerp(c)
  local w = weights(c)
  local sum = w[1] + w[2]
  local axis = "flat"
  if not c:one "nuslerp_flatten" and c.rank > 1 then
    axis = c:one "nuslerp_row_wise" and "first" or "last"
  end
  return c:steps("merge_nuslerp", {
    base = c.base, t = math.abs(sum) < 1e-6 and 0.5 or w[2] / sum, axis = axis,
  })
end

local function multislerp(c)
  if c.others == 1 then return c.nodes[#c.nodes] end
  local w, sum = weights(c), 0
  for _, one in ipairs(w) do sum = sum + one end
  local normalize = c:one "normalize_weights"
  if normalize and math.abs(sum) < 1e-12 then
    c:fail("the weights sum to %s: give other weights or normalize_weights = false", sum)
  end
  return c:steps("merge_multislerp", {
    base = c.base, weights = w, normalize = normalize, eps = c:one "eps",
  })
end

local function karcher(c)
  if #c.nodes == 1 then return c.nodes[1] end
  return c:steps("merge_karcher", { max_iter = c:one "max_iter", tol = c:one "tol" })
end

-- ---- the rest ---------------------------------------------------------------------------------

local function linear(c)
  local normalize = c:one "normalize"
  local w = weights(c)
  return c:op("merge_linear", { weights = w, normalize = normalize })
end

local function passthrough(c)
  local gain = c:list("scale")[1]
  if not gain or gain == 1 then return c.nodes[1] end
  return c:op("scale", { gain = gain })
end

local function sce(c)
  if c.others == 0 then return c.nodes[1] end
  local share = math.max(0.0, math.min(1.0, c:one "select_topk"))
  return c:steps("merge_sce", { select_topk = share })
end

local function ram(op, ...)
  local keys = { ... }
  return function(c)
    if c.others == 0 then return c.nodes[1] end
    local params = {}
    for _, key in ipairs(keys) do params[key] = c:one(key) end
    return c:steps(op, params)
  end
end

local function one(least, most) return { least, most or math.huge } end

--- The methods, in the order of specs/merge.md section 2.
m.list = {
  { name = "linear", base = "none", inputs = one(1), elementwise = true, node = linear,
    params = {
      required("weight", "I", number, "how much of it"),
      switch("normalize", true, "divide by the sum of the weights"),
    },
    doc = "The weighted mean of models, as mergekit's linear.",
    form = "merge.linear { { model, weight = 0.7 }, { model, weight = 0.3 } }",
    example = "merge.linear { { base, weight = 0.6 }, { code, weight = 0.4 } }" },
  { name = "slerp", base = "required", first = true, inputs = one(2, 2), missing = "single",
    node = function(c) return c:op("merge_slerp", { t = c:one "t" }) end,
    params = { required("t", "S", number, "how far: any parameter value") },
    doc = "Spherical interpolation from the base (t = 0) to the other model (t = 1). The base is "
      .. "the first model, or base =.",
    form = "merge.slerp { base, model, t = 0.5 }",
    example = 'merge.slerp { base, code, t = by { { "self_attn", ramp { 0, 1 } }, 0.5 } }' },
  { name = "nuslerp", base = "optional", inputs = { 2, 2, of = "others" }, missing = "single",
    node = nuslerp,
    params = {
      weight, switch("nuslerp_flatten", true, "a tensor is one vector"),
      switch("nuslerp_row_wise", false, "else: vectors go down the columns, not along the rows"),
    },
    doc = "Spherical interpolation by weights, of two models or of their changes from a base.",
    form = "merge.nuslerp { { model, weight = 0.6 }, { model, weight = 0.4 } }",
    example = "merge.nuslerp { { prose, weight = 0.6 }, { code, weight = 0.4 }, base = base }" },
  { name = "multislerp", base = "optional", inputs = { 1, math.huge, of = "others" },
    node = multislerp,
    params = {
      weight, switch("normalize_weights", true, "weights are divided by their sum"),
      param("eps", "S", number, 1e-8, "lengths below it count as none"),
    },
    doc = "The weighted mean on the sphere, of models or of their changes from a base.",
    form = "merge.multislerp { { model, weight = 0.5 }, { model, weight = 0.5 }, ... }",
    example = "merge.multislerp { { prose, weight = 0.5 }, { code, weight = 0.5 }, base = base }" },
  { name = "karcher", base = "none", inputs = one(1), node = karcher,
    params = {
      param("max_iter", "S", integer, 10, "steps at most"),
      param("tol", "S", number, 1e-5, "a step shorter than this is the last"),
    },
    doc = "The Karcher mean: the point on the sphere from which all models are nearest.",
    form = "merge.karcher { model, model, ... }",
    example = "merge.karcher { base, prose, code, max_iter = 5 }" },
  { name = "task_arithmetic", base = "required", inputs = one(1), elementwise = true,
    node = onto_base "merge_task_arithmetic", params = family(false, false),
    doc = "The base and the weighted changes of the models; density and rescale change nothing.",
    form = "merge.task_arithmetic { { model, weight = 0.5 }, ..., base = model }",
    example = "merge.task_arithmetic { { code, weight = 0.7 }, base = base, lambda = 0.9 }" },
  { name = "ties", base = "required", inputs = one(1), node = onto_base("merge_ties", plain),
    params = family(true, false),
    doc = "Of each change its largest elements, then those that have the sign of most.",
    form = "merge.ties { { model, weight = 0.5, density = 0.5 }, ..., base = model }",
    example = "merge.ties { { prose, weight = 0.5, density = 0.5 }, "
      .. "{ code, weight = 0.5, density = ramp { 1, 0.3 } }, base = base }" },
  { name = "dare_linear", base = "required", inputs = one(1),
    node = onto_base("merge_dare_linear", random), params = family(false, true), random = true,
    doc = "Changes with elements dropped by chance, added.",
    form = "merge.dare_linear { { model, weight = 0.5, density = 0.5 }, ..., base = model }",
    example = "merge.dare_linear { { code, weight = 1, density = 0.3 }, base = base, seed = 7 }" },
  { name = "dare_ties", base = "required", inputs = one(1),
    node = onto_base("merge_dare_ties", random), params = family(false, true), random = true,
    doc = "Changes with elements dropped by chance, then those that have the sign of most.",
    form = "merge.dare_ties { { model, weight = 0.5, density = 0.5 }, ..., base = model }",
    example = "merge.dare_ties { { prose, weight = 0.5, density = 0.5 }, "
      .. "{ code, weight = 0.5, density = 0.5 }, base = base }" },
  { name = "breadcrumbs", base = "required", inputs = one(1),
    node = onto_base("merge_breadcrumbs", outliers), params = family(false, false, gamma),
    doc = "Of each change neither the largest elements nor the smallest, added.",
    form = "merge.breadcrumbs { { model, weight = 0.5, density = 0.9, gamma = 0.01 }, ..., "
      .. "base = model }",
    example = "merge.breadcrumbs { { code, weight = 0.7, density = 0.9 }, base = base }" },
  { name = "breadcrumbs_ties", base = "required", inputs = one(1),
    node = onto_base("merge_breadcrumbs_ties", outliers), params = family(false, false, gamma),
    doc = "Of each change neither the largest elements nor the smallest; then those that have "
      .. "the sign of most.",
    form = "merge.breadcrumbs_ties { { model, weight = 0.5, density = 0.9 }, ..., base = model }",
    example = "merge.breadcrumbs_ties { { prose, weight = 0.5, density = 0.9 }, "
      .. "{ code, weight = 0.5, density = 0.9, gamma = 0.05 }, base = base }" },
  { name = "della", base = "required", inputs = one(1),
    node = onto_base("merge_della", ranked), params = family(true, true, epsilon), random = true,
    doc = "Changes with elements dropped by chances that rise as they get smaller in their row; "
      .. "then those that have the sign of most.",
    form = "merge.della { { model, weight = 0.5, density = 0.5, epsilon = 0.1 }, ..., "
      .. "base = model }",
    example = "merge.della { { prose, weight = 0.5, density = 0.5 }, "
      .. "{ code, weight = 0.5, density = 0.6, epsilon = 0.1 }, base = base }" },
  { name = "della_linear", base = "required", inputs = one(1),
    node = onto_base("merge_della_linear", ranked), params = family(false, true, epsilon),
    random = true,
    doc = "Changes with elements dropped by chances that rise as they get smaller, added.",
    form = "merge.della_linear { { model, weight = 0.5, density = 0.5 }, ..., base = model }",
    example = "merge.della_linear { { code, weight = 0.8, density = 0.5 }, base = base }" },
  { name = "model_stock", base = "required", inputs = one(3), missing = "skip",
    node = function(c)
      return c:steps("merge_model_stock", { filter_wise = c.rank > 1 and c:one "filter_wise" })
    end,
    params = { switch("filter_wise", false, "each row by itself") },
    doc = "The mean of the models, drawn to the base by the angle between their changes.",
    form = "merge.model_stock { model, model, ..., base = model }",
    example = "merge.model_stock { prose, code, base = base }" },
  { name = "sce", base = "required", inputs = one(1), node = sce,
    params = {
      param("select_topk", "S", number, 1.0, "the share of elements that differ most"), int8_mask,
    },
    doc = "The changes where the models differ most, weighted by their size.",
    form = "merge.sce { model, model, ..., base = model, select_topk = 0.5 }",
    example = "merge.sce { prose, code, base = base, select_topk = 0.3 }" },
  { name = "arcee_fusion", base = "required", inputs = one(2, 2), missing = "single",
    node = function(c) return c:steps("merge_arcee_fusion", {}) end, params = {},
    doc = "The elements of the other model that matter, in the base.",
    form = "merge.arcee_fusion { model, base = model }",
    example = "merge.arcee_fusion { code, base = base }" },
  { name = "nearswap", base = "required", inputs = one(2, 2), missing = "base", elementwise = true,
    node = function(c) return c:steps("merge_nearswap", { t = c:one "t" }) end,
    params = { required("t", "S", number, "differences up to it are taken whole") },
    doc = "The base drawn to the other model where the two are near.",
    form = "merge.nearswap { model, base = model, t = 0.001 }",
    example = "merge.nearswap { code, base = base, t = 0.002 }" },
  { name = "passthrough", base = "none", inputs = one(1, 1), elementwise = true, node = passthrough,
    params = { param("scale", "I", number, nil, "a factor: any parameter value") },
    doc = "One model as it is, but for tensors that scale names.",
    form = "merge.passthrough { model, scale = ... }",
    example = 'merge.passthrough { base, scale = by { { "o_proj", 1.5 } } }' },
  { name = "ram", base = "required", inputs = one(1), elementwise = true,
    node = ram("merge_ram", "epsilon"),
    params = { param("epsilon", "S", number, 1e-5, "changes up to it count as none") },
    doc = "Changes of one model alone whole, those of several as their mean.",
    form = "merge.ram { model, model, ..., base = model }",
    example = "merge.ram { prose, code, base = base }" },
  { name = "ramplus_tl", base = "required", inputs = one(1), elementwise = true,
    node = ram("merge_ramplus_tl", "r", "alpha", "epsilon"),
    params = {
      param("r", "S", number, 0.1, "how much a model's own changes grow with what it shares"),
      param("alpha", "S", number, 0.2, "the most that counts as shared"),
      param("epsilon", "S", number, 1e-5, "changes up to it count as none"),
    },
    doc = "As ram, with the changes of one model alone made larger.",
    form = "merge.ramplus_tl { model, model, ..., base = model }",
    example = "merge.ramplus_tl { prose, code, base = base, r = 0.2 }" },
}

return m
