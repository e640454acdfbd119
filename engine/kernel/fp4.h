/* fp4.h - what mxfp4 and nvfp4 share: floats of 4 bits, doubled so that they are integers
 * (specs/gguf-quant.md 2.4, 3.1.6) */
#ifndef KERNEL_FP4_H
#define KERNEL_FP4_H

#include "kernel/block.h"

#include <math.h>

static const float fp4_value[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* The scale of mxfp4: 2^(e - 127), halved. */
static inline float fp4_mx_scale(uint8_t e)
{
    return f32_from_bits(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

/* floor of the f32 nearest to log2 x, for finite x > 0. Rounding lifts the logarithm of a few
 * floats just below 2^k to k itself: of those whose distance, in 2^(k - 24), is at most ln 2 times
 * the power of two at or below |log2 x|, for that is how far apart floats lie there. */
static inline int fp4_floor_log2(float x)
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

/* The scale's code for a block of that LARGEST magnitude. Below 2^-125 it wraps to the largest
 * exponents: a defect of the definition. */
static inline uint8_t fp4_mx_code(float largest)
{
    return largest > 0.0f && largest < INFINITY ? (uint8_t)(fp4_floor_log2(largest) - 2 + 127) : 0;
}

/* The scale of nvfp4, halved. */
static inline float fp4_nv_scale(uint8_t u)
{
    const uint32_t e = u >> 3 & 15, m = u & 7;

    if (u == 0x7f)
        return 0.0f;
    if (e == 0)
        return (float)m * 0x1p-10f;
    return f32_from_bits((e - 7 - 1 + 127) << 23 | m << 20);
}

/* The code of the scale nearest to X; rounds half up, in both ranges. */
static inline uint8_t fp4_nv_code(float x)
{
    const uint32_t u = f32_bits(x);
    const int e = (int)(u >> 23) - 127 + 7;

    if (!(x > 0.0f))
        return 0;
    if (e <= 0)
        return (uint8_t)clamp_i32(f32_to_i32(x * 512.0f + 0.5f), 0, 7);
    if (e >= 15)
        return 0x7e;
    /* A mantissa that rounds up to 8 goes on to the next exponent by itself. */
    const uint32_t code = ((uint32_t)e << 3 | (u >> 20 & 7)) + (u >> 19 & 1);

    return code < 15 << 3 ? (uint8_t)code : 0x7e;
}

/* Codes of the values nearest to X in units of SCALE, N (at most 32) of them; the lower of two
 * equally near. Element j low, element j + n / 2 high. */
static inline void fp4_put(int n, const float *x, float scale, uint8_t *to)
{
    float least[32];
    uint32_t code[32];

    for (int j = 0; j < n; j++) {
        least[j] = fabsf(fp4_value[0] * scale - x[j]);
        code[j] = 0;
    }
    for (uint32_t i = 1; i < 16; i++) {
        const float value = fp4_value[i] * scale;

        for (int j = 0; j < n; j++) {
            const float away = fabsf(value - x[j]);

            code[j] = u32_select(away < least[j], i, code[j]);
            least[j] = away < least[j] ? away : least[j];
        }
    }
    for (int j = 0; j < n / 2; j++)
        to[j] = (uint8_t)(code[j] | code[j + n / 2] << 4);
}

static inline void fp4_get(int n, const uint8_t *from, float scale, float *to)
{
    for (int j = 0; j < n / 2; j++) {
        to[j] = fp4_value[from[j] & 15] * scale;
        to[j + n / 2] = fp4_value[from[j] >> 4] * scale;
    }
}

#endif
