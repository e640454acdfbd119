#include "test.h"

#include "op/run.h"

#include "kernel/half.h"

#include <float.h>
#include <math.h>

static const enum dtype floats[] = {DTYPE_f32, DTYPE_f16, DTYPE_bf16, DTYPE_f64};

/* A value of each dtype exactly, and of f64 the one value there is. */
static double value(enum dtype dtype, const void *at)
{
    double x;

    decode_f64(dtype, at, &x, 1);
    return x;
}

/* Nearest, ties to even, by comparing the two neighbours: nothing of the code under test. */
static double nearest16(enum dtype dtype, double x)
{
    const double size = fabs(x);
    const uint16_t top = dtype == DTYPE_f16 ? 0x7c00 : 0x7f80;
    uint16_t low = 0, high = top;
    double a, b;

    while (high - low > 1) { /* the largest that is <= |x| */
        const uint16_t mid = (uint16_t)((low + high) / 2);

        if (value(dtype, &mid) <= size)
            low = mid;
        else
            high = mid;
    }
    a = value(dtype, &low);
    b = high == top ? (dtype == DTYPE_f16 ? 65536.0 : 0x1p128) : value(dtype, &high);
    if (size - a > b - size || (size - a == b - size && low % 2 == 1)) /* both sides exact in f64 */
        a = high == top ? (double)INFINITY : b;
    return copysign(a, x);
}

static void cast_one(enum dtype from, enum dtype to, const void *x)
{
    struct run r = {.op = op_find("cast"), .nin = 1, .in = {run_tensor(from, 1, 1)}, .data = {x}};
    const double in = value(from, x);
    double want = in, got;

    r.arg[0].dtype = to;
    CHECK(run_infer(&r));
    if (to == DTYPE_f32)
        want = (double)(float)in;
    if (to == DTYPE_f16 || to == DTYPE_bf16)
        want = isfinite(in) ? nearest16(to, in) : in;
    if (isfinite(in) && !isfinite(want)) {
        CHECK_IN(!run_whole(&r), "%s %a to %s overflows", dtype_name(from), in, dtype_name(to));
        CHECK(strstr(r.err.text, "row 0, column 0") && strstr(r.err.text, dtype_name(to)));
    } else {
        CHECK(run_whole(&r));
        got = value(to, r.out);
        CHECK_IN(isnan(want) ? isnan(got) : got == want && signbit(got) == signbit(want),
                 "%s %a to %s: %a, not %a", dtype_name(from), in, dtype_name(to), got, want);
    }
    run_free(&r);
}

/* If a cast went through a third type, or truncated, some value near a tie would tell. */
TEST(cast_rounds_once)
{
    for (size_t to = 0; to < countof(floats); to++) {
        for (uint32_t i = 0; i < 65536; i += 7) {
            const uint16_t h = (uint16_t)i;

            cast_one(DTYPE_f16, floats[to], &h);
            cast_one(DTYPE_bf16, floats[to], &h);
        }
        for (int e = -160; e < 140; e++)
            for (int k = 0; k < 16; k++) {
                /* Ties of f16, of bf16 and of f32, and the f64 beside them. */
                static const double tails[] = {0,       0x1p-8,  0x1p-11, 0x1p-24,
                                               0x3p-11, 0x3p-24, 0x3p-8,  0x1p-9};
                double d = ldexp(1.0 + tails[k % 8], e) * (k & 8 ? -1 : 1);
                float f = (float)d;

                cast_one(DTYPE_f64, floats[to], &d);
                if (isfinite(f))
                    cast_one(DTYPE_f32, floats[to], &f);
                d = nextafter(d, 0);
                cast_one(DTYPE_f64, floats[to], &d);
                d = nextafter(nextafter(d, INFINITY), INFINITY);
                cast_one(DTYPE_f64, floats[to], &d);
            }
    }
}

