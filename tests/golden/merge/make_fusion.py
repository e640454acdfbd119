#!/usr/bin/env python3
"""Makes fusion.txt beside it: nearswap, ram, ramplus_tl, sce and arcee_fusion by an independent numpy
program, as XXH3-128 digests of their bytes.

    python3 tests/golden/merge/make_fusion.py

Needs what make.py needs. The definitions are those of mergekit 0.1.5, rounded to the work dtype W after
every step, with this project's order of sums along a vector (tiles of 65,536, eight lanes), sums over
inputs in f32 in their order, the first of equals first, and exact order statistics. A line is

    method case dtypes shape kind math parameters digest

where the digest is "refused" if NaN, infinity or an overflow would reach every element.

Inputs are made of Philox words as make.py has it: element i of input j is block i under key
CASE * 1000 + j, words a b; r_j as make.py's f32 (of f64 inputs: its f64), then by kind, in f32 (f64 if
the input is), to the input's dtype:
  near    x_0 = r_0, x_j = x_0 + r_j / 64
  sparse  as near, but x_j = x_0 where b >> 8 is not a multiple of 4
  few     x_0 = 0, x_j = ((a >> 28) - 8) / 8
  same    x_j = r_0
  zero    x_j = 0
  wild    as near, but i % 1001 = 5 + j: NaN; i % 997 = 3 + j: infinity; i % 991 = 2 + j: minus infinity
"""
import os
import numpy as np
from make import digest, f4, f8, pack, philox, promote, rounded, tile_sum
from make_sphere import F, R, along, one, total

NAN = {"f64": "<u8", "f32": "<u4", "f16": "<u2", "bf16": "<u2"}
QUIET = {"f64": 0x7FF8 << 48, "f32": 0x7FC00000, "f16": 0x7E00, "bf16": 0x7FC0}

def put(y, dtype):
    """Bytes; NaN as the one there is."""
    with np.errstate(all="ignore"):
        bits = np.frombuffer(bytearray(pack(y, dtype)), NAN[dtype])
    bits[np.isnan(y)] = QUIET[dtype]
    return bits.tobytes()

# ---- inputs ----

def drawn(case, j, n, dtype):
    a, b, _, _ = philox(1000 * case + j, n)
    if dtype == "f64":
        v = ((a.astype(np.uint64) << np.uint64(32)) | b).view(np.int64)
        return a, b, v.astype(f8) * f8(2.0**-66)
    return a, b, (a.view(np.int32) >> 8).astype(f4) * np.exp2((b % 8).astype(f8) - 30).astype(f4)

def inputs(case, dtypes, n, kind):
    xs = []
    for j, dtype in enumerate(dtypes):
        a, b, r = drawn(case, j, n, dtype)
        wide = f8 if dtype == "f64" else f4
        if kind == "zero":
            x = np.zeros(n, wide)
        elif kind == "few":
            x = ((a >> 28).astype(wide) - wide(8)) / wide(8) if j else np.zeros(n, wide)
        elif kind == "same":
            x = drawn(case, 0, n, dtype)[2]
        else:
            x = xs[0].astype(wide) + r / wide(64) if j else r
        if kind == "sparse" and j:
            x = np.where((b >> 8) % 4 == 0, x, xs[0].astype(wide))
        if kind == "wild":
            i = np.arange(n)
            for m, k, v in ((1001, 5, np.nan), (997, 3, np.inf), (991, 2, -np.inf)):
                x = np.where(i % m == k + j, wide(v), x)
        with np.errstate(all="ignore"):
            xs.append(rounded(x, dtype))
    return xs

# ---- methods: inputs of W's values, base first ----

def deltas(xs, W):
    return [R(x - xs[0], W) for x in xs[1:]]

def clip(x, low, high):
    """NaN passes."""
    return np.where(x < low, low, np.where(x > high, high, x)).astype(x.dtype)

