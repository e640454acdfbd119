/*
 * merge_slerp - go from one tensor towards another along the arc between their directions
 *
 *     na = sqrt(sum a^2), 1 if <= 1e-8; nc likewise; dot = sum (a/na)*(c/nc), kept in [-1, 1]
 *     |dot| > 0.9995  ka = 1 - t, kc = t
 *     else            th = acos(dot), ka = sin((1-t)*th) / sin(th), kc = sin(t*th) / sin(th)
 *     y[i] = round(ka*a[i] + kc*c[i])
 *
 * shapes  a (the base) and c alike; y as they. Sums run over the whole tensor
 * types   float inputs, promoted: equal ones give the same, any f64 gives f64, all else f32;
 *         integers: bit-equal inputs, copied
 * rounds  inputs, t, na, nc, dot to f32; a/na, c/nc, their product in f32, summed in f64 by tiles
 *         (DESIGN section 2); th, sin and the quotient in f64 from those f32, then each of ka, kc
 *         once to f32; two products and one add in f32, not fused; once, to nearest even, into y
 * errors  SHAPE, TYPE: inputs; a holds or c holds NaN or Inf, which would reach every element;
 *         finite inputs give an infinite y (row and column)
 * source  specs/merge.md 2.2 (mergekit 0.1.5, slerp), rulings 5 and 6
 */
#include "base/exact.h"
#include "base/fmath.h"
#include "base/sum.h"
#include "kernel/reduce.h"
#include "kernel/vector.h"
#include "op/share.h"

#include <math.h>

enum { CHUNK = 1024, PASS_NORMS = 0, PASS_DOT = 1 };

struct slerp {
    float na, nc, ka, kc;
};

struct norms {
    double a, c; /* sums of squares over a tile */
};

static enum op_form slerp_form(const struct op_call *call)
{
    return op_is_plain(call) ? OP_RAW : OP_F32;
}

static size_t slerp_state(const struct op_call *call)
{
    return op_is_plain(call) ? 0 : sizeof(struct slerp);
}

static size_t slerp_partial(const struct op_call *call, uint32_t pass)
{
    (void)call;
    return pass == PASS_NORMS ? sizeof(struct norms) : sizeof(double);
}

static void slerp_reduce(const struct op_call *call, uint32_t pass, const void *state,
                         const struct op_range *range, void *partial, void *worker)
{
    const struct slerp *s = state;
    const float *a = range->in[0], *c = range->in[1];

    (void)worker;
    (void)call;
    if (pass == PASS_NORMS) {
        struct norms *sum = partial;

        sum->a = reduce_squares(a, range->n);
        sum->c = reduce_squares(c, range->n);
    } else {
        *(double *)partial = reduce_unit_products(a, s->na, c, s->nc, range->n);
    }
}

/* A sum of squares of finite f32 is finite in f64: the tile with NaN or Inf is known by its sum. */
static bool not_finite(const struct op_call *call, int input, int64_t tile, struct err *err)
{
    const int64_t first = tile * OP_TILE;
    const int64_t last = min_i64(first + OP_TILE, tensor_elements(&call->out)) - 1;
    char from[OP_PLACE], to[OP_PLACE];

    return err_set(err, ERR_TYPE,
                   "input %d holds NaN or infinity (as f32) between %s and %s, which slerp "
                   "would spread over the whole tensor",
                   input, op_place(&call->out, first, from), op_place(&call->out, last, to));
}

static enum op_more combine_norms(const struct op_call *call, struct slerp *s,
                                  const struct norms *tile, int64_t ntile, struct err *err)
{
    double a = 0.0, c = 0.0;

    for (int64_t i = 0; i < ntile; i++) {
        if (!isfinite(tile[i].a) || !isfinite(tile[i].c)) {
            not_finite(call, isfinite(tile[i].a) ? 2 : 1, i, err);
            return OP_FAILED;
        }
        a += tile[i].a;
        c += tile[i].c;
    }
    a = sqrt(a);
    c = sqrt(c);
    s->na = a <= 1e-8 ? 1.0f : (float)a;
    s->nc = c <= 1e-8 ? 1.0f : (float)c;
    return OP_AGAIN;
}

static enum op_more combine_dot(const struct op_call *call, struct slerp *s, const double *tile,
                                int64_t ntile)
{
    const float t = (float)call->arg[0].f64;
    double sum = 0.0;
    float dot;

    for (int64_t i = 0; i < ntile; i++)
        sum += tile[i];
    dot = (float)(sum < -1.0 ? -1.0 : sum > 1.0 ? 1.0 : sum);
    if (fabsf(dot) > 0.9995f) {
        s->ka = 1.0f - t;
        s->kc = t;
    } else {
        const double th = fmath_acos((double)dot), sine = fmath_sin(th);

        s->ka = (float)(fmath_sin((1.0 - (double)t) * th) / sine);
        s->kc = (float)(fmath_sin((double)t * th) / sine);
    }
    return OP_DONE;
}

static enum op_more slerp_combine(const struct op_call *call, uint32_t pass, void *state,
                                  const void *partial, int64_t ntile, const void *counts,
                                  struct err *err)
{
    (void)counts;
    if (pass == PASS_NORMS)
        return combine_norms(call, state, partial, ntile, err);
    return combine_dot(call, state, partial, ntile);
}

static bool slerp_rows(const struct op_call *call, const void *state, const struct op_range *range,
                       struct err *err)
{
    const struct slerp *s = state;
    const float *a = range->in[0], *c = range->in[1];
    float y[CHUNK];

    if (op_is_plain(call))
        return op_same(call, range, err);
    for (int64_t at = 0; at < range->n; at += CHUNK) {
        const int64_t n = min_i64(CHUNK, range->n - at);

        vector_blend(y, s->ka, a + at, s->kc, c + at, n);
        if (!op_put_f32(call, range, at, y, n, err))
            return false;
    }
    return true;
}

static const struct param slerp_params[] = {
    {"t", PARAM_F64, -1000, 1000, NULL, NULL,
     "how far: 0 is the base, 1 the other; beyond is allowed"},
};

const struct op op_merge_slerp = {
    .name = "merge_slerp",
    .version = 1,
    .in_min = 2,
    .in_max = 2,
    .param = slerp_params,
    .nparam = countof(slerp_params),
    .infer = op_infer_merge,
    .form = slerp_form,
    .passes_max = 2,
    .state_bytes = slerp_state,
    .partial_bytes = slerp_partial,
    .reduce = slerp_reduce,
    .combine = slerp_combine,
    .rows = slerp_rows,
};
