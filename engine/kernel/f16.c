/* f16.c - plain f16: IEEE binary16
 *
 * Whole chunks go through loops of constant length over local arrays, which compilers turn
 * into SIMD without being told; the values are those of kernel/half.h one by one. */
#include "base/exact.h"
#include "base/sum.h"
#include "kernel/block.h"

enum { CHUNK = 64 };

static void decode(const void *from, float *to, int64_t n)
{
    const uint8_t *bytes = from;

    for (int64_t i = 0; i < n; i += CHUNK) {
        const size_t count = (size_t)min_i64(CHUNK, n - i);
        uint16_t h[CHUNK] = {0};
        float x[CHUNK];

        memcpy(h, bytes + 2 * i, 2 * count);
        for (int j = 0; j < CHUNK; j++)
            x[j] = f16_get(h[j]);
        memcpy(to + i, x, sizeof(float) * count);
    }
}

static void encode(const float *from, int64_t rows, int64_t cols, const float *imatrix, void *to)
{
    uint8_t *bytes = to;
    const int64_t n = rows * cols;

    (void)imatrix;
    for (int64_t i = 0; i < n; i += CHUNK) {
        const size_t count = (size_t)min_i64(CHUNK, n - i);
        float x[CHUNK] = {0};
        uint16_t h[CHUNK];

        memcpy(x, from + i, sizeof(float) * count);
        for (int j = 0; j < CHUNK; j++)
            h[j] = f16_put(x[j]);
        memcpy(bytes + 2 * i, h, 2 * count);
    }
}

static int64_t invalid(const void *from, int64_t n)
{
    const uint8_t *bytes = from;

    for (int64_t i = 0; i < n; i++)
        if ((block_u16(bytes + 2 * i) & 0x7c00) == 0x7c00)
            return i;
    return -1;
}

const struct kernel kernel_f16 = {decode, encode, invalid};
