/* sparsify_cut.c - the largest magnitudes, or a band of them, without sorting
 *
 * Level by level, digits of magnitudes are counted, from the highest; each level fixes a digit of
 * each cut. With W of 16 bits one level is all: a bin is a magnitude. Its tiles also keep the
 * counts of the bins around where their own cut would be: mostly the cut of the whole is among
 * them, and tells in which tile its equals change sides. Else one more pass counts them. */
#include "base/exact.h"
#include "base/sum.h"
#include "kernel/select.h"
#include "op/sparsify.h"

#include <string.h>

enum {
    PHASE_COUNT,
    PHASE_EQUALS,
    LOW = 0,
    HIGH = 1,
    CUTS = 2,
    WINDOWS_MAX = 1024, /* counts that one tile keeps, of all deltas */
    WINDOW_MAX = 256,
    UNKNOWN = 0xffff /* that many, or more */
};

/* The counts of bins [first, first + width) in one tile, whose bins are all in [low, high]. */
struct window {
    uint16_t low, high, first, count[];
};

static bool narrow_work(const struct sparsify_call *s)
{
    return s->steps->work == DTYPE_bf16 || s->steps->work == DTYPE_f16;
}

/* How many elements of delta J are kept. */
static int64_t kept(const struct sparsify_call *s, uint32_t j)
{
    const int64_t k = (int64_t)(s->density[j] * (double)s->n);

    return min_i64(s->kind == SPARSIFY_TOP ? max_i64(k, 1) : k, s->n);
}

/* Its place in ascending order: positions [first, first + kept) are kept. */
static int64_t first_kept(const struct sparsify_call *s, uint32_t j)
{
    const int64_t cut = s->kind == SPARSIFY_TOP ? 0 : (int64_t)(s->gamma[j] * (double)s->n);

    return max_i64(0, s->n - kept(s, j) - cut);
}

bool sparsify_cut_counts(const struct sparsify_call *s, uint32_t j)
{
    return sparsify_fate(s, j) == SPARSIFY_SOME && kept(s, j) > 0;
}

static uint32_t counted_all(const struct sparsify_call *s)
{
    uint32_t n = 0;

    for (uint32_t j = 0; j < s->ndelta; j++)
        n += sparsify_cut_counts(s, j);
    return n;
}

static uint32_t cuts_of(const struct sparsify_call *s)
{
    return s->kind == SPARSIFY_TOP ? 1 : CUTS;
}

/* ---- levels ---------------------------------------------------------------------------------- */

static uint32_t levels(const struct sparsify_call *s)
{
    return narrow_work(s) ? 1 : s->steps->size == sizeof(float) ? 2 : 4;
}

/* Sixteen bits at a time; the last level has the fifteen that are left without a sign. */
static struct select_digit digit_of(const struct sparsify_call *s, uint32_t level)
{
    const uint32_t last = levels(s) - 1;

    if (level == last)
        return (struct select_digit){.shift = 0, .bits = 15};
    return (struct select_digit){.shift = 15 + 16 * (last - 1 - level), .bits = 16};
}

/* Counts of a table, and tables of a delta, at a level. */
static size_t table_size(const struct sparsify_call *s, uint32_t level)
{
    return narrow_work(s) ? SELECT_BINS : (size_t)1 << digit_of(s, level).bits;
}

static uint32_t tables(const struct sparsify_call *s, uint32_t level)
{
    return level == 0 ? 1 : cuts_of(s);
}

size_t sparsify_cut_worker(const struct sparsify_call *s, uint32_t pass)
{
    if (pass >= levels(s))
        return 0;
    return counted_all(s) * tables(s, pass) * table_size(s, pass) * sizeof(uint64_t);
}

size_t sparsify_cut_scratch(const struct sparsify_call *s)
{
    return narrow_work(s) ? SELECT_BINS * sizeof(uint32_t) : 0;
}

/* ---- windows --------------------------------------------------------------------------------- */

static uint32_t window_width(const struct sparsify_call *s)
{
    const uint32_t share = WINDOWS_MAX / (counted_all(s) * cuts_of(s)) / 16 * 16;

    return share > WINDOW_MAX ? WINDOW_MAX : share < 16 ? 16 : share;
}

static size_t window_size(const struct sparsify_call *s)
{
    return sizeof(struct window) + window_width(s) * sizeof(uint16_t);
}

size_t sparsify_cut_partial(const struct sparsify_call *s, uint32_t pass)
{
    if (pass >= levels(s)) /* equals of each cut, or sums: two numbers either way */
        return s->ndelta * CUTS * sizeof(double);
    return narrow_work(s) && counted_all(s) ? counted_all(s) * cuts_of(s) * window_size(s) : 0;
}

