#include "test.h"

#include "op/golden.h"

#include <math.h>

static uint32_t parse_list(char *text, double *v)
{
    char *at = NULL;
    uint32_t n = 0;

    for (char *w = strtok_r(text, ",", &at); w; w = strtok_r(NULL, ",", &at))
        v[n++] = strtod(w, NULL);
    return n;
}

/* An independent program's bytes, for sizes on both sides of every boundary, in any ranges. */
TEST(linear_equals_the_goldens)
{
    static struct golden g;
    int count = 0;

    if (!golden_open(&g, "tests/golden/merge/cases.txt"))
        return;
    while (golden_next(&g, "linear")) {
        struct run r = {.op = op_find("merge_linear")};
        double w[RUN_INPUTS];

        golden_inputs(&g, &r);
        r.arg[1].flag = g.word[4][0] == '1';
        r.arg[0].f64s.n = parse_list(g.word[5], w);
        r.arg[0].f64s.v = w;
        golden_check(&r, g.word[1], g.word[6]);
        golden_free(&r);
        count++;
    }
    CHECK(count == 41);
}

/* If the product were rounded before the sum, 0.1f * 0.1f - (its f32) would be 0. */
TEST(linear_does_not_round_products)
{
    static const float a[1] = {0.1f}, b[1] = {1.0f};
    const float product = 0.1f * 0.1f;
    double w[2] = {-(double)product, (double)0.1f};
    struct run r = {.op = op_find("merge_linear"), .nin = 2, .data = {b, a}};
    float y;

    r.in[0] = r.in[1] = run_tensor(DTYPE_f32, 1, 1);
    r.arg[0].f64s.n = 2;
    r.arg[0].f64s.v = w;
    r.arg[1].flag = false;
    CHECK(run_infer(&r) && run_whole(&r));
    memcpy(&y, r.out, 4);
    CHECK(y != 0.0f && (double)y == (double)0.1f * (double)0.1f - (double)product);
    run_free(&r);
}

TEST(linear_promotes)
{
    static const enum dtype cases[][3] = {
        {DTYPE_bf16, DTYPE_bf16, DTYPE_bf16}, {DTYPE_f16, DTYPE_f16, DTYPE_f16},
        {DTYPE_bf16, DTYPE_f16, DTYPE_f32},   {DTYPE_f16, DTYPE_f32, DTYPE_f32},
        {DTYPE_f64, DTYPE_bf16, DTYPE_f64},   {DTYPE_f32, DTYPE_f64, DTYPE_f64}};
    static const double w[2] = {1, 1};
    struct run r = {.op = op_find("merge_linear"), .nin = 2};

    r.arg[0].f64s.n = 2;
    r.arg[0].f64s.v = w;
    for (size_t i = 0; i < countof(cases); i++) {
        r.in[0] = run_tensor(cases[i][0], 2, 2);
        r.in[1] = run_tensor(cases[i][1], 2, 2);
        CHECK(run_infer(&r) && r.call.out.dtype == cases[i][2]);
    }
    CHECK(op_form_of(&r.call) == OP_F64);
}

TEST(linear_refuses_what_has_no_meaning)
{
    static const double w[3] = {0.5, -0.5, 1};
    struct run r = {.op = op_find("merge_linear"), .nin = 2};

    r.in[0] = r.in[1] = run_tensor(DTYPE_bf16, 2, 2);
    r.arg[0].f64s.v = w;
    r.arg[0].f64s.n = 2;
    r.arg[1].flag = true;
    CHECK(!run_infer(&r) && r.err.code == ERR_RECIPE && strstr(r.err.text, "normalize"));
    r.arg[1].flag = false;
    CHECK(run_infer(&r));
    r.arg[0].f64s.n = 3;
    CHECK(!run_infer(&r) && r.err.code == ERR_RECIPE && strstr(r.err.text, "3 weights"));
    r.arg[0].f64s.n = 2;
    r.in[1].dim[1] = 3;
    CHECK(!run_infer(&r) && r.err.code == ERR_SHAPE && strstr(r.err.text, "[2, 3]"));
    r.in[1] = run_tensor(DTYPE_i64, 2, 2);
    CHECK(!run_infer(&r) && r.err.code == ERR_TYPE);
    r.in[1] = r.in[0] = run_tensor(DTYPE_q4_k, 2, 256);
    CHECK(!run_infer(&r) && r.err.code == ERR_TYPE && strstr(r.err.text, "cast"));
}

/* specs/merge.md 1.2: integer buffers are merged by being equal. */
TEST(integers_merge_when_they_are_equal)
{
    static int64_t a[2][3] = {{1, 2, 3}, {4, 5, 6}}, b[2][3] = {{1, 2, 3}, {4, 5, 6}};
    static const double w[2] = {0.3, 0.7};
    struct run r = {.op = op_find("merge_linear"), .nin = 2, .data = {a, b}};

    r.in[0] = r.in[1] = run_tensor(DTYPE_i64, 2, 3);
    r.arg[0].f64s.v = w;
    r.arg[0].f64s.n = 2;
    CHECK(run_infer(&r) && run_split(&r, 2) && memcmp(r.out, a, sizeof(a)) == 0);
    b[1][2] = 7;
    CHECK(!run_split(&r, 2) && strstr(r.err.text, "row 1, column 2"));
    r.op = op_find("merge_slerp");
    r.arg[0].f64 = 0.5;
    CHECK(run_infer(&r) && !run_split(&r, 2) && strstr(r.err.text, "row 1, column 2"));
    b[1][2] = 6;
    CHECK(run_split(&r, 4) && memcmp(r.out, a, sizeof(a)) == 0);
    run_free(&r);
}

/* Overflow in the result type counts, even where f32 holds the sum. */
TEST(linear_names_what_overflows)
{
    static uint16_t a[3][400], b[3][400];
    static const double w[2] = {1, 1};
    struct run r = {.op = op_find("merge_linear"), .nin = 2, .data = {a, b}};

    r.in[0] = r.in[1] = run_tensor(DTYPE_f16, 3, 400);
    r.arg[0].f64s.v = w;
    r.arg[0].f64s.n = 2;
    a[0][9] = 0x7c00;           /* infinity in: infinity out */
    a[1][7] = b[1][7] = 0x7bff; /* 65504 + 65504 */
    CHECK(run_infer(&r) && !run_split(&r, 100000));
    CHECK_IN(strstr(r.err.text, "row 1, column 7"), "%s", r.err.text);
    b[1][7] = 0;
    CHECK(run_split(&r, 100000));
    run_free(&r);
}

TEST_MAIN(RUN(linear_equals_the_goldens) RUN(linear_does_not_round_products) RUN(linear_promotes)
              RUN(linear_refuses_what_has_no_meaning) RUN(integers_merge_when_they_are_equal)
                  RUN(linear_names_what_overflows))
