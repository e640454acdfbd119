#include "store/store.h"

#include "base/fault.h"
#include "base/msg.h"
#include "store/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char format_text[] = "vbuild-cache 1\n";

/* ---- records --------------------------------------------------------------------------- */

void record_begin(struct buf *rec, enum record_type type, uint8_t flags)
{
    log_begin(rec);
    buf_u8(rec, (uint8_t)type);
    buf_u8(rec, flags);
    buf_fill(rec, 0, RECORD_HEAD - 2);
}

void record_put_text(struct buf *rec, const char *text, uint32_t n)
{
    buf_u32(rec, n);
    buf_put(rec, text, n);
    buf_u8(rec, 0);
}

bool record_text(struct bytes *b, const char **text, uint32_t *n)
{
    const unsigned char *p;
    uint32_t size;

    if (!bytes_u32(b, &size) || !(p = bytes_take(b, (uint64_t)size + 1)) || p[size] != 0)
        return false;
    *text = (const char *)p;
    if (n)
        *n = size;
    return true;
}

bool record_digest(struct bytes *b, struct digest *d)
{
    const unsigned char *p = bytes_take(b, sizeof(d->b));

    if (p)
        memcpy(d->b, p, sizeof(d->b));
    return p != NULL;
}

static const unsigned char *q_of(const void *user, uint32_t number)
{
    return ((const struct store *)user)->record[number].payload + RECORD_Q;
}

static const unsigned char *k_of(const void *user, uint32_t number)
{
    return ((const struct store *)user)->record[number].payload + RECORD_K;
}

/* LOG's visitor, and the last step of an append. */
static void take_record(void *user, const unsigned char *payload, uint32_t n)
{
    static void (*const take[])(struct store *, uint32_t) = {
        [RECORD_ACTION] = action_index, [RECORD_LINK] = link_index,
        [RECORD_SOURCE] = source_index, [RECORD_ARTIFACT] = artifact_index,
        [RECORD_FACT] = fact_index,     [RECORD_TOMBSTONE] = tombstone_index,
    };
    struct store *store = user;

    if (store->nrecord == store->record_room) {
        store->record_room = store->record_room ? 2 * store->record_room : 1024;
        store->record = mem_grow(store->record, store->record_room * sizeof(*store->record));
    }
    store->record[store->nrecord] = (struct record){.payload = payload, .n = n};
    if (payload[0] < countof(take) && take[payload[0]])
        take[payload[0]](store, store->nrecord);
    store->nrecord++;
}

bool record_append(struct store *store, struct buf *rec, struct err *err)
{
    if (store->nrecord == INDEX_NONE - 1)
        return err_set(err, ERR_LIMIT, "cache '%s': its log has too many records; remove it",
                       store->dir);
    if (!log_append(&store->log, rec, err))
        return err_in(err, "cache '%s'", store->dir);
    const size_t n = rec->size - LOG_FRAME;
    unsigned char *copy = arena_alloc(store->arena, n);

    memcpy(copy, rec->data + LOG_FRAME, n);
    take_record(store, copy, (uint32_t)n);
    return true;
}

void record_replaced(struct store *store, uint32_t number)
{
    if (number == INDEX_NONE)
        return;
    store->dead++;
    store->dead_bytes += store->record[number].n;
}

bool store_writable(const struct store *store, struct err *err)
{
    return store->mode == STORE_WRITE ||
           err_set(err, ERR_CACHE, "cache '%s' was opened for reading only", store->dir);
}

void store_temp(struct store *store, char name[TEMP_NAME])
{
    snprintf(name, TEMP_NAME, "tmp/.%llu.vbtmp.%ld",
             (unsigned long long)__atomic_fetch_add(&store->temps, 1, __ATOMIC_RELAXED),
             (long)getpid());
}

/* ---- opening --------------------------------------------------------------------------- */

