#include "test.h"

#include "kernel/half.h"
#include "op/run.h"

#include <math.h>

enum { ROWS = 5, COLS = 65536, N = ROWS * COLS };

/* A run of METHOD on a zero base and K inputs X; weights 1, what the op does not have is ignored.
 */
struct setup {
    struct run r;
    double weights[RUN_INPUTS], density[RUN_INPUTS], gamma[RUN_INPUTS], epsilon[RUN_INPUTS];
    int64_t masks[RUN_INPUTS];
};

static union op_arg *arg_of(struct setup *s, const char *name)
{
    static union op_arg none;
    const int i = op_param(s->r.op, name);

    return i < 0 ? &none : &s->r.arg[i];
}

static void set_list(struct setup *s, const char *name, double *list, double value)
{
    for (int j = 0; j < RUN_INPUTS; j++)
        list[j] = value;
    arg_of(s, name)->f64s.v = list;
    arg_of(s, name)->f64s.n = s->r.nin - 1;
}

static void set_up(struct setup *s, const char *method, uint32_t nin, double density)
{
    *s = (struct setup){.r = {.op = op_find(method), .nin = nin}};
    arg_of(s, "math")->word = "f32";
    arg_of(s, "lambda")->f64 = 1;
    set_list(s, "weights", s->weights, 1.0);
    set_list(s, "density", s->density, density);
    set_list(s, "gamma", s->gamma, 0.01);
    set_list(s, "epsilon", s->epsilon, 0.1);
    for (uint32_t j = 0; j < RUN_INPUTS; j++)
        s->masks[j] = 1000 + j;
    arg_of(s, "masks")->i64s.v = s->masks;
    arg_of(s, "masks")->i64s.n = nin - 1;
}

static void set_input(struct setup *s, uint32_t j, struct tensor t, const void *data)
{
    s->r.in[j] = t;
    s->r.data[j] = data;
}

/* Magnitudes that are all alike are no excuse: exactly k, and those with the lowest index. */
TEST(ties_keeps_the_first_of_equals)
{
    enum { EQUALS = 200003 };
    float *zero = mem_grow(NULL, EQUALS * sizeof(float)),
          *x = mem_grow(NULL, EQUALS * sizeof(float));
    struct setup s;

    for (int i = 0; i < EQUALS; i++) {
        zero[i] = 0.0f;
        x[i] = i % 3 ? 0.5f : -0.5f;
    }
    set_up(&s, "merge_ties", 2, 1.0 / 3);
    set_input(&s, 0, run_tensor(DTYPE_f32, 1, EQUALS), zero);
    set_input(&s, 1, run_tensor(DTYPE_f32, 1, EQUALS), x);
    CHECK(run_infer(&s.r) && run_split(&s.r, 65536));
    for (int i = 0, bad = 0; i < EQUALS; i++) {
        float y;

        memcpy(&y, s.r.out + 4 * i, 4);
        bad += y != (i < 66667 ? x[i] : 0.0f);
        CHECK_IN(bad == 0 || i + 1 < EQUALS, "%d elements", bad);
    }
    run_free(&s.r);
    mem_free(zero);
    mem_free(x);
}

/* Tiles that have little in common: row t holds few magnitudes around 4^-t, so that the windows
 * of the others do not reach the cut. */
static void uneven(uint16_t *x)
{
    uint32_t word[4][PHILOX_LANES];

    for (int64_t i = 0; i < N; i++) {
        float v;

        if (i % PHILOX_LANES == 0)
            philox_lanes(5, (uint64_t)i, word);
        v = (float)(word[0][i % PHILOX_LANES] % 3) * ldexpf(0.25f, (int)(-2 * (i / COLS)));
        if (word[2][i % PHILOX_LANES] % 5 == 0) /* and some of the third row everywhere */
            v = 0.25f * 0x1p-4f;
        x[i] = bf16_put(word[1][i % PHILOX_LANES] & 1 ? -v : v);
    }
}

/* The kept elements of the description, by counting: those of greater magnitude, then those of
 * equal magnitude before. */
static int misplaced(const uint16_t *x, const uint8_t *out, int64_t first, int64_t end, bool ties)
{
    static int64_t above[32768], seen[32768];
    int64_t sum = 0;
    int bad = 0;

    memset(above, 0, sizeof(above));
    memset(seen, 0, sizeof(seen));
    for (int64_t i = 0; i < N; i++)
        seen[x[i] & 0x7fff]++;
    for (int m = 0; m < 32768; m++) {
        const int at = ties ? 32767 - m : m;

        above[at] = sum;
        sum += seen[at];
        seen[at] = 0;
    }
    for (int64_t i = 0; i < N; i++) {
        const int m = x[i] & 0x7fff;
        const int64_t place = above[m] + seen[m]++;
        uint16_t y;

        memcpy(&y, out + 2 * i, 2);
        bad += (y & 0x7fff) != (place >= first && place < end ? m : 0);
    }
    return bad;
}

