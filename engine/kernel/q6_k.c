/* q6_k.c - 256 values: 16 sub-blocks of 16, 6 bits each, 8-bit scales (specs/gguf-quant.md 3.4) */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/search.h"

enum { N = 256, SUBS = 16, SUB = 16 };

struct block {
    uint8_t low[128]; /* per half: l | l + 64 << 4 in 32 bytes, then l + 32 | l + 96 << 4 */
    uint8_t high[64]; /* per half: bits 4, 5 of l, l + 32, l + 64, l + 96 */
    int8_t scales[SUBS];
    uint8_t d[2];
};
_Static_assert(sizeof(struct block) == 210, "no padding");

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++) {
        const float d = block_f16(b->d);
        int8_t q[N];

        for (int h = 0; h < 2; h++)
            for (int l = 0; l < 32; l++) {
                const int even = b->low[64 * h + l], odd = b->low[64 * h + 32 + l];
                const int high = b->high[32 * h + l];
                int8_t *to_q = q + 128 * h + l;

                to_q[0] = (int8_t)(((even & 15) | (high & 3) << 4) - 32);
                to_q[32] = (int8_t)(((odd & 15) | (high >> 2 & 3) << 4) - 32);
                to_q[64] = (int8_t)((even >> 4 | (high >> 4 & 3) << 4) - 32);
                to_q[96] = (int8_t)((odd >> 4 | (high >> 6 & 3) << 4) - 32);
            }
        for (int j = 0; j < SUBS; j++) {
            const float scale = d * (float)b->scales[j];

            for (int k = j * SUB; k < (j + 1) * SUB; k++)
                to[i + k] = scale * (float)q[k];
        }
    }
}

static void pack(const uint8_t *L, struct block *b)
{
    for (int h = 0; h < 2; h++)
        for (int l = 0; l < 32; l++) {
            const uint8_t *q = L + 128 * h + l;

            b->low[64 * h + l] = (uint8_t)((q[0] & 15) | (q[64] & 15) << 4);
            b->low[64 * h + 32 + l] = (uint8_t)((q[32] & 15) | (q[96] & 15) << 4);
            b->high[32 * h + l] =
                (uint8_t)(q[0] >> 4 | q[32] >> 4 << 2 | q[64] >> 4 << 4 | q[96] >> 4 << 6);
        }
}

static void encode_block(const float *x, const float *imatrix, struct block *b)
{
    float scale[SUBS], extreme, is, d;
    uint8_t L[N];

    for (int j = 0; j < SUBS; j++)
        scale[j] =
            search_signed(SUB, 32, x + j * SUB, imatrix ? imatrix + j * SUB : NULL, L + j * SUB);
    if (search_extreme(SUBS, scale, &extreme) < search_tiny) {
        memset(b, 0, sizeof(*b));
        return;
    }
    is = -128.0f / extreme;
    d = block_put_f16(b->d, 1.0f / is);
    for (int j = 0; j < SUBS; j++) {
        const int32_t l = nearest_int(is * scale[j]);
        float dj;

        b->scales[j] = (int8_t)(uint8_t)(l < 127 ? l : 127);
        dj = d * (float)b->scales[j];
        if (dj == 0.0f)
            continue; /* the levels of the search stay */
        for (int k = j * SUB; k < (j + 1) * SUB; k++)
            L[k] = (uint8_t)(clamp_i32(nearest_int(x[k] / dj), -32, 31) + 32);
    }
    pack(L, b);
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

const struct kernel kernel_q6_k = {decode, encode, invalid};
