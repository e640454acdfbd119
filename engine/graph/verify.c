#include "graph/verify.h"

#include "base/msg.h"
#include "base/sum.h"

#include <string.h>

enum { VERIFY_BYTES = 8 << 20 };

/* The digest of an extent's bytes in the node's own row order. */
static bool extent_digest(const struct settling *s, const struct extent *x, int fd,
                          const char *path, struct digest *out, struct err *err)
{
    const struct tensor *t = graph_tensor(s->graph, x->node);
    const size_t row = (size_t)tensor_span(t, tensor_slab(t)); /* as a row map moves them */
    const size_t group = x->map.kind == ROWMAP_NONE ? 1 : row * (size_t)x->map.head;
    const size_t step = group > VERIFY_BYTES ? group : VERIFY_BYTES / group * group;
    unsigned char *raw = mem_grow(NULL, step), *rows = mem_grow(NULL, step);
    struct hasher *h = hasher_new();
    bool ok = true;

    for (uint64_t at = 0; ok && at < x->size; at += step) {
        const size_t n = x->size - at < step ? (size_t)(x->size - at) : step;

        ok = file_read_at(fd, path, raw, n, x->offset + at, err);
        if (ok && x->map.kind != ROWMAP_NONE)
            rowmap_apply(rowmap_inverse(x->map), raw, rows, (int64_t)(n / row), row);
        if (ok)
            hasher_put(h, x->map.kind == ROWMAP_NONE ? raw : rows, n);
    }
    *out = hasher_digest(h);
    hasher_free(h);
    mem_free(raw);
    mem_free(rows);
    return ok;
}

static bool verify_file(const struct settling *s, const struct out_file *file, const char *path,
                        struct err *err)
{
    unsigned char *head = mem_grow(NULL, file->head_size + 1);
    struct digest d;
    int fd;

    if (!file_open(path, &fd, err)) {
        mem_free(head);
        return false;
    }
    bool ok = file_read_at(fd, path, head, file->head_size, 0, err);

    if (ok && file->head_size && memcmp(head, file->head, file->head_size) != 0)
        ok = err_set(err, ERR_VERIFY, "%s: its header changed", path);
    for (uint32_t e = 0; ok && e < file->nextent; e++) {
        const struct extent *x = &file->extent[e];

        if (!x->size)
            continue;
        ok = extent_digest(s, x, fd, path, &d, err);
        if (ok && !digest_eq(d, s->node[x->node.i].d))
            ok = err_set(err, ERR_VERIFY, "%s: the bytes of %s changed", path, x->name);
    }
    file_close(fd);
    mem_free(head);
    return ok;
}

bool verify_artifact(struct settling *s, uint32_t a, const unsigned char boot[16])
{
    struct artifact_record record = *s->record[a];
    struct err err;
    bool ok = true;

    for (uint32_t f = 0; ok && f < s->artifact[a].nfile; f++) {
        const struct out_file *file = &s->artifact[a].file[f];

        ok = verify_file(s, file, artifact_file(s->arena, s->path[a], file->path), &err);
    }
    memcpy(record.boot, boot, sizeof(record.boot));
    if (ok)
        ok = store_put_artifact(s->store, &record, &err);
    if (ok)
        s->record[a] = store_artifact(s->store, s->path[a]);
    if (!ok)
        msg_warn("since the machine was started anew: %s; it is built again", err.text);
    return ok;
}
