/* golden.h - one case of tests/golden/merge/cases.txt: its words, its inputs */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "op/run.h"

enum { GOLDEN_WORDS = 12 };

struct golden {
    FILE *file;
    char line[1 << 16];
    char *word[GOLDEN_WORDS];
    int nword;
};

static inline bool golden_open(struct golden *g, const char *path)
{
    g->file = fopen(path, "r");
    CHECK_IN(g->file, "%s: run the tests from the top of the tree", path);
    return g->file;
}

/* The next line whose first word is METHOD (or any, if NULL); false and closed at the end. */
static inline bool golden_next(struct golden *g, const char *method)
{
    while (fgets(g->line, sizeof(g->line), g->file)) {
        char *at = NULL;

        g->nword = 0;
        for (char *w = strtok_r(g->line, " \n", &at); w && g->nword < GOLDEN_WORDS;
             w = strtok_r(NULL, " \n", &at))
            g->word[g->nword++] = w;
        if (g->nword && g->word[0][0] != '#' && (!method || strcmp(g->word[0], method) == 0))
            return true;
    }
    fclose(g->file);
    return false;
}

/* Words 1 to 3 (case, dtypes, n) into R: inputs as rank-2 tensors of whole rows where N allows. */
static inline void golden_inputs(struct golden *g, struct run *r)
{
    const uint64_t key = strtoull(g->word[1], NULL, 10) * 1000;
    const int64_t n = strtoll(g->word[3], NULL, 10);
    char *at = NULL;

    for (char *w = strtok_r(g->word[2], ",", &at); w; w = strtok_r(NULL, ",", &at)) {
        enum dtype dtype = DTYPE_f32;

        CHECK(dtype_find(w, &dtype));
        r->in[r->nin] = n % 7 == 0 ? run_tensor(dtype, 7, n / 7) : run_tensor(dtype, 1, n);
        r->data[r->nin] = run_random(key + r->nin, n, dtype);
        r->nin++;
    }
}

static inline void golden_free(struct run *r)
{
    for (uint32_t j = 0; j < r->nin; j++) {
        void *p;

        memcpy(&p, &r->data[j], sizeof(p)); /* ours to free, const for the op */
        mem_free(p);
    }
    run_free(r);
}

/* R gives DIGEST whole and in ranges of several lengths. */
static inline void golden_check(struct run *r, const char *name, const char *digest)
{
    static const int64_t splits[] = {INT32_MAX, 65536, 1024, 999, 70001};
    struct digest want;

    CHECK(digest_parse(digest, &want));
    CHECK_IN(run_infer(r), "case %s: %s", name, r->err.text);
    for (size_t s = 0; s < countof(splits); s++) {
        CHECK_IN(run_split(r, splits[s]), "case %s: %s", name, r->err.text);
        CHECK_IN(digest_eq(run_digest(r), want), "case %s in ranges of %lld", name,
                 (long long)splits[s]);
    }
}

#endif
