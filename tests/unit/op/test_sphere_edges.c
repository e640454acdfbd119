#include "test.h"

#include "base/fmath.h"
#include "op/run.h"

#include <math.h>

/* What the goldens of test_sphere.c do not hold: refusals, figures that can be seen, limits. */

static struct run nuslerp(bool base, double t, const char *axis)
{
    struct run r = {.op = op_find("merge_nuslerp"), .nin = base ? 3 : 2};

    r.arg[0].word = "f32";
    r.arg[1].flag = base;
    r.arg[2].f64 = t;
    r.arg[3].word = axis;
    return r;
}

static struct run multislerp(bool base, const double *weights, uint32_t n)
{
    struct run r = {.op = op_find("merge_multislerp"), .nin = n + (base ? 1 : 0)};

    r.arg[0].word = "f32";
    r.arg[1].flag = base;
    r.arg[2].f64s.v = weights;
    r.arg[2].f64s.n = n;
    r.arg[3].flag = true;
    r.arg[4].f64 = 1e-8;
    return r;
}

static struct run karcher(uint32_t n, int64_t max_iter, double tol)
{
    struct run r = {.op = op_find("merge_karcher"), .nin = n};

    r.arg[0].word = "f32";
    r.arg[1].i64 = max_iter;
    r.arg[2].f64 = tol;
    return r;
}

static struct run stock(uint32_t n, bool filter_wise)
{
    struct run r = {.op = op_find("merge_model_stock"), .nin = n};

    r.arg[0].word = "f32";
    r.arg[1].flag = filter_wise;
    return r;
}

static void set(struct run *r, enum dtype dtype, int64_t rows, int64_t cols, const void *const *in)
{
    for (uint32_t j = 0; j < r->nin; j++) {
        r->in[j] = run_tensor(dtype, rows, cols);
        r->data[j] = in[j];
    }
}

static float out(const struct run *r, int i)
{
    float y;

    memcpy(&y, r->out + 4 * i, 4);
    return y;
}

/* Two numbers that the op gives for rows of two. */
static void check_two(struct run *r, const void *const *in, float x, float y)
{
    set(r, DTYPE_f32, 1, 2, in);
    CHECK_IN(run_infer(r) && run_whole(r), "%s", r->err.text);
    CHECK_IN(fabsf(out(r, 0) - x) < 1e-6f && fabsf(out(r, 1) - y) < 1e-6f, "%s: %a %a", r->op->name,
             (double)out(r, 0), (double)out(r, 1));
    run_free(r);
}

/* Quarter turns and halves of them. */
TEST(figures_that_can_be_seen)
{
    static const float x[2] = {1, 0}, y[2] = {0, 1}, base[2] = {5, 7}, bx[2] = {6, 7},
                       by[2] = {5, 8}, both[2] = {6, 8};
    static const double half[2] = {0.5, 0.5};
    const float s = sqrtf(0.5f);
    struct run r = nuslerp(false, 0.5, "flat");

    check_two(&r, (const void *const[]){x, y}, s, s);
    r = nuslerp(false, 1.0 / 3, "flat");
    check_two(&r, (const void *const[]){x, y}, sqrtf(0.75f), 0.5f);
    r = nuslerp(true, 0.5, "last");
    check_two(&r, (const void *const[]){base, bx, by}, 5 + s, 7 + s);
    r = nuslerp(false, 0.25, "first"); /* columns of one: opposite or zero, so a line or an arc */
    check_two(&r, (const void *const[]){x, x}, 1.0f, 0.0f);
    r = multislerp(false, half, 2);
    check_two(&r, (const void *const[]){x, y}, s, s);
    r = multislerp(true, half, 2);
    check_two(&r, (const void *const[]){base, bx, by}, 5 + s, 7 + s);
    r = karcher(2, 10, 1e-5);
    check_two(&r, (const void *const[]){x, y}, s, s);
    r = stock(3, false); /* at right angles: nothing in common, so the base */
    check_two(&r, (const void *const[]){base, bx, by}, 5.0f, 7.0f);
    r = stock(3, true); /* equal: all of it */
    check_two(&r, (const void *const[]){base, both, both}, 6.0f, 8.0f);
}

/* Each method says where the number is that would spread, and over what. */
static void check_refused(struct run *r, const char *input, const char *place)
{
    CHECK(run_infer(r) && !run_whole(r));
    CHECK_IN(strstr(r->err.text, input) && strstr(r->err.text, place), "%s", r->err.text);
    run_free(r);
}

