/* task.c - deltas mixed, chunk by chunk
 *
 * Sums over inputs are f32 (f64 for W = f64) in the order of the inputs, from 0, and rounded to W
 * at their end: the steps of that wider type do them, on numbers of W. */
#include "op/task.h"

#include "base/exact.h"
#include "base/sum.h"
#include "kernel/select.h"

#include <math.h>
#include <string.h>

struct task {
    struct sparsify_call s;
    const struct steps *wide; /* of sums over inputs */
    double weight[OP_INPUTS_MAX];
    bool consensus, normalize;
    double lambda, divisor; /* of all weights: without consensus */
};

/* A chunk's numbers, of either size. */
struct chunk {
    unsigned char at[OP_CHUNK * sizeof(double)];
} __attribute__((aligned(64)));

bool task_identity(const struct op_call *call)
{
    return call->nin == 1;
}

/* Consensus needs a chunk of all deltas side by side. */
size_t task_scratch(const struct op_call *call)
{
    return sparsify_scratch(call) + (call->nin - 1) * sizeof(struct chunk);
}

static double sum_of_weights(const struct task *t)
{
    float narrow = 0.0f;
    double wide = 0.0;

    for (uint32_t j = 0; j < t->s.ndelta; j++) {
        narrow += (float)t->weight[j];
        wide += t->weight[j];
    }
    return t->s.steps->scalar(t->s.steps->work == DTYPE_f64 ? wide : (double)narrow);
}

static void begin(struct task *t, const struct op_call *call, bool consensus)
{
    const struct op *op = call->op;
    const double *weight = call->arg[op_param(op, "weights")].f64s.v;

    t->s = sparsify_of(call);
    t->wide = t->s.steps->work == DTYPE_f64 ? t->s.steps : steps_of(DTYPE_f32);
    t->consensus = consensus;
    t->normalize = call->arg[op_param(op, "normalize")].flag;
    t->lambda = call->arg[op_param(op, "lambda")].f64;
    for (uint32_t j = 0; j < t->s.ndelta; j++)
        t->weight[j] = t->s.steps->scalar(weight[j]);
    t->divisor = sum_of_weights(t);
    if (fabs(t->divisor) < 1e-8)
        t->divisor = 1.0;
}

/* SUM with term J of a sum that begins at 0: -0 alone is 0. */
static void add_term(const struct task *t, struct chunk *sum, const struct chunk *term, uint32_t j,
                     int64_t n)
{
    if (j == 0)
        t->wide->plus(sum, term, 0.0, n);
    else
        t->wide->add(sum, sum, term, n);
}

/* R of a sum: its product with 1. One term has been rounded. */
static void round_sum(const struct task *t, struct chunk *sum, int64_t n)
{
    if (t->s.steps != t->wide && t->s.ndelta > 1)
        t->s.steps->scale(sum, sum, 1.0, n);
}

/* Delta J as it counts: sparsified and weighed. */
static void make_delta(const struct task *t, struct sparsifier *z, const struct op_range *range,
                       int64_t at, struct chunk *d, int64_t n)
{
    sparsify_read(&t->s, range, z->j, at, d, n);
    sparsify_drop(z, range->first + at, d, n);
    sparsify_grow(z, d, n);
    if (t->weight[z->j] != 1.0)
        t->s.steps->scale(d, d, t->weight[z->j], n);
}

static void mix_all(const struct task *t, struct sparsifier *z, const struct op_range *range,
                    int64_t at, struct chunk *mix, int64_t n)
{
    struct chunk d;

    for (uint32_t j = 0; j < t->s.ndelta; j++) {
        make_delta(t, &z[j], range, at, &d, n);
        add_term(t, mix, &d, j, n);
    }
    round_sum(t, mix, n);
    if (t->normalize)
        t->s.steps->over(mix, mix, t->divisor, n);
}

static void mix_agreeing(const struct task *t, struct sparsifier *z, const struct op_range *range,
                         int64_t at, struct chunk *mix, int64_t n)
{
    struct chunk *d = range->scratch; /* one a delta */
    struct chunk sum, divisor;

    for (uint32_t j = 0; j < t->s.ndelta; j++) {
        make_delta(t, &z[j], range, at, &d[j], n);
        add_term(t, &sum, &d[j], j, n);
    }
    round_sum(t, &sum, n);
    memset(&divisor, 0, (size_t)n * t->s.steps->size);
    for (uint32_t j = 0; j < t->s.ndelta; j++) {
        t->wide->agree(&d[j], t->normalize ? &divisor : NULL, &d[j], &sum, t->weight[j], n);
        add_term(t, mix, &d[j], j, n);
    }
    round_sum(t, mix, n);
    if (!t->normalize)
        return;
    round_sum(t, &divisor, n);
    select_nonzero(&divisor, t->s.steps->size, n);
    t->s.steps->div(mix, mix, &divisor, n);
}

static bool make_chunk(const struct task *t, struct sparsifier *z, const struct op_range *range,
                       int64_t at, int64_t n, struct err *err)
{
    const struct steps *steps = t->s.steps;
    struct chunk mix, base;

    if (t->consensus)
        mix_agreeing(t, z, range, at, &mix, n);
    else
        mix_all(t, z, range, at, &mix, n);
    if (t->lambda != 1.0)
        steps->scale(&mix, &mix, t->lambda, n);
    steps->add(&mix, op_in(t->s.call, range, 0, at, n, &base), &mix, n);
    return op_put(t->s.call, range, at, &mix, n, err);
}

static bool put_base(const struct op_call *call, const struct op_range *range, struct err *err)
{
    struct chunk base;

    for (int64_t at = 0; at < range->n; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, range->n - at);

        if (!op_put(call, range, at, op_in(call, range, 0, at, n, &base), n, err))
            return false;
    }
    return true;
}

bool task_rows(const struct op_call *call, const void *state, const struct op_range *range,
               bool consensus, struct err *err)
{
    struct sparsifier z[OP_INPUTS_MAX];
    struct task t;
    int64_t span;

    if (op_is_plain(call))
        return op_same(call, range, err);
    if (call->nin == 1)
        return put_base(call, range, err);
    begin(&t, call, consensus);
    for (uint32_t j = 0; j < t.s.ndelta; j++)
        sparsify_begin(&z[j], &t.s, state, range, j);
    for (int64_t at = 0; at < range->n; at += span) {
        span = sparsify_span(z, range, at,
                             (unsigned char *)range->scratch + t.s.ndelta * sizeof(struct chunk));
        for (int64_t i = 0; i < span; i += OP_CHUNK)
            if (!make_chunk(&t, z, range, at + i, min_i64(OP_CHUNK, span - i), err))
                return false;
    }
    return true;
}
