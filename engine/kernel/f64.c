/* f64.c - plain f64: to f32 and back; kernel.c has the conversions that keep all its bits */
#include "base/exact.h"
#include "kernel/block.h"

static void decode(const void *from, float *to, int64_t n)
{
    const uint8_t *bytes = from;

    for (int64_t i = 0; i < n; i++) {
        double x;

        memcpy(&x, bytes + 8 * i, sizeof(x));
        to[i] = (float)x;
    }
}

static void encode(const float *from, int64_t rows, int64_t cols, const float *imatrix, void *to)
{
    uint8_t *bytes = to;

    (void)imatrix;
    for (int64_t i = 0; i < rows * cols; i++) {
        const double x = (double)from[i];

        memcpy(bytes + 8 * i, &x, sizeof(x));
    }
}

static int64_t invalid(const void *from, int64_t n)
{
    const uint8_t *bytes = from;

    for (int64_t i = 0; i < n; i++)
        if ((bytes[8 * i + 7] & 0x7f) == 0x7f && (bytes[8 * i + 6] & 0xf0) == 0xf0)
            return i;
    return -1;
}

const struct kernel kernel_f64 = {decode, encode, invalid};
