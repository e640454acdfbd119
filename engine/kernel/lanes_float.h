/* lanes_float.h - f16 and bf16 there and back, and the look for what is not finite, in lanes */
#ifndef KERNEL_LANES_FLOAT_H
#define KERNEL_LANES_FLOAT_H

#include "kernel/lanes.h"

#if defined(__AVX2__)

/* What is left at the end goes to the scalar code. */
#define LANES_HALF(name, GET, PUT)                                                                 \
    static void decode_##name(const void *from, float *to, int64_t n)                              \
    {                                                                                              \
        const uint8_t *bytes = from;                                                               \
        int64_t i = 0;                                                                             \
                                                                                                   \
        for (; i + LANES <= n; i += LANES)                                                         \
            vf_store(to + i, GET(vu_load_16(bytes + 2 * i)));                                      \
        kernel_##name.decode(bytes + 2 * i, to + i, n - i);                                        \
    }                                                                                              \
    static void encode_##name(const float *from, int64_t rows, int64_t cols, const float *imatrix, \
                              void *to)                                                            \
    {                                                                                              \
        const int64_t n = rows * cols;                                                             \
        uint8_t *bytes = to;                                                                       \
        int64_t i = 0;                                                                             \
                                                                                                   \
        for (; i + LANES <= n; i += LANES)                                                         \
            vu_store_16(bytes + 2 * i, PUT(vf_load(from + i)));                                    \
        kernel_##name.encode(from + i, 1, n - i, imatrix, bytes + 2 * i);                          \
    }

LANES_HALF(f16, vf_f16, vu_f16)
LANES_HALF(bf16, vf_bf16, vu_bf16)

enum { LANES_LOOK = 4 * 4 * LANES }; /* bytes of one look, four registers */

/* Is any of these f32 NaN or infinite? */
LANE bool exponent_full_32(const uint8_t *from)
{
    vi most = vi_all(0);

    UNROLLED for (int k = 0; k < 4; k++)
    {
        const vu u = (vu)vi_load(from + 4 * LANES * k);

        most = vi_max(most, (vi)(u & 0x7fffffffu));
    }
    return vm_any(vi_lt(vi_all(0x7f7fffff), most));
}

/* The same of values of 16 bits whose exponent is MASK: what is added carries into the place of the
 * sign, which is free, only where that is all ones. */
LANE bool exponent_full_16(const uint8_t *from, uint32_t mask)
{
    const vu both = vu_all(mask | mask << 16), least = vu_all((0x8000u - mask) * 0x00010001u);
    vu carried = vu_all(0);

    UNROLLED for (int k = 0; k < 4; k++)
    {
        carried |= ((vu)vi_load(from + 4 * LANES * k) & both) + least;
    }
    return vm_any(vi_lt(vi_all(0), (vi)(carried >> 15 & 0x00010001u)));
}

/* Where a look finds something, the scalar code says what. */
#define LANES_INVALID(name, value_bytes, FULL)                                                     \
    static int64_t invalid_##name(const void *from, int64_t n)                                     \
    {                                                                                              \
        const uint8_t *bytes = from;                                                               \
        const int64_t step = LANES_LOOK / value_bytes;                                             \
        int64_t i = 0, bad;                                                                        \
                                                                                                   \
        while (i + step <= n && !(FULL))                                                           \
            i += step;                                                                             \
        bad = kernel_##name.invalid(bytes + value_bytes * i, n - i);                               \
        return bad < 0 ? bad : i + bad;                                                            \
    }

LANES_INVALID(f32, 4, exponent_full_32(bytes + 4 * i))
LANES_INVALID(f16, 2, exponent_full_16(bytes + 2 * i, 0x7c00))
LANES_INVALID(bf16, 2, exponent_full_16(bytes + 2 * i, 0x7f80))

static void decode_f32(const void *from, float *to, int64_t n)
{
    kernel_f32.decode(from, to, n);
}

static void encode_f32(const float *from, int64_t rows, int64_t cols, const float *imatrix,
                       void *to)
{
    kernel_f32.encode(from, rows, cols, imatrix, to);
}

static const struct kernel lanes_f32 = {decode_f32, encode_f32, invalid_f32};
static const struct kernel lanes_f16 = {decode_f16, encode_f16, invalid_f16};
static const struct kernel lanes_bf16 = {decode_bf16, encode_bf16, invalid_bf16};

#endif
#endif
