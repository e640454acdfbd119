/* task_case.h - one case of tests/golden/merge/task.txt: an op's call, its inputs, the digest
 *
 * A line is a method and NAME=VALUE words; make_task.py beside the file says what they mean. */
#ifndef TASK_CASE_H
#define TASK_CASE_H

#include "op/run.h"

#include <math.h>
#include <stdlib.h>

enum { TASK_LISTS = 8 };

struct task_file {
    FILE *file;
    char line[4096];
    int lines;
};

struct task_case {
    struct run r;
    uint64_t key; /* of the inputs */
    char kind[16], digest[40], name[64];
    double list[4][TASK_LISTS]; /* weights, density, gamma, epsilon */
    int64_t masks[TASK_LISTS];
    void *input[RUN_INPUTS]; /* ours to free */
};

static inline bool task_open(struct task_file *f, const char *path)
{
    f->lines = 0;
    f->file = fopen(path, "r");
    CHECK_IN(f->file, "%s: run the tests from the top of the tree", path);
    return f->file;
}

static inline union op_arg *task_arg(struct task_case *c, const char *name)
{
    const int i = op_param(c->r.op, name);

    return i < 0 ? NULL : &c->r.arg[i];
}

static inline uint32_t task_numbers(char *text, double *to)
{
    char *at = NULL;
    uint32_t n = 0;

    for (char *w = strtok_r(text, ",", &at); w && n < TASK_LISTS; w = strtok_r(NULL, ",", &at))
        to[n++] = strtod(w, NULL);
    return n;
}

static inline void task_dtypes(struct task_case *c, char *text)
{
    char *at = NULL;

    for (char *w = strtok_r(text, ",", &at); w; w = strtok_r(NULL, ",", &at))
        CHECK(dtype_find(w, &c->r.in[c->r.nin++].dtype));
}

static inline void task_shape(struct task_case *c, char *text)
{
    double dim[TASK_LISTS];
    const uint32_t rank = task_numbers(text, dim);

    for (uint32_t j = 0; j < c->r.nin; j++) {
        c->r.in[j].rank = rank;
        for (uint32_t i = 0; i < rank; i++)
            c->r.in[j].dim[i] = (int64_t)dim[i];
    }
}

/* The list or number NAME = TEXT, if the op has such a parameter. */
static inline void task_value(struct task_case *c, const char *name, char *text)
{
    static const char *const lists[] = {"weights", "density", "gamma", "epsilon"};
    union op_arg *arg = task_arg(c, name);
    char *at = NULL;

    if (!arg)
        return;
    for (size_t i = 0; i < countof(lists); i++)
        if (strcmp(name, lists[i]) == 0) {
            arg->f64s.v = c->list[i];
            arg->f64s.n = task_numbers(text, c->list[i]);
        }
    if (strcmp(name, "lambda") == 0)
        arg->f64 = strtod(text, NULL);
    if (strcmp(name, "normalize") == 0 || strcmp(name, "rescale") == 0)
        arg->flag = text[0] == '1';
    if (strcmp(name, "math") == 0)
        arg->word = text[0] == 'f' ? "f32" : "inputs";
    if (strcmp(name, "masks") == 0) {
        arg->i64s.v = c->masks;
        arg->i64s.n = 0;
        for (char *w = strtok_r(text, ",", &at); w; w = strtok_r(NULL, ",", &at))
            c->masks[arg->i64s.n++] = (int64_t)strtoull(w, NULL, 10);
    }
}

static inline void task_word(struct task_case *c, char *word)
{
    char *value = strchr(word, '=');

    if (!value)
        return;
    *value++ = 0;
    if (strcmp(word, "case") == 0)
        c->key = strtoull(value, NULL, 10) * 1000;
    else if (strcmp(word, "dtypes") == 0)
        task_dtypes(c, value);
    else if (strcmp(word, "shape") == 0)
        task_shape(c, value);
    else if (strcmp(word, "kind") == 0)
        snprintf(c->kind, sizeof(c->kind), "%s", value);
    else if (strcmp(word, "digest") == 0)
        snprintf(c->digest, sizeof(c->digest), "%s", value);
    else
        task_value(c, word, value);
}

