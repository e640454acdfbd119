/* tally.c - sums in eight lanes, as wide as the CPU has them
 *
 * One body each, compiled for the base instruction set and for AVX2. Eight f64 lanes are two
 * vectors of four, or what the base set has instead. */
#include "kernel/tally.h"

#include "base/exact.h"
#include "kernel/cpu.h"

#include <math.h>
#include <string.h>

#define BODY static inline __attribute__((always_inline))

enum { HALF = TALLY_LANES / 2 };

typedef float four_f32 __attribute__((vector_size(16)));
typedef double four_f64 __attribute__((vector_size(32)));
typedef uint64_t four_u64 __attribute__((vector_size(32)));

static const uint64_t sign = (uint64_t)1 << 63;

/* Four terms from AT on, as f64. Vectors go by address: what passes them differs by CPU. */
BODY void load_f32(four_f64 *to, const void *from, int64_t at)
{
    four_f32 x;

    memcpy(&x, (const float *)from + at, sizeof(x));
    *to = __builtin_convertvector(x, four_f64);
}

BODY void load_f64(four_f64 *to, const void *from, int64_t at)
{
    memcpy(to, (const double *)from + at, sizeof(*to));
}

BODY double one_f32(const void *from, int64_t at)
{
    return (double)((const float *)from)[at];
}

BODY double one_f64(const void *from, int64_t at)
{
    return ((const double *)from)[at];
}

/* name_type_body: lane += TERM of a and b, whole eights and then the rest. */
#define LANES_BODY(name, type, TERM)                                                               \
    BODY void name##_##type##_body(double *lane, const void *a, const void *b, int64_t n)          \
    {                                                                                              \
        four_f64 low, high, x, y = {0};                                                            \
        int64_t at = 0;                                                                            \
                                                                                                   \
        memcpy(&low, lane, sizeof(low));                                                           \
        memcpy(&high, lane + HALF, sizeof(high));                                                  \
        for (; at + TALLY_LANES <= n; at += TALLY_LANES) {                                         \
            load_##type(&x, a, at);                                                                \
            load_##type(&y, b, at);                                                                \
            low += TERM;                                                                           \
            load_##type(&x, a, at + HALF);                                                         \
            load_##type(&y, b, at + HALF);                                                         \
            high += TERM;                                                                          \
        }                                                                                          \
        memcpy(lane, &low, sizeof(low));                                                           \
        memcpy(lane + HALF, &high, sizeof(high));                                                  \
        for (int l = 0; at < n; at++, l++)                                                         \
            lane[l] += rest_##name(one_##type(a, at), one_##type(b, at));                          \
    }

/* name_type_body: sum[i] += TERM of a[i]. */
#define COLUMNS_BODY(name, type, TERM)                                                             \
    BODY void name##_##type##_body(double *sum, const void *a, const void *b, int64_t n)           \
    {                                                                                              \
        four_f64 s, x;                                                                             \
        int64_t at = 0;                                                                            \
                                                                                                   \
        (void)b;                                                                                   \
        for (; at + HALF <= n; at += HALF) {                                                       \
            load_##type(&x, a, at);                                                                \
            memcpy(&s, sum + at, sizeof(s));                                                       \
            s += TERM;                                                                             \
            memcpy(sum + at, &s, sizeof(s));                                                       \
        }                                                                                          \
        for (; at < n; at++)                                                                       \
            sum[at] += rest_##name(one_##type(a, at), 0.0);                                        \
    }

BODY double rest_add(double x, double y)
{
    (void)y;
    return x;
}

BODY double rest_magnitudes(double x, double y)
{
    (void)y;
    return fabs(x);
}

BODY double rest_squares(double x, double y)
{
    (void)y;
    return x * x;
}

BODY double rest_products(double x, double y)
{
    return x * y;
}

#define rest_columns rest_add
#define rest_column_squares rest_squares

#if CPU_X86
#define WIDE(name, type)                                                                           \
    __attribute__((target("avx2"))) static void name##_##type##_wide(double *to, const void *a,    \
                                                                     const void *b, int64_t n)     \
    {                                                                                              \
        name##_##type##_body(to, a, b, n);                                                         \
    }                                                                                              \
    static void name##_##type(double *to, const void *a, const void *b, int64_t n)                 \
    {                                                                                              \
        if (cpu_has_avx2())                                                                        \
            name##_##type##_wide(to, a, b, n);                                                     \
        else                                                                                       \
            name##_##type##_body(to, a, b, n);                                                     \
    }
#else
#define WIDE(name, type)                                                                           \
    static void name##_##type(double *to, const void *a, const void *b, int64_t n)                 \
    {                                                                                              \
        name##_##type##_body(to, a, b, n);                                                         \
    }
#endif

#define BOTH(body, name, TERM)                                                                     \
    body(name, f32, TERM) body(name, f64, TERM) WIDE(name, f32) WIDE(name, f64)

BOTH(LANES_BODY, add, x)
BOTH(LANES_BODY, magnitudes, ((four_f64)((four_u64)x & ~sign)))
BOTH(LANES_BODY, squares, x *x)
BOTH(LANES_BODY, products, x *y)
BOTH(COLUMNS_BODY, columns, x)
BOTH(COLUMNS_BODY, column_squares, x *x)

void tally_add(struct tally *t, const void *a, uint32_t size, int64_t n)
{
    (size == 8 ? add_f64 : add_f32)(t->lane, a, a, n);
}

void tally_magnitudes(struct tally *t, const void *a, uint32_t size, int64_t n)
{
    (size == 8 ? magnitudes_f64 : magnitudes_f32)(t->lane, a, a, n);
}

void tally_squares(struct tally *t, const void *a, uint32_t size, int64_t n)
{
    (size == 8 ? squares_f64 : squares_f32)(t->lane, a, a, n);
}

void tally_products(struct tally *t, const void *a, const void *b, uint32_t size, int64_t n)
{
    (size == 8 ? products_f64 : products_f32)(t->lane, a, b, n);
}

double tally_end(const struct tally *t)
{
    const double *l = t->lane;

    return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]));
}

void tally_columns(double *sum, const void *a, uint32_t size, int64_t n)
{
    (size == 8 ? columns_f64 : columns_f32)(sum, a, a, n);
}

void tally_column_squares(double *sum, const void *a, uint32_t size, int64_t n)
{
    (size == 8 ? column_squares_f64 : column_squares_f32)(sum, a, a, n);
}
