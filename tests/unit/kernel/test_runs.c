#include "kernel/vector.h"

#include "base/exact.h"
#include "kernel/half.h"

#include "test.h"

#include <math.h>

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
    float a[N + 3], b[N + 3], y[N + 3];

    for (int64_t n = 0; n <= N; n++) {
        const int64_t off = n % 3;
        const float ka = any(), kc = any();

        for (int i = 0; i < N + 3; i++) {
            a[i] = any();
            b[i] = any();
            y[i] = any();
        }
        const float after = y[off + n];

        vector_scale(y + off, a + off, ka, n);
        for (int64_t i = off; i < off + n; i++)
            CHECK(same(y[i], a[i] * ka));
        vector_blend(y + off, ka, a + off, kc, b + off, n);
        for (int64_t i = off; i < off + n; i++)
            CHECK(same(y[i], (float)(ka * a[i]) + (float)(kc * b[i])));
        CHECK(same(y[off + n], after)); /* nothing behind the run is touched */
    }
}

TEST_MAIN(RUN(each_element_is_computed_alone))
