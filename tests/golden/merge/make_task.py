#!/usr/bin/env python3
"""Makes task.txt beside it: merges of the task arithmetic family, as XXH3-128 digests of their bytes.

    python3 tests/golden/merge/make_task.py MERGE_ORACLE.py

MERGE_ORACLE.py is the numpy program that the description of the merge methods was proved with (it
needs torch, yaml, xxhash, safetensors). Where it and the description differ, this follows the
description: sums over inputs are f32 in their order from 0; NaN is the largest magnitude; before,
after and ratio of f16 stay f32. f64 it does not know: those cases are computed here.

A line: method, then NAME=VALUE: case, dtypes (of base and the others), shape, kind (of inputs),
math, weights, density, gamma, epsilon, masks, normalize, rescale, lambda, digest.

Inputs are made of Philox words as make.py has it: element i of input j is block i under key
CASE * 1000 + j, words a b; r_j = (a as signed >> 8) * 2^(b % 8 - 30) in f32, then by kind:
  free   x_j = r_j
  near   x_j = b + r_j / 64 (in f32, b as its dtype holds it)
  const  b = 0, x_j = a >> 31 ? -0.25 : 0.25
  few    b = 0, x_j = ((a >> 28) - 8) / 8
  wild   as free, but i % 1001 = 5 + j: NaN; i % 997 = 3 + j: infinity; i % 991 = 2 + j: minus infinity
"""
import importlib.util, math, os, sys
import numpy as np
import make as plain

spec = importlib.util.spec_from_file_location("oracle", sys.argv[1])
oracle = importlib.util.module_from_spec(spec)
spec.loader.exec_module(oracle)
f4, f8 = np.float32, np.float64
LONG = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}

# ---- the description where the oracle differs ----

def over_axis(x, **k):
    if k.get("axis") != 0:
        return np.sum(x.astype(f8), **k)
    acc = np.zeros(x.shape[1:], f4)
    for part in x:
        acc = acc + part.astype(f4)
    return acc

def order(x, descending):
    """Indexes by magnitude, equal ones by index; NaN is the largest."""
    m = np.abs(x).reshape(-1)
    key = np.where(np.isnan(m), np.inf, m)
    nan = np.isnan(m)
    i = np.arange(m.size)
    return np.lexsort((i, -key, ~nan) if descending else (i, key, nan))

def rescale(x, mask, on, dt):
    kept = oracle.R(x * mask.astype(f4), dt)
    if not on:
        return kept
    wide = "float32" if dt == "float16" else dt
    b, a = oracle.R(over_axis(np.abs(x)), wide), oracle.R(over_axis(np.abs(kept)), wide)
    if b < 1e-7 or a < 1e-7:
        return kept
    return oracle.R(kept * oracle.R(b / a, wide), dt)

def magnitude(x, dens, rs, dt):
    if dens >= 1:
        return x
    if dens <= 0 or x.size == 0:
        return np.zeros_like(x)
    mask = np.zeros(x.size, bool)
    mask[order(x, True)[:max(1, int(dens * x.size))]] = True
    return rescale(x, mask.reshape(x.shape), rs, dt)

def outliers(x, dens, gamma, rs, dt):
    if dens >= 1:
        return x
    n = x.size
    tn, nt = int(dens * n), int(gamma * n)
    nb = max(0, n - tn - nt)
    mask = np.zeros(n, bool)
    mask[order(x, False)[nb:nb + tn]] = True
    return rescale(x, mask.reshape(x.shape), rs, dt)

def dare(x, dens, rs, dt, key):
    if dens >= 1:
        return x
    if dens <= 0:
        return np.zeros_like(x)
    return oracle.R(rescale(x, keep(key, x.shape, dens), rs, oracle.wd(dt)), dt)

def ranks(x):
    y = np.moveaxis(x.reshape(1, -1) if x.ndim < 2 else x, 1, -1)
    m = np.abs(y)
    nan = np.isnan(m)
    by = np.argsort(np.where(nan, np.inf, m), axis=-1, kind="stable")
    by = np.take_along_axis(by, np.argsort(np.take_along_axis(nan, by, -1), axis=-1, kind="stable"), -1)
    return np.moveaxis(np.argsort(by, axis=-1, kind="stable"), -1, 1).astype(f4)

def chances(x, dens, eps):
    rk = ranks(x)
    return (f4(dens) - f4(eps)) + rk / f4(max(rk.shape[1] - 1, 1)) * f4(2) * f4(eps)

def della(x, dens, eps, rs, dt, key):
    if dens >= 1:
        return x
    if dens <= 0:
        return np.zeros_like(x)
    mask = keep(key, x.shape, chances(x, dens, eps).reshape(x.shape))
    return oracle.R(rescale(x, mask, rs, oracle.wd(dt)), dt)