/* A source that is not finite already passes; the engine warns of it. */
TEST(cast_passes_what_was_not_finite)
{
    static const float x[4] = {INFINITY, -INFINITY, NAN, 1.0f};

    for (size_t to = 0; to < countof(floats); to++) {
        struct run r = {.op = op_find("cast"), .nin = 1, .in = {run_tensor(DTYPE_f32, 2, 2)}};

        r.data[0] = x;
        r.arg[0].dtype = floats[to];
        CHECK(run_infer(&r) && run_whole(&r));
        for (int64_t i = 0; i < 4; i++) {
            const double y = value(floats[to], r.out + tensor_span(&r.call.out, i));

            CHECK(isnan(x[i]) ? isnan(y) : y == (double)x[i]);
        }
        run_free(&r);
    }
}

/* Blocks decode to what their kernel says, in any range. */
TEST(cast_decodes_blocks)
{
    for (int d = 0; d < DTYPE_COUNT; d++) {
        struct run q = {.op = op_find("quantize"), .nin = 1, .in = {run_tensor(DTYPE_f32, 3, 512)}};
        struct run r = {.op = op_find("cast"), .nin = 1, .in = {run_tensor((enum dtype)d, 3, 512)}};
        void *x = run_random(11, 3 * 512, DTYPE_f32);
        float want[3 * 512], got[3 * 512];

        if (dtype_info((enum dtype)d)->kind != DTYPE_KIND_BLOCK) {
            mem_free(x);
            continue;
        }
        q.data[0] = x;
        q.arg[0].dtype = (enum dtype)d;
        CHECK(run_infer(&q) && run_split(&q, 1));
        r.data[0] = q.out;
        r.arg[0].dtype = DTYPE_f32;
        kernel_of((enum dtype)d)->decode(q.out, want, 3 * 512);
        CHECK(run_infer(&r) && run_split(&r, 300));
        memcpy(got, r.out, sizeof(got));
        CHECK(memcmp(want, got, sizeof(want)) == 0);
        r.arg[0].dtype = DTYPE_bf16;
        CHECK(run_infer(&r) && run_split(&r, 300));
        for (int i = 0; i < 3 * 512; i++)
            CHECK(value(DTYPE_bf16, r.out + 2 * i) == (double)bf16_get(bf16_put(want[i])));
        run_free(&q);
        run_free(&r);
        mem_free(x);
    }
}

TEST(cast_knows_its_types)
{
    struct run r = {.op = op_find("cast"), .nin = 1, .in = {run_tensor(DTYPE_i64, 2, 3)}};

    r.arg[0].dtype = DTYPE_f32;
    CHECK(!run_infer(&r) && r.err.code == ERR_TYPE && strstr(r.err.text, "i64"));
    r.arg[0].dtype = DTYPE_i64;
    CHECK(run_infer(&r) && r.op->identity(&r.call));
    r.in[0].dtype = DTYPE_f32;
    CHECK(!run_infer(&r) && r.err.code == ERR_TYPE);
    r.arg[0].dtype = DTYPE_q8_0;
    CHECK(!run_infer(&r) && strstr(r.err.text, "quantize"));
    r.arg[0].dtype = DTYPE_bf16;
    CHECK(run_infer(&r) && !r.op->identity(&r.call) && r.call.out.dtype == DTYPE_bf16);
}

/* The first overflow of a range is named; the error says so of row and column. */
TEST(cast_names_the_first_overflow)
{
    static double x[4][1500];
    struct run r = {.op = op_find("cast"), .nin = 1, .in = {run_tensor(DTYPE_f64, 4, 1500)}};

    r.data[0] = x;
    r.arg[0].dtype = DTYPE_f16;
    x[0][3] = INFINITY;
    x[2][1499] = 65520.0;
    x[3][0] = 1e300;
    CHECK(run_infer(&r) && !run_split(&r, 5000));
    CHECK_IN(strstr(r.err.text, "row 2, column 1499"), "%s", r.err.text);
    x[2][1499] = 65519.99;
    CHECK(!run_split(&r, 5000) && strstr(r.err.text, "row 3, column 0"));
    run_free(&r);
}

TEST_MAIN(RUN(cast_rounds_once) RUN(cast_passes_what_was_not_finite) RUN(cast_decodes_blocks)
              RUN(cast_knows_its_types) RUN(cast_names_the_first_overflow))
