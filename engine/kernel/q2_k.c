/* q2_k.c - 256 values: 16 sub-blocks of 16, 2 bits each, 4-bit scales and minimums
 * (specs/gguf-quant.md 3.4) */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/search.h"

enum { N = 256, SUBS = 16, SUB = 16, NMAX = 3 };

struct block {
    uint8_t scales[SUBS]; /* scale low, minimum high */
    uint8_t q[64];        /* per half: l, l + 32, l + 64, l + 96 in one byte */
    uint8_t d[2], dmin[2];
};
_Static_assert(sizeof(struct block) == 84, "no padding");

static const struct search_steps steps = {-0.5f, 0.1f, 15, true};

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++) {
        const float d = block_f16(b->d), dmin = block_f16(b->dmin);

        for (int j = 0; j < SUBS; j++) {
            const float scale = d * (float)(b->scales[j] & 15);
            const float min = dmin * (float)(b->scales[j] >> 4);

            for (int k = j * SUB; k < (j + 1) * SUB; k++) {
                const int q = b->q[32 * (k / 128) + k % 32] >> (2 * (k % 128 / 32)) & 3;

                to[i + k] = scale * (float)q - min;
            }
        }
    }
}

/* X as levels 0 .. 15 in L by the largest, and the f16 that they count in; zeros if none is
 * above 0. */
static void four_bits(const float *x, uint8_t d[2], uint8_t *L)
{
    float max = 0.0f, inverse;

    for (int j = 0; j < SUBS; j++)
        max = x[j] > max ? x[j] : max;
    inverse = max > 0.0f ? 15.0f / max : 0.0f;
    for (int j = 0; j < SUBS; j++)
        L[j] = (uint8_t)nearest_int(inverse * x[j]);
    block_put_f16(d, max / 15.0f);
}

/* Scales and minimums of the sub-blocks into B; levels of the search in L. */
static void find_scales(const float *x, const float *imatrix, struct block *b, uint8_t *L)
{
    const float variance = imatrix ? search_squares(N, x) / 256.0f : 0.0f;
    float scale[SUBS], min[SUBS], sum_w[SUBS];
    uint8_t scale_level[SUBS], min_level[SUBS];

    for (int j = 0; j < SUBS; j++) {
        const float *sub = x + j * SUB;
        float w[SUB];

        if (imatrix)
            search_weights(SUB, sub, imatrix + j * SUB, variance, w);
        else
            for (int i = 0; i < SUB; i++)
                w[i] = fabsf(sub[i]);
        sum_w[j] = search_sum(SUB, w);
        scale[j] = search_range(SUB, NMAX, sub, w, imatrix ? &search_imatrix_steps : &steps,
                                L + j * SUB, &min[j]);
    }
    if (imatrix) {
        block_put_f16(b->d, search_positive(SUBS, 15, scale, sum_w, scale_level));
        block_put_f16(b->dmin, search_positive(SUBS, 15, min, sum_w, min_level));
    } else {
        four_bits(scale, b->d, scale_level);
        four_bits(min, b->dmin, min_level);
    }
    for (int j = 0; j < SUBS; j++)
        b->scales[j] = (uint8_t)(scale_level[j] | min_level[j] << 4);
}

static void encode_block(const float *x, const float *imatrix, struct block *b)
{
    uint8_t L[N];
    float d, dmin;

    find_scales(x, imatrix, b, L);
    d = block_f16(b->d);
    dmin = block_f16(b->dmin);
    for (int j = 0; j < SUBS; j++) {
        const float scale = d * (float)(b->scales[j] & 15);
        const float min = dmin * (float)(b->scales[j] >> 4);

        if (scale == 0.0f)
            continue; /* the levels of the search stay */
        for (int k = j * SUB; k < (j + 1) * SUB; k++)
            L[k] = (uint8_t)clamp_i32(nearest_int((x[k] + min) / scale), 0, NMAX);
    }
    for (int h = 0; h < 2; h++)
        for (int l = 0; l < 32; l++) {
            const uint8_t *q = L + 128 * h + l;

            b->q[32 * h + l] = (uint8_t)(q[0] | q[32] << 2 | q[64] << 4 | q[96] << 6);
        }
}

static void encode(const float *from, int64_t rows, int64_t cols, const float *imatrix, void *to)
{
    struct block *b = to;

    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c += N)
            encode_block(from + r * cols + c, imatrix ? imatrix + c : NULL, b++);
}

static int64_t invalid(const void *from, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n / N; i++)
        if (block_f16_bad(b[i].d) || block_f16_bad(b[i].dmin))
            return i * N;
    return -1;
}

const struct kernel kernel_q2_k = {decode, encode, invalid};
