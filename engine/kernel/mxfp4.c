/* mxfp4.c - 32 values: a power of two and a float of 4 bits each (specs/gguf-quant.md 2.4, 3.3)
 *
 * The imatrix plays no part. */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/fp4.h"
#include "kernel/search.h"

enum { N = 32, BAD = 255 };

struct block {
    uint8_t e; /* 2^(e - 127), halved in use: the values are doubled */
    uint8_t q[N / 2];
};
_Static_assert(sizeof(struct block) == 17, "no padding");

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++)
        fp4_get(N, b->q, fp4_mx_scale(b->e), to + i);
}

static void encode_block(const float *x, struct block *b)
{
    float extreme;
    const float largest = search_extreme(N, x, &extreme);

    b->e = fp4_mx_code(largest);
    fp4_put(N, x, fp4_mx_scale(b->e), b->q);
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
        if (b[i].e == BAD)
            return i * N;
    return -1;
}

const struct kernel kernel_mxfp4 = {decode, encode, invalid};
