--- graft: tensors of donors in the place of a host's, by role or group and layer range.

local check = require "check"
local layers = require "layers"
local model = require "model"
local value = require "value"

local m = {}

local function shape(node) return "[" .. table.concat({ engine.dims(node) }, ", ") .. "]" end

-- The donor's tensor for a place; a tied donor lends its embedding to the host's head.
local function donated(donor, t)
  local index = model.by_name(donor)
  local found = index[t.name]
  if not found and t.row.tied then
    for _, other in ipairs(donor.tensors) do
      if other.role == "token_embd" then
        found = model.put(t, other.node, other.map)
        found.from = other.from
        return found
      end
    end
  end
  return found
end

local function check_shape(t, new, donor)
  if not engine.same_shape(t.node, new.node) then
    check.fail("graft: %s is %s in the host and %s in '%s'", t.name, shape(t.node),
      shape(new.node), donor.name)
  end
end

-- Tensors that a donor has in a grafted role and the host lacks (an untied head, biases).
local function additional(host, donor, word, options, first, last, list)
  local index = model.by_name(host)
  for _, t in ipairs(donor.tensors) do
    local inside = t.layer and t.layer >= first and t.layer < last
    if not t.layer then inside = not options.layers end
    if inside and not index[t.name] and not t.gguf_only then
      if value.pick({ [word] = true }, t.role) then list[#list + 1] = t end
    end
  end
end

-- The host's order with more tensors put where the architecture has them.
local function in_order(host, tensors)
  local found, list = {}, {}
  for _, t in ipairs(tensors) do found[t.name] = t end
  local function take(row, layer)
    local t = found[model.names(row, layer)]
    if t then list[#list + 1] = t end
  end
  local rows = host.arch.tensors
  for _, t in ipairs(tensors) do
    if t.gguf_only then list[#list + 1] = t end
  end
  for _, row in ipairs(rows) do
    if row.where == "before" then take(row) end
  end
  for layer = 0, host.layers - 1 do
    for _, row in ipairs(rows) do
      if not row.where then take(row, layer) end
    end
  end
  for _, row in ipairs(rows) do
    if row.where == "after" then take(row) end
  end
  return list
end

local function check_donors(host, by_role, options, first, last)
  local ranged = options.layers ~= nil
  for name, item in pairs(by_role) do
    local donor = model.data("graft", item, "the donor of '" .. name .. "'")
    layers.same_arch("graft", host, donor)
    if ranged and donor.layers < last then
      check.fail("graft: layers %d..%d of donor '%s', which has %d", first, last - 1, donor.name,
        donor.layers)
    elseif not ranged and donor.layers ~= host.layers then
      check.fail("graft: '%s' has %d layers and donor '%s' has %d; give layers = span(a, b)",
        host.name, host.layers, donor.name, donor.layers)
    end
    if not options.optional then
      value.present("graft", { [name] = true }, model.roles(host), host.name)
    end
  end
end

--- graft { host, ROLE_OR_GROUP = donor, layers = span(a, b), optional = true }
function m.graft(word, args)
  local items, options, by_role = check.args(word, args)
  local host = model.structured("graft", model.only("graft", items))
  if next(by_role) == nil then
    check.fail("graft needs a donor by role or group: graft { host, organs = donor }")
  end
  local first, last = 0, host.layers
  if options.layers then first, last = layers.range("graft", options.layers, host) end
  check_donors(host, by_role, options, first, last)
  local donors, used = {}, {}
  for name, item in pairs(value.canonical("graft", by_role)) do
    donors[name] = model.peek(item)
    used[#used + 1] = name
  end

  local tensors, more = {}, {}
  for i, t in ipairs(host.tensors) do
    local donor, by = value.pick(donors, t.role)
    local inside = t.layer and t.layer >= first and t.layer < last
    if not t.layer then inside = not options.layers or by == t.role end
    tensors[i] = t
    if donor and inside and not t.gguf_only then
      local new = donated(donor, t)
      if new then
        check_shape(t, new, donor)
        tensors[i] = new
      elseif not options.optional then
        check.fail("graft: '%s' has no %s; write optional = true to keep the host's", donor.name,
          t.name)
      end
    end
  end
  for name, donor in pairs(donors) do additional(host, donor, name, options, first, last, more) end
  for _, t in ipairs(more) do tensors[#tensors + 1] = t end
  if #more > 0 then tensors = in_order(host, tensors) end
  layers.same_widths("graft", tensors)
  local parts = {}
  for _, name in ipairs(used) do parts[#parts + 1] = donors[name] end
  return model.derive(host, tensors, nil, parts)
end

return m
