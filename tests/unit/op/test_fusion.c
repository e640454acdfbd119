/* test_fusion.c - nearswap, ram, ramplus_tl, sce and arcee_fusion
 *
 * tests/golden/merge/fusion.txt has what an independent program gives, over several tiles. */
#include "test.h"

#include "op/golden.h"

#include <math.h>

/* ---- inputs of make_fusion.py ------------------------------------------------------------------
 */

struct drawn {
    uint32_t a, b;
    double r;
};

static void draw_elements(uint64_t key, int64_t n, bool f64, struct drawn *to)
{
    uint32_t word[4][PHILOX_LANES];

    for (int64_t i = 0; i < n; i++) {
        const int l = (int)(i % PHILOX_LANES);

        if (l == 0)
            philox_lanes(key, (uint64_t)i, word);
        const uint32_t a = word[0][l], b = word[1][l];

        to[i].a = a;
        to[i].b = b;
        to[i].r = f64 ? (double)(int64_t)((uint64_t)a << 32 | b) * 0x1p-66
                      : (double)((int32_t)a >> 8) * (double)(1u << b % 8) * 0x1p-30;
    }
}

static double sum_of(enum dtype dtype, double a, double b)
{
    return dtype == DTYPE_f64 ? a + b : (double)((float)a + (float)b);
}

static double element(const char *kind, enum dtype dtype, uint32_t j, int64_t i,
                      const struct drawn *d, double base)
{
    if (strcmp(kind, "zero") == 0)
        return 0.0;
    if (strcmp(kind, "few") == 0)
        return j ? ((double)(d->a >> 28) - 8.0) / 8.0 : 0.0;
    if (strcmp(kind, "wild") == 0 && i % 991 == 2 + j)
        return -HUGE_VAL;
    if (strcmp(kind, "wild") == 0 && i % 997 == 3 + j)
        return HUGE_VAL;
    if (strcmp(kind, "wild") == 0 && i % 1001 == 5 + j)
        return (double)NAN;
    if (strcmp(kind, "same") == 0 || j == 0)
        return d->r;
    if (strcmp(kind, "sparse") == 0 && (d->b >> 8) % 4)
        return base;
    return sum_of(dtype, base, d->r / 64);
}

/* Input J of R, of N elements; BASE: input 0's values, set by it. */
static void *input_of(const struct run *r, const char *kind, uint64_t key, uint32_t j, int64_t n,
                      double *base)
{
    const enum dtype dtype = r->in[j].dtype;
    const size_t size = dtype_info(dtype)->bytes;
    struct drawn *d = mem_grow(NULL, sizeof(*d) * (size_t)n + 1);
    uint8_t *to = mem_grow(NULL, size * (size_t)n + 1);

    draw_elements(strcmp(kind, "same") == 0 ? key : key + j, n, dtype == DTYPE_f64, d);
    for (int64_t i = 0; i < n; i++) {
        const double x = element(kind, dtype, j, i, &d[i], base[i]);

        encode_f64(dtype, &x, to + (size_t)i * size, 1);
        if (j == 0)
            decode_f64(dtype, to + (size_t)i * size, &base[i], 1);
    }
    mem_free(d);
    return to;
}

/* ---- a case -------------------------------------------------------------------------------------
 */

static void read_shape(struct run *r, char *dtypes, char *shape)
{
    struct tensor t = {.rank = 0};
    char *at = NULL;

    for (char *w = strtok_r(shape, ",", &at); w; w = strtok_r(NULL, ",", &at))
        t.dim[t.rank++] = strtoll(w, NULL, 10);
    at = NULL;
    for (char *w = strtok_r(dtypes, ",", &at); w; w = strtok_r(NULL, ",", &at)) {
        CHECK(dtype_find(w, &t.dtype));
        r->in[r->nin++] = t;
    }
}

static void read_args(struct run *r, const char *math, char *params)
{
    uint32_t i = 0;
    char *at = NULL;

    r->arg[i++].word = strcmp(math, "f32") == 0 ? "f32" : "inputs";
    for (char *w = strtok_r(params, ",", &at); w && i < r->op->nparam; w = strtok_r(NULL, ",", &at))
        r->arg[i++].f64 = strtod(w, NULL);
    CHECK(i == r->op->nparam);
}

