#!/usr/bin/env python3
"""Makes cases.txt beside it: merges computed by an independent numpy program, as XXH3-128 digests.

    python3 tests/golden/merge/make.py

Needs numpy and libxxhash. The definitions are those of mergekit 0.1.5's linear and slerp with this
project's order of sums (tiles of 65,536, eight lanes) and one rounding per coefficient.
Inputs are made by Philox4x32-10: element i of input j of a case is block i under key CASE * 1000 + j,
words a b: f32 (a as signed >> 8) * 2^(b % 8 - 30), or f64 (a:b as signed) * 2^-66; then rounded to
the input's dtype.
"""
import ctypes, math, os
import numpy as np

f4, f8 = np.float32, np.float64
xxh = ctypes.CDLL("libxxhash.so.0")
class U128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]
xxh.XXH3_128bits.restype = U128
xxh.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
xxh.XXH3_64bits_withSeed.restype = ctypes.c_uint64
xxh.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]

def digest(b):
    d = xxh.XXH3_128bits(b, len(b))
    return f"{d.high:016x}{d.low:016x}"

def philox(key, n):
    """n blocks: four arrays of words."""
    u = np.uint64
    m = u(0xFFFFFFFF)
    i = np.arange(n, dtype=u)
    c = [i & m, i >> u(32), i * u(0), i * u(0)]
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        p0, p1 = c[0] * u(0xD2511F53), c[2] * u(0xCD9E8D57)
        c = [(p1 >> u(32)) ^ c[1] ^ u(k0), p1 & m, (p0 >> u(32)) ^ c[3] ^ u(k1), p0 & m]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return [w.astype(np.uint32) for w in c]

