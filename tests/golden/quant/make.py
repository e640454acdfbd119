#!/usr/bin/env python3
"""Makes this folder's cases.txt, and checks the reference it is made from.

    make.py REFERENCE TYPE...

REFERENCE is a folder with index.json, inputs.f32, imatrix.f32 and one TYPE.bin (TYPE.im.bin: with
imatrix) per type, as llama.cpp's chunk quantizers wrote them (ggml 0.25.3, scalar, no contraction).
Files of the named types are copied here. Each block is decoded by the numpy code below, which knows
nothing of engine/kernel; its SHA-256 must be the one that index.json holds from llama.cpp, and
its XXH3-128 goes into cases.txt, so that a test needs no SHA-256. Needs numpy and xxhash.

cases.txt, a line each, fields by space:
    TYPE plain|imatrix FILE CASE ROWS COLS INPUT_OFF IMATRIX_OFF OFF SIZE ok|bad DIGEST|-
INPUT_OFF and IMATRIX_OFF count f32, OFF and SIZE bytes in FILE. bad: a scale that is not finite.
"""
import hashlib
import json
import os
import shutil
import sys

import numpy as np
import xxhash

F = np.float32


def half(blocks, at):
    return blocks[:, at : at + 2].copy().view("<f2").astype(F)


def q8_0(b):
    return b[:, 2:].view(np.int8).astype(F) * half(b, 0)


def q4_0(b):
    return (halves(b[:, 2:]).astype(F) - F(8)) * half(b, 0)


