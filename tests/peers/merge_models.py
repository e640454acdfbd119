"""Small checkpoints for merges: families of fine-tunes of one base, of several architectures.

Every family holds what merges trip over: a tensor that a fine-tune left as it was, a sparse change,
a tensor of zeros, one that points the other way, and an embedding of more than 65,536 elements,
which is the tile of vbuild's sums and selections.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file

BF16, F16, F32 = torch.bfloat16, torch.float16, torch.float32
VOCAB, HIDDEN, INNER, KV = 1400, 48, 80, 24
_sizes = {"vocab_size": VOCAB, "hidden_size": HIDDEN, "intermediate_size": INNER,
          "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
          "bos_token_id": 0, "eos_token_id": 0, "torch_dtype": "bfloat16"}


def _llama_layer(_):
    return {"input_layernorm.weight": (HIDDEN,), "post_attention_layernorm.weight": (HIDDEN,),
            "self_attn.q_proj.weight": (HIDDEN, HIDDEN), "self_attn.k_proj.weight": (KV, HIDDEN),
            "self_attn.v_proj.weight": (KV, HIDDEN), "self_attn.o_proj.weight": (HIDDEN, HIDDEN),
            "mlp.gate_proj.weight": (INNER, HIDDEN), "mlp.up_proj.weight": (INNER, HIDDEN),
            "mlp.down_proj.weight": (HIDDEN, INNER)}


def _qwen2_layer(i):
    return _llama_layer(i) | {f"self_attn.{n}_proj.bias": (HIDDEN if n == "q" else KV,)
                              for n in "qkv"}


def _gemma2_layer(i):
    return _llama_layer(i) | {f"{n}_feedforward_layernorm.weight": (HIDDEN,)
                              for n in ("pre", "post")}


def _phi3_layer(_):
    return {"input_layernorm.weight": (HIDDEN,), "post_attention_layernorm.weight": (HIDDEN,),
            "self_attn.qkv_proj.weight": (HIDDEN + 2 * KV, HIDDEN),
            "self_attn.o_proj.weight": (HIDDEN, HIDDEN),
            "mlp.gate_up_proj.weight": (2 * INNER, HIDDEN), "mlp.down_proj.weight": (HIDDEN, INNER)}


def _gpt2_layer(_):
    out = {}
    for name, shape in (("attn.c_attn", (HIDDEN, 3 * HIDDEN)), ("attn.c_proj", (HIDDEN, HIDDEN)),
                        ("mlp.c_fc", (HIDDEN, 4 * HIDDEN)), ("mlp.c_proj", (4 * HIDDEN, HIDDEN)),
                        ("ln_1", (HIDDEN,)), ("ln_2", (HIDDEN,))):
        out |= {f"{name}.weight": shape, f"{name}.bias": shape[-1:]}
    return out


def _neox_layer(_):
    out = {"attention.bias": (1, 1, 64, 64), "attention.masked_bias": (1,),
           "attention.rotary_emb.inv_freq": (6,)}
    for name, shape in (("attention.query_key_value", (3 * HIDDEN, HIDDEN)),
                        ("attention.dense", (HIDDEN, HIDDEN)), ("input_layernorm", (HIDDEN,)),
                        ("mlp.dense_h_to_4h", (INNER, HIDDEN)), ("mlp.dense_4h_to_h",
                                                                 (HIDDEN, INNER)),
                        ("post_attention_layernorm", (HIDDEN,))):
        out |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return out


_embed, _head = {"model.embed_tokens.weight": (VOCAB, HIDDEN)}, {"lm_head.weight": (VOCAB, HIDDEN)}
_norm = {"model.norm.weight": (HIDDEN,)}


class Family:
    """One architecture: its names, its config, and how many layers its checkpoints have."""

    def __init__(self, kind, architecture, layers, layer, tied, **more):
        self.kind, self.layers, self.layer, self.tied = kind, layers, layer, tied
        self.prefix = more.pop("prefix", "model.layers")
        self.loose = more.pop("loose", _embed | _norm | ({} if tied else _head))
        self.layers_key = more.pop("layers_key", "num_hidden_layers")
        self.config = {"architectures": [architecture], "model_type": kind,
                       "tie_word_embeddings": tied, self.layers_key: layers}
        self.config |= more.pop("sizes", _sizes) | more

    def shapes(self):
        out = dict(self.loose)
        for i in range(self.layers):
            out |= {f"{self.prefix}.{i}.{n}": s for n, s in self.layer(i).items()}
        return dict(sorted(out.items()))


_gpt2_loose = {"transformer.wte.weight": (VOCAB, HIDDEN), "transformer.wpe.weight": (64, HIDDEN),
               "transformer.ln_f.weight": (HIDDEN,), "transformer.ln_f.bias": (HIDDEN,)}
FAMILIES = {
    "llama": Family("llama", "LlamaForCausalLM", 4, _llama_layer, False, hidden_act="silu",
                    rms_norm_eps=1e-5),
    "qwen2": Family("qwen2", "Qwen2ForCausalLM", 3, _qwen2_layer, True, hidden_act="silu",
                    rms_norm_eps=1e-6),
    "gemma2": Family("gemma2", "Gemma2ForCausalLM", 3, _gemma2_layer, True, head_dim=12,
                     rms_norm_eps=1e-6, hidden_activation="gelu_pytorch_tanh"),
    "phi3": Family("phi3", "Phi3ForCausalLM", 3, _phi3_layer, False, hidden_act="silu",
                   pad_token_id=0, rms_norm_eps=1e-5),
    "gpt2": Family("gpt2", "GPT2LMHeadModel", 3, _gpt2_layer, True, prefix="transformer.h",
                   layers_key="n_layer", loose=_gpt2_loose, sizes={
                       "vocab_size": VOCAB, "n_embd": HIDDEN, "n_head": 4, "n_positions": 64,
                       "n_inner": 4 * HIDDEN, "bos_token_id": 0, "eos_token_id": 0,
                       "torch_dtype": "bfloat16"}),
    # With buffers: causal masks of truths, which have no mean.
    "gpt_neox": Family("gpt_neox", "GPTNeoXForCausalLM", 3, _neox_layer, False,
                       prefix="gpt_neox.layers", loose={
                           "gpt_neox.embed_in.weight": (VOCAB, HIDDEN),
                           "gpt_neox.final_layer_norm.weight": (HIDDEN,),
                           "gpt_neox.final_layer_norm.bias": (HIDDEN,),
                           "embed_out.weight": (VOCAB, HIDDEN)}),
    # In none of mergekit's tables: it infers the structure, as vbuild does of every one.
    "olmo": Family("olmo", "OlmoForCausalLM", 3,
                   lambda i: {n: s for n, s in _llama_layer(i).items() if "norm" not in n}, False,
                   loose=_embed | _head, hidden_act="silu", pad_token_id=0),
}


def _noise(dice, shape, size):
    return torch.randn(shape, generator=dice) * size


def _base(family, dice):
    def one(name, shape):
        if name.endswith("attention.bias"):
            return torch.ones(shape, dtype=torch.bool).tril()
        scale = 1 if "norm" in name and name.endswith("weight") else 0
        return (scale + _noise(dice, shape, 0.1)).to(BF16)
    return {n: one(n, s) for n, s in family.shapes().items()}


def _tune(base, number, dice):
    """A fine-tune: small changes everywhere, but where the module's first words say otherwise."""
    out = {}
    names = [n for n in base if base[n].dim() == 2]
    for name, b in base.items():
        if b.dtype == torch.bool:
            out[name] = b
            continue
        change = _noise(dice, b.shape, 0.01 * number)
        if name == names[number % len(names)]:
            change = torch.zeros(b.shape)
        elif name == names[(2 * number) % len(names)] or number == 2:
            change = change * (torch.rand(b.shape, generator=dice) < 0.3)
        out[name] = (b.float() + change).to(BF16)
    if number == 3:
        out[names[-1]] = -base[names[-1]]
        out[names[-2]] = torch.zeros_like(base[names[-2]])
    return out