TEST(what_is_not_finite_is_refused_with_its_place)
{
    enum { N = 140000 };
    static const double thirds[3] = {1, 1, 1};
    float *data[3];
    const void *in[3];
    struct run r;

    for (int j = 0; j < 3; j++) {
        data[j] = mem_grow(NULL, N * sizeof(float));
        for (int i = 0; i < N; i++)
            data[j][i] = (float)(i % (17 + j)) - 3;
        in[j] = data[j];
    }
    data[2][70004] = NAN;
    r = nuslerp(true, 0.5, "flat");
    set(&r, DTYPE_f32, 70, 2000, in);
    check_refused(&r, "input 3 (or the base", "row 32, column 1536");
    r = nuslerp(true, 0.5, "last");
    set(&r, DTYPE_f32, 70, 2000, in);
    check_refused(&r, "input 3 (or the base", "between row 35, column 0 and row 35, column 1999");
    r = nuslerp(true, 0.5, "first");
    set(&r, DTYPE_f32, 70, 2000, in);
    check_refused(&r, "input 3 (or the base", "in column 4,");
    r = multislerp(false, thirds, 3);
    set(&r, DTYPE_f32, 70, 2000, in);
    check_refused(&r, "input 3 holds", "row 32, column 1536");
    data[2][70004] = 0;
    data[1][139999] = -INFINITY;
    r = karcher(3, 10, 1e-5);
    set(&r, DTYPE_f32, 70, 2000, in);
    check_refused(&r, "input 2 holds", "row 69, column 1999");
    r = stock(3, false);
    set(&r, DTYPE_f32, 70, 2000, in);
    check_refused(&r, "input 2 (or the base", "row 69, column 1999");
    r = stock(3, true);
    set(&r, DTYPE_f32, 70, 2000, in);
    check_refused(&r, "input 2 (or the base", "over the row");
    for (int j = 0; j < 3; j++)
        mem_free(data[j]);
}

/* One row that is not finite does not keep the others from being asked for. */
TEST(rows_are_vectors_of_their_own)
{
    static const float x[4] = {1, 0, NAN, 0}, y[4] = {0, 1, 0, 1};
    struct run r = nuslerp(false, 0.5, "last");
    float first[2];

    set(&r, DTYPE_f32, 2, 2, (const void *const[]){x, y});
    CHECK(run_infer(&r) && r.op->state_bytes(&r.call) == 0);
    CHECK(run_range(&r, 0, 2, NULL, 0, NULL, first) && fabsf(first[0] - sqrtf(0.5f)) < 1e-6f);
    CHECK(!run_range(&r, 2, 2, NULL, 0, NULL, first));
}

/* Finite f16 whose merge is not: named by row and column. */
TEST(what_overflows_is_named)
{
    static const uint16_t a[2] = {0x7bff, 0}, c[2] = {0xfbff, 0x3c00}; /* 65504, -65504, 1 */
    struct run r = nuslerp(false, -1.5, "flat");

    set(&r, DTYPE_f16, 2, 1, (const void *const[]){a, c});
    CHECK(run_infer(&r) && !run_whole(&r) && strstr(r.err.text, "row 0, column 0"));
    run_free(&r);
}

TEST(counts_and_weights_are_checked)
{
    static const double opposite[2] = {0.5, -0.5}, large[2] = {70000, 1}, one[1] = {1};
    static const uint16_t x[2] = {0x3c00, 0};
    const void *in[3] = {x, x, x};
    struct run r = nuslerp(true, 0.5, "flat");

    set(&r, DTYPE_f16, 1, 2, in);
    r.nin = 2;
    CHECK(!run_infer(&r) && strstr(r.err.text, "two and a base"));
    r = nuslerp(false, 0.5, "flat");
    r.nin = 3;
    set(&r, DTYPE_f16, 1, 2, in);
    CHECK(!run_infer(&r) && strstr(r.err.text, "base = true"));
    r = multislerp(false, opposite, 2);
    set(&r, DTYPE_f16, 1, 2, in);
    CHECK(!run_infer(&r) && strstr(r.err.text, "sum to 0"));
    r.arg[3].flag = false;
    CHECK(run_infer(&r));
    r.arg[2].f64s.v = large;
    CHECK(run_infer(&r)); /* in f32 */
    r.arg[0].word = "inputs";
    CHECK(!run_infer(&r) && strstr(r.err.text, "70000 is too large for f16"));
    r = multislerp(true, opposite, 2);
    r.nin = 2;
    set(&r, DTYPE_f16, 1, 2, in);
    CHECK(!run_infer(&r) && strstr(r.err.text, "1 inputs beside the base and 2 weights"));
    r = multislerp(true, one, 1);
    r.nin = 1;
    r.arg[2].f64s.n = 0;
    set(&r, DTYPE_f16, 1, 2, in);
    CHECK(!run_infer(&r));
}

