#include "store/blob.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Decoded chunks that a reader keeps: one that tiles are being copied from, one that comes next. */
enum { SLOTS = 2 };

struct slot {
    enum { SLOT_EMPTY, SLOT_LOADING, SLOT_READY } state;
    uint32_t chunk;
    uint32_t users; /* copying from it now */
    uint64_t used;  /* when last */
    unsigned char *raw;
};

struct blob_reader {
    struct store *store;
    const struct codec_ops *ops;
    struct blob_head head;
    int fd;
    char name[BLOB_NAME];
    unsigned char *index;
    pthread_mutex_t mutex; /* over the slots, not over what they hold */
    pthread_cond_t change;
    struct slot slot[SLOTS];
    uint64_t clock;
};

/* ---- opening --------------------------------------------------------------------------- */

void blob_close(struct blob_reader *r)
{
    if (!r)
        return;
    file_close(r->fd);
    for (size_t i = 0; i < SLOTS; i++)
        mem_free(r->slot[i].raw);
    mem_free(r->index);
    pthread_cond_destroy(&r->change);
    pthread_mutex_destroy(&r->mutex);
    mem_free(r);
}

static bool damaged(const struct blob_reader *r, const char *what, struct err *err)
{
    return err_set(err, ERR_CACHE, "cache '%s': %s is damaged: %s", r->store->dir, r->name, what);
}

/* A file that shrank under us is a damaged blob, not a source that changed. */
static bool stored_bytes(const struct blob_reader *r, void *to, size_t n, uint64_t at,
                         struct err *err)
{
    if (file_read_at(r->fd, r->name, to, n, at, err))
        return true;
    return err->code == ERR_CHANGED ? damaged(r, "it is cut off", err)
                                    : err_in(err, "cache '%s'", r->store->dir);
}

static uint64_t chunk_end(const struct blob_reader *r, uint32_t chunk)
{
    return bytes_le(r->index + 8 * (size_t)chunk, 8);
}

static uint64_t chunk_begin(const struct blob_reader *r, uint32_t chunk)
{
    return chunk ? chunk_end(r, chunk - 1) : BLOB_HEAD + 8 * (uint64_t)r->head.count;
}

static size_t chunk_raw(const struct blob_reader *r, uint32_t chunk)
{
    const uint64_t left = r->head.raw - (uint64_t)chunk * r->head.chunk;

    return left < r->head.chunk ? (size_t)left : r->head.chunk;
}

/* After this every chunk lies in the file, one after the other, none larger than it can be. */
static bool read_index(struct blob_reader *r, struct err *err)
{
    const size_t n = 8 * (size_t)r->head.count; /* at most the file's size: the head says so */

    r->index = mem_grow(NULL, n + 1);
    if (n && !stored_bytes(r, r->index, n, BLOB_HEAD, err))
        return false;
    if (hash_u64(r->index, n, 0) != r->head.index_hash)
        return damaged(r, "its index does not verify", err);
    for (uint32_t i = 0; i < r->head.count; i++) {
        const uint64_t begin = chunk_begin(r, i), end = chunk_end(r, i);

        if (end < begin || end - begin > r->ops->bound(chunk_raw(r, i), r->head.element))
            return damaged(r, "its index makes no sense", err);
    }
    if (r->head.count && chunk_end(r, r->head.count - 1) != r->head.stored)
        return damaged(r, "its index makes no sense", err);
    return true;
}

static bool read_head(struct blob_reader *r, uint64_t size, struct err *err)
{
    unsigned char bytes[BLOB_HEAD];
    struct stat st;

    if (fstat(r->fd, &st) != 0)
        return err_sys(err, "cache '%s': %s", r->store->dir, r->name);
    if (!S_ISREG(st.st_mode))
        return damaged(r, "it is not a file", err);
    if (!stored_bytes(r, bytes, sizeof(bytes), 0, err))
        return false;
    if (!blob_head_get(bytes, &r->head))
        return damaged(r, "its header does not verify", err);
    if (r->head.stored != (uint64_t)st.st_size || r->head.raw != size)
        return damaged(r, "its size is another", err);
    r->ops = codec_get(r->head.codec);
    return !r->ops->chunk || read_index(r, err);
}

