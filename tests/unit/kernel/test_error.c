#include "test.h"

#include <math.h>

#include "kernel/error.h"
#include "kernel/reduce.h"
#include "kernel/rowmap.h"

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-13 * fabs(b);
}

/* If false: the figures are not those of the definition (qm 22). By hand. */
TEST(sums_are_those_of_the_definition)
{
    const double x[] = {1, 2, -3}, y[] = {1, 2.5, -1}, w[] = {1, 4, 0.5};
    struct error_sums s;

    error_tile(x, y, NULL, 3, 100, &s);
    CHECK(s.e == 0.25 + 4 && s.w == 3 && s.x == 14 && s.max == 2 && s.max_at == 102);
    CHECK(error_rmse(&s) == sqrt(4.25 / 3) && s.skipped == 0);
    error_tile(x, y, w, 3, 0, &s);
    CHECK(s.e == 1 + 2 && s.w == 5.5 && s.x == 1 + 16 + 4.5 && s.max == 2 && s.max_at == 2);
}

/* If false: the order of the sum is not the one of DESIGN section 2, so that two programs of one
 * definition would differ. Written out with lanes by hand. */
TEST(sums_are_in_the_order_of_the_eight_lanes)
{
    enum { N = 1003 };
    static double x[N], y[N], w[N];
    double e[8] = {0}, ww[8] = {0};
    struct error_sums s;

    for (int i = 0; i < N; i++) {
        x[i] = 0.1 * (i % 97) - 3.3;
        y[i] = x[i] + 1e-3 * (i % 31) / 7;
        w[i] = 0.25 + (i % 13) / 3.0;
        e[i % 8] += w[i] * ((x[i] - y[i]) * (x[i] - y[i]));
        ww[i % 8] += w[i];
    }
    error_tile(x, y, w, N, 0, &s);
    CHECK(s.e == ((e[0] + e[4]) + (e[2] + e[6])) + ((e[1] + e[5]) + (e[3] + e[7])));
    CHECK(s.w == ((ww[0] + ww[4]) + (ww[2] + ww[6])) + ((ww[1] + ww[5]) + (ww[3] + ww[7])));
}

/* If false: one NaN would make the error of a whole model NaN. */
TEST(values_that_are_not_finite_are_counted_apart)
{
    const double x[] = {1, (double)NAN, (double)INFINITY, 4};
    const double y[] = {2, 7, (double)INFINITY, (double)NAN};
    struct error_sums s;

    error_tile(x, y, NULL, 4, 0, &s);
    CHECK(s.e == 1 && s.w == 1 && s.x == 1 && s.max == 1 && s.max_at == 0 && s.skipped == 3);
}

/* If false: of equal gaps another than the first would be named, or tiles would not add up. */
TEST(tiles_join_in_order)
{
    const double x[] = {0, 5}, y[] = {2, 3}, more[] = {-2, 9};
    struct error_sums a, b, sum = ERROR_NONE;

    error_tile(x, y, NULL, 2, 0, &a);
    error_tile(more, y, NULL, 2, 2, &b);
    CHECK(sum.max_at == -1 && error_rmse(&sum) == 0);
    error_add(&sum, &a);
    CHECK(sum.max == 2 && sum.max_at == 0);
    error_add(&sum, &b);
    CHECK(sum.e == 8 + 16 + 36 && sum.w == 4 && sum.x == 25 + 85 && sum.max == 6);
    CHECK(sum.max_at == 3);
    error_add(&sum, &b);
    CHECK(sum.max_at == 3); /* an equal gap later */
}

/* If false: tensors with and without an imatrix would not add up, since weights have mean 1; or a
 * matrix that nothing reached would have no error at all. */
TEST(weights_have_the_mean_one)
{
    const float v[] = {1, 2, 3, 6}, zero[] = {0, 0, 0};
    double w[4], sum = 0;

    error_weights(v, 4, w);
    for (int i = 0; i < 4; i++) {
        CHECK(w[i] == (double)v[i] / 3);
        sum += w[i];
    }
    CHECK(near(sum, 4));
    error_weights(zero, 3, w);
    CHECK(w[0] == 1 && w[1] == 1 && w[2] == 1);
}

/* If false: the weights of very wide matrices would not be those of all their columns. */
TEST(weights_of_more_columns_than_a_tile)
{
    enum { N = REDUCE_TILE + 5 };
    static float v[N];
    static double w[N];

    for (int i = 0; i < N; i++)
        v[i] = i < REDUCE_TILE ? 1.0f : 3.0f;
    error_weights(v, N, w);
    CHECK(w[0] == 1 / ((REDUCE_TILE + 15.0) / N) && w[N - 1] == 3 / ((REDUCE_TILE + 15.0) / N));
}

/* If false: the row that is read is not the one that the map moves there. */
TEST(rowmap_from_names_the_row_that_moves)
{
    const enum rowmap_kind kinds[] = {ROWMAP_NONE, ROWMAP_TO_GGUF, ROWMAP_TO_HF};

    for (size_t k = 0; k < 3; k++) {
        const struct rowmap map = {kinds[k], kinds[k] == ROWMAP_NONE ? 0 : 6};
        int from[24], to[24];

        for (int i = 0; i < 24; i++)
            from[i] = i;
        rowmap_apply(map, from, to, 24, sizeof(int));
        for (int i = 0; i < 24; i++)
            CHECK_IN(rowmap_from(map, i) == to[i], "kind %zu, row %d", k, i);
    }
}

TEST_MAIN(RUN(sums_are_those_of_the_definition) RUN(sums_are_in_the_order_of_the_eight_lanes)
              RUN(values_that_are_not_finite_are_counted_apart) RUN(tiles_join_in_order)
                  RUN(weights_have_the_mean_one) RUN(weights_of_more_columns_than_a_tile)
                      RUN(rowmap_from_names_the_row_that_moves))
