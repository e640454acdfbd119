/* iq4_xs.c - 256 values: 8 sub-blocks of 32, 4 bits each, levels uneven, 6-bit scales
 * (specs/gguf-quant.md 3.4) */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/iq4.h"

enum { N = 256, SUBS = 8, SUB = IQ4_N };

struct block {
    uint8_t d[2];
    uint8_t high[2]; /* bits 2j, 2j + 1: bits 4, 5 of the scale of sub-block j */
    uint8_t low[4];  /* the lower four bits: even sub-block low, odd high */
    uint8_t q[SUBS][IQ4_HALF];
};
_Static_assert(sizeof(struct block) == 136, "no padding");

static int get_scale(const struct block *b, int j)
{
    const int low = b->low[j / 2] >> (4 * (j % 2)) & 15;

    return (low | (b->high[j / 4] >> (2 * (j % 4)) & 3) << 4) - 32;
}

static void put_scale(struct block *b, int j, int value)
{
    b->low[j / 2] = (uint8_t)(b->low[j / 2] | (value & 15) << (4 * (j % 2)));
    b->high[j / 4] = (uint8_t)(b->high[j / 4] | (value >> 4) << (2 * (j % 4)));
}

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++) {
        const float d = block_f16(b->d);

        for (int j = 0; j < SUBS; j++)
            iq4_get(b->q[j], d * (float)get_scale(b, j), to + i + j * SUB);
    }
}

static void encode_block(const float *x, const float *imatrix, struct block *b)
{
    const float variance = imatrix ? search_squares(N, x) * (2.0f / 256.0f) : 0.0f;
    float scale[SUBS], extreme, d, id;

    for (int j = 0; j < SUBS; j++) {
        float w[SUB];

        if (imatrix)
            search_weights(SUB, x + j * SUB, imatrix + j * SUB, variance, w);
        scale[j] = iq4_scale(x + j * SUB, imatrix ? w : NULL);
    }
    search_extreme(SUBS, scale, &extreme);
    d = -extreme / 32.0f;
    id = d != 0.0f ? 1.0f / d : 0.0f;
    memset(b, 0, sizeof(*b));
    block_put_f16(b->d, d);
    for (int j = 0; j < SUBS; j++) {
        const int32_t l = clamp_i32(nearest_int(id * scale[j]), -32, 31);
        const float own = d * (float)l; /* by the scale before it was rounded */

        iq4_put(x + j * SUB, own != 0.0f ? 1.0f / own : 0.0f, b->q[j]);
        put_scale(b, j, l + 32);
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

const struct kernel kernel_iq4_xs = {decode, encode, invalid};
