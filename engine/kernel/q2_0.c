/* q2_0.c - 64 values: an f16 scale and -1, 0, 1 or 2 each (specs/gguf-quant.md 3.3)
 *
 * The imatrix plays no part; encoding never makes a 2. */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/search.h"

enum { N = 64 };

struct block {
    uint8_t d[2];
    uint8_t q[N / 4]; /* element j: bits 2 (j % 4) of byte j / 4 */
};
_Static_assert(sizeof(struct block) == 18, "no padding");

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++) {
        const float d = block_f16(b->d);

        for (int j = 0; j < N; j++)
            to[i + j] = (float)((b->q[j / 4] >> (2 * (j % 4)) & 3) - 1) * d;
    }
}

static void encode_block(const float *x, struct block *b)
{
    float extreme;
    const float d = search_extreme(N, x, &extreme), id = d != 0.0f ? 1.0f / d : 0.0f;

    block_put_f16(b->d, d);
    for (int j = 0; j < N / 4; j++) {
        int32_t bits = 0;

        for (int k = 0; k < 4; k++)
            bits |= clamp_i32(f32_round_i32(x[4 * j + k] * id) + 1, 0, 3) << (2 * k);
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

const struct kernel kernel_q2_0 = {decode, encode, invalid};
