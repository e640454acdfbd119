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

static float scale_of(uint8_t e)
{
    return f32_from_bits(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

/* floor of the f32 nearest to log2 x, for finite x > 0. Rounding lifts the logarithm of a few
 * floats just below 2^k to k itself: of those whose distance, in 2^(k - 24), is at most ln 2 times
 * the power of two at or below |log2 x|, for that is how far apart floats lie there. */
static int floor_log2(float x)
{
    uint32_t fraction = f32_bits(x) & 0x007fffff, step = 1;
    int e = (int)(f32_bits(x) >> 23) - 127;
    int whole;

    if (e == -127)
        for (e = -126; fraction < 0x00800000; e--)
            fraction <<= 1;
    else
        fraction |= 0x00800000;
    whole = e >= 0 ? e : -e - 1; /* of |log2 x| just below 2^(e + 1) */
    if (whole == 0)
        return e;
    while (step * 2 <= (uint32_t)whole)
        step *= 2;
    return e + (0x01000000 - fraction <= step * 177 / 256);
}

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++)
        fp4_get(N, b->q, scale_of(b->e), to + i);
}

static void encode_block(const float *x, struct block *b)
{
    float extreme;
    const float largest = search_extreme(N, x, &extreme);

    /* Below 2^-125 this wraps to the largest exponents: a defect of the definition. */
    b->e = largest > 0.0f && largest < INFINITY ? (uint8_t)(floor_log2(largest) - 2 + 127) : 0;
    fp4_put(N, x, scale_of(b->e), b->q);
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
