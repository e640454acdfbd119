#include "base/fault.h"
#include "base/sum.h"
#include "store/inner.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Flag of a SOURCE record: hashing began a clear margin after the last change of the file, so an
 * equal stamp later means equal bytes. Without it the record holds for this process only. */
enum { SOURCE_CLEAR = 1 };
enum { SOURCE_FIXED = RECORD_HEAD + 5 * 8 + 8 + 8, DIGEST_BYTES = 32 };
static const int64_t coarse_margin_ns = 2000000000;
enum { PROBE_PAIRS = 8 };

struct item {
    struct source_digest at;
    bool clear, ours; /* ours: recorded by this process */
};

struct source {
    const char *path;      /* in its first record */
    uint32_t path_n, last; /* LAST: the newest record */
    struct stamp stamp;
    struct item *item; /* sorted by place */
    size_t count, room;
    struct source_digest *given; /* what was handed out, in the store's arena; NULL: make it anew */
    size_t ngiven;
};

/* ---- what is known --------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct source_digest *x = a, *y = b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

static void reserve(struct source *s, size_t count)
{
    if (count <= s->room)
        return;
    s->room = count < 16 ? 16 : count + count / 2;
    s->item = mem_grow(s->item, s->room * sizeof(*s->item));
}

/* Merge N sorted items, newer than those there, from the back so that it is done in place. */
static void merge(struct source *s, const struct item *new, size_t n)
{
    size_t i = s->count, j = n, to = s->count + n;

    reserve(s, to);
    while (j > 0) {
        const int order = i ? by_place(&s->item[i - 1].at, &new[j - 1].at) : -1;

        if (order > 0) {
            s->item[--to] = s->item[--i];
            continue;
        }
        s->item[--to] = new[--j];
        i -= i > 0 && order == 0;
    }
    /* Places [i, to) are what equal items left free. */
    memmove(s->item + i, s->item + to, (s->count + n - to) * sizeof(*s->item));
    s->count = i + s->count + n - to;
}

static struct source *source_of(struct store *store, const char *path, uint32_t n)
{
    uint64_t i = store->nsource;
    struct source *s;

    if (map_get(&store->by_source, path, n, &i))
        return store->source[i];
    if ((store->nsource & (store->nsource - 1)) == 0)
        store->source = mem_grow(store->source, (store->nsource ? 2 * (size_t)store->nsource : 1) *
                                                    sizeof(*store->source));
    s = arena_alloc(store->arena, sizeof(*s));
    *s = (struct source){.path = path, .path_n = n, .last = INDEX_NONE};
    store->source[store->nsource++] = s;
    map_add(&store->by_source, path, n, i, NULL);
    return s;
}

static bool get_stamp(struct bytes *b, struct stamp *stamp)
{
    uint64_t mtime, ctime;

    if (!bytes_u64(b, &stamp->dev) || !bytes_u64(b, &stamp->ino) || !bytes_u64(b, &stamp->size) ||
        !bytes_u64(b, &mtime) || !bytes_u64(b, &ctime))
        return false;
    stamp->mtime_ns = (int64_t)mtime;
    stamp->ctime_ns = (int64_t)ctime;
    return true;
}

/* The items of a record in a heap array; false when it makes no sense. */
static bool decode(const struct record *r, bool ours, struct stamp *stamp, struct item **item,
                   uint32_t *count, const char **path, uint32_t *path_n)
{
    struct bytes b = {r->payload, r->n, RECORD_HEAD};
    const bool clear = r->payload[1] & SOURCE_CLEAR;
    uint64_t started;
    uint32_t n, zero;

    if (!get_stamp(&b, stamp) || !bytes_u64(&b, &started) || !bytes_u32(&b, &n) ||
        !bytes_u32(&b, &zero) || n > bytes_left(&b) / DIGEST_BYTES)
        return false;
    struct item *list = mem_grow(NULL, (n + (size_t)1) * sizeof(*list));
    bool ok = true;

    for (uint32_t i = 0; i < n && ok; i++) {
        list[i] = (struct item){.clear = clear, .ours = ours};
        ok = bytes_u64(&b, &list[i].at.offset) && bytes_u64(&b, &list[i].at.size) &&
             record_digest(&b, &list[i].at.d) &&
             (i == 0 || by_place(&list[i - 1].at, &list[i].at) < 0);
    }
    ok = ok && record_text(&b, path, path_n);
    if (!ok) {
        mem_free(list);
        return false;
    }
    *item = list;
    *count = n;
    return true;
}

