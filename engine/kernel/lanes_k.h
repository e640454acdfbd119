/* lanes_k.h - the encoders of q2_k, q3_k, q4_k, q5_k and q6_k, one block a lane
 *
 * NAME_lanes is encode_block of NAME.c; where the bytes lie in a block is told there. */
#ifndef KERNEL_LANES_K_H
#define KERNEL_LANES_K_H

#include "kernel/lanes_run.h"
#include "kernel/lanes_search.h"

#if defined(__AVX2__)

/* The levels of one block: element j of each lane. */
struct lanes_levels {
    vu at[256];
};

/* ---- q4_k and q5_k --------------------------------------------------------------------------- */

struct lanes_head {
    vu d, dmin;    /* f16 */
    vu packed[12]; /* of 8 bits */
};

/* Scales and minimums of 6 bits, as scale_min.c packs them. */
static void head_pack(struct lanes_head *head, const vi *scale, const vi *min)
{
    for (int j = 0; j < 4; j++) {
        const vu s = (vu)scale[j], m = (vu)min[j], s4 = (vu)scale[j + 4], m4 = (vu)min[j + 4];

        head->packed[j] = (s | s4 >> 4 << 6) & 255u;
        head->packed[j + 4] = (m | m4 >> 4 << 6) & 255u;
        head->packed[j + 8] = (s4 & 15u) | (m4 & 15u) << 4;
    }
}

LANE void head_get(const struct lanes_head *head, int j, vf *d, vf *m)
{
    const vu *s = head->packed;
    const vu scale = j < 4 ? s[j] & 63u : (s[j + 4] & 15u) | s[j - 4] >> 6 << 4;
    const vu min = j < 4 ? s[j + 4] & 63u : s[j + 4] >> 4 | s[j] >> 6 << 4;

    *d = vf_f16(head->d) * vf_of((vi)scale);
    *m = vf_f16(head->dmin) * vf_of((vi)min);
}

static void head_find(const struct lanes_batch *b, int nmax, const struct search_steps *steps,
                      struct lanes_head *head, struct lanes_range *found)
{
    const vf variance = b->weighted ? 2 * lanes_squares(256, b->x) / 256.0f : vf_all(0.0f);
    vf w[2][32], scale[8], min[8], sum_w[8];

    for (int j = 0; j < 8; j++) {
        const vf *x = b->x + 32 * j;
        vf *own = w[j % 2];

        if (b->weighted) {
            lanes_weights(32, x, b->imatrix + 32 * j, variance, own);
            sum_w[j] = lanes_sum(32, own);
        } else {
            const vf sigma = vf_sqrt(lanes_squares(32, x) / 32.0f);

            for (int i = 0; i < 32; i++)
                own[i] = sigma + vf_abs(x[i]);
        }
        if (j % 2 == 1)
            lanes_search_range(32, nmax, x - 32, w[0], x, w[1], steps, found + j - 1);
    }
    for (int j = 0; j < 8; j++) {
        scale[j] = found[j].scale;
        min[j] = -found[j].min;
    }
    if (b->weighted) {
        struct lanes_positive p[2];

        lanes_search_positive(8, 63, scale, min, sum_w, p);
        head->d = vu_f16(p[0].scale);
        head->dmin = vu_f16(p[1].scale);
        head_pack(head, p[0].level, p[1].level);
    } else {
        vi scale_level[8], min_level[8];

        head->d = lanes_by_largest(8, 63, true, scale, scale_level);
        head->dmin = lanes_by_largest(8, 63, true, min, min_level);
        head_pack(head, scale_level, min_level);
    }
}

static void scale_min_lanes(const struct lanes_batch *b, int nmax, const struct search_steps *steps,
                            struct lanes_head *head, struct lanes_levels *L)
{
    struct lanes_range found[8];

    head_find(b, nmax, b->weighted ? &search_imatrix_steps : steps, head, found);
    for (int j = 0; j < 8; j++) {
        const vf *x = b->x + 32 * j;
        vf d, m;
        vm some;

        head_get(head, j, &d, &m);
        some = vf_ne(d, vf_all(0.0f));
        for (int i = 0; i < 32; i++)
            L->at[32 * j + i] = (vu)vi_clamp(vi_nearest((x[i] + m) / d), 0, nmax);
        if (vm_any(vm_not(some))) /* the levels of the search stay */
            for (int i = 0; i < 32; i++)
                L->at[32 * j + i] = (vu)vi_pick(some, (vi)L->at[32 * j + i],
                                                lanes_range_level(&found[j], x[i], nmax));
    }
}

