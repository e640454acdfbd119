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

/* ---- with an imatrix ------------------------------------------------------------------------ */

static bool is_weighted(int d)
{
    return is_block(d) && dtype_info((enum dtype)d)->weighted;
}

/* The N floats of a file of tests/golden/quant from OFF on, in memory of their own. */
static float *golden_floats(const char *name, long off, size_t n)
{
    char path[96];
    float *x = mem_grow(NULL, n * sizeof(*x) + 1);

    snprintf(path, sizeof(path), "tests/golden/quant/%s", name);
    FILE *file = fopen(path, "r");

    CHECK_IN(file && fseek(file, 4 * off, SEEK_SET) == 0 && fread(x, sizeof(*x), n, file) == n,
             "%s", path);
    if (file)
        fclose(file);
    return x;
}

/* A golden of cases.txt (make.py tells the fields): R, whose data and vector are in memory, and
 * the bytes that llama-quantize makes of it. */
static void check_golden(struct run *r, char *const *word)
{
    const int64_t rows = strtoll(word[4], NULL, 10), cols = strtoll(word[5], NULL, 10);
    const size_t size = (size_t)strtoull(word[9], NULL, 10);
    float *x = golden_floats("inputs.f32", strtol(word[6], NULL, 10), (size_t)(rows * cols));
    float *w = golden_floats("imatrix.f32", strtol(word[7], NULL, 10), (size_t)cols);
    uint8_t *want = mem_grow(NULL, size + 4);
    struct arena *arena = arena_new();
    char path[96];

    snprintf(path, sizeof(path), "tests/golden/quant/%s", word[2]);
    FILE *file = fopen(path, "r");

    CHECK(file && fseek(file, strtol(word[8], NULL, 10), SEEK_SET) == 0 &&
          fread(want, 1, size, file) == size);
    if (file)
        fclose(file);
    r->data[0] = x;
    r->in[0] = run_tensor(DTYPE_f32, rows, cols);
    r->arg[1].f32s = op_f32s(w, cols, arena);
    CHECK_IN(run_infer(r) && tensor_bytes(&r->call.out) == size, "%s: %s", word[3], r->err.text);
    CHECK(op_granule(&r->call) == cols);
    for (int64_t split = rows * cols; split > 0; split = split > cols ? cols : 0) {
        const bool ok = run_split(r, split);

        CHECK_IN(ok == (strcmp(word[10], "ok") == 0), "%s %s: %s", word[0], word[3], r->err.text);
        CHECK_IN(!ok || memcmp(r->out, want, size) == 0, "%s %s", word[0], word[3]);
    }
    arena_free(arena);
    mem_free(x);
    mem_free(w);
    mem_free(want);
}

/* Row by row and whole, the op's bytes are llama-quantize's with that imatrix; scales it would
 * refuse are refused. */
TEST(an_imatrix_gives_the_golden_bytes)
{
    FILE *file = fopen("tests/golden/quant/cases.txt", "r");
    char line[256], *word[12], *at;
    int checked = 0;

    CHECK(file);
    while (file && fgets(line, sizeof(line), file)) {
        struct run r = {.op = op_find("quantize"), .nin = 1};
        int n = 0;

        for (char *w = strtok_r(line, " \n", &at); w && n < 12; w = strtok_r(NULL, " \n", &at))
            word[n++] = w;
        if (n < 12 || strcmp(word[1], "imatrix") != 0)
            continue;
        CHECK(dtype_find(word[0], &r.arg[0].dtype) && is_weighted((int)r.arg[0].dtype));
        check_golden(&r, word);
        run_free(&r);
        checked++;
    }
    if (file)
        fclose(file);
    CHECK_IN(checked == 11 * 26, "%d", checked);
}

/* Expert e of a 3-D tensor is coded with values e * columns and on, wherever ranges begin. If it
 * failed, all experts would be coded for the first one's activations. */
