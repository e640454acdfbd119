/* half.h - f16 and bf16, one value at a time: the definition that every conversion follows
 *
 * f32 to f16 as specs/gguf-quant.md section 2.2 (NaN becomes sign | 0x7E00), f32 to bf16 as
 * section 2.3 (NaN quieted by bit 6); both to nearest even. Back: exact (a NaN of f16 comes back
 * quiet, as arithmetic makes it; one of bf16 keeps its bits). */
#ifndef KERNEL_HALF_H
#define KERNEL_HALF_H

#include "base/cc.h"
#include "base/exact.h"

#include <string.h>

static inline uint32_t f32_bits(float x)
{
    uint32_t u;

    memcpy(&u, &x, 4);
    return u;
}

static inline float f32_from_bits(uint32_t u)
{
    float x;

    memcpy(&x, &u, 4);
    return x;
}

/* A where THAT holds, else B, without a branch: loops over what follows become SIMD. */
static inline uint32_t u32_select(bool that, uint32_t a, uint32_t b)
{
    return b ^ ((a ^ b) & (0u - (uint32_t)that));
}

static inline float bf16_get(uint16_t h)
{
    return f32_from_bits((uint32_t)h << 16);
}

static inline uint16_t bf16_put(float x)
{
    const uint32_t u = f32_bits(x);
    const uint32_t nearest = (u + 0x7fff + (u >> 16 & 1)) >> 16;

    return (uint16_t)u32_select((u & 0x7fffffff) > 0x7f800000, u >> 16 | 64, nearest);
}

static inline float f16_get(uint16_t h)
{
    const uint32_t rest = (uint32_t)(h & 0x7fff) << 13, e = rest & 0x0f800000;
    const bool tiny = e == 0, special = e == 0x0f800000;
    const uint32_t bias = u32_select(special, 224u << 23, u32_select(tiny, 113u << 23, 112u << 23));
    /* Subnormals: 2^-14 (1 + m) - 2^-14 is exact, and no operand is subnormal. */
    const float y = f32_from_bits(rest + bias) - f32_from_bits(u32_select(tiny, 113u << 23, 0));
    const uint32_t quiet = u32_select(rest > 0x0f800000, 0x00400000, 0);

    return f32_from_bits(f32_bits(y) | quiet | (uint32_t)(h & 0x8000) << 16);
}

static inline uint16_t f16_put(float x)
{
    const uint32_t u = f32_bits(x) & 0x7fffffff, sign = f32_bits(x) >> 16 & 0x8000;
    /* Below 2^-14: adding 0.5 leaves the result's bits, rounded, at the bottom. */
    const uint32_t small = f32_bits(f32_from_bits(u) + 0.5f) - 0x3f000000;
    const uint32_t normal = (u - (112u << 23) + 0x0fff + (u >> 13 & 1)) >> 13;
    const uint32_t finite = u32_select(u < 0x38800000, small, normal);
    const uint32_t infinite = u32_select(u > 0x7f800000, 0x7e00, 0x7c00);

    return (uint16_t)(u32_select(u >= 0x47800000, infinite, finite) | sign);
}

#endif