def keep(key, shape, p):
    n = int(np.prod(shape))
    u = (oracle.philox(key, (n + 3) // 4)[:n] >> np.uint32(8)).astype(f4) * f4(2**-24)
    return u.reshape(shape) < (p if isinstance(p, np.ndarray) else f4(p))

oracle.S, oracle.magnitude, oracle.outliers = over_axis, magnitude, outliers
oracle.dare = lambda x, d, rs, dt, ctx: dare(x, d, rs, dt, KEYS[ctx[2]])
oracle.della = lambda x, d, e, rs, dt, ctx: della(x, d, e, rs, dt, KEYS[ctx[2]])

# ---- f64, step by step ----

def sparse64(kind, x, c, j):
    d, rs = c["density"][j], c["rescale"]
    if kind is None or d >= 1:
        return x
    if d <= 0 and kind != "out":
        return np.zeros_like(x)
    n, narrow = x.size, kind in ("rand", "della")
    mask = np.zeros(n, bool)
    if kind == "mag":
        mask[order(x, True)[:max(1, int(d * n))]] = True
    elif kind == "out":
        tn, nt = int(d * n), int(c["gamma"][j] * n)
        nb = max(0, n - tn - nt)
        mask[order(x, False)[nb:nb + tn]] = True
    elif kind == "rand":
        mask = keep(c["masks"][j], x.shape, d)
    else:
        mask = keep(c["masks"][j], x.shape, chances(x, d, c["epsilon"][j]).reshape(x.shape))
    t = f4 if narrow else f8
    x = x.astype(t)
    kept = x * mask.reshape(x.shape).astype(t)
    if rs:
        b, a = (t(plain.tile_sum(np.abs(v).astype(f8).reshape(-1))) for v in (x, kept))
        if not (b < t(1e-7) or a < t(1e-7)):
            kept = kept * (b / a)
    return kept.astype(f8)

def merge64(kind, consensus, base, xs, c):
    total = np.zeros_like(base)
    ds = [sparse64(kind, x - base, c, j) * c["weights"][j] for j, x in enumerate(xs)]
    for d in ds:
        total = total + d
    div = 0.0
    for w in c["weights"]:
        div += w
    div = 1.0 if abs(div) < 1e-8 else div
    if consensus:
        major, total, div = np.where(total >= 0, 1, -1), np.zeros_like(base), np.zeros_like(base)
        for d, w in zip(ds, c["weights"]):
            k = (np.sign(d) == major).astype(f8)
            total, div = total + d * k, div + w * k
        div = np.where(div == 0, 1.0, div)
    if c["normalize"]:
        total = total / div
    if c["lambda"] != 1:
        total = total * c["lambda"]
    return base + total

# ---- cases ----

def inputs(c):
    n, kind, out = int(np.prod(c["shape"])), c["kind"], []
    i = np.arange(n)
    for j, dt in enumerate(c["dtypes"]):
        a, b, _, _ = plain.philox(c["case"] * 1000 + j, n)
        x = (a.view(np.int32) >> 8).astype(f4) * np.exp2((b % 8).astype(f8) - 30).astype(f4)
        if j and kind == "near":
            x = out[0].reshape(-1).astype(f4) + x / f4(64)
        if kind == "const":
            x = np.where(a >> 31, f4(-0.25), f4(0.25)) if j else np.zeros(n, f4)
        if kind == "few":
            x = ((a >> np.uint32(28)).astype(f4) - f4(8)) / f4(8) if j else np.zeros(n, f4)
        if kind == "wild":
            x = np.where(i % 1001 == 5 + j, f4(np.nan), x)
            x = np.where(i % 997 == 3 + j, f4(np.inf), x)
            x = np.where(i % 991 == 2 + j, f4(-np.inf), x)
        out.append(plain.rounded(x, dt).reshape(c["shape"]))
    return out

def quiet(x, dtype):
    """As bytes; a NaN is the one without sign and payload."""
    b = np.frombuffer(plain.pack(x.reshape(-1), dtype), {"f64": "<u8", "f32": "<u4"}.get(dtype, "<u2")).copy()
    nan = {"f64": 0x7FF8 << 48, "f32": 0x7FC00000, "f16": 0x7E00, "bf16": 0x7FC0}[dtype]
    b[np.isnan(x.reshape(-1))] = nan
    return b.tobytes()

def result(method, c):
    global KEYS
    KEYS = c["masks"]
    xs, kept = inputs(c), plain.promote(c["dtypes"])
    kind, consensus = oracle.GTAM[method][:2]
    if kept == "f64":
        y = merge64(kind, consensus, xs[0].astype(f8), [x.astype(f8) for x in xs[1:]], c)
        return plain.digest(quiet(y, "f64"))
    work = kept if c["math"] == "inputs" else "f32"
    ps = [dict(weight=w, density=d, gamma=g, epsilon=e)
          for w, d, g, e in zip(c["weights"], c["density"], c["gamma"], c["epsilon"])]
    y = oracle.gta(kind, consensus, xs[0], xs[1:], ps, LONG[work], c["normalize"], c["rescale"], c["lambda"], 0, "")
    return plain.digest(quiet(np.asarray(y, f4), kept))

BIG = [(65535,), (65537,), (200003,), (3, 70000)]
SMALL = [(5, 7), (1,), (0,), (4, 1), (2, 37, 9), (3, 2, 5, 4)]
WEIGHTS = [0.3, 0.7, -0.4, 1.0, 0.11, 0.5, 1.9, 0.25]

def large_variants(n, shape):
    size = int(np.prod(shape))
    yield ["bf16"] * 3, shape, "near", "inputs", [0.5, 0.2], {}
    yield ["f16"] * 3, shape, "near", "inputs", [0.33, 1.0], {"rescale": n % 2}
    yield ["f32"] * 3, shape, "near", "inputs", [0.53, 0.8], {"rescale": n % 2}
    yield ["bf16"] * 3, shape, "near", "f32", [0.4, 0.7], {"normalize": n % 2, "lambda": 0.7}
    yield ["bf16"] * 2, shape, "const", "inputs", [1 / 3], {"rescale": 1}
    yield ["f32"] * 3, shape, "few", "inputs", [1 / 3, 0.6], {}
    yield ["bf16"] * 3, shape, "few", "f32", [0.45, 0.6], {"rescale": n % 2}
    yield ["f16"] * 3, shape, "few", "inputs", [0.3, 0.5], {"gamma": 0.3}
    yield ["bf16"] * 4, shape, "free", "inputs", [1 / size, 0.0, 0.9], {"rescale": 1}
    yield ["bf16"] * 3, shape, "wild", "inputs", [0.5, 0.7], {"rescale": 0, "gamma": 0.002}
    yield ["f32"] * 3, shape, "wild", "inputs", [0.6, 0.7], {"rescale": 0, "gamma": 0.002}
    yield ["f64", "f64", "bf16"], shape, "near", "inputs", [0.37, 0.6], {"rescale": n % 2}

def variants(method):
    """(dtypes, shape, kind, math, density, options)"""
    kind = oracle.GTAM[method][0]
    large = [v for n, shape in enumerate(BIG) for v in enumerate(large_variants(n, shape))]
    for at, (i, v) in enumerate(large):         # each with two of the shapes
        if (i + at // 12) % 2 == len(method) % 2:
            yield v
    yield ["f64"] * 3, (3, 70000), "few", "f32", [0.41, 0.6], {"rescale": 1}
    yield ["bf16"] * 2, (200003,), "const", "f32", [0.5], {"gamma": 0.25}
    yield ["bf16", "f16", "f32"], (65537,), "near", "inputs", [0.3, 0.6], {"rescale": 1}
    yield ["bf16"] * 3, (2, 131075), "near", "inputs", [0.3, 0.6], {}
    yield ["f32"] * 3, (2, 131075), "near", "inputs", [0.3, 0.6], {"rescale": 1}
    for dt in ("bf16", "f16", "f32"):
        for shape in SMALL:
            yield [dt] * 3, shape, "near", "inputs", [0.5, 0.31], {"rescale": 1}
        for k in range(1, 9):
            yield [dt] * (k + 1), (3, 701), "near", "inputs", [0.5, 0.31, 0.7, 0.9, 0.4, 0.6, 0.28, 0.8][:k], {"normalize": 1}
    yield ["bf16"] * 3, (3, 701), "near", "inputs", [0.5, 0.31], {"normalize": 1, "weights": [0.0, 0.0]}
    yield ["bf16"] * 3, (3, 701), "near", "inputs", [0.6, 0.31], {"normalize": 1, "weights": [0.5, -0.5]}
    if kind == "out":
        for d, g in ((0.0, 0.1), (0.9, 0.5), (0.3, 0.0), (0.5, 0.5), (0.99, 0.01)):
            for sort in ("few", "near"):
                yield ["bf16"] * 3, (200003,), sort, "inputs", [d, d], {"gamma": g}
                yield ["f32"] * 3, (200003,), sort, "inputs", [d, d], {"gamma": g}

def cases():
    case = 20000
    for method, (kind, _, norm, rs) in oracle.GTAM.items():
        for dts, shape, sort, math_, dens, opt in variants(method):
            case += 1
            k = len(dts) - 1
            if kind is None and (opt.get("gamma") or sort == "const"):
                continue
            eps = [0.1 if 0.1 < d < 0.9 else 0.02 for d in dens]
            dens = [d if kind != "della" or d in (0.0, 1.0) else min(max(d, 0.05), 0.95) for d in dens]
            masks = [(case * 0x9E3779B97F4A7C15 + j * 0xD1B54A32D192ED03) % 2**64 for j in range(k)]
            c = {"case": case, "dtypes": dts, "shape": shape, "kind": sort, "math": math_, "weights": WEIGHTS[:k],
                 "density": dens, "gamma": [opt.get("gamma", 0.01)] * k, "epsilon": eps, "masks": masks,
                 "normalize": int(norm), "rescale": int(rs), "lambda": 1.0}
            c.update({o: v for o, v in opt.items() if o in c and o != "gamma"})
            yield method, c

def main():
    lines = ["# made by make_task.py: see there"]
    for method, c in cases():
        y = result(method, c)
        words = [f"{k}={','.join(map(str, v)) if isinstance(v, (list, tuple)) else v}" for k, v in c.items()]
        lines.append(" ".join([method] + words + [f"digest={y}"]))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "task.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")
    print(len(lines) - 1, "cases")

if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