static void check_case(struct golden *g)
{
    const uint64_t key = strtoull(g->word[1], NULL, 10) * 1000;
    char name[64];
    struct digest want = {{0}};
    const bool refused = strcmp(g->word[7], "refused") == 0;

    snprintf(name, sizeof(name), "merge_%s", g->word[0]);
    struct run r = {.op = op_find(name)};

    CHECK_IN(r.op && g->nword == 8 && (refused || digest_parse(g->word[7], &want)), "case %s",
             g->word[1]);
    if (!r.op)
        return;
    read_shape(&r, g->word[2], g->word[3]);
    read_args(&r, g->word[5], g->word[6]);
    const int64_t n = tensor_elements(&r.in[0]);
    double *base = mem_grow(NULL, sizeof(double) * (size_t)n + 1);

    for (uint32_t j = 0; j < r.nin; j++)
        r.data[j] = input_of(&r, g->word[4], key, j, n, base);
    CHECK_IN(run_infer(&r), "case %s: %s", g->word[1], r.err.text);
    if (refused)
        CHECK_IN(!run_whole(&r) && strstr(r.err.text, "would spread over the whole tensor"),
                 "case %s: %s", g->word[1], r.err.text);
    for (int64_t split = INT32_MAX; split > 0 && !refused; split = split == INT32_MAX ? 7001 : 0) {
        CHECK_IN(run_split(&r, split), "case %s: %s", g->word[1], r.err.text);
        CHECK_IN(digest_eq(run_digest(&r), want), "%s, case %s, in ranges of %lld", g->word[0],
                 g->word[1], (long long)split);
    }
    mem_free(base);
    golden_free(&r);
}

/* An independent program's bytes: work dtypes, several tiles and rows, ties, zeros, equal inputs,
 * one to eight models, NaN and infinity. */
static void check_method(const char *method, int cases)
{
    static struct golden g;
    int count = 0;

    if (!golden_open(&g, "tests/golden/merge/fusion.txt"))
        return;
    while (golden_next(&g, method)) {
        check_case(&g);
        count++;
    }
    CHECK_IN(count == cases, "%s: %d cases", method, count);
}

TEST(nearswap_equals_the_goldens)
{
    check_method("nearswap", 54);
}

TEST(ram_equals_the_goldens)
{
    check_method("ram", 54);
}

TEST(ramplus_tl_equals_the_goldens)
{
    check_method("ramplus_tl", 54);
}

TEST(sce_equals_the_goldens)
{
    check_method("sce", 122);
}

TEST(arcee_fusion_equals_the_goldens)
{
    check_method("arcee_fusion", 52);
}

/* arcee_fusion of two f64 tensors that f32 holds too: which elements it takes is decided by
 * rounding for a few, so f64 and f32 agree on nearly all, and Y is always one input's. */
TEST(arcee_fusion_of_f64_takes_what_f32_takes)
{
    enum { ROWS = 40, COLS = 500, N = ROWS * COLS };
    static double x[2][N];
    static float f[2][N];
    struct run r = {.op = op_find("merge_arcee_fusion"), .nin = 2, .data = {x[0], x[1]}};
    int differ = 0, taken = 0;
    struct drawn *d = mem_grow(NULL, sizeof(*d) * N);

    for (int j = 0; j < 2; j++) {
        draw_elements(77 + (uint64_t)j, N, false, d);
        for (int i = 0; i < N; i++) {
            f[j][i] = (float)(j ? x[0][i] + d[i].r / 32 : d[i].r);
            x[j][i] = (double)f[j][i];
        }
    }
    mem_free(d);
    r.arg[0].word = "inputs";
    r.in[0] = r.in[1] = run_tensor(DTYPE_f64, ROWS, COLS);
    CHECK(run_infer(&r) && r.call.out.dtype == DTYPE_f64 && run_split(&r, 1001));
    double *wide = mem_grow(NULL, sizeof(double) * N);
    memcpy(wide, r.out, sizeof(double) * N);
    r.in[0] = r.in[1] = run_tensor(DTYPE_f32, ROWS, COLS);
    r.data[0] = f[0];
    r.data[1] = f[1];
    CHECK(run_infer(&r) && run_whole(&r));
    for (int i = 0; i < N; i++) {
        const bool here = wide[i] != x[0][i],
                   there = ((const float *)(const void *)r.out)[i] != f[0][i];

        CHECK(!here || wide[i] == x[0][i] + (x[1][i] - x[0][i]));
        taken += here;
        differ += here != there;
    }
    CHECK_IN(taken > N / 50 && taken < N / 4 && differ < N / 200, "%d, %d", taken, differ);
    mem_free(wide);
    run_free(&r);
}

