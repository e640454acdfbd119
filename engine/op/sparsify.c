/* sparsify.c - what the sparsifiers of the task arithmetic family share; random masks; rescaling */
#include "op/sparsify.h"

#include "base/exact.h"
#include "base/sum.h"
#include "kernel/chance.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const union op_arg *argument(const struct op_call *call, const char *name)
{
    const int i = op_param(call->op, name);

    return i < 0 ? NULL : &call->arg[i];
}

static const double *numbers(const struct op_call *call, const char *name)
{
    const union op_arg *arg = argument(call, name);

    return arg ? arg->f64s.v : NULL;
}

/* The vectors that RANKED ranks: along axis 1, or the whole of a tensor with one axis. */
static void find_vectors(struct sparsify_call *s)
{
    const struct tensor *t = &s->call->out;

    s->vector = t->rank < 2 ? s->n : t->dim[1];
    s->stride = 1;
    for (uint32_t i = 2; s->n && i < t->rank; i++)
        s->stride *= t->dim[i];
    if (s->n == 0) /* other axes may be of any length */
        s->vector = s->stride = 1;
    s->slab = s->vector * s->stride;
}

struct sparsify_call sparsify_of(const struct op_call *call)
{
    const union op_arg *masks = argument(call, "masks"), *rescale = argument(call, "rescale");
    struct sparsify_call s = {
        .call = call,
        .steps = op_is_plain(call) ? NULL : op_steps(call),
        .density = numbers(call, "density"),
        .gamma = numbers(call, "gamma"),
        .epsilon = numbers(call, "epsilon"),
        .masks = masks ? masks->i64s.v : NULL,
        .ndelta = call->nin - 1,
        .rescale = rescale && rescale->flag,
        .n = tensor_elements(&call->out),
    };

    s.kind = s.epsilon   ? SPARSIFY_RANKED
             : s.masks   ? SPARSIFY_RANDOM
             : s.gamma   ? SPARSIFY_BAND
             : s.density ? SPARSIFY_TOP
                         : SPARSIFY_NONE;
    find_vectors(&s);
    return s;
}

enum sparsify_fate sparsify_fate(const struct sparsify_call *s, uint32_t j)
{
    if (s->kind == SPARSIFY_NONE || s->density[j] >= 1.0)
        return SPARSIFY_WHOLE;
    /* A band without elements still multiplies: NaN stays NaN. */
    if (s->density[j] <= 0.0 && s->kind != SPARSIFY_BAND)
        return SPARSIFY_NOTHING;
    return SPARSIFY_SOME;
}

static bool of_length(const struct op_call *call, const char *name, struct err *err)
{
    const union op_arg *arg = argument(call, name);
    const uint32_t want = call->nin - 1;
    uint32_t n;

    if (!arg)
        return true;
    n = strcmp(name, "masks") == 0 ? arg->i64s.n : arg->f64s.n;
    return n == want || err_set(err, ERR_RECIPE,
                                "%s: %" PRIu32 " values for %" PRIu32
                                " inputs beside the base, expected one each",
                                name, n, want);
}

static bool check_values(const struct sparsify_call *s, uint32_t j, struct err *err)
{
    if (s->kind == SPARSIFY_BAND && s->gamma[j] >= 1.0)
        return err_set(err, ERR_RECIPE, "gamma: %g is not below 1", s->gamma[j]);
    if (s->kind != SPARSIFY_RANKED || sparsify_fate(s, j) != SPARSIFY_SOME)
        return true;
    if (s->density[j] + s->epsilon[j] >= 1.0 || s->density[j] - s->epsilon[j] <= 0.0)
        return err_set(err, ERR_RECIPE,
                       "epsilon: %g around density %g leaves (0, 1): expected density - epsilon "
                       "above 0 and density + epsilon below 1",
                       s->epsilon[j], s->density[j]);
    if (s->vector > INT32_MAX)
        return err_set(err, ERR_LIMIT, "%" PRId64 " elements in a row, expected at most %d",
                       s->vector, INT32_MAX);
    return true;
}