def nearswap(xs, W, t):
    b, x = xs
    w = R(F[W](1) / clip(np.abs(R(b - x, W)), R(1e-6, W), F[W](np.inf)), W)
    w = clip(R(w * one(t, W), W), F[W](0), F[W](1))
    return R(R(w * x, W) + R(R(F[W](1) - w, W) * b, W), W), W

def changes(xs, W, epsilon):
    T = deltas(xs, W)
    nz = [np.abs(t) > R(one(epsilon, W), W) for t in T]
    c = np.sum(nz, axis=0)
    return T, nz, c, np.maximum(c, 1).astype(F[W])

def ram(xs, W, epsilon):
    T, nz, c, most = changes(xs, W, epsilon)
    parts = [R(t * z * (c == 1) + R(t * z * (c > 1) / most, W), W) for t, z in zip(T, nz)]
    return R(xs[0] + total(parts, W), W), W

def ramplus_tl(xs, W, r, alpha, epsilon):
    out = "f64" if W == "f64" else "f32"
    T, nz, c, most = changes(xs, W, epsilon)
    acc = np.zeros_like(xs[0], F[out])
    for t, z in zip(T, nz):
        shared, own = f4(np.count_nonzero(z & (c > 1))), f4(np.count_nonzero(z & (c == 1)))
        lam = f4(1) + f4(r) * np.minimum(shared / np.maximum(own, f4(epsilon)), f4(alpha))
        acc = acc + (t * z * (c == 1) * F[out](lam) + R(t * z * (c > 1) / most, W))
    return xs[0] + acc, out

def sce(xs, W, topk):
    T, k, n = deltas(xs, W), len(xs) - 1, xs[0].size
    if topk < 1:
        mean, v = np.zeros(n), np.zeros(n)
        for t in T:
            mean = mean + t.astype(f8)
        for t in T:
            d = t.astype(f8) - mean / k
            v = v + d * d
        v = R(v / k, W)
        count = int(np.count_nonzero(v) * topk)
        size = np.where(np.isnan(v), np.inf, v)
        mask = np.zeros(n, bool)
        mask[np.lexsort((np.arange(n), -size, ~np.isnan(v)))[:count]] = True
        T = [R(t * mask, W) for t in T]
    plus = total(T, W) >= 0
    keep = [np.where(plus, t > 0, t < 0) for t in T]
    w = [R(F[W](tile_sum(R(t * t, W).astype(f8)) / n), W) for t in T]
    if not all(np.isfinite(v) for v in w):
        return None, W
    s = total(w, W)
    w = [R(F[W](1.0 / k) if abs(float(s)) < 1e-6 else v / s, W) for v in w]
    e = [np.where(z, v, F[W](0)) for z, v in zip(keep, w)]
    y = total([R(t * v, W) for t, v in zip(T, e)], W)
    return R(xs[0] + R(y / np.maximum(total(e, W), R(1e-6, W)), W), W), W

def softmax(x, W):
    with np.errstate(invalid="ignore"):
        e = np.exp(x.astype(f8) - x.astype(f8).max(axis=1)[:, None])
        return R(R((e / along(e)[:, None]).astype(F[W]), W) + one(1e-8, W), W)

def arcee_fusion(xs, W, cols):
    out = "f64" if W == "f64" else "f32"
    b, x = (v.reshape(-1, cols) for v in xs)
    p, q = softmax(x, W), softmax(b, W)
    terms = R(p * R(np.log(R(p / q, W).astype(f8)), W), W)
    kl = R(along(terms.astype(f8)), W)
    d = R(x - b, W)
    imp = R(np.abs(d) * kl[:, None], W).reshape(-1)
    s = np.sort(imp)
    q1, med, q3 = (s[int(f4(z) * f4(imp.size - 1))] for z in (0.25, 0.5, 0.75))
    th = R(med + R(one(1.5, W) * R(q3 - q1, W), W), W)
    return xs[0] + d.reshape(-1) * (imp >= th).astype(F[out]), out

# ---- cases ----

