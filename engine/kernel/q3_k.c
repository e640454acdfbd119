/* q3_k.c - 256 values: 16 sub-blocks of 16, 3 bits each, 6-bit scales (specs/gguf-quant.md 3.4) */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/search.h"

enum { N = 256, SUBS = 16, SUB = 16 };

struct block {
    uint8_t high[32]; /* bit j / 32 of byte j % 32: bit 2 of element j */
    uint8_t q[64];    /* the lower two bits */
    uint8_t scales[12];
    uint8_t d[2];
};
_Static_assert(sizeof(struct block) == 110, "no padding");

static void put_scale(uint8_t scales[12], int j, int value)
{
    if (j < 8)
        scales[j] = (uint8_t)(value & 15);
    else
        scales[j - 8] = (uint8_t)(scales[j - 8] | (value & 15) << 4);
    scales[8 + j % 4] = (uint8_t)(scales[8 + j % 4] | (value >> 4) << (2 * (j / 4)));
}

static int get_scale(const uint8_t scales[12], int j)
{
    const int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;

    return (low | (scales[8 + j % 4] >> (2 * (j / 4)) & 3) << 4) - 32;
}

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++) {
        const float d = block_f16(b->d);

        for (int j = 0; j < SUBS; j++) {
            const float scale = d * (float)get_scale(b->scales, j);

            for (int k = j * SUB; k < (j + 1) * SUB; k++) {
                const int low = b->q[32 * (k / 128) + k % 32] >> (2 * (k % 128 / 32)) & 3;
                const int high = b->high[k % 32] >> (k / 32) & 1;

                to[i + k] = scale * (float)(low - (high ? 0 : 4));
            }
        }
    }
}

/* The scales of the sub-blocks as 6-bit numbers in b->scales, b->d; levels of the search in L. */
static void find_scales(const float *x, const float *imatrix, struct block *b, uint8_t *L)
{
    float scale[SUBS], sum_w[SUBS], extreme, is;
    uint8_t packed[SUBS];
    const float variance = imatrix ? 2 * search_squares(N, x) / 256.0f : 0.0f;

    for (int j = 0; j < SUBS; j++) {
        float w[SUB];

        if (imatrix) {
            search_weights(SUB, x + j * SUB, imatrix + j * SUB, variance, w);
            scale[j] = search_signed(SUB, 4, x + j * SUB, w, L + j * SUB);
            sum_w[j] = search_sum(SUB, w);
        } else {
            scale[j] = search_q3(x + j * SUB, L + j * SUB);
        }
    }
    if (imatrix) {
        block_put_f16(b->d, search_signed(SUBS, 32, scale, sum_w, packed));
        for (int j = 0; j < SUBS; j++)
            put_scale(b->scales, j, packed[j]);
        return;
    }
    search_extreme(SUBS, scale, &extreme);
    if (extreme != 0.0f) {
        is = -32.0f / extreme;
        for (int j = 0; j < SUBS; j++) {
            const int8_t l = (int8_t)(uint8_t)nearest_int(is * scale[j]);

            put_scale(b->scales, j, clamp_i32(l, -32, 31) + 32);
        }
        block_put_f16(b->d, 1.0f / is);
    }
}

static void encode_block(const float *x, const float *imatrix, struct block *b)
{
    uint8_t L[N];
    float d;

    memset(b, 0, sizeof(*b));
    find_scales(x, imatrix, b, L);
    d = block_f16(b->d);
    for (int j = 0; j < SUBS; j++) {
        const float scale = d * (float)get_scale(b->scales, j);

        if (scale == 0.0f)
            continue; /* the levels of the search stay */
        for (int k = j * SUB; k < (j + 1) * SUB; k++)
            L[k] = (uint8_t)(clamp_i32(nearest_int(x[k] / scale), -4, 3) + 4);
    }
    for (int k = 0; k < N; k++) {
        uint8_t *q = &b->q[32 * (k / 128) + k % 32];

        b->high[k % 32] = (uint8_t)(b->high[k % 32] | (L[k] > 3) << (k / 32));
        *q = (uint8_t)(*q | (L[k] & 3) << (2 * (k % 128 / 32)));
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
        if (block_f16_bad(b[i].d))
            return i * N;
    return -1;
}

const struct kernel kernel_q3_k = {decode, encode, invalid};
