--- The llama architecture: Llama, Mistral and Mistral-Nemo checkpoints.
-- A row is one tensor: its Hugging Face and GGUF names, its role, its shape in words of the
-- config (specs/hf-and-convert.md sections 3.7 and 3.8). `permute` names the config field that
-- counts the heads of the row permutation.

return {
  name = "llama",
  classes = { "LlamaForCausalLM", "MistralForCausalLM" },
  layer_prefix = "model.layers.",
  tensors = {
    { hf = "model.embed_tokens.weight", gguf = "token_embd.weight", role = "token_embd",
      shape = { "vocab", "hidden" }, where = "before" },
    { hf = "model.layers.%d.self_attn.q_proj.weight", gguf = "blk.%d.attn_q.weight",
      role = "attn_q", shape = { "q", "hidden" }, permute = "heads" },
    { hf = "model.layers.%d.self_attn.q_proj.bias", gguf = "blk.%d.attn_q.bias",
      role = "attn_q", shape = { "q" }, permute = "heads", bias = "attention_bias" },
    { hf = "model.layers.%d.self_attn.k_proj.weight", gguf = "blk.%d.attn_k.weight",
      role = "attn_k", shape = { "kv", "hidden" }, permute = "kv_heads" },
    { hf = "model.layers.%d.self_attn.k_proj.bias", gguf = "blk.%d.attn_k.bias",
      role = "attn_k", shape = { "kv" }, permute = "kv_heads", bias = "attention_bias" },
    { hf = "model.layers.%d.self_attn.v_proj.weight", gguf = "blk.%d.attn_v.weight",
      role = "attn_v", shape = { "kv", "hidden" } },
    { hf = "model.layers.%d.self_attn.v_proj.bias", gguf = "blk.%d.attn_v.bias",
      role = "attn_v", shape = { "kv" }, bias = "attention_bias" },
    { hf = "model.layers.%d.self_attn.o_proj.weight", gguf = "blk.%d.attn_output.weight",
      role = "attn_output", shape = { "hidden", "q" } },
    { hf = "model.layers.%d.self_attn.o_proj.bias", gguf = "blk.%d.attn_output.bias",
      role = "attn_output", shape = { "hidden" }, bias = "attention_bias" },
    { hf = "model.layers.%d.mlp.gate_proj.weight", gguf = "blk.%d.ffn_gate.weight",
      role = "ffn_gate", shape = { "ffn", "hidden" } },
    { hf = "model.layers.%d.mlp.gate_proj.bias", gguf = "blk.%d.ffn_gate.bias",
      role = "ffn_gate", shape = { "ffn" }, bias = "mlp_bias" },
    { hf = "model.layers.%d.mlp.up_proj.weight", gguf = "blk.%d.ffn_up.weight",
      role = "ffn_up", shape = { "ffn", "hidden" } },
    { hf = "model.layers.%d.mlp.up_proj.bias", gguf = "blk.%d.ffn_up.bias",
      role = "ffn_up", shape = { "ffn" }, bias = "mlp_bias" },
    { hf = "model.layers.%d.mlp.down_proj.weight", gguf = "blk.%d.ffn_down.weight",
      role = "ffn_down", shape = { "hidden", "ffn" } },
    { hf = "model.layers.%d.mlp.down_proj.bias", gguf = "blk.%d.ffn_down.bias",
      role = "ffn_down", shape = { "hidden" }, bias = "mlp_bias" },
    { hf = "model.layers.%d.input_layernorm.weight", gguf = "blk.%d.attn_norm.weight",
      role = "attn_norm", shape = { "hidden" } },
    { hf = "model.layers.%d.post_attention_layernorm.weight", gguf = "blk.%d.ffn_norm.weight",
      role = "ffn_norm", shape = { "hidden" } },
    { hf = "model.norm.weight", gguf = "output_norm.weight", role = "output_norm",
      shape = { "hidden" }, where = "after" },
    { hf = "lm_head.weight", gguf = "output.weight", role = "output",
      shape = { "vocab", "hidden" }, where = "after", tied = true },
  },

  -- What the library's config class fills in when config.json is silent (3.1).
  defaults = {
    LlamaForCausalLM = {
      kv_heads = "heads", head_dim = "hidden/heads", rms_norm_eps = 1e-6,
      max_position_embeddings = 2048, rope_theta = 10000.0, tie_word_embeddings = false,
    },
    MistralForCausalLM = {
      kv_heads = 8, head_dim = "hidden/heads", rms_norm_eps = 1e-6,
      max_position_embeddings = 131072, rope_theta = 10000.0, tie_word_embeddings = false,
    },
  },

  extra_keys = { "vocab_size", "rope.dimension_count" },
  rope_freqs = true,
  -- Which tokenizer files decide, and what goes with them (format/tokenizer.h, section 3.9).
  tokenizer = { spm = true, hf_vocab = true, space_prefix = true, by_size = true },
  layer_lists = { "layer_types" },
}
