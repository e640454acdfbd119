/*
 * merge_nearswap - the base, swapped for the other where both are near
 *
 *     w[i] = 1 / max(|b[i] - x[i]|, 1e-6) * t, kept in [0, 1]
 *     y[i] = w[i]*x[i] + (1 - w[i])*b[i]
 *
 * shapes  b (the base) and x alike; y as they
 * types   float inputs, promoted: equal ones give the same, any f64 gives f64, all else f32;
 *         integers: bit-equal inputs, copied
 * rounds  every step to the work dtype (math), in the order written, the reciprocal before its
 *         product with t; t to f32, 1e-6 to the work dtype; the result once into y
 * errors  SHAPE, TYPE: inputs; finite inputs give an infinite y (row and column)
 * source  specs/merge.md 2.11 (mergekit 0.1.5, nearswap)
 */
#include "base/exact.h"
#include "base/sum.h"
#include "op/share.h"

static bool nearswap_rows(const struct op_call *call, const void *state,
                          const struct op_range *range, struct err *err)
{
    double base[OP_CHUNK], other[OP_CHUNK], w[OP_CHUNK], y[OP_CHUNK];

    (void)state;
    if (op_is_plain(call))
        return op_same(call, range, err);
    const struct steps *s = op_steps(call);
    const double t = call->arg[1].f64;

    for (int64_t at = 0; at < range->n; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, range->n - at);
        const void *b = op_in(call, range, 0, at, n, base);
        const void *x = op_in(call, range, 1, at, n, other);

        s->sub(w, b, x, n);
        s->abs(w, w, n);
        s->at_least(w, w, 1e-6, n);
        s->recip(w, w, n);
        s->scale(w, w, t, n);
        s->clamp(w, w, 0, 1, n);
        s->mul(y, w, x, n);
        s->from(w, 1, w, n);
        s->mul(w, w, b, n);
        s->add(y, y, w, n);
        if (!op_put(call, range, at, y, n, err))
            return false;
    }
    return true;
}

static const struct param nearswap_params[] = {
    OP_MATH,
    {"t", PARAM_F64, -1e30, 1e30, NULL, NULL,
     "how far numbers may lie apart and still be swapped wholly"},
};

const struct op op_merge_nearswap = {
    .name = "merge_nearswap",
    .version = 1,
    .in_min = 2,
    .in_max = 2,
    .param = nearswap_params,
    .nparam = countof(nearswap_params),
    .infer = op_infer_merge,
    .form = op_form_raw,
    .rows = nearswap_rows,
};
