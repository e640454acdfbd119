/* chance.c - random masks, 64 elements at a time
 *
 * u < p with u in steps of 2^-24 is (word >> 8) < ceil(p * 2^24): integers alone. */
#include "kernel/chance.h"

#include "base/exact.h"
#include "base/sum.h"
#include "kernel/cpu.h"
#include "kernel/philox.h"

#include <math.h>
#include <string.h>

enum { BATCH = 4 * PHILOX_LANES };

/* The 24 bits of elements [4 * BLOCK, 4 * BLOCK + BATCH), in order. */
static void draw(uint32_t u[BATCH], uint64_t key, uint64_t block)
{
    uint32_t word[4][PHILOX_LANES];

    philox_lanes(key, block, word);
    for (int l = 0; l < PHILOX_LANES; l++)
        for (int w = 0; w < 4; w++)
            u[4 * l + w] = word[w][l] >> 8;
}

#define BODY static inline __attribute__((always_inline))

/* Bytes: 1 where below LIMIT. Four are made as one number, lowest first. */
BODY void below_body(uint8_t mask[BATCH], uint32_t (*word)[PHILOX_LANES], uint32_t limit)
{
    uint32_t four[PHILOX_LANES];

    for (int l = 0; l < PHILOX_LANES; l++)
        four[l] = ((word[0][l] >> 8) - limit) >> 31 | ((word[1][l] >> 8) - limit) >> 31 << 8 |
                  ((word[2][l] >> 8) - limit) >> 31 << 16 | ((word[3][l] >> 8) - limit) >> 31 << 24;
    memcpy(mask, four, sizeof(four));
}

#if CPU_X86
__attribute__((target("avx2"))) static void
below_avx2(uint8_t mask[BATCH], uint32_t (*word)[PHILOX_LANES], uint32_t limit)
{
    below_body(mask, word, limit);
}
#endif

static void draw_below(uint8_t mask[BATCH], uint64_t key, uint64_t block, uint32_t limit)
{
    uint32_t word[4][PHILOX_LANES];

    philox_lanes(key, block, word);
#if CPU_X86
    if (cpu_has_avx2()) {
        below_avx2(mask, word, limit);
        return;
    }
#endif
    below_body(mask, word, limit);
}

/* ceil(p * 2^24), at most 2^24; NaN keeps nothing. */
static uint32_t limit_of(float p)
{
    const double scaled = (double)p * 0x1p24, whole = floor(scaled);

    if (!(scaled > 0))
        return 0;
    return scaled >= 0x1p24 ? 1u << 24 : (uint32_t)whole + (whole < scaled);
}

void chance_mask(uint8_t *mask, uint64_t key, uint64_t first, int64_t n, float p)
{
    const uint32_t limit = limit_of(p);
    uint8_t batch[BATCH];
    int64_t skip = (int64_t)(first % 4);

    for (int64_t at = 0; at < n; skip = 0) {
        const int64_t count = min_i64(BATCH - skip, n - at);

        draw_below(batch, key, (first + (uint64_t)at) / 4, limit);
        memcpy(mask + at, batch + skip, (size_t)count);
        at += count;
    }
}

static inline uint8_t below(uint32_t u, float p)
{
    return (float)(int32_t)u * 0x1p-24f < p;
}

static void below_batch(uint8_t *restrict mask, const uint32_t *restrict u, const float *restrict p)
{
    for (int i = 0; i < BATCH; i++)
        mask[i] = below(u[i], p[i]);
}

void chance_mask_each(uint8_t *mask, uint64_t key, uint64_t first, int64_t n, const float *p)
{
    uint32_t u[BATCH];
    int64_t skip = (int64_t)(first % 4);

    for (int64_t at = 0; at < n; skip = 0) {
        const int64_t count = min_i64(BATCH - skip, n - at);

        draw(u, key, (first + (uint64_t)at) / 4);
        if (count == BATCH)
            below_batch(mask + at, u, p + at);
        for (int64_t i = 0; count < BATCH && i < count; i++)
            mask[at + i] = below(u[skip + i], p[at + i]);
        at += count;
    }
}

enum { STEP = 32 };

BODY void ranks_body(float *restrict p, const uint32_t *restrict rank, struct chance_ramp r,
                     int64_t n)
{
    int64_t at = 0;

    for (; at + STEP <= n; at += STEP)
        for (int64_t i = at; i < at + STEP; i++)
            p[i] = r.low + (((float)(int32_t)rank[i] / r.last) * 2.0f) * r.by;
    for (; at < n; at++)
        p[at] = r.low + (((float)(int32_t)rank[at] / r.last) * 2.0f) * r.by;
}

#if CPU_X86
__attribute__((target("avx2"))) static void ranks_avx2(float *p, const uint32_t *rank,
                                                       struct chance_ramp r, int64_t n)
{
    ranks_body(p, rank, r, n);
}
#endif

void chance_of_ranks(float *p, const uint32_t *rank, struct chance_ramp ramp, int64_t n)
{
#if CPU_X86
    if (cpu_has_avx2()) {
        ranks_avx2(p, rank, ramp, n);
        return;
    }
#endif
    ranks_body(p, rank, ramp, n);
}
