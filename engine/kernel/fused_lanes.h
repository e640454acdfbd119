/* fused_lanes.h - weighted sums, as wide as this file is compiled
 *
 * fused_avx2.c and fused_avx512.c include this. Bytes are decoded, summed and coded again in
 * registers, STREAMS of them side by side: nothing but inputs and result passes through a cache. */
#ifndef KERNEL_FUSED_LANES_H
#define KERNEL_FUSED_LANES_H

#include "kernel/fused.h"
#include "kernel/lanes.h"

#if defined(__AVX2__)

enum { STREAMS = 4 };

#if defined(__AVX512F__)
#define FUSED
typedef __m512d vd;
enum { WIDE = 8 };
#define VD(name) _mm512_##name
LANE vf vf_fma(vf a, vf b, vf c)
{
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#else
#define FUSED __attribute__((target("avx2,fma")))
typedef __m256d vd;
enum { WIDE = 4 };
#define VD(name) _mm256_##name
FUSED LANE vf vf_fma(vf a, vf b, vf c)
{
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
#endif

LANE vf get_f32(const uint8_t *from)
{
    return vf_load((const float *)(const void *)from);
}
LANE vf get_f16(const uint8_t *from)
{
    return vf_f16(vu_load_16(from));
}
LANE vf get_bf16(const uint8_t *from)
{
    return vf_bf16(vu_load_16(from));
}
LANE void put_f32(uint8_t *to, vf x)
{
    vf_store((float *)(void *)to, x);
}
LANE void put_f16(uint8_t *to, vf x)
{
    vu_store_16(to, vu_f16(x));
}
LANE void put_bf16(uint8_t *to, vf x)
{
    vu_store_16(to, vu_bf16(x));
}

/* Dividing by 1 changes no bit. */
#define FUSED_SUM(name, bytes)                                                                     \
    FUSED static void sum_##name(void *y, const void *const *x, const double *w, uint32_t k,       \
                                 double by, int64_t i, int64_t n)                                  \
    {                                                                                              \
        const float divisor = (float)by;                                                           \
                                                                                                   \
        for (; i + STREAMS * LANES <= n; i += STREAMS * LANES) {                                   \
            vf acc[STREAMS];                                                                       \
                                                                                                   \
            UNROLLED for (int s = 0; s < STREAMS; s++) acc[s] = vf_all(0.0f);                      \
            for (uint32_t j = 0; j < k; j++) {                                                     \
                const uint8_t *from = (const uint8_t *)x[j] + bytes * i;                           \
                const vf weight = vf_all((float)w[j]);                                             \
                                                                                                   \
                UNROLLED for (int s = 0; s < STREAMS; s++) acc[s] =                                \
                    vf_fma(get_##name(from + bytes * LANES * s), weight, acc[s]);                  \
            }                                                                                      \
            UNROLLED for (int s = 0; s < STREAMS; s++)                                             \
                put_##name((uint8_t *)y + bytes * (i + LANES * s),                                 \
                           divisor == 1.0f ? acc[s] : acc[s] / divisor);                           \
        }                                                                                          \
        fused_scalar[DTYPE_##name](y, x, w, k, by, i, n);                                          \
    }

FUSED_SUM(f32, 4)
FUSED_SUM(f16, 2)
FUSED_SUM(bf16, 2)

FUSED static void sum_f64(void *y, const void *const *x, const double *w, uint32_t k, double by,
                          int64_t i, int64_t n)
{
    for (; i + WIDE <= n; i += WIDE) {
        vd acc = VD(setzero_pd)();

        for (uint32_t j = 0; j < k; j++)
            acc = VD(fmadd_pd)(VD(loadu_pd)((const double *)x[j] + i), VD(set1_pd)(w[j]), acc);
        VD(storeu_pd)((double *)y + i, VD(div_pd)(acc, VD(set1_pd)(by)));
    }
    fused_scalar[DTYPE_f64](y, x, w, k, by, i, n);
}

#define FUSED_TABLE                                                                                \
    {                                                                                              \
        [DTYPE_f64] = sum_f64, [DTYPE_f32] = sum_f32, [DTYPE_f16] = sum_f16,                       \
        [DTYPE_bf16] = sum_bf16                                                                    \
    }

#endif
#endif
