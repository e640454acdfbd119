/* lanes_narrow.h - the encoders of mxfp4, nvfp4, tq1_0, tq2_0, q1_0 and q2_0, one block a lane */
#ifndef KERNEL_LANES_NARROW_H
#define KERNEL_LANES_NARROW_H

#include "kernel/fp4.h"
#include "kernel/lanes_run.h"
#include "kernel/ternary.h"

#if defined(__AVX2__)

/* ---- mxfp4 and nvfp4 ------------------------------------------------------------------------- */

/* The code of the value nearest to X. To its own side of zero lie the codes 0 to 7 of its
 * magnitude; those of the other side are at least as far away as 0, which comes first. */
LANE vu fp4_code(vf x, vf scale)
{
    const vf size = vf_abs(x);
    vf least = size;
    vi code = vi_all(0);

    UNROLLED for (int i = 1; i < 8; i++)
    {
        const vf away = vf_abs(fp4_value[i] * scale - size);
        const vm nearer = vf_lt(away, least);

        code = vi_pick(nearer, vi_all(i), code);
        least = vf_pick(nearer, away, least);
    }
    return (vu)vi_pick(vi_lt(vi_all(0), code), code | (vi)((vu)x >> 31 << 3), code);
}

/* N values as n / 8 words: element j low, element j + n / 2 high. */
LANE void lanes_fp4_put(int n, const vf *x, vf scale, vu *word)
{
    for (int k = 0; k < n / 8; k++) {
        vu byte[4];

        for (int i = 0; i < 4; i++) {
            const int j = 4 * k + i;

            byte[i] = fp4_code(x[j], scale) | fp4_code(x[j + n / 2], scale) << 4;
        }
        word[k] = vu_bytes(byte[0], byte[1], byte[2], byte[3]);
    }
}

LANE vf lanes_largest(int n, const vf *x)
{
    vf largest = vf_all(0.0f);

    for (int j = 0; j < n; j++)
        largest = vf_max(largest, vf_abs(x[j]));
    return largest;
}

static void mxfp4_lanes(struct lanes_batch *b)
{
    const vf largest = lanes_largest(32, b->x);
    vf scale = vf_all(0.0f);
    vu word[4];

    for (int l = 0; l < b->count; l++) {
        const uint8_t e = fp4_mx_code(largest[l]);

        b->block[l][0] = e;
        scale[l] = fp4_mx_scale(e);
    }
    lanes_fp4_put(32, b->x, scale, word);
    lanes_put_words(b->count, b->block, 1, word, 4);
}

static void nvfp4_lanes(struct lanes_batch *b)
{
    for (int j = 0; j < 4; j++) {
        const vf aim = lanes_largest(16, b->x + 16 * j) / 6.0f;
        vf scale = vf_all(0.0f);
        vu word[2];

        for (int l = 0; l < b->count; l++) {
            const uint8_t u = fp4_nv_code(aim[l]);

            b->block[l][j] = u;
            scale[l] = fp4_nv_scale(u);
        }
        lanes_fp4_put(16, b->x + 16 * j, scale, word);
        lanes_put_words(b->count, b->block, 4 + 8 * j, word, 2);
    }
}

/* ---- tq1_0, tq2_0 and q2_0 ------------------------------------------------------------------- */

/* ternary_levels; gives the scale. */
static vf lanes_ternary(const vf *x, vu *L)
{
    const vf largest = lanes_largest(TERNARY_N, x), id = vf_over(vf_all(1.0f), largest);

    for (int j = 0; j < TERNARY_N; j++)
        L[j] = (vu)(vi_round_away(x[j] * id) + 1) & 255u;
    return largest;
}

/* Byte M of BYTES that hold DIGITS levels each, as put in tq1_0.c. */
static vu ternary_byte(const vu *L, int m, int bytes, int digits)
{
    vu v = vu_all(0);

    for (int k = 0; k < 5; k++)
        v = v * 3u + (k < digits ? L[m + k * bytes] : vu_all(0));
    v &= 255u;
    /* (256 v + 242) / 243, of which v is the whole part but for (13 v + 242) / 243: below 3558 that
     * is this product. */
    return v + ((13u * v + 242u) * 1079u >> 18);
}

static void ternary_words(const vu *L, int bytes, int digits, vu *word)
{
    for (int m = 0; m < bytes; m += 4)
        word[m / 4] =
            vu_bytes(ternary_byte(L, m, bytes, digits), ternary_byte(L, m + 1, bytes, digits),
                     ternary_byte(L, m + 2, bytes, digits), ternary_byte(L, m + 3, bytes, digits));
}

static void tq1_0_lanes(struct lanes_batch *b)
{
    vu L[TERNARY_N], word[13];
    const vf scale = lanes_ternary(b->x, L);

    ternary_words(L, 32, 5, word);
    ternary_words(L + 160, 16, 5, word + 8);
    ternary_words(L + 240, 4, 4, word + 12);
    lanes_put_words(b->count, b->block, 0, word, 13);
    lanes_put_half(b->count, b->block, 52, vu_f16(scale));
}

static void tq2_0_lanes(struct lanes_batch *b)
{
    vu L[TERNARY_N];
    const vf scale = lanes_ternary(b->x, L);

    lanes_put_quarters(b->count, b->block, 0, L);
    lanes_put_half(b->count, b->block, 64, vu_f16(scale));
}

static void q2_0_lanes(struct lanes_batch *b)
{
    const vf d = lanes_largest(64, b->x), id = vf_over(vf_all(1.0f), d);
    vu word[4];

    lanes_put_half(b->count, b->block, 0, vu_f16(d));
    for (int k = 0; k < 4; k++) {
        word[k] = vu_all(0);
        for (int i = 0; i < 16; i++) {
            const vi q = vi_round_away(b->x[16 * k + i] * id) + 1;

            word[k] |= (vu)vi_clamp(q, 0, 3) << (2 * i);
        }
    }
    lanes_put_words(b->count, b->block, 2, word, 4);
}

/* ---- q1_0 ------------------------------------------------------------------------------------ */

static void q1_0_lanes(struct lanes_batch *b)
{
    vf sum = vf_all(0.0f);
    vu word[4];

    for (int k = 0; k < 4; k++) {
        word[k] = vu_all(0);
        for (int i = 0; i < 32; i++) {
            const vf x = b->x[32 * k + i];

            sum += vf_abs(x);
            word[k] |= (vu)vi_one(vf_ge(x, vf_all(0.0f))) << i;
        }
    }
    lanes_put_half(b->count, b->block, 0, vu_f16(sum / 128.0f));
    lanes_put_words(b->count, b->block, 2, word, 4);
}

#endif
#endif