/* The bin of position AT among the magnitudes of a tile; LOW the lowest bin that is not empty. */
static uint32_t bin_at(const uint32_t *count, uint32_t low, int64_t at)
{
    uint32_t block = low / SELECT_BLOCK * SELECT_BLOCK, bin;

    for (; block + SELECT_BLOCK < SELECT_BINS; block += SELECT_BLOCK) {
        const int64_t n = select_sum(count + block);

        if (at < n)
            break;
        at -= n;
    }
    for (bin = block; bin + 1 < SELECT_BINS && at >= count[bin]; bin++)
        at -= count[bin];
    return bin;
}

/* Where the cut of a tile of N elements would be, and the counts around it. */
static void keep_window(const struct sparsify_call *s, const uint32_t *count, uint32_t low,
                        uint32_t high, int64_t at, struct window *to)
{
    const uint32_t width = window_width(s), bin = bin_at(count, low, at);
    const uint32_t first = bin < width / 2 ? 0 : bin - width / 2;

    to->low = (uint16_t)low;
    to->high = (uint16_t)high;
    to->first = (uint16_t)first;
    for (uint32_t i = 0; i < width; i++) {
        const uint32_t n = first + i < SELECT_BINS ? count[first + i] : 0;

        to->count[i] = (uint16_t)(n < UNKNOWN ? n : UNKNOWN);
    }
}

/* Of the elements of BIN in a tile, how many; -1: the window does not say. */
static int64_t look_up(const struct window *w, uint32_t width, uint64_t bin)
{
    if (bin < w->low || bin > w->high)
        return 0;
    if (bin < w->first || bin >= w->first + width || w->count[bin - w->first] == UNKNOWN)
        return -1;
    return w->count[bin - w->first];
}

/* ---- counting -------------------------------------------------------------------------------- */

static void keep_windows(const struct sparsify_call *s, uint32_t j, const uint32_t *count,
                         const uint32_t found[2], int64_t n, unsigned char *to)
{
    const int64_t place[CUTS] = {first_kept(s, j),
                                 min_i64(first_kept(s, j) + kept(s, j), s->n) - 1};

    for (uint32_t c = 0; c < cuts_of(s); c++) {
        const int64_t at = (int64_t)((double)place[c] / (double)s->n * (double)n);

        keep_window(s, count, found[0], found[1], min_i64(at, n - 1),
                    (void *)(to + c * window_size(s)));
    }
}

static void count_bins(const struct sparsify_call *s, uint32_t j, const struct op_range *range,
                       unsigned char *windows, uint64_t *to)
{
    uint32_t *count = range->scratch, found[2] = {SELECT_BINS, 0};
    uint16_t bin[OP_CHUNK];
    float d[OP_CHUNK];

    memset(count, 0, SELECT_BINS * sizeof(*count));
    for (int64_t at = 0; at < range->n; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, range->n - at);

        sparsify_read(s, range, j, at, d, n);
        select_bins(s->steps->work, bin, d, n);
        select_count_bins(count, bin, n);
    }
    for (uint32_t b = 0; b < SELECT_BINS; b += SELECT_BLOCK) {
        if (select_sum(count + b) == 0)
            continue;
        select_merge(to + b, count + b, SELECT_BLOCK);
        for (uint32_t i = b; found[0] == SELECT_BINS; i++)
            found[0] = count[i] ? i : found[0];
        for (uint32_t i = b; i < b + SELECT_BLOCK; i++)
            found[1] = count[i] ? i : found[1];
    }
    keep_windows(s, j, count, found, range->n, windows);
}

static void count_digits(const struct sparsify_call *s, uint32_t j,
                         const struct sparsify_state *state, const struct op_range *range,
                         uint64_t *to)
{
    const uint32_t size = s->steps->size, level = state->level;
    unsigned char d[OP_CHUNK * sizeof(double)] __attribute__((aligned(64)));
    unsigned char magnitude[OP_CHUNK * sizeof(double)] __attribute__((aligned(64)));
    struct select_digit digit = digit_of(s, level);

    for (int64_t at = 0; at < range->n; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, range->n - at);

        sparsify_read(s, range, j, at, d, n);
        select_magnitudes(magnitude, d, size, n);
        for (uint32_t c = 0; c < tables(s, level); c++) {
            digit.prefix = state->delta[j].cut[c].key;
            if (level == 0 || state->delta[j].cut[c].on)
                select_count_digits(to + c * table_size(s, level), magnitude, size, digit, n);
        }
    }
}

