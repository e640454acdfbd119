#include "base/fault.h"
#include "store/blob.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Below this a full disk is learnt from the write itself, and the file is made faster. */
enum { RESERVE_MIN = 256 << 10 };

struct blob_writer {
    struct store *store;
    const struct codec_ops *ops;
    struct blob_head head;
    int fd;
    char name[TEMP_NAME];
    uint64_t put;             /* raw bytes taken */
    uint64_t at;              /* where the next stored byte goes */
    uint32_t done;            /* chunks stored */
    void *state;              /* the codec's */
    unsigned char *raw, *out; /* one chunk each, of a chunked codec */
    size_t have;              /* bytes waiting in raw */
    size_t raw_room, out_room;
    unsigned char *index; /* little endian, as stored */
};

void blob_abort(struct blob_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0) {
        close(w->fd);
        unlinkat(w->store->root, w->name, 0);
    }
    if (w->state)
        w->ops->end(w->state);
    bulk_free(w->raw, w->raw_room);
    bulk_free(w->out, w->out_room);
    mem_free(w->index);
    mem_free(w);
}

static bool make_file(struct blob_writer *w, struct err *err)
{
    struct store *store = w->store;
    const uint64_t most = w->at + w->head.raw + 4 * (uint64_t)w->head.element * w->head.count;

    store_temp(store, w->name);
    FAULT("blob_begin");
    w->fd = openat(store->root, w->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (w->fd < 0)
        return err_sys(err, "cache '%s': %s", store->dir, w->name);
    if (most < RESERVE_MIN)
        return true;
    int rc;

    do
        rc = FAULT_FAILS("blob_reserve") ? -1 : fallocate(w->fd, 0, 0, (off_t)most);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO))
        return err_sys(err, "cache '%s': room for %llu bytes", store->dir,
                       (unsigned long long)most);
    return true; /* other failures: this file system cannot reserve */
}

static bool make_chunks(struct blob_writer *w, struct err *err)
{
    struct blob_head *h = &w->head;

    h->chunk = w->ops->chunk - w->ops->chunk % h->element;
    const uint64_t count = h->raw / h->chunk + (h->raw % h->chunk != 0);

    if (count > UINT32_MAX)
        return err_set(err, ERR_LIMIT, "a blob of %llu bytes is too large for its codec",
                       (unsigned long long)h->raw);
    h->count = (uint32_t)count;
    w->raw_room = h->raw < h->chunk ? (size_t)h->raw : h->chunk;
    w->out_room = w->ops->bound(w->raw_room, h->element);
    w->index = mem_grow(NULL, 8 * (size_t)count + 1);
    w->raw = bulk_alloc(w->raw_room);
    w->out = bulk_alloc(w->out_room);
    w->state = w->ops->begin();
    w->at += 8 * count;
    return (w->raw && w->out) ||
           err_set(err, ERR_MEMORY, "no memory for packing a blob (%zu bytes)",
                   w->raw_room + w->out_room);
}

bool blob_begin(struct store *store, uint64_t size, enum codec codec, uint32_t element,
                struct blob_writer **out, struct err *err)
{
    const struct codec_ops *ops = codec_get(codec);

    if (!store_writable(store, err))
        return false;
    assert(ops && size <= INT64_MAX / 4);
    struct blob_writer *w = mem_grow(NULL, sizeof(*w));

    *w = (struct blob_writer){.store = store, .ops = ops, .fd = -1, .at = BLOB_HEAD};
    w->head.raw = size;
    w->head.codec = codec;
    w->head.element = element >= 1 && element <= CODEC_ELEMENT_MAX ? element : 1;
    if ((ops->chunk && !make_chunks(w, err)) || !make_file(w, err)) {
        blob_abort(w);
        return false;
    }
    *out = w;
    return true;
}

static bool store_bytes(struct blob_writer *w, const void *bytes, size_t n, uint64_t at,
                        struct err *err)
{
    if (FAULT_FAILS("blob_write"))
        return err_sys(err, "cache '%s': %s: writing", w->store->dir, w->name);
    return file_write_at(w->fd, w->name, bytes, n, at, err) ||
           err_in(err, "cache '%s'", w->store->dir);
}

