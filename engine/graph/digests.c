#include "graph/digests.h"

#include "base/sum.h"
#include "graph/exec.h"
#include "graph/settle.h"

#include <stdlib.h>
#include <string.h>

enum { STEP_BYTES = 1 << 20 };

struct job {
    const struct graph *graph;
    struct digest_of *list;
    uint32_t n, next; /* next: atomic */
    uint64_t bytes;   /* atomic */
    bool failed;      /* atomic */
    pthread_mutex_t lock;
    struct err err;
};

/* ---- what the log knows -------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct source_digest *x = a, *y = b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

static void look_in_file(const struct graph *graph, struct store *store, uint32_t f,
                         struct digest_of *list, uint32_t n)
{
    const struct graph_file *file = graph_file(graph, f);
    const struct source_digest *digest;
    size_t count;

    if (store_source(store, file->path, file->stamp, &digest, &count) != SOURCE_KNOWN || !count)
        return;
    for (uint32_t i = 0; i < n; i++) {
        const struct node *node = graph_node(graph, list[i].node);
        const struct source_digest want = {.offset = node->offset,
                                           .size = tensor_bytes(&node->call.out)};

        if (node->file != f)
            continue;
        const struct source_digest *found = bsearch(&want, digest, count, sizeof(want), by_place);

        if (found) {
            list[i].d = found->d;
            list[i].known = true;
        }
    }
}

void digests_look(const struct graph *graph, struct store *store, struct digest_of *list,
                  uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        list[i].known = false;
    for (uint32_t f = 0; store && f < graph_files(graph); f++)
        look_in_file(graph, store, f, list, n);
}

/* ---- hashing ------------------------------------------------------------------------------- */

static bool hash_node(const struct job *job, struct digest_of *one, unsigned char *raw,
                      struct err *err)
{
    const struct node *node = graph_node(job->graph, one->node);
    const struct graph_file *file = graph_file(job->graph, node->file);
    const uint64_t size = tensor_bytes(&node->call.out);
    struct hasher *h;
    int fd;

    if (!file_open(file->path, &fd, err))
        return false;
    h = hasher_new();
    bool ok = true;

    for (uint64_t at = 0; ok && at < size; at += STEP_BYTES) {
        const size_t n = (size_t)(size - at < STEP_BYTES ? size - at : STEP_BYTES);

        ok = file_read_at(fd, file->path, raw, n, node->offset + at, err);
        if (ok)
            hasher_put(h, raw, n);
    }
    one->d = hasher_digest(h);
    one->known = ok;
    hasher_free(h);
    file_close(fd);
    return ok || err_in(err, "%s", node->name);
}

static void work(void *self)
{
    struct job *job = self;
    unsigned char *raw = bulk_alloc(STEP_BYTES);
    struct err err;
    bool ok = raw || err_set(&err, ERR_MEMORY, "no memory for %d bytes to hash", STEP_BYTES);

    while (ok && !__atomic_load_n(&job->failed, __ATOMIC_RELAXED)) {
        const uint32_t i = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);

        if (i >= job->n)
            break;
        if (job->list[i].known)
            continue;
        ok = hash_node(job, &job->list[i], raw, &err);
        __atomic_add_fetch(&job->bytes, tensor_bytes(graph_tensor(job->graph, job->list[i].node)),
                           __ATOMIC_RELAXED);
    }
    bulk_free(raw, STEP_BYTES);
    if (ok)
        return;
    pthread_mutex_lock(&job->lock);
    if (!job->failed)
        job->err = err;
    __atomic_store_n(&job->failed, true, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&job->lock);
}

static bool record(const struct graph *graph, struct store *store, const struct digest_of *list,
                   uint32_t n, int64_t started, struct err *err)
{
    struct source_digest *put = mem_grow(NULL, (n + (size_t)1) * sizeof(*put));
    bool ok = true;

    for (uint32_t f = 0; ok && f < graph_files(graph); f++) {
        const struct graph_file *file = graph_file(graph, f);
        size_t count = 0;

        for (uint32_t i = 0; i < n; i++) {
            const struct node *node = graph_node(graph, list[i].node);

            if (node->file == f)
                put[count++] =
                    (struct source_digest){node->offset, tensor_bytes(&node->call.out), list[i].d};
        }
        if (count)
            ok = store_put_source(store, file->path, file->stamp, started, put, count, err) ||
                 cache_failed(err);
    }
    mem_free(put);
    return ok;
}

bool digests_stand(const struct graph *graph, struct err *err)
{
    for (uint32_t f = 0; f < graph_files(graph); f++) {
        const struct graph_file *file = graph_file(graph, f);
        struct stamp now;

        if (!file_stamp(file->path, &now, err))
            return false;
        if (!stamp_eq(now, file->stamp))
            return err_set(err, ERR_CHANGED, "%s: the file changed while it was read; try again",
                           file->shown);
    }
    return true;
}

bool digests_make(const struct graph *graph, struct store *store, struct digest_of *list,
                  uint32_t n, uint32_t workers, uint64_t *read_bytes, struct err *err)
{
    struct job job = {.graph = graph, .list = list, .n = n};
    const int64_t started = wall_ns();
    uint32_t unknown = 0;

    for (uint32_t i = 0; i < n; i++)
        unknown += !list[i].known;
    if (!unknown)
        return true;
    pthread_mutex_init(&job.lock, NULL);
    exec_spread((uint32_t)min_i64(workers, unknown), work, &job);
    pthread_mutex_destroy(&job.lock);
    *read_bytes += job.bytes;
    if (job.failed) {
        *err = job.err;
        return false;
    }
    return digests_stand(graph, err) && record(graph, store, list, n, started, err);
}
