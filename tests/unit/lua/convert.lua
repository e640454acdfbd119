-- Tests of rules/convert.lua and its kin, run by test_convert.c, which gives `engine` (the
-- facts of engine/lua, and open, op, tensor, layout as small as a test needs them).
package.path = "rules/?.lua;" .. package.path

local arch = require "arch"
local config = require "config"
local convert = require "convert"
local metadata = require "metadata"
local roles = require "roles"

local GOLDEN = "tests/golden/convert/"
local tests = {}

local function read(path)
  local text = engine.read(path, 64 << 20)
  return text or error("no file " .. path)
end

local nodes = {}

function engine.tensor(id) return table.unpack(nodes[id], 1, 3) end

function engine.op(name, _, params)
  assert(name == "rope_freqs")
  nodes[#nodes + 1] = { "f32", { params.head_dim // 2 }, false, params = params }
  return #nodes
end

-- A source as rules/source.lua makes it, of what a conversion reads.
local function load(dir, changes)
  changes = changes or {}
  local text = changes.config or engine.read(dir .. "/config.json")
  if not text then error("config.json is missing") end
  local found = arch.of_gguf(config.effective(text).arch)
  local model = { arch = found, layers = 0, tensors = {}, unknown = {}, card_layers = {} }
  local label = dir:match("([^/]+)$")
  for at, t in ipairs(engine.open(dir)) do
    nodes[#nodes + 1] = { t.type, t.shape, true }
    local row, layer
    if found then row, layer = arch.find_hf(found, t.name) end
    if row then
      model.tensors[#model.tensors + 1] = {
        name = t.name, gguf = arch.gguf_name(row, layer), layer = layer, role = row.role, row = row,
        node = #nodes, shard = t.shard, at = at,
        from = { name = t.name, layer = layer, model = label },
      }
      if layer and layer >= model.layers then model.layers = layer + 1 end
    else
      model.unknown[#model.unknown + 1] = t.name
    end
  end
  for i = 1, model.layers do model.card_layers[i] = i - 1 end
  model.card = {
    kind = "hf", dir = dir, config = text, label = label, layers = model.layers,
    read = function(name) return engine.read(dir .. "/" .. name) end,
  }
  return model
end

-- Every byte before the data section, and the size of the file.
local function header(model, outtype, options)
  local extra = convert.extra(model)
  local types, file_type = convert.types(model, outtype, extra)
  options = options or {}
  options.file_type, options.extra = file_type, extra
  local kvs, facts = convert.kvs(model, options)
  local list = {}
  for i, t in ipairs(convert.order(model, "reference", extra)) do
    list[i] = { name = t.gguf, type = types[t.gguf], shape = select(2, engine.tensor(t.node)) }
  end
  local bytes, size = engine.layout(kvs, list)
  return bytes, size, facts, kvs
end

local function same_bytes(what, got, want)
  if got == want then return end
  local at = 1
  while got:byte(at) == want:byte(at) do at = at + 1 end
  error(("%s: byte %d of %d differs: got %q, want %q"):format(what, at - 1, #want,
    got:sub(math.max(1, at - 40), at + 20), want:sub(math.max(1, at - 40), at + 20)))
end

local function each_case(run)
  for _, case in ipairs(engine.json(read(GOLDEN .. "index.json")).cases) do
    run(case, GOLDEN .. case.case .. "/", GOLDEN .. case.case .. "/" .. case.source_dir)
  end
end

function tests.headers_equal_goldens()
  local count = 0
  each_case(function(case, folder, source)
    for _, output in ipairs(case.outputs) do
      local model = load(source)
      convert.check(model)
      local bytes, size, facts = header(model, output.outtype)
      local want = read(folder .. output.file)
      same_bytes(output.file .. " " .. output.outtype, bytes, want:sub(1, #bytes))
      assert(size == output.bytes, output.file .. ": size " .. size)
      assert(facts.pre == case.pre, case.case .. ": pre " .. facts.pre)
      count = count + 1
    end
  end)
  assert(count == 15, count)
end

function tests.old_and_new_rope_configs_mean_the_same()
  local one, two = load(GOLDEN .. "mistral-nemo/Tiny-Nemo-Base-2407"),
    load(GOLDEN .. "mistral-nemo-sharded/Tiny-Nemo-Base-2407")
  local _, _, _, a = header(one, "bf16")
  local _, _, _, b = header(two, "bf16")
  assert(#a == #b)
  for i in ipairs(a) do assert(a[i].key == b[i].key and a[i].raw == b[i].raw, a[i].key) end
  local function rope(more)
    return config.effective('{"architectures":["LlamaForCausalLM"],"num_hidden_layers":1,'
      .. '"hidden_size":64,"intermediate_size":8,"vocab_size":9,"num_attention_heads":2,'
      .. '"num_key_value_heads":1,"rms_norm_eps":1e-5,"max_position_embeddings":64,' .. more
      .. "}").rope
  end
  local factors = '"factor":4,"low_freq_factor":2,"high_freq_factor":8,'
    .. '"original_max_position_embeddings":16}'
  local old = rope('"rope_theta":5e5,"rope_scaling":{"type":"llama3",' .. factors)
  local new = rope('"rope_parameters":{"rope_type":"llama3","rope_theta":5e5,' .. factors)
  for key, value in pairs(old) do assert(new[key] == value, key) end
  assert(old.original == 16 and old.theta == 5e5 and old.high == 8.0)
  -- the root's original length wins, and without any the context is taken
  assert(rope('"original_max_position_embeddings":7,"rope_scaling":{"type":"yarn","factor":2,'
    .. '"original_max_position_embeddings":16}').original == 7)
  assert(rope('"rope_scaling":{"rope_type":"yarn","factor":2}').original == 64)
  assert(rope('"rope_scaling":null').type == "default")
end

function tests.rope_factors_take_the_configs_numbers()
  local model = load(GOLDEN .. "llama3-bpe/Acme-Llama-3-0.2M-Instruct")
  local extra = convert.extra(model)
  local p = nodes[extra[1].node].params
  assert(#extra == 1 and extra[1].gguf == "rope_freqs.weight")
  assert(p.head_dim == 16 and p.base == 5e5 and p.factor == 8 and p.low == 1 and p.high == 4
    and p.old == 8192)
  assert(#convert.extra(load(GOLDEN .. "qwen2-yarn/Qwen2-0.2M-yarn-128k")) == 0)
end

function tests.row_maps_are_the_llama_familys()
  local function maps(dir)
    local out = {}
    local model = load(dir)
    for _, t in ipairs(model.tensors) do
      local map = convert.map(model, t)
      if map then
        assert(map.kind == "to_gguf")
        out[t.gguf] = map.head
      end
    end
    return out
  end
  local nemo = maps(GOLDEN .. "mistral-nemo/Tiny-Nemo-Base-2407")
  assert(nemo["blk.0.attn_q.weight"] == 32 and nemo["blk.1.attn_k.weight"] == 32)
  assert(nemo["blk.0.attn_v.weight"] == nil and nemo["blk.0.attn_output.weight"] == nil)
  assert(next(maps(GOLDEN .. "qwen3-bpe/Qwen3-0.2M-Tiny")) == nil)
  -- bytes that lie in GGUF order already need no map
  local model = load(GOLDEN .. "mistral-nemo/Tiny-Nemo-Base-2407")
  local t = { name = "model.layers.0.self_attn.q_proj.weight", node = 1, map = { kind = "to_hf" } }
  assert(convert.map(model, t) == nil)
end

function tests.quantize_order_is_by_layer_then_name()
  local model = load(GOLDEN .. "llama3-bpe/Acme-Llama-3-0.2M-Instruct")
  local names = {}
  for i, t in ipairs(convert.order(model, "quantize", convert.extra(model))) do
    names[i] = t.gguf
  end
  local text = table.concat(names, " ")
  assert(text:find("^output.weight output_norm.weight rope_freqs.weight token_embd.weight "
    .. "blk.0.attn_k.weight blk.0.attn_norm.weight"), text)
end

function tests.a_gguf_card_keeps_its_keys_and_edits_some()
  local _, _, _, kv = header(load(GOLDEN .. "qwen2-yarn/Qwen2-0.2M-yarn-128k"), "f16")
  local flags = engine.encode("arr:i32", { 7, 8 })
  kv[#kv + 1] = { key = "qwen2.layer_kind", type = "arr", raw = flags }
  kv[#kv + 1] = { key = "split.count", type = "u16", raw = engine.encode("u16", 0) }
  local model = {
    arch = arch.of_gguf "qwen2", layers = 2, card_layers = { 0, 1 }, tensors = {},
    card = { kind = "gguf", kv = kv, label = "x.gguf" },
  }
  local same = convert.kvs(model, {})
  assert(#same == #kv - 1)
  for i in ipairs(same) do assert(same[i].raw == kv[i].raw and same[i].key == kv[i].key) end
  model.layers, model.card_layers = 3, { 0, 1, 1 }
  local longer = convert.kvs(model, { title = "Three", file_type = 15, quantize = true })
  local by_key = {}
  for _, entry in ipairs(longer) do by_key[entry.key] = entry end
  assert(by_key["qwen2.block_count"].value == 3 and by_key["general.name"].value == "Three")
  assert(by_key["qwen2.layer_kind"].raw == engine.encode("arr:i32", { 7, 8, 8 }))
  assert(longer[#longer].key == "general.file_type" and longer[#longer].value == 15)
  assert(longer[#longer - 1].key == "general.quantization_version")
end

function tests.config_from_key_values()
  each_case(function(case, _, source)
    local model = load(source)
    local _, _, _, kv = header(model, "f16")
    local want = config.effective(model.card.config)
    local got = config.from_kv(kv, want.tie_word_embeddings)
    for _, key in ipairs { "arch", "layers", "hidden", "ffn", "heads", "kv_heads", "head",
      "head_dim", "vocab", "context", "rms_norm_eps", "tie_word_embeddings" } do
      assert(got[key] == want[key], ("%s: %s %s, not %s"):format(case.case, key,
        tostring(got[key]), tostring(want[key])))
    end
    assert(got.rope.theta == want.rope.theta)
    -- and its text means the same
    local again = config.effective(config.text(got, "bf16"))
    for _, key in ipairs { "arch", "layers", "hidden", "ffn", "heads", "kv_heads", "head",
      "head_dim", "vocab", "context", "rms_norm_eps", "tie_word_embeddings" } do
      assert(again[key] == want[key], case.case .. ": text: " .. key)
    end
    assert(again.rope.theta == want.rope.theta and again.dtype == "bfloat16")
  end)
end

function tests.irregular_gguf_files_have_no_table()
  local _, _, _, kv = header(load(GOLDEN .. "mistral-nemo/Tiny-Nemo-Base-2407"), "f16")
  local function with(key, entry)
    local list = {}
    for _, old in ipairs(kv) do
      if old.key ~= key then list[#list + 1] = old elseif entry then list[#list + 1] = entry end
    end
    return list
  end
  local name, heads = "general.architecture", "llama.attention.head_count"
  assert(convert.gguf_arch(kv, { "rope_freqs.weight" }))
  assert(convert.gguf_arch(kv, { "blk.1.attn_q.weight" }))
  assert(not convert.gguf_arch(kv, { "blk.0.ffn_gate_exps.weight" }))
  assert(not convert.gguf_arch(kv, { "blk.2.attn_q.weight" }))
  assert(not convert.gguf_arch(with(name, { key = name, type = "str", value = "mamba" }), {}))
  local _, reason = convert.gguf_arch(with(heads), {})
  assert(reason:find("head_count is missing"), reason)
  _, reason = convert.gguf_arch(with(heads, { key = heads, type = "arr",
    raw = engine.encode("arr:i32", { 4, 4 }) }), {})
  assert(reason:find("is a list"), reason)
  _, reason = convert.gguf_arch(with(heads, { key = heads, type = "i32", value = -4 }), {})
  assert(reason:find("is %-4"), reason)
  assert(config.from_kv(with "tokenizer.ggml.tokens").vocab == 355)
end

function tests.edits_keep_every_other_byte()
  local text = '{\n  "a": [1,2 ],\n  "num_hidden_layers": 2,\t"torch_dtype": "float32",\n'
    .. '  "layer_types": ["x", "y"], "architectures": ["Qwen2ForCausalLM"],\n'
    .. '  "big": 1000000000000000019884624838656 , "vocab_size":7\n}\n'
  local out, warnings = config.edit(text, {
    layers = 3, dtype = "bf16", vocab_size = 7, source_layers = { 0, 1, 1 },
  })
  local want = text:gsub('layers": 2', 'layers": 3'):gsub('"float32"', '"bfloat16"')
    :gsub('%["x", "y"%]', '["x", "y", "y"]')
  assert(out == want, out)
  assert(#warnings == 1 and warnings[1]:find("list a is"), warnings[1])
  assert(config.edit(text, { layers = 2, source_layers = { 0, 1 } }) == text)
  assert(config.edit('{\n  "x": 1\n}', { dtype = "f16" })
    == '{\n  "x": 1,\n  "torch_dtype": "float16"\n}')
  assert(config.edit('{"x":1,"dtype":"q"}', { dtype = "f16", tied = true })
    == '{"x":1,"dtype":"float16","tie_word_embeddings":true}')
end

function tests.json_edits_replace_append_and_remove()
  local edit = engine.json_edit
  assert(edit("{}", { { "a", "1" }, { "b", "2" } }) == '{"a": 1,"b": 2}')
  assert(edit('{"a":1}', { { "a", nil } }) == "{}")
  assert(edit('{"a":1,"b":2,"c":3}', { { "b", nil } }) == '{"a":1,"c":3}')
  assert(edit('{"a":1,"b":2}', { { "b", nil }, { "c", '"x"' } }):find('"c":"x"'))
  assert(edit(' { "a" : "q" , "b" : [ 1 ] } ', { { "a", "null" }, { "b", "{}" } })
    == ' { "a" : null , "b" : {} } ')
  assert(edit('{"\\u0061":1}', { { "a", "2" } }) == '{"\\u0061":2}')
  assert(not pcall(edit, "[]", {}))
  assert(not pcall(edit, "{", {}))
  assert(not pcall(edit, "{}", { { 1, "2" } }))
end

function tests.json_values_arrive_whole()
  local v = engine.json('{"a":[1,-2,3.5,1e30,true,null,"\\u00e9"],"o":{"x":{}},"e":[],'
    .. '"n":9223372036854775807,"b":18446744073709551615}')
  assert(#v.a == 7 and math.type(v.a[1]) == "integer" and v.a[2] == -2 and v.a[3] == 3.5)
  assert(v.a[5] == true and v.a[6] == engine.null and v.a[7] == "é")
  assert(math.type(v.a[4]) == "float")
  assert(engine.is_array(v.a) and engine.is_array(v.e) and not engine.is_array(v.o.x))
  assert(v.n == math.maxinteger and v.b == 2.0 ^ 64)
  assert(engine.json "[[[[]],{}],7]"[2] == 7 and engine.json '"x"' == "x")
  assert(engine.json " 3 " == 3)
  local ok, err = pcall(engine.json, '{"a":}')
  assert(not ok and err:find("byte 5"), err)
  assert(not pcall(engine.json, ("["):rep(65) .. ("]"):rep(65)))
  assert(engine.json_string 'a"\n\1é' == '"a\\"\\n\\u0001é"')
end

function tests.encodings_are_the_files()
  local e = engine.encode
  assert(e("u32", 258) == "\2\1\0\0" and e("i32", -1) == "\255\255\255\255")
  assert(e("f32", 1) == "\0\0\128\63" and e("bool", true) == "\1")
  assert(e("str", "ab") == "\2\0\0\0\0\0\0\0ab")
  assert(e("arr:str", { "a" }) == "\8\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a")
  assert(e("arr:i32", { 1 }) == "\5\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0")
  assert(e("u64", math.maxinteger) == "\255\255\255\255\255\255\255\127")
  for _, bad in ipairs { { "u32", -1 }, { "u32", 1 << 32 }, { "u32", 1.5 }, { "u32", "1" },
    { "i8", 128 }, { "f32", "1" }, { "bool", 1 }, { "str", 1 }, { "arr:str", { 1 } },
    { "arr:arr", {} }, { "word", 1 }, { "u64", -1 } } do
    assert(not pcall(e, bad[1], bad[2]), bad[1] .. " " .. tostring(bad[2]))
  end
end

-- The examples of specs/hf-and-convert.md section 3.5.
function tests.names_are_taken_apart_like_the_reference()
  local function is(id, total, basename, finetune, version, size)
    local p = metadata.parts(id, total)
    assert(p.basename == basename and p.finetune == finetune and p.version == version
      and p.size_label == size, ("%s: %s / %s / %s / %s"):format(id, tostring(p.basename),
        tostring(p.finetune), tostring(p.version), tostring(p.size_label)))
  end
  is("Llama-3.1-8B-Instruct", 8e9 // 1, "Llama-3.1", "Instruct", nil, "8B")
  is("Mistral-Nemo-Instruct-2407", 12247782400, "Mistral-Nemo", "Instruct", "2407", nil)
  is("gemma-2-9b-it", 9e9 // 1, "gemma-2", "it", nil, "9B")
  is("Phi-3-mini-128k-instruct", 3800000000, "Phi-3", "128k-instruct", nil, "mini")
  is("bloom-7b1", 7e9 // 1, "bloom", nil, nil, "7.1B")
  is("Vikra-HCT-YeAM-PhiMma-1B", 1000000000, "Vikra-HCT-YeAM-PhiMma", nil, nil, "1B")
  is("Fimbulvetr-11B-v2", 10700000000, "Fimbulvetr", nil, "v2", "11B")
  is("model", 0, nil, nil, nil, nil)
  is("a name with blanks-7B", 0, nil, nil, nil, nil)
  is("Mixtral-8x7B-Instruct-v0.1", 0, "Mixtral", "Instruct", "v0.1", "8x7B")
  is("Qwen2-7B-yarn-128k", 7000000000, "Qwen2", "yarn-128k", nil, "7B")
  is("x-Q4_K_M", 0, nil, nil, nil, nil)
  is("x-Q4_K_M-2407", 0, "x", nil, "2407", nil)
  assert(metadata.parts("org/Name-7B", 0).organization == "org")
  assert(metadata.parts("./Name-7B", 0).organization == nil)
  assert(metadata.title "mistral-nemo v1.2 7b r1 ABc o'neil-x"
    == "Mistral Nemo v1.2 7b R1 ABc O'Neil X")
  for count, label in pairs { [12247782400] = "12B", [1000000] = "1000K", [1000001] = "1.0M",
    [126500] = "126K", [0] = "0.00K", [1234567890123] = "1.2T", [99] = "0.10K" } do
    assert(metadata.size_label(count) == label, metadata.size_label(count))
  end
end

local function general(info)
  local out = {}
  info.total = info.total or 0
  metadata.general(function(key, _, value)
    if value ~= nil and value ~= "" and not (type(value) == "table" and #value == 0) then
      out[key] = type(value) == "table" and table.concat(value, ",") or value
    end
  end, info)
  return out
end

function tests.cards_of_all_manners_are_read()
  local g = general {
    label = "dir-7B", readme = '---\nlicense:\n- mit\n- apache-2.0\nbase_model: "a-b/c-d-v2"\n'
      .. "tags: [x, 'y z']\nlanguage:\n  - no\n  - en\nmodel_name: my # comment\ndatasets:\n- q/w\n"
      .. "description: >\n  two\n  lines\nnothing: ~\nmodel-index:\n- name: z\n  results:\n"
      .. "  - task: t\npipeline_tag: text-generation\n---\nlicense: no\n",
  }
  assert(g["general.license"] == "mit,apache-2.0" and g["general.name"] == "my")
  assert(g["general.base_model.0.organization"] == "A B")
  assert(g["general.base_model.0.name"] == "C D v2")
  assert(g["general.base_model.0.version"] == "v2" and g["general.base_model.count"] == 1)
  assert(g["general.base_model.0.repo_url"] == "https://huggingface.co/a-b/c-d-v2")
  assert(g["general.tags"] == "x,y z,text-generation" and g["general.languages"] == "no,en")
  assert(g["general.description"] == "two lines\n" and g["general.size_label"] == "7B")
  assert(g["general.dataset.0.name"] == "W" and g["general.dataset.count"] == 1)
  g = general { label = "x", readme = "license: mit\n---\n" }
  assert(g["general.license"] == nil and g["general.name"] == "X")
  g = general {
    label = "org/Repo-Name", readme = "---\nbase_model: https://huggingface.co/o/m\n---",
  }
  assert(g["general.name"] == "org/Repo-Name" and g["general.organization"] == "Org")
  assert(g["general.base_model.0.name"] == "M")
  g = general { label = "x", name_or_path = "o/Thing-3B-chat", title = "T" }
  assert(g["general.name"] == "T" and g["general.basename"] == "Thing")
  assert(general({ label = "x", name_or_path = "/a/b" })["general.name"] == "X")
  g = general {
    label = "x",
    generation = '{"top_k":5.0,"temperature":null,"repetition_penalty":2,"penalty_repeat":3}',
  }
  assert(g["general.sampling.top_k"] == 5 and g["general.sampling.temp"] == nil)
  assert(g["general.sampling.penalty_repeat"] == 3)
  assert(general({ label = "x", generation = "{" })["general.name"] == "X")
  g = general { label = "x", total = 126500, base_models = { "o/a-1B", "b" } }
  assert(g["general.base_model.count"] == 2 and g["general.base_model.1.name"] == "B")
  assert(g["general.size_label"] == "126K" and g["general.base_model.1.repo_url"] == nil)
end

function tests.broken_directories_are_refused_by_name()
  local base = "tests/golden/malformed/"
  local reasons = { -- what the message must say
    ["cfg-missing"] = "config.json", ["cfg-not-json"] = "config.json: JSON byte",
    ["cfg-no-architectures"] = "architectures", ["cfg-unknown-arch"] = "not handled",
    ["cfg-hidden-string"] = "hidden_size is \"", ["cfg-zero-heads"] = "num_attention_heads is 0",
    ["cfg-heads-not-multiple-kv"] = "no multiple of num_key_value_heads",
    ["cfg-layers-more"] = "num_hidden_layers is 2, the files hold 1",
    ["cfg-layers-negative"] = "num_hidden_layers is %-1",
    ["cfg-head-dim-odd"] = "head_dim 3 is odd",
    ["cfg-vocab-smaller"] = "tensor .* shape", ["cfg-rope-type"] = "rope_type is",
    ["cfg-gptq"] = 'method "awq"', ["w-missing-tensor"] = "norm.weight is missing",
    ["w-unknown-tensor"] = "adapter", ["w-3d-linear"] = "q_proj.weight has the shape",
    ["tok-missing"] = "no tokenizer",
    ["tok-merge-3-parts"] = "tokenizer.json: the merge .* two parts",
    ["tok-dup-id"] = "tokenizer.json: .* is also that of", ["tok-unigram"] = "Unigram",
    ["tok-spm-garbage"] = "tokenizer.model: byte",
  }
  local tried = 0
  for _, case in ipairs(engine.json(read(base .. "index.json")).dirs) do
    local name = case.dir:match("[^/]+$")
    local kind = name:match("^%a+")
    if kind == "cfg" or kind == "tok" or kind == "w" then
      local ok, result = pcall(function()
        local over = base .. case.dir .. "/files"
        local dir = engine.lay_over(base .. "base", over, case.remove)
        local model = load(dir)
        convert.check(model)
        local _, _, facts = header(model, "f16")
        return facts
      end)
      tried = tried + 1
      if case.expect == "reject" then
        assert(not ok, name .. " was taken")
        assert(result:find(reasons[name]), name .. ": " .. result)
        assert(result:find("config.json", 1, true) or result:find("/%d+[:/]"), result)
      else
        assert(ok, name .. ": " .. tostring(result))
        local warned = table.concat(result.warnings, "\n"):find("is the added token") ~= nil
        assert(warned == (name == "tok-added-conflict"), name)
      end
    end
  end
  assert(tried == 24, tried)
end

function tests.configs_that_lie_are_refused()
  local good = read "tests/golden/malformed/base/config.json"
  local function refused(key, value, reason)
    local text = engine.json_edit(good, { { key, value } })
    local ok, err = pcall(config.effective, text)
    assert(not ok and err:find(reason, 1, true), ("%s = %s: %s"):format(key, value, tostring(err)))
  end
  refused("hidden_size", nil, "hidden_size is missing")
  refused("hidden_size", "16.5", "hidden_size is 16.5")
  refused("vocab_size", "99999999999", "vocab_size is 99999999999")
  refused("num_hidden_layers", "4097", "from 1 to 4096")
  refused("num_attention_heads", "true", "is true")
  refused("rms_norm_eps", "-1", "rms_norm_eps")
  refused("rms_norm_eps", "1e999", "beyond all floats")
  refused("rms_norm_eps", '"small"', "rms_norm_eps")
  refused("head_dim", "0", "head_dim")
  refused("rope_scaling", "[]", "rope_scaling is a list")
  refused("rope_scaling", '{"type":"linear"}', "factor is missing")
  refused("tie_word_embeddings", "1", "true or false")
  refused("architectures", "[3]", "architectures")
  refused("quantization_config", "{}", "quantization_config")
  local cfg = config.effective(engine.json_edit(good, { { "num_key_value_heads", nil } }))
  assert(cfg.kv_heads == 4 and #cfg.warnings == 1)
end

function tests.roles_of_names_and_words()
  local function is(name, role, group, layer, bias)
    local a, b, c, d = roles.of_gguf(name)
    assert(a == role and b == group and c == layer and d == (bias or false),
      ("%s: %s %s %s"):format(name, a, b, tostring(c)))
  end
  is("blk.3.attn_q.weight", "attn_q", "attn", 3)
  is("blk.3.attn_q.bias", "attn_q", "attn", 3, true)
  is("blk.3.attn_q_norm.weight", "attn_q_norm", "norm", 3)
  is("output.weight", "output", "embed", nil)
  is("blk.1.ffn_gate_inp.weight", "router", "other", 1)
  is("blk.1.ffn_up_exps.weight", "ffn_up_exps", "experts", 1)
  is("blk.1.ffn_down_shexp.weight", "ffn_down_shexp", "ffn", 1)
  is("blk.12.ffn_down.0.weight", "ffn_down", "experts", 12)
  is("v.blk.10.attn_q.weight", "attn_q", "attn", 10)
  is("v.patch_embd.weight", "mm", "other", nil)
  is("blk.0.ssm_in.weight", "ssm_in", "attn", 0)
  is("per_layer_token_embd.weight", "per_layer_token_embd", "embed", nil)
  is("rope_freqs.weight", "rope", "other", nil)
  assert(roles.find "o_proj".name == "attn_output" and roles.find "nothing" == nil)
  assert(roles.find "skeleton" == roles.find "attn" and roles.find "organs".kind == "group")
  assert(roles.reaches(roles.find "ffn", "ffn_up_exps"))
  assert(roles.reaches(roles.find "norm", "attn_norm"))
  assert(not roles.reaches(roles.find "experts", "ffn_up"))
  assert(roles.reaches(roles.find "all", "odd"))
  assert(table.concat(roles.chain "ffn_up_exps", " ") == "ffn_up_exps ffn_up experts ffn all")
  assert(table.concat(roles.chain "attn_v", " ") == "attn_v attn all")
end

function tests.names_with_odd_numbers_are_no_layers()
  local llama = arch.of_gguf "llama"
  assert(select(2, arch.find_hf(llama, "model.layers.12.mlp.up_proj.weight")) == 12)
  for _, name in ipairs { "model.layers.01.mlp.up_proj.weight",
    "model.layers.-1.mlp.up_proj.weight", "model.layers.9999999.mlp.up_proj.weight",
    "model.layers.%d.mlp.up_proj.weight",
    "model.layers..mlp.up_proj.weight", "xmodel.layers.1.mlp.up_proj.weight",
    "model.layers.1.mlp.up_proj.weight.x" } do
    assert(arch.find_hf(llama, name) == nil, name)
  end
  assert(arch.find_gguf(llama, "blk.%d.ffn_up.weight") == nil)
  assert(#arch.expand(llama, { layers = 2, tie_word_embeddings = true }) == 2 * 9 + 2)
end

return tests