uint32_t format_number(const char *text, size_t n)
{
    static const char start[] = "vbuild-cache ";
    const size_t at = sizeof(start) - 1;
    uint32_t number = 0;

    if (n < at + 2 || n > at + 10 || memcmp(text, start, at) != 0 || text[n - 1] != '\n')
        return 0;
    for (size_t i = at; i < n - 1; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        number = number * 10 + (uint32_t)(text[i] - '0');
    }
    return number;
}

/* What FORMAT says: *found is false when it is absent or empty (a power cut right after it was
 * made). A format that cannot be used is an error, found before anything is touched. */
static bool check_format(struct store *store, bool *found, struct err *err)
{
    char *path = path_join(store->arena, store->dir, "FORMAT"), *text;
    size_t n;

    *found = false;
    if (!file_exists(path))
        return log_may_be(store->log_path) ||
               err_set(err, ERR_CACHE,
                       "'%s' is not a cache: it has a file 'log' and no FORMAT; "
                       "give another folder with --cache",
                       store->dir);
    struct err why;

    if (!file_read(path, FORMAT_LIMIT, store->arena, &text, &n, &why)) {
        if (why.code != ERR_LIMIT && store->mode == STORE_READ)
            return true; /* what cannot be read is an empty store */
        if (why.code != ERR_LIMIT) {
            *err = why;
            return err_in(err, "cache '%s'", store->dir);
        }
        text = NULL;
        n = SIZE_MAX; /* far too long to be ours */
    }
    if (n == 0 && log_may_be(store->log_path))
        return true;
    const uint32_t number = format_number(text, n);

    if (!number)
        return err_set(err, ERR_CACHE,
                       "cache '%s': its FORMAT is not one of vbuild's; remove the folder or give "
                       "another with --cache",
                       store->dir);
    *found = true;
    if (number > FORMAT_NUMBER)
        return err_set(err, ERR_CACHE,
                       "cache '%s' was written by a newer vbuild (format %u, this one knows %d); "
                       "use that vbuild or another --cache",
                       store->dir, number, FORMAT_NUMBER);
    return true;
}

static bool cannot_write(const struct store *store, struct err *err)
{
    const struct err why = *err;

    if (why.code != ERR_IO)
        return err_in(err, "cache '%s'", store->dir);
    return err_set(err, ERR_IO,
                   "cache '%s' cannot be written (%s); make it writable or give another folder "
                   "with --cache",
                   store->dir, why.text);
}

/* Hold DIR/lock, waiting if need be. Who waited may find that the folder was removed meanwhile:
 * then the lock it got is on a file without a name, and it begins anew. */
static bool take_lock(struct store *store, struct err *err)
{
    char *path = path_join(store->arena, store->dir, "lock");
    struct stamp held, named;
    struct err ignored;
    bool busy = false, said = false;

    for (;;) {
        if (!dir_make(store->dir, err))
            return cannot_write(store, err);
        if (!file_lock(path, &store->lock_fd, said ? NULL : &busy, err))
            return cannot_write(store, err);
        if (!said && busy) {
            msg_note("waiting for another vbuild that uses %s", store->dir);
            said = true;
            continue;
        }
        if (file_stamp_fd(store->lock_fd, path, &held, &ignored) &&
            file_stamp(path, &named, &ignored) && held.dev == named.dev && held.ino == named.ino)
            return true;
        file_close(store->lock_fd);
        store->lock_fd = -1;
    }
}

/* The lock is ours alone, so every temporary in our form is a leftover, whoever has its process
 * number today; anything else in the folder is not ours to remove. */
static void sweep(struct store *store)
{
    char *tmp = path_join(store->arena, store->dir, "tmp");
    struct err ignored;
    char **names;
    size_t n;

    if (!dir_list(tmp, store->arena, &names, &n, &ignored))
        return;
    for (size_t i = 0; i < n; i++)
        if (names[i][0] == '.' && strstr(names[i], ".vbtmp.") &&
            !dir_remove(path_join(store->arena, tmp, names[i]), &ignored))
            msg_verbose("%s", ignored.text);
    temp_sweep(store->dir); /* of FORMAT */
}