void source_index(struct store *store, uint32_t number)
{
    const struct record *r = &store->record[number];
    struct stamp stamp;
    struct item *item;
    uint32_t count, path_n;
    const char *path;

    if (r->n < SOURCE_FIXED || !decode(r, store->opened, &stamp, &item, &count, &path, &path_n))
        return;
    struct source *s = source_of(store, path, path_n);

    if (!stamp_eq(s->stamp, stamp))
        s->count = 0;
    record_replaced(store, s->last);
    s->last = number;
    s->stamp = stamp;
    s->given = NULL;
    merge(s, item, count);
    mem_free(item);
}

void source_finish(struct store *store)
{
    for (uint32_t i = 0; i < store->nsource; i++)
        mem_free(store->source[i]->item);
    mem_free(store->source);
    map_finish(&store->by_source);
    store->source = NULL;
    store->nsource = 0;
}

/* ---- asking ---------------------------------------------------------------------------- */

static bool usable(const struct item *item)
{
    return item->clear || item->ours;
}

static void give(struct store *store, struct source *s)
{
    if (s->given)
        return;
    s->given = arena_array(store->arena, s->count, sizeof(*s->given));
    s->ngiven = 0;
    for (size_t i = 0; i < s->count; i++)
        if (usable(&s->item[i]))
            s->given[s->ngiven++] = s->item[i].at;
}

enum source_trust store_source(struct store *store, const char *path, struct stamp stamp,
                               const struct source_digest **digest, size_t *n)
{
    enum source_trust trust = SOURCE_UNKNOWN;
    struct arena *arena = arena_new();
    uint64_t i;

    *digest = NULL;
    *n = 0;
    path = store_named(store, path, arena);
    pthread_mutex_lock(&store->mutex);
    if (map_get(&store->by_source, path, strlen(path), &i)) {
        struct source *s = store->source[i];

        give(store, s);
        trust = stamp_eq(s->stamp, stamp) && (s->ngiven || !s->count) ? SOURCE_KNOWN : SOURCE_STALE;
        *digest = s->given;
        *n = s->ngiven;
    }
    pthread_mutex_unlock(&store->mutex);
    arena_free(arena);
    return trust;
}

/* ---- recording ------------------------------------------------------------------------- */

static bool two_stamps_differ(int fd, const char *name, struct stamp *last)
{
    struct stamp a, b;
    struct err ignored;

    if (!file_write_at(fd, name, "a", 1, 0, &ignored) || !file_stamp_fd(fd, name, &a, &ignored) ||
        !file_write_at(fd, name, "b", 1, 0, &ignored) || !file_stamp_fd(fd, name, &b, &ignored))
        return false;
    *last = b;
    return a.mtime_ns != b.mtime_ns && a.ctime_ns != b.ctime_ns;
}

/* Does the cache's file system give two writes at once two stamps, time after time? (A coarse
 * clock may tick between one pair, hardly between eight.) Once per store. */