static bool store_chunk(struct blob_writer *w, const unsigned char *raw, size_t n, struct err *err)
{
    const size_t stored = w->ops->encode(w->state, raw, n, w->head.element, w->out);

    assert(stored <= w->out_room && w->done < w->head.count);
    if (!store_bytes(w, w->out, stored, w->at, err))
        return false;
    w->at += stored;
    for (size_t i = 0; i < 8; i++)
        w->index[8 * (size_t)w->done + i] = (unsigned char)(w->at >> (8 * i));
    w->done++;
    return true;
}

static bool put_chunked(struct blob_writer *w, const unsigned char *p, size_t n, struct err *err)
{
    const size_t chunk = w->head.chunk;

    while (n) {
        if (!w->have && n >= chunk) { /* a whole chunk goes from the caller's memory */
            if (!store_chunk(w, p, chunk, err))
                return false;
            p += chunk;
            n -= chunk;
            continue;
        }
        const size_t some = n < chunk - w->have ? n : chunk - w->have;

        memcpy(w->raw + w->have, p, some);
        w->have += some;
        p += some;
        n -= some;
        if (w->have < chunk)
            continue;
        w->have = 0;
        if (!store_chunk(w, w->raw, chunk, err))
            return false;
    }
    return true;
}

bool blob_put(struct blob_writer *w, const void *bytes, size_t n, struct err *err)
{
    assert(n <= w->head.raw - w->put);
    w->put += n;
    if (w->ops->chunk)
        return put_chunked(w, bytes, n, err);
    if (!store_bytes(w, bytes, n, w->at, err))
        return false;
    w->at += n;
    return true;
}

static bool finish_file(struct blob_writer *w, bool durable, struct err *err)
{
    unsigned char head[BLOB_HEAD];
    const size_t index = 8 * (size_t)w->head.count;

    assert(w->put == w->head.raw);
    if (w->have && !store_chunk(w, w->raw, w->have, err))
        return false;
    assert(w->done == w->head.count);
    w->head.stored = w->at;
    w->head.index_hash = hash_u64(w->index, index, 0);
    blob_head_put(head, &w->head);
    if ((index && !store_bytes(w, w->index, index, BLOB_HEAD, err)) ||
        !store_bytes(w, head, sizeof(head), 0, err))
        return false;
    if (ftruncate(w->fd, (off_t)w->at) != 0) /* gives back what was reserved too much */
        return err_sys(err, "cache '%s': %s", w->store->dir, w->name);
    FAULT("blob_sync");
    return !durable || fsync(w->fd) == 0 ||
           err_sys(err, "cache '%s': %s: syncing", w->store->dir, w->name);
}

static bool sync_dir(struct store *store, const char *name, struct err *err)
{
    const int fd = openat(store->root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && fsync(fd) == 0;

    if (!ok)
        err_sys(err, "cache '%s': %s: syncing", store->dir, name);
    file_close(fd);
    return ok;
}

/* A blob that is there already is replaced: the same bytes if it is whole, a cure if it is not. */
static bool give_name(struct blob_writer *w, struct digest d, bool durable, struct err *err)
{
    struct store *store = w->store;
    char name[BLOB_NAME], dir[] = "cas/xx";

    blob_name(d, name);
    memcpy(dir, name, sizeof(dir) - 1);
    FAULT("blob_rename");
    int rc = renameat(store->root, w->name, store->root, name);

    if (rc != 0 && errno == ENOENT) {
        if ((mkdirat(store->root, "cas", 0777) != 0 && errno != EEXIST) ||
            (mkdirat(store->root, dir, 0777) != 0 && errno != EEXIST))
            return err_sys(err, "cache '%s': %s", store->dir, dir);
        rc = renameat(store->root, w->name, store->root, name);
    }
    if (rc != 0)
        return err_sys(err, "cache '%s': %s", store->dir, name);
    close(w->fd);
    w->fd = -1;
    FAULT("blob_renamed");
    return !durable || (sync_dir(store, dir, err) && sync_dir(store, "cas", err));
}

bool blob_commit(struct blob_writer *w, struct digest d, bool durable, struct err *err)
{
    const bool ok = finish_file(w, durable, err) && give_name(w, d, durable, err);

    blob_abort(w); /* frees; there is no file left to remove after success */
    return ok;
}
