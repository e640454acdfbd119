--- variants: one model in many quantizations, as a table of gguf artifacts (ruling 44).

local artifact = require "artifact"
local check = require "check"
local frozen = require "frozen"
local quantize = require "quantize"
local types = require "types"

local m = {}

-- Keys of gguf that mean the same for every file.
local of_file = { "keep_split", "title", "limit" }

-- The description that arguments are checked by: what quantize and gguf take, once for all.
local function described(word, of_quantize, of_gguf)
  local keys, gguf_keys = {}, {}
  for _, key in ipairs(word.keys) do keys[#keys + 1] = key end
  for _, key in ipairs(of_quantize.keys) do keys[#keys + 1] = key end
  for _, key in ipairs(of_gguf.keys) do gguf_keys[key[1]] = key end
  for _, name in ipairs(of_file) do keys[#keys + 1] = gguf_keys[name] end
  return {
    name = word.name, keys = keys, later = of_quantize.later, roles = true, default = true,
  }
end

local function add(list, seen, name, entry)
  local other = seen[name:upper()]
  if other then
    check.fail("variants: '%s' and '%s' are one name; write NAME = { ... } for the second", other,
      name)
  end
  seen[name:upper()] = name
  list[#list + 1] = { name = name, entry = entry }
end

-- The variants that 'types' names: { name, entry }, items first.
local function listed(given)
  if type(given) ~= "table" or engine.content(given) then
    check.fail("variants: 'types' is %s, expected a table: types = { \"Q4_K_M\", \"Q6_K\" }",
      check.kind(given))
  end
  local list, seen, items = {}, {}, #given
  for _, item in ipairs(given) do
    if type(item) ~= "string" then
      check.fail("variants: an item of 'types' is %s, which gives no name; write NAME = { ... }",
        check.kind(item))
    end
    add(list, seen, item, { item })
  end
  for key, entry in pairs(given) do
    local kind = type(frozen.open(entry))
    if type(key) ~= "string" and not (math.type(key) == "integer" and key >= 1 and key <= items)
    then
      check.fail("variants: a key of 'types' is %s, expected a name", check.kind(key))
    elseif type(key) == "string" and (kind == "string" or types.peek(entry)) then
      add(list, seen, key, { entry })
    elseif type(key) == "string" and (kind ~= "table" or engine.content(frozen.open(entry))) then
      check.fail("variants: '%s' in 'types' is %s, expected what quantize takes: { \"Q4_K_M\", "
        .. "ROLE = TYPE }", key, check.kind(entry))
    elseif type(key) == "string" then
      add(list, seen, key, frozen.open(entry))
    end
  end
  if #list == 0 then
    check.fail("variants: 'types' is empty; name presets: types = { \"Q4_K_M\", \"Q6_K\" }")
  end
  return list
end

-- What NAME = makes of a variant; nil: the key under which the recipe returns it.
local function file_name(pattern, variant, count)
  if not pattern then return nil end
  for field in pattern:gmatch("{([^{}]*)}") do
    if field ~= "variant" then
      check.fail("variants: 'name' has {%s}; only {variant} stands for something", field)
    end
  end
  if count > 1 and not pattern:find("{variant}", 1, true) then
    check.fail("variants: 'name' is '%s' for %d variants; write {variant} where they differ",
      pattern, count)
  end
  return (pattern:gsub("{variant}", (variant:gsub("%%", "%%%%"))))
end

-- The arguments of quantize for one variant: what stands in its entry goes before.
local function arguments(model, shared, variant)
  local args = {}
  for key, item in pairs(shared) do args[key] = item end
  args[1] = model
  for key, item in pairs(variant.entry) do
    args[math.type(key) == "integer" and key + 1 or key] = item
  end
  return args
end

--- variants { m, name = "X-{variant}", types = { "Q4_K_M", mine = { "Q4_K_M", ROLE = TYPE } } }.
-- OF_QUANTIZE, OF_GGUF: the descriptions of those words.
function m.variants(word, args, of_quantize, of_gguf)
  word.all = word.all or described(word, of_quantize, of_gguf)
  local items, options, shared = check.args(word.all, args)
  if #items ~= 1 then
    check.fail("variants takes one model, not %d items; presets stand in 'types'", #items)
  end
  local list, file = listed(frozen.open(options.types)), {}
  for _, key in ipairs(of_quantize.keys) do shared[key[1]] = options[key[1]] end
  for _, key in ipairs(of_file) do file[key] = options[key] end
  local out = {}
  for _, variant in ipairs(list) do
    local art = { quantize.quantize(of_quantize, arguments(items[1], shared, variant)) }
    for key, item in pairs(file) do art[key] = item end
    art.name = file_name(options.name, variant.name, #list)
    out[variant.name] = artifact.gguf(of_gguf, art)
  end
  return frozen.table(out, "the table of variants")
end

return m
