/* steps_vec.h - numbers side by side, and their rounding to a work dtype (kernel/steps.h)
 *
 * As wide as the including file is compiled: 64, 32 or 16 bytes. Arithmetic is GNU C's; only what
 * has no operator has a name. Names end in the kind of number that is computed with, f32 or f64 (K
 * in macros), or in the work dtype (W) where they round. */
#ifndef KERNEL_STEPS_VEC_H
#define KERNEL_STEPS_VEC_H

#include "base/exact.h"
#include "kernel/half.h"

#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#if defined(__AVX512F__)
#define STEPS_BYTES 64
#elif defined(__AVX2__)
#define STEPS_BYTES 32
#else
#define STEPS_BYTES 16
#endif
#define STEPS_LANE static inline __attribute__((always_inline, unused))

enum {
    LANES_f32 = STEPS_BYTES / 4,
    LANES_f64 = STEPS_BYTES / 8,
};

/* vec holds numbers, bits their bits, truth 0 or -1 each; half_* are as many f32 as there are
 * f64 in a vec. */
typedef float num_f32;
typedef double num_f64;
typedef float vec_f32 __attribute__((vector_size(STEPS_BYTES)));
typedef double vec_f64 __attribute__((vector_size(STEPS_BYTES)));
typedef uint32_t bits_f32 __attribute__((vector_size(STEPS_BYTES)));
typedef uint64_t bits_f64 __attribute__((vector_size(STEPS_BYTES)));
typedef int32_t truth_f32 __attribute__((vector_size(STEPS_BYTES)));
typedef int64_t truth_f64 __attribute__((vector_size(STEPS_BYTES)));
typedef uint8_t bytes_f32 __attribute__((vector_size(STEPS_BYTES / 4)));
typedef uint8_t bytes_f64 __attribute__((vector_size(STEPS_BYTES / 8)));
typedef float half_vec __attribute__((vector_size(STEPS_BYTES / 2)));
typedef uint32_t half_bits __attribute__((vector_size(STEPS_BYTES / 2)));

/* ---- wider ------------------------------------------------------------------------------------
 *
 * What gcc does not find by itself from the last of each. */
#if defined(__AVX512F__)
STEPS_LANE vec_f64 vec_wide(half_vec x)
{
    return (vec_f64)_mm512_cvtps_pd((__m256)x);
}
STEPS_LANE bits_f64 bits_wide(half_bits x)
{
    return (bits_f64)_mm512_cvtepu32_epi64((__m256i)x);
}
STEPS_LANE truth_f32 bytes_wide_f32(bytes_f32 x)
{
    return (truth_f32)_mm512_cvtepu8_epi32((__m128i)x);
}
#elif defined(__AVX2__)
STEPS_LANE vec_f64 vec_wide(half_vec x)
{
    return (vec_f64)_mm256_cvtps_pd((__m128)x);
}
STEPS_LANE bits_f64 bits_wide(half_bits x)
{
    return (bits_f64)_mm256_cvtepu32_epi64((__m128i)x);
}
STEPS_LANE truth_f32 bytes_wide_f32(bytes_f32 x)
{
    int64_t low;

    memcpy(&low, &x, sizeof(low));
    return (truth_f32)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(low));
}
#else
STEPS_LANE vec_f64 vec_wide(half_vec x)
{
    return __builtin_convertvector(x, vec_f64);
}
STEPS_LANE bits_f64 bits_wide(half_bits x)
{
    return __builtin_convertvector(x, bits_f64);
}
STEPS_LANE truth_f32 bytes_wide_f32(bytes_f32 x)
{
    return __builtin_convertvector(x, truth_f32);
}
#endif
STEPS_LANE truth_f64 bytes_wide_f64(bytes_f64 x)
{
    return __builtin_convertvector(x, truth_f64);
}

/* A byte of each: 0 or -1, too. */
STEPS_LANE bytes_f32 bytes_of_f32(truth_f32 x)
{
#if defined(__AVX512F__)
    return (bytes_f32)_mm512_cvtepi32_epi8((__m512i)x);
#elif defined(__AVX2__)
    const __m128i low = _mm256_castsi256_si128((__m256i)x),
                  high = _mm256_extracti128_si256((__m256i)x, 1), four = _mm_packs_epi32(low, high);
    const int64_t eight = _mm_cvtsi128_si64(_mm_packs_epi16(four, four));
    bytes_f32 y;

    memcpy(&y, &eight, sizeof(y));
    return y;
#elif defined(__SSE2__)
    const __m128i four = _mm_packs_epi32((__m128i)x, (__m128i)x);
    const int bytes = _mm_cvtsi128_si32(_mm_packs_epi16(four, four));
    bytes_f32 y;

    memcpy(&y, &bytes, sizeof(y));
    return y;
#else
    return __builtin_convertvector(x, bytes_f32);
#endif
}
STEPS_LANE bytes_f64 bytes_of_f64(truth_f64 x)
{
    return __builtin_convertvector(x, bytes_f64);
}

