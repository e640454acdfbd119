/* sparsify_rank.c - random masks whose chances follow the ranks of magnitudes in a vector (della)
 *
 * A rank is the place of an element in its vector by ascending magnitude, then ascending index.
 * With W of 16 bits a counting sort over the bins gives it as the elements go by; else digits of
 * magnitudes sort indexes. Vectors lie along axis 1: with one or two axes in one piece, else
 * strided through a slab. */
#include "base/exact.h"
#include "base/sum.h"
#include "kernel/chance.h"
#include "kernel/select.h"
#include "op/sparsify.h"

#include <string.h>

enum {
    GROUP = 4096,      /* elements, about, whose masks are made before they are used */
    WIDE_DIGIT = 8192, /* a vector of so many is sorted by digits of 11 bits, else of 8 */
    DIGITS_MAX = 1 << 11
};

/* The memory of a span. */
struct ranking {
    const struct sparsify_call *call;
    size_t key; /* bytes of a magnitude: 2 (a bin), 4 or 8 */
    unsigned char *mask;
    void *magnitude;        /* of a slab */
    uint32_t *rank;         /* of a slab */
    void *line;             /* of one strided vector: magnitudes, */
    uint32_t *line_rank;    /* and ranks */
    uint32_t *count;        /* of bins: zeros between uses */
    uint32_t *index, *next; /* of a vector */
};

static int64_t group_of(const struct sparsify_call *s)
{
    return max_i64(GROUP / s->slab, 1) * s->slab;
}

/* N bytes at the end of what is laid out so far; BASE NULL: only counted. */
static void *place(unsigned char *base, size_t *used, size_t n)
{
    void *p = base ? base + *used : NULL;

    *used += (n + 63) & ~(size_t)63;
    return p;
}

static size_t lay_out(struct ranking *r, const struct sparsify_call *s, unsigned char *base)
{
    const size_t m = (size_t)s->vector, slab = (size_t)s->slab;
    const bool bins = s->steps->work == DTYPE_bf16 || s->steps->work == DTYPE_f16;
    size_t used = 0;

    *r = (struct ranking){.call = s, .key = bins ? sizeof(uint16_t) : s->steps->size};
    r->mask = place(base, &used, s->ndelta * (size_t)group_of(s));
    r->magnitude = place(base, &used, slab * r->key);
    r->rank = place(base, &used, slab * sizeof(*r->rank));
    r->line = place(base, &used, s->stride > 1 ? m * r->key : 0);
    r->line_rank = place(base, &used, s->stride > 1 ? m * sizeof(*r->line_rank) : 0);
    r->count = place(base, &used, bins ? SELECT_BINS * sizeof(*r->count) : 0);
    r->index = place(base, &used, bins ? 0 : m * sizeof(*r->index));
    r->next = place(base, &used, bins ? 0 : m * sizeof(*r->next));
    return used;
}

size_t sparsify_rank_scratch(const struct sparsify_call *s)
{
    struct ranking r;

    return lay_out(&r, s, NULL);
}

/* ---- ranks of one vector --------------------------------------------------------------------- */

/* Bins between the least and the largest are few, but for zeros, which many deltas have. */
static void rank_bins(uint32_t *rank, const uint16_t *bin, int64_t m, uint32_t *count)
{
    uint32_t low = SELECT_BINS, high = 0, next;

    for (int64_t i = 0; i < m; i++) {
        const uint32_t b = bin[i], from = (uint16_t)(b - 1); /* of zero: the largest */

        count[b]++;
        low = from < low ? from : low;
        high = b > high ? b : high;
    }
    next = count[0];
    count[0] = 0;
    for (uint32_t b = low + 1; b <= high; b++) {
        const uint32_t n = count[b];

        count[b] = next;
        next += n;
    }
    for (int64_t i = 0; i < m; i++)
        rank[i] = count[bin[i]]++;
    count[0] = 0;
    if (low < high)
        memset(count + low + 1, 0, (high - low) * sizeof(*count));
}

static uint32_t digit_of(const void *key, size_t size, uint32_t i, uint32_t shift, uint32_t mask)
{
    const uint32_t *k32 = key;
    const uint64_t *k64 = key;

    return (uint32_t)((size == sizeof(*k32) ? k32[i] : k64[i]) >> shift) & mask;
}

/* One pass of a stable sort: TO gets the M indexes FROM by the digit at SHIFT. */
static void sort_digit(uint32_t *to, const uint32_t *from, const void *key, size_t size, int64_t m,
                       uint32_t shift, uint32_t bits)
{
    uint32_t count[DIGITS_MAX] = {0}, next = 0;
    const uint32_t mask = (1u << bits) - 1;

    for (uint32_t i = 0; i < (uint32_t)m; i++)
        count[digit_of(key, size, i, shift, mask)]++;
    for (uint32_t b = 0; b <= mask; b++) {
        const uint32_t n = count[b];

        count[b] = next;
        next += n;
    }
    for (int64_t i = 0; i < m; i++)
        to[count[digit_of(key, size, from[i], shift, mask)]++] = from[i];
}

