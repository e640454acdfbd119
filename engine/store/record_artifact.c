#include "base/fault.h"
#include "store/inner.h"

#include <string.h>

enum {
    ARTIFACT_PATH = RECORD_HEAD + 2 * 16,
    FILE_MIN = 5 + 5 * 8,           /* bytes of a file's record with an empty path */
    ENTRY_MIN = 5 + 3 * 16 + 4 + 24 /* of an entry with an empty name */
};

static const char *path_of(const struct record *r, uint32_t *n)
{
    struct bytes b = {r->payload, r->n, 0};
    const char *path = NULL;

    return bytes_take(&b, ARTIFACT_PATH) && record_text(&b, &path, n) ? path : NULL;
}

void artifact_index(struct store *store, uint32_t number)
{
    uint64_t old;
    uint32_t n = 0;
    const char *path = path_of(&store->record[number], &n);

    if (!path)
        return;
    if (map_get(&store->by_artifact, path, n, &old))
        record_replaced(store, (uint32_t)old);
    map_set(&store->by_artifact, path, n, number);
}

static bool get_file(struct bytes *b, struct artifact_file *f)
{
    uint64_t mtime, ctime;

    if (!record_text(b, &f->path, NULL) || !bytes_u64(b, &f->stamp.dev) ||
        !bytes_u64(b, &f->stamp.ino) || !bytes_u64(b, &f->stamp.size) || !bytes_u64(b, &mtime) ||
        !bytes_u64(b, &ctime))
        return false;
    f->stamp.mtime_ns = (int64_t)mtime;
    f->stamp.ctime_ns = (int64_t)ctime;
    return true;
}

static bool get_entry(struct bytes *b, struct artifact_entry *e, uint32_t nfile)
{
    return record_text(b, &e->name, NULL) && record_digest(b, &e->k) && record_digest(b, &e->q) &&
           record_digest(b, &e->d) && bytes_u32(b, &e->file) && e->file < nfile &&
           bytes_u64(b, &e->offset) && bytes_u64(b, &e->size) && bytes_u64(b, &e->form);
}

static struct artifact_record *decode(struct arena *arena, const unsigned char *payload, uint32_t n)
{
    struct bytes b = {payload, n, RECORD_HEAD};
    struct artifact_record *a = arena_alloc(arena, sizeof(*a));
    const unsigned char *boot;

    if (!record_digest(&b, &a->digest) || !(boot = bytes_take(&b, sizeof(a->boot))) ||
        !record_text(&b, &a->path, NULL) || !bytes_u32(&b, &a->nfile) ||
        !bytes_u32(&b, &a->nentry) || a->nfile > bytes_left(&b) / FILE_MIN ||
        a->nentry > bytes_left(&b) / ENTRY_MIN)
        return NULL;
    memcpy(a->boot, boot, sizeof(a->boot));
    a->file = arena_array(arena, a->nfile, sizeof(*a->file));
    a->entry = arena_array(arena, a->nentry, sizeof(*a->entry));
    for (uint32_t i = 0; i < a->nfile; i++)
        if (!get_file(&b, &a->file[i]))
            return NULL;
    for (uint32_t i = 0; i < a->nentry; i++)
        if (!get_entry(&b, &a->entry[i], a->nfile))
            return NULL;
    return a;
}

const struct artifact_record *store_artifact(struct store *store, const char *asked)
{
    const struct artifact_record *found = NULL;
    struct arena *arena = arena_new();
    const char *path = store_named(store, asked, arena);
    uint64_t number;

    pthread_mutex_lock(&store->mutex);
    if (map_get(&store->by_artifact, path, strlen(path), &number)) {
        struct record *r = &store->record[number];

        if (!r->decoded && !r->bad) {
            struct artifact_record *a = decode(store->arena, r->payload, r->n);

            if (a)
                a->path = arena_strdup(store->arena, asked);
            r->decoded = a;
            r->bad = !a;
        }
        found = r->decoded;
    }
    pthread_mutex_unlock(&store->mutex);
    arena_free(arena);
    return found;
}

static void put_name(struct buf *rec, const char *text)
{
    record_put_text(rec, text, (uint32_t)strnlen(text, LOG_PAYLOAD_MAX));
}

static void encode(struct buf *rec, const struct artifact_record *a)
{
    record_begin(rec, RECORD_ARTIFACT, 0);
    buf_put(rec, a->digest.b, sizeof(a->digest.b));
    buf_put(rec, a->boot, sizeof(a->boot));
    put_name(rec, a->path);
    buf_u32(rec, a->nfile);
    buf_u32(rec, a->nentry);
    for (uint32_t i = 0; i < a->nfile; i++) {
        put_name(rec, a->file[i].path);
        buf_u64(rec, a->file[i].stamp.dev);
        buf_u64(rec, a->file[i].stamp.ino);
        buf_u64(rec, a->file[i].stamp.size);
        buf_u64(rec, (uint64_t)a->file[i].stamp.mtime_ns);
        buf_u64(rec, (uint64_t)a->file[i].stamp.ctime_ns);
    }
    for (uint32_t i = 0; i < a->nentry; i++) {
        const struct artifact_entry *e = &a->entry[i];

        put_name(rec, e->name);
        buf_put(rec, e->k.b, sizeof(e->k.b));
        buf_put(rec, e->q.b, sizeof(e->q.b));
        buf_put(rec, e->d.b, sizeof(e->d.b));
        buf_u32(rec, e->file);
        buf_u64(rec, e->offset);
        buf_u64(rec, e->size);
        buf_u64(rec, e->form);
    }
}

/* An artifact that was found whole is recorded again by every build: only a change is written. */
static bool known(const struct store *store, const char *path, const struct buf *rec)
{
    uint64_t number;

    if (!map_get(&store->by_artifact, path, strlen(path), &number))
        return false;
    const struct record *r = &store->record[number];

    return r->n == rec->size - LOG_FRAME && memcmp(r->payload, rec->data + LOG_FRAME, r->n) == 0;
}

bool store_put_artifact(struct store *store, const struct artifact_record *record, struct err *err)
{
    struct artifact_record named = *record;
    struct buf rec = {0};
    bool ok = store_writable(store, err);

    if (!ok)
        return false;
    struct arena *arena = arena_new();

    named.path = store_named(store, record->path, arena);
    encode(&rec, &named);
    pthread_mutex_lock(&store->mutex);
    FAULT("artifact_record");
    if (!known(store, named.path, &rec))
        ok = record_append(store, &rec, err);
    pthread_mutex_unlock(&store->mutex);
    arena_free(arena);
    buf_finish(&rec);
    return ok;
}
