/* exps_lanes.h - exp and log as wide as this file is compiled (kernel/exps.h)
 *
 * exps.c, exps_avx2.c and exps_avx512.c include this, each with its flags. exp_lane and log_lane
 * are fmath_exp and fmath_log of base/fmath.c without their branches, operation by operation: who
 * changes one changes both. They hold for ordinary numbers alone; a block in which a number is not
 * ordinary goes through the scalar functions. */
#ifndef KERNEL_EXPS_LANES_H
#define KERNEL_EXPS_LANES_H

#include "base/fmath.h"
#include "base/fmath_series.h"
#include "kernel/exps.h"
#include "kernel/steps_vec.h"

#include <float.h>
#include <string.h>

enum {
    EXPS_VECTORS = 8, /* of a block: their loops have no branch, and run side by side */
    EXPS_BLOCK = EXPS_VECTORS * LANES_f64,
};

/* ---- pairs: a value and what it lacks -----------------------------------------------------------
 */

struct lane_pair {
    vec_f64 hi, lo;
};

STEPS_LANE struct lane_pair lane_sum_ordered(vec_f64 a, vec_f64 b)
{
    const vec_f64 s = a + b;

    return (struct lane_pair){s, b - (s - a)};
}

STEPS_LANE struct lane_pair lane_sum(vec_f64 a, vec_f64 b)
{
    const vec_f64 s = a + b, t = s - a;

    return (struct lane_pair){s, (a - (s - t)) + (b - t)};
}

STEPS_LANE struct lane_pair lane_square(vec_f64 a)
{
    const vec_f64 p = a * a, t = FMATH_SPLIT * a, h = t - (t - a), l = a - h;

    return (struct lane_pair){p, ((h * h - p) + h * l + l * h) + l * l};
}

STEPS_LANE vec_f64 lane_poly(vec_f64 z, const double *c, int n)
{
    vec_f64 y = c[n - 1] - (vec_f64){0};

    UNROLLED for (int i = n - 1; i-- > 0;) y = c[i] + z * y;
    return y;
}

/* ---- lanes --------------------------------------------------------------------------------------
 */

/* Of numbers below 2^51. */
STEPS_LANE vec_f64 lane_floor(vec_f64 x)
{
#if defined(__AVX512F__)
    return (vec_f64)_mm512_floor_pd((__m512d)x);
#elif defined(__AVX2__)
    return (vec_f64)_mm256_floor_pd((__m256d)x);
#else
    const vec_f64 near = (x + 0x1.8p52) - 0x1.8p52;

    return near - vec_one_f64(near > x);
#endif
}

/* 2^k is a normal number from the first to the last of them. */
STEPS_LANE truth_f64 exp_ordinary(vec_f64 x)
{
    return (x >= -708.0) & (x <= 709.0);
}

STEPS_LANE vec_f64 exp_lane(vec_f64 x)
{
    static const double c[] = FMATH_EXP_SERIES;
    const vec_f64 k = lane_floor(x * FMATH_LOG2_E + 0.5);
    const struct lane_pair r = lane_sum(x - k * FMATH_LN2_HI, 0.0 - k * FMATH_LN2_LO);
    const struct lane_pair square = lane_square(r.hi);
    const struct lane_pair s = lane_sum_ordered((vec_f64){0} + 1.0, r.hi);
    const struct lane_pair t = lane_sum_ordered(s.hi, 0.5 * square.hi);
    const vec_f64 small =
        r.lo + r.hi * r.lo + 0.5 * square.lo + r.hi * square.hi * lane_poly(r.hi, c, countof(c));
    /* The last bits of k + 1.5 * 2^52 are k's. */
    const bits_f64 power = ((bits_f64)(k + 0x1.8p52) << 52) + ((uint64_t)1023 << 52);

    return (t.hi + (t.lo + (s.lo + small))) * (vec_f64)power;
}

/* Normal, above 0, finite. */
STEPS_LANE truth_f64 log_ordinary(vec_f64 x)
{
    return (x >= DBL_MIN) & (x <= DBL_MAX);
}