static void rank_keys(const struct ranking *r, uint32_t *rank, const void *key, int64_t m)
{
    const uint32_t bits = m < WIDE_DIGIT ? 8 : 11, all = (uint32_t)r->key * 8 - 1;
    uint32_t *from = r->index, *to = r->next;

    for (uint32_t i = 0; i < (uint32_t)m; i++)
        from[i] = i;
    for (uint32_t shift = 0; shift < all; shift += bits) {
        uint32_t *sorted = to;

        sort_digit(to, from, key, r->key, m, shift, bits);
        to = from;
        from = sorted;
    }
    for (uint32_t i = 0; i < (uint32_t)m; i++)
        rank[from[i]] = i;
}

static void rank_vector(const struct ranking *r, uint32_t *rank, const void *key)
{
    if (r->key == sizeof(uint16_t))
        rank_bins(rank, key, r->call->vector, r->count);
    else
        rank_keys(r, rank, key, r->call->vector);
}

/* ---- slabs ----------------------------------------------------------------------------------- */

static void read_slab(const struct ranking *r, const struct op_range *range, uint32_t j, int64_t at)
{
    const struct sparsify_call *s = r->call;
    unsigned char d[OP_CHUNK * sizeof(double)] __attribute__((aligned(64)));

    for (int64_t i = 0; i < s->slab; i += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, s->slab - i);
        unsigned char *to = (unsigned char *)r->magnitude + (size_t)i * r->key;

        sparsify_read(s, range, j, at + i, d, n);
        if (r->key == sizeof(uint16_t))
            select_bins(s->steps->work, (void *)to, (const void *)d, n);
        else
            select_magnitudes(to, d, s->steps->size, n);
    }
}

static void rank_strided(const struct ranking *r)
{
    const int64_t m = r->call->vector, stride = r->call->stride;
    const unsigned char *from = r->magnitude;
    unsigned char *line = r->line;

    for (int64_t c = 0; c < stride; c++) {
        for (int64_t i = 0; i < m; i++)
            memcpy(line + (size_t)i * r->key, from + (size_t)(i * stride + c) * r->key, r->key);
        rank_vector(r, r->line_rank, r->line);
        for (int64_t i = 0; i < m; i++)
            r->rank[i * stride + c] = r->line_rank[i];
    }
}

/* The mask of the slab of delta J at AT. */
static void mask_slab(const struct ranking *r, const struct op_range *range, uint32_t j, int64_t at,
                      uint8_t *mask)
{
    const struct sparsify_call *s = r->call;
    const float epsilon = (float)s->epsilon[j];
    const struct chance_ramp ramp = {.low = (float)s->density[j] - epsilon,
                                     .last = (float)max_i64(s->vector - 1, 1),
                                     .by = epsilon};
    float p[OP_CHUNK];

    read_slab(r, range, j, at);
    if (s->stride > 1)
        rank_strided(r);
    else
        rank_vector(r, r->rank, r->magnitude);
    for (int64_t i = 0; i < s->slab; i += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, s->slab - i);

        chance_of_ranks(p, r->rank + i, ramp, n);
        chance_mask_each(mask + i, (uint64_t)s->masks[j], (uint64_t)(range->first + at + i), n, p);
    }
}

int64_t sparsify_rank_span(struct sparsifier *z, const struct op_range *range, int64_t at,
                           unsigned char *scratch)
{
    const struct sparsify_call *s = z->call;
    const int64_t group = group_of(s), n = min_i64(group, range->n - at);
    struct ranking r;

    if (z[0].kept && !z[0].summing) {
        for (uint32_t j = 0; j < s->ndelta; j++)
            z[j].mask = z[j].kept;
        return range->n - at;
    }
    lay_out(&r, s, scratch);
    if (at == 0 && r.key == sizeof(uint16_t))
        memset(r.count, 0, SELECT_BINS * sizeof(*r.count));
    for (uint32_t j = 0; j < s->ndelta; j++) {
        uint8_t *mask = z[j].kept ? z[j].kept + range->first + at : r.mask + j * (size_t)group;

        z[j].mask = mask;
        z[j].mask_first = range->first + at;
        for (int64_t i = 0; z[j].fate == SPARSIFY_SOME && i < n; i += s->slab)
            mask_slab(&r, range, j, at + i, mask + i);
    }
    return n;
}
