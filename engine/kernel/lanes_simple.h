/* lanes_simple.h - the encoders of q4_0, q4_1, q5_0, q5_1 and q8_0, one block a lane
 *
 * NAME_lanes is the plain encoder of NAME.c, NAME_pair the one with column weights, which takes
 * two blocks a lane. */
#ifndef KERNEL_LANES_SIMPLE_H
#define KERNEL_LANES_SIMPLE_H

#include "kernel/lanes_run.h"

#if defined(__AVX2__)

/* 16 bytes: the lower four bits of element j low, of element j + 16 high. */
static void put_halves(const struct lanes_batch *b, int at, const vu *L)
{
    vu word[4];

    for (int k = 0; k < 4; k++) {
        const vu *q = L + 4 * k;

        word[k] = vu_bytes((q[0] & 15u) | q[16] << 4, (q[1] & 15u) | q[17] << 4,
                           (q[2] & 15u) | q[18] << 4, (q[3] & 15u) | q[19] << 4);
    }
    lanes_put_words(b->count, b->block, at, word, 4);
}

/* As struct five: bit 4 of each element, then the lower four bits. */
static void put_five(const struct lanes_batch *b, int at, const vu *L)
{
    vu high = vu_all(0);

    for (int j = 0; j < 32; j++)
        high |= (L[j] >> 4 & 1u) << j;
    lanes_put_words(b->count, b->block, at, &high, 1);
    put_halves(b, at + 4, L);
}

/* The lower 8 bits of X with their sign. */
LANE vi vi_byte(vi x)
{
    return (vi)((vu)x << 24) >> 24;
}

/* q4_0 and q5_0: 2 HALF levels, the extreme one HALF below zero. */
LANE void plain_signed(const struct lanes_batch *b, int half, vu *L)
{
    vf extreme, d, id;

    lanes_extreme(32, b->x, &extreme);
    d = extreme / (float)-half;
    id = vf_over(vf_all(1.0f), d);
    lanes_put_half(b->count, b->block, 0, vu_f16(d));
    for (int j = 0; j < 32; j++) {
        const vi q = vi_byte(vi_trunc(b->x[j] * id + ((float)half + 0.5f)));

        L[j] = (vu)vi_min(q, vi_all(2 * half - 1));
    }
}

/* q4_1 and q5_1: NMAX + 1 levels from the least value on; not yet cut to them. */
LANE void plain_range(const struct lanes_batch *b, int nmax, vi *q)
{
    vf min = vf_all(FLT_MAX), max = vf_all(-FLT_MAX), d, id;

    for (int j = 0; j < 32; j++) {
        min = vf_min(b->x[j], min);
        max = vf_max(b->x[j], max);
    }
    d = (max - min) / (float)nmax;
    id = vf_over(vf_all(1.0f), d);
    lanes_put_half(b->count, b->block, 0, vu_f16(d));
    lanes_put_half(b->count, b->block, 2, vu_f16(min));
    for (int j = 0; j < 32; j++)
        q[j] = vi_trunc((b->x[j] - min) * id + 0.5f);
}

static void q4_0_lanes(struct lanes_batch *b)
{
    vu L[32];

    plain_signed(b, 8, L);
    /* A level that wrapped below zero keeps its bits, the upper half of which spoil a neighbour. */
    for (int j = 0; j < 16; j++)
        L[j + 16] |= L[j] >> 4 & 15u;
    put_halves(b, 2, L);
}

static void q5_0_lanes(struct lanes_batch *b)
{
    vu L[32];

    plain_signed(b, 16, L);
    put_five(b, 2, L);
}

static void q4_1_lanes(struct lanes_batch *b)
{
    vi q[32];

    plain_range(b, 15, q);
    for (int j = 0; j < 32; j++)
        q[j] = vi_min(vi_byte(q[j]), vi_all(15));
    for (int j = 0; j < 16; j++)
        q[j + 16] |= q[j] >> 4 & 15;
    put_halves(b, 4, (const vu *)q);
}

static void q5_1_lanes(struct lanes_batch *b)
{
    vi q[32];

    plain_range(b, 31, q);
    put_five(b, 4, (const vu *)q);
}

static void q8_0_lanes(struct lanes_batch *b)
{
    vf largest = vf_all(0.0f), d, id;
    vu word[8];

    for (int j = 0; j < 32; j++)
        largest = vf_max(largest, vf_abs(b->x[j]));
    d = largest / 127.0f;
    id = vf_over(vf_all(1.0f), d);
    lanes_put_half(b->count, b->block, 0, vu_f16(d));
    for (int k = 0; k < 8; k++) {
        vu q[4];

        for (int i = 0; i < 4; i++)
            q[i] = (vu)vi_round_away(b->x[4 * k + i] * id);
        word[k] = vu_bytes(q[0], q[1], q[2], q[3]);
    }
    lanes_put_words(b->count, b->block, 2, word, 8);
}

/* ---- with column weights --------------------------------------------------------------------- */

/* The scale of QX with 2 HALF levels, stored; the levels in L. */
LANE void pair_signed(const struct lanes_batch *b, int half, vu L[2][32])
{
    vf w[2][32];
    struct lanes_signed found[2];

    for (int s = 0; s < 2; s++)
        lanes_weights(32, b[s].x, b[s].imatrix, b[s].variance, w[s]);
    lanes_search_signed(32, half, b[0].x, w[0], b[1].x, w[1], false, found);
    for (int s = 0; s < 2; s++) {
        lanes_put_half(b[s].count, b[s].block, 0, vu_f16(found[s].scale));
        for (int j = 0; j < 32; j++)
            L[s][j] = (vu)lanes_signed_level(&found[s], b[s].x[j], half, false);
    }
}

LANE void pair_range(const struct lanes_batch *b, int nmax, vu L[2][32])
{
    vf w[2][32];
    struct lanes_range found[2];

    for (int s = 0; s < 2; s++)
        lanes_weights(32, b[s].x, b[s].imatrix, b[s].variance, w[s]);
    lanes_search_range(32, nmax, b[0].x, w[0], b[1].x, w[1], &search_imatrix_steps, found);
    for (int s = 0; s < 2; s++) {
        lanes_put_half(b[s].count, b[s].block, 0, vu_f16(found[s].scale));
        lanes_put_half(b[s].count, b[s].block, 2, vu_f16(found[s].min));
        for (int j = 0; j < 32; j++)
            L[s][j] = (vu)lanes_range_level(&found[s], b[s].x[j], nmax);
    }
}

static void q4_0_pair(struct lanes_batch *b)
{
    vu L[2][32];

    pair_signed(b, 8, L);
    put_halves(&b[0], 2, L[0]);
    put_halves(&b[1], 2, L[1]);
}

static void q5_0_pair(struct lanes_batch *b)
{
    vu L[2][32];

    pair_signed(b, 16, L);
    put_five(&b[0], 2, L[0]);
    put_five(&b[1], 2, L[1]);
}

static void q4_1_pair(struct lanes_batch *b)
{
    vu L[2][32];

    pair_range(b, 15, L);
    put_halves(&b[0], 4, L[0]);
    put_halves(&b[1], 4, L[1]);
}

static void q5_1_pair(struct lanes_batch *b)
{
    vu L[2][32];

    pair_range(b, 31, L);
    put_five(&b[0], 4, L[0]);
    put_five(&b[1], 4, L[1]);
}

#endif
#endif
