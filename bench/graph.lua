-- About n nodes in artifacts of a thousand: what bench/graph.sh times. One tensor of the last
-- artifact follows the option `gain`, so that a change of it is a change of one node.
local n, gain = tonumber(option("n", "1000")), tonumber(option("gain", "2"))
local shape = {
  architectures = { "LlamaForCausalLM" }, torch_dtype = "bfloat16", vocab_size = 32,
  hidden_size = 32, intermediate_size = 32, rms_norm_eps = 1e-5, num_attention_heads = 1,
  num_key_value_heads = 1, head_dim = 32, rope_theta = 1e4,
  max_position_embeddings = 64, tie_word_embeddings = true,
}

local artifacts = {}
for first = 1, n, 1000 do
  local config = { num_hidden_layers = 111 } -- 9 tensors each, and two outside the layers
  for key, value in pairs(shape) do config[key] = value end
  local name = "part" .. (first // 1000)
  local model = synthetic { config = config, seed = first, name = name }
  if first + 1000 > n then
    model = scale { model, attn_q = function(layer) return layer == 0 and gain or 1 end }
  end
  artifacts[name] = safetensors { model, name = name }
end
return artifacts
