/* q1_0.c - 128 values: an f16 scale and a sign each (specs/gguf-quant.md 3.3)
 *
 * The imatrix plays no part. */
#include "base/exact.h"
#include "kernel/block.h"

#include <math.h>

enum { N = 128 };

struct block {
    uint8_t d[2];
    uint8_t q[N / 8]; /* bit j % 8 of byte j / 8: not negative */
};
_Static_assert(sizeof(struct block) == 18, "no padding");

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++) {
        const uint32_t minus = f32_bits(-block_f16(b->d));

        for (int j = 0; j < N; j++) {
            const uint32_t bit = b->q[j / 8] >> (j % 8) & 1;

            to[i + j] = f32_from_bits(minus ^ bit << 31);
        }
    }
}

static void encode_block(const float *x, struct block *b)
{
    float sum = 0.0f;

    for (int j = 0; j < N; j++)
        sum += fabsf(x[j]);
    block_put_f16(b->d, sum / (float)N);
    for (int j = 0; j < N / 8; j++) {
        uint32_t bits = 0;

        for (int k = 0; k < 8; k++)
            bits |= (uint32_t)(x[8 * j + k] >= 0.0f) << k;
        b->q[j] = (uint8_t)bits;
    }
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

const struct kernel kernel_q1_0 = {decode, encode, invalid};
