-- Tests of rules/presets.lua and rules/hparams.lua, run by test_presets.c, which gives `engine`.
package.path = "rules/?.lua;" .. package.path

local convert = require "convert"
local hparams = require "hparams"
local presets = require "presets"

local GOLDEN = "tests/golden/quant/"
local tests = {}

local function read(path) return engine.read(path, 64 << 20) or error("no file " .. path) end

-- "k" for "q6_k" and so on, as a golden's table of letters says.
local function letters(types)
  local out = {}
  for letter, name in pairs(types) do out[name:lower()] = letter end
  return out
end

local function spelled(chosen, letter)
  local out = {}
  for i, type_ in ipairs(chosen) do out[i] = letter[type_] or "?" end
  return table.concat(out)
end

local function same(what, got, want, tensors)
  if got == want then return end
  for i = 1, #want do
    if got:sub(i, i) ~= want:sub(i, i) then
      error(("%s: %s is '%s', expected '%s'"):format(what, tensors[i].name, got:sub(i, i),
        want:sub(i, i)))
    end
  end
  error(what .. ": the number of tensors differs")
end

function tests.every_preset_chooses_as_llama_quantize()
  local golden = engine.json(read(GOLDEN .. "model/typechoice.json"))
  local letter, count, refused = letters(golden.types), 0, 0
  for name, case in pairs(golden.configs) do
    local h, tensors = case.hparams, {}
    local hp = presets.hparams {
      arch = h.arch, block_count = h.n_layer, heads = h.n_head, kv_heads = h.n_head_kv,
      experts = h.n_expert,
    }
    for i, t in ipairs(case.tensors) do tensors[i] = { name = t[1], ne = t[2], type = "f32" } end
    for _, preset in ipairs(presets.list) do
      for _, im in ipairs(preset.type and { "", "+imatrix" } or {}) do
        local want = case.choice[preset.name .. im]
        local got, why = presets.choose(tensors, hp, preset, { has_im = im ~= "" })
        local what = name .. " " .. preset.name .. im
        if type(want) == "string" then
          same(what, spelled(assert(got, why), letter), want, tensors)
          count = count + 1
        else
          assert(not got, what .. " is not refused")
          assert(why:find("no tensor type fallback is defined", 1, true), why)
          refused = refused + 1
        end
      end
    end
  end
  assert(count == 766 and refused == 4, count .. " " .. refused)
end

-- ---- every architecture -----------------------------------------------------------------------

local function hparams_of(entry)
  local kv = {}
  for _, item in ipairs(entry.kv) do
    kv[item[1]] = type(item[3]) == "table" and item[3][1] or item[3]
  end
  local function get(key) return kv[kv["general.architecture"] .. "." .. key] end
  return presets.hparams {
    arch = kv["general.architecture"], block_count = get "block_count" or 0,
    heads = get "attention.head_count", kv_heads = get "attention.head_count_kv",
    experts = get "expert_count", nextn = get "nextn_predict_layers", loops = get "num_loops",
  }
end