bool sparsify_check(const struct op_call *call, struct err *err)
{
    static const char *const lists[] = {"weights", "density", "gamma", "epsilon", "masks"};
    const struct sparsify_call s = sparsify_of(call);

    for (size_t i = 0; i < countof(lists); i++)
        if (!of_length(call, lists[i], err))
            return false;
    for (uint32_t j = 0; j < s.ndelta; j++)
        if (!check_values(&s, j, err))
            return false;
    return true;
}

bool sparsify_infer(struct op_call *call, struct err *err)
{
    return op_infer_merge(call, err) && sparsify_check(call, err);
}

/* ---- what the op says of itself -------------------------------------------------------------- */

static bool by_magnitude(const struct sparsify_call *s)
{
    return s->kind == SPARSIFY_TOP || s->kind == SPARSIFY_BAND;
}

/* Something must be known of the whole tensor before its elements are made. */
static bool makes_passes(const struct sparsify_call *s)
{
    bool some = false;

    if (!s->steps || (!by_magnitude(s) && !s->rescale))
        return false;
    for (uint32_t j = 0; s->n && j < s->ndelta; j++)
        some |= by_magnitude(s) ? sparsify_cut_counts(s, j) : sparsify_fate(s, j) == SPARSIFY_SOME;
    return some;
}

int64_t sparsify_granule(const struct op_call *call)
{
    const struct sparsify_call s = sparsify_of(call);

    if (!s.steps)
        return 1;
    if (by_magnitude(&s))
        return makes_passes(&s) ? OP_TILE : 1;
    return s.kind == SPARSIFY_RANKED ? s.slab : 1;
}

int64_t sparsify_tile(const struct op_call *call)
{
    const struct sparsify_call s = sparsify_of(call);

    return s.kind == SPARSIFY_RANKED ? max_i64(OP_TILE / s.slab, 1) * s.slab : OP_TILE;
}

size_t sparsify_state(const struct op_call *call)
{
    const struct sparsify_call s = sparsify_of(call);

    if (!makes_passes(&s))
        return 0;
    return sizeof(struct sparsify_state) + s.ndelta * sizeof(struct sparsify_delta);
}

struct sums {
    double before, after;
};

size_t sparsify_partial(const struct op_call *call, uint32_t pass)
{
    const struct sparsify_call s = sparsify_of(call);

    if (!makes_passes(&s))
        return 0;
    return by_magnitude(&s) ? sparsify_cut_partial(&s, pass) : s.ndelta * sizeof(struct sums);
}

size_t sparsify_worker(const struct op_call *call, uint32_t pass)
{
    const struct sparsify_call s = sparsify_of(call);

    return makes_passes(&s) && by_magnitude(&s) ? sparsify_cut_worker(&s, pass) : 0;
}

/* Deltas before J that have a mask. */
static uint32_t masks_before(const struct sparsify_call *s, uint32_t j)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < j; i++)
        n += sparsify_fate(s, i) == SPARSIFY_SOME;
    return n;
}

size_t sparsify_keep(const struct op_call *call)
{
    const struct sparsify_call s = sparsify_of(call);

    return makes_passes(&s) && s.masks ? masks_before(&s, s.ndelta) : 0;
}

size_t sparsify_scratch(const struct op_call *call)
{
    const struct sparsify_call s = sparsify_of(call);

    if (!s.steps)
        return 0;
    if (s.kind == SPARSIFY_RANKED)
        return sparsify_rank_scratch(&s);
    return by_magnitude(&s) ? sparsify_cut_scratch(&s) : 0;
}

/* ---- deltas, and what is dropped of them ----------------------------------------------------- */

void sparsify_read(const struct sparsify_call *s, const struct op_range *range, uint32_t j,
                   int64_t at, void *d, int64_t n)
{
    op_delta(s->call, s->steps, range, j + 1, at, n, d);
}

void sparsify_begin(struct sparsifier *z, const struct sparsify_call *s, const void *state,
                    const struct op_range *range, uint32_t j)
{
    const struct sparsify_state *known = state;
    uint8_t *keep = range->keep;

    *z = (struct sparsifier){
        .call = s,
        .j = j,
        .fate = sparsify_fate(s, j),
        .delta = known ? &known->delta[j] : NULL,
        .tile = -1,
        .kept = keep ? keep + masks_before(s, j) * s->n : NULL,
        .summing = !range->out,
    };
}

