/* scale_min.c - the scales and minimums of q4_k and q5_k */
#include "kernel/scale_min.h"

enum { N = SCALE_MIN_N, SUBS = SCALE_MIN_SUBS, SUB = SCALE_MIN_SUB };

static void put(uint8_t s[12], int j, int scale, int min)
{
    if (j < 4) {
        s[j] = (uint8_t)scale;
        s[j + 4] = (uint8_t)min;
    } else {
        s[j + 4] = (uint8_t)((scale & 15) | (min & 15) << 4);
        s[j - 4] = (uint8_t)(s[j - 4] | (scale >> 4) << 6);
        s[j] = (uint8_t)(s[j] | (min >> 4) << 6);
    }
}

void scale_min_get(const struct scale_min *head, int j, float *d, float *m)
{
    const uint8_t *s = head->packed;
    const int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
    const int min = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;

    *d = block_f16(head->d) * (float)scale;
    *m = block_f16(head->dmin) * (float)min;
}

static float largest(const float *x)
{
    float max = 0.0f;

    for (int j = 0; j < SUBS; j++)
        if (x[j] > max)
            max = x[j];
    return max;
}

static int six_bits(float x)
{
    const uint8_t l = (uint8_t)nearest_int(x);

    return l < 63 ? l : 63;
}

static void encode_plain(const float *x, int nmax, const struct search_steps *steps,
                         struct scale_min *head, uint8_t *L)
{
    float scale[SUBS], min[SUBS], max_scale, max_min, inv_scale, inv_min;

    for (int j = 0; j < SUBS; j++) {
        const float *sub = x + j * SUB;
        const float sigma = sqrtf(search_squares(SUB, sub) / 32.0f);
        float w[SUB];

        for (int i = 0; i < SUB; i++)
            w[i] = sigma + fabsf(sub[i]);
        scale[j] = search_range(SUB, nmax, sub, w, steps, L + j * SUB, &min[j]);
    }
    max_scale = largest(scale);
    max_min = largest(min);
    inv_scale = max_scale > 0.0f ? 63.0f / max_scale : 0.0f;
    inv_min = max_min > 0.0f ? 63.0f / max_min : 0.0f;
    for (int j = 0; j < SUBS; j++)
        put(head->packed, j, six_bits(inv_scale * scale[j]), six_bits(inv_min * min[j]));
    block_put_f16(head->d, max_scale / 63.0f);
    block_put_f16(head->dmin, max_min / 63.0f);
}

static void encode_imatrix(const float *x, const float *imatrix, int nmax, struct scale_min *head,
                           uint8_t *L)
{
    float scale[SUBS], min[SUBS], sum_w[SUBS];
    uint8_t scale_level[SUBS], min_level[SUBS];
    const float variance = 2 * search_squares(N, x) / 256.0f;

    for (int j = 0; j < SUBS; j++) {
        const float *sub = x + j * SUB;
        float w[SUB];

        search_weights(SUB, sub, imatrix + j * SUB, variance, w);
        sum_w[j] = search_sum(SUB, w);
        scale[j] = search_range(SUB, nmax, sub, w, &search_imatrix_steps, L + j * SUB, &min[j]);
    }
    block_put_f16(head->d, search_positive(SUBS, 63, scale, sum_w, scale_level));
    block_put_f16(head->dmin, search_positive(SUBS, 63, min, sum_w, min_level));
    for (int j = 0; j < SUBS; j++)
        put(head->packed, j, scale_level[j], min_level[j]);
}

void scale_min_encode(const float *x, const float *imatrix, int nmax,
                      const struct search_steps *steps, struct scale_min *head, uint8_t *L)
{
    if (imatrix)
        encode_imatrix(x, imatrix, nmax, head, L);
    else
        encode_plain(x, nmax, steps, head, L);
    for (int j = 0; j < SUBS; j++) {
        float d, m;

        scale_min_get(head, j, &d, &m);
        if (d == 0.0f)
            continue; /* the levels of the search stay */
        for (int k = j * SUB; k < (j + 1) * SUB; k++)
            L[k] = (uint8_t)clamp_i32(nearest_int((x[k] + m) / d), 0, nmax);
    }
}
