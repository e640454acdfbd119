/* reduce.c - sums over one tile, in eight lanes
 *
 * The lanes are two vectors of four f64 (GNU C), compiled for the base instruction set and for
 * AVX2: the same additions in the same order, more of them at a time. */
#include "kernel/reduce.h"

#include "base/exact.h"
#include "kernel/cpu.h"

enum { HALF = 4, LANES = 8 };

typedef double f64x4 __attribute__((vector_size(32)));
typedef float f32x4 __attribute__((vector_size(16), aligned(4), may_alias));

#define BODY static inline __attribute__((always_inline))
#define GET(x) (*(const f32x4 *)(const void *)(x))
#define WIDEN(v) __builtin_convertvector(v, f64x4)

/* The numbers from I on, fewer than eight, each into its lane. */
#define FINISH(lane, n, i, TERM)                                                                   \
    do {                                                                                           \
        for (int l = 0; (i) + l < (n); l++)                                                        \
            (lane)[l / HALF][l % HALF] += TERM((i) + l);                                           \
    } while (0)

/* (Vectors are no arguments: their convention differs with the instruction set.) */
BODY double combine(const f64x4 *lane)
{
    const f64x4 a = lane[0], b = lane[1];

    return ((a[0] + b[0]) + (a[2] + b[2])) + ((a[1] + b[1]) + (a[3] + b[3]));
}

BODY double squares_body(const float *a, int64_t n)
{
    f64x4 lane[2] = {{0}, {0}};
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        const f64x4 x = WIDEN(GET(a + i)), y = WIDEN(GET(a + i + HALF));

        lane[0] += x * x;
        lane[1] += y * y;
    }
#define TERM(k) ((double)a[k] * (double)a[k])
    FINISH(lane, n, i, TERM);
#undef TERM
    return combine(lane);
}

BODY double units_body(const float *a, float na, const float *b, float nb, int64_t n)
{
    f64x4 lane[2] = {{0}, {0}};
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        lane[0] += WIDEN((GET(a + i) / na) * (GET(b + i) / nb));
        lane[1] += WIDEN((GET(a + i + HALF) / na) * (GET(b + i + HALF) / nb));
    }
#define TERM(k) ((double)((a[k] / na) * (b[k] / nb)))
    FINISH(lane, n, i, TERM);
#undef TERM
    return combine(lane);
}

/* reduce_NAME as the CPU has it: the body compiled for AVX2 where it runs. */
#if CPU_X86
#define WIDE(name, body, params, args)                                                             \
    __attribute__((target("avx2"))) static double body##_wide params                               \
    {                                                                                              \
        return body##_body args;                                                                   \
    }                                                                                              \
    double reduce_##name params                                                                    \
    {                                                                                              \
        return cpu_has_avx2() ? body##_wide args : body##_body args;                               \
    }
#else
#define WIDE(name, body, params, args)                                                             \
    double reduce_##name params                                                                    \
    {                                                                                              \
        return body##_body args;                                                                   \
    }
#endif

WIDE(squares, squares, (const float *a, int64_t n), (a, n))
WIDE(unit_products, units, (const float *a, float na, const float *b, float nb, int64_t n),
     (a, na, b, nb, n))
