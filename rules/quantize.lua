--- quantize: every tensor in the type that an allocation gives it.

local check = require "check"
local convert = require "convert"
local hparams = require "hparams"
local imatrix = require "imatrix"
local maps = require "maps"
local model = require "model"
local override = require "override"
local patterns = require "patterns"
local presets = require "presets"
local prune = require "prune"
local types = require "types"
local value = require "value"

local m = {}

local by_row = {}

--- Whether llama-quantize may quantize a tensor.
function m.quantizable(t, arch_name)
  local may
  if t.row and arch_name ~= "glm5-next" then -- which no row is of
    may = by_row[t.row]
    if may == nil then
      may = presets.may(t.gguf, arch_name)
      by_row[t.row] = may
    end
  else
    may = presets.may(t.gguf, arch_name)
  end
  return may and engine.is_matrix(t.node)
end

local plain = { f32 = true, f16 = true, bf16 = true, f64 = true }

-- The type that a word gives to a tensor which llama-quantize leaves alone: only its own role, or
-- `norm`, reaches it (ruling 3). nil: none does.
local function unquantized(data, t, layers)
  local function named(name) return name == t.role or name == "norm" end
  local got, by
  if not t.bias then got, by = types.pick(layers, t, data.layers, named) end
  if maps.kind(engine.type(t.node)) == "plain" then return "keep" end -- integers stay as they are
  if got and got ~= "keep" and not plain[got] then
    check.fail("quantize: '%s' = \"%s\": %s has no rows to quantize; use f32, f16, bf16 or keep",
      by, got, t.name)
  end
  return got
end

local function check_requantize(data, t, to)
  local from = engine.type(t.node)
  if maps.kind(from) == "float" or to == "keep" or to == from then return end
  maps.must_decode("quantize", t)
  check.fail("quantize: %s of '%s' is quantized already (%s); quantizing again loses more than "
    .. "%s alone would: use the unquantized model, or write allow_requantize = true", t.name,
    data.name, from, to)
end

local function check_width(t, to, elements, by)
  local cols = engine.cols(t.node)
  if cols % elements ~= 0 then
    check.fail("quantize: '%s' = \"%s\": the rows of %s have %d elements, %s takes multiples of %d",
      by, to, t.name, cols, to, elements)
  end
end

local function experts_note(t, by)
  if not t.row and t.role and by ~= t.role and by ~= "default" and t.role:find("exp") then
    engine.note(("'%s' also gives the type of the expert tensors (%s)"):format(by, t.role))
  end
end

-- T as type TO, with its VECTOR of an imatrix or nil. WHAT gave it: a word of the recipe, for
-- messages.
local function make(data, t, to, what, allow, vector)
  if to == "keep" or engine.type(t.node) == to then return t end
  local from, per_block = maps.kind(engine.type(t.node))
  if from == "plain" and per_block == 1 then
    check.fail("quantize: %s holds %s, which is not quantized; give its role \"keep\"", t.name,
      engine.type(t.node))
  end
  if not allow then check_requantize(data, t, to) end
  local kind, elements = maps.kind(to)
  if elements > 1 then check_width(t, to, elements, what) end
  maps.must_decode("quantize", t)
  if kind == "block" then return imatrix.quantize(t, to, vector) end
  return maps.to_type(t, to, kind)
end

-- ---- what is quantized ------------------------------------------------------------------------

local vias = { "f32", "f16", "bf16", "auto" }

local function check_via(via)
  if via == nil then return nil end
  local lower = via:lower()
  for _, name in ipairs(vias) do
    if name == lower then return lower end
  end
  check.fail("quantize: unknown via '%s'%s; one of %s", via, check.hint(lower, vias),
    table.concat(vias, ", "))
end

-- Whether the GGUF file of a model is made by a conversion, or lies there already.
local function is_converted(data)
  if data.card.kind ~= "gguf" then return true end
  if not data.arch then return false end
  local all = true
  for _, t in ipairs(data.tensors) do
    if maps.kind(engine.type(t.node)) == "block" then return false end
    all = all and engine.is_source(t.node)
  end
  return not all