static void count_equals(const struct sparsify_call *s, uint32_t j, const struct sparsify_cut *cut,
                         const struct op_range *range, int64_t to[CUTS])
{
    const uint32_t size = s->steps->size;
    unsigned char d[OP_CHUNK * sizeof(double)] __attribute__((aligned(64)));
    unsigned char magnitude[OP_CHUNK * sizeof(double)] __attribute__((aligned(64)));

    to[LOW] = to[HIGH] = 0;
    for (int64_t at = 0; at < range->n; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, range->n - at);

        sparsify_read(s, range, j, at, d, n);
        select_magnitudes(magnitude, d, size, n);
        for (int c = 0; c < CUTS; c++)
            if (cut[c].on && !cut[c].found)
                to[c] += select_equals(magnitude, size, cut[c].key, n);
    }
}

static bool all_found(const struct sparsify_delta *d)
{
    return (!d->cut[LOW].on || d->cut[LOW].found) && (!d->cut[HIGH].on || d->cut[HIGH].found);
}

void sparsify_cut_reduce(const struct sparsify_call *s, const struct sparsify_state *state,
                         const struct op_range *range, void *partial, void *worker)
{
    const size_t table = tables(s, state->level) * table_size(s, state->level);
    unsigned char *windows = partial;
    uint64_t *counts = worker;
    int64_t *equals = partial;

    for (uint32_t j = 0; j < s->ndelta; j++) {
        if (!sparsify_cut_counts(s, j))
            continue;
        if (state->phase == PHASE_EQUALS) {
            if (!all_found(&state->delta[j]))
                count_equals(s, j, state->delta[j].cut, range, equals + CUTS * j);
            continue;
        }
        if (narrow_work(s)) {
            count_bins(s, j, range, windows, counts);
            windows += cuts_of(s) * window_size(s);
        } else {
            count_digits(s, j, state, range, counts);
        }
        counts += table;
    }
}

/* ---- finding --------------------------------------------------------------------------------- */

static void begin_cuts(const struct sparsify_call *s, uint32_t j, struct sparsify_delta *d)
{
    const int64_t first = first_kept(s, j), end = min_i64(first + kept(s, j), s->n);

    d->cut[LOW] =
        (struct sparsify_cut){.on = first > 0, .early = s->kind == SPARSIFY_TOP, .rest = first};
    d->cut[HIGH] = (struct sparsify_cut){.on = end < s->n, .early = true, .rest = end - 1};
}

static void next_digit(const struct sparsify_call *s, uint32_t level, struct sparsify_cut *cut,
                       const uint64_t *count)
{
    uint64_t digit = 0;

    while (digit + 1 < table_size(s, level) && (uint64_t)cut->rest >= count[digit])
        cut->rest -= (int64_t)count[digit++];
    cut->key = cut->key << digit_of(s, level).bits | digit;
    cut->equals = (int64_t)count[digit];
}

/* All digits are known: which of the equals are kept? Whether zeros are does not matter. */
static void end_digits(const struct sparsify_call *s, struct sparsify_delta *d)
{
    struct sparsify_cut *low = &d->cut[LOW], *high = &d->cut[HIGH];

    /* TOP counts from the largest down: the first of its equals come before all others. */
    low->bound = s->kind == SPARSIFY_TOP ? low->equals - low->rest : low->rest;
    high->bound = high->rest + 1;
    for (int c = 0; c < CUTS; c++) {
        struct sparsify_cut *cut = &d->cut[c];

        cut->found = cut->key == 0 || (cut->early ? cut->bound == cut->equals : cut->bound == 0);
        cut->tile = cut->early ? INT64_MAX : -1; /* all of them are kept */
    }
}

/* The tile of a cut by the windows of the tiles; false: one of them does not say. */
static bool find_by_windows(const struct sparsify_call *s, struct sparsify_cut *cut,
                            const unsigned char *window, size_t stride, int64_t ntile)
{
    const uint32_t width = window_width(s);
    int64_t before = 0;

    for (int64_t t = 0; t < ntile; t++) {
        const int64_t n = look_up((const void *)(window + (size_t)t * stride), width, cut->key);

        if (n < 0)
            return false;
        if (before + n > cut->bound) {
            cut->tile = t;
            cut->local = cut->bound - before;
            return true;
        }
        before += n;
    }
    return false;
}

static void find_by_equals(struct sparsify_cut *cut, const int64_t *equals, size_t stride,
                           int64_t ntile)
{
    int64_t before = 0, t = 0;

    while (t + 1 < ntile && before + equals[(size_t)t * stride] <= cut->bound)
        before += equals[(size_t)t++ * stride];
    cut->tile = t;
    cut->local = cut->bound - before;
    cut->found = true;
}

