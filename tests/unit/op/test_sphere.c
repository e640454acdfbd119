#include "test.h"

#include "op/golden.h"

#include <math.h>

/* Merges along spheres against tests/golden/merge/sphere.txt, of an independent program. */

/* The next parameter of the line. */
static const char *next(struct golden *g, int *at)
{
    return g->word[(*at)++];
}

static uint32_t numbers(char *list, double *to)
{
    char *at = NULL;
    uint32_t n = 0;

    for (char *w = strtok_r(list, ",", &at); w; w = strtok_r(NULL, ",", &at))
        to[n++] = strtod(w, NULL);
    return n;
}

/* Arguments in the order of the op's parameters; the word after the last is returned. */
static int arguments(struct golden *g, struct run *r, double *weights)
{
    int at = 4;

    r->arg[0].word = next(g, &at);
    if (strcmp(g->word[0], "nuslerp") == 0) {
        r->arg[1].flag = *next(g, &at) == '1';
        r->arg[2].f64 = strtod(next(g, &at), NULL);
        r->arg[3].word = next(g, &at);
    } else if (strcmp(g->word[0], "multislerp") == 0) {
        r->arg[1].flag = *next(g, &at) == '1';
        r->arg[2].f64s.v = weights;
        r->arg[2].f64s.n = numbers(g->word[at++], weights);
        r->arg[3].flag = *next(g, &at) == '1';
        r->arg[4].f64 = strtod(next(g, &at), NULL);
    } else if (strcmp(g->word[0], "karcher") == 0) {
        r->arg[1].i64 = strtoll(next(g, &at), NULL, 10);
        r->arg[2].f64 = strtod(next(g, &at), NULL);
    } else {
        r->arg[1].flag = *next(g, &at) == '1';
    }
    return at;
}

static struct tensor shaped(enum dtype dtype, const char *shape)
{
    struct tensor t = {.dtype = dtype};
    char *end;

    for (const char *s = shape; *s; s = *end ? end + 1 : end)
        t.dim[t.rank++] = strtoll(s, &end, 10);
    return t;
}

/* A number of f64 into element I of DTYPE, and back. */
static double element(enum dtype dtype, const uint8_t *data, int64_t i)
{
    double x;

    decode_f64(dtype, data + (size_t)i * dtype_info(dtype)->bytes, &x, 1);
    return x;
}

/* Input J of N elements becomes what RELATION says, from input 0. */
static void relate(const struct run *r, uint32_t j, const char *relation, uint8_t *data, int64_t n)
{
    const enum dtype dtype = r->in[j].dtype, dtype0 = r->in[0].dtype;
    const size_t size = dtype_info(dtype)->bytes;
    const bool last = j + 1 == r->nin;

    for (int64_t i = 0; j > 0 && i < n; i++) {
        double y = element(dtype, data, i);
        const double x = element(dtype0, r->data[0], i);

        if (strcmp(relation, "same") == 0 || strcmp(relation, "based") == 0)
            y = x;
        else if (strcmp(relation, "negated") == 0 && last)
            y = -x;
        else if (strcmp(relation, "zeros") == 0 || (strcmp(relation, "zero") == 0 && last))
            y = 0.0;
        else if (strcmp(relation, "near") == 0) {
            double near;

            encode_f64(dtype, &x, (uint8_t *)&near, 1);
            near = element(dtype, (const uint8_t *)&near, 0) + y * (1.0 / 64);
            y = dtype == DTYPE_f64 ? near : (double)(float)near;
        }
        encode_f64(dtype, &y, data + (size_t)i * size, 1);
    }
}

static void inputs(struct golden *g, struct run *r, const char *relation)
{
    const uint64_t key = strtoull(g->word[1], NULL, 10) * 1000;
    char *at = NULL;

    for (char *w = strtok_r(g->word[2], ",", &at); w; w = strtok_r(NULL, ",", &at)) {
        enum dtype dtype = DTYPE_f32;
        uint8_t *data;

        CHECK(dtype_find(w, &dtype));
        r->in[r->nin] = shaped(dtype, g->word[3]);
        data = run_random(key + r->nin, tensor_elements(&r->in[r->nin]), dtype);
        r->data[r->nin] = data;
        r->nin++;
    }
    for (uint32_t j = 0; j < r->nin; j++) {
        uint8_t *data;

        memcpy(&data, &r->data[j], sizeof(data)); /* ours, const for the op */
        relate(r, j, relation, data, tensor_elements(&r->in[j]));
    }
}

/* WANT: eight elements from the first to the last, then the largest size of all. In f64 sines are
 * not rounded to less, so another program's may differ in the last bits. */
static void check_samples(struct run *r, const char *name, char *want)
{
    double x[9];
    int64_t n;

    CHECK_IN(run_infer(r) && run_split(r, 30001), "case %s: %s", name, r->err.text);
    CHECK(numbers(want, x) == 9);
    n = tensor_elements(&r->call.out);
    for (int64_t i = 0; i < 8; i++) {
        const double y = element(DTYPE_f64, r->out, i * (n - 1) / 7);

        CHECK_IN(fabs(y - x[i]) <= 1e-13 * x[8], "case %s: %a for %a", name, y, x[i]);
    }
}

static int run_cases(const char *method)
{
    static struct golden g;
    char name[32];
    int count = 0;

    snprintf(name, sizeof(name), "merge_%s", method);
    if (!golden_open(&g, "tests/golden/merge/sphere.txt"))
        return 0;
    while (golden_next(&g, method)) {
        struct run r = {.op = op_find(name)};
        double weights[OP_INPUTS_MAX];
        const int at = arguments(&g, &r, weights);

        inputs(&g, &r, g.word[at]);
        if (strcmp(g.word[at + 1], "refused") == 0)
            CHECK_IN(run_infer(&r) && !run_whole(&r), "case %s", g.word[1]);
        else if (r.in[0].dtype == DTYPE_f64)
            check_samples(&r, g.word[1], g.word[at + 1]);
        else
            golden_check(&r, g.word[1], g.word[at + 1]);
        golden_free(&r);
        count++;
    }
    return count;
}

/* An independent program's bytes, in every work dtype: all axes, a base, several tiles, rows and
 * columns of one element, vectors that are equal, opposite or zero. */
TEST(nuslerp_equals_the_goldens)
{
    CHECK(run_cases("nuslerp") == 280);
}

TEST(multislerp_equals_the_goldens)
{
    CHECK(run_cases("multislerp") == 125);
}

TEST(karcher_equals_the_goldens)
{
    CHECK(run_cases("karcher") == 134);
}

TEST(model_stock_equals_the_goldens)
{
    CHECK(run_cases("model_stock") == 164);
}

TEST_MAIN(RUN(nuslerp_equals_the_goldens) RUN(multislerp_equals_the_goldens)
              RUN(karcher_equals_the_goldens) RUN(model_stock_equals_the_goldens))