STEPS_LANE vec_f64 log_lane(vec_f64 x)
{
    static const double c[] = FMATH_LOG_SERIES;
    const bits_f64 u = (bits_f64)x + (0x3ff0000000000000u - FMATH_ROOT_HALF);
    /* Set under the exponent of 2^52, an integer is that much above it. */
    const vec_f64 k = (vec_f64)((u >> 52) | 0x4330000000000000u) - (0x1p52 + 1023.0);
    const vec_f64 f = (vec_f64)((u & 0x000fffffffffffffu) + FMATH_ROOT_HALF) - 1.0;
    const vec_f64 s = f / (2.0 + f);
    const struct lane_pair square = lane_square(f);
    const struct lane_pair a = lane_sum(k * FMATH_LN2_HI, f);
    const struct lane_pair b = lane_sum(a.hi, -0.5 * square.hi);
    const vec_f64 small =
        s * (0.5 * square.hi + s * s * lane_poly(s * s, c, countof(c))) + k * FMATH_LN2_LO;

    return b.hi + (b.lo + (a.lo - 0.5 * square.lo + small));
}

/* ---- numbers of either size ---------------------------------------------------------------------
 */

STEPS_LANE half_vec lane_narrow(vec_f64 x)
{
#if defined(__AVX512F__)
    return (half_vec)_mm512_cvtpd_ps((__m512d)x);
#elif defined(__AVX2__)
    return (half_vec)_mm256_cvtpd_ps((__m256d)x);
#else
    return __builtin_convertvector(x, half_vec);
#endif
}

STEPS_LANE vec_f64 lane_get(const void *from, uint32_t size, int64_t at)
{
    half_vec x;

    if (size == sizeof(double))
        return vec_get_f64(from, at);
    memcpy(&x, (const float *)from + at, sizeof(x));
    return vec_wide(x);
}

STEPS_LANE void lane_put(void *to, uint32_t size, int64_t at, vec_f64 x)
{
    half_vec y;

    if (size == sizeof(double)) {
        vec_put_f64(to, at, x, LANES_f64);
        return;
    }
    y = lane_narrow(x);
    memcpy((float *)to + at, &y, sizeof(y));
}

STEPS_LANE double number_get(const void *from, uint32_t size, int64_t at)
{
    return size == sizeof(double) ? ((const double *)from)[at] : (double)((const float *)from)[at];
}

STEPS_LANE void number_put(void *to, uint32_t size, int64_t at, double x)
{
    if (size == sizeof(double))
        ((double *)to)[at] = x;
    else
        ((float *)to)[at] = (float)x;
}

/* ---- runs ---------------------------------------------------------------------------------------
 *
 * y[i] = fmath_NAME(x[i] - less), of numbers of TO and FROM bytes. name_block: of so many vectors.
 * name_sized: of N numbers, filled up to whole vectors with FILL, an ordinary number. */
STEPS_LANE bool all_true(truth_f64 that)
{
    int64_t lane[LANES_f64], all = -1;

    memcpy(lane, &that, sizeof(lane));
    UNROLLED for (int l = 0; l < LANES_f64; l++) all &= lane[l];
    return all != 0;
}

