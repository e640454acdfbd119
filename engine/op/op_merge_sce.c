/*
 * merge_sce - select, calculate, erase: what the models disagree on most, weighted by its size
 *
 *     T_j = x_j - b
 *     select_topk < 1: v[i] = variance of T_1[i] .. T_k[i]; T_j * 0 but where v is among the
 *         trunc(count(v != 0) * select_topk) largest, the first of equals first
 *     w_j = mean(T_j^2), then w_j / sum w_j, or 1 / k where the sum is below 1e-6
 *     keep_j[i] = sign(T_j[i]) is the sign of sum_j T_j[i] (0 counts as +)
 *     y[i] = b[i] + sum_j T_j*w_j*keep_j / max(sum_j w_j*keep_j, 1e-6)
 *
 * shapes  b (the base) and x_1 .. x_k alike; y as they. Means, order: over the whole tensor
 * types   float inputs, promoted: equal ones give the same, any f64 gives f64, all else f32;
 *         integers: bit-equal inputs, copied
 * rounds  every step to the work dtype (math); the variance in f64, then to f32 and to it; means in
 *         f64 by tiles (DESIGN section 2), then so; sums over j in f32 (f64 where an input is), in
 *         the order of the inputs, then to the work dtype; 1e-6 of y to it; the result once into y
 * errors  SHAPE, TYPE: inputs; NaN, infinity or what is too large to square in T_j, which would
 *         reach every element; finite inputs give an infinite y (row and column)
 * source  specs/merge.md 2.9 (mergekit 0.1.5, sce), specs/rulings-quant-merge.md 17
 */
#include "base/exact.h"
#include "base/sum.h"
#include "kernel/tally.h"
#include "op/rank.h"
#include "op/share.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum sce_mask { MASK_ALL, MASK_NONE, MASK_SOME };

/* What the next pass does: count digits of v, count those equal to the cut, sum squares. */
enum sce_phase { PHASE_DIGITS, PHASE_EQUALS, PHASE_SQUARES };

struct sce {
    enum sce_phase phase;
    enum sce_mask mask;
    struct rank cut;
    int64_t quota; /* of the equals of the cut that are kept */
    struct rank_bound bound;
    double weight[OP_INPUTS_MAX]; /* by input */
};

static double topk(const struct op_call *call)
{
    return call->arg[1].f64;
}

static bool selects(const struct op_call *call)
{
    return topk(call) < 1 && topk(call) > 0 && !op_is_plain(call);
}

/* Which of several equals is kept is counted from the beginning of a tile. */
static int64_t sce_granule(const struct op_call *call)
{
    return selects(call) ? OP_TILE : 1;
}

static size_t sce_state(const struct op_call *call)
{
    return op_is_plain(call) ? 0 : sizeof(struct sce);
}

/* A tile's sums of squares, by input; or (the first) how many of it equal the cut. */
static size_t sce_partial(const struct op_call *call, uint32_t pass)
{
    (void)pass;
    return sizeof(double) * call->nin;
}

static uint32_t levels(const struct op_call *call)
{
    return selects(call) ? rank_levels(rank_key_bits(op_steps(call)->work)) : 0;
}

/* Digits; and how many v are not 0. */
static size_t sce_worker(const struct op_call *call, uint32_t pass)
{
    if (pass >= levels(call))
        return 0;
    return sizeof(uint64_t) * (1 + rank_counts(rank_key_bits(op_steps(call)->work), pass));
}

/* ---- a chunk ------------------------------------------------------------------------------------
 */

/* At most OP_CHUNK elements from AT on; 8-byte cells hold numbers of either size. */
struct chunk {
    const struct op_call *call;
    const struct steps *steps, *wide;
    const struct op_range *range;
    int64_t at, n;
    int64_t tile, seen; /* the tile, and equals of the cut in it so far */
    enum sce_mask masked;
    uint8_t mask[OP_CHUNK];
    uint64_t key[OP_CHUNK];
    double t[OP_CHUNK]; /* T_j */
};

static void chunk_open(struct chunk *c, const struct op_call *call, const struct op_range *range)
{
    c->call = call;
    c->range = range;
    c->steps = op_steps(call);
    c->wide = op_steps_wide(c->steps);
    c->tile = -1;
    c->at = c->n = 0;
}

static void chunk_delta(struct chunk *c, uint32_t j)
{
    op_delta(c->call, c->steps, c->range, j, c->at, c->n, c->t);
    if (c->masked != MASK_ALL)
        c->steps->mask(c->t, c->t, c->mask, c->n);
}

static double chunk_at(const struct chunk *c, int64_t i)
{
    return c->steps->size == sizeof(double) ? c->t[i]
                                            : (double)((const float *)(const void *)c->t)[i];
}

