#include "kernel/vector.h"

#include "base/exact.h"
#include "kernel/half.h"

#include "test.h"

#include <math.h>
#include <string.h>

enum { N = 83 };

static uint32_t seed = 1;

/* Any bits: NaN, infinities and subnormals, too. */
static float any(void)
{
    seed = seed * 1664525 + 1013904223;
    return f32_from_bits(seed ^ seed >> 13);
}

static bool same(float a, float b)
{
    return (isnan(a) && isnan(b)) || f32_bits(a) == f32_bits(b);
}

/* If it failed, a merge would depend on where in a tile an element lies. */
TEST(each_element_is_computed_alone)
{
    float a[N + 3], b[N + 3], y[N + 3], acc[N + 3];

    for (int64_t n = 0; n <= N; n++) {
        const int64_t off = n % 3;
        const float ka = any(), kc = any();

        for (int i = 0; i < N + 3; i++) {
            a[i] = any();
            b[i] = any();
            y[i] = acc[i] = any();
        }
        const float after = y[off + n];

        vector_scale(y + off, a + off, ka, n);
        for (int64_t i = off; i < off + n; i++)
            CHECK(same(y[i], a[i] * ka));
        vector_blend(y + off, ka, a + off, kc, b + off, n);
        for (int64_t i = off; i < off + n; i++)
            CHECK(same(y[i], (float)(ka * a[i]) + (float)(kc * b[i])));
        vector_divide(y + off, kc, n);
        for (int64_t i = off; i < off + n; i++)
            CHECK(same(y[i], ((float)(ka * a[i]) + (float)(kc * b[i])) / kc));
        memcpy(y + off, acc + off, (size_t)n * sizeof(*y));
        vector_fma(y + off, a + off, ka, n);
        for (int64_t i = off; i < off + n; i++)
            CHECK(same(y[i], fmaf(a[i], ka, acc[i])));
        CHECK(same(y[off + n], after)); /* nothing behind the run is touched */
    }
}

/* If it failed, merges of f64 would round twice somewhere. */
TEST(f64_is_fused_too)
{
    double x[N], y[N], acc[N];

    for (int64_t n = 0; n <= N; n++) {
        for (int i = 0; i < N; i++) {
            x[i] = (double)(int32_t)f32_bits(any()) / 3;
            y[i] = acc[i] = (double)(int32_t)f32_bits(any()) / 7;
        }
        vector_fma_f64(y, x, 1.0 / 3, n);
        for (int64_t i = 0; i < n; i++)
            CHECK(y[i] == fma(x[i], 1.0 / 3, acc[i]));
    }
}

/* If it failed, an overflow in one place of a row would go unseen. */
TEST(one_element_that_reaches_is_found)
{
    float x[N];

    for (int64_t n = 1; n <= N; n++)
        for (int64_t at = 0; at < n; at++) {
            for (int i = 0; i < N; i++)
                x[i] = i % 2 ? -65519.0f : 65519.0f;
            CHECK(!vector_reaches(x, f32_bits(65520.0f), n));
            x[at] = at % 2 ? 65520.0f : -65520.0f;
            CHECK(vector_reaches(x, f32_bits(65520.0f), n));
            CHECK(!vector_reaches(x, 0x7f800000, n));
            x[at] = at % 2 ? INFINITY : -NAN;
            CHECK(vector_reaches(x, 0x7f800000, n));
            CHECK(!vector_reaches(x, f32_bits(65520.0f), at));
        }
}

TEST_MAIN(RUN(each_element_is_computed_alone) RUN(f64_is_fused_too)
              RUN(one_element_that_reaches_is_found))
