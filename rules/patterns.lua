--- patterns = of quantize: the type of a tensor by regular expressions on its GGUF name, as
-- llama-quantize's --tensor-type: the first that is found in the name decides.
-- Source: specs/gguf-quant.md 4.1 and 4.3; rulings qm 7 and 39.

local check = require "check"
local lists = require "lists"
local types = require "types"

local m = {}

local FORM = 'pairs of a regular expression and a type: { { "attn_v", "q8_0" } }'
local COUNT_MAX = 4096 -- different ones in a recipe

local compiled, count = {}, 0

local function matcher(text)
  if compiled[text] then return compiled[text] end
  if count == COUNT_MAX then
    check.fail("quantize: 'patterns': more than %d different patterns in a recipe", COUNT_MAX)
  end
  local match, why = engine.regex(text)
  if not match then check.fail("quantize: the pattern '%s': %s", text, why) end
  compiled[text], count = match, count + 1
  return match
end

--- What `patterns =` holds, compiled: a list of { text, to, match, found, decides }. LAX: as
-- llama-quantize has it, which compiles the text in lower case.
function m.read(list, lax)
  local out = {}
  for at, pair in ipairs(list and lists.pairs("quantize", "patterns", list, FORM) or {}) do
    local text = lax and pair[1]:lower() or pair[1]
    out[at] = {
      text = text, to = types.target("quantize", ("the pattern '%s'"):format(text), pair[2]),
      match = matcher(text), found = false, decides = false,
    }
  end
  return out
end

local function is_in(pattern, name)
  local found, why = pattern.match(name)
  if found == nil then check.fail("quantize: the pattern '%s': %s", pattern.text, why) end
  pattern.found = pattern.found or found
  return found
end

--- The type that PATTERNS give the tensor NAME, and the text of the one that does; or nil.
-- DECIDED: something else gives it.
function m.pick(patterns, name, decided)
  local first
  for _, pattern in ipairs(patterns) do -- all are asked, so that dead ones are known
    if (not first or not pattern.found) and is_in(pattern, name) then first = first or pattern end
  end
  if not first then return nil end
  first.decides = first.decides or not decided
  return first.to, first.text
end

--- After the last m.pick: patterns found in no name are errors, those that never decide are
-- noted.
function m.dead(patterns)
  for at, pattern in ipairs(patterns) do
    if not pattern.found then
      check.fail("quantize: the pattern '%s' is found in the name of no matrix that is quantized",
        pattern.text)
    elseif not pattern.decides then
      engine.note(("quantize: pattern %d ('%s') decides nothing: what it finds, earlier ones "
        .. "decide"):format(at, pattern.text))
    end
  end
end

return m
