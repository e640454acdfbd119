/* test_exact.c - that the arithmetic of this build is the one that bytes depend on
 *
 * Every CHECK here fails under -ffp-contract=fast on a machine with FMA, -ffast-math, with
 * subnormals flushed to zero, or where gcc 12 vectorizes straight code (-ftree-slp-vectorize). The
 * values are volatile where the compiler could fold them. */
#include "kernel/search.h"

#include "test.h"

#include <fenv.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

__attribute__((noinline)) static float multiply_add(float a, float b, float c)
{
    return a * b + c;
}

__attribute__((noinline)) static double multiply_add_wide(double a, double b, double c)
{
    return a * b + c;
}

/* False if a product is not rounded before it is added. */
TEST(products_round_before_sums)
{
    volatile float x = 1.0f + 0x1p-12f;
    volatile double y = 1.0 + 0x1p-27;
    const float column[8] = {x}, ones[8] = {1.0f};
    float w[8];

    CHECK(multiply_add(x, x, -(1.0f + 0x1p-11f)) == 0.0f);
    CHECK(multiply_add_wide(y, y, -(1.0 + 0x1p-26)) == 0.0);
    /* The library's own code, not this file's: the root of x^2 - (1 + 2^-11). */
    search_weights(8, column, ones, -(1.0f + 0x1p-11f), w);
    CHECK(w[0] == 0.0f);
}

/* False if sums are reordered, as fast-math lets compilers do. */
TEST(sums_keep_their_order)
{
    const float x[16] = {0x1p24f, 1, 1, 1, 1, 1, 1, 1, -0x1p24f};

    CHECK(search_sum(16, x) == 0.0f);
}

/* False if fast-math assumed that there are no NaN, infinities or signed zeros, or that x / y
 * is x times 1 / y. */
TEST(special_values_are_kept)
{
    volatile float zero = 0.0f, three = 3.0f, huge = 3e38f, ten = 10.0f;
    const float inf = huge * ten, nan = inf - inf;

    CHECK(nan != nan && !(nan > zero) && !(nan <= zero));
    CHECK(inf > huge && f32_bits(inf) == 0x7f800000);
    CHECK(f32_bits(-zero) == 0x80000000 && f32_bits(-zero + zero) == 0);
    CHECK(f32_bits(1.0f / three) == 0x3eaaaaab && f32_bits(ten / three) == 0x40555555);
}

/* False if subnormals are flushed, as inputs or as results. */
TEST(subnormals_live)
{
    volatile float small = 0x1p-126f, half = 0.5f, least = 0x1p-149f, large = 0x1p126f;
    volatile double small_wide = 0x1p-1022, half_wide = 0.5;

    CHECK(small * half == 0x1p-127f && f32_bits(small * half) == 0x00400000);
    CHECK(least * large == 0x1p-23f);
    CHECK(small_wide * half_wide != 0.0);
#if defined(__SSE__)
    CHECK((_mm_getcsr() & 0x8040) == 0);
#endif
}

TEST(rounding_is_to_nearest)
{
    volatile float one = 1.0f, tie = 0x1p-24f, more = 0x1.8p-24f;

    CHECK(fegetround() == FE_TONEAREST);
    CHECK(one + tie == one && one + more == 1.0f + 0x1p-23f && one - more < one);
}

/* False if f32 is computed in wider registers (x87). */
TEST(floats_are_not_wider_than_they_say)
{
    volatile float a = 16777216.0f, b = 1.0f;

    CHECK((a + b) - a == 0.0f);
}

struct pair {
    double a, b;
};

__attribute__((noinline)) static struct pair single_pair(double a, double b)
{
    return (struct pair){(double)(float)a, (double)(float)b};
}

__attribute__((noinline)) static void single_both(const double *x, double *y)
{
    y[0] = (double)(float)x[0];
    y[1] = (double)(float)x[1];
}

/* As merges take their factors: 1 - t and t. */
__attribute__((noinline)) static struct pair single_parts(double t)
{
    return (struct pair){(double)(float)(1.0 - t), (double)(float)t};
}

/* False if two roundings to float that stand side by side are taken for none. */
TEST(doubles_round_to_float_side_by_side)
{
    volatile double tenth = 0.1, third = 1.0 / 3;
    const double x[2] = {tenth, third};
    double y[2];
    struct pair p = single_pair(tenth, third);

    CHECK(p.a == 0x1.99999ap-4 && p.b == 0x1.555556p-2);
    single_both(x, y);
    CHECK(y[0] == 0x1.99999ap-4 && y[1] == 0x1.555556p-2);
    p = single_parts(tenth);
    CHECK(p.a == 0x1.ccccccp-1 && p.b == 0x1.99999ap-4);
}

/* False if the integer trick, its wrapping, or the conversions that x86 defines for what does
 * not fit (specs/gguf-quant.md 3.0) came out otherwise. */
TEST(conversions_are_those_of_the_definition)
{
    volatile float huge = 3e38f, ten = 10.0f;
    const float inf = huge * ten, nan = inf - inf;

    CHECK(nearest_int(2.5f) == 2 && nearest_int(3.5f) == 4 && nearest_int(-2.5f) == -2);
    CHECK(nearest_int(4194304.0f) == -4194304 && nearest_int(-4194304.0f) == -4194304);
    CHECK(nearest_int(inf) == -4194304 && nearest_int(nan) == 0);
    CHECK(f32_to_i32(-1.9f) == -1 && f32_to_i32(1.9f) == 1 && f32_to_i32(0x1.fffffep30f) > 0);
    CHECK(f32_to_i32(0x1p31f) == INT32_MIN && f32_to_i32(inf) == INT32_MIN);
    CHECK(f32_to_i32(nan) == INT32_MIN && f32_to_i32(-0x1p31f) == INT32_MIN);
    for (int i = -300; i <= 300; i++) {
        const float x = (float)i * 0.25f;

        CHECK(f32_round_i32(x) == (int32_t)roundf(x));
        CHECK(f32_round_i32(nextafterf(x, 1e9f)) == (int32_t)roundf(nextafterf(x, 1e9f)));
        CHECK(f32_round_i32(nextafterf(x, -1e9f)) == (int32_t)roundf(nextafterf(x, -1e9f)));
    }
    CHECK(f32_round_i32(nan) == INT32_MIN && f32_round_i32(8388609.0f) == 8388609);
}

TEST_MAIN(RUN(products_round_before_sums) RUN(sums_keep_their_order) RUN(special_values_are_kept)
              RUN(subnormals_live) RUN(rounding_is_to_nearest)
                  RUN(floats_are_not_wider_than_they_say) RUN(doubles_round_to_float_side_by_side)
                      RUN(conversions_are_those_of_the_definition))