/* The keys of the variances over the inputs. */
static void chunk_variances(struct chunk *c)
{
    const double k = (double)(c->call->nin - 1);
    double mean[OP_CHUNK] = {0}, v[OP_CHUNK] = {0};
    float *f = (float *)(void *)v;

    c->masked = MASK_ALL;
    for (uint32_t j = 1; j < c->call->nin; j++) {
        chunk_delta(c, j);
        for (int64_t i = 0; i < c->n; i++)
            mean[i] += chunk_at(c, i);
    }
    for (int64_t i = 0; i < c->n; i++)
        mean[i] /= k;
    for (uint32_t j = 1; j < c->call->nin; j++) {
        chunk_delta(c, j);
        for (int64_t i = 0; i < c->n; i++) {
            const double d = chunk_at(c, i) - mean[i];

            v[i] += d * d;
        }
    }
    for (int64_t i = 0; i < c->n; i++) /* a float goes where doubles are read no more */
        if (c->steps->size == sizeof(double))
            v[i] /= k;
        else
            f[i] = (float)(v[i] / k);
    c->steps->scale(v, v, 1, c->n);
    c->steps->keys(c->key, v, c->n);
}

static void chunk_mask(struct chunk *c, const struct sce *s)
{
    const int64_t tile = (c->range->first + c->at) / OP_TILE;

    if (tile != c->tile)
        c->seen = 0;
    c->tile = tile;
    if (s->mask == MASK_SOME) {
        chunk_variances(c);
        rank_mask(s->cut.key, &s->bound, tile, c->key, c->n, &c->seen, c->mask);
    } else {
        memset(c->mask, 0, sizeof(c->mask));
    }
    c->masked = s->mask;
}

/* The next chunk; false at the end. */
static bool chunk_next(struct chunk *c)
{
    c->at += c->n;
    c->n = min_i64(OP_CHUNK, c->range->n - c->at);
    return c->n > 0;
}

/* ---- passes -------------------------------------------------------------------------------------
 */

static void reduce_digits(struct chunk *c, const struct sce *s, uint32_t level, uint64_t *counts)
{
    while (chunk_next(c)) {
        chunk_variances(c);
        for (int64_t i = 0; i < c->n; i++)
            counts[0] += c->key[i] != 0;
        rank_count(&s->cut, rank_key_bits(c->steps->work), level, c->key, sizeof(*c->key), c->n,
                   counts + 1);
    }
}

static void reduce_equals(struct chunk *c, const struct sce *s, int64_t *equals)
{
    *equals = 0;
    while (chunk_next(c)) {
        chunk_variances(c);
        for (int64_t i = 0; i < c->n; i++)
            *equals += c->key[i] == s->cut.key;
    }
}

static void reduce_squares(struct chunk *c, const struct sce *s, double *squares)
{
    struct tally sum[OP_INPUTS_MAX] = {{{0}}};

    while (chunk_next(c)) {
        chunk_mask(c, s);
        for (uint32_t j = 1; j < c->call->nin; j++) {
            chunk_delta(c, j);
            c->steps->mul(c->t, c->t, c->t, c->n);
            tally_add(&sum[j], c->t, c->steps->size, c->n);
        }
    }
    for (uint32_t j = 1; j < c->call->nin; j++)
        squares[j] = tally_end(&sum[j]);
}

static void sce_reduce(const struct op_call *call, uint32_t pass, const void *state,
                       const struct op_range *range, void *partial, void *worker)
{
    const struct sce *s = state;
    const struct sce first = {.mask = topk(call) < 1 ? MASK_NONE : MASK_ALL};
    struct chunk c;

    chunk_open(&c, call, range);
    if (pass < levels(call))
        reduce_digits(&c, s, pass, worker);
    else if (pass == 0)
        reduce_squares(&c, &first, partial);
    else if (s->phase == PHASE_EQUALS)
        reduce_equals(&c, s, partial);
    else
        reduce_squares(&c, s, partial);
}

/* After level LEVEL; true when the cut is known. */
static bool combine_digits(const struct op_call *call, struct sce *s, uint32_t level,
                           const uint64_t *counts)
{
    const int64_t n = tensor_elements(&call->out);

    if (level == 0) {
        s->quota = (int64_t)((double)counts[0] * topk(call));
        s->mask = s->quota ? MASK_SOME : MASK_NONE;
        s->cut.rest = n - s->quota;
    }
    if (s->mask == MASK_NONE)
        return true;
    rank_step(&s->cut, rank_key_bits(op_steps(call)->work), level, counts + 1);
    if (level + 1 < levels(call))
        return false;
    s->quota = s->cut.equals - s->cut.rest;
    return true;
}

/* Tile T (-1: none alone) holds what would make every weight NaN. */
static bool not_finite(const struct op_call *call, uint32_t j, int64_t t, struct err *err)
{
    const int64_t n = tensor_elements(&call->out), first = t < 0 ? 0 : t * OP_TILE;
    char from[OP_PLACE], to[OP_PLACE];

    return err_set(err, ERR_TYPE,
                   "input %" PRIu32 " minus the base is NaN, infinite or too large to square "
                   "between %s and %s, which sce would spread over the whole tensor",
                   j + 1, op_place(&call->out, first, from),
                   op_place(&call->out, (t < 0 ? n : min_i64(n, first + OP_TILE)) - 1, to));
}

