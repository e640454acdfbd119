#include "test.h"

#include "base/sum.h"
#include "kernel/philox.h"
#include "kernel/reduce.h"
#include "kernel/tally.h"

#include <math.h>

enum { N = 4099 };

static float a[N], b[N];
static double wide_a[N], wide_b[N];

static void fill(void)
{
    for (int i = 0; i < N; i++) {
        uint32_t word[4][PHILOX_LANES];

        philox_lanes(3, (uint64_t)i, word);
        a[i] = (float)(int32_t)word[0][0] * 0x1p-20f;
        b[i] = (float)(int32_t)word[1][0] * 0x1p-37f;
        wide_a[i] = (double)a[i] + 0x1p-40;
        wide_b[i] = (double)b[i] - 0x1p-50;
    }
}

/* Of exact products, as kernel/reduce.h words it. */
static double in_lanes(const float *u, const float *v, int64_t n)
{
    struct tally t = {0};

    for (int64_t i = 0; i < n; i++)
        t.lane[i % TALLY_LANES] += (double)u[i] * (double)v[i];
    return tally_end(&t);
}

/* The order is that of kernel/reduce.h, wherever the tile is cut: else an op's sums would depend
 * on its chunks. */
TEST(parts_give_what_the_whole_gives)
{
    static const int64_t lengths[] = {0, 1, 7, 8, 9, 31, 1024, N}, steps[] = {8, 24, 1024, 8192};

    fill();
    for (size_t i = 0; i < countof(lengths); i++) {
        const int64_t n = lengths[i];

        for (size_t k = 0; k < countof(steps); k++) {
            struct tally squares = {0}, products = {0}, magnitudes = {0}, want = {0};

            for (int64_t at = 0; at < n; at += steps[k]) {
                const int64_t count = min_i64(steps[k], n - at);

                tally_squares(&squares, a + at, 4, count);
                tally_products(&products, a + at, b + at, 4, count);
                tally_magnitudes(&magnitudes, a + at, 4, count);
            }
            for (int64_t m = 0; m < n; m++)
                want.lane[m % 8] += fabs((double)a[m]);
            CHECK(tally_end(&magnitudes) == tally_end(&want));
            CHECK(tally_end(&squares) == reduce_squares(a, n));
            CHECK(tally_end(&products) == in_lanes(a, b, n));
        }
    }
}

/* Doubles go to the same lanes, each product rounded once. */
TEST(doubles_are_summed_in_lanes)
{
    for (int64_t n = 0; n < 40; n++) {
        struct tally sum = {0}, squares = {0}, products = {0}, want = {0}, want_squares = {0},
                     want_products = {0}, magnitudes = {0}, want_magnitudes = {0};

        for (int64_t i = 0; i < n; i++) {
            want.lane[i % 8] += wide_a[i];
            want_magnitudes.lane[i % 8] += fabs(wide_a[i]);
            want_squares.lane[i % 8] += wide_a[i] * wide_a[i];
            want_products.lane[i % 8] += wide_a[i] * wide_b[i];
        }
        tally_add(&sum, wide_a, 8, n);
        tally_magnitudes(&magnitudes, wide_a, 8, n);
        tally_squares(&squares, wide_a, 8, n);
        tally_products(&products, wide_a, wide_b, 8, n);
        CHECK(memcmp(&sum, &want, sizeof(sum)) == 0);
        CHECK(memcmp(&magnitudes, &want_magnitudes, sizeof(magnitudes)) == 0);
        CHECK(memcmp(&squares, &want_squares, sizeof(squares)) == 0);
        CHECK(memcmp(&products, &want_products, sizeof(products)) == 0);
        CHECK(tally_end(&want) ==
              ((want.lane[0] + want.lane[4]) + (want.lane[2] + want.lane[6])) +
                  ((want.lane[1] + want.lane[5]) + (want.lane[3] + want.lane[7])));
    }
}

/* Columns are summed as if each were alone. */
TEST(columns_are_sums_of_their_own)
{
    double sum[40], squares[40], wide[40];

    for (int64_t n = 0; n <= 40; n++) {
        for (int i = 0; i < 40; i++)
            sum[i] = squares[i] = wide[i] = wide_b[i];
        tally_columns(sum, a, 4, n);
        tally_column_squares(squares, a, 4, n);
        tally_column_squares(wide, wide_a, 8, n);
        for (int i = 0; i < 40; i++) {
            const double x = (double)a[i];

            CHECK(sum[i] == (i < n ? wide_b[i] + x : wide_b[i]));
            CHECK(squares[i] == (i < n ? wide_b[i] + x * x : wide_b[i]));
            CHECK(wide[i] == (i < n ? wide_b[i] + wide_a[i] * wide_a[i] : wide_b[i]));
        }
    }
}

TEST_MAIN(RUN(parts_give_what_the_whole_gives) RUN(doubles_are_summed_in_lanes)
              RUN(columns_are_sums_of_their_own))
