/* steps_lanes.h - the steps of every work dtype (kernel/steps.h), as wide as this file is compiled
 *
 * steps.c, steps_avx2.c and steps_avx512.c include this, each with its flags. A lane does one
 * element's arithmetic with the operators of C, so every width gives the same bytes. A short rest
 * at the end is filled up with zeros, whose results are dropped. */
#ifndef KERNEL_STEPS_LANES_H
#define KERNEL_STEPS_LANES_H

#include "base/exact.h"
#include "kernel/steps.h"
#include "kernel/steps_vec.h"

#include <string.h>

/* ---- loops ------------------------------------------------------------------------------------
 *
 * The steps of W, of the kind K. OF is an expression in u (of A), v (of B) and w. */
#define UNARY_LOOP(K, y, a, n, OF)                                                                 \
    int64_t at = 0;                                                                                \
                                                                                                   \
    for (; at + LANES_##K <= (n); at += LANES_##K) {                                               \
        const vec_##K u = vec_get_##K(a, at);                                                      \
                                                                                                   \
        vec_put_##K(y, at, OF, LANES_##K);                                                         \
    }                                                                                              \
    if (at < (n)) {                                                                                \
        const vec_##K u = vec_part_##K(a, at, (n)-at);                                             \
                                                                                                   \
        vec_put_##K(y, at, OF, (n)-at);                                                            \
    }

#define BINARY_LOOP(K, y, a, b, n, OF)                                                             \
    int64_t at = 0;                                                                                \
                                                                                                   \
    for (; at + LANES_##K <= (n); at += LANES_##K) {                                               \
        const vec_##K u = vec_get_##K(a, at), v = vec_get_##K(b, at);                              \
                                                                                                   \
        vec_put_##K(y, at, OF, LANES_##K);                                                         \
    }                                                                                              \
    if (at < (n)) {                                                                                \
        const vec_##K u = vec_part_##K(a, at, (n)-at), v = vec_part_##K(b, at, (n)-at);            \
                                                                                                   \
        vec_put_##K(y, at, OF, (n)-at);                                                            \
    }

#define STEP_BINARY(W, K, name, OF)                                                                \
    static void name##_##W(void *y, const void *a, const void *b, int64_t n)                       \
    {                                                                                              \
        BINARY_LOOP(K, y, a, b, n, OF)                                                             \
    }
#define STEP_UNARY(W, K, name, OF)                                                                 \
    static void name##_##W(void *y, const void *a, int64_t n)                                      \
    {                                                                                              \
        UNARY_LOOP(K, y, a, n, OF)                                                                 \
    }
#define STEP_NUMBER(W, K, name, OF)                                                                \
    static void name##_##W(void *y, const void *a, double by, int64_t n)                           \
    {                                                                                              \
        const vec_##K w = vec_all_##K(by);                                                         \
                                                                                                   \
        UNARY_LOOP(K, y, a, n, OF)                                                                 \
    }