end

-- The tensors as the conversion to GGUF hands them to llama-quantize (ruling 8). VIA: its outtype.
local function through(data, via)
  if not via and not is_converted(data) then return data.tensors end
  local into, number = convert.types(data, via or "auto")
  local list, cast, kind = {}, 0, nil
  for i, t in ipairs(data.tensors) do
    local from, to = engine.type(t.node), into[t.gguf]
    local reached = not (via and data.card.kind == "gguf") or m.quantizable(t, data.arch_name)
    if to and to ~= from and reached and maps.kind(from) == "float" then
      if from == "f32" then cast, kind = cast + 1, to end
      t = maps.to_type(t, to, "float")
    end
    list[i] = t
  end
  if cast > 0 and not via then
    engine.note(("%s: %d f32 tensors go through %s, as the field's conversion does; "
      .. "via = \"f32\" quantizes them as they are"):format(data.name, cast, kind))
  end
  return list, number
end

-- ---- presets ----------------------------------------------------------------------------------

local function preset_of(name)
  local found = presets.find(name)
  if found then return found end
  local near = check.hint(name:upper(), presets.names)
  if near == "" and engine.dtype(name) then near = (" (a type: default = \"%s\")"):format(name) end
  check.fail("quantize: unknown preset '%s'%s; llama-quantize's names are presets, and "
    .. "types { ... } is an allocation of your own", name, near)
end

-- What a tensor of the embedding or the head gets from the words: its option (output or
-- token_embd) and the type, which no pattern changes. nil: others, and what no word reaches.
local function option_of(run, t)
  local is_output = t.gguf == "output.weight"
  if not is_output and t.gguf ~= "token_embd.weight" then return nil end
  local got, word = types.pick(run.layers, t, run.data.layers)
  if word == "output" and not is_output then return nil end -- it speaks of no other head
  return got and (is_output and "output" or "token_embd"), got, word
end

-- The type that a pattern gives T, or else a word; and the pattern or word.
local function named_type(run, t)
  local to, text = patterns.pick(run.patterns, t.gguf)
  if to then return to, nil, text end
  local got, word = types.pick(run.layers, t, run.data.layers)
  if word == "output" or (t.gguf == "per_layer_token_embd.weight" and word ~= t.role) then
    return nil
  end
  return got, got and word
end

-- Patterns and the words of an allocation over a preset, as llama-quantize's options: a type for
-- `output` and `token_embd`, for other tensors by their place in LIST.
local function named_types(run, list)
  local named, words, texts, options, tied = {}, {}, {}, {}, true
  for i, t in ipairs(list) do
    tied = tied and t.gguf ~= "output.weight"
    if run.may(t) then
      local option, got, word = option_of(run, t)
      if option and got ~= "keep" then
        options[option], words[i] = got, word
        patterns.pick(run.patterns, t.gguf, true)
      elseif option then
        named[i], words[i] = got, word
        patterns.pick(run.patterns, t.gguf, true)
      else
        named[i], words[i], texts[i] = named_type(run, t)
      end
    end
  end
  if tied then
    local head = { role = "output", name = "lm_head.weight", from = { name = "lm_head.weight" } }
    local got = types.pick(run.layers, head, run.data.layers, function(w) return w == "output" end)
    options.output = got ~= "keep" and got or nil
  end
  options.named = named
  return options, words, texts, tied
end

-- Words and patterns that would do nothing over this preset are errors (llama-quantize ignores
-- them).
local function check_words(run, options, words, texts)
  local preset, layers = run.preset, run.layers
  if #layers > 0 and layers[1].by.default then
    check.fail("quantize: over the preset %s every tensor has a type: 'default' has nothing to do",
      preset.name)
  end
  if run.lax or #layers + #run.patterns == 0 then return end
  if not preset.type then
    check.fail("quantize: COPY copies every tensor: no word or pattern has anything to do beside "
      .. "it")
  end
  if maps.kind(preset.type) ~= "float" then return end
  for i, to in pairs(options.named) do
    if to ~= "keep" then
      local by = words[i] or texts[i]
      check.fail("quantize: '%s' = \"%s\": under %s llama-quantize gives every matrix but output "
        .. "and token_embd %s; write types { default = \"%s\", %s = \"%s\" }", by, to,
        preset.name, preset.type, preset.type, words[i] or "ROLE", to)
    end
  end