static void head_put(const struct lanes_batch *b, const struct lanes_head *head)
{
    const vu *s = head->packed;
    vu word[4];

    word[0] = head->d | head->dmin << 16;
    for (int k = 0; k < 3; k++)
        word[1 + k] = vu_bytes(s[4 * k], s[4 * k + 1], s[4 * k + 2], s[4 * k + 3]);
    lanes_put_words(b->count, b->block, 0, word, 4);
}

/* 128 bytes: 32 for two runs of 32 levels, the lower four bits of the first low. */
static void put_nibbles(const struct lanes_batch *b, int at, const struct lanes_levels *L)
{
    vu word[32];

    for (int c = 0; c < 4; c++)
        for (int k = 0; k < 8; k++) {
            const vu *q = L->at + 64 * c + 4 * k;

            word[8 * c + k] = vu_bytes((q[0] & 15u) | q[32] << 4, (q[1] & 15u) | q[33] << 4,
                                       (q[2] & 15u) | q[34] << 4, (q[3] & 15u) | q[35] << 4);
        }
    lanes_put_words(b->count, b->block, at, word, 32);
}

static void q4_k_lanes(struct lanes_batch *b)
{
    static const struct search_steps steps = {-1.0f, 0.1f, 20, false};
    struct lanes_head head;
    struct lanes_levels L;

    scale_min_lanes(b, 15, &steps, &head, &L);
    head_put(b, &head);
    put_nibbles(b, 16, &L);
}

static void q5_k_lanes(struct lanes_batch *b)
{
    static const struct search_steps steps = {-0.5f, 0.1f, 15, false};
    struct lanes_head head;
    struct lanes_levels L;
    vu word[8];

    scale_min_lanes(b, 31, &steps, &head, &L);
    head_put(b, &head);
    put_nibbles(b, 48, &L);
    for (int k = 0; k < 8; k++) {
        word[k] = vu_all(0);
        for (int j = 0; j < 8; j++) {
            const vu *q = L.at + 32 * j + 4 * k;

            /* Bit j of each byte. */
            word[k] |= (q[0] >> 4 | q[1] >> 4 << 8 | q[2] >> 4 << 16 | q[3] >> 4 << 24) << j;
        }
    }
    lanes_put_words(b->count, b->block, 16, word, 8);
}

/* ---- q2_k and q3_k --------------------------------------------------------------------------- */

/* The weights of the 16 values from x[16 j] on, and their sum. */
static vf weights_16(const struct lanes_batch *b, int j, vf variance, vf *w)
{
    const vf *x = b->x + 16 * j;

    if (b->weighted)
        lanes_weights(16, x, b->imatrix + 16 * j, variance, w);
    else
        for (int i = 0; i < 16; i++)
            w[i] = vf_abs(x[i]);
    return lanes_sum(16, w);
}

/* Scale low, minimum high in BYTE. */
static void q2_k_find(const struct lanes_batch *b, struct lanes_range *found, vu *byte, vu *d,
                      vu *dmin)
{
    static const struct search_steps steps = {-0.5f, 0.1f, 15, true};
    const vf variance = b->weighted ? lanes_squares(256, b->x) / 256.0f : vf_all(0.0f);
    vf w[2][16], scale[16], min[16], sum_w[16];
    vi plain_level[2][16];
    struct lanes_positive p[2];
    const vi *scale_level = plain_level[0], *min_level = plain_level[1];

    for (int j = 0; j < 16; j += 2) {
        const vf *x = b->x + 16 * j;

        sum_w[j] = weights_16(b, j, variance, w[0]);
        sum_w[j + 1] = weights_16(b, j + 1, variance, w[1]);
        lanes_search_range(16, 3, x, w[0], x + 16, w[1],
                           b->weighted ? &search_imatrix_steps : &steps, found + j);
    }
    for (int j = 0; j < 16; j++) {
        scale[j] = found[j].scale;
        min[j] = -found[j].min;
    }
    if (b->weighted) {
        lanes_search_positive(16, 15, scale, min, sum_w, p);
        *d = vu_f16(p[0].scale);
        *dmin = vu_f16(p[1].scale);
        scale_level = p[0].level;
        min_level = p[1].level;
    } else {
        *d = lanes_by_largest(16, 15, false, scale, plain_level[0]);
        *dmin = lanes_by_largest(16, 15, false, min, plain_level[1]);
    }
    for (int j = 0; j < 16; j++)
        byte[j] = ((vu)scale_level[j] | (vu)min_level[j] << 4) & 255u;
}