#define STEPS_ARITHMETIC(W, K)                                                                     \
    static double scalar_##W(double x)                                                             \
    {                                                                                              \
        return (double)round_##W(vec_all_##K(x))[0];                                               \
    }                                                                                              \
    STEP_BINARY(W, K, sub, round_##W(u - v))                                                       \
    STEP_BINARY(W, K, add, round_##W(u + v))                                                       \
    STEP_BINARY(W, K, mul, round_##W(u *v))                                                        \
    STEP_BINARY(W, K, div, round_##W(u / v))                                                       \
    STEP_NUMBER(W, K, scale, round_##W(u *w))                                                      \
    STEP_NUMBER(W, K, over, round_##W(u / w))                                                      \
    STEP_NUMBER(W, K, plus, round_##W(u + w))                                                      \
    static void from_##W(void *y, double by, const void *a, int64_t n)                             \
    {                                                                                              \
        const vec_##K w = vec_all_##K(by);                                                         \
                                                                                                   \
        UNARY_LOOP(K, y, a, n, round_##W(w - u))                                                   \
    }                                                                                              \
    STEP_UNARY(W, K, recip, round_##W((num_##K)1 / u))                                             \
    STEP_UNARY(W, K, abs, vec_abs_##K(u))                                                          \
    static void blend_##W(void *y, double ka, const void *a, double kb, const void *b, int64_t n)  \
    {                                                                                              \
        const vec_##K wa = vec_all_##K(ka), wb = vec_all_##K(kb);                                  \
                                                                                                   \
        BINARY_LOOP(K, y, a, b, n, round_##W(round_##W(wa *u) + round_##W(wb * v)))                \
    }                                                                                              \
    static void scale_add_##W(void *acc, const void *a, double by, int64_t n)                      \
    {                                                                                              \
        const vec_##K w = vec_all_##K(by);                                                         \
                                                                                                   \
        BINARY_LOOP(K, acc, acc, a, n, round_##W(u + round_##W(w * v)))                            \
    }

/* A NaN is below nothing and above nothing, so it passes. */
#define STEPS_COMPARISONS(W, K)                                                                    \
    static void at_least_##W(void *y, const void *a, double by, int64_t n)                         \
    {                                                                                              \
        const vec_##K w = vec_all_##K(scalar_##W(by));                                             \
                                                                                                   \
        UNARY_LOOP(K, y, a, n, vec_pick_##K(u < w, w, u))                                          \
    }                                                                                              \
    static void clamp_##W(void *y, const void *a, double low, double high, int64_t n)              \
    {                                                                                              \
        const vec_##K l = vec_all_##K(scalar_##W(low)), h = vec_all_##K(scalar_##W(high));         \
                                                                                                   \
        UNARY_LOOP(K, y, a, n, vec_pick_##K(u < l, l, vec_pick_##K(u > h, h, u)))                  \
    }                                                                                              \
    STEPS_LANE truth_##K agreed_##W(vec_##K d, vec_##K majority)                                   \
    {                                                                                              \
        const truth_##K plus = majority >= (num_##K)0;                                             \
                                                                                                   \
        return (plus & (d > (num_##K)0)) | (~plus & (d < (num_##K)0));                             \
    }                                                                                              \
    STEP_BINARY(W, K, agree_alone, round_##K(u *vec_one_##K(agreed_##W(u, v))))                    \
    static void keep_##W(void *keep, const void *d, const void *majority, double by, int64_t n)    \
    {                                                                                              \
        const vec_##K w = vec_all_##K(by);                                                         \
        int64_t i = 0;                                                                             \
                                                                                                   \
        for (; i + LANES_##K <= n; i += LANES_##K) {                                               \
            const vec_##K x = vec_get_##K(keep, i);                                                \
            const truth_##K yes = agreed_##W(vec_get_##K(d, i), vec_get_##K(majority, i));         \
                                                                                                   \
            vec_put_##K(keep, i, vec_pick_##K(yes, round_##W(x + w), x), LANES_##K);               \
        }                                                                                          \
        if (i < n) {                                                                               \
            const vec_##K x = vec_part_##K(keep, i, n - i);                                        \
            const truth_##K yes =                                                                  \
                agreed_##W(vec_part_##K(d, i, n - i), vec_part_##K(majority, i, n - i));           \
                                                                                                   \
            vec_put_##K(keep, i, vec_pick_##K(yes, round_##W(x + w), x), n - i);                   \
        }                                                                                          \
    }                                                                                              \
    static void agree_##W(void *y, void *keep, const void *d, const void *majority, double w,      \
                          int64_t n)                                                               \
    {                                                                                              \
        if (keep)                                                                                  \
            keep_##W(keep, d, majority, w, n);                                                     \
        agree_alone_##W(y, d, majority, n);                                                        \
    }                                                                                              \
    static void mask_##W(void *y, const void *d, const uint8_t *mask, int64_t n)                   \
    {                                                                                              \
        int64_t i = 0;                                                                             \
                                                                                                   \
        for (; i + LANES_##K <= n; i += LANES_##K) {                                               \
            const vec_##K keep = vec_one_##K(vec_masked_##K(mask + i, LANES_##K));                 \
                                                                                                   \
            vec_put_##K(y, i, round_##K(vec_get_##K(d, i) * keep), LANES_##K);                     \
        }                                                                                          \
        if (i < n) {                                                                               \
            const vec_##K keep = vec_one_##K(vec_masked_##K(mask + i, n - i));                     \
                                                                                                   \
            vec_put_##K(y, i, round_##K(vec_part_##K(d, i, n - i) * keep), n - i);                 \
        }                                                                                          \
    }

/* ---- truths and counts, in bytes ---------------------------------------------------------------
 */

#define TRUTH_STEP(K, name, OF)                                                                    \
    static void name##_##K(uint8_t *mask, const void *a, double by, int64_t n)                     \
    {                                                                                              \
        const vec_##K w = vec_all_##K(by);                                                         \
                                                                                                   \
        for (int64_t at = 0; at < n; at += LANES_##K) {                                            \
            const int64_t count = n - at < LANES_##K ? n - at : LANES_##K;                         \
            const vec_##K u =                                                                      \
                count == LANES_##K ? vec_get_##K(a, at) : vec_part_##K(a, at, count);              \
            const bytes_##K yes = bytes_of_##K(OF) & 1;                                            \
                                                                                                   \
            if (count == LANES_##K)                                                                \
                memcpy(mask + at, &yes, sizeof(yes));                                              \
            else                                                                                   \
                memcpy(mask + at, &yes, (size_t)count);                                            \
        }                                                                                          \
    }
#define NUMBERS_STEP(K)                                                                            \
    static void numbers_##K(void *y, const uint8_t *count, int64_t n)                              \
    {                                                                                              \
        bytes_##K some = {0};                                                                      \
        int64_t at = 0;                                                                            \
                                                                                                   \
        for (; at + LANES_##K <= n; at += LANES_##K) {                                             \
            memcpy(&some, count + at, sizeof(some));                                               \
            vec_put_##K(y, at, __builtin_convertvector(bytes_wide_##K(some), vec_##K), LANES_##K); \
        }                                                                                          \
        memcpy(&some, count + at, (size_t)(n - at));                                               \
        vec_put_##K(y, at, __builtin_convertvector(bytes_wide_##K(some), vec_##K), n - at);        \
    }
TRUTH_STEP(f32, beyond, vec_abs_f32(u) > w)
TRUTH_STEP(f64, beyond, vec_abs_f64(u) > w)
TRUTH_STEP(f32, reaches, u >= w)
TRUTH_STEP(f64, reaches, u >= w)
NUMBERS_STEP(f32)
NUMBERS_STEP(f64)
#undef TRUTH_STEP
#undef NUMBERS_STEP

/* ---- keys --------------------------------------------------------------------------------------
 *
 * One integer for every NaN: which bits a NaN has is up to the CPU. */

STEPS_LANE bits_f32 key_f32(vec_f32 x)
{
    return ((bits_f32)x & 0x7fffffffu) | ((bits_f32)(x != x) >> 1);
}

STEPS_LANE bits_f64 key_f64(vec_f64 x)
{
    return ((bits_f64)x << 1 >> 1) | ((bits_f64)(x != x) >> 1);
}

STEPS_LANE bits_f32 key_bf16(vec_f32 x)
{
    return key_f32(x) >> 16;
}

STEPS_LANE bits_f32 key_f16(vec_f32 x)
{
    const vec_f32 size = vec_abs_f32(x);
    const bits_f32 small = (bits_f32)(size + 0.5f) - 0x3f000000u;
    const bits_f32 normal = ((bits_f32)size - (112u << 23)) >> 13;
    const bits_f32 finite =
        (bits_f32)vec_pick_f32(size < 0x1p-14f, (vec_f32)small, (vec_f32)normal);
    const bits_f32 y = (bits_f32)vec_pick_f32(size < 65536.0f, (vec_f32)finite,
                                              (vec_f32)((bits_f32){0} + 0x7c00u));

    return y | ((bits_f32)(x != x) >> 17);
}

/* Keys of f32 are made in a buffer and then widened. */
#define STEPS_KEYS(W)                                                                              \
    static void keys_##W(uint64_t *key, const void *d, int64_t n)                                  \
    {                                                                                              \
        uint32_t narrow[LANES_f32];                                                                \
                                                                                                   \
        for (int64_t at = 0; at < n; at += LANES_f32) {                                            \
            const int64_t count = n - at < LANES_f32 ? n - at : LANES_f32;                         \
            const bits_f32 k =                                                                     \
                key_##W(count == LANES_f32 ? vec_get_f32(d, at) : vec_part_f32(d, at, count));     \
                                                                                                   \
            if (count == LANES_f32) {                                                              \
                half_bits part[2];                                                                 \
                                                                                                   \
                memcpy(part, &k, sizeof(k));                                                       \
                UNROLLED for (int h = 0; h < 2; h++)                                               \
                {                                                                                  \
                    const bits_f64 wide = bits_wide(part[h]);                                      \
                                                                                                   \
                    memcpy(key + at + h * LANES_f64, &wide, sizeof(wide));                         \
                }                                                                                  \
            } else {                                                                               \
                memcpy(narrow, &k, sizeof(k));                                                     \
                for (int64_t i = 0; i < count; i++)                                                \
                    key[at + i] = narrow[i];                                                       \
            }                                                                                      \
        }                                                                                          \
    }
STEPS_KEYS(bf16)
STEPS_KEYS(f16)
STEPS_KEYS(f32)
#undef STEPS_KEYS

static void keys_f64(uint64_t *key, const void *d, int64_t n)
{
    for (int64_t at = 0; at < n; at += LANES_f64) {
        const int64_t count = n - at < LANES_f64 ? n - at : LANES_f64;
        const bits_f64 k =
            key_f64(count == LANES_f64 ? vec_get_f64(d, at) : vec_part_f64(d, at, count));

        memcpy(key + at, &k, (size_t)count * sizeof(*key));
    }
}

/* TOP + key, and below zero what that lacks to 2 * TOP - 1. */
#define STEPS_RANKS(W, K, top)                                                                     \
    STEPS_LANE bits_##K rank_##W(vec_##K x)                                                        \
    {                                                                                              \
        const truth_##K below = ((truth_##K)x < 0) & (x == x);                                     \
                                                                                                   \
        return (key_##W(x) + (top)) ^ ((bits_##K)below & (((top)-1) * 2 + 1));                     \
    }                                                                                              \
    static void ranks_##W(void *key, const void *d, int64_t n)                                     \
    {                                                                                              \
        UNARY_LOOP(K, key, d, n, (vec_##K)rank_##W(u))                                             \
    }
STEPS_RANKS(bf16, f32, 0x8000u)
STEPS_RANKS(f16, f32, 0x8000u)
STEPS_RANKS(f32, f32, 0x80000000u)
STEPS_RANKS(f64, f64, 0x8000000000000000u)
#undef STEPS_RANKS

/* ---- the table ---------------------------------------------------------------------------------
 */

#define STEPS_ALL(W, K)                                                                            \
    STEPS_ARITHMETIC(W, K)                                                                         \
    STEPS_COMPARISONS(W, K)
STEPS_ALL(bf16, f32)
STEPS_ALL(f16, f32)
STEPS_ALL(f32, f32)
STEPS_ALL(f64, f64)

#define STEPS_ROW(W, K)                                                                            \
    {                                                                                              \
        .work = DTYPE_##W, .size = sizeof(num_##K), .scalar = scalar_##W, .sub = sub_##W,          \
        .add = add_##W, .mul = mul_##W, .div = div_##W, .scale = scale_##W, .over = over_##W,      \
        .plus = plus_##W, .from = from_##W, .recip = recip_##W, .abs = abs_##W,                    \
        .at_least = at_least_##W, .clamp = clamp_##W, .blend = blend_##W,                          \
        .scale_add = scale_add_##W, .agree = agree_##W, .mask = mask_##W, .keys = keys_##W,        \
        .ranks = ranks_##W, .beyond = beyond_##K, .reaches = reaches_##K, .numbers = numbers_##K   \
    }
#define STEPS_TABLE                                                                                \
    {                                                                                              \
        STEPS_ROW(bf16, f32), STEPS_ROW(f16, f32), STEPS_ROW(f32, f32), STEPS_ROW(f64, f64)        \
    }

/* The wide tables, where CPU_X86. */
extern const struct steps steps_avx2[], steps_avx512[];

#endif
