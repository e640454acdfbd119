#include "scratch.h"

#include <math.h>

#include "graph/digests.h"
#include "graph/measure.h"
#include "kernel/kernel.h"

enum { ROWS = 2048 + 64, COLS = 96, HEAD = 64, N = ROWS * COLS }; /* tiles begin inside rows */

static float value[N], back[N];
static unsigned char codes[N / 32 * 34], moved[N / 32 * 34];

static const struct tensor plain = {.dtype = DTYPE_f32, .rank = 2, .dim = {ROWS, COLS}};
static const struct tensor coded = {.dtype = DTYPE_q8_0, .rank = 2, .dim = {ROWS, COLS}};

/* value, its q8_0 codes, what they decode to; both in files. */
static void make(void)
{
    uint32_t seed = 7;

    for (int i = 0; i < N; i++) {
        seed = seed * 1664525 + 1013904223;
        value[i] = (float)(int32_t)seed * 0x1p-31f;
    }
    kernel_of(DTYPE_q8_0)->encode(value, ROWS, COLS, NULL, codes);
    kernel_of(DTYPE_q8_0)->decode(codes, back, N);
    put_file("plain", value, sizeof(value));
    put_file("coded", codes, sizeof(codes));
}

static struct measure_side side(const char *path, const struct tensor *t)
{
    return (struct measure_side){.path = path, .t = t, .map = {ROWMAP_NONE, 0}};
}

static struct error_sums measure(const struct measure_side *made, const struct measure_side *source,
                                 const struct op_f32s *weights, uint32_t workers)
{
    struct error_sums sums = ERROR_NONE;
    struct err err = {0};

    CHECK(measure_can(made, source));
    CHECK_IN(measure_fits(made, source, &err), "%s", err.text);
    CHECK_IN(measure_error(made, source, weights, workers, &sums, &err), "%s", err.text);
    return sums;
}

