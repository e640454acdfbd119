/* tq2_0.c - 256 values: -1, 0 or 1 times an f16 scale, 2 bits each (specs/gguf-quant.md 3.3)
 *
 * The imatrix plays no part. */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/ternary.h"

enum { N = TERNARY_N };

struct block {
    uint8_t q[64]; /* per half: l, l + 32, l + 64, l + 96 in one byte */
    uint8_t d[2];
};
_Static_assert(sizeof(struct block) == 66, "no padding");

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++) {
        const float d = block_f16(b->d);

        for (int k = 0; k < N; k++) {
            const int q = b->q[32 * (k / 128) + k % 32] >> (2 * (k % 128 / 32)) & 3;

            to[i + k] = (float)(q - 1) * d;
        }
    }
}

static void encode_block(const float *x, struct block *b)
{
    uint8_t L[N];

    block_put_f16(b->d, ternary_levels(x, L));
    for (int h = 0; h < 2; h++)
        for (int l = 0; l < 32; l++) {
            const uint8_t *q = L + 128 * h + l;

            b->q[32 * h + l] =
                (uint8_t)((q[0] & 3) | (q[32] & 3) << 2 | (q[64] & 3) << 4 | (q[96] & 3) << 6);
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

const struct kernel kernel_tq2_0 = {decode, encode, invalid};
