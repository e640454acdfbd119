/*
 * merge_model_stock - go from the base towards the mean of k others, as far as they agree
 *
 *     o_j = R(x_j - b); all of the tensor is one vector, or with filter_wise each row is
 *     c_ij = R(R(sum R(o_i*o_j)) / max(R(R(||o_i||)*R(||o_j||)), 1e-6)) kept in [-1, 1], for i < j
 *     c = R(mean of c_ij), den = R(1 + R((k-1)*c)), t = R(R(k*c) / den), or 0 if |den| < 1e-6
 *     avg = R(R(R(x_1 + x_2) + x_3 ...) / k)
 *     y = R(R(t*avg) + R(R(1-t)*b)), at the end once into the output's type
 *
 * shapes  b, then two or more others, all alike; y as they. Rows: along the last axis
 * types   float inputs, promoted: equal ones give the same, any f64 gives f64, all else f32;
 *         integers: bit-equal inputs, copied
 * rounds  R is to the work dtype W of `math`, after every step in f32 (f64 for W = f64); sums
 *         along a vector in f64, of tiles of 65,536 (DESIGN section 2), then to f32, then R; the
 *         mean over pairs in f32, in their order, then R
 * errors  SHAPE, TYPE: inputs; NaN or infinity in a vector, which would reach all of it (the
 *         vector's place); finite inputs give a y that is not (row and column)
 * source  specs/merge.md 2.8 (mergekit 0.1.5, model_stock), rulings 5 and 6, qm 1, 17 and 46
 */
#include "base/exact.h"
#include "base/sum.h"
#include "op/sphere.h"

#include <math.h>
#include <string.h>

enum { MATH, FILTER_WISE };

struct stock {
    double t;
};

static struct sphere inputs_of(const struct op_call *call)
{
    return sphere_of(call, true, "model_stock");
}

/* Sums of a vector: k of squares, then one of each pair. */
static uint32_t words(uint32_t k)
{
    return k + k * (k - 1) / 2;
}

enum { WORDS_MAX = (OP_INPUTS_MAX - 1) * OP_INPUTS_MAX / 2 };

static int64_t stock_granule(const struct op_call *call)
{
    return call->arg[FILTER_WISE].flag ? max_i64(1, tensor_cols(&call->out)) : 1;
}

/* In the worker's memory: the o of a chunk, one chunk of products, and the sums being made. */
static size_t stock_scratch(const struct op_call *call)
{
    if (op_is_plain(call))
        return 0;
    return (size_t)call->nin * OP_CHUNK * op_steps(call)->size +
           words(call->nin - 1) * sizeof(struct tally);
}

static void *buffer(const struct steps *s, const struct op_range *range, uint32_t j)
{
    return (unsigned char *)range->scratch + (size_t)j * OP_CHUNK * s->size;
}

/* The sums of N elements from AT on, at most a tile. */
static void pair_sums(const struct sphere *p, const struct op_range *range, int64_t at, int64_t n,
                      double *sum)
{
    const struct steps *s = p->s;
    void *product = buffer(s, range, p->k);
    struct tally *tally = buffer(s, range, p->k + 1);

    memset(tally, 0, words(p->k) * sizeof(*tally));
    for (int64_t i = 0; i < n; i += OP_CHUNK) {
        const int64_t count = min_i64(OP_CHUNK, n - i);
        struct tally *t = tally + p->k;

        for (uint32_t j = 0; j < p->k; j++) {
            sphere_vector(p, range, j, at + i, count, buffer(s, range, j));
            tally_squares(&tally[j], buffer(s, range, j), s->size, count);
        }
        for (uint32_t j = 0; j < p->k; j++) {
            for (uint32_t l = j + 1; l < p->k; l++) {
                s->mul(product, buffer(s, range, j), buffer(s, range, l), count);
                tally_add(t++, product, s->size, count);
            }
        }
    }
    for (uint32_t w = 0; w < words(p->k); w++)
        sum[w] = tally_end(&tally[w]);
}

/* t, of the sums of a whole vector. */
static double towards(const struct sphere *p, const double *sum)
{
    const struct steps *s = p->s;
    const double *pair = sum + p->k, k = p->k;
    double total = 0.0, c, den;

    for (uint32_t j = 0; j < p->k; j++) {
        for (uint32_t l = j + 1; l < p->k; l++) {
            const double least = s->scalar(1e-6);
            double norms = s->scalar(s->scalar(sqrt(sum[j])) * s->scalar(sqrt(sum[l])));

            norms = norms < least ? least : norms;
            c = s->scalar(s->scalar(*pair++) / norms);
            total = sphere_single(s, total + (c < -1.0 ? -1.0 : c > 1.0 ? 1.0 : c));
        }
    }
    c = s->scalar(total / (k * (k - 1) / 2));
    den = s->scalar(1.0 + s->scalar((k - 1) * c));
    return fabs(den) < s->scalar(1e-6) ? 0.0 : s->scalar(s->scalar(k * c) / den);
}