static bool same(const struct error_sums *a, const struct error_sums *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* The definition as a plain loop over tiles. W: a weight for each element, or NULL. */
static struct error_sums by_hand(const float *x, const float *y, const double *w, int64_t n)
{
    struct error_sums sum = ERROR_NONE;

    for (int64_t first = 0; first < n; first += 65536) {
        double l[3][8] = {{0}};

        for (int64_t i = 0; i < 65536 && first + i < n; i++) {
            const double a = (double)x[first + i], d = a - (double)y[first + i];
            const double weight = w ? w[first + i] : 1;

            l[0][i % 8] += weight * (d * d);
            l[1][i % 8] += weight;
            l[2][i % 8] += weight * (a * a);
            if (fabs(d) > sum.max) {
                sum.max = fabs(d);
                sum.max_at = first + i;
            }
        }
        double *to[] = {&sum.e, &sum.w, &sum.x};

        for (int k = 0; k < 3; k++)
            *to[k] += ((l[k][0] + l[k][4]) + (l[k][2] + l[k][6])) +
                      ((l[k][1] + l[k][5]) + (l[k][3] + l[k][7]));
    }
    return sum;
}

/* If false: an error is not the one of the definition, or depends on who did which tile. */
TEST(an_error_is_that_of_a_plain_loop)
{
    const struct measure_side made = side("coded", &coded), source = side("plain", &plain);
    const struct error_sums want = by_hand(value, back, NULL, N);

    for (uint32_t workers = 1; workers <= 5; workers += 2) {
        const struct error_sums got = measure(&made, &source, NULL, workers);

        CHECK_IN(same(&got, &want), "%u workers: %g, want %g", workers, got.e, want.e);
    }
    CHECK(want.e > 0 && want.max_at >= 0);
    const struct error_sums none = measure(&source, &source, NULL, 2);

    CHECK(none.e == 0 && none.w == N && none.max == 0 && none.max_at == -1);
}

/* If false: rows that GGUF files hold in another order would be compared with other rows. */
TEST(permuted_rows_have_the_error_of_those_in_order)
{
    const struct rowmap to_gguf = {ROWMAP_TO_GGUF, HEAD};
    const struct measure_side source = side("plain", &plain), straight = side("coded", &coded);
    struct measure_side made = side("moved", &coded);

    rowmap_apply(to_gguf, codes, moved, ROWS, COLS / 32 * 34);
    put_file("moved", moved, sizeof(moved));
    const struct error_sums wrong = measure(&made, &source, NULL, 2);

    made.map = rowmap_inverse(to_gguf);
    const struct error_sums want = measure(&straight, &source, NULL, 1);
    const struct error_sums got = measure(&made, &source, NULL, 3);

    CHECK(same(&got, &want));
    CHECK(wrong.e > 100 * want.e);
}

/* If false: weights would reach other columns, or those of one expert another. */
TEST(weights_reach_the_columns_of_their_matrix)
{
    enum { EXPERTS = 4 };
    static float v[EXPERTS * COLS];
    static double w[N];
    struct arena *arena = arena_new();
    const struct tensor made_t = {
        .dtype = DTYPE_q8_0, .rank = 3, .dim = {EXPERTS, ROWS / EXPERTS, COLS}};
    struct tensor source_t = made_t;

    source_t.dtype = DTYPE_f32;
    for (int i = 0; i < EXPERTS * COLS; i++)
        v[i] = (float)(1 + i % 11) * (float)(1 + i / COLS);
    for (int e = 0; e < EXPERTS; e++) {
        double mean = 0;

        for (int c = 0; c < COLS; c++)
            mean += (double)v[e * COLS + c]; /* whole numbers: exact in any order */
        mean /= COLS;
        for (int i = 0; i < N / EXPERTS; i++)
            w[e * (N / EXPERTS) + i] = (double)v[e * COLS + i % COLS] / mean;
    }
    const struct op_f32s *weights = op_f32s(v, EXPERTS * COLS, arena);
    const struct measure_side made = side("coded", &made_t), source = side("plain", &source_t);
    const struct error_sums want = by_hand(value, back, w, N);
    const struct error_sums got = measure(&made, &source, weights, 2);

    CHECK(same(&got, &want));
    CHECK(fabs(got.w - N) < 1e-6);
    arena_free(arena);
}

/* If false: another shape would be measured, or a one in front would stand in the way. */
TEST(shapes_fit_but_for_leading_ones)
{
    const struct tensor a = {.dtype = DTYPE_f32, .rank = 3, .dim = {1, 4, 8}};
    const struct tensor b = {.dtype = DTYPE_f32, .rank = 2, .dim = {4, 8}};
    const struct tensor c = {.dtype = DTYPE_f32, .rank = 2, .dim = {8, 4}};
    const struct tensor d = {.dtype = DTYPE_i32, .rank = 2, .dim = {4, 8}};
    const struct measure_side sa = side("a", &a), sb = side("b", &b), sc = side("c", &c);
    const struct measure_side sd = side("d", &d);
    struct measure_side mapped = side("coded", &coded);
    struct err err;

    CHECK(measure_fits(&sa, &sb, &err) && measure_fits(&sb, &sa, &err));
    CHECK(!measure_fits(&sb, &sc, &err) && err.code == ERR_SHAPE);
    CHECK(strstr(err.text, "[4, 8]") && strstr(err.text, "[8, 4]"));
    CHECK(measure_can(&sa, &sb) && !measure_can(&sb, &sd) && !measure_can(&sd, &sb));
    mapped.map = (struct rowmap){ROWMAP_TO_HF, 7};
    CHECK(!measure_can(&mapped, &sb)); /* an odd head */
    mapped.map.head = ROWS + 2;
    CHECK(!measure_can(&mapped, &sb));
}

/* If false: a file that was cut would be read past its end, or a missing one would be nothing. */
TEST(files_that_cannot_be_read_are_errors)
{
    const struct measure_side source = side("plain", &plain), gone = side("gone", &plain);
    struct measure_side late = side("plain", &plain);
    struct error_sums sums = {.e = 99};
    struct err err;

    late.offset = 4;
    CHECK(!measure_error(&late, &source, NULL, 2, &sums, &err) && err.code == ERR_CHANGED);
    CHECK(!measure_error(&source, &gone, NULL, 2, &sums, &err) && err.code == ERR_IO);
    CHECK(sums.e == 99);
}

/* If false: a figure would be taken for one of other bytes, types, shapes, orders or weights. */
TEST(a_key_holds_everything_that_decides)
{
    struct arena *arena = arena_new();
    const float v[] = {1, 2};
    const struct op_f32s *weights = op_f32s(v, 2, arena);
    const struct tensor b = {.dtype = DTYPE_q8_0, .rank = 2, .dim = {ROWS / 2, COLS * 2}};
    const struct tensor f16 = {.dtype = DTYPE_f16, .rank = 2, .dim = {ROWS, COLS}};
    const struct measure_side made = side("coded", &coded), source = side("plain", &plain);
    struct measure_side other[5];
    struct digest key[8];

    for (int i = 0; i < 5; i++)
        other[i] = made;
    other[0].d.b[3] = 1;
    other[1].t = &b;
    other[2].map = (struct rowmap){ROWMAP_TO_HF, HEAD};
    other[3].t = &f16;
    other[4].path = "elsewhere"; /* the only one that does not count */
    key[0] = measure_key(&made, &source, NULL);
    for (int i = 0; i < 4; i++)
        key[1 + i] = measure_key(&other[i], &source, NULL);
    key[5] = measure_key(&made, &source, weights);
    key[6] = measure_key(&source, &made, NULL);
    key[7] = measure_key(&made, &other[0], NULL);
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < i; k++)
            CHECK_IN(!digest_eq(key[i], key[k]), "%d and %d", i, k);
    CHECK(digest_eq(key[0], measure_key(&other[4], &source, NULL)));
    arena_free(arena);
}