/* The last level of delta J, whose windows begin at WINDOW. */
static void find_cuts(const struct sparsify_call *s, struct sparsify_delta *d,
                      const unsigned char *window, int64_t ntile)
{
    end_digits(s, d);
    if (!narrow_work(s))
        return;
    for (uint32_t c = 0; c < cuts_of(s); c++) {
        struct sparsify_cut *cut = &d->cut[c];

        if (cut->on && !cut->found)
            cut->found = find_by_windows(s, cut, window + c * window_size(s),
                                         sparsify_cut_partial(s, 0), ntile);
        cut->key = select_magnitude_of(s->steps->work, (uint32_t)cut->key);
    }
}

static bool combine_counts(const struct sparsify_call *s, struct sparsify_state *state,
                           const unsigned char *windows, int64_t ntile, const uint64_t *counts)
{
    const uint32_t level = state->level;
    bool found = true;

    for (uint32_t j = 0; j < s->ndelta; j++) {
        struct sparsify_delta *d = &state->delta[j];

        if (!sparsify_cut_counts(s, j))
            continue;
        if (level == 0)
            begin_cuts(s, j, d);
        for (uint32_t c = 0; c < cuts_of(s); c++)
            if (d->cut[c].on)
                next_digit(s, level, &d->cut[c], counts + (level ? c : 0) * table_size(s, level));
        counts += tables(s, level) * table_size(s, level);
        if (level + 1 == levels(s)) {
            find_cuts(s, d, windows, ntile);
            found &= all_found(d);
        }
        windows += narrow_work(s) ? cuts_of(s) * window_size(s) : 0;
    }
    if (level + 1 < levels(s)) {
        state->level++;
        return false;
    }
    state->phase = PHASE_EQUALS;
    return found;
}

bool sparsify_cut_combine(const struct sparsify_call *s, struct sparsify_state *state,
                          const void *partial, int64_t ntile, const uint64_t *counts)
{
    const int64_t *equals = partial;

    if (state->phase == PHASE_COUNT)
        return combine_counts(s, state, partial, ntile, counts);
    for (uint32_t j = 0; j < s->ndelta; j++)
        for (uint32_t c = 0; c < CUTS; c++) {
            struct sparsify_cut *cut = &state->delta[j].cut[c];

            if (sparsify_cut_counts(s, j) && cut->on && !cut->found)
                find_by_equals(cut, equals + CUTS * j + c, (size_t)CUTS * s->ndelta, ntile);
        }
    return true;
}

/* ---- dropping -------------------------------------------------------------------------------- */

/* What is kept in tile TILE: the cuts, with or without their equals. */
static void begin_tile(struct sparsifier *z, int64_t tile)
{
    const struct sparsify_cut *low, *high;

    z->tile = tile;
    z->low = 0;
    z->high = UINT64_MAX >> (z->call->steps->size == sizeof(float) ? 32 : 0);
    z->fix[LOW] = z->fix[HIGH] = NULL;
    z->seen[LOW] = z->seen[HIGH] = 0;
    if (!sparsify_cut_counts(z->call, z->j)) {
        z->low = 1;
        z->high = 0;
        return;
    }
    low = &z->delta->cut[LOW];
    high = &z->delta->cut[HIGH];
    if (low->on) {
        z->low = low->key + (low->early ? tile > low->tile : tile < low->tile);
        z->fix[LOW] = tile == low->tile ? low : NULL;
    }
    if (high->on) {
        z->high = high->key - (tile > high->tile);
        z->fix[HIGH] = tile == high->tile ? high : NULL;
    }
}

/* D was kept by the bounds; of the equals of CUT some must go. */
static void drop_equals(struct sparsifier *z, int which, const void *magnitude, void *d, int64_t n)
{
    const struct sparsify_cut *cut = z->fix[which];
    const uint32_t *m32 = magnitude;
    const uint64_t *m64 = magnitude;
    const bool f32 = z->call->steps->size == sizeof(float);
    float *d32 = d;
    double *d64 = d;

    for (int64_t i = 0; i < n; i++) {
        if ((f32 ? m32[i] : m64[i]) != cut->key)
            continue;
        if ((z->seen[which]++ < cut->local) == cut->early)
            continue;
        if (f32)
            d32[i] = d32[i] * 0.0f;
        else
            d64[i] = d64[i] * 0.0;
    }
}

void sparsify_cut_drop(struct sparsifier *z, int64_t first, void *d, int64_t n)
{
    const uint32_t size = z->call->steps->size;
    unsigned char magnitude[OP_CHUNK * sizeof(double)] __attribute__((aligned(64)));

    if (first / OP_TILE != z->tile)
        begin_tile(z, first / OP_TILE);
    if (z->fix[LOW] || z->fix[HIGH])
        select_magnitudes(magnitude, d, size, n);
    select_between(d, size, z->low, z->high, n);
    for (int c = 0; c < CUTS; c++)
        if (z->fix[c])
            drop_equals(z, c, magnitude, d, n);
}
