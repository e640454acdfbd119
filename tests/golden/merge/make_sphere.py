#!/usr/bin/env python3
"""Makes sphere.txt beside it: nuslerp, multislerp, karcher and model_stock by an independent numpy
program, as XXH3-128 digests (f64: as samples, since libm's sin may differ in its last bit).

    python3 tests/golden/merge/make_sphere.py

Needs what make.py needs, whose inputs these are (case * 1000 + j). The definitions are those of
mergekit 0.1.5, rounded to the work dtype W after every step, with this project's order of sums
along a vector (tiles of 65,536, eight lanes; down a column blocks of 1,024 rows, each in order) and
sums over inputs in f32. A line is

    method case dtypes shape math parameters relation digest

Relations change inputs after they are made: same (all are input 0), negated (the last is minus
input 0), zero (the last is 0), zeros (all but input 0 are 0), based (all are input 0), near (every
other one is input 0 plus a 64th of itself). Where the result is not finite the digest is "refused".
"""
import math, os
import numpy as np
from make import digest, f4, f8, make, pack, promote, rounded, tile_sum

F = {"bf16": f4, "f16": f4, "f32": f4, "f64": f8}

def R(x, W):
    """To W; scalars and arrays, f64 sums by way of f32."""
    if W == "f64":
        return np.asarray(x, f8)
    with np.errstate(over="ignore"):
        return rounded(np.asarray(x).astype(f4), W).astype(f4)

def one(x, W):
    """A scalar as f32 steps see it."""
    return F[W](x)

def fun(f, x, W):
    """acos, sin, cos in f64 of the argument, to f32, then R."""
    return R(np.vectorize(f, otypes=[f8])(np.asarray(x, f8)), W)

def along(x):
    """Sums of the rows of an f64 matrix, each by tiles."""
    if x.shape[1] > 65536:
        return np.array([tile_sum(r) for r in x], f8)
    t = np.concatenate([x, np.zeros((len(x), -x.shape[1] % 8 + 8 * (x.shape[1] == 0)))], axis=1)
    l = np.add.accumulate(t.reshape(len(x), -1, 8), axis=1)[:, -1].T    # one after the other
    return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))

def down(x):
    """The same of columns that lie as rows: by blocks of 1,024, each one after the other."""
    total = np.zeros(len(x))
    for i in range(0, x.shape[1], 1024):
        total = total + np.add.accumulate(x[:, i:i + 1024], axis=1)[:, -1]
    return total

def norms(x, sums=along):
    return np.sqrt(sums(x.astype(f8) ** 2))

def total(xs, W):
    """Over inputs: f32 from 0, then R."""
    acc = np.zeros_like(np.asarray(xs[0], F[W]))
    for x in xs:
        acc = acc + x
    return R(acc, W)

def nuslerp_rows(a, b, t, W, sums):
    """Rows of two matrices."""
    def unit(x):
        return R(x / np.maximum(R(norms(x, sums), W), R(1e-7, W))[:, None], W)
    here, there = one(1 - t, W), one(t, W)
    c = R(np.clip(R(sums(R(unit(a) * unit(b), W).astype(f8)), W), -1, 1), W)
    line = R(1 - R(c * c, W), W) <= R(1e-16, W)
    th = fun(math.acos, np.where(line, 0, c), W)
    s = fun(math.sin, th, W)
    A, B = fun(math.sin, R(here * th, W), W), fun(math.sin, R(there * th, W), W)
    with np.errstate(all="ignore"):
        arc = R(R(R(A[:, None] * a, W) + R(B[:, None] * b, W), W) / s[:, None], W)
    straight = R(R(here * a, W) + R(there * b, W), W)
    return np.where(line[:, None], straight, arc)

def nuslerp(xs, W, base, t, axis):
    shape = xs[0].shape
    v = [R(x - xs[0], W) for x in xs[1:]] if base else xs
    if axis == "flat" or len(shape) == 1:
        v = [x.reshape(1, -1) for x in v]
    elif axis == "last":
        v = [x.reshape(-1, shape[-1]) for x in v]
    else:
        v = [x.reshape(shape[0], -1).T for x in v]
    columns = axis == "first" and len(shape) > 1
    y = nuslerp_rows(v[0], v[1], t, W, down if columns else along)
    y = (y.T if columns else y).reshape(shape)
    return R(xs[0] + y, W) if base else y

