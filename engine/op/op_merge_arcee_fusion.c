/*
 * merge_arcee_fusion - take over from the other where its difference matters most
 *
 *     p = softmax(x) + 1e-8, q = softmax(b) + 1e-8                     along each row
 *     kl = sum p * log(p / q)                                          of each row
 *     imp[i] = |x[i] - b[i]| * kl
 *     q1, med, q3 = imp in ascending order at trunc(f32(0.25, 0.5, 0.75) * f32(n - 1))
 *     y[i] = imp[i] >= med + 1.5 * (q3 - q1) ? b[i] + (x[i] - b[i]) : b[i]
 *
 * shapes  b (the base) and x alike; y as they. A vector is one row. Order over the whole tensor
 * types   float inputs; y f32 with math = inputs, else promoted as usual; f64 where an input is
 *         f64; integers: bit-equal inputs, copied
 * rounds  every step to the work dtype (math), but exp and log in f64, and sums along a row in f64
 *         by eight lanes, then to f32 and to the work dtype; the softmax is rounded before 1e-8 is
 *         added; b + (x - b) in f32, and once into y
 * errors  SHAPE, TYPE: inputs; finite inputs give an infinite y (row and column)
 * source  specs/merge.md 2.10 (mergekit 0.1.5, arcee_fusion; order statistics exact for any n),
 *         specs/rulings-quant-merge.md 3, 18
 *
 * Reads its inputs once for kl, once or more to find the three numbers, once for y.
 */
#include "base/exact.h"
#include "base/sum.h"
#include "kernel/exps.h"
#include "kernel/half.h"
#include "kernel/tally.h"
#include "op/rank.h"
#include "op/share.h"

#include <math.h>

enum {
    QUARTILES = 3,
    KEPT = 16384 /* exponentials of a row that are kept, not made again: whole chunks */
};

struct arcee {
    struct rank rank[QUARTILES];
    double threshold;
    double kl[]; /* of each row */
};

/* The bits of a key of imp, which has a sign. */
static uint32_t arcee_bits(const struct steps *s)
{
    return rank_key_bits(s->work) + 1;
}

static int64_t arcee_tile(const struct op_call *call)
{
    const int64_t cols = max_i64(1, tensor_cols(&call->out));

    return max_i64(1, OP_TILE / cols) * cols;
}

static size_t arcee_state(const struct op_call *call)
{
    const size_t rows = (size_t)tensor_rows(&call->out);

    return op_is_plain(call) ? 0 : sizeof(struct arcee) + sizeof(double) * rows;
}

static size_t arcee_partial(const struct op_call *call, uint32_t pass)
{
    const int64_t cols = max_i64(1, tensor_cols(&call->out));

    return pass ? 0 : sizeof(double) * (size_t)(arcee_tile(call) / cols);
}

/* At level 0 the three have their counts in common. */
static size_t arcee_worker(const struct op_call *call, uint32_t pass)
{
    if (pass == 0)
        return 0;
    return (pass == 1 ? 1 : QUARTILES) * sizeof(uint64_t) *
           rank_counts(arcee_bits(op_steps(call)), pass - 1);
}

static size_t arcee_scratch(const struct op_call *call)
{
    return 2 * sizeof(double) * (size_t)min_i64(KEPT, tensor_cols(&call->out));
}

/* ---- kl -----------------------------------------------------------------------------------------
 */

/* A row of an input, and its softmax. */
struct row {
    const struct op_call *call;
    const struct op_range *range;
    uint32_t input;
    int64_t first; /* of the range */
    double max, sum;
    double *kept; /* the first KEPT exponentials */
};

static void make_exps(const struct row *r, int64_t at, double *e, int64_t n)
{
    double x[OP_CHUNK];

    exps_of_cpu()->exp(e, op_in(r->call, r->range, r->input, r->first + at, n, x),
                       op_steps(r->call)->size, r->max, n);
}

/* The exponentials of N elements from AT on: those kept, or made again in BUF. Those that are
 * kept end where a chunk does. */
static const double *row_exps(const struct row *r, int64_t at, double *buf, int64_t n)
{
    if (at < KEPT)
        return r->kept + at;
    make_exps(r, at, buf, n);
    return buf;
}

