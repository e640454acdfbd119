#!/usr/bin/env python3
"""Makes synthetic.txt and rope.txt beside it by independent numpy programs.

    python3 tests/golden/op/make.py

synthetic.txt: name seed first type hex-of-eight-elements. rope.txt: head_dim base factor low high
old hex-of-f32s; the line marked gguf is the tensor rope_freqs.weight that convert_hf_to_gguf wrote
for a small Llama 3 (head_dim 16, rope_theta 500000), kept as it was found.
"""
import math, os, sys
sys.dont_write_bytecode = True
import numpy as np
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "merge"))
import make as merge

f4 = np.float32
GGUF = "0000803f0000803f0000803f0000803f2e732c40000000410000004100000041"

def block(key, i):
    """One Philox block by whole-number arithmetic, unlike merge.philox."""
    c, k = [i & 0xFFFFFFFF, i >> 32, 0, 0], [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        p, q = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(q >> 32) ^ c[1] ^ k[0], q & 0xFFFFFFFF, (p >> 32) ^ c[3] ^ k[1], p & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c

def synthetic(name, seed, first, dtype):
    if name.endswith("norm.weight"):
        x = [f4(1)] * 8
    elif name.endswith(".bias"):
        x = [f4(0)] * 8
    else:
        text = b"vbuild.synthetic.v1\n" + name.encode()
        key = merge.xxh.XXH3_64bits_withSeed(text, len(text), seed & (2**64 - 1))
        x = [f4(sum(w >> 16 for w in block(key, i)) - 131070) * f4(5.2858e-7) for i in range(first, first + 8)]
    return merge.pack(np.array(x, f4), dtype).hex()

def rope(hd, base, factor, low, high, old):
    out = []
    for i in range(hd // 2):
        e = f4(2 * i) / f4(hd)
        p = f4(math.pow(base, float(e)))
        fr = f4(1) / p
        w = (f4(1) / fr) * f4(2 * math.pi)
        if w < f4(old / high):
            y = f4(1)
        elif w > f4(old / low):
            y = f4(factor)
        else:
            s = ((f4(1) / w) * f4(old) - f4(low)) / f4(high - low)
            y = f4(1) / ((f4(1) - s) / f4(factor) + s)
        out.append(f4(y))
    return np.array(out, "<f4").tobytes().hex()

NAMES = ("model.layers.0.self_attn.q_proj.weight", "model.embed_tokens.weight", "lm_head.weight",
         "model.norm.weight", "model.layers.3.input_layernorm.weight", "model.layers.1.self_attn.k_norm.weight",
         "model.layers.0.self_attn.q_proj.bias", "x")
ROPES = ((128, 500000.0, 8.0, 1.0, 4.0, 8192), (64, 500000.0, 32.0, 1.0, 4.0, 8192), (2, 10000.0, 8.0, 1.0, 4.0, 8192),
         (96, 10000.0, 8.0, 1.0, 4.0, 8192), (80, 1e6, 2.5, 0.5, 3.0, 4096), (256, 2500000.5, 16.0, 1.0, 2.0, 32768))

def main():
    with open(os.path.join(HERE, "synthetic.txt"), "w") as f:
        for name in NAMES:
            for seed in (0, 7, -1, 2**62 + 5):
                for first in (0, 13, 2**32 - 4, 2**40):
                    for dtype in ("f32", "bf16", "f16"):
                        f.write(f"{name} {seed} {first} {dtype} {synthetic(name, seed, first, dtype)}\n")
    with open(os.path.join(HERE, "rope.txt"), "w") as f:
        f.write(f"gguf 16 500000.0 8.0 1.0 4.0 8192 {GGUF}\n")
        for r in ROPES:
            f.write(f"numpy {' '.join(map(str, r))} {rope(*r)}\n")

if __name__ == "__main__":
    main()