int64_t sparsify_span(struct sparsifier *z, const struct op_range *range, int64_t at,
                      unsigned char *scratch)
{
    if (z->call->kind == SPARSIFY_RANKED)
        return sparsify_rank_span(z, range, at, scratch);
    return range->n - at;
}

/* Random masks work in f32 where W is f64 (specs/merge.md 2.7). */
static bool narrows(const struct sparsify_call *s)
{
    return s->masks && s->steps->work == DTYPE_f64;
}

static void narrow(const struct sparsify_call *s, double *d, int64_t n)
{
    if (narrows(s))
        for (int64_t i = 0; i < n; i++)
            d[i] = (double)(float)d[i];
}

/* The mask of N elements from FIRST on; OWN: memory where none is kept. */
static const uint8_t *random_mask(const struct sparsifier *z, int64_t first, int64_t n,
                                  uint8_t *own)
{
    const struct sparsify_call *s = z->call;
    uint8_t *mask = z->kept ? z->kept + first : own;

    if (!z->kept || z->summing)
        chance_mask(mask, (uint64_t)s->masks[z->j], (uint64_t)first, n, (float)s->density[z->j]);
    return mask;
}

void sparsify_drop(struct sparsifier *z, int64_t first, void *d, int64_t n)
{
    const struct sparsify_call *s = z->call;
    uint8_t own[OP_CHUNK];

    if (z->fate == SPARSIFY_WHOLE)
        return;
    if (z->fate == SPARSIFY_NOTHING) {
        memset(d, 0, (size_t)n * s->steps->size);
    } else if (by_magnitude(s)) {
        sparsify_cut_drop(z, first, d, n);
    } else if (s->kind == SPARSIFY_RANKED) {
        narrow(s, d, n);
        s->steps->mask(d, d, z->mask + (first - z->mask_first), n);
    } else {
        narrow(s, d, n);
        s->steps->mask(d, d, random_mask(z, first, n, own), n);
    }
}