end

-- Types that this release cannot make, and those made only with an importance matrix.
local function check_targets(preset, list, chosen, im, vectors)
  for i, t in ipairs(list) do
    local to = chosen[i]
    if to ~= engine.type(t.node) then
      if maps.kind(to) == "plain" and not maps.is_told(to) then
        check.fail("quantize: %s gives %s the type %s, which is not made in this release",
          preset.name, t.gguf, to)
      end
      imatrix.demand(im, t, to, preset, preset.name, vectors[i])
    end
  end
end

local function described(list)
  local out = {}
  for i, t in ipairs(list) do
    local dims, ne = { engine.dims(t.node) }, {}
    for k = #dims, 1, -1 do ne[#ne + 1] = dims[k] end
    if #ne == 0 then ne[1] = 1 end
    out[i] = { name = t.gguf, ne = ne, type = engine.type(t.node) }
  end
  return out
end

-- general.file_type of a copy: the source's, else what the conversion says, else what
-- llama-quantize guesses.
local function copied_file_type(run)
  for _, entry in ipairs(run.source.card.kv or {}) do
    if entry.key == "general.file_type" then return math.tointeger(entry.value) end
  end
  if run.number then return run.number end
  local list = convert.order({ tensors = run.source.tensors, card = run.source.card }, "quantize")
  for i, t in ipairs(list) do list[i] = engine.type(t.node) end
  return presets.guess(list)
end

-- HOW: the order in which llama-quantize visits them (convert.order).
local function by_preset(run, how)
  local data, preset, im = run.data, run.preset, run.im
  local list = convert.order({ tensors = run.given, card = data.card }, how)
  local choice, words, texts, tied = named_types(run, list)
  check_words(run, choice, words, texts)
  if not run.optional then
    local have = { output = tied and choice.output and true or nil }
    for role in pairs(model.roles(data)) do have[role] = true end
    value.present("quantize", types.words(run.layers), have, data.name)
  end
  choice.pure, choice.has_im = run.pure, im ~= nil
  local hp = hparams.of(run.source, run.overrides)
  local chosen, refused = presets.choose(described(list), hp, preset, choice)
  if not chosen then check.fail("quantize: %s: %s", preset.name, refused) end
  local vectors = im and imatrix.vectors(im, list, chosen, run.may) or {}
  check_targets(preset, list, chosen, im, vectors)
  local made = {}
  for i, t in ipairs(list) do
    local to, what = chosen[i], texts[i] or words[i] or preset.name
    if run.may(t) then
      experts_note(t, words[i] or t.role)
    else
      to, what = unquantized(data, t, run.layers) or "keep", t.role
    end
    made[t] = make(data, t, to, what, run.allow_requantize, vectors[i])
  end
  local tensors = {}
  for i, t in ipairs(run.given) do tensors[i] = made[t] end
  return tensors
end

-- ---- types ------------------------------------------------------------------------------------

-- The type of a tensor that may be quantized, and what gives it: a pattern, or else the most
-- specific word.
local function own_type(run, t)
  local to, text = patterns.pick(run.patterns, t.gguf)
  if to then return to, text end
  local by
  to, by = types.pick(run.layers, t, run.data.layers)
  if not to then
    check.fail("quantize: nothing gives the type of %s (role '%s'); name it, its group or a "
      .. "default", t.name, t.role or "none")
  end
  experts_note(t, by)
  return to, by
end

