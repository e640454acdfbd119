-- Deeper layers speak louder: twelve slices of one model with rising gains; its last layer goes.
-- Give the model with -D model=DIR (48 layers); without, weights of its shape are made up.
local solar = {
  architectures = { "LlamaForCausalLM" }, torch_dtype = "bfloat16", vocab_size = 32000,
  hidden_size = 4096, intermediate_size = 14336, num_hidden_layers = 48, rms_norm_eps = 1e-5,
  num_attention_heads = 32, num_key_value_heads = 8, max_position_embeddings = 4096,
  rope_theta = 10000.0, tie_word_embeddings = false,
}

local path = option "model"
local whole = path and source(path) or synthetic { config = solar, name = "Fimbulvetr-11B" }
local fim = cast { whole, to = "bf16" }

local function band(first, last, gain)
  local layers = slice(fim, first, last)
  return gain and scale { layers, attn_output = gain, ffn_down = gain } or layers
end

return {
  deep = safetensors {
    stack {
      band( 0,  4),      band( 4,  8, 1.5), band( 8, 12, 1.5), band(12, 16, 2.0),
      band(16, 20, 2.0), band(20, 24, 2.5), band(24, 28, 2.5), band(28, 32, 3.0),
      band(32, 36, 3.0), band(36, 40, 3.5), band(40, 44, 3.5), band(44, 47, 4.0),
    },
    name = "Fimbulvetr-11B-deep",
  },
}
