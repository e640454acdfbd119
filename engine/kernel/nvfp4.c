/* nvfp4.c - 64 values: 4 sub-blocks of 16, a scale of 8 bits and a float of 4 bits each
 * (specs/gguf-quant.md 2.4, 3.3)
 *
 * The imatrix plays no part. */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/fp4.h"
#include "kernel/search.h"

enum { N = 64, SUBS = 4, SUB = 16, LARGEST = 0x7e };

struct block {
    uint8_t scales[SUBS]; /* 4 bits of exponent, 3 of mantissa; the top bit means nothing */
    uint8_t q[SUBS][SUB / 2];
};
_Static_assert(sizeof(struct block) == 36, "no padding");

/* Halved: the values are doubled. */
static float scale_of(uint8_t u)
{
    const uint32_t e = u >> 3 & 15, m = u & 7;

    if (u == 0x7f)
        return 0.0f;
    if (e == 0)
        return (float)m * 0x1p-10f;
    return f32_from_bits((e - 7 - 1 + 127) << 23 | m << 20);
}

/* Rounds half up, in both ranges. */
static uint8_t scale_put(float x)
{
    const uint32_t u = f32_bits(x);
    const int e = (int)(u >> 23) - 127 + 7;

    if (!(x > 0.0f))
        return 0;
    if (e <= 0)
        return (uint8_t)clamp_i32(f32_to_i32(x * 512.0f + 0.5f), 0, 7);
    if (e >= 15)
        return LARGEST;
    /* A mantissa that rounds up to 8 goes on to the next exponent by itself. */
    const uint32_t code = ((uint32_t)e << 3 | (u >> 20 & 7)) + (u >> 19 & 1);

    return code < 15 << 3 ? (uint8_t)code : LARGEST;
}

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++)
        for (int j = 0; j < SUBS; j++)
            fp4_get(SUB, b->q[j], scale_of(b->scales[j]), to + i + j * SUB);
}

static void encode(const float *from, int64_t rows, int64_t cols, const float *imatrix, void *to)
{
    struct block *b = to;

    (void)imatrix;
    for (int64_t i = 0; i < rows * cols; i += N, b++)
        for (int j = 0; j < SUBS; j++) {
            const float *x = from + i + j * SUB;
            float extreme;

            b->scales[j] = scale_put(search_extreme(SUB, x, &extreme) / 6.0f);
            fp4_put(SUB, x, scale_of(b->scales[j]), b->q[j]);
        }
}

/* Every scale is a number. */
static int64_t invalid(const void *from, int64_t n)
{
    (void)from;
    (void)n;
    return -1;
}

const struct kernel kernel_nvfp4 = {decode, encode, invalid};
