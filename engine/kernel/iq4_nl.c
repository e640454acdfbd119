/* iq4_nl.c - 32 values: an f16 scale and 4 bits each, levels uneven (specs/gguf-quant.md 3.4) */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/iq4.h"

enum { N = IQ4_N };

struct block {
    uint8_t d[2];
    uint8_t q[IQ4_HALF];
};
_Static_assert(sizeof(struct block) == 18, "no padding");

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++)
        iq4_get(b->q, block_f16(b->d), to + i);
}

static void encode_block(const float *x, const float *imatrix, struct block *b)
{
    float w[N], scale;

    if (imatrix)
        search_weights(N, x, imatrix, search_squares(N, x) * (2.0f / 32.0f), w);
    scale = iq4_scale(x, imatrix ? w : NULL);
    block_put_f16(b->d, scale);
    /* By the scale before it was rounded. */
    iq4_put(x, scale != 0.0f ? 1.0f / scale : 0.0f, b->q);
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

const struct kernel kernel_iq4_nl = {decode, encode, invalid};
