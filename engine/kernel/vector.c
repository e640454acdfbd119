/* vector.c - arithmetic on runs of numbers, as wide as the CPU has it
 *
 * One body each, compiled for the base instruction set and for AVX2; loops of constant length
 * become SIMD. Only the fused bodies are compiled for FMA, where the call becomes the
 * instruction. */
#include "kernel/vector.h"

#include "base/exact.h"
#include "kernel/cpu.h"
#include "kernel/half.h"

#include <math.h>

enum { STEP = 32 };

#define BODY static inline __attribute__((always_inline))

/* EACH(i) for i below N, STEP at a time and then the rest. */
#define FOR_RUN(n, EACH)                                                                           \
    do {                                                                                           \
        int64_t at = 0;                                                                            \
        for (; at + STEP <= (n); at += STEP)                                                       \
            for (int64_t i = at; i < at + STEP; i++)                                               \
                EACH(i);                                                                           \
        for (int64_t i = at; i < (n); i++)                                                         \
            EACH(i);                                                                               \
    } while (0)

BODY void scale_body(float *restrict y, const float *restrict x, float by, int64_t n)
{
#define EACH(i) y[i] = x[i] * by
    FOR_RUN(n, EACH);
#undef EACH
}

BODY void divide_body(float *y, float by, int64_t n)
{
#define EACH(i) y[i] = y[i] / by
    FOR_RUN(n, EACH);
#undef EACH
}

BODY void blend_body(float *restrict y, float ka, const float *restrict a, float kc,
                     const float *restrict c, int64_t n)
{
#define EACH(i) y[i] = ka * a[i] + kc * c[i]
    FOR_RUN(n, EACH);
#undef EACH
}

BODY void fma_body(float *restrict acc, const float *restrict x, float w, int64_t n)
{
#define EACH(i) acc[i] = fmaf(x[i], w, acc[i])
    FOR_RUN(n, EACH);
#undef EACH
}

BODY void fma_f64_body(double *restrict acc, const double *restrict x, double w, int64_t n)
{
#define EACH(i) acc[i] = fma(x[i], w, acc[i])
    FOR_RUN(n, EACH);
#undef EACH
}

bool vector_reaches(const float *x, uint32_t limit, int64_t n)
{
    uint32_t bits[STEP], any = 0;
    int64_t at = 0;

    /* Without the sign the difference cannot overflow: its top bit says "below". */
    for (; at + STEP <= n; at += STEP) {
        memcpy(bits, x + at, sizeof(bits));
        for (int i = 0; i < STEP; i++)
            any |= ~((bits[i] & 0x7fffffffu) - limit);
    }
    for (; at < n; at++)
        any |= ~((f32_bits(x[at]) & 0x7fffffffu) - limit);
    return any >> 31;
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
WIDE("avx2,fma", fma, (float *acc, const float *x, float w, int64_t n), (acc, x, w, n))
WIDE("avx2,fma", fma_f64, (double *acc, const double *x, double w, int64_t n), (acc, x, w, n))