static bool open_write(struct store *store, struct err *err)
{
    bool found;

    if (!check_format(store, &found, err) || !take_lock(store, err))
        return false;
    sweep(store);
    /* Again: whoever held the lock may have made it. FORMAT comes before the log, so that a log
     * without one is never ours. */
    if (!check_format(store, &found, err))
        return false;
    if (!dir_make(path_join(store->arena, store->dir, "tmp"), err) ||
        !dir_make(path_join(store->arena, store->dir, "cas"), err) ||
        (!found && !file_replace(path_join(store->arena, store->dir, "FORMAT"), format_text,
                                 strlen(format_text), err)))
        return cannot_write(store, err);
    FAULT("store_made");
    if (!log_open(&store->log, store->log_path, true, take_record, store, err))
        return cannot_write(store, err);
    if (store->log.holes)
        msg_warn("cache '%s': %u damaged place%s in its log; what was recorded there is built "
                 "again",
                 store->dir, store->log.holes, store->log.holes == 1 ? "" : "s");
    store_compact(store);
    return true;
}

static bool open_read(struct store *store, struct err *err)
{
    struct err ignored;
    bool found;

    if (!file_is_dir(store->dir))
        return true;
    if (!log_may_be(store->log_path) && !file_exists(path_join(store->arena, store->dir, "FORMAT")))
        return true; /* some other folder */
    return check_format(store, &found, err) &&
           log_open(&store->log, store->log_path, false, take_record, store, &ignored);
}

/* The working directory, unless DIR is inside it. */
static const char *place_of(const char *dir, struct arena *arena)
{
    char here[4096];

    if (dir[0] != '/' && !(strncmp(dir, "..", 2) == 0 && (dir[2] == 0 || dir[2] == '/')))
        return NULL;
    return getcwd(here, sizeof(here)) ? arena_strdup(arena, here) : NULL;
}

const char *store_named(const struct store *store, const char *path, struct arena *arena)
{
    return store->place ? path_join(arena, store->place, path) : path;
}

bool store_open(struct store **out, const char *dir, enum store_mode mode, struct err *err)
{
    struct arena *arena = arena_new();
    struct store *store = arena_alloc(arena, sizeof(*store));
    struct err ignored;

    *store = (struct store){.mode = mode, .root = -1, .lock_fd = -1, .arena = arena};
    store->log.fd = -1;
    store->dir = arena_strdup(arena, dir);
    store->log_path = path_join(arena, dir, "log");
    store->place = place_of(dir, arena);
    store->by_q = (struct index){.key = q_of, .user = store};
    store->by_k = (struct index){.key = k_of, .user = store};
    store->by_fact = (struct index){.key = q_of, .user = store}; /* RECORD_FACT_KEY is RECORD_Q */
    pthread_mutex_init(&store->mutex, NULL);
    if (!(mode == STORE_WRITE ? open_write(store, err) : open_read(store, err))) {
        (void)store_close(store, false, &ignored);
        return false;
    }
    store->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->root < 0 && mode == STORE_WRITE) {
        err_sys(err, "cache '%s'", dir);
        (void)store_close(store, false, &ignored);
        return false;
    }
    store->opened = true;
    *out = store;
    return true;
}

bool store_close(struct store *store, bool durable, struct err *err)
{
    bool ok = true;

    if (!store)
        return true;
    if (durable && store->log.fd >= 0) {
        ok = log_sync(&store->log, err);
        if (ok && store->root >= 0 && fsync(store->root) != 0)
            ok = err_sys(err, "cache '%s': syncing", store->dir);
    }
    log_close(&store->log);
    source_finish(store);
    index_finish(&store->by_q);
    index_finish(&store->by_k);
    index_finish(&store->by_fact);
    map_finish(&store->by_artifact);
    map_finish(&store->by_source);
    mem_free(store->record);
    file_close(store->root);
    pthread_mutex_destroy(&store->mutex);
    file_close(store->lock_fd); /* and with it the lock */
    arena_free(store->arena);   /* holds the store itself */
    return ok;
}

const char *store_dir(const struct store *store)
{
    return store->dir;
}

const char *store_log(const struct store *store)
{
    return store->log_path;
}