/* If false: a figure would be measured again, or come back as another. */
TEST(figures_are_found_again)
{
    struct arena *arena = arena_new();
    const struct measure_side made = side("coded", &coded), source = side("plain", &plain);
    const struct digest key = measure_key(&made, &source, NULL);
    const struct measured is = {{0.1, 2, 0.3, 4, -1, 6}, "some/model", ""};
    struct measured got;
    struct store *store;
    struct err err;

    for (int again = 0; again < 2; again++) {
        CHECK(store_open(&store, "cache", STORE_WRITE, &err));
        CHECK(measure_known(store, key, &got.sums) == again);
        CHECK(measure_last(store, &made, arena, &got) == again);
        if (again) {
            CHECK(same(&got.sums, &is.sums));
            CHECK(strcmp(got.against, "some/model") == 0 && !got.weights[0]);
        }
        CHECK(measure_keep(store, key, &is.sums, &err));
        CHECK(measure_keep_last(store, &made, &is, &err));
        CHECK(store_put_fact(store, measure_key(&source, &made, NULL), "short", 5, &err));
        CHECK(!measure_known(store, measure_key(&source, &made, NULL), &got.sums));
        CHECK(store_close(store, false, &err));
    }
    CHECK(!measure_known(NULL, key, &got.sums) && !measure_last(NULL, &made, arena, &got));
    arena_free(arena);
}

static uint64_t look(struct digest_of *list, bool *known)
{
    struct graph *g = graph_new();
    struct store *store;
    struct err err = {0};
    uint64_t read = 0;

    list[0].node = source(g, "one", 64, 32);
    list[1].node = source(g, "two", 32, 32);
    CHECK(store_open(&store, "digests", STORE_WRITE, &err));
    digests_look(g, store, list, 2);
    *known = list[0].known && list[1].known;
    CHECK_IN(digests_make(g, store, list, 2, 2, &read, &err), "%s", err.text);
    CHECK(list[0].known && list[1].known && digests_stand(g, &err));
    CHECK(store_close(store, false, &err));
    graph_free(g);
    return read;
}

/* If false: sources that were hashed are read again, or changed ones are not. */
TEST(digests_are_made_once)
{
    struct digest_of list[2], first[2];
    struct graph *g = graph_new();
    struct err err;
    bool known;

    put_source("one", 64, 32, 1);
    put_source("two", 32, 32, 2);
    usleep(20000);
    CHECK(look(list, &known) == 64 * 32 * 2 + 32 * 32 * 2 && !known);
    memcpy(first, list, sizeof(first));
    CHECK(!digest_eq(list[0].d, list[1].d));
    const uint64_t again = look(list, &known);

    CHECK(known ? again == 0 : again > 0); /* unknown: a file system of coarse clocks */
    CHECK(digest_eq(list[0].d, first[0].d));
    const struct node_id id = source(g, "two", 32, 32);

    put_source("two", 32, 32, 3);
    CHECK(look(list, &known) >= 32 * 32 * 2 && !known);
    CHECK(digest_eq(list[0].d, first[0].d) && !digest_eq(list[1].d, first[1].d));
    CHECK(!digests_stand(g, &err) && err.code == ERR_CHANGED && id.i == 0);
    graph_free(g);
}

int main(void)
{
    scratch_make();
    make();
    RUN(an_error_is_that_of_a_plain_loop)
    RUN(permuted_rows_have_the_error_of_those_in_order)
    RUN(weights_reach_the_columns_of_their_matrix)
    RUN(shapes_fit_but_for_leading_ones)
    RUN(files_that_cannot_be_read_are_errors)
    RUN(a_key_holds_everything_that_decides)
    RUN(figures_are_found_again)
    RUN(digests_are_made_once)
    scratch_remove();
    printf("%d passed, %d failed\n", test_passed, test_failed);
    return test_failed != 0;
}
