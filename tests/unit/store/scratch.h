/* scratch.h - what the store's tests share: a folder of their own, a store in it, random bytes */
#ifndef SCRATCH_H
#define SCRATCH_H

#include "base/buf.h"
#include "base/msg.h"
#include "store/store.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef VBUILD_FAULTS
enum { faults = true }; /* a release build has no fault points: their tests pass at once */
#else
enum { faults = false };
#endif

static struct arena *scratch_arena;
static struct err err;

/* A new empty folder; the one before it is removed. */
static inline const char *scratch(void)
{
    static char dir[256];
    const char *base = getenv("TMPDIR");

    if (dir[0])
        CHECK(dir_remove(dir, &err));
    snprintf(dir, sizeof(dir), "%s/vbuild-store-XXXXXX", base && base[0] ? base : "/tmp");
    if (!mkdtemp(dir)) {
        perror(dir);
        exit(1);
    }
    if (!scratch_arena)
        scratch_arena = arena_new();
    return dir;
}

static inline void scratch_done(void)
{
    char *dir = arena_strdup(scratch_arena, scratch());

    CHECK(dir_remove(dir, &err));
    arena_free(scratch_arena);
}

static inline char *in(const char *dir, const char *name)
{
    return path_join(scratch_arena, dir, name);
}

static inline struct store *open_in(const char *dir, enum store_mode mode)
{
    struct store *store = NULL;

    if (!store_open(&store, dir, mode, &err)) {
        fprintf(stderr, "store_open: %s\n", err.text);
        exit(1);
    }
    return store;
}

/* What the code between them says on stderr is expected and not shown. */
static inline int hush(void)
{
    fflush(stderr);
    const int kept = dup(2), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    dup2(null, 2);
    close(null);
    return kept;
}

static inline void unhush(int kept)
{
    fflush(stderr);
    dup2(kept, 2);
    close(kept);
}

static inline void done(struct store *store)
{
    CHECK(store_close(store, false, &err));
}

static inline uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static inline struct digest digest_of(const char *what, uint64_t i)
{
    struct digest d;
    char text[64];

    snprintf(text, sizeof(text), "%s %llu", what, (unsigned long long)i);
    d = hash_bytes(text, strlen(text));
    return d;
}

/* Action I, all of whose fields follow from I; the texts live until the next call. */
static inline struct action action_of(uint64_t i)
{
    static struct action_input input[3];
    static char line[64], text[64], label[3][32];
    const int n =
        snprintf(text, sizeof(text), "op%cscale%cgain%c%llu", 0, 0, 0, (unsigned long long)i);

    snprintf(line, sizeof(line), "demo.lua:%llu", (unsigned long long)(i % 97));
    for (uint64_t k = 0; k < 3; k++) {
        snprintf(label[k], sizeof(label[k]), "file: blk.%llu", (unsigned long long)(i + k));
        input[k] = (struct action_input){digest_of("iq", i + k), digest_of("id", i + k), label[k]};
    }
    return (struct action){.k = digest_of("k", i),
                           .q = digest_of("q", i),
                           .d = digest_of("d", i),
                           .size = 1000 + i,
                           .cpu_us = i * 7,
                           .build = mix(i),
                           .line = line,
                           .text = text,
                           .text_size = (uint32_t)n,
                           .ninput = (uint32_t)(i % 4),
                           .input = input};
}

static inline bool same_action(const struct action *a, const struct action *b)
{
    bool same = a && digest_eq(a->k, b->k) && digest_eq(a->q, b->q) && digest_eq(a->d, b->d) &&
                a->size == b->size && a->cpu_us == b->cpu_us && a->build == b->build &&
                strcmp(a->line, b->line) == 0 && a->text_size == b->text_size &&
                memcmp(a->text, b->text, a->text_size) == 0 && a->ninput == b->ninput;

    for (uint32_t i = 0; same && i < a->ninput; i++)
        same = digest_eq(a->input[i].q, b->input[i].q) && digest_eq(a->input[i].d, b->input[i].d) &&
               strcmp(a->input[i].label, b->input[i].label) == 0;
    return same;
}

static inline void put_actions(struct store *store, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++) {
        const struct action a = action_of(i);

        CHECK_IN(store_put_action(store, &a, &err), "action %d: %s", (int)i, err.text);
    }
}

/* How many of the actions below COUNT are there; each that is must be right, by both keys. */
static inline int count_actions(struct store *store, uint64_t count)
{
    int there = 0;

    for (uint64_t i = 0; i < count; i++) {
        const struct action a = action_of(i);
        const struct action *k = store_by_k(store, a.k), *q = store_by_q(store, a.q);

        CHECK_IN(!k || same_action(k, &a), "action %d by K", (int)i);
        CHECK_IN(!q || same_action(q, &a), "action %d by Q", (int)i);
        there += k && q;
    }
    return there;
}

static inline void make_artifact(struct artifact_record *record, uint32_t entries, uint64_t seed)
{
    static struct artifact_file file[2];

    file[0] = (struct artifact_file){"", {1, 2, seed, -4, 5}};
    file[1] = (struct artifact_file){"model-2.safetensors", {6, 7, 8, 9, 10}};
    *record = (struct artifact_record){
        "out/x.gguf", digest_of("art", seed), {1, 2, 3}, file, 2, NULL, entries};
    record->entry = arena_array(scratch_arena, entries, sizeof(*record->entry));
    for (uint32_t i = 0; i < entries; i++)
        record->entry[i] = (struct artifact_entry){arena_printf(scratch_arena, "blk.%05u.w", i),
                                                   digest_of("ak", i),
                                                   digest_of("aq", i),
                                                   digest_of("ad", i + seed),
                                                   i % 2,
                                                   i * 32,
                                                   31,
                                                   6};
}

static inline char *slurp(const char *path, size_t *n)
{
    char *text = NULL;

    if (!file_read(path, UINT64_C(1) << 30, scratch_arena, &text, n, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return text;
}

static inline void spill(const char *path, const void *bytes, size_t n)
{
    (void)unlink(path);
    CHECK_IN(file_replace(path, bytes, n, &err), "%s", err.text);
}

static inline size_t file_size(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (size_t)st.st_size : SIZE_MAX;
}

#endif
