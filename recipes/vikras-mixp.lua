-- Vikra: a merge of two 12B models, its full folder, and MixP: three mixed precisions of it.
-- Give the models with -D first=DIR -D second=DIR; without, weights of that shape are made up.
local nemo = {
  architectures = { "MistralForCausalLM" }, torch_dtype = "bfloat16", vocab_size = 131072,
  hidden_size = 5120, intermediate_size = 14336, num_hidden_layers = 40, rms_norm_eps = 1e-5,
  num_attention_heads = 32, num_key_value_heads = 8, head_dim = 128, rope_theta = 1e6,
  max_position_embeddings = 1024000, tie_word_embeddings = false,
}

local function model(name, seed)
  local path = option(name)
  return path and source(path) or synthetic { config = nemo, seed = seed, name = name }
end

local full = merge.slerp { model("first", 1), model("second", 2), t = ramp { 0.2, 0.5, 0.3 } }

local S = types {
  embed       = "bf16",
  norm        = "f32",
  attn_q      = "q4_k",
  attn_k      = "q5_k",
  attn_v      = "q3_k",
  attn_output = "q4_k",
  ffn_gate    = "q3_k",
  ffn_up      = "q5_k",
  ffn_down    = edges("q5_k", "q6_k"),
}
local M = with(S, { attn_v = "q4_k", ffn_gate = "q4_k", ffn_down = "q6_k" })
local L = with(M, { attn_q = "q6_k", attn_v = "q6_k", ffn_up = "q6_k" })

return {
  S     = gguf { quantize { full, S }, name = "Vikra-MixP-S" },
  M     = gguf { quantize { full, M }, name = "Vikra-MixP-M" },
  L     = gguf { quantize { full, L }, name = "Vikra-MixP-L" },
  FullP = safetensors { full, name = "Vikra-FullP" },
}
