/* nvfp4.c - 64 values: 4 sub-blocks of 16, a scale of 8 bits and a float of 4 bits each
 * (specs/gguf-quant.md 2.4, 3.3)
 *
 * The imatrix plays no part. */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/fp4.h"
#include "kernel/search.h"

enum { N = 64, SUBS = 4, SUB = 16 };

struct block {
    uint8_t scales[SUBS]; /* 4 bits of exponent, 3 of mantissa; the top bit means nothing */
    uint8_t q[SUBS][SUB / 2];
};
_Static_assert(sizeof(struct block) == 36, "no padding");

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++)
        for (int j = 0; j < SUBS; j++)
            fp4_get(SUB, b->q[j], fp4_nv_scale(b->scales[j]), to + i + j * SUB);
}

static void encode(const float *from, int64_t rows, int64_t cols, const float *imatrix, void *to)
{
    struct block *b = to;

    (void)imatrix;
    for (int64_t i = 0; i < rows * cols; i += N, b++)
        for (int j = 0; j < SUBS; j++) {
            const float *x = from + i + j * SUB;
            float extreme;

            b->scales[j] = fp4_nv_code(search_extreme(SUB, x, &extreme) / 6.0f);
            fp4_put(SUB, x, fp4_nv_scale(b->scales[j]), b->q[j]);
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