def to_bf16(x):
    """bf16 bits of finite f32, to nearest even."""
    u = x.astype(f4).view(np.uint32).astype(np.uint64)
    return ((u + np.uint64(0x7FFF) + ((u >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16)).astype(np.uint16)

def pack(x, dtype):
    """Bytes of f32 (or, for f64, f64) values in a dtype."""
    if dtype == "f64":
        return x.astype("<f8").tobytes()
    if dtype == "bf16":
        return to_bf16(x).tobytes()
    return x.astype({"f32": "<f4", "f16": "<f2"}[dtype]).tobytes()

def rounded(x, dtype):
    """The values that those bytes hold, in f32 (f64 for f64)."""
    if dtype == "bf16":
        return (to_bf16(x).astype(np.uint32) << np.uint32(16)).view(f4)
    return x.astype({"f32": f4, "f16": np.float16, "f64": f8}[dtype]).astype(f8 if dtype == "f64" else f4)

def make(key, n, dtype):
    a, b, _, _ = philox(key, n)
    if dtype == "f64":
        v = ((a.astype(np.uint64) << np.uint64(32)) | b).view(np.int64)
        return v.astype(f8) * f8(2.0**-66)
    x = (a.view(np.int32) >> 8).astype(f4) * np.exp2((b % 8).astype(f8) - 30).astype(f4)
    return rounded(x, dtype)

def promote(dtypes):
    if len(set(dtypes)) == 1:
        return dtypes[0]
    return "f64" if "f64" in dtypes else "f32"

def fma32(x, w, acc):
    """Exact: the f64 sum is rounded to odd before it becomes f32."""
    p, a = x.astype(f8) * f8(w), acc.astype(f8)
    s = p + a
    bb = s - p
    err = (p - (s - bb)) + (a - bb)
    u = s.view(np.int64).copy()
    fix = (err != 0) & (u & 1 == 0)
    # toward the true value: away from zero when err has the sign of s
    u[fix] += np.where((err[fix] > 0) == (s[fix] > 0), 1, -1)
    return u.view(f8).astype(f4)

def fma64(x, w, acc):
    from fractions import Fraction as F
    return np.array([float(F(float(v)) * F(float(w)) + F(float(c))) for v, c in zip(x, acc)], dtype=f8)

def linear(xs, w, normalize, out):
    if out == "f64":
        acc = np.zeros(len(xs[0]), f8)
        for x, v in zip(xs, w):
            acc = fma64(x.astype(f8), v, acc)
        s = 0.0
        for v in w:
            s += v
        return acc / f8(s) if normalize else acc
    acc = np.zeros(len(xs[0]), f4)
    for x, v in zip(xs, w):
        acc = fma32(x, f4(v), acc)
    s = f4(0)
    for v in w:
        s = f4(s + f4(v))
    return acc / s if normalize else acc

def tile_sum(x):
    """Sum of f64 terms in this project's order."""
    total = 0.0
    for at in range(0, len(x), 65536):
        t = x[at:at + 65536]
        t = np.concatenate([t, np.zeros(-len(t) % 8)]).reshape(-1, 8)
        l = np.add.accumulate(t, axis=0)[-1]      # strictly one after the other
        total += float(((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7])))
    return total

def slerp(a, c, t):
    t = f4(t)
    na, nc = math.sqrt(tile_sum(a.astype(f8)**2)), math.sqrt(tile_sum(c.astype(f8)**2))
    na, nc = f4(1.0 if na <= 1e-8 else na), f4(1.0 if nc <= 1e-8 else nc)
    dot = f4(min(1.0, max(-1.0, tile_sum(((a / na) * (c / nc)).astype(f8)))))
    if abs(dot) > f4(0.9995):
        ka, kc = f4(1) - t, t
    else:
        th = math.acos(float(dot))
        ka = f4(math.sin((1.0 - float(t)) * th) / math.sin(th))
        kc = f4(math.sin(float(t) * th) / math.sin(th))
    return ka * a + kc * c

SIZES = (0, 1, 7, 65535, 65536, 65537, 200003)

def linear_cases():
    i = 0
    for n in SIZES:
        for dts, w, norm in ((["f32", "f32"], [0.3, 0.7], 1), (["bf16", "bf16"], [0.3, 0.5], 0),
                             (["f16", "f16", "f16"], [0.1, -0.4, 1.7], 1), (["bf16", "f16"], [1.0, 1.0], 1),
                             (["bf16", "f32", "bf16", "f32"], [1e-3, 2.5, 0.1, 1 / 3], 1)):
            i += 1
            yield i, dts, n, w, norm
    for n in (0, 1, 4099):
        for dts, w, norm in ((["f64", "f64"], [0.3, 0.7], 1), (["f64", "bf16"], [0.1, 0.6], 0)):
            i += 1
            yield i, dts, n, w, norm

def slerp_cases():
    i = 500
    for n in SIZES:
        for dts, t, rel in ((["f32", "f32"], 0.3, "free"), (["bf16", "bf16"], 0.5, "free"),
                            (["f16", "bf16"], 1.25, "free"), (["f64", "f16"], 0.7, "free"),
                            (["bf16", "bf16"], 0.4, "same"), (["f32", "f32"], 0.2, "negated"),
                            (["f32", "f32"], 0.5, "zero"), (["bf16", "bf16"], 0.0, "free"),
                            (["f16", "f16"], 1.0, "free")):
            i += 1
            yield i, dts, n, t, rel
    for t in (-0.3, -0.4, -0.61, -0.7, -0.13, 0.26, 0.29, 0.33, 0.37, 0.41, 0.43, 0.47):      # 1 - t is not exact in f32
        i += 1
        yield i, ["f32", "f32"], 65, t, "free"

def main():
    lines = ["# made by make.py: method case dtypes n parameters digest"]
    for i, dts, n, w, norm in linear_cases():
        xs = [make(1000 * i + j, n, d) for j, d in enumerate(dts)]
        y = pack(linear(xs, w, norm, promote(dts)), promote(dts))
        lines.append(f"linear {i} {','.join(dts)} {n} {norm} {','.join(map(repr, w))} {digest(y)}")
    for i, dts, n, t, rel in slerp_cases():
        a, c = (make(1000 * i + j, n, d) for j, d in enumerate(dts))
        c = {"free": c, "same": a, "negated": -a, "zero": np.zeros_like(c)}[rel]
        y = slerp(a.astype(f4), c.astype(f4), t)
        y = pack(y.astype(f8) if promote(dts) == "f64" else y, promote(dts))
        lines.append(f"slerp {i} {','.join(dts)} {n} {t} {rel} {digest(y)}")
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")

if __name__ == "__main__":
    main()