SHAPES = ((0,), (1,), (65535,), (65537,), (200003,), (3, 70000))
TYPES = (["bf16", "bf16"], ["f16", "f16"], ["f32", "f32"])

def more(dtypes, k):
    return [dtypes[0]] * (k + 1)

def cases():
    for i, shape in enumerate(SHAPES):
        for dt in TYPES + ((["f64", "bf16"],) if i < 4 else ()):
            for math in ("inputs", "f32"):
                t = {"bf16": 0.004, "f16": 0.001}.get(dt[0], 1e-5)
                yield "nearswap", dt, shape, "near", math, (t,)
                yield "ram", more(dt, 1 + i % 4), shape, "sparse", math, (1e-5,)
                yield "ramplus_tl", more(dt, 2 + i % 3), shape, "sparse", math, (0.1, 0.2, 1e-5)
                yield "sce", more(dt, 1 + i % 4), shape, "near", math, (1,)
                yield "sce", more(dt, 2 + i % 3), shape, "sparse", math, (0.3,)
                if "f64" not in dt:
                    yield "arcee_fusion", dt, shape, "near", math, ()
    for dt in TYPES:
        yield "arcee_fusion", dt, (1200, 1000), "near", "inputs", ()
        yield "arcee_fusion", dt, (1171, 7), "sparse", "inputs", ()
        yield "sce", more(dt, 3), (200003,), "few", "inputs", (1 / 3,)      # equal variances everywhere
        yield "sce", more(dt, 8), (1000, 7), "few", "inputs", (0.999,)
        for kind in ("same", "zero", "wild"):
            yield "nearswap", dt, (70001,), kind, "inputs", (0.5,)
            yield "ram", more(dt, 8), (70001,), kind, "inputs", (1e-5,)
            yield "ramplus_tl", more(dt, 8), (70001,), kind, "inputs", (0.5, 3, 1e-3)
            yield "sce", more(dt, 2), (70001,), kind, "inputs", (0.5,)
            yield "sce", more(dt, 8), (70001,), kind, "inputs", (1,)
            yield "sce", more(dt, 2), (70001,), kind, "inputs", (0,)
            yield "arcee_fusion", dt, (10, 7000), kind, "inputs", ()
    yield "nearswap", ["bf16", "f32"], (4099,), "near", "inputs", (1e-3,)
    yield "ram", ["bf16", "f16", "f32"], (4099,), "sparse", "inputs", (1e-3,)
    yield "ramplus_tl", ["f16", "f16", "bf16"], (4099,), "sparse", "f32", (0.3, 0.2, 1e-3)
    yield "sce", ["bf16", "f16", "bf16"], (4099,), "near", "inputs", (0.7,)
    yield "arcee_fusion", ["bf16", "f32"], (4099,), "near", "f32", ()

def result(method, case, dtypes, shape, kind, math, params):
    n = int(np.prod(shape))
    wide = "f64" if "f64" in dtypes else "f32"
    W = promote(dtypes) if math == "inputs" else wide
    xs = [x.astype(F[W]) for x in inputs(case, dtypes, n, kind)]
    out = promote(dtypes)
    if n == 0:
        return b""
    if method == "arcee_fusion":
        params = (shape[-1],)
    with np.errstate(all="ignore"):
        y, gives = globals()[method](xs, W, *params)
    return None if y is None else put(y, gives if math == "inputs" else out)

def main():
    lines = ["# made by make_fusion.py: method case dtypes shape kind math parameters digest"]
    for i, (method, dtypes, shape, kind, math, params) in enumerate(cases()):
        y = result(method, 3000 + i, dtypes, shape, kind, math, params)
        words = ",".join(dtypes), ",".join(map(str, shape)), kind, math, ",".join(map(str, params)) or "-"
        last = "refused" if y is None else digest(y)
        lines.append(f"{method} {3000 + i} {' '.join(words)} {last}")
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "fusion.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")

if __name__ == "__main__":
    main()