/* Where a tile's own counts do not reach the cut, one more pass finds the tile. */
TEST(ties_and_breadcrumbs_find_cuts_in_uneven_tiles)
{
    static const double densities[] = {0.05, 0.3, 0.5, 0.7, 0.93};
    static const char *const maths[] = {"inputs", "f32"};
    uint16_t *x = mem_grow(NULL, N * sizeof(*x)), *zero = mem_grow(NULL, N * sizeof(*zero));

    memset(zero, 0, N * sizeof(*zero));
    uneven(x);
    for (size_t d = 0; d < 2 * countof(densities); d++)
        for (int band = 0; band < 2; band++) {
            const double density = densities[d / 2];
            const int64_t k = (int64_t)(density * N), cut = (int64_t)(0.05 * N);
            const int64_t low = max_i64(0, N - k - cut);
            struct setup s;

            set_up(&s, band ? "merge_breadcrumbs" : "merge_ties", 2, density);
            set_list(&s, "gamma", s.gamma, 0.05);
            arg_of(&s, "math")->word = maths[d % 2];
            set_input(&s, 0, run_tensor(DTYPE_bf16, ROWS, COLS), zero);
            set_input(&s, 1, run_tensor(DTYPE_bf16, ROWS, COLS), x);
            CHECK(run_infer(&s.r) && run_split(&s.r, 100000));
            CHECK_IN(misplaced(x, s.r.out, band ? low : 0, band ? low + k : k, !band) == 0,
                     "%s %s %g", s.r.op->name, maths[d % 2], density);
            run_free(&s.r);
        }
    mem_free(x);
    mem_free(zero);
}

/* A sweep over the sources that nobody needs would double the time. */
TEST(task_makes_no_pass_without_need)
{
    static const float a[4] = {1, 2, 3, 4}, b[4] = {2, 2, 2, 2};
    static const struct {
        const char *method;
        double density;
        bool rescale;
        bool passes;
    } cases[] = {
        {"merge_ties", 1, true, false},          {"merge_ties", 0, true, false},
        {"merge_ties", 0.5, false, true},        {"merge_breadcrumbs", 0.1, false, false},
        {"merge_breadcrumbs", 0.5, false, true}, {"merge_dare_ties", 0.5, false, false},
        {"merge_dare_ties", 0.5, true, true},    {"merge_della", 0.5, false, false},
        {"merge_della", 0.5, true, true},        {"merge_dare_linear", 1, true, false},
    };

    for (size_t i = 0; i < countof(cases); i++) {
        struct setup s;

        set_up(&s, cases[i].method, 2, cases[i].density);
        arg_of(&s, "rescale")->flag = cases[i].rescale;
        set_input(&s, 0, run_tensor(DTYPE_f32, 2, 2), a);
        set_input(&s, 1, run_tensor(DTYPE_f32, 2, 2), b);
        CHECK(run_infer(&s.r) && run_whole(&s.r));
        CHECK_IN((s.r.op->state_bytes(&s.r.call) > 0) == cases[i].passes, "case %zu", i);
        run_free(&s.r);
    }
}

/* With only the base nothing is mixed: its bytes, and no node. */
TEST(task_of_the_base_alone_is_the_base)
{
    static const uint16_t a[3] = {0x3f80, 0x8000, 0x7fc1};
    static const char *const methods[] = {"merge_task_arithmetic", "merge_ties", "merge_dare_ties",
                                          "merge_breadcrumbs", "merge_della_linear"};

    for (size_t i = 0; i < countof(methods); i++) {
        struct setup s;

        set_up(&s, methods[i], 1, 0.5);
        set_input(&s, 0, run_tensor(DTYPE_bf16, 1, 3), a);
        CHECK(run_infer(&s.r) && s.r.op->identity(&s.r.call) && run_whole(&s.r));
        CHECK(memcmp(s.r.out, a, sizeof(a)) == 0);
        run_free(&s.r);
    }
}

