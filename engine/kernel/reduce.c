/* reduce.c - sums over one tile, in eight lanes */
#include "kernel/reduce.h"

#include "base/exact.h"

enum { LANES = 8 };

static double combine(const double l[LANES])
{
    return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]));
}

/* LANE += TERM(i) for every i of the tile; TERM is an f64 expression in i. */
#define SUM_TILE(lane, n, TERM)                                                                    \
    do {                                                                                           \
        int64_t start = 0;                                                                         \
        for (; start + LANES <= (n); start += LANES)                                               \
            for (int l = 0; l < LANES; l++)                                                        \
                (lane)[l] += TERM(start + l);                                                      \
        for (int l = 0; start + l < (n); l++)                                                      \
            (lane)[l] += TERM(start + l);                                                          \
    } while (0)

double reduce_squares(const float *a, int64_t n)
{
    double lane[LANES] = {0};

#define TERM(i) ((double)a[i] * (double)a[i])
    SUM_TILE(lane, n, TERM);
#undef TERM
    return combine(lane);
}

double reduce_products(const float *a, const float *b, int64_t n)
{
    double lane[LANES] = {0};

#define TERM(i) ((double)a[i] * (double)b[i])
    SUM_TILE(lane, n, TERM);
#undef TERM
    return combine(lane);
}

double reduce_unit_products(const float *a, float na, const float *b, float nb, int64_t n)
{
    double lane[LANES] = {0};

#define TERM(i) ((double)((a[i] / na) * (b[i] / nb)))
    SUM_TILE(lane, n, TERM);
#undef TERM
    return combine(lane);
}