static double row_most(const struct row *r, int64_t cols)
{
    const uint32_t size = op_steps(r->call)->size;
    double buf[OP_CHUNK], most = 0;

    for (int64_t at = 0; at < cols; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, cols - at);
        const void *x = op_in(r->call, r->range, r->input, r->first + at, n, buf);
        const double here = exps_of_cpu()->most(x, size, n);

        most = at == 0 || here > most ? here : most;
    }
    return most;
}

static void row_open(struct row *r, int64_t cols)
{
    struct tally sum = {{0}};
    double buf[OP_CHUNK];

    r->max = row_most(r, cols);
    for (int64_t at = 0; at < cols; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, cols - at);
        double *e = at < KEPT ? r->kept + at : buf;

        make_exps(r, at, e, n);
        tally_add(&sum, e, sizeof(double), n);
    }
    r->sum = tally_end(&sum);
}

/* Put softmax + 1e-8 of N elements from AT on into P. */
static void row_softmax(const struct row *r, const struct steps *s, int64_t at, double *p,
                        int64_t n)
{
    double buf[OP_CHUNK];

    exps_of_cpu()->over(p, s->size, row_exps(r, at, buf, n), r->sum, n);
    s->scale(p, p, 1, n);
    s->plus(p, p, 1e-8, n);
}

static double divergence(const struct steps *s, struct row *x, struct row *b, int64_t cols)
{
    struct tally sum = {{0}};
    double p[OP_CHUNK], q[OP_CHUNK];

    row_open(x, cols);
    row_open(b, cols);
    for (int64_t at = 0; at < cols; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, cols - at);

        row_softmax(x, s, at, p, n);
        row_softmax(b, s, at, q, n);
        s->div(q, p, q, n);
        exps_of_cpu()->log(q, q, s->size, n);
        s->scale(q, q, 1, n);
        s->mul(p, p, q, n);
        tally_add(&sum, p, s->size, n);
    }
    return s->scalar(tally_end(&sum));
}

static void reduce_kl(const struct op_call *call, const struct op_range *range, double *kl)
{
    const struct steps *s = op_steps(call);
    const int64_t cols = tensor_cols(&call->out);
    double *kept = range->scratch;

    for (int64_t at = 0; at < range->n; at += cols) {
        struct row x = {call, range, .input = 1, .first = at, .kept = kept};
        struct row b = {call, range, .first = at, .kept = kept + min_i64(KEPT, cols)};

        kl[at / cols] = divergence(s, &x, &b, cols);
    }
}

/* ---- order --------------------------------------------------------------------------------------
 */

/* imp = R(imp * kl) of N elements from FIRST of the tensor on. */
static void times_kl(const struct steps *s, const double *of_row, int64_t cols, int64_t first,
                     double *imp, int64_t n)
{
    unsigned char *y = (unsigned char *)imp;
    int64_t row = first / cols, count = min_i64(n, cols - first % cols);

    for (int64_t at = 0; at < n; at += count, count = min_i64(n - at, cols))
        s->scale(y + at * s->size, y + at * s->size, of_row[row++], count);
}

/* IMP of N elements from AT of the range on, and D = x - b. */
static void importance(const struct op_call *call, const struct steps *s, const struct arcee *a,
                       const struct op_range *range, int64_t at, void *d, double *imp, int64_t n)
{
    op_delta(call, s, range, 1, at, n, d);
    s->abs(imp, d, n);
    times_kl(s, a->kl, tensor_cols(&call->out), range->first + at, imp, n);
}

static void reduce_ranks(const struct op_call *call, uint32_t level, const struct arcee *a,
                         const struct op_range *range, uint64_t *counts)
{
    const struct steps *s = op_steps(call);
    const uint32_t bits = arcee_bits(s);
    double d[OP_CHUNK], imp[OP_CHUNK];
    uint64_t key[OP_CHUNK];

    for (int64_t at = 0; at < range->n; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, range->n - at);

        importance(call, s, a, range, at, d, imp, n);
        s->ranks(key, imp, n);
        for (uint32_t i = 0; i < (level ? QUARTILES : 1); i++)
            rank_count(&a->rank[i], bits, level, key, s->size, n,
                       counts + i * rank_counts(bits, level));
    }
}

static void arcee_reduce(const struct op_call *call, uint32_t pass, const void *state,
                         const struct op_range *range, void *partial, void *worker)
{
    if (pass == 0)
        reduce_kl(call, range, partial);
    else
        reduce_ranks(call, pass - 1, state, range, worker);
}