static bool apply(const struct sphere *p, const struct op_range *range, int64_t at, int64_t n,
                  double t, struct err *err)
{
    const struct steps *s = p->s;
    const double rest = s->scalar(1.0 - t);
    double y[OP_CHUNK], x[OP_CHUNK];

    for (int64_t i = 0; i < n; i += OP_CHUNK) {
        const int64_t count = min_i64(OP_CHUNK, n - i), from = at + i;

        s->add(y, op_in(p->call, range, 1, from, count, y),
               op_in(p->call, range, 2, from, count, x), count);
        for (uint32_t j = 2; j < p->k; j++)
            s->add(y, y, op_in(p->call, range, j + 1, from, count, x), count);
        s->over(y, y, p->k, count);
        s->blend(y, t, y, rest, op_in(p->call, range, 0, from, count, x), count);
        if (!op_put(p->call, range, from, y, count, err))
            return false;
    }
    return true;
}

/* ---- each row a vector ----------------------------------------------------------------------- */

static bool row(const struct sphere *p, const struct op_range *range, int64_t at, int64_t n,
                struct err *err)
{
    double sum[WORDS_MAX], total[WORDS_MAX];

    for (uint32_t w = 0; w < words(p->k); w++)
        total[w] = 0.0;
    for (int64_t i = 0; i < n; i += OP_TILE) {
        pair_sums(p, range, at + i, min_i64(OP_TILE, n - i), sum);
        for (uint32_t w = 0; w < words(p->k); w++)
            total[w] += sum[w];
    }
    for (uint32_t j = 0; j < p->k; j++)
        if (!isfinite(total[j]))
            return sphere_not_finite(p, j, range->first + at, range->first + at + n - 1, "the row",
                                     err);
    return apply(p, range, at, n, towards(p, total), err);
}

/* ---- the op ---------------------------------------------------------------------------------- */

static size_t stock_state(const struct op_call *call)
{
    return op_is_plain(call) || call->arg[FILTER_WISE].flag ? 0 : sizeof(struct stock);
}

static size_t stock_partial(const struct op_call *call, uint32_t pass)
{
    (void)pass;
    return words(call->nin - 1) * sizeof(double);
}

static void stock_reduce(const struct op_call *call, uint32_t pass, const void *state,
                         const struct op_range *range, void *partial, void *worker)
{
    const struct sphere p = inputs_of(call);

    (void)pass;
    (void)state;
    (void)worker;
    pair_sums(&p, range, 0, range->n, partial);
}

static enum op_more stock_combine(const struct op_call *call, uint32_t pass, void *state,
                                  const void *partial, int64_t ntile, const void *counts,
                                  struct err *err)
{
    const struct sphere p = inputs_of(call);
    struct stock *stock = state;
    double total[WORDS_MAX];

    (void)pass;
    (void)counts;
    if (!sphere_totals(&p, partial, words(p.k), ntile, total, err))
        return OP_FAILED;
    for (uint32_t w = p.k; w < words(p.k); w++)
        total[w] = sphere_total(partial, words(p.k), w, ntile);
    stock->t = towards(&p, total);
    return OP_DONE;
}

static bool stock_rows(const struct op_call *call, const void *state, const struct op_range *range,
                       struct err *err)
{
    const struct stock *stock = state;
    struct sphere p;

    if (op_is_plain(call))
        return op_same(call, range, err);
    p = inputs_of(call);
    if (!call->arg[FILTER_WISE].flag)
        return apply(&p, range, 0, range->n, stock->t, err);
    for (int64_t at = 0; at < range->n; at += tensor_cols(&call->out))
        if (!row(&p, range, at, tensor_cols(&call->out), err))
            return false;
    return true;
}

static const struct param stock_params[] = {
    OP_MATH,
    {"filter_wise", PARAM_BOOL, 0, 0, "false", NULL,
     "each row is a vector with its own t; otherwise the whole tensor is one"},
};

const struct op op_merge_model_stock = {
    .name = "merge_model_stock",
    .version = 1,
    .in_min = 3,
    .in_max = OP_INPUTS_MAX,
    .param = stock_params,
    .nparam = countof(stock_params),
    .infer = op_infer_merge,
    .form = op_form_raw,
    .granule = stock_granule,
    .passes_max = 1,
    .state_bytes = stock_state,
    .partial_bytes = stock_partial,
    .scratch_bytes = stock_scratch,
    .reduce = stock_reduce,
    .combine = stock_combine,
    .rows = stock_rows,
};