def multislerp(xs, W, base, weights, normalize, eps):
    b = xs[0].reshape(1, -1)
    x = [v.reshape(1, -1) for v in (xs[1:] if base else xs)]
    if len(x) == 1:
        return R(x[0].reshape(xs[0].shape), W)
    if base:
        x = [R(v - b, W) for v in x]
    w = [R(v, W) for v in weights]
    if normalize:
        s = total(w, W)
        w = [R(v / s, W) for v in w]
    if not any(np.any(v) for v in x):
        return xs[0] if base else np.zeros_like(xs[0])
    n = [R(norms(v)[0], W) for v in x]
    u = [R(v / R(m + one(eps, W), W), W) for v, m in zip(x, n)]
    mean = total([R(v * q, W) for v, q in zip(u, w)], W)
    mn = R(norms(mean)[0], W)
    if mn < R(eps, W) or mn == 0:
        if len(x) != 2:
            return np.full_like(xs[0], np.nan)      # refused
        y = R(R(x[0] * w[0], W) + R(x[1] * w[1], W), W)
    else:
        mean = R(mean / mn, W)
        tan = []
        for v, q in zip(u, w):
            d = R(along(R(v * mean, W).astype(f8))[0], W)
            tan.append(R(R(v - R(d * mean, W), W) * q, W))
        T = total(tan, W)
        tn = R(R(norms(T)[0], W) + one(eps, W), W)
        y = R(R(mean * fun(math.cos, tn, W), W) + R(T * R(fun(math.sin, tn, W) / tn, W), W), W)
        y = R(y * total([R(m * q, W) for m, q in zip(n, w)], W), W)
    y = R(y + b, W) if base else y
    return y.reshape(xs[0].shape)

def karcher(xs, W, max_iter, tol):
    x = [v.reshape(1, -1) for v in xs]
    if len(x) == 1:
        return xs[0]
    T = F[W]
    n = [T(norms(v)[0]) for v in x]
    valid = [i for i in range(len(x)) if float(n[i]) > tol]
    if not valid:
        return np.zeros_like(xs[0])
    u = {i: R(x[i] / n[i], W) for i in valid}
    a = T(1 / len(valid))
    m = np.zeros_like(x[0])
    for i in valid:
        m = R(m + R(a * u[i], W), W)
    mn = T(norms(m)[0])
    m = u[valid[0]] if float(mn) < tol else R(m / mn, W)
    for _ in range(max_iter):
        g = np.zeros_like(m)
        for i in valid:
            d = R(np.clip(R(along(m.astype(f8) * u[i].astype(f8))[0], W), -1, 1), W)
            th = fun(math.acos, d, W)
            if float(th) < tol or th == 0:
                continue
            g = R(g + R(R(a * R(th / fun(math.sin, th, W), W), W) * R(u[i] - R(d * m, W), W), W), W)
        gn = T(norms(g)[0])
        if float(gn) < tol or gn == 0:
            break
        m = R(R(R(math.cos(gn), W) * m, W) + R(R(math.sin(gn), W) * R(g / gn, W), W), W)
        un = T(norms(m)[0])
        if float(un) > tol:
            m = R(m / un, W)
    s = T(0)
    for v in n:
        s = T(s + T(T(1 / len(x)) * v))
    return R(R(s, W) * m, W).reshape(xs[0].shape)

def model_stock(xs, W, filter_wise):
    shape = xs[0].shape
    v = [x.reshape(math.prod(shape[:-1]) if filter_wise else 1, -1) for x in xs]
    b, x = v[0], v[1:]
    k = len(x)
    o = [R(q - b, W) for q in x]
    n = [R(norms(q), W) for q in o]
    cs = []
    for i in range(k):
        for j in range(i + 1, k):
            dot = R(along(R(o[i] * o[j], W).astype(f8)), W)
            least = np.maximum(R(n[i] * n[j], W), R(1e-6, W))
            cs.append(R(np.clip(R(dot / least, W), -1, 1), W))
    acc = np.zeros_like(cs[0])
    for c in cs:
        acc = acc + c
    c = R(acc / one(len(cs), W), W)
    den = R(1 + R(one(k - 1, W) * c, W), W)
    none = np.abs(den) < R(1e-6, W)
    t = np.where(none, F[W](0), R(R(one(k, W) * c, W) / np.where(none, F[W](1), den), W))[:, None]
    avg = x[0]
    for q in x[1:]:
        avg = R(avg + q, W)
    avg = R(avg / one(k, W), W)
    return R(R(t * avg, W) + R(R(1 - t, W) * b, W), W).reshape(shape)

