#include "test.h"

#include "op/golden.h"

#include <math.h>

/* Input 1 becomes what RELATION says, from input 0. */
static void relate(struct run *r, const char *relation)
{
    const size_t size = (size_t)tensor_bytes(&r->in[0]);
    uint8_t *c;

    if (strcmp(relation, "free") == 0)
        return;
    memcpy(&c, &r->data[1], sizeof(c));
    memcpy(c, r->data[0], size);
    if (strcmp(relation, "zero") == 0)
        memset(c, 0, size);
    for (size_t i = 3; strcmp(relation, "negated") == 0 && i < size; i += 4)
        c[i] ^= 0x80;
}

/* An independent program's bytes: angles, the linear branch, zero vectors, several tiles. */
TEST(slerp_equals_the_goldens)
{
    static struct golden g;
    int count = 0;

    if (!golden_open(&g, "tests/golden/merge/cases.txt"))
        return;
    while (golden_next(&g, "slerp")) {
        struct run r = {.op = op_find("merge_slerp")};

        golden_inputs(&g, &r);
        relate(&r, g.word[5]);
        r.arg[0].f64 = strtod(g.word[4], NULL);
        golden_check(&r, g.word[1], g.word[6]);
        golden_free(&r);
        count++;
    }
    CHECK(count == 75);
}

static float slerp_of(const float *a, const float *c, double t)
{
    struct run r = {.op = op_find("merge_slerp"), .nin = 2, .data = {a, c}};
    float y;

    r.in[0] = r.in[1] = run_tensor(DTYPE_f32, 1, 2);
    r.arg[0].f64 = t;
    CHECK(run_infer(&r) && run_whole(&r));
    memcpy(&y, r.out, 4);
    run_free(&r);
    return y;
}

/* Figures that can be seen without a computer: quarter turns and halves of them. */
TEST(slerp_turns)
{
    static const float x[2] = {1, 0}, y[2] = {0, 1}, zero[2] = {0, 0}, minus[2] = {-1, 0};

    CHECK(slerp_of(x, y, 0.5) == sqrtf(0.5f));
    CHECK(slerp_of(x, y, 0.0) == 1.0f);
    CHECK(slerp_of(x, y, 1.0) == 0.0f);
    CHECK(slerp_of(x, zero, 0.5) == sqrtf(0.5f)); /* a zero vector is at a right angle */
    CHECK(slerp_of(x, x, 0.25) == 1.0f);
    CHECK(slerp_of(x, minus, 0.25) == 0.5f);              /* antiparallel: linear */
    CHECK(fabsf(slerp_of(x, y, 2.0) - -1.0f) < 1e-6f);    /* beyond: half a turn */
    CHECK(fabsf(slerp_of(y, x, 1.0 / 3) - 0.5f) < 1e-6f); /* sin 30 */
}

/* NaN and infinity would reach every element: said once, with the place. */
TEST(slerp_refuses_what_is_not_finite)
{
    enum { N = 70000 };
    float *a = mem_grow(NULL, N * sizeof(float)), *c = mem_grow(NULL, N * sizeof(float));
    struct run r = {.op = op_find("merge_slerp"), .nin = 2, .data = {a, c}};

    memset(a, 0, N * sizeof(float));
    memset(c, 0, N * sizeof(float));
    r.in[0] = r.in[1] = run_tensor(DTYPE_f32, 70, 1000);
    r.arg[0].f64 = 0.5;
    c[65540] = NAN;
    CHECK(run_infer(&r) && !run_whole(&r));
    CHECK_IN(strstr(r.err.text, "input 2") && strstr(r.err.text, "row 65, column 536"), "%s",
             r.err.text);
    a[3] = -INFINITY;
    CHECK(!run_whole(&r) && strstr(r.err.text, "input 1") && strstr(r.err.text, "row 0, column 0"));
    a[3] = c[65540] = 0;
    CHECK(run_whole(&r));
    run_free(&r);
    mem_free(a);
    mem_free(c);
}

/* An extrapolation that leaves f16 is found after rounding, and named. */
TEST(slerp_names_what_overflows)
{
    static const uint16_t a[2] = {0x7800, 0}, c[2] = {0xf800, 0x3c00}; /* 32768 and -32768 */
    struct run r = {.op = op_find("merge_slerp"), .nin = 2, .data = {a, c}};

    r.in[0] = r.in[1] = run_tensor(DTYPE_f16, 2, 1);
    r.arg[0].f64 = -1.5;
    CHECK(run_infer(&r) && !run_whole(&r) && strstr(r.err.text, "row 0, column 0"));
    run_free(&r);
}

TEST_MAIN(RUN(slerp_equals_the_goldens) RUN(slerp_turns) RUN(slerp_refuses_what_is_not_finite)
              RUN(slerp_names_what_overflows))