static const char *const methods[] = {"merge_nearswap", "merge_ram", "merge_ramplus_tl",
                                      "merge_sce", "merge_arcee_fusion"};

static void arguments(struct run *r)
{
    r->arg[0].word = "inputs";
    for (uint32_t i = 1; i < r->op->nparam; i++)
        r->arg[i].f64 = 0.5;
}

/* Integers are copied if all inputs are equal, and refused if not; shapes must be equal. */
TEST(integers_must_be_equal)
{
    static const int32_t a[6] = {1, -2, 3, INT32_MIN, 0, 7}, b[6] = {1, -2, 3, INT32_MIN, 0, 8};

    for (size_t m = 0; m < countof(methods); m++) {
        struct run r = {.op = op_find(methods[m]), .nin = 2, .data = {a, a}};

        arguments(&r);
        r.in[0] = r.in[1] = run_tensor(DTYPE_i32, 2, 3);
        CHECK_IN(run_infer(&r) && r.call.out.dtype == DTYPE_i32 && run_split(&r, 4) &&
                     memcmp(r.out, a, sizeof(a)) == 0,
                 "%s: %s", methods[m], r.err.text);
        r.data[1] = b;
        CHECK_IN(!run_whole(&r) && r.err.code == ERR_TYPE && strstr(r.err.text, "row 1, column 2"),
                 "%s", methods[m]);
        r.in[1] = run_tensor(DTYPE_i32, 3, 2);
        CHECK(!run_infer(&r) && r.err.code == ERR_SHAPE);
        r.in[0] = r.in[1] = run_tensor(DTYPE_q8_0, 2, 32);
        CHECK(!run_infer(&r) && r.err.code == ERR_TYPE);
        run_free(&r);
    }
}

/* With math = inputs, arcee_fusion and ramplus_tl give f32; else the promoted dtype. */
TEST(two_methods_give_f32_as_mergekit_does)
{
    for (size_t m = 0; m < countof(methods); m++)
        for (int wide = 0; wide < 2; wide++) {
            struct run r = {.op = op_find(methods[m]), .nin = 2};
            const bool f32 = strstr(methods[m], "arcee") || strstr(methods[m], "ramplus");

            arguments(&r);
            r.arg[0].word = wide ? "f32" : "inputs";
            r.in[0] = r.in[1] = run_tensor(DTYPE_bf16, 2, 3);
            CHECK(run_infer(&r) && r.call.out.dtype == (f32 && !wide ? DTYPE_f32 : DTYPE_bf16));
            r.in[1].dtype = DTYPE_f64;
            CHECK(run_infer(&r) && r.call.out.dtype == DTYPE_f64);
        }
}

/* A result that its type cannot hold is an error with its place, not an infinity in a file. */
TEST(an_overflow_is_named)
{
    static const uint16_t b[4] = {0, 0, 0xfbff, 0}, x[4] = {0, 0, 0x7bff, 0}; /* +-65504 */

    for (size_t m = 1; m < 3; m++) {
        struct run r = {.op = op_find(methods[m]), .nin = 2, .data = {b, x}};

        arguments(&r);
        r.in[0] = r.in[1] = run_tensor(DTYPE_f16, 2, 2);
        CHECK_IN(run_infer(&r) && !run_whole(&r) && strstr(r.err.text, "row 1, column 0"), "%s: %s",
                 methods[m], r.err.text);
        run_free(&r);
    }
}

TEST_MAIN(RUN(nearswap_equals_the_goldens) RUN(ram_equals_the_goldens)
              RUN(ramplus_tl_equals_the_goldens) RUN(sce_equals_the_goldens)
                  RUN(arcee_fusion_equals_the_goldens) RUN(arcee_fusion_of_f64_takes_what_f32_takes)
                      RUN(integers_must_be_equal) RUN(two_methods_give_f32_as_mergekit_does)
                          RUN(an_overflow_is_named))