/* A lone input is the result: no node without a base, its bytes with one. */
TEST(one_input_is_returned)
{
    static const float x[2] = {1, -0.0f}, b[2] = {3, 4};
    static const double zero[1] = {0};
    struct run r = karcher(1, 10, 1e-5);

    set(&r, DTYPE_f32, 1, 2, (const void *const[]){x});
    CHECK(run_infer(&r) && r.op->identity(&r.call) && run_whole(&r));
    CHECK(memcmp(r.out, x, sizeof(x)) == 0);
    run_free(&r);
    r = multislerp(false, zero, 1);
    set(&r, DTYPE_f32, 1, 2, (const void *const[]){x});
    CHECK(run_infer(&r) && r.op->identity(&r.call));
    r = multislerp(true, zero, 1);
    set(&r, DTYPE_f32, 1, 2, (const void *const[]){b, x});
    CHECK(run_infer(&r) && !r.op->identity(&r.call) && run_whole(&r));
    CHECK(memcmp(r.out, x, sizeof(x)) == 0);
    run_free(&r);
}

/* Three that equal the base give it, to the bit; three that cancel out are refused; without a
 * base, zeros give zeros. */
TEST(multislerp_without_a_direction)
{
    static const double w[3] = {0.25, 0.25, 0.5};
    static const float b[3] = {1, -0.0f, 3}, x[3] = {2, 2, 2}, y[3] = {-2, -2, -2}, zero[3];
    struct run r = multislerp(true, w, 3);

    set(&r, DTYPE_f32, 1, 3, (const void *const[]){b, b, b, b});
    CHECK(run_infer(&r) && run_whole(&r) && memcmp(r.out, b, sizeof(b)) == 0);
    run_free(&r);
    r = multislerp(false, w, 3);
    set(&r, DTYPE_f32, 1, 3, (const void *const[]){zero, zero, zero});
    CHECK(run_infer(&r) && run_whole(&r) && memcmp(r.out, zero, sizeof(zero)) == 0);
    run_free(&r);
    set(&r, DTYPE_f32, 1, 3, (const void *const[]){x, x, y});
    CHECK(run_infer(&r) && !run_whole(&r) && strstr(r.err.text, "directions is zero"));
    run_free(&r);
}

/* Integers have no direction: equal ones are copied, without a pass; others are refused. */
TEST(integers_are_copied_or_refused)
{
    static const int32_t x[4] = {1, 2, 3, 4}, other[4] = {1, 2, 3, 5};
    static const double w[2] = {1, 1};
    struct run ops[] = {nuslerp(false, 0.5, "first"),
                        nuslerp(true, 0.5, "last"),
                        multislerp(true, w, 2),
                        karcher(2, 10, 1e-5),
                        stock(3, true),
                        {.op = op_find("merge_slerp"), .nin = 2, .arg[0].f64 = 0.5}};

    for (size_t i = 0; i < countof(ops); i++) {
        struct run *r = &ops[i];

        set(r, DTYPE_i32, 2, 2, (const void *const[]){x, x, x});
        CHECK(run_infer(r) && r->op->state_bytes(&r->call) == 0 && run_split(r, 2));
        CHECK(memcmp(r->out, x, sizeof(x)) == 0);
        r->data[1] = other;
        CHECK(!run_split(r, 2) && strstr(r->err.text, "row 1, column 1"));
        run_free(r);
    }
}

/* A sum down column C of N x COLS numbers: blocks of 1,024 rows, each in order, then the blocks. */
static double down(const double *x, int64_t n, int64_t cols, int64_t c)
{
    double total = 0.0;

    for (int64_t from = 0; from < n; from += 1024) {
        double block = 0.0;

        for (int64_t r = from; r < min_i64(from + 1024, n); r++)
            block += x[r * cols + c];
        total += block;
    }
    return total;
}

