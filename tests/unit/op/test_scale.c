#include "test.h"

#include "op/run.h"

#include "kernel/half.h"

#include <math.h>

static const double gains[] = {0.0,  -0.0,  1.0,   -1.0, 1.5,   2.5,   0.1,          0.3,
                               1e-3, 1e-40, 1e-30, 1e30, -1e30, 65536, 0x1.000001p0, 0x1.fffffep-1};

/* Every f16 or bf16 there is, one row of 256 for each upper byte. */
static const void *all16(void)
{
    static uint16_t x[65536];

    for (uint32_t i = 0; i < 65536; i++)
        x[i] = (uint16_t)i;
    return x;
}

static float get(enum dtype dtype, uint16_t h)
{
    return dtype == DTYPE_f16 ? f16_get(h) : bf16_get(h);
}

static uint16_t put(enum dtype dtype, float x)
{
    return dtype == DTYPE_f16 ? f16_put(x) : bf16_put(x);
}

/* One element by the definition: rows of one, so that an error is that element's alone. */
static void scale_each(enum dtype dtype, double gain)
{
    struct run r = {.op = op_find("scale"), .nin = 1, .in = {run_tensor(dtype, 1, 1)}};
    const uint16_t *x = all16();

    r.arg[0].f64 = gain;
    for (uint32_t i = 0; i < 65536; i++) {
        const float product = get(dtype, x[i]) * (float)gain;
        const uint16_t want = put(dtype, product);
        const bool fails = isfinite(get(dtype, x[i])) && !isfinite(get(dtype, want));
        uint16_t got;

        r.data[0] = &x[i];
        CHECK(run_infer(&r));
        if (run_whole(&r) == fails)
            CHECK_IN(false, "%s %04x * %g fails wrongly or not", dtype_name(dtype), i, gain);
        memcpy(&got, r.out, 2);
        if (!fails && got != want)
            CHECK_IN(false, "%s %04x * %g is %04x, not %04x", dtype_name(dtype), i, gain, got,
                     want);
    }
    run_free(&r);
}

/* If scale rounded twice (gain to bf16, say, or through f64), some of the 65,536 values of both
 * 16-bit types would differ under some gain. */
TEST(scale_rounds_once)
{
    for (size_t g = 0; g < countof(gains); g++) {
        scale_each(DTYPE_bf16, gains[g]);
        scale_each(DTYPE_f16, gains[g]);
    }
}

/* If the gain stayed f64, products of f32 would round differently. */
TEST(scale_rounds_the_gain_to_f32)
{
    void *x = run_random(5, 5000, DTYPE_f32);
    struct run r = {.op = op_find("scale"), .nin = 1, .in = {run_tensor(DTYPE_f32, 5, 1000)}};

    r.data[0] = x;
    r.arg[0].f64 = 0.1;
    CHECK(run_infer(&r) && run_split(&r, 7));
    for (int64_t i = 0; i < 5000; i++) {
        float in, out;

        memcpy(&in, (const uint8_t *)x + 4 * i, 4);
        memcpy(&out, r.out + 4 * i, 4);
        CHECK(f32_bits(out) == f32_bits(in * 0.1f));
    }
    run_free(&r);
    mem_free(x);
}

/* The first offender is named, not one further on, wherever ranges begin. */
TEST(scale_names_the_first_overflow)
{
    static float x[3][2000];
    struct run r = {.op = op_find("scale"), .nin = 1, .in = {run_tensor(DTYPE_f32, 3, 2000)}};

    r.data[0] = x;
    r.arg[0].f64 = 1e30;
    x[0][5] = INFINITY; /* passes: it was not finite before */
    x[1][3] = NAN;
    x[1][1777] = 1e10f;
    x[2][0] = 1e10f;
    for (int64_t split = 1; split < 10000; split = split * 3 + 1) {
        CHECK(run_infer(&r) && !run_split(&r, split));
        CHECK_IN(strstr(r.err.text, "infinity") && strstr(r.err.text, "row 1, column 1777"), "%s",
                 r.err.text);
    }
    x[1][1777] = x[2][0] = 0;
    CHECK(run_split(&r, 100));
    run_free(&r);
}

/* -0.0 and 1 + 1e-12 are other gains than 1 only where f32 sees it. */
TEST(scale_by_one_is_its_input)
{
    static const struct {
        double gain;
        bool same;
    } cases[] = {
        {1.0, true}, {1.0 + 1e-12, true}, {1.0 + 1e-6, false}, {-1.0, false}, {0.0, false}};
    struct run r = {.op = op_find("scale"), .nin = 1, .in = {run_tensor(DTYPE_bf16, 1, 1)}};

    for (size_t i = 0; i < countof(cases); i++) {
        r.arg[0].f64 = cases[i].gain;
        CHECK(run_infer(&r) && r.op->identity(&r.call) == cases[i].same);
    }
}

/* If f64 went through f32 anywhere, the last bits of these would differ. */
TEST(scale_of_f64_is_f64)
{
    static const double x[4] = {0x1.fffffffffffffp0, -1e300, 0x1p-1074, 3.0};
    struct run r = {.op = op_find("scale"), .nin = 1, .in = {run_tensor(DTYPE_f64, 1, 4)}};
    double y[4];

    r.data[0] = x;
    r.arg[0].f64 = 1.0 + 0x1p-40;
    CHECK(run_infer(&r) && !r.op->identity(&r.call) && run_whole(&r));
    memcpy(y, r.out, sizeof(y));
    for (int i = 0; i < 4; i++)
        CHECK(y[i] == x[i] * (1.0 + 0x1p-40));
    r.arg[0].f64 = 1e30;
    CHECK(run_infer(&r) && !run_whole(&r) && strstr(r.err.text, "column 1"));
    r.arg[0].f64 = 1;
    CHECK(run_infer(&r) && r.op->identity(&r.call));
    run_free(&r);
}

TEST(scale_takes_no_other_type)
{
    struct run r = {.op = op_find("scale"), .nin = 1};

    for (int d = 0; d < DTYPE_COUNT; d++) {
        r.in[0] = run_tensor((enum dtype)d, 2, 256);
        CHECK(run_infer(&r) == dtype_is_float((enum dtype)d));
    }
    r.in[0] = run_tensor(DTYPE_q4_k, 2, 256);
    CHECK(!run_infer(&r) && r.err.code == ERR_TYPE && strstr(r.err.text, "q4_k"));
}

TEST_MAIN(RUN(scale_rounds_once) RUN(scale_rounds_the_gain_to_f32)
              RUN(scale_names_the_first_overflow) RUN(scale_by_one_is_its_input)
                  RUN(scale_of_f64_is_f64) RUN(scale_takes_no_other_type))