METHODS = {f.__name__: f for f in (nuslerp, multislerp, karcher, model_stock)}

def relate(xs, relation, W):
    if relation == "same" or relation == "based":
        return [xs[0]] * len(xs)
    if relation == "negated":
        return xs[:-1] + [-xs[0]]
    if relation == "zero":
        return xs[:-1] + [np.zeros_like(xs[0])]
    if relation == "zeros":
        return [xs[0]] + [np.zeros_like(x) for x in xs[1:]]
    return xs

SHAPES = ("65535", "65537", "200003", "3x70000")
SMALL = ("0", "1", "3", "1x9", "9x1", "5x8", "8x5", "2x3x4", "1030x11")
TYPES = ("f32", "bf16", "f16")

def plain():
    """(method, dtypes, shape, math, parameters, relation)"""
    for W in TYPES + ("f64",):
        for shape in SHAPES:
            for p in ("0 0.3 flat", "1 0.6 flat"):
                yield "nuslerp", [W] * (2 + int(p[0])), shape, "inputs", p, "free"
            yield "multislerp", [W] * 3, shape, "inputs", "0 0.2,0.5,0.3 1 1e-08", "free"
            yield "multislerp", [W] * 3, shape, "inputs", "1 0.7,0.6 0 1e-08", "free"
            yield "karcher", [W] * 3, shape, "inputs", "10 1e-05", "free"
            yield "karcher", [W] * 2, shape, "inputs", "3 1e-05", "near"
            for p in "01":
                yield "model_stock", [W] * 3, shape, "inputs", p, "near"
        for p in ("0 0.3 last", "1 0.75 last", "0 0.3 first", "1 0.75 first"):
            yield "nuslerp", [W] * (2 + int(p[0])), "3x70000", "inputs", p, "free"
            yield "nuslerp", [W] * (2 + int(p[0])), "70000x3", "inputs", p, "free"
    for shape in SMALL:
        for W in TYPES:
            for p in ("0 0.3 flat", "0 0.3 last", "1 0.3 last", "0 0.3 first", "1 0.3 first"):
                yield "nuslerp", [W] * (2 + int(p[0])), shape, "inputs", p, "free"
            yield "multislerp", [W] * 4, shape, "inputs", "1 0.2,0.5,0.3 1 1e-08", "near"
            yield "karcher", [W] * 3, shape, "inputs", "10 1e-05", "free"
            for p in "01":
                yield "model_stock", [W] * 4, shape, "inputs", p, "near"