/* False where sums down a column are taken in another order: in f64 that shows in the last bits. */
TEST(columns_are_summed_by_blocks)
{
    enum { N = 5000, COLS = 24 };
    const double t = 0.4;
    double *x[2], *term = mem_grow(NULL, N * COLS * sizeof(*term)), least[2][COLS];
    struct run r = nuslerp(false, t, "first");

    for (int j = 0; j < 2; j++) {
        x[j] = run_random(70 + (uint64_t)j, N * COLS, DTYPE_f64);
        for (int i = 0; i < N * COLS; i++)
            term[i] = x[j][i] * x[j][i];
        for (int c = 0; c < COLS; c++)
            least[j][c] = sqrt(down(term, N, COLS, c));
    }
    set(&r, DTYPE_f64, N, COLS, (const void *const[]){x[0], x[1]});
    CHECK_IN(run_infer(&r) && run_split(&r, 777), "%s", r.err.text);
    for (int i = 0; i < N * COLS; i++)
        term[i] = x[0][i] / least[0][i % COLS] * (x[1][i] / least[1][i % COLS]);
    for (int c = 0; c < COLS; c++) {
        const double th = fmath_acos(down(term, N, COLS, c));

        for (int i = c; i < N * COLS; i += COLS) {
            const double y =
                (fmath_sin((1.0 - t) * th) * x[0][i] + fmath_sin(t * th) * x[1][i]) / fmath_sin(th);

            CHECK_IN(memcmp(&y, r.out + 8 * i, 8) == 0, "column %d, element %d", c, i);
        }
    }
    run_free(&r);
    mem_free(x[0]);
    mem_free(x[1]);
    mem_free(term);
}

/* As many inputs as there may be, in ranges that end anywhere. */
TEST(sixty_four_inputs_beside_the_base)
{
    enum { N = 3000 };
    struct run ops[] = {stock(OP_INPUTS_MAX, false), stock(OP_INPUTS_MAX, true),
                        karcher(OP_INPUTS_MAX, 4, 1e-5)};
    const void *in[OP_INPUTS_MAX];

    for (uint32_t j = 0; j < OP_INPUTS_MAX; j++)
        in[j] = run_random(900 + j, N, DTYPE_f64);
    for (size_t i = 0; i < countof(ops); i++) {
        struct run *r = &ops[i];
        struct digest whole;

        set(r, DTYPE_f64, 3, N / 3, in);
        CHECK_IN(run_infer(r) && run_whole(r), "%s", r->err.text);
        whole = run_digest(r);
        CHECK(run_split(r, 37) && digest_eq(run_digest(r), whole));
        run_free(r);
    }
    for (uint32_t j = 0; j < OP_INPUTS_MAX; j++) {
        void *p;

        memcpy(&p, &in[j], sizeof(p));
        mem_free(p);
    }
}

/* The most rounds there may be fit the passes an op may take. */
TEST(karcher_ends_after_the_last_round)
{
    static const uint16_t x[4] = {0x3f80, 0x3e11, 0xbd22, 0x3f33},
                          y[4] = {0x3e44, 0x3f55, 0x3e66, 0},
                          z[4] = {0xbf01, 0x3f02, 0x3f03, 0xbf04};
    struct run r = karcher(3, 1000, 0.0);

    r.arg[0].word = "inputs";
    set(&r, DTYPE_bf16, 2, 2, (const void *const[]){x, y, z});
    CHECK_IN(run_infer(&r) && run_whole(&r), "%s", r.err.text);
    run_free(&r);
    r = karcher(3, 1000, 0.0);
    set(&r, DTYPE_bf16, 2, 2, (const void *const[]){x, y, z});
    CHECK_IN(run_infer(&r) && run_whole(&r), "%s", r.err.text);
    run_free(&r);
}

TEST_MAIN(RUN(figures_that_can_be_seen) RUN(what_is_not_finite_is_refused_with_its_place)
              RUN(rows_are_vectors_of_their_own) RUN(what_overflows_is_named)
                  RUN(counts_and_weights_are_checked) RUN(one_input_is_returned)
                      RUN(multislerp_without_a_direction) RUN(integers_are_copied_or_refused)
                          RUN(columns_are_summed_by_blocks) RUN(sixty_four_inputs_beside_the_base)
                              RUN(karcher_ends_after_the_last_round))