#define EXPS_RUN(name, fill)                                                                       \
    STEPS_LANE void name##_block(void *y, uint32_t to, const void *x, uint32_t from, double less,  \
                                 int64_t vectors)                                                  \
    {                                                                                              \
        vec_f64 v[EXPS_VECTORS];                                                                   \
        truth_f64 fine = ~(truth_f64){0};                                                          \
                                                                                                   \
        for (int64_t i = 0; i < vectors; i++) {                                                    \
            v[i] = lane_get(x, from, i * LANES_f64) - less;                                        \
            fine &= name##_ordinary(v[i]);                                                         \
        }                                                                                          \
        if (all_true(fine))                                                                        \
            for (int64_t i = 0; i < vectors; i++)                                                  \
                lane_put(y, to, i *LANES_f64, name##_lane(v[i]));                                  \
        else                                                                                       \
            for (int64_t i = 0; i < vectors * LANES_f64; i++)                                      \
                number_put(y, to, i, fmath_##name(v[i / LANES_f64][i % LANES_f64]));               \
    }                                                                                              \
    STEPS_LANE void name##_sized(void *y, uint32_t to, const void *x, uint32_t from, double less,  \
                                 int64_t n)                                                        \
    {                                                                                              \
        double rest[EXPS_BLOCK];                                                                   \
        int64_t at = 0, whole;                                                                     \
                                                                                                   \
        for (; at + EXPS_BLOCK <= n; at += EXPS_BLOCK)                                             \
            name##_block((unsigned char *)y + at * to, to, (const unsigned char *)x + at * from,   \
                         from, less, EXPS_VECTORS);                                                \
        whole = (n - at + LANES_f64 - 1) / LANES_f64;                                              \
        for (int64_t i = 0; i < whole * LANES_f64; i++)                                            \
            rest[i] = at + i < n ? number_get(x, from, at + i) - less : (fill);                    \
        name##_block(rest, sizeof(double), rest, sizeof(double), 0.0, whole);                      \
        for (int64_t i = 0; at + i < n; i++)                                                       \
            number_put(y, to, at + i, rest[i]);                                                    \
    }

EXPS_RUN(exp, 0.0)
EXPS_RUN(log, 1.0)
#undef EXPS_RUN

static void exps_exp(double *y, const void *x, uint32_t size, double less, int64_t n)
{
    if (size == sizeof(double))
        exp_sized(y, sizeof(double), x, sizeof(double), less, n);
    else
        exp_sized(y, sizeof(double), x, sizeof(float), less, n);
}

static void exps_log(void *y, const void *x, uint32_t size, int64_t n)
{
    if (size == sizeof(double))
        log_sized(y, sizeof(double), x, sizeof(double), 0.0, n);
    else
        log_sized(y, sizeof(float), x, sizeof(float), 0.0, n);
}

STEPS_LANE void over_sized(void *y, uint32_t size, const double *x, double by, int64_t n)
{
    int64_t at = 0;

    for (; at + LANES_f64 <= n; at += LANES_f64)
        lane_put(y, size, at, vec_get_f64(x, at) / by);
    for (; at < n; at++)
        number_put(y, size, at, x[at] / by);
}

static void exps_over(void *y, uint32_t size, const double *x, double by, int64_t n)
{
    if (size == sizeof(double))
        over_sized(y, sizeof(double), x, by, n);
    else
        over_sized(y, sizeof(float), x, by, n);
}

/* A NaN is not above anything, and nothing is above it. */
#define EXPS_MOST(K)                                                                               \
    static double most_##K(const num_##K *x, int64_t n)                                            \
    {                                                                                              \
        vec_##K most = x[0] - (vec_##K){0};                                                        \
        num_##K y = x[0];                                                                          \
        int64_t at = 0;                                                                            \
                                                                                                   \
        for (; at + LANES_##K <= n; at += LANES_##K) {                                             \
            const vec_##K v = vec_get_##K(x, at);                                                  \
                                                                                                   \
            most = vec_pick_##K(v > most, v, most);                                                \
        }                                                                                          \
        for (int l = 0; l < LANES_##K; l++)                                                        \
            y = most[l] > y ? most[l] : y;                                                         \
        for (; at < n; at++)                                                                       \
            y = x[at] > y ? x[at] : y;                                                             \
        return (double)y;                                                                          \
    }

EXPS_MOST(f32)
EXPS_MOST(f64)
#undef EXPS_MOST

static double exps_most(const void *x, uint32_t size, int64_t n)
{
    return size == sizeof(double) ? most_f64(x, n) : most_f32(x, n);
}

#define EXPS_TABLE                                                                                 \
    {                                                                                              \
        .exp = exps_exp, .log = exps_log, .over = exps_over, .most = exps_most                     \
    }

/* The wide tables, where CPU_X86. */
extern const struct exps exps_avx2, exps_avx512;

#endif