def special():
    for W in TYPES:
        for k in range(1, 9):
            w = ",".join(str(round(0.1 + 0.07 * i, 2)) for i in range(k))
            yield "multislerp", [W] * k, "4x997", "inputs", f"0 {w} 1 1e-08", "near"
            yield "multislerp", [W] * (k + 1), "4x997", "inputs", f"1 {w} 0 1e-08", "free"
            yield "karcher", [W] * k, "4x997", "inputs", "10 1e-05", "near"
            if k > 1:
                yield "model_stock", [W] * (k + 1), "4x997", "inputs", "0", "near"
                yield "model_stock", [W] * (k + 1), "4x997", "inputs", "1", "free"
        for r in ("same", "negated", "zero", "near"):
            for p in ("0 0.4 flat", "1 0.4 flat", "0 0.4 last", "0 -0.4 first", "0 1.5 last"):
                yield "nuslerp", [W] * (2 + int(p[0])), "7x1013", "inputs", p, r
            if r != "negated":
                yield "karcher", [W] * 3, "7x1013", "inputs", "10 1e-05", r
            yield "karcher", [W] * 2, "7x1013", "inputs", "10 1e-05", r
            yield "model_stock", [W] * 3, "7x1013", "inputs", "0", r
            yield "model_stock", [W] * 3, "7x1013", "inputs", "1", r
        yield "karcher", [W] * 4, "7x1013", "inputs", "10 1e-05", "zeros"
        yield "karcher", [W] * 3, "7x1013", "inputs", "0 1e-05", "free"
        yield "karcher", [W] * 3, "7x1013", "inputs", "1 1e-05", "free"
        yield "karcher", [W] * 3, "7x1013", "inputs", "40 0.0", "near"
        yield "karcher", [W] * 3, "7x1013", "inputs", "5 1e30", "free"
        yield "multislerp", [W] * 2, "7x1013", "inputs", "0 0.5,0.5 1 1e-08", "negated"
        yield "multislerp", [W] * 2, "7x1013", "inputs", "0 0.3,0.9 0 1e-08", "same"
        yield "multislerp", [W] * 4, "7x1013", "inputs", "1 0.3,0.9,0.1 1 1e-08", "based"
        yield "multislerp", [W] * 4, "7x1013", "inputs", "0 0.3,0.9,0.1,-0.2 1 0.001", "near"
    for dts in (["bf16"] * 4, ["f16", "bf16", "f16", "bf16"], ["bf16", "f32", "bf16", "bf16"]):
        for math_ in ("f32", "inputs"):
            yield "nuslerp", dts[:3], "33x1025", math_, "1 0.6 flat", "free"
            yield "nuslerp", dts[:2], "33x1025", math_, "0 0.6 last", "free"
            yield "multislerp", dts, "33x1025", math_, "1 1.0,2.0,0.5 1 1e-08", "free"
            yield "karcher", dts, "33x1025", math_, "10 1e-05", "free"
            yield "model_stock", dts, "33x1025", math_, "0", "near"
            yield "model_stock", dts, "33x1025", math_, "1", "near"
    for W in TYPES:
        for rounds in (31, 32, 33):     # of which most repeat earlier ones
            yield "karcher", [W] * 3, "7x101", "inputs", f"{rounds} 0.0", "near"
        for shape in ("2048x3", "2049x2", "4000x1"):
            yield "nuslerp", [W] * 2, shape, "inputs", "0 0.6 first", "free"

def parameters(method, text):
    w = text.split()
    if method == "nuslerp":
        return dict(base=w[0] == "1", t=float(w[1]), axis=w[2])
    if method == "multislerp":
        return dict(base=w[0] == "1", weights=[float(v) for v in w[1].split(",")],
                    normalize=w[2] == "1", eps=float(w[3]))
    if method == "karcher":
        return dict(max_iter=int(w[0]), tol=float(w[1]))
    return dict(filter_wise=w[0] == "1")

def main():
    lines = ["# made by make_sphere.py: method case dtypes shape math parameters relation digest"]
    case = 2000
    for method, dts, shape, math_, p, relation in list(plain()) + list(special()):
        case += 1
        out = promote(dts)
        W = out if math_ == "inputs" or out == "f64" else "f32"
        dims = [int(v) for v in shape.split("x")]
        xs = [make(1000 * case + j, math.prod(dims), d) for j, d in enumerate(dts)]
        if relation == "near":       # in each input's own type
            xs = [xs[0]] + [R(R(xs[0], d) + x * F[d](1 / 64), d) for x, d in zip(xs[1:], dts[1:])]
        else:
            xs = relate(xs, relation, W)
        xs = [x.astype(F[W]).reshape(dims) for x in xs]
        with np.errstate(all="ignore"):
            y = METHODS[method](xs, W, **parameters(method, p))
        y = np.asarray(y, F[W]).reshape(-1)
        if not np.isfinite(y).all():
            word = "refused"
        elif W == "f64":
            at = [i * (len(y) - 1) // 7 for i in range(8)]
            word = ",".join(float(y[i]).hex() for i in at) + f",{float(np.abs(y).max()).hex()}"
        else:
            word = digest(pack(y, out))
        lines.append(f"{method} {case} {','.join(dts)} {shape} {math_} {p} {relation} {word}")
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "sphere.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")

if __name__ == "__main__":
    main()