def write(folder, family, tensors, **config):
    """A checkpoint of these tensors, which says what CONFIG changes."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(family.config | config, indent=1) + "\n")
    save_file({n: t.contiguous() for n, t in tensors.items()}, folder / "model.safetensors",
              {"format": "pt"})
    return str(folder)


def _to(tensors, dtype):
    return {n: t.to(dtype) for n, t in tensors.items()}


def make(place="checkpoints"):
    """Family -> paths: the base and three fine-tunes in BF16; llama's and qwen2's also others."""
    out = {}
    for number, (name, family) in enumerate(FAMILIES.items()):
        dice = torch.Generator().manual_seed(1000 + number)
        base = _base(family, dice)
        tunes = [base] + [_tune(base, i, dice) for i in (1, 2, 3)]
        here = f"{place}/{name}"
        out[name] = [write(f"{here}-{w}", family, t) for w, t in
                     zip(("base", "one", "two", "three"), tunes)]
        if name in ("llama", "qwen2"):
            full = {n: t.float() + _noise(dice, t.shape, 1e-4) for n, t in tunes[1].items()}
            out[name + "-f32"] = [write(f"{here}-f32", family, full, torch_dtype="float32")]
            out[name + "-f16"] = [write(f"{here}-f16", family, _to(full, F16),
                                        torch_dtype="float16")]
        if name == "qwen2":  # one that has a head of its own
            head = dict(tunes[2]) | {n: _noise(dice, s, 0.1).to(BF16) for n, s in _head.items()}
            out["qwen2-head"] = [write(f"{here}-head", family, head, tie_word_embeddings=False)]
    return out


def misfits(tensors, place="checkpoints"):
    """Those that do not fit llama's TENSORS: wider, more rows, fewer layers, mistral by name."""
    family = FAMILIES["llama"]
    wide = {n: torch.cat([t, t], dim=-1) for n, t in tensors.items()}
    write(f"{place}/wide", family, wide, hidden_size=2 * HIDDEN)
    rows = {n: torch.cat([t, t[:8]]) if t.shape[0] == VOCAB else t
            for n, t in tensors.items()}
    write(f"{place}/longer", family, rows, vocab_size=VOCAB + 8)
    short = {n: t for n, t in tensors.items() if ".layers.3." not in n}
    write(f"{place}/short", family, short, num_hidden_layers=3)
    other = {n: (t.float() * 1.25).to(t.dtype) for n, t in tensors.items()}
    write(f"{place}/mistral", family, other, model_type="mistral",
          architectures=["MistralForCausalLM"])
