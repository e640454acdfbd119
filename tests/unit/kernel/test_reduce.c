/* test_reduce.c - the order of sums inside a tile */
#include "kernel/reduce.h"

#include "test.h"

#include <math.h>

static float a[REDUCE_TILE], b[REDUCE_TILE];

static void fill(uint32_t seed)
{
    for (int i = 0; i < REDUCE_TILE; i++) {
        seed = seed * 1664525 + 1013904223;
        a[i] = ((float)(seed >> 8) * 0x1p-24f - 0.5f) * ldexpf(1.0f, (int)(seed % 40) - 20);
        seed = seed * 1664525 + 1013904223;
        b[i] = ((float)(seed >> 8) * 0x1p-24f - 0.5f) * ldexpf(1.0f, (int)(seed % 40) - 20);
    }
}

/* The rule as the design words it, over terms that are there already. */
static double by_the_rule(const double *term, int n)
{
    double l[8] = {0};

    for (int lane = 0; lane < 8; lane++)
        for (int i = lane; i < n; i += 8)
            l[lane] += term[i];
    return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]));
}

/* False if a sum of a tile of any length is not, bit for bit, that of the eight lanes. */
TEST(tiles_sum_in_eight_lanes)
{
    static double term[REDUCE_TILE];
    static const int lengths[] = {0, 1, 3, 7, 8, 9, 15, 16, 17, 1000, 65535, REDUCE_TILE};
    const float na = 3.7f, nb = 0.3f;

    for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
        const int n = lengths[k];

        fill((uint32_t)k);
        for (int i = 0; i < n; i++)
            term[i] = (double)a[i] * (double)a[i];
        CHECK_IN(reduce_squares(a, n) == by_the_rule(term, n), "%d", n);
        for (int i = 0; i < n; i++) {
            volatile float u = a[i] / na, v = b[i] / nb, p = u * v;

            term[i] = (double)p;
        }
        CHECK_IN(reduce_unit_products(a, na, b, nb, n) == by_the_rule(term, n), "%d", n);
    }
}

/* False if the test above could not tell lanes from one long sum. */
TEST(the_order_shows_in_the_bits)
{
    double serial = 0;

    fill(1);
    for (int i = 0; i < REDUCE_TILE; i++)
        serial += (double)a[i] * (double)a[i];
    CHECK(serial != reduce_squares(a, REDUCE_TILE));
    CHECK(fabs(serial - reduce_squares(a, REDUCE_TILE)) < 1e-6 * serial);
}

/* False if an infinite or NaN element is lost in the sum. */
TEST(what_is_not_finite_stays_so)
{
    fill(1);
    a[12345] = INFINITY;
    CHECK(isinf(reduce_squares(a, REDUCE_TILE)));
    a[12345] = NAN;
    CHECK(isnan(reduce_squares(a, REDUCE_TILE)));
    CHECK(isnan(reduce_unit_products(a, 1.0f, b, 1.0f, REDUCE_TILE)));
}

TEST_MAIN(RUN(tiles_sum_in_eight_lanes) RUN(the_order_shows_in_the_bits)
              RUN(what_is_not_finite_stays_so))