static void q2_k_lanes(struct lanes_batch *b)
{
    struct lanes_range found[16];
    struct lanes_levels L;
    vu byte[16], word[4], d, dmin;

    q2_k_find(b, found, byte, &d, &dmin);
    for (int j = 0; j < 16; j++) {
        const vf scale = vf_f16(d) * vf_of((vi)(byte[j] & 15u));
        const vf min = vf_f16(dmin) * vf_of((vi)(byte[j] >> 4));
        const vm some = vf_ne(scale, vf_all(0.0f));

        for (int k = 16 * j; k < 16 * (j + 1); k++) {
            const vi level = vi_clamp(vi_nearest((b->x[k] + min) / scale), 0, 3);

            /* Without a scale the levels of the search stay. */
            L.at[k] = (vu)vi_pick(some, level, lanes_range_level(&found[j], b->x[k], 3));
        }
    }
    for (int k = 0; k < 4; k++)
        word[k] = vu_bytes(byte[4 * k], byte[4 * k + 1], byte[4 * k + 2], byte[4 * k + 3]);
    lanes_put_words(b->count, b->block, 0, word, 4);
    lanes_put_quarters(b->count, b->block, 16, L.at);
    word[0] = d | dmin << 16;
    lanes_put_words(b->count, b->block, 80, word, 1);
}

/* Scales of 6 bits in LEVEL, what they count in as f16, and the levels of the search in L. */
static vu q3_k_plain(const struct lanes_batch *b, vi *level, struct lanes_levels *L)
{
    vf scale[16], extreme, is;
    vm some;

    for (int j = 0; j < 16; j += Q3_STREAMS) {
        struct lanes_q3 found[Q3_STREAMS];

        lanes_search_q3(b->x + 16 * j, found);
        for (int k = 0; k < Q3_STREAMS; k++) {
            scale[j + k] = lanes_q3_scale(&found[k]);
            for (int i = 0; i < 16; i++)
                L->at[16 * (j + k) + i] = (vu)lanes_q3_level(&found[k], i);
        }
    }
    lanes_extreme(16, scale, &extreme);
    some = vf_ne(extreme, vf_all(0.0f));
    is = -32.0f / extreme;
    for (int j = 0; j < 16; j++) {
        const vi l = (vi)((vu)vi_nearest(is * scale[j]) << 24) >> 24; /* 8 bits with a sign */

        level[j] = vi_pick(some, vi_clamp(l, -32, 31) + 32, vi_all(0));
    }
    return (vu)vi_pick(some, (vi)vu_f16(1.0f / is), vi_all(0));
}

static vu q3_k_weighted(const struct lanes_batch *b, vi *level, struct lanes_levels *L)
{
    const vf variance = 2 * lanes_squares(256, b->x) / 256.0f;
    vf scale[16], sum_w[16], w[2][16];
    struct lanes_signed found[2];

    for (int j = 0; j < 16; j += 2) {
        const vf *x = b->x + 16 * j;

        sum_w[j] = weights_16(b, j, variance, w[0]);
        sum_w[j + 1] = weights_16(b, j + 1, variance, w[1]);
        lanes_search_signed(16, 4, x, w[0], x + 16, w[1], false, found);
        scale[j] = found[0].scale;
        scale[j + 1] = found[1].scale;
        for (int i = 0; i < 16; i++) {
            L->at[16 * j + i] = (vu)lanes_signed_level(&found[0], x[i], 4, false);
            L->at[16 * j + 16 + i] = (vu)lanes_signed_level(&found[1], x[i + 16], 4, false);
        }
    }
    lanes_search_signed(16, 32, scale, sum_w, scale, sum_w, true, found);
    for (int j = 0; j < 16; j++)
        level[j] = lanes_signed_level(&found[0], scale[j], 32, true);
    return vu_f16(found[0].scale);
}

static void q3_k_put(const struct lanes_batch *b, const vi *level, vu d,
                     const struct lanes_levels *L)
{
    vu word[8], byte[12];

    for (int k = 0; k < 8; k++) {
        word[k] = vu_all(0);
        for (int j = 0; j < 8; j++) {
            const vu *q = L->at + 32 * j + 4 * k;

            word[k] |= (q[0] >> 2 | q[1] >> 2 << 8 | q[2] >> 2 << 16 | q[3] >> 2 << 24) << j;
        }
    }
    lanes_put_words(b->count, b->block, 0, word, 8);
    lanes_put_quarters(b->count, b->block, 32, L->at);
    for (int j = 0; j < 8; j++)
        byte[j] = ((vu)level[j] & 15u) | ((vu)level[j + 8] & 15u) << 4;
    for (int j = 0; j < 4; j++)
        byte[j + 8] = (vu)level[j] >> 4 | (vu)level[j + 4] >> 4 << 2 | (vu)level[j + 8] >> 4 << 4 |
                      (vu)level[j + 12] >> 4 << 6;
    for (int k = 0; k < 3; k++)
        word[k] = vu_bytes(byte[4 * k], byte[4 * k + 1], byte[4 * k + 2], byte[4 * k + 3]);
    lanes_put_words(b->count, b->block, 96, word, 3);
    lanes_put_half(b->count, b->block, 108, d);
}