/* Element I of input J, of the words A and B; BASE is input 0 as its dtype holds it. */
static inline double task_element(const struct task_case *c, uint32_t j, int64_t i, uint32_t a,
                                  uint32_t b, double base)
{
    float x = (float)((int32_t)a >> 8) * (float)(1u << b % 8) * 0x1p-30f;

    if (strcmp(c->kind, "near") == 0 && j)
        x = (float)base + x / 64.0f;
    if (strcmp(c->kind, "const") == 0)
        x = !j ? 0.0f : a >> 31 ? -0.25f : 0.25f;
    if (strcmp(c->kind, "few") == 0)
        x = !j ? 0.0f : ((float)(a >> 28) - 8.0f) / 8.0f;
    if (strcmp(c->kind, "wild") == 0) {
        x = i % 1001 == 5 + j ? NAN : x;
        x = i % 997 == 3 + j ? INFINITY : x;
        x = i % 991 == 2 + j ? -INFINITY : x;
    }
    return (double)x;
}

static inline void task_input(struct task_case *c, uint32_t j)
{
    const enum dtype dtype = c->r.in[j].dtype;
    const int64_t n = tensor_elements(&c->r.in[j]), size = dtype_info(dtype)->bytes;
    uint32_t word[4][PHILOX_LANES];
    uint8_t *to;

    if (dtype == DTYPE_f64 && strcmp(c->kind, "free") == 0) {
        c->r.data[j] = c->input[j] = run_random(c->key + j, n, dtype);
        return;
    }
    to = mem_grow(NULL, (size_t)(n * size) + 1);
    for (int64_t i = 0; i < n; i++) {
        const int l = (int)(i % PHILOX_LANES);
        double base = 0, x;

        if (l == 0)
            philox_lanes(c->key + j, (uint64_t)i, word);
        if (j)
            decode_f64(c->r.in[0].dtype,
                       (const uint8_t *)c->r.data[0] + i * dtype_info(c->r.in[0].dtype)->bytes,
                       &base, 1);
        x = task_element(c, j, i, word[0][l], word[1][l], base);
        encode_f64(dtype, &x, to + i * size, 1);
    }
    c->r.data[j] = c->input[j] = to;
}

/* The next case, whose run and inputs task_close frees. */
static inline bool task_next(struct task_file *f, struct task_case *c)
{
    char *at = NULL;

    while (fgets(f->line, sizeof(f->line), f->file)) {
        char *method = strtok_r(f->line, " \n", &at);

        if (!method || method[0] == '#')
            continue;
        *c = (struct task_case){0};
        snprintf(c->name, sizeof(c->name), "merge_%s", method);
        c->r.op = op_find(c->name);
        CHECK_IN(c->r.op, "%s", c->name);
        for (char *w; (w = strtok_r(NULL, " \n", &at));)
            task_word(c, w);
        for (uint32_t j = 0; j < c->r.nin; j++)
            task_input(c, j);
        f->lines++;
        return true;
    }
    fclose(f->file);
    return false;
}

static inline void task_close(struct task_case *c)
{
    for (uint32_t j = 0; j < c->r.nin; j++)
        mem_free(c->input[j]);
    run_free(&c->r);
}

/* Its digest, whole and in ranges of other lengths (as many as its size allows in a test); then
 * it is closed. */
static inline void task_check(struct task_case *c)
{
    static const int64_t splits[] = {INT32_MAX, 70001, 999};
    const int64_t n = tensor_elements(&c->r.in[0]);
    struct digest want;

    CHECK(digest_parse(c->digest, &want));
    CHECK_IN(run_infer(&c->r), "%s %llu: %s", c->name, (unsigned long long)c->key / 1000,
             c->r.err.text);
    for (size_t s = 0; s < countof(splits); s++) {
        if (n > 60000 && s != c->key / 1000 % 2) /* a large one once, whole or not */
            continue;
        CHECK_IN(run_split(&c->r, splits[s]), "%s %llu: %s", c->name,
                 (unsigned long long)c->key / 1000, c->r.err.text);
        CHECK_IN(digest_eq(run_digest(&c->r), want), "%s %llu in ranges of %lld", c->name,
                 (unsigned long long)c->key / 1000, (long long)splits[s]);
    }
    task_close(c);
}

#endif
