--- override = of quantize: key-values of the file that is written, as llama-quantize's
-- --override-kv. Source: specs/gguf-quant.md 4.1 and 4.5; ruling qm 40.

local check = require "check"
local lists = require "lists"

local m = {}

local FORM = 'pairs of a key and a value: { { "general.name", "x" }, { "llama.expert_count", 8 } }'
local KEY_BYTES, TEXT_BYTES = 127, 127
local U32_MAX, F32_MAX = 0xffffffff, 0x1.fffffefffffffp127 -- that does not round to infinity

-- Keys by which a file is found and read: a recipe has other words for them.
local guarded = { ["general.architecture"] = true, ["general.alignment"] = true }

local function check_key(key)
  if #key > KEY_BYTES or key:find("\0", 1, true) or not utf8.len(key) then
    check.fail("quantize: 'override': the key '%s' is no UTF-8 text of at most %d bytes", key,
      KEY_BYTES)
  end
end

local function fail(key, what) check.fail("quantize: 'override': %s: %s", key, what) end

-- The type and value as they are written. A whole number becomes its absolute value.
local function typed(key, value)
  if type(value) == "boolean" then return "bool", value end
  if type(value) == "string" then
    if #value > TEXT_BYTES or value:find("\0", 1, true) then
      fail(key, ("a text of %d bytes, the most is %d, without NUL"):format(#value, TEXT_BYTES))
    end
    return "str", value
  end
  if math.type(value) == "integer" then
    if value < -U32_MAX or value > U32_MAX then
      fail(key, ("%d does not fit u32 (write %.1f for a float)"):format(value, value))
    end
    return "u32", math.abs(value)
  end
  if type(value) ~= "number" then
    fail(key, check.kind(value) .. ", expected a number, a text, true or false")
  end
  if value ~= value or math.abs(value) > F32_MAX then
    fail(key, check.kind(value) .. " does not fit f32")
  end
  return "f32", value
end

--- What `override =` holds, in order: { { KEY, TYPE, VALUE }, ... }. LAX: as llama-quantize has
-- it, which obeys whatever it is told, and takes the last of two.
function m.read(list, lax)
  local out, seen = {}, {}
  for at, pair in ipairs(list and lists.pairs("quantize", "override", list, FORM) or {}) do
    local key = pair[1]
    check_key(key)
    if not lax and seen[key] then fail(key, "named twice") end
    if not lax and (guarded[key] or key:find("^split%.")) then
      fail(key, "not overridden in a recipe: the file would not be what its header says")
    end
    seen[key] = true
    out[at] = { key, typed(key, pair[2]) }
  end
  return out
end

--- The value that the loader reads for KEY: of the first override of it that has the type TYPE;
-- nil when there is none.
function m.value(overrides, key, type_)
  for _, item in ipairs(overrides or {}) do
    if item[1] == key then return item[2] == type_ and item[3] or nil end
  end
  return nil
end

return m