static void q3_k_lanes(struct lanes_batch *b)
{
    struct lanes_levels L;
    vi level[16];
    const vu d = b->weighted ? q3_k_weighted(b, level, &L) : q3_k_plain(b, level, &L);

    for (int j = 0; j < 16; j++) {
        const vf scale = vf_f16(d) * vf_of(level[j] - 32);
        const vm some = vf_ne(scale, vf_all(0.0f));

        for (int k = 16 * j; k < 16 * (j + 1); k++) {
            const vi l = vi_clamp(vi_nearest(b->x[k] / scale), -4, 3) + 4;

            L.at[k] = (vu)vi_pick(some, l, (vi)L.at[k]);
        }
    }
    q3_k_put(b, level, d, &L);
}

/* ---- q6_k ------------------------------------------------------------------------------------ */

static void q6_k_put(const struct lanes_batch *b, const vi *scale, vu d,
                     const struct lanes_levels *L)
{
    vu low[32], high[16], word[4];

    for (int k = 0; k < 16; k++) {
        vu even[4], odd[4], bits[4];

        for (int i = 0; i < 4; i++) {
            const vu *q = L->at + 128 * (k / 8) + 4 * (k % 8) + i;

            even[i] = (q[0] & 15u) | q[64] << 4;
            odd[i] = (q[32] & 15u) | q[96] << 4;
            bits[i] = q[0] >> 4 | q[32] >> 4 << 2 | q[64] >> 4 << 4 | q[96] >> 4 << 6;
        }
        low[16 * (k / 8) + k % 8] = vu_bytes(even[0], even[1], even[2], even[3]);
        low[16 * (k / 8) + k % 8 + 8] = vu_bytes(odd[0], odd[1], odd[2], odd[3]);
        high[k] = vu_bytes(bits[0], bits[1], bits[2], bits[3]);
    }
    for (int k = 0; k < 4; k++) {
        const vu *s = (const vu *)scale + 4 * k;

        word[k] = vu_bytes(s[0], s[1], s[2], s[3]);
    }
    lanes_put_words(b->count, b->block, 0, low, 32);
    lanes_put_words(b->count, b->block, 128, high, 16);
    lanes_put_words(b->count, b->block, 192, word, 4);
    lanes_put_half(b->count, b->block, 208, d);
}

static void q6_k_find(const struct lanes_batch *b, vf *scale, struct lanes_signed *found)
{
    vf square[2][16];

    for (int j = 0; j < 16; j += 2) {
        const vf *x = b->x + 16 * j, *w = b->imatrix + 16 * j;

        for (int i = 0; i < 16; i++) {
            square[0][i] = x[i] * x[i];
            square[1][i] = x[i + 16] * x[i + 16];
        }
        lanes_search_signed(16, 32, x, b->weighted ? w : square[0], x + 16,
                            b->weighted ? w + 16 : square[1], false, found + j);
        scale[j] = found[j].scale;
        scale[j + 1] = found[j + 1].scale;
    }
}

static void q6_k_lanes(struct lanes_batch *b)
{
    struct lanes_signed found[16];
    struct lanes_levels L;
    vf scale[16], extreme, is;
    vi level[16];
    vm none;
    vu d;

    q6_k_find(b, scale, found);
    none = vf_lt(lanes_extreme(16, scale, &extreme), vf_all(search_tiny));
    is = -128.0f / extreme;
    d = vu_f16(1.0f / is);
    for (int j = 0; j < 16; j++) {
        const vi l = vi_min(vi_nearest(is * scale[j]), vi_all(127));
        const vi own = (vi)((vu)l << 24) >> 24; /* 8 bits with a sign */
        const vf dj = vf_f16(d) * vf_of(own);
        const vm some = vf_ne(dj, vf_all(0.0f));

        level[j] = vi_pick(none, vi_all(0), own);
        for (int k = 16 * j; k < 16 * (j + 1); k++) {
            const vi q = vi_clamp(vi_nearest(b->x[k] / dj), -32, 31) + 32;
            /* Without a scale the levels of the search stay. */
            const vi kept = vi_pick(some, q, lanes_signed_level(&found[j], b->x[k], 32, false));

            L.at[k] = (vu)vi_pick(none, vi_all(0), kept);
        }
    }
    q6_k_put(b, level, (vu)vi_pick(none, vi_all(0), (vi)d), &L);
}

#endif
#endif
