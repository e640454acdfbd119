/* fused.c - weighted sums, one element at a time; which code serves */
#include "kernel/fused.h"

#include "base/exact.h"
#include "kernel/cpu.h"
#include "kernel/half.h"

#include <math.h>

static float f32_get(float x)
{
    return x;
}

static float f32_put(float x)
{
    return x;
}

/* libm's fma is rounded correctly, with or without the CPU's. */
#define SUM(name, type, GET, PUT)                                                                  \
    static void sum_##name(void *y, const void *const *x, const double *w, uint32_t k, double by,  \
                           int64_t first, int64_t n)                                               \
    {                                                                                              \
        type *to = y;                                                                              \
                                                                                                   \
        for (int64_t i = first; i < n; i++) {                                                      \
            float acc = 0.0f;                                                                      \
                                                                                                   \
            for (uint32_t j = 0; j < k; j++)                                                       \
                acc = fmaf(GET(((const type *)x[j])[i]), (float)w[j], acc);                        \
            to[i] = PUT(acc / (float)by);                                                          \
        }                                                                                          \
    }

SUM(f32, float, f32_get, f32_put)
SUM(f16, uint16_t, f16_get, f16_put)
SUM(bf16, uint16_t, bf16_get, bf16_put)

static void sum_f64(void *y, const void *const *x, const double *w, uint32_t k, double by,
                    int64_t first, int64_t n)
{
    double *to = y;

    for (int64_t i = first; i < n; i++) {
        double acc = 0.0;

        for (uint32_t j = 0; j < k; j++)
            acc = fma(((const double *)x[j])[i], w[j], acc);
        to[i] = acc / by;
    }
}

const fused_fn fused_scalar[DTYPE_COUNT] = {
    [DTYPE_f64] = sum_f64, [DTYPE_f32] = sum_f32, [DTYPE_f16] = sum_f16, [DTYPE_bf16] = sum_bf16};

void fused_sum(enum dtype dtype, void *y, const void *const *x, const double *w, uint32_t k,
               double by, int64_t first, int64_t n)
{
    const fused_fn *table = fused_scalar;

#if CPU_X86
    if (cpu_isa() >= CPU_AVX512)
        table = fused_avx512;
    else if (cpu_isa() >= CPU_AVX2)
        table = fused_avx2;
#endif
    table[dtype](y, x, w, k, by, first, n);
}