static void probe(struct store *store)
{
    struct stamp stamp = {0};
    char name[TEMP_NAME];

    store->fine = FINE_NO;
    store_temp(store, name);
    const int fd = openat(store->root, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return;
    int pairs = 0;

    while (pairs < PROBE_PAIRS && two_stamps_differ(fd, name, &stamp))
        pairs++;
    if (pairs == PROBE_PAIRS)
        store->fine = FINE_YES;
    store->fine_dev = stamp.dev;
    close(fd);
    unlinkat(store->root, name, 0);
}

static bool is_clear(struct store *store, struct stamp stamp, int64_t started)
{
    const int64_t changed = max_i64(stamp.mtime_ns, stamp.ctime_ns);
    int64_t until;

    if (store->fine == FINE_UNKNOWN)
        probe(store);
    const bool fine = store->fine == FINE_YES && store->fine_dev == stamp.dev;

    return !__builtin_add_overflow(changed, fine ? 0 : coarse_margin_ns, &until) && until < started;
}

bool store_clear(struct store *store, struct stamp stamp, int64_t started)
{
    pthread_mutex_lock(&store->mutex);
    const bool clear = is_clear(store, stamp, started);

    pthread_mutex_unlock(&store->mutex);
    return clear;
}

static void put_stamp(struct buf *rec, struct stamp stamp, int64_t started, bool clear)
{
    record_begin(rec, RECORD_SOURCE, clear ? SOURCE_CLEAR : 0);
    buf_u64(rec, stamp.dev);
    buf_u64(rec, stamp.ino);
    buf_u64(rec, stamp.size);
    buf_u64(rec, (uint64_t)stamp.mtime_ns);
    buf_u64(rec, (uint64_t)stamp.ctime_ns);
    buf_u64(rec, (uint64_t)started);
}

static void put_digest(struct buf *rec, const struct source_digest *d)
{
    buf_u64(rec, d->offset);
    buf_u64(rec, d->size);
    buf_put(rec, d->d.b, sizeof(d->d.b));
}

bool store_put_source(struct store *store, const char *path, struct stamp stamp, int64_t started,
                      const struct source_digest *digest, size_t n, struct err *err)
{
    struct buf rec = {0};

    if (!store_writable(store, err))
        return false;
    if (n > LOG_PAYLOAD_MAX / DIGEST_BYTES)
        return err_set(err, ERR_LIMIT, "%s: %zu tensors, at most %d are recorded", path, n,
                       LOG_PAYLOAD_MAX / DIGEST_BYTES);
    struct source_digest *sorted = mem_grow(NULL, (n + 1) * sizeof(*sorted));

    if (n)
        memcpy(sorted, digest, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), by_place);
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (i == 0 || by_place(&sorted[kept - 1], &sorted[i]) != 0)
            sorted[kept++] = sorted[i];
    pthread_mutex_lock(&store->mutex);
    put_stamp(&rec, stamp, started, is_clear(store, stamp, started));
    buf_u32(&rec, (uint32_t)kept);
    buf_u32(&rec, 0);
    for (size_t i = 0; i < kept; i++)
        put_digest(&rec, &sorted[i]);
    struct arena *arena = arena_new();
    const char *name = store_named(store, path, arena);

    record_put_text(&rec, name, (uint32_t)strnlen(name, LOG_PAYLOAD_MAX));
    arena_free(arena);
    FAULT("source_record");
    const bool ok = record_append(store, &rec, err);

    pthread_mutex_unlock(&store->mutex);
    mem_free(sorted);
    buf_finish(&rec);
    return ok;
}

bool source_save(struct store *store, struct log_copy *copy, struct err *err)
{
    struct buf rec = {0};
    bool ok = true;

    for (uint32_t i = 0; i < store->nsource && ok; i++) {
        const struct source *s = store->source[i];
        uint32_t clear = 0;

        for (size_t k = 0; k < s->count; k++)
            clear += s->item[k].clear;
        if (!clear)
            continue; /* holds for no later build */
        put_stamp(&rec, s->stamp, INT64_MAX, true);
        buf_u32(&rec, clear);
        buf_u32(&rec, 0);
        for (size_t k = 0; k < s->count; k++)
            if (s->item[k].clear)
                put_digest(&rec, &s->item[k].at);
        record_put_text(&rec, s->path, s->path_n);
        ok = log_copy_put(copy, rec.data + LOG_FRAME, (uint32_t)(rec.size - LOG_FRAME), err);
    }
    buf_finish(&rec);
    return ok;
}
