--- cast and scale: tensors one by one, in the same places.

local check = require "check"
local model = require "model"
local value = require "value"

local m = {}

local facts = {}

--- What a type is, by its canonical name: "float", "block" or "plain"; elements of a block.
function m.kind(name)
  local known = facts[name]
  if not known then
    local _, kind, elements = engine.dtype(name)
    known = { kind = kind, elements = elements }
    facts[name] = known
  end
  return known.kind, known.elements
end

--- A type name as the tables have it, and its kind; WHAT names it in messages.
function m.type(word, what, name)
  if type(name) ~= "string" then
    check.fail("%s: %s is %s, expected a type name", word, what, check.kind(name))
  end
  local found, kind, elements = engine.dtype(name)
  if found then return found, kind, elements end
  local near = kind and (" (did you mean '%s'?)"):format(kind) or ""
  check.fail("%s: %s: unknown type '%s'%s", word, what, name, near)
end

--- Whether a type is one of blocks that nobody here codes, where only sizes are asked for: what
-- such tensors would hold is told, and nothing is built.
function m.is_told(name)
  local kind, elements = m.kind(name)
  return kind == "plain" and elements > 1 and engine.sizes_only()
end

--- Tensor T as type TO, through cast or quantize; T itself when it has that type.
function m.to_type(t, to, kind)
  if engine.type(t.node) == to then return t end
  local node
  if kind == "block" or m.is_told(to) then
    node = engine.op("quantize", t.node, to, t.gguf)
  else
    node = engine.op("cast", t.node, to, t.name)
  end
  return node == t.node and t or model.put(t, node, t.map)
end

--- Blocks that are listed and copied but that nobody here can decode end the recipe.
function m.must_decode(word, t)
  local type_ = engine.type(t.node)
  local kind, elements = m.kind(type_)
  if kind == "plain" and elements > 1 then
    check.fail("%s: %s holds %s, which is copied as it is but cannot be converted; start from the "
      .. "model it was made of", word, t.name, type_)
  end
end

--- cast { m, to = "bf16" }
function m.cast(word, args)
  local items, options = check.args(word, args)
  local data = model.only("cast", items)
  local to, kind = m.type("cast", "'to'", options.to)
  if kind ~= "float" then
    check.fail("cast makes float types, not '%s'%s", to, kind == "block" and "; use quantize" or "")
  end
  local tensors, changed, dequantized, from = {}, 0, 0, nil
  for i, t in ipairs(data.tensors) do
    local type_ = engine.type(t.node)
    local new = t
    if type_ ~= to then
      local type_kind = m.kind(type_)
      m.must_decode("cast", t)
      if type_kind == "block" then dequantized = dequantized + 1 end
      if type_kind ~= "plain" then
        new = m.to_type(t, to, kind)
        if engine.is_source(t.node) then changed, from = changed + 1, type_ end
      end
    end
    tensors[i] = new
  end
  if dequantized > 0 then
    engine.note(("%s: %d quantized tensors are dequantized to %s: what quantizing lost stays lost")
      :format(data.name, dequantized, to))
  elseif changed > 0 then
    engine.note(("%s: %d of %d tensors are cast from %s to %s, none of them is copied"):format(
      data.name, changed, #tensors, from, to))
  end
  return model.derive(data, tensors, { quantized = false })
end

--- scale { m, ROLE = gain }
function m.scale(word, args)
  local items, _, by_role = check.args(word, args)
  local data = model.only("scale", items)
  if next(by_role) == nil then
    check.fail("scale needs a gain by role or group: scale { m, attn_output = 1.5 }")
  end
  value.present("scale", by_role, model.roles(data), data.name)
  local gain = value.compile("scale", "gain", by_role, value.number)
  local tensors = {}
  for i, t in ipairs(data.tensors) do
    local g = value.at(gain, t, data.layers, t.from.name)
    if g and g ~= 1 then
      local node = engine.op("scale", t.node, g, t.name)
      t = model.put(t, node, t.map)
    end
    tensors[i] = t
  end
  value.dead(gain, data.tensors)
  return model.derive(data, tensors)
end

return m