local function tensors_of(entry, prune)
  local list = {}
  for at, t in ipairs(entry.tensors) do
    local name, dropped = t[1], false
    if prune then
      local layer = tonumber(name:match "^blk%.(%d+)%.")
      dropped = layer == prune
      if layer and layer > prune then name = name:gsub("^blk%.%d+", "blk." .. layer - 1) end
    end
    if not dropped then
      list[#list + 1] = { gguf = name, name = name, type = t[2], ne = t[3], at = at - 1 }
    end
  end
  return convert.order({ tensors = list, card = { kind = "gguf" } }, "quantize")
end

-- The two --tensor-type patterns that the goldens have.
local patterns = {
  ["attn_(k|v|qkv)=q8_0"] = function(name)
    return (name:find "attn_k" or name:find "attn_v" or name:find "attn_qkv") and "q8_0"
  end,
  ["blk\\.1\\.ffn=q5_k"] = function(name) return name:find("blk.1.ffn", 1, true) and "q5_k" end,
}

local function options_of(args, tensors)
  local options, i, prune = { named = {} }, 1, nil
  while args[i] do
    if args[i] == "--pure" then
      options.pure, i = true, i + 1
    elseif args[i] == "--imatrix" then
      options.has_im, i = true, i + 2
    elseif args[i] == "--prune-layers" then
      prune, i = tonumber(args[i + 1]), i + 2
    elseif args[i] == "--tensor-type" then
      local pattern = assert(patterns[args[i + 1]], args[i + 1])
      for k, t in ipairs(tensors or {}) do
        options.named[k] = options.named[k] or pattern(t.name) or nil
      end
      i = i + 2
    else
      error("unknown option " .. args[i])
    end
  end
  return options, prune
end

function tests.every_architecture_gets_its_choices()
  local golden = engine.json(read(GOLDEN .. "allarch/index.json"))
  local letter, count, refused = letters(golden.types), 0, 0
  for _, entry in ipairs(golden.entries) do
    local hp = hparams_of(entry)
    for _, run in ipairs(entry.runs) do
      local _, prune = options_of(run.args)
      local tensors = tensors_of(entry, prune)
      local options = options_of(run.args, tensors)
      local what = entry.arch .. " " .. run.ftype .. " " .. table.concat(run.args, " ")
      local got, why = presets.choose(tensors, hp, presets.find(run.ftype), options)
      if run.rc == 0 then
        same(what, spelled(assert(got, what .. ": " .. tostring(why)), letter), run.types, tensors)
        count = count + 1
      elseif run.rc == 1 then
        assert(not got, what .. " is not refused")
        refused = refused + 1
      else
        assert(got, what .. ": what crashes upstream has an answer here")
      end
      if not prune then
        for i, t in ipairs(tensors) do assert(t.at == entry.order[i], what .. ": " .. t.name) end
      end
    end
  end
  assert(count == 2496 and refused == 7, count .. " " .. refused)
end

-- ---- what the goldens do not hold --------------------------------------------------------------

function tests.names_say_what_may_be_quantized()
  for _, name in ipairs { "output.weight", "blk.0.attn_q.weight", "abcde", "weight",
    "x.output.weight", "blk.3.ffn_gate_inp_shexp.weight", "blk.0.bar.weight",
    "posnet.0.norm1.weight", "v.blk.0.attn_q.weight" } do
    assert(presets.may(name, "llama"), name)
  end
  for _, name in ipairs { "blk.0.attn_norm.weight", "blk.0.attn_q.bias", "token_embd.weight.x",
    "blk.0.bar", "abcd", "abcdef", "position_embd.weight", "token_types.weight",
    "blk.7.ssm_conv1d.weight", "v.position_embd.weight", "blk.1.time_mix_w0.weight" } do
    assert(not presets.may(name, "llama"), name)
  end
  assert(presets.may("blk.0.attn_k_b.weight", "llama"))
  assert(not presets.may("blk.0.attn_k_b.weight", "glm5-next"))
  assert(presets.may("blk.1.attn_k_b.weight", "deepseek2"), "remembered for another architecture")
end

local function tensor(name, ...) return { name = name, ne = { ... }, type = "bf16" } end

local function choose(preset, tensors, options, hp)
  local got, why = presets.choose(tensors, hp or presets.hparams {
    arch = "llama", block_count = 4, heads = 4, kv_heads = 4 }, presets.find(preset), options)
  return got and table.concat(got, " "), why
end

local function is(preset, tensors, want, options, hp)
  local got, why = choose(preset, tensors, options, hp)
  assert(got == want, ("%s: got %s, expected %s"):format(preset, got or why, want))
end

function tests.widths_fall_back()
  local name = "blk.0.x.weight"
  for _, row in ipairs { { "IQ4_XS", 96, "iq4_nl" }, { "Q2_K", 96, "q4_0" },
    { "Q3_K_S", 96, "q4_0" }, { "Q4_K_S", 96, "q5_0" }, { "Q5_K_S", 96, "q5_1" },
    { "Q6_K", 96, "q8_0" }, { "TQ1_0", 96, "q4_0" }, { "TQ2_0", 96, "q4_0" },
    { "Q2_0", 96, "q4_0" }, { "Q2_0", 64, "q2_0" }, { "Q8_0", 48, "f16" },
    { "Q6_K", 48, "f16" }, { "Q4_0", 1, "f16" }, { "BF16", 7, "bf16" },
    { "IQ1_S", 32, "iq4_nl" }, { "Q1_0", 128, "q1_0" } } do
    is(row[1], { tensor(name, row[2], 4) }, row[3])
  end
  local got, why = choose("Q1_0", { tensor(name, 96, 4) })
  assert(not got and why:find "blk.0.x.weight" and why:find "multiples of 128", why)
  is("Q4_K_M", { tensor(name, 256) }, "bf16") -- vectors stay, whatever their rank says
  is("Q4_K_M", { tensor(name, 256, 1, 1) }, "bf16")
  is("Q4_K_S", { tensor(name, 256, 1, 2) }, "q4_k")
  is("COPY", { tensor(name, 256, 2) }, "bf16")
end

function tests.header_numbers_are_read_as_the_loader_reads_them()
  local function hp(arch, blocks, heads, kv, more)
    local h = { arch = arch, block_count = blocks, heads = heads, kv_heads = kv }
    for key, item in pairs(more or {}) do h[key] = item end
    return presets.hparams(h)
  end
  assert(hp("llama", 80, 64, 8).is_70b and not hp("llama", 80, 64, 64).is_70b)
  assert(hp("llama", 81, 64, 8, { nextn = 1 }).is_70b and not hp("llama", 81, 64, 8).is_70b)
  assert(hp("llama-embed", 80, 64, 8).is_70b and hp("qwen2", 80, 8, 8).is_70b)
  assert(hp("jais2", 68, 8, 8).is_70b and not hp("jais2", 80, 8, 8).is_70b)
  assert(not hp("qwen3", 80, 64, 8).is_70b)
  assert(hp("llama", 8, 32, 8).gqa == 4 and hp("llama", 8, 32, 0).gqa == 0)
  assert(hp("llama", 8, 32, nil).gqa == 1 and hp("mamba", 8).gqa == 0)
  assert(hp("clip", 8, 32, 8).gqa == 0 and hp("clip", 8).layers == 0)
  assert(hp("graniteswitch", 8).layers == 9 and hp("granite", 8).layers == 8)
  assert(hp("nanbeige", 9, 1, 1, { loops = 2 }).layers == 18 and hp("nanbeige", 9).layers == 9)
end

local function kv(key, kind, pack, value)
  return { key = key, type = kind, raw = string.pack(pack, value), value = value }
end

function tests.a_file_gives_its_numbers()
  local per_layer = "<I4I8" .. ("I4"):rep(3)
  local data = { layers = 3, arch_name = "qwen2", card = { kind = "gguf", layers = 3, kv = {
    kv("qwen2.block_count", "u32", "<I4", 7),
    kv("qwen2.attention.head_count", "u32", "<I4", 8),
    { key = "qwen2.attention.head_count_kv", type = "arr",
      raw = string.pack(per_layer, 4, 3, 1, 8, 8) },
    kv("qwen2.expert_count", "u32", "<I4", 8),
  } } }
  local hp = hparams.of(data)
  assert(hp.arch == "qwen2" and hp.layers == 7 and hp.gqa == 8 and hp.experts == 8)
  data.arch, data.layers = { name = "qwen2" }, 2 -- two layers of it, as slice makes
  assert(hparams.of(data).layers == 2)
  data.card.kv[3].raw = string.pack("<I4I8", 8, 0) -- texts, none
  assert(hparams.of(data).gqa == 1)
  data.card.kv = {}
  assert(hparams.of(data).gqa == 0 and hparams.of(data).experts == 0)
end

function tests.overrides_are_numbers_of_the_file()
  local data = { layers = 3, arch_name = "qwen2", card = { kind = "gguf", layers = 3, kv = {
    kv("qwen2.block_count", "u32", "<I4", 7), kv("qwen2.attention.head_count", "u32", "<I4", 8),
    { key = "qwen2.attention.head_count_kv", type = "arr",
      raw = string.pack("<I4I8I4I4", 4, 2, 2, 8) },
  } } }
  local function hp(...) return hparams.of(data, { ... }) end
  assert(hp({ "qwen2.block_count", "u32", 9 }).layers == 9)
  assert(hp({ "qwen2.block_count", "f32", 9.0 }).layers == 7, "of another type")
  assert(hp({ "qwen2.expert_count", "u32", 8 }).experts == 8, "one that the file lacks")
  assert(hp({ "qwen2.attention.head_count", "u32", 32 }).gqa == 16)
  assert(hp({ "qwen2.attention.head_count_kv", "u32", 8 }).gqa == 4, "an array is not overridden")
  assert(hp({ "llama.expert_count", "u32", 8 }).experts == 0, "of another architecture")
  assert(hp({ "qwen2.block_count", "u32", 9 }, { "qwen2.block_count", "u32", 5 }).layers == 9,
    "the loader takes the first of two")
  table.remove(data.card.kv)
  assert(hp({ "qwen2.attention.head_count_kv", "u32", 8 }).gqa == 1, "only what the file has")
  local other = hp({ "general.architecture", "str", "llama" }, { "llama.block_count", "u32", 80 })
  assert(other.arch == "llama" and other.layers == 80)
end

function tests.a_copy_guesses_the_type_of_most_tensors()
  for text, number in pairs {
    ["f32 f16 f16"] = 1, ["f32 f32 f16"] = 0, ["q4_k f32 f32 q4_k"] = 0, ["q4_k q4_k f32 f32"] = 15,
    ["q3_k"] = 12, ["q5_k"] = 17, ["mxfp4 mxfp4 q8_0"] = 0, ["i32"] = 0, ["nvfp4"] = 39,
  } do
    local list = {}
    for name in text:gmatch("%S+") do list[#list + 1] = name end
    assert(presets.guess(list) == 1024 + number, text)
  end
end

local function layers(count, ...)
  local list = {}
  for layer = 0, count - 1 do
    for _, name in ipairs { ... } do
      list[#list + 1] = tensor(("blk.%d.%s.weight"):format(layer, name), 256, 4)
    end
  end
  return list
end

function tests.named_tensors_do_not_count()
  local hp = presets.hparams { arch = "llama", block_count = 8, heads = 4, kv_heads = 4 }
  local v = layers(8, "attn_v")
  is("Q4_K_M", v, "q6_k q4_k q4_k q6_k q4_k q4_k q6_k q6_k", nil, hp)
  -- The first is named: the seven others count from 0, of 8 all the same.
  is("Q4_K_M", v, "q8_0 q6_k q4_k q4_k q6_k q4_k q4_k q6_k", { named = { "q8_0" } }, hp)
  is("Q4_K_M", v, "bf16 q6_k q4_k q4_k q6_k q4_k q4_k q6_k", { named = { "keep" } }, hp)
  is("Q4_K_M", v, "q8_0 q4_k q4_k q4_k q4_k q4_k q4_k q4_k",
    { named = { "q8_0" }, pure = true }, hp)
  is("Q4_K_M", { tensor("blk.0.ffn_down.weight", 96, 4) }, "q5_1", { named = { "q5_k" } }, hp)
  is("F16", v, ("f16 "):rep(7) .. "f16", { named = { "q8_0" } }, hp) -- as upstream: ignored
  is("F16", v, "bf16 " .. ("f16 "):rep(6) .. "f16", { named = { "keep" } }, hp)
  is("Q5_0", layers(8, "ffn_down"), ("q5_0 "):rep(7) .. "q5_0", nil, hp)
  is("Q5_0", layers(8, "ffn_down"), "q5_1 " .. ("q5_0 "):rep(6) .. "q5_0", { has_im = true }, hp)
end

function tests.output_and_embedding_are_options()
  local out, embd = tensor("output.weight", 256, 4), tensor("token_embd.weight", 256, 4)
  local layered = tensor("per_layer_token_embd.weight", 96, 4)
  local both = { output = "q5_0", token_embd = "q4_k" }
  is("Q4_K_M", { out, embd }, "q6_k q4_k")
  is("Q4_K_M", { embd }, "q6_k")
  is("Q4_K_M", { out, embd }, "q5_0 q4_k", both)
  is("Q4_K_M", { embd }, "q5_0", { output = "q5_0" })
  is("Q4_K_M", { embd }, "q4_k", both)
  is("F16", { out, embd }, "q5_0 f16", { output = "q5_0" })
  is("Q4_K_M", { out, embd }, "q5_0 q4_k", { output = "q5_0", pure = true })
  is("Q4_K_M", { out, layered }, "q6_k q8_0", { token_embd = "q8_0" })
  is("Q4_K_M", { out, layered }, "q6_k q5_0", { token_embd = "q8_0", named = { nil, "q4_k" } })
  is("Q4_K_M", { out, embd }, "bf16 q4_k", { named = { "keep" } })
end

function tests.expert_layers_come_from_the_name()
  local hp = presets.hparams { arch = "llama", block_count = 16, heads = 4, kv_heads = 4,
    experts = 4 }
  local function down(name) return { tensor(name, 256, 4, 4) } end
  is("Q4_K_S", down "blk.1.ffn_down_exps.weight", "q5_k", nil, hp)
  is("Q4_K_S", down "blk.2.ffn_down_exps.weight", "q4_k", nil, hp)
  is("Q4_K_S", down "blk.1x.ffn_down.weight", "q5_k", nil, hp)
  for name, reason in pairs {
    ["ffn_down.weight"] = "failed to determine",
    ["enc.blk.0.ffn_up.weight"] = "failed to determine",
    ["blk.16.ffn_gate.weight"] = "bad layer 16", ["blk.-1.ffn_up.weight"] = "bad layer -1",
  } do
    local got, why = choose("Q4_K_S", down(name), nil, hp)
    assert(not got and why:find(reason, 1, true) and why:find(name, 1, true), why)
    is("Q4_K_S", down(name), "q4_k", { pure = true }, hp)
    is("MXFP4_MOE", down(name), "mxfp4", nil, hp)
    is("IQ2_M", down(name), name:find "down" and "iq3_s" or "iq2_s", nil, hp)
    is("F16", down(name), "f16", nil, hp)
  end
  hp.experts = 1 -- one expert is a dense model: a running count, whatever the names say
  is("Q4_K_S", { tensor("ffn_down.weight", 256, 4), tensor("blk.99.ffn_down.weight", 256, 4),
    tensor("blk.0.ffn_down.weight", 256, 4) }, "q5_k q5_k q4_k", nil, hp)
end

function tests.presets_have_names_and_numbers()
  local seen, numbered = {}, 0
  for _, preset in ipairs(presets.list) do
    assert(presets.find(preset.name:lower()) == preset and not seen[preset.name])
    seen[preset.name] = true
    if preset.number then
      assert(not seen[preset.number])
      seen[preset.number], numbered = true, numbered + 1
    end
  end
  assert(numbered == 35 and #presets.list == 36)
  assert(presets.find "q4_k" == presets.find "Q4_K_M" and presets.find("q4_K").number == 15)
  assert(presets.find("Q3_K").number == 12 and presets.find("Q5_K").number == 17)
  for _, name in ipairs { "", "Q4", "NVFP4", "Q4_K_M ", "types", "15" } do
    assert(presets.find(name) == nil, name)
  end
end

function tests.an_imatrix_is_demanded_where_upstream_does()
  local function needs(preset, name, type_)
    return presets.needs_imatrix(presets.find(preset), name, type_)
  end
  assert(needs("Q2_K_S", "blk.0.attn_q.weight", "q2_k"))
  assert(not needs("Q2_K", "blk.0.attn_q.weight", "q2_k"))
  assert(not needs("Q2_K_S", "blk.0.attn_q.weight", "q4_k"))
  assert(not needs("Q2_K_S", "token_embd.weight", "q2_k"))
  assert(not needs("IQ2_XS", "output.weight", "iq2_xs"))
  assert(needs("IQ3_XXS", "blk.0.attn_q.weight", "iq3_xxs"))
  assert(not needs("IQ3_S", "blk.0.attn_q.weight", "iq3_s"))
end

return tests
