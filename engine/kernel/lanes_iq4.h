/* lanes_iq4.h - iq4.c's search and levels, and the encoders of iq4_nl and iq4_xs, in lanes
 *
 * The definition counts the borders that a value is not below. A tree of comparisons (AVX2), or
 * the one border that can lie near a value (AVX-512), says the same with fewer. */
#ifndef KERNEL_LANES_IQ4_H
#define KERNEL_LANES_IQ4_H

#include "kernel/lanes_run.h"

#if defined(__AVX2__)

#if defined(__AVX512F__)
/* By k + 16, where k is the integer nearest to v / 9, |v| < 139: borders are at least 11 apart, so
 * that at most one lies between 9 k - 4.6 and 9 k + 4.6; infinite where none does. */
#define NONE INFINITY
static const float iq4_near[32] = {NONE,  NONE, NONE,  -115.5f, NONE,  NONE,   -93.5f, NONE,
                                   -74.f, NONE, -57.f, -42.f,   NONE,  -28.5f, -16.f,  -4.5f,
                                   -4.5f, 7.f,  19.f,  31.5f,   31.5f, 45.5f,  NONE,   61.f,
                                   NONE,  79.f, NONE,  101.f,   NONE,  NONE,   NONE,   NONE};
#undef NONE
/* The level below that border. */
static const int32_t iq4_below[32] = {0, 0, 0, 0,  1,  1,  1,  2,  2,  3,  3,  4,  5,  5,  6,  7,
                                      7, 8, 9, 10, 10, 11, 12, 12, 13, 13, 14, 14, 15, 15, 15, 15};
static const float iq4_value[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                    1,    13,   25,  38,  53,  69,  89,  113};

struct iq4_tables {
    vi below[2];
    vf near[2], value;
};

LANE struct iq4_tables iq4_tables_of(void)
{
    const struct iq4_tables t = {{vi_load(iq4_below), vi_load(iq4_below + 16)},
                                 {vf_load(iq4_near), vf_load(iq4_near + 16)},
                                 vf_load(iq4_value)};

    return t;
}

/* The index of V's level. |V| < 139. */
LANE vi iq4_index(const struct iq4_tables *t, vf v)
{
    const __m512i at = (__m512i)(v * (1.0f / 9.0f) + (12582912.0f + 16.0f)); /* its last 5 bits */
    const vf near = (vf)_mm512_permutex2var_ps((__m512)t->near[0], at, (__m512)t->near[1]);
    const __m512i below = _mm512_permutex2var_epi32((__m512i)t->below[0], at, (__m512i)t->below[1]);

    return (vi)_mm512_mask_add_epi32(below, vf_nlt(v, near), below, _mm512_set1_epi32(1));
}

LANE vf iq4_level_at(const struct iq4_tables *t, vi index)
{
    return (vf)_mm512_permutexvar_ps((__m512i)index, (__m512)t->value);
}
#else
/* Borders 1, 5, 9, 13 (twice), and 0, 2, .. 14; the levels, lower half and upper. */
static const float iq4_fours[8] = {-93.5f, -28.5f, 19, 79, -93.5f, -28.5f, 19, 79};
static const float iq4_twos[8] = {-115.5f, -74, -42, -16, 7, 31.5f, 61, 101};
static const float iq4_value[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                    1,    13,   25,  38,  53,  69,  89,  113};

struct iq4_tables {
    vf fours, twos, low, high;
};

LANE struct iq4_tables iq4_tables_of(void)
{
    const struct iq4_tables t = {vf_load(iq4_fours), vf_load(iq4_twos), vf_load(iq4_value),
                                 vf_load(iq4_value + 8)};

    return t;
}

/* table[i mod 8] */
LANE vf iq4_permute(vf table, vi i)
{
    return (vf)_mm256_permutevar8x32_ps((__m256)table, (__m256i)i);
}

LANE vi iq4_index(const struct iq4_tables *t, vf v)
{
    const vm upper = vf_nlt(v, vf_all(-4.5f));
    const vm second = vf_nlt(v, vf_pick(upper, vf_all(45.5f), vf_all(-57.0f)));
    vi i = (upper & 2) - second;

    i = i + i - vf_nlt(v, iq4_permute(t->fours, i));
    return i + i - vf_nlt(v, iq4_permute(t->twos, i));
}

LANE vf iq4_level_at(const struct iq4_tables *t, vi index)
{
    return vf_pick(vi_lt(vi_all(7), index), iq4_permute(t->high, index),
                   iq4_permute(t->low, index));
}
#endif

struct iq4_sums {
    vf wxq, wqq;
};

LANE void iq4_add(struct iq4_sums *s, const struct iq4_tables *t, vf id, vf x, vf w)
{
    const vf q = iq4_level_at(t, iq4_index(t, id * x)), wq = w * q;

    s->wxq += wq * x;
    s->wqq += wq * q;
}

