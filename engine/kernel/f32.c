/* f32.c - plain f32: what every other type is computed through */
#include "base/exact.h"
#include "base/sum.h"
#include "kernel/block.h"

enum { CHUNK = 64 };

static int64_t invalid(const void *from, int64_t n)
{
    const uint8_t *bytes = from;

    for (int64_t i = 0; i < n; i += CHUNK) {
        const int64_t count = min_i64(CHUNK, n - i);
        uint32_t u[CHUNK] = {0}, bad = 0;

        memcpy(u, bytes + 4 * i, (size_t)(4 * count));
        for (int j = 0; j < CHUNK; j++)
            bad |= (u[j] & 0x7f800000) == 0x7f800000;
        for (int j = 0; bad && j < CHUNK; j++)
            if ((u[j] & 0x7f800000) == 0x7f800000)
                return i + j;
    }
    return -1;
}

static void decode(const void *from, float *to, int64_t n)
{
    if (n > 0)
        memcpy(to, from, (size_t)n * 4);
}

static void encode(const float *from, int64_t rows, int64_t cols, const float *imatrix, void *to)
{
    (void)imatrix;
    if (rows * cols > 0)
        memcpy(to, from, (size_t)(rows * cols) * 4);
}

const struct kernel kernel_f32 = {decode, encode, invalid};