def q3_k(b):
    high, low, s, d = b[:, :32], b[:, 32:96], b[:, 96:108], half(b, 108)
    low = twos(low)
    high = np.concatenate([high >> k & 1 for k in range(8)], axis=1)
    scale = np.stack(
        [(s[:, j % 8] >> (4 if j > 7 else 0) & 15) | (s[:, 8 + j % 4] >> 2 * (j // 4) & 3) << 4 for j in range(16)],
        axis=1,
    )
    dl = d * (scale.astype(F) - F(32))
    return np.repeat(dl, 16, axis=1) * (low.astype(F) - np.where(high, F(0), F(4)))


def scale_min(b):
    s = b[:, 4:16]
    scale = [s[:, j] & 63 if j < 4 else (s[:, j + 4] & 15) | (s[:, j - 4] >> 6) << 4 for j in range(8)]
    low = [s[:, j + 4] & 63 if j < 4 else s[:, j + 4] >> 4 | (s[:, j] >> 6) << 4 for j in range(8)]
    d = half(b, 0) * np.stack(scale, axis=1).astype(F)
    m = half(b, 2) * np.stack(low, axis=1).astype(F)
    return np.repeat(d, 32, axis=1), np.repeat(m, 32, axis=1)


def nibbles(q):
    return np.concatenate([q[:, 32 * c : 32 * c + 32] >> 4 * k & 15 for c in range(4) for k in (0, 1)], axis=1)


def q4_k(b):
    d, m = scale_min(b)
    return d * nibbles(b[:, 16:]).astype(F) - m


def q5_k(b):
    d, m = scale_min(b)
    high = np.concatenate([b[:, 16:48] >> j & 1 for j in range(8)], axis=1)
    return d * (nibbles(b[:, 48:]) | high << 4).astype(F) - m


def q6_k(b):
    d = half(b, 208) * b[:, 192:208].view(np.int8).astype(F)
    parts = []
    for h in (0, 1):
        low, high = b[:, 64 * h : 64 * h + 64], b[:, 128 + 32 * h : 160 + 32 * h]
        for k in range(4):
            nibble = low[:, 32 * (k % 2) : 32 * (k % 2) + 32] >> 4 * (k // 2) & 15
            parts.append(nibble | (high >> 2 * k & 3) << 4)
    return np.repeat(d, 16, axis=1) * (np.concatenate(parts, axis=1).astype(F) - F(32))


def f16(b):
    return b.view("<f2").astype(F)


def bf16(b):
    return (b.view("<u2").astype(np.uint32) << 16).view(F)


def halves(q):
    return np.concatenate([q & 15, q >> 4], axis=1)


def q4_1(b):
    return halves(b[:, 4:]).astype(F) * half(b, 0) + half(b, 2)


def five(b):
    high = np.unpackbits(b[:, :4], axis=1, bitorder="little")
    return (halves(b[:, 4:]) | high << 4).astype(F)


def q5_0(b):
    return (five(b[:, 2:]) - F(16)) * half(b, 0)


def q5_1(b):
    return five(b[:, 4:]) * half(b, 0) + half(b, 2)


def twos(q):
    return np.concatenate([q[:, 32 * h : 32 * h + 32] >> 2 * k & 3 for h in (0, 1) for k in range(4)], axis=1)


def q2_k(b):
    d = half(b, 80) * (b[:, :16] & 15).astype(F)
    m = half(b, 82) * (b[:, :16] >> 4).astype(F)
    return np.repeat(d, 16, axis=1) * twos(b[:, 16:80]).astype(F) - np.repeat(m, 16, axis=1)


IQ4 = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], F)


def iq4_nl(b):
    return half(b, 0) * IQ4[halves(b[:, 2:])]


def iq4_xs(b):
    high = b[:, 2:4].copy().view("<u2").astype(int)
    scale = [(b[:, 4 + j // 2] >> 4 * (j % 2) & 15) | (high[:, 0] >> 2 * j & 3) << 4 for j in range(8)]
    d = half(b, 0) * (np.stack(scale, axis=1).astype(F) - F(32))
    q = np.concatenate([halves(b[:, 8 + 16 * j : 24 + 16 * j]) for j in range(8)], axis=1)
    return np.repeat(d, 32, axis=1) * IQ4[q]


def tq2_0(b):
    return (twos(b[:, :64]).astype(F) - F(1)) * half(b, 64)


def digits(q, n):
    """The first n digits to base 3 of q / 256, each rounded as the definition rounds it."""
    power = np.array([3**k for k in range(n)], np.uint8)
    return np.concatenate([(q * p).astype(np.uint16) * 3 >> 8 for p in power], axis=1)


def tq1_0(b):
    t = [digits(b[:, :32], 5), digits(b[:, 32:48], 5), digits(b[:, 48:52], 4)]
    return (np.concatenate(t, axis=1).astype(F) - F(1)) * half(b, 52)


FP4 = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], F)


def mxfp4(b):
    return FP4[halves(b[:, 1:])] * np.ldexp(F(1), b[:, :1].astype(int) - 128).astype(F)


def nvfp4(b):
    u = b[:, :4].astype(int)
    e, m = u >> 3 & 15, u & 7
    s = np.where(e == 0, m * 2.0**-9, (1 + m / 8) * 2.0 ** (e - 7)) / 2
    s = np.where(u == 0x7F, 0, s).astype(F)
    q = np.concatenate([halves(b[:, 4 + 8 * j : 12 + 8 * j]) for j in range(4)], axis=1)
    return FP4[q] * np.repeat(s, 16, axis=1)


def q1_0(b):
    return np.where(np.unpackbits(b[:, 2:], axis=1, bitorder="little"), half(b, 0), -half(b, 0))


def q2_0(b):
    q = np.stack([b[:, 2:] >> 2 * k & 3 for k in range(4)], axis=2).reshape(len(b), 64)
    return (q.astype(F) - F(1)) * half(b, 0)


TYPES = (f16, bf16, q8_0, q4_0, q3_k, q4_k, q5_k, q6_k, q4_1, q5_0, q5_1, q2_k)
TYPES += (iq4_nl, iq4_xs, tq1_0, tq2_0, mxfp4, nvfp4, q1_0, q2_0)
DECODE = {f.__name__: f for f in TYPES}


def lines(index, source, name):
    kind = index["expected"][name]
    plain = name.removesuffix(".im")
    size = index["types"][plain]["bytes"]
    blob = open(os.path.join(source, kind["file"]), "rb").read()
    for case, want in zip(index["cases"], kind["cases"], strict=True):
        data = blob[want["off"] : want["off"] + want["size"]]
        assert hashlib.sha256(data).hexdigest() == want["sha256"], (name, case["name"])
        digest = "-"
        if want["dequant_sha256"]:
            blocks = np.frombuffer(data, np.uint8).reshape(-1, size)
            with np.errstate(all="ignore"):
                y = DECODE[plain.lower()](blocks).astype("<f4").tobytes()
            assert hashlib.sha256(y).hexdigest() == want["dequant_sha256"], (name, case["name"])
            digest = xxhash.xxh3_128(y).hexdigest()
        yield " ".join(
            str(v)
            for v in (
                plain.lower(), "plain" if plain == name else "imatrix", kind["file"], case["name"],
                case["rows"], case["cols"], case["input_off"], case["imatrix_off"],
                want["off"], want["size"], "ok" if want["valid"] else "bad", digest,
            )
        )  # fmt: skip


def main():
    source, names = sys.argv[1], sys.argv[2:]
    here = os.path.dirname(os.path.abspath(__file__))
    index = json.load(open(os.path.join(source, "index.json")))
    out = []
    for name in names:
        for kind in (name, name + ".im"):
            if kind in index["expected"]:
                out += lines(index, source, kind)
                shutil.copyfile(os.path.join(source, index["expected"][kind]["file"]), os.path.join(here, kind + ".bin"))
    for name in ("inputs.f32", "imatrix.f32"):
        shutil.copyfile(os.path.join(source, name), os.path.join(here, name))
    with open(os.path.join(here, "cases.txt"), "w") as f:
        f.write("".join(line + "\n" for line in out))
    print(len(out), "cases")


main()