struct iq4_best {
    vf d, best;
};

LANE void iq4_try(struct iq4_best *b, const struct iq4_sums *s)
{
    const vm better = vm_and(vf_gt(s->wqq, vf_all(0.0f)), vf_gt(s->wxq * s->wxq, b->best * s->wqq));
    const vf d = s->wxq / s->wqq;

    b->d = vf_pick(better, d, b->d);
    b->best = vf_pick(better, d * s->wxq, b->best);
}

/* iq4_scale. x is finite: what is at least search_tiny has no id beyond 135 / largest, and so no
 * product beyond what iq4_index takes. */
static vf lanes_iq4_scale(const vf *x, const vf *w)
{
    const struct iq4_tables t = iq4_tables_of();
    const vf zero = vf_all(0.0f);
    struct iq4_best best = {zero, zero};
    vf extreme;
    const vm none = vf_lt(lanes_extreme(32, x, &extreme), vf_all(search_tiny));

    /* Trials 0 and 1, 2 and 3, ... side by side. */
    for (int k = 0; k < 16; k += 2) {
        struct iq4_sums a = {zero, zero}, b = a;
        const vf id = k == 0 ? 1.0f / (-extreme / -127.0f) : (float)(k - 8 - 127) / extreme;
        const vf next = (float)(k + 1 - 8 - 127) / extreme;

        for (int i = 0; i < 32; i++) {
            iq4_add(&a, &t, id, x[i], w[i]);
            iq4_add(&b, &t, next, x[i], w[i]);
        }
        if (k == 0) {
            best.d = vf_pick(vf_gt(a.wqq, zero), a.wxq / a.wqq, zero);
            best.best = best.d * a.wxq;
        } else {
            iq4_try(&best, &a);
        }
        iq4_try(&best, &b);
    }
    return vf_pick(none, zero, best.d);
}

/* The levels nearest to ID * x of 32 values as 4 words: element j low, element j + 16 high. */
static void lanes_iq4_put(const vf *x, vf id, vu word[4])
{
    const struct iq4_tables t = iq4_tables_of();
    vu byte[16];

    for (int j = 0; j < 16; j++) {
        vu index[2];

        for (int h = 0; h < 2; h++) {
            /* Beyond the levels they all are the last one; NaN is, too. */
            const vf v = vf_max(vf_min(id * x[j + 16 * h], vf_all(130.0f)), vf_all(-130.0f));

            index[h] = (vu)iq4_index(&t, v);
        }
        byte[j] = index[0] | index[1] << 4;
    }
    for (int k = 0; k < 4; k++)
        word[k] = vu_bytes(byte[4 * k], byte[4 * k + 1], byte[4 * k + 2], byte[4 * k + 3]);
}

static void iq4_weights(const struct lanes_batch *b, int at, vf variance, vf *w)
{
    const vf *x = b->x + at;

    if (b->weighted)
        lanes_weights(32, x, b->imatrix + at, variance, w);
    else
        for (int i = 0; i < 32; i++)
            w[i] = x[i] * x[i];
}

static void iq4_nl_lanes(struct lanes_batch *b)
{
    vf w[32], scale;
    vu word[4];

    iq4_weights(b, 0, lanes_squares(32, b->x) * (2.0f / 32.0f), w);
    scale = lanes_iq4_scale(b->x, w);
    lanes_put_half(b->count, b->block, 0, vu_f16(scale));
    lanes_iq4_put(b->x, vf_over(vf_all(1.0f), scale), word);
    lanes_put_words(b->count, b->block, 2, word, 4);
}

static void iq4_xs_lanes(struct lanes_batch *b)
{
    const vf variance = lanes_squares(256, b->x) * (2.0f / 256.0f);
    vf scale[8], extreme, d, id;
    vu head[2] = {vu_all(0), vu_all(0)}, word[4];

    for (int j = 0; j < 8; j++) {
        vf w[32];

        iq4_weights(b, 32 * j, variance, w);
        scale[j] = lanes_iq4_scale(b->x + 32 * j, w);
    }
    lanes_extreme(8, scale, &extreme);
    d = -extreme / 32.0f;
    id = vf_over(vf_all(1.0f), d);
    for (int j = 0; j < 8; j++) {
        const vi l = vi_clamp(vi_nearest(id * scale[j]), -32, 31);
        const vu stored = (vu)(l + 32);

        lanes_iq4_put(b->x + 32 * j, vf_over(vf_all(1.0f), d * vf_of(l)), word);
        lanes_put_words(b->count, b->block, 8 + 16 * j, word, 4);
        head[0] |= stored >> 4 << (16 + 2 * j);
        head[1] |= (stored & 15u) << (4 * j);
    }
    head[0] |= vu_f16(d);
    lanes_put_words(b->count, b->block, 0, head, 2);
}

#endif
#endif