local function by_types(run)
  local data, list, im = run.data, run.given, run.im
  if #run.layers + #run.patterns == 0 then
    check.fail("quantize needs an allocation: a preset (\"Q4_K_M\"), types { ... } or ROLE = TYPE")
  end
  if run.pure ~= nil then
    check.fail("quantize: 'pure' is about a preset's mixture; types { ... } has none")
  end
  if not run.optional then
    value.present("quantize", types.words(run.layers), model.roles(data), data.name)
  end
  local chosen, words, tensors = {}, {}, {}
  for i, t in ipairs(list) do
    if run.may(t) then
      chosen[i], words[i] = own_type(run, t)
    else -- its own type in a GGUF source, F32 in any other
      chosen[i] = unquantized(data, t, run.layers)
        or ((data.card.kind == "gguf" or t.gguf_only) and "keep" or "f32")
      words[i] = t.role or false
    end
  end
  local vectors = im and imatrix.vectors(im, list, chosen, run.may) or {}
  for i, t in ipairs(list) do
    local to, by = chosen[i], words[i] or nil
    if to ~= engine.type(t.node) then
      imatrix.demand(im, t, to, {}, by or "default", vectors[i])
    end
    tensors[i] = make(data, t, to, by, run.allow_requantize, vectors[i])
  end
  return tensors
end

-- ---- the word ---------------------------------------------------------------------------------

local lax_as = { "llama-quantize" }

-- The second item: a preset, or the layers of an allocation.
local function allocation(items)
  if #items > 2 then
    check.fail("quantize takes a model and an allocation, not %d items", #items)
  end
  if type(items[2]) == "string" then return preset_of(items[2]), {} end
  local layers = items[2] == nil and {} or types.peek(items[2])
  if not layers then
    check.fail("quantize: the second item is %s, expected a preset (\"Q4_K_M\") or types { ... }",
      check.kind(items[2]))
  end
  return nil, layers
end

-- What the word was called with, read and checked; the model as it is quantized: `given` are its
-- tensors, `source` is the model before layers were pruned.
local function prepare(word, args)
  local items, options, by_role = check.args(word, args)
  local source = model.data("quantize", items[1])
  local preset, layers = allocation(items)
  local as = options.as
  if as and as ~= lax_as[1] then
    check.fail("quantize: unknown as '%s'%s; \"llama-quantize\" is what it can be", as,
      check.hint(as, lax_as))
  end
  local run = {
    source = source, preset = preset, layers = types.before("quantize", by_role, layers),
    lax = as ~= nil, as = as, pure = options.pure, optional = options.optional or as ~= nil,
    allow_requantize = options.allow_requantize, im = imatrix.open(options.imatrix, as ~= nil),
    patterns = patterns.read(options.patterns, as ~= nil),
    overrides = override.read(options.override, as ~= nil), given = source.tensors,
  }
  if preset and source.card.kind ~= "gguf" then model.structured("quantize", source) end
  local via = check_via(options.via)
  if preset or via then run.given, run.number = through(source, via) end
  run.data, run.given, run.pruned = prune.apply(options.prune, source, run.given, run.lax)
  if run.im then run.im.was = run.pruned and run.pruned.was end
  local arch_name = hparams.arch_name(source, run.overrides)
  function run.may(t) return m.quantizable(t, arch_name) end
  return run
end

--- quantize { m, "Q4_K_M" or types { ... }, ROLE = TYPE, default = TYPE, imatrix = "FILE" }
function m.quantize(word, args)
  local run = prepare(word, args)
  local source, preset = run.source, run.preset
  local tensors = preset and by_preset(run, "quantize") or by_types(run)
  types.dead(run.layers, run.data.tensors)
  if not run.lax then patterns.dead(run.patterns) end
  return model.derive(run.data, tensors, {
    quantized = true, plain = source.plain or source, as = run.as,
    file_type = preset and (preset.number or copied_file_type(run)) or nil,
    header = {
      overrides = run.overrides, imatrix = run.im and imatrix.facts(run.im), pruned = run.pruned,
      arch_name = hparams.arch_name(source, run.overrides),
      before = source.plain and source.header, -- of a model that was quantized here before
    },
    split = preset and function() return by_preset(run, "split") end,
  })
end

return m