/* The number of W whose key is KEY. */
static double number_of(const struct steps *s, uint64_t key)
{
    const uint64_t top = UINT64_C(1) << (arcee_bits(s) - 1),
                   size = key < top ? top - 1 - key : key - top;
    const double sign = key < top ? -1.0 : 1.0;
    double x;

    if (s->work == DTYPE_bf16)
        return sign * (double)bf16_get((uint16_t)size);
    if (s->work == DTYPE_f16)
        return sign * (double)f16_get((uint16_t)size);
    if (s->work == DTYPE_f32)
        return sign * (double)f32_from_bits((uint32_t)size);
    memcpy(&x, &size, sizeof(x));
    return sign * x;
}

static void find_threshold(const struct steps *s, struct arcee *a)
{
    double v[QUARTILES], y;

    for (int i = 0; i < QUARTILES; i++)
        v[i] = number_of(s, a->rank[i].key);
    y = s->size == sizeof(double) ? v[2] - v[0] : (double)((float)v[2] - (float)v[0]);
    y = s->scalar(y);
    y = s->scalar(s->size == sizeof(double) ? 1.5 * y : (double)(1.5f * (float)y));
    a->threshold =
        s->scalar(s->size == sizeof(double) ? v[1] + y : (double)((float)v[1] + (float)y));
}

static void begin_ranks(const struct op_call *call, struct arcee *a, const double *kl)
{
    const int64_t n = tensor_elements(&call->out), rows = tensor_rows(&call->out);
    static const float at[QUARTILES] = {0.25f, 0.5f, 0.75f};

    for (int64_t i = 0; i < rows; i++)
        a->kl[i] = kl[i];
    for (int i = 0; i < QUARTILES; i++)
        a->rank[i] = (struct rank){.rest = (int64_t)(at[i] * (float)(n - 1))};
}

static enum op_more arcee_combine(const struct op_call *call, uint32_t pass, void *state,
                                  const void *partial, int64_t ntile, const void *counts,
                                  struct err *err)
{
    struct arcee *a = state;

    (void)err;
    if (ntile == 0)
        return OP_DONE;
    if (pass == 0) {
        begin_ranks(call, a, partial);
        return OP_AGAIN;
    }
    const struct steps *s = op_steps(call);
    const uint32_t bits = arcee_bits(s), level = pass - 1;

    for (uint32_t i = 0; i < QUARTILES; i++)
        rank_step(&a->rank[i], bits, level,
                  (const uint64_t *)counts + (level ? i * rank_counts(bits, level) : 0));
    if (pass < rank_levels(bits))
        return OP_AGAIN;
    find_threshold(s, a);
    return OP_DONE;
}

/* ---- rows ---------------------------------------------------------------------------------------
 */

static bool arcee_rows(const struct op_call *call, const void *state, const struct op_range *range,
                       struct err *err)
{
    const struct arcee *a = state;
    double d[OP_CHUNK], imp[OP_CHUNK], base[OP_CHUNK];
    uint8_t mask[OP_CHUNK];

    if (op_is_plain(call))
        return op_same(call, range, err);
    const struct steps *s = op_steps(call), *wide = op_steps_wide(s);

    for (int64_t at = 0; at < range->n; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, range->n - at);

        importance(call, s, a, range, at, d, imp, n);
        s->reaches(mask, imp, a->threshold, n);
        wide->mask(d, d, mask, n);
        wide->add(d, op_in(call, range, 0, at, n, base), d, n);
        if (!op_put(call, range, at, d, n, err))
            return false;
    }
    return true;
}

static const struct param arcee_params[] = {
    OP_MATH,
};

const struct op op_merge_arcee_fusion = {
    .name = "merge_arcee_fusion",
    .version = 1,
    .in_min = 2,
    .in_max = 2,
    .param = arcee_params,
    .nparam = countof(arcee_params),
    .infer = op_infer_merge_wide,
    .form = op_form_raw,
    .passes_max = 5,
    .tile = arcee_tile,
    .state_bytes = arcee_state,
    .partial_bytes = arcee_partial,
    .worker_bytes = arcee_worker,
    .scratch_bytes = arcee_scratch,
    .reduce = arcee_reduce,
    .combine = arcee_combine,
    .rows = arcee_rows,
};
