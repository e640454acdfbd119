/* rank.c - digits counted from the top, and which of several equals are meant */
#include "op/rank.h"

#include "base/sum.h"
#include "kernel/select.h"

#include <string.h>

uint32_t rank_key_bits(enum dtype work)
{
    return work == DTYPE_f64 ? 63 : work == DTYPE_f32 ? 31 : 15;
}

uint32_t rank_levels(uint32_t bits)
{
    return (bits + RANK_DIGIT - 1) / RANK_DIGIT;
}

/* The lowest digit has the bits that are left. */
static uint32_t digit_bits(uint32_t bits, uint32_t level)
{
    const uint32_t left = bits - level * RANK_DIGIT;

    return left < RANK_DIGIT ? left : RANK_DIGIT;
}

size_t rank_counts(uint32_t bits, uint32_t level)
{
    return (size_t)1 << digit_bits(bits, level);
}

void rank_count(const struct rank *r, uint32_t bits, uint32_t level, const void *key, uint32_t size,
                int64_t n, uint64_t *counts)
{
    const uint32_t width = digit_bits(bits, level);
    const struct select_digit digit = {bits - level * RANK_DIGIT - width, width,
                                       level ? r->key : 0};

    select_count_digits(counts, key, size, digit, n);
}

void rank_step(struct rank *r, uint32_t bits, uint32_t level, const uint64_t *counts)
{
    const size_t last = rank_counts(bits, level) - 1;
    size_t digit = 0;

    while (digit < last && r->rest >= (int64_t)counts[digit]) {
        r->rest -= (int64_t)counts[digit];
        digit++;
    }
    r->key = (level ? r->key << digit_bits(bits, level) : 0) | digit;
    r->equals = (int64_t)counts[digit];
}

struct rank_bound rank_bound_of(int64_t first, const int64_t *equals, int64_t stride, int64_t ntile)
{
    struct rank_bound bound = {0, first};

    while (bound.tile < ntile && bound.local >= equals[stride * bound.tile])
        bound.local -= equals[stride * bound.tile++];
    return bound;
}

void rank_mask(uint64_t cut, const struct rank_bound *bound, int64_t tile, const uint64_t *key,
               int64_t n, int64_t *seen, uint8_t *mask)
{
    if (tile == bound->tile) {
        for (int64_t i = 0; i < n; i++) {
            mask[i] = key[i] > cut || (key[i] == cut && *seen < bound->local);
            *seen += key[i] == cut;
        }
        return;
    }
    /* All equals of the tile are on one side; no key is larger than INT64_MAX. */
    const uint64_t least = tile < bound->tile ? cut : cut + 1;

    for (int64_t i = 0; i < n; i++)
        mask[i] = key[i] >= least;
}