static bool combine_squares(const struct op_call *call, struct sce *s, const double *squares,
                            int64_t ntile, struct err *err)
{
    const struct steps *steps = op_steps(call), *wide = op_steps_wide(steps);
    const double n = (double)tensor_elements(&call->out), k = (double)(call->nin - 1);
    double sum = 0.0;

    for (uint32_t j = 1; j < call->nin; j++) {
        double all = 0.0;

        for (int64_t t = 0; t < ntile; t++) {
            if (!isfinite(squares[t * call->nin + j]))
                return not_finite(call, j, t, err);
            all += squares[t * call->nin + j];
        }
        s->weight[j] = steps->scalar(all / n);
        if (!isfinite(s->weight[j]))
            return not_finite(call, j, -1, err);
        sum = wide->scalar(sum + s->weight[j]);
    }
    sum = steps->scalar(sum);
    for (uint32_t j = 1; j < call->nin; j++)
        s->weight[j] = steps->scalar(wide->scalar(fabs(sum) < 1e-6 ? 1.0 / k : s->weight[j] / sum));
    return true;
}

static enum op_more sce_combine(const struct op_call *call, uint32_t pass, void *state,
                                const void *partial, int64_t ntile, const void *counts,
                                struct err *err)
{
    struct sce *s = state;

    if (ntile == 0)
        return OP_DONE;
    if (pass == 0 && !selects(call)) {
        s->mask = topk(call) < 1 ? MASK_NONE : MASK_ALL;
        s->phase = PHASE_SQUARES;
    }
    switch (s->phase) {
    case PHASE_DIGITS:
        if (!combine_digits(call, s, pass, counts))
            return OP_AGAIN;
        /* All equals kept: their places do not matter. */
        s->bound = (struct rank_bound){ntile, 0};
        s->phase = s->mask == MASK_SOME && s->quota < s->cut.equals ? PHASE_EQUALS : PHASE_SQUARES;
        return OP_AGAIN;
    case PHASE_EQUALS:
        s->bound = rank_bound_of(s->quota, partial, call->nin, ntile);
        s->phase = PHASE_SQUARES;
        return OP_AGAIN;
    case PHASE_SQUARES:
        break;
    }
    return combine_squares(call, s, partial, ntile, err) ? OP_DONE : OP_FAILED;
}

/* ---- rows ---------------------------------------------------------------------------------------
 */

/* Y = sum_j T_j*w_j*keep_j, WEIGHTS = sum_j w_j*keep_j, rounded. */
static void chunk_elect(struct chunk *c, const struct sce *s, void *y, void *weights)
{
    double majority[OP_CHUNK] = {0};

    memset(y, 0, sizeof(majority));
    memset(weights, 0, sizeof(majority));
    for (uint32_t j = 1; j < c->call->nin; j++) {
        chunk_delta(c, j);
        c->wide->add(majority, majority, c->t, c->n);
    }
    c->steps->scale(majority, majority, 1, c->n);
    for (uint32_t j = 1; j < c->call->nin; j++) {
        chunk_delta(c, j);
        c->wide->agree(c->t, weights, c->t, majority, s->weight[j], c->n);
        c->steps->scale(c->t, c->t, s->weight[j], c->n);
        c->wide->add(y, y, c->t, c->n);
    }
    c->steps->scale(y, y, 1, c->n);
    c->steps->scale(weights, weights, 1, c->n);
}

static bool sce_rows(const struct op_call *call, const void *state, const struct op_range *range,
                     struct err *err)
{
    const struct sce *s = state;
    double y[OP_CHUNK], weights[OP_CHUNK];
    struct chunk c;

    if (op_is_plain(call))
        return op_same(call, range, err);
    chunk_open(&c, call, range);
    while (chunk_next(&c)) {
        chunk_mask(&c, s);
        chunk_elect(&c, s, y, weights);
        c.steps->at_least(weights, weights, 1e-6, c.n);
        c.steps->div(y, y, weights, c.n);
        c.steps->add(y, op_in(call, range, 0, c.at, c.n, weights), y, c.n);
        if (!op_put(call, range, c.at, y, c.n, err))
            return false;
    }
    return true;
}

static const struct param sce_params[] = {
    OP_MATH,
    {"select_topk", PARAM_F64, 0, 1, "1", NULL,
     "the share of the elements that differ between models which is merged; 1: all"},
};

const struct op op_merge_sce = {
    .name = "merge_sce",
    .version = 1,
    .in_min = 2,
    .in_max = OP_INPUTS_MAX,
    .param = sce_params,
    .nparam = countof(sce_params),
    .infer = op_infer_merge,
    .form = op_form_raw,
    .granule = sce_granule,
    .passes_max = 6,
    .state_bytes = sce_state,
    .partial_bytes = sce_partial,
    .worker_bytes = sce_worker,
    .reduce = sce_reduce,
    .combine = sce_combine,
    .rows = sce_rows,
};