TEST(each_expert_has_its_own_weights)
{
    enum { EXPERTS = 3, ROWS = 4, COLS = 512, N = ROWS * COLS };
    struct arena *arena = arena_new();
    float *x = run_random(5, EXPERTS * N, DTYPE_f32), *w = run_random(6, EXPERTS * COLS, DTYPE_f32);

    for (int i = 0; i < EXPERTS * COLS; i++)
        w[i] = w[i] < 0 ? -w[i] : w[i];
    for (int d = 0; d < DTYPE_COUNT; d++) {
        struct run r = {.op = op_find("quantize"), .nin = 1, .data = {x}};
        uint8_t want[EXPERTS * N * 2];
        size_t size = 0;

        if (!is_weighted(d))
            continue;
        r.in[0] = (struct tensor){.dtype = DTYPE_f32, .rank = 3, .dim = {EXPERTS, ROWS, COLS}};
        r.arg[0].dtype = (enum dtype)d;
        r.arg[1].f32s = op_f32s(w, EXPERTS * COLS, arena);
        CHECK_IN(run_infer(&r), "%s", r.err.text);
        for (int e = 0; e < EXPERTS; e++, size += (size_t)tensor_span(&r.call.out, N))
            kernel_of((enum dtype)d)->encode(x + e * N, ROWS, COLS, w + e * COLS, want + size);
        for (int64_t rows = 1; rows <= EXPERTS * ROWS; rows += 1 + rows / 4) {
            CHECK(run_split(&r, rows * COLS));
            CHECK_IN(memcmp(r.out, want, size) == 0, "%s in %lld rows", dtype_name((enum dtype)d),
                     (long long)rows);
        }
        run_free(&r);
    }
    mem_free(x);
    mem_free(w);
    arena_free(arena);
}

/* A vector of another model is found while planning, whatever the type; a type that has no use
 * for one says so, and its bytes are those without. */
TEST(an_imatrix_must_fit_and_may_be_ignored)
{
    static float w[3 * 512];
    struct arena *arena = arena_new();
    float *x = run_random(7, 2 * 512, DTYPE_f32);
    uint8_t plain[2 * 512 * 2];

    for (int d = 0; d < DTYPE_COUNT; d++) {
        struct run r = {.op = op_find("quantize"), .nin = 1, .data = {x}};

        if (!is_block(d))
            continue;
        r.in[0] = run_tensor(DTYPE_f32, 2, 512);
        r.arg[0].dtype = (enum dtype)d;
        CHECK(run_infer(&r) && run_whole(&r) && r.op->ignores(&r.call, 1));
        memcpy(plain, r.out, (size_t)tensor_bytes(&r.call.out));
        for (int i = 0; i < 512; i++)
            w[i] = (float)(i % 7);
        r.arg[1].f32s = op_f32s(w, 512, arena);
        CHECK(run_infer(&r) && run_split(&r, 512));
        CHECK(r.op->ignores(&r.call, 1) == !is_weighted(d) && !r.op->ignores(&r.call, 0));
        CHECK((memcmp(plain, r.out, (size_t)tensor_bytes(&r.call.out)) == 0) == !is_weighted(d));
        for (int n = 0; n <= 1536; n += 256) {
            r.arg[1].f32s = op_f32s(w, n, arena);
            CHECK(run_infer(&r) == (n == 512));
            CHECK(n == 512 || (r.err.code == ERR_SHAPE && strstr(r.err.text, "another model")));
        }
        r.in[0] = (struct tensor){.dtype = DTYPE_f32, .rank = 3, .dim = {3, 2, 512}};
        CHECK(run_infer(&r)); /* 1536 */
        run_free(&r);
    }
    mem_free(x);
    arena_free(arena);
}

/* What the range check of parameters sees of a vector, and its identity. */
TEST(a_vector_knows_its_range)
{
    static const float v[] = {3, -1, 7}, nan[] = {1, NAN, 2}, zeros[] = {0.0f, -0.0f};
    struct arena *arena = arena_new();
    const struct op_f32s *a = op_f32s(v, 3, arena), *b = op_f32s(nan, 3, arena);

    CHECK(a->min == -1 && a->max == 7 && a->n == 3 && a->v == v);
    CHECK(isnan(b->min) && isnan(b->max) && op_f32s(v, 0, arena)->max == 0);
    CHECK(digest_eq(a->digest, hash_bytes(v, sizeof(v))));
    CHECK(!digest_eq(a->digest, op_f32s(v, 2, arena)->digest));
    CHECK(!digest_eq(op_f32s(zeros, 1, arena)->digest, op_f32s(zeros + 1, 1, arena)->digest));
    arena_free(arena);
}

TEST_MAIN(RUN(quantize_is_the_kernel_in_any_ranges) RUN(quantize_refuses_what_is_not_finite)
              RUN(quantize_refuses_what_is_too_large) RUN(quantize_knows_its_types)
                  RUN(an_imatrix_gives_the_golden_bytes) RUN(each_expert_has_its_own_weights)
                      RUN(an_imatrix_must_fit_and_may_be_ignored) RUN(a_vector_knows_its_range))