/* Lists that do not fit, and values without a meaning, are said at the recipe's line. */
TEST(task_refuses_what_has_no_meaning)
{
    static const float a[2] = {1, 2};
    struct setup s;

    set_up(&s, "merge_ties", 3, 0.5);
    for (uint32_t j = 0; j < 3; j++)
        set_input(&s, j, run_tensor(DTYPE_f32, 1, 2), a);
    arg_of(&s, "weights")->f64s.n = 1;
    CHECK(!run_infer(&s.r) && strstr(s.r.err.text, "weights: 1 values for 2 inputs"));
    set_up(&s, "merge_della", 2, 0.95);
    for (uint32_t j = 0; j < 2; j++)
        set_input(&s, j, run_tensor(DTYPE_f32, 1, 2), a);
    CHECK(!run_infer(&s.r) && strstr(s.r.err.text, "epsilon: 0.1 around density 0.95"));
    s.density[0] = 0.1;
    CHECK(!run_infer(&s.r) && strstr(s.r.err.text, "epsilon"));
    s.density[0] = 1.0; /* nothing is drawn */
    CHECK(run_infer(&s.r));
    set_up(&s, "merge_breadcrumbs", 2, 0.5);
    for (uint32_t j = 0; j < 2; j++)
        set_input(&s, j, run_tensor(DTYPE_f32, 1, 2), a);
    s.gamma[0] = 1.0;
    CHECK(!run_infer(&s.r) && strstr(s.r.err.text, "gamma: 1 is not below 1"));
    arg_of(&s, "gamma")->f64s.n = 0;
    CHECK(!run_infer(&s.r) && strstr(s.r.err.text, "gamma: 0 values"));
}

/* One NaN would make a NaN of everything that is rescaled: said, with its place. */
TEST(task_refuses_to_rescale_what_is_not_finite)
{
    float *zero = mem_grow(NULL, N * sizeof(float)), *x = mem_grow(NULL, N * sizeof(float));
    struct setup s;

    for (int i = 0; i < N; i++) {
        zero[i] = 0.0f;
        x[i] = i == 70000 ? INFINITY : 0.5f;
    }
    set_up(&s, "merge_dare_linear", 2, 0.5);
    set_input(&s, 0, run_tensor(DTYPE_f32, ROWS, COLS), zero);
    set_input(&s, 1, run_tensor(DTYPE_f32, ROWS, COLS), x);
    arg_of(&s, "rescale")->flag = true;
    CHECK(run_infer(&s.r) && !run_whole(&s.r));
    CHECK_IN(strstr(s.r.err.text, "input 2") && strstr(s.r.err.text, "row 1, column 0 and row 1"),
             "%s", s.r.err.text);
    arg_of(&s, "rescale")->flag = false;
    CHECK(run_whole(&s.r));
    run_free(&s.r);
    mem_free(zero);
    mem_free(x);
}

/* Finite inputs whose difference or sum leaves the type are named. */
TEST(task_names_what_overflows)
{
    static const uint16_t a[2] = {0x3c00, 0xf800}, x[2] = {0x3c00, 0x7800}; /* -32768, 32768 */
    struct setup s;

    set_up(&s, "merge_task_arithmetic", 2, 1);
    set_input(&s, 0, run_tensor(DTYPE_f16, 2, 1), a);
    set_input(&s, 1, run_tensor(DTYPE_f16, 2, 1), x);
    arg_of(&s, "math")->word = "inputs";
    CHECK(run_infer(&s.r) && !run_whole(&s.r) && strstr(s.r.err.text, "row 1, column 0"));
    arg_of(&s, "math")->word = "f32"; /* with room inside there is no overflow */
    CHECK(run_whole(&s.r));
    run_free(&s.r);
}

/* Integers cannot be mixed: equal ones are copied, others refused. */
TEST(task_copies_equal_integers)
{
    static const int32_t a[3] = {1, 2, 3}, other[3] = {1, 2, 4};
    struct setup s;

    set_up(&s, "merge_ties", 2, 0.5);
    set_input(&s, 0, run_tensor(DTYPE_i32, 1, 3), a);
    set_input(&s, 1, run_tensor(DTYPE_i32, 1, 3), a);
    CHECK(run_infer(&s.r) && run_whole(&s.r) && memcmp(s.r.out, a, sizeof(a)) == 0);
    s.r.data[1] = other;
    CHECK(!run_whole(&s.r) && strstr(s.r.err.text, "column 2"));
    run_free(&s.r);
}

TEST_MAIN(RUN(ties_keeps_the_first_of_equals) RUN(ties_and_breadcrumbs_find_cuts_in_uneven_tiles)
              RUN(task_makes_no_pass_without_need) RUN(task_of_the_base_alone_is_the_base)
                  RUN(task_refuses_what_has_no_meaning)
                      RUN(task_refuses_to_rescale_what_is_not_finite) RUN(task_names_what_overflows)
                          RUN(task_copies_equal_integers))