/* A where THAT, else B. */
#if defined(__AVX2__) && !defined(__AVX512F__) /* one instruction, which gcc 12 does not find */
STEPS_LANE vec_f32 vec_pick_f32(truth_f32 that, vec_f32 a, vec_f32 b)
{
    return (vec_f32)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)that);
}
STEPS_LANE vec_f64 vec_pick_f64(truth_f64 that, vec_f64 a, vec_f64 b)
{
    return (vec_f64)_mm256_blendv_pd((__m256d)b, (__m256d)a, (__m256d)that);
}
#else
STEPS_LANE vec_f32 vec_pick_f32(truth_f32 that, vec_f32 a, vec_f32 b)
{
    return (vec_f32)(((bits_f32)a & (bits_f32)that) | ((bits_f32)b & ~(bits_f32)that));
}
STEPS_LANE vec_f64 vec_pick_f64(truth_f64 that, vec_f64 a, vec_f64 b)
{
    return (vec_f64)(((bits_f64)a & (bits_f64)that) | ((bits_f64)b & ~(bits_f64)that));
}
#endif

/* ---- what both kinds have ---------------------------------------------------------------------
 *
 * all: minus zero stays what it is, for x - 0 is x. quiet: the one NaN where X is NaN, else
 * OTHERWISE. */
#define KIND(K, bit_one, bit_nan)                                                                  \
    STEPS_LANE vec_##K vec_get_##K(const void *from, int64_t at)                                   \
    {                                                                                              \
        vec_##K x;                                                                                 \
                                                                                                   \
        memcpy(&x, (const num_##K *)from + at, sizeof(x));                                         \
        return x;                                                                                  \
    }                                                                                              \
    STEPS_LANE vec_##K vec_part_##K(const void *from, int64_t at, int64_t n)                       \
    {                                                                                              \
        vec_##K x = {0};                                                                           \
                                                                                                   \
        memcpy(&x, (const num_##K *)from + at, (size_t)n * sizeof(num_##K));                       \
        return x;                                                                                  \
    }                                                                                              \
    STEPS_LANE void vec_put_##K(void *to, int64_t at, vec_##K x, int64_t n)                        \
    {                                                                                              \
        memcpy((num_##K *)to + at, &x, (size_t)n * sizeof(num_##K));                               \
    }                                                                                              \
    STEPS_LANE vec_##K vec_all_##K(double x)                                                       \
    {                                                                                              \
        return (num_##K)x - (vec_##K){0};                                                          \
    }                                                                                              \
    STEPS_LANE vec_##K vec_one_##K(truth_##K that)                                                 \
    {                                                                                              \
        return (vec_##K)((bits_##K)that & (bit_one));                                              \
    }                                                                                              \
    STEPS_LANE vec_##K vec_abs_##K(vec_##K x)                                                      \
    {                                                                                              \
        return (vec_##K)((bits_##K)x << 1 >> 1);                                                   \
    }                                                                                              \
    STEPS_LANE vec_##K vec_quiet_##K(vec_##K x, bits_##K otherwise)                                \
    {                                                                                              \
        return vec_pick_##K(x != x, (vec_##K)((bits_##K){0} + (bit_nan)), (vec_##K)otherwise);     \
    }                                                                                              \
    STEPS_LANE truth_##K vec_masked_##K(const uint8_t *mask, int64_t n)                            \
    {                                                                                              \
        bytes_##K some = {0};                                                                      \
                                                                                                   \
        memcpy(&some, mask, (size_t)n);                                                            \
        return bytes_wide_##K(some) != 0;                                                          \
    }

KIND(f32, 0x3f800000u, 0x7fc00000u)
KIND(f64, 0x3ff0000000000000u, 0x7ff8000000000000u)
#undef KIND

/* ---- R ----------------------------------------------------------------------------------------
 */

STEPS_LANE vec_f32 round_f32(vec_f32 x)
{
    return vec_quiet_f32(x, (bits_f32)x);
}

STEPS_LANE vec_f64 round_f64(vec_f64 x)
{
    return vec_quiet_f64(x, (bits_f64)x);
}

STEPS_LANE vec_f32 round_bf16(vec_f32 x)
{
    const bits_f32 u = (bits_f32)x;

    return vec_quiet_f32(x, (u + 0x7fffu + (u >> 16 & 1u)) & 0xffff0000u);
}

/* As f16_put and f16_get: what is below 2^-14 is rounded by the addition of 0.5. */
STEPS_LANE vec_f32 round_f16(vec_f32 x)
{
    const bits_f32 sign = (bits_f32)x & 0x80000000u, u = (bits_f32)x ^ sign;
    const vec_f32 small = ((vec_f32)u + 0.5f) - 0.5f;
    const vec_f32 normal = (vec_f32)((u + 0x0fffu + (u >> 13 & 1u)) & ~0x1fffu);
    const vec_f32 finite = vec_pick_f32((vec_f32)u < 0x1p-14f, small, normal);
    const vec_f32 y =
        vec_pick_f32(finite < 65536.0f, finite, (vec_f32)((bits_f32){0} + 0x7f800000u));

    return vec_quiet_f32(x, (bits_f32)y | sign);
}

#endif