void sparsify_grow(const struct sparsifier *z, void *d, int64_t n)
{
    const struct sparsify_call *s = z->call;
    double *wide = d;

    if (!z->delta || !z->delta->scaled)
        return;
    if (!narrows(s)) {
        s->steps->scale(d, d, z->delta->ratio, n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        wide[i] = (double)((float)wide[i] * (float)z->delta->ratio);
}

/* ---- rescaling ------------------------------------------------------------------------------- */

/* |d| of N more terms of the tile; TURN of them are in already. The lanes turn with the terms, so
 * that term i of the tile is in lane i mod 8 wherever a part ends. */
static void add_magnitudes(const struct sparsify_call *s, struct tally *t, const void *d, int64_t n)
{
    tally_magnitudes(t, d, s->steps->size, n);
    if (n % TALLY_LANES) {
        const struct tally now = *t;

        for (int l = 0; l < TALLY_LANES; l++)
            t->lane[l] = now.lane[(l + n) % TALLY_LANES];
    }
}

static double end_tally(const struct tally *t, int64_t n)
{
    struct tally straight;

    for (int l = 0; l < TALLY_LANES; l++)
        straight.lane[(l + n) % TALLY_LANES] = t->lane[l];
    return tally_end(&straight);
}

static void sum_span(struct sparsifier *z, const struct op_range *range, int64_t at, int64_t n,
                     struct tally sums[2])
{
    unsigned char d[OP_CHUNK * sizeof(double)] __attribute__((aligned(64)));

    for (int64_t end = at + n; at < end; at += OP_CHUNK) {
        const int64_t count = min_i64(OP_CHUNK, end - at);

        sparsify_read(z->call, range, z->j, at, d, count);
        if (narrows(z->call))
            narrow(z->call, (void *)d, count);
        add_magnitudes(z->call, &sums[0], d, count);
        sparsify_drop(z, range->first + at, d, count);
        add_magnitudes(z->call, &sums[1], d, count);
    }
}

static void sum_tile(const struct sparsify_call *s, const struct sparsify_state *state,
                     const struct op_range *range, struct sums *sums)
{
    struct sparsifier z[OP_INPUTS_MAX];
    struct tally tally[OP_INPUTS_MAX][2];
    int64_t n;

    memset(tally, 0, s->ndelta * sizeof(tally[0]));
    for (uint32_t j = 0; j < s->ndelta; j++)
        sparsify_begin(&z[j], s, state, range, j);
    for (int64_t at = 0; at < range->n; at += n) {
        n = sparsify_span(z, range, at, range->scratch);
        for (uint32_t j = 0; j < s->ndelta; j++)
            if (z[j].fate == SPARSIFY_SOME)
                sum_span(&z[j], range, at, n, tally[j]);
    }
    for (uint32_t j = 0; j < s->ndelta; j++) {
        sums[j].before = end_tally(&tally[j][0], range->n);
        sums[j].after = end_tally(&tally[j][1], range->n);
    }
}

static bool not_finite(const struct sparsify_call *s, uint32_t j, int64_t tile, struct err *err)
{
    const int64_t size = sparsify_tile(s->call), first = tile * size;
    char from[OP_PLACE], to[OP_PLACE];

    return err_set(err, ERR_TYPE,
                   "input %" PRIu32 " minus the base is NaN or infinite (in %s) between %s and "
                   "%s, which rescale would spread over the whole tensor; rescale = false keeps "
                   "it in its place",
                   j + 2, dtype_name(s->steps->work), op_place(&s->call->out, first, from),
                   op_place(&s->call->out, min_i64(first + size, s->n) - 1, to));
}

/* specs/merge.md 2.7: the L1 norm of what is kept becomes that of all. f16 has no room for such
 * sums: they stay f32; f64 counts in f64, but random masks in f32. */
static void find_ratio(const struct sparsify_call *s, double before, double after,
                       struct sparsify_delta *to)
{
    const bool f64 = s->steps->work == DTYPE_f64 && !s->masks;
    const struct steps *in = steps_of(f64                            ? DTYPE_f64
                                      : s->steps->work == DTYPE_bf16 ? DTYPE_bf16
                                                                     : DTYPE_f32);

    before = in->scalar(before);
    after = in->scalar(after);
    to->scaled = !(before < in->scalar(1e-7) || after < in->scalar(1e-7));
    to->ratio = in->scalar(f64 ? before / after : (double)((float)before / (float)after));
}

static enum op_more combine_sums(const struct sparsify_call *s, struct sparsify_state *state,
                                 const struct sums *tile, int64_t ntile, struct err *err)
{
    for (uint32_t j = 0; j < s->ndelta; j++) {
        double before = 0.0, after = 0.0;

        if (sparsify_fate(s, j) != SPARSIFY_SOME)
            continue;
        for (int64_t i = 0; i < ntile; i++) {
            const struct sums *t = &tile[(uint64_t)i * s->ndelta + j];

            if (!isfinite(t->before)) {
                not_finite(s, j, i, err);
                return OP_FAILED;
            }
            before += t->before;
            after += t->after;
        }
        find_ratio(s, before, after, &state->delta[j]);
    }
    return OP_DONE;
}

/* ---- the passes ------------------------------------------------------------------------------ */

enum { PHASE_SUMS = 2 }; /* the phases before it are sparsify_cut.c's */

static bool summing(const struct sparsify_call *s, const struct sparsify_state *state)
{
    return !by_magnitude(s) || state->phase == PHASE_SUMS;
}

void sparsify_reduce(const struct op_call *call, uint32_t pass, const void *state,
                     const struct op_range *range, void *partial, void *worker)
{
    const struct sparsify_call s = sparsify_of(call);

    (void)pass;
    if (summing(&s, state))
        sum_tile(&s, state, range, partial);
    else
        sparsify_cut_reduce(&s, state, range, partial, worker);
}

enum op_more sparsify_combine(const struct op_call *call, uint32_t pass, void *state,
                              const void *partial, int64_t ntile, const void *counts,
                              struct err *err)
{
    const struct sparsify_call s = sparsify_of(call);
    struct sparsify_state *known = state;

    (void)pass;
    if (summing(&s, known))
        return combine_sums(&s, known, partial, ntile, err);
    if (!sparsify_cut_combine(&s, known, partial, ntile, counts))
        return OP_AGAIN;
    if (!s.rescale)
        return OP_DONE;
    known->phase = PHASE_SUMS;
    return OP_AGAIN;
}
