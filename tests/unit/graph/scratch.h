/* scratch.h - a folder for one test, and a small world in it: sources, a graph, a build */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graph/build.h"
#include "test.h"

static char scratch[64];

static inline void scratch_make(void)
{
    snprintf(scratch, sizeof(scratch), "/tmp/vbuild-graph.XXXXXX");
    if (!mkdtemp(scratch) || chdir(scratch) != 0)
        abort();
}

static inline void scratch_remove(void)
{
    struct err err;

    if (chdir("/") != 0 || !dir_remove(scratch, &err))
        abort();
}

static inline void put_file(const char *path, const void *bytes, size_t n)
{
    struct err err;

    if (!file_replace(path, bytes, n, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

/* A bf16 source of ROWS x COLS with values that depend on SEED. */
static inline void put_source(const char *path, int64_t rows, int64_t cols, uint32_t seed)
{
    const size_t n = (size_t)(rows * cols);
    uint16_t *x = malloc(n * 2 + 1);

    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        x[i] = (uint16_t)(0x3c00 + ((seed >> 16) & 0x81ff));
    }
    put_file(path, x, n * 2);
    free(x);
}

static inline struct tensor bf16_matrix(int64_t rows, int64_t cols)
{
    return (struct tensor){.dtype = DTYPE_bf16, .rank = 2, .dim = {rows, cols}};
}

static inline struct node_id source(struct graph *g, const char *path, int64_t rows, int64_t cols)
{
    const struct tensor t = bf16_matrix(rows, cols);
    struct err err;
    uint32_t file;

    if (!graph_add_file(g, path, path, &file, &err))
        abort();
    return graph_add_source(g, file, path, &t, 0);
}

static inline struct node_id add(struct graph *g, const char *op, const struct node_id *in,
                                 uint32_t nin, const union op_arg *arg)
{
    struct node_id out = {0};
    struct err err;

    if (!graph_add_op(g, op_find(op), in, nin, arg, "recipe.lua:1", &out, &err)) {
        fprintf(stderr, "%s: %s\n", op, err.text);
        abort();
    }
    return out;
}

static inline struct node_id scaled(struct graph *g, struct node_id in, double gain)
{
    return add(g, "scale", &in, 1, &(union op_arg){.f64 = gain});
}

static inline struct node_id quantized(struct graph *g, struct node_id in, enum dtype type)
{
    return add(g, "quantize", &in, 1, (const union op_arg[]){{.dtype = type}, {.f32s = NULL}});
}

static inline struct node_id slerped(struct graph *g, struct node_id a, struct node_id b, double t)
{
    const struct node_id in[2] = {a, b};

    return add(g, "merge_slerp", in, 2, &(union op_arg){.f64 = t});
}

/* An artifact of one file: "HEAD" and the given nodes, each at a multiple of 64. */
static inline struct artifact one_file(struct graph *g, const char *name,
                                       const struct node_id *node, uint32_t n)
{
    struct arena *arena = graph_arena(g);
    struct out_file *file = arena_alloc(arena, sizeof(*file));
    uint64_t at = 64;

    *file = (struct out_file){.path = "", .head = "HEAD", .head_size = 4, .nextent = n};
    file->extent = arena_array(arena, n, sizeof(*file->extent));
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t size = tensor_bytes(graph_tensor(g, node[i]));

        file->extent[i] = (struct extent){
            .name = arena_printf(arena, "t%u", i), .node = node[i], .offset = at, .size = size};
        at = (at + size + 63) & ~(uint64_t)63;
    }
    file->size = at;
    return (struct artifact){
        .variant = name, .name = name, .kind = "test", .line = "", .file = file, .nfile = 1};
}

static volatile int never_stop;

static inline struct build_options options_of(uint32_t jobs, uint64_t mem, int64_t tile)
{
    return (struct build_options){.jobs = jobs,
                                  .mem_bytes = mem,
                                  .tile_elements = tile,
                                  .out_dir = "outputs",
                                  .build_id = 1,
                                  .stop = &never_stop};
}

/* Open the cache, build, close: one command line. */
static inline bool build(struct graph *g, const struct artifact *a, uint32_t n,
                         const struct build_options *options, struct build_report *report,
                         struct err *err)
{
    struct store *store;
    struct err late;

    if (!store_open(&store, "cache", STORE_WRITE, err))
        return false;
    const bool ok = build_run(g, a, n, store, options, NULL, report, err);

    return store_close(store, false, &late) && ok;
}

#endif