bool blob_open(struct store *store, struct digest d, uint64_t size, struct blob_reader **out,
               struct err *err)
{
    struct blob_reader *r = mem_grow(NULL, sizeof(*r));

    *r = (struct blob_reader){.store = store, .fd = -1};
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->change, NULL);
    blob_name(d, r->name);
    errno = ENOENT;
    if (store->root >= 0)
        r->fd = openat(store->root, r->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (r->fd < 0 ? !err_sys(err, "cache '%s': %s", store->dir, r->name)
                  : !read_head(r, size, err)) {
        blob_close(r);
        return false;
    }
    *out = r;
    return true;
}

/* ---- reading --------------------------------------------------------------------------- */

static bool load(const struct blob_reader *r, uint32_t chunk, unsigned char *raw, struct err *err)
{
    const uint64_t begin = chunk_begin(r, chunk);
    const size_t n = (size_t)(chunk_end(r, chunk) - begin);
    unsigned char *stored = mem_grow(NULL, n + 1);
    bool ok = stored_bytes(r, stored, n, begin, err);

    if (ok && !r->ops->decode(stored, n, r->head.element, raw, chunk_raw(r, chunk)))
        ok = damaged(r, "a chunk cannot be decoded", err);
    mem_free(stored);
    return ok;
}

/* A slot that holds CHUNK or is loading it, else the one to load it into, else NULL: all are
 * busy. Under the mutex. */
static struct slot *choose(struct blob_reader *r, uint32_t chunk)
{
    struct slot *free = NULL;

    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *s = &r->slot[i];

        if (s->state != SLOT_EMPTY && s->chunk == chunk)
            return s;
        if (s->users == 0 && s->state != SLOT_LOADING && (!free || s->used < free->used))
            free = s;
    }
    return free;
}

/* The slot with CHUNK decoded, its users counted up; NULL after an error. Decoding is done
 * outside the mutex, once, while others who want that chunk wait. */
static struct slot *hold(struct blob_reader *r, uint32_t chunk, struct err *err)
{
    struct slot *s;

    pthread_mutex_lock(&r->mutex);
    while (!(s = choose(r, chunk)) || (s->state == SLOT_LOADING && s->chunk == chunk))
        pthread_cond_wait(&r->change, &r->mutex);
    if (s->state != SLOT_READY || s->chunk != chunk) {
        s->state = SLOT_LOADING;
        s->chunk = chunk;
        pthread_mutex_unlock(&r->mutex);
        if (!s->raw)
            s->raw = mem_grow(NULL, chunk_raw(r, 0)); /* the first chunk is the largest */
        const bool ok = load(r, chunk, s->raw, err);

        pthread_mutex_lock(&r->mutex);
        s->state = ok ? SLOT_READY : SLOT_EMPTY;
        pthread_cond_broadcast(&r->change);
    }
    const bool ready = s->state == SLOT_READY;

    if (ready) {
        s->users++;
        s->used = ++r->clock;
    }
    pthread_mutex_unlock(&r->mutex);
    return ready ? s : NULL;
}

static void release(struct blob_reader *r, struct slot *s)
{
    pthread_mutex_lock(&r->mutex);
    if (--s->users == 0)
        pthread_cond_broadcast(&r->change);
    pthread_mutex_unlock(&r->mutex);
}

bool blob_read(struct blob_reader *r, void *to, uint64_t offset, size_t n, struct err *err)
{
    unsigned char *p = to;

    assert(offset <= r->head.raw && n <= r->head.raw - offset);
    if (!r->ops->chunk)
        return stored_bytes(r, to, n, BLOB_HEAD + offset, err);
    while (n) {
        const uint32_t chunk = (uint32_t)(offset / r->head.chunk);
        const size_t skip = (size_t)(offset % r->head.chunk), there = chunk_raw(r, chunk) - skip;
        const size_t some = n < there ? n : there;
        struct slot *s = hold(r, chunk, err);

        if (!s)
            return false;
        memcpy(p, s->raw + skip, some);
        release(r, s);
        p += some;
        offset += some;
        n -= some;
    }
    return true;
}
