/* q8_0.c - 32 values: an f16 scale and 32 signed bytes (specs/gguf-quant.md 3.3)
 *
 * The imatrix plays no part. */
#include "base/exact.h"
#include "kernel/block.h"

#include <math.h>

enum { N = 32 };

struct block {
    uint8_t d[2];
    int8_t q[N];
};
_Static_assert(sizeof(struct block) == 34, "no padding");

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++) {
        const float d = block_f16(b->d);
        float y[N];

        for (int j = 0; j < N; j++)
            y[j] = (float)b->q[j] * d;
        memcpy(to + i, y, sizeof(y));
    }
}

static void encode_block(const float *restrict x, struct block *restrict b)
{
    float largest = 0.0f, d, id;

    for (int j = 0; j < N; j++)
        largest = largest > fabsf(x[j]) ? largest : fabsf(x[j]);
    d = largest / 127.0f;
    id = d != 0.0f ? 1.0f / d : 0.0f;
    block_put_f16(b->d, d);
    for (int j = 0; j < N; j++)
        b->q[j] = (int8_t)(uint8_t)f32_round_i32(x[j] * id);
}

static void encode(const float *from, int64_t rows, int64_t cols, const float *imatrix, void *to)
{
    struct block *b = to;

    (void)imatrix;
    for (int64_t i = 0; i < rows * cols; i += N)
        encode_block(from + i, b++);
}

static int64_t invalid(const void *from, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n / N; i++)
        if (block_f16_bad(b[i].d))
            return i * N;
    return -1;
}

const struct kernel kernel_q8_0 = {decode, encode, invalid};
