/* vector.c - arithmetic on runs of numbers, as wide as the CPU has it
 *
 * One body each, written on vectors of 32 bytes (GNU C) and compiled for the base instruction set
 * and for AVX2: the base set makes two of each. Left to itself gcc 12 keeps such loops scalar. */
#include "kernel/vector.h"

#include "base/exact.h"
#include "kernel/cpu.h"

enum { LANES = 8 };

/* Wherever numbers lie: aligned as one of them is. */
typedef float f32x8 __attribute__((vector_size(32), aligned(4), may_alias));

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

BODY void blend_body(float *y, float ka, const float *a, float kc, const float *c, int64_t n)
{
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        PUT(y + i, GET(a + i) * ka + GET(c + i) * kc);
    for (; i < n; i++)
        y[i] = a[i] * ka + c[i] * kc;
}

/* vector_NAME as the CPU has it. */
#if CPU_X86
#define WIDE(name, params, args)                                                                   \
    __attribute__((target("avx2"))) static void name##_wide params                                 \
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
#define WIDE(name, params, args)                                                                   \
    void vector_##name params                                                                      \
    {                                                                                              \
        name##_body args;                                                                          \
    }
#endif

WIDE(scale, (float *y, const float *x, float by, int64_t n), (y, x, by, n))
WIDE(blend, (float *y, float ka, const float *a, float kc, const float *c, int64_t n),
     (y, ka, a, kc, c, n))
