/* tq1_0.c - 256 values: -1, 0 or 1 times an f16 scale, five to a byte (specs/gguf-quant.md 3.3)
 *
 * A byte is a fraction of 256 whose digits to base 3 are the levels: times 3, the next digit is
 * what exceeds the byte. The imatrix plays no part. */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/ternary.h"

enum { N = TERNARY_N };

struct block {
    uint8_t q[48];   /* byte m < 32: m + 32 k; byte 32 + m: 160 + m + 16 k, for k < 5 */
    uint8_t high[4]; /* byte m: 240 + m + 4 k, for k < 4 */
    uint8_t d[2];
};
_Static_assert(sizeof(struct block) == 54, "no padding");

/* BYTES bytes of DIGITS levels each: the levels of byte m are m, m + bytes, m + 2 bytes, ... */
static void put(const uint8_t *L, int bytes, int digits, uint8_t *to)
{
    for (int m = 0; m < bytes; m++) {
        uint32_t v = 0;

        for (int k = 0; k < 5; k++)
            v = v * 3 + (k < digits ? L[m + k * bytes] : 0);
        to[m] = (uint8_t)(((v & 255) * 256 + 242) / 243);
    }
}

static void get(const uint8_t *from, int bytes, int digits, float d, float *to)
{
    for (int m = 0; m < bytes; m++) {
        uint32_t v = from[m];

        for (int k = 0; k < digits; k++, v = v * 3 & 255)
            to[m + k * bytes] = (float)((int)(v * 3 >> 8) - 1) * d;
    }
}

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++) {
        const float d = block_f16(b->d);

        get(b->q, 32, 5, d, to + i);
        get(b->q + 32, 16, 5, d, to + i + 160);
        get(b->high, 4, 4, d, to + i + 240);
    }
}

static void encode(const float *from, int64_t rows, int64_t cols, const float *imatrix, void *to)
{
    struct block *b = to;

    (void)imatrix;
    for (int64_t i = 0; i < rows * cols; i += N, b++) {
        uint8_t L[N];

        block_put_f16(b->d, ternary_levels(from + i, L));
        put(L, 32, 5, b->q);
        put(L + 160, 16, 5, b->q + 32);
        put(L + 240, 4, 4, b->high);
    }
}

static int64_t invalid(const void *from, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n / N; i++)
        if (block_f16_bad(b[i].d))
            return i * N;
    return -1;
}

const struct kernel kernel_tq1_0 = {decode, encode, invalid};
