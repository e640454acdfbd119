#include "test.h"

#include "op/run.h"

#include <math.h>

static bool is_block(int d)
{
    return dtype_info((enum dtype)d)->kind == DTYPE_KIND_BLOCK;
}

/* Ranges that cut rows give the bytes of whole rows, and those are the kernel's. */
TEST(quantize_is_the_kernel_in_any_ranges)
{
    enum { ROWS = 5, COLS = 768 };
    void *x = run_random(77, ROWS * COLS, DTYPE_f32);

    for (int d = 0; d < DTYPE_COUNT; d++) {
        struct run r = {.op = op_find("quantize"), .nin = 1, .data = {x}};
        uint8_t want[ROWS * COLS * 4];

        if (!is_block(d))
            continue;
        r.in[0] = run_tensor(DTYPE_f32, ROWS, COLS);
        r.arg[0].dtype = (enum dtype)d;
        CHECK(run_infer(&r));
        kernel_of((enum dtype)d)->encode(x, ROWS, COLS, NULL, want);
        for (int64_t split = 1; split < ROWS * COLS; split = split * 2 + 100) {
            CHECK(run_split(&r, split));
            CHECK(memcmp(r.out, want, (size_t)tensor_bytes(&r.call.out)) == 0);
        }
        run_free(&r);
    }
    mem_free(x);
}

/* A block type has no NaN and no infinity: the first is named, for every type and source. */
TEST(quantize_refuses_what_is_not_finite)
{
    static float x[4][512];

    for (int d = 0; d < DTYPE_COUNT; d++) {
        struct run r = {.op = op_find("quantize"), .nin = 1, .data = {x}};

        if (!is_block(d))
            continue;
        r.in[0] = run_tensor(DTYPE_f32, 4, 512);
        r.arg[0].dtype = (enum dtype)d;
        x[2][300] = NAN;
        x[3][1] = INFINITY;
        CHECK(run_infer(&r) && !run_split(&r, 1));
        CHECK_IN(strstr(r.err.text, "NaN at row 2, column 300"), "%s", r.err.text);
        x[2][300] = 0;
        CHECK(!run_whole(&r) && strstr(r.err.text, "infinity at row 3, column 1"));
        x[3][1] = 0;
        CHECK(run_whole(&r));
        run_free(&r);
    }
}

/* Their scales are no f16: what is too large for it is a number still. */
static bool outgrows_f16(int d)
{
    return d == DTYPE_mxfp4 || d == DTYPE_nvfp4;
}

/* A scale that does not fit f16 would read back as infinity: an error with the block's columns. */
TEST(quantize_refuses_what_is_too_large)
{
    static float x[3][512];

    for (int d = 0; d < DTYPE_COUNT; d++) {
        const uint32_t block = dtype_info((enum dtype)d)->elements;
        struct run r = {.op = op_find("quantize"), .nin = 1, .data = {x}};
        char want[64];

        if (!is_block(d))
            continue;
        r.in[0] = run_tensor(DTYPE_f32, 3, 512);
        r.arg[0].dtype = (enum dtype)d;
        for (int i = 0; i < 512; i++)
            x[1][i] = 256 <= i ? (i % 2 ? 1e9f : -1e9f) : 1.0f;
        snprintf(want, sizeof(want), "row 1, column 256 to %u; use bf16", 255 + block);
        if (outgrows_f16(d)) {
            CHECK(run_infer(&r) && run_whole(&r));
            run_free(&r);
            continue;
        }
        CHECK(run_infer(&r) && !run_split(&r, 1));
        CHECK_IN(strstr(r.err.text, want) && strstr(r.err.text, dtype_name((enum dtype)d)),
                 "%s, expected %s", r.err.text, want);
        CHECK(!run_whole(&r) && strstr(r.err.text, want));
        run_free(&r);
    }
}

TEST(quantize_knows_its_types)
{
    struct run r = {.op = op_find("quantize"), .nin = 1, .in = {run_tensor(DTYPE_bf16, 2, 320)}};

    r.arg[0].dtype = DTYPE_q4_k;
    CHECK(!run_infer(&r) && r.err.code == ERR_SHAPE && strstr(r.err.text, "multiples of 256"));
    r.arg[0].dtype = DTYPE_q8_0;
    CHECK(run_infer(&r) && r.call.out.dtype == DTYPE_q8_0 && op_granule(&r.call) == 32);
    r.arg[0].dtype = DTYPE_bf16;
    CHECK(!run_infer(&r) && r.err.code == ERR_TYPE && strstr(r.err.text, "cast"));
    r.arg[0].dtype = DTYPE_q8_0;
    r.in[0].dtype = DTYPE_i32;
    CHECK(!run_infer(&r) && r.err.code == ERR_TYPE && strstr(r.err.text, "i32"));
}

TEST_MAIN(RUN(quantize_is_the_kernel_in_any_ranges) RUN(quantize_refuses_what_is_not_finite)
              RUN(quantize_refuses_what_is_too_large) RUN(quantize_knows_its_types))
