/* vector.c - arithmetic on runs of numbers, as wide as the CPU has it
 *
 * One body each, written on vectors of 32 bytes (GNU C) and compiled for the base instruction set
 * and for AVX2: the base set makes two of each. Left to itself gcc 12 keeps such loops scalar.
 * Only the fused bodies are compiled for FMA, where the call becomes the instruction. */
#include "kernel/vector.h"

#include "base/exact.h"
#include "kernel/cpu.h"
#include "kernel/half.h"

#include <math.h>
#if CPU_X86
#include <immintrin.h>
#endif

enum { LANES = 8 };

/* Wherever numbers lie: aligned as one of them is. */
typedef float f32x8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t u32x8 __attribute__((vector_size(32), aligned(4), may_alias));

#define BODY static inline __attribute__((always_inline))

/* Vectors are no arguments: their convention differs with the instruction set. */
#define GET(x) (*(const f32x8 *)(const void *)(x))

#define PUT(y, v) (*(f32x8 *)(void *)(y) = (v))

BODY void scale_body(float *y, const float *x, float by, int64_t n)
{
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        PUT(y + i, GET(x + i) * by);
    for (; i < n; i++)
        y[i] = x[i] * by;
}

BODY void divide_body(float *y, float by, int64_t n)
{
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        PUT(y + i, GET(y + i) / by);
    for (; i < n; i++)
        y[i] = y[i] / by;
}

BODY void blend_body(float *y, float ka, const float *a, float kc, const float *c, int64_t n)
{
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        PUT(y + i, GET(a + i) * ka + GET(c + i) * kc);
    for (; i < n; i++)
        y[i] = a[i] * ka + c[i] * kc;
}

BODY bool reaches_body(const float *x, uint32_t limit, int64_t n)
{
    u32x8 many = {0};
    uint32_t any = 0;
    int64_t i = 0;

    /* Without the sign the difference cannot overflow: its top bit says "below". */
    for (; i + LANES <= n; i += LANES)
        many |= ~((*(const u32x8 *)(const void *)(x + i) & 0x7fffffffu) - limit);
    for (; i < n; i++)
        any |= ~((f32_bits(x[i]) & 0x7fffffffu) - limit);
    for (int l = 0; l < LANES; l++)
        any |= many[l];
    return any >> 31;
}

BODY void fma_rest(float *acc, const float *x, float w, int64_t i, int64_t n)
{
    for (; i < n; i++)
        acc[i] = fmaf(x[i], w, acc[i]);
}

BODY void fma_f64_rest(double *acc, const double *x, double w, int64_t i, int64_t n)
{
    for (; i < n; i++)
        acc[i] = fma(x[i], w, acc[i]);
}

/* vector_NAME as the CPU has it: the body compiled for TARGET, where cpu_has_avx2. */
#if CPU_X86
#define WIDE(target_list, name, params, args)                                                      \
    __attribute__((target(target_list))) static void name##_wide params                            \
    {                                                                                              \
        name##_body args;                                                                          \
    }                                                                                              \
    void vector_##name params                                                                      \
    {                                                                                              \
        if (cpu_has_avx2())                                                                        \
            name##_wide args;                                                                      \
        else                                                                                       \
            name##_body args;                                                                      \
    }
#else
#define WIDE(target_list, name, params, args)                                                      \
    void vector_##name params                                                                      \
    {                                                                                              \
        name##_body args;                                                                          \
    }
#endif

WIDE("avx2", scale, (float *y, const float *x, float by, int64_t n), (y, x, by, n))
WIDE("avx2", divide, (float *y, float by, int64_t n), (y, by, n))
WIDE("avx2", blend, (float *y, float ka, const float *a, float kc, const float *c, int64_t n),
     (y, ka, a, kc, c, n))

#if CPU_X86
__attribute__((target("avx2"))) static bool reaches_wide(const float *x, uint32_t limit, int64_t n)
{
    return reaches_body(x, limit, n);
}

__attribute__((target("avx2,fma"))) static void fma_wide(float *acc, const float *x, float w,
                                                         int64_t n)
{
    const __m256 by = _mm256_set1_ps(w);
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        _mm256_storeu_ps(acc + i,
                         _mm256_fmadd_ps(_mm256_loadu_ps(x + i), by, _mm256_loadu_ps(acc + i)));
    fma_rest(acc, x, w, i, n);
}

__attribute__((target("avx2,fma"))) static void fma_f64_wide(double *acc, const double *x, double w,
                                                             int64_t n)
{
    const __m256d by = _mm256_set1_pd(w);
    int64_t i = 0;

    for (; i + 4 <= n; i += 4)
        _mm256_storeu_pd(acc + i,
                         _mm256_fmadd_pd(_mm256_loadu_pd(x + i), by, _mm256_loadu_pd(acc + i)));
    fma_f64_rest(acc, x, w, i, n);
}
#endif

bool vector_reaches(const float *x, uint32_t limit, int64_t n)
{
#if CPU_X86
    if (cpu_has_avx2())
        return reaches_wide(x, limit, n);
#endif
    return reaches_body(x, limit, n);
}

void vector_fma(float *acc, const float *x, float w, int64_t n)
{
#if CPU_X86
    if (cpu_has_avx2()) {
        fma_wide(acc, x, w, n);
        return;
    }
#endif
    fma_rest(acc, x, w, 0, n);
}

void vector_fma_f64(double *acc, const double *x, double w, int64_t n)
{
#if CPU_X86
    if (cpu_has_avx2()) {
        fma_f64_wide(acc, x, w, n);
        return;
    }
#endif
    fma_f64_rest(acc, x, w, 0, n);
}
