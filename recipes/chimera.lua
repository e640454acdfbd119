-- Thought from one model, memory from another: its organs under the other's skeleton.
-- Give the models with -D thought=PATH -D memory=PATH, the layers with -D first=N -D last=N.
local qwen = {
  architectures = { "Qwen2ForCausalLM" }, torch_dtype = "bfloat16", vocab_size = 152064,
  hidden_size = 5120, intermediate_size = 13824, num_hidden_layers = 48, rms_norm_eps = 1e-6,
  num_attention_heads = 40, num_key_value_heads = 8, max_position_embeddings = 32768,
  rope_theta = 1e6, tie_word_embeddings = false,
}

local function model(name, seed)
  local path = option(name)
  return path and source(path) or synthetic { config = qwen, seed = seed, name = name }
end

local thought, memory = model("thought", 1), model("memory", 2)
local first = option("first", thought.layers // 2)
local last  = option("last", thought.layers)

local function chimera(name, parts)
  return gguf { quantize { graft(parts), default = "q4_k", attn_v = "q6_k" }, name = name }
end

return {
  full  = chimera("chimera", { thought, organs = memory }),
  upper = chimera("chimera-upper", { thought, organs = memory, layers = span(first, last) }),
}
