#include "base/msg.h"
#include "store/inner.h"

#include <string.h>

/* Below these a log is small enough to be left as it is (specs/build-engine.md section 3.3). */
enum { RECORDS_MANY = 10000, BYTES_MANY = 32 << 20, DEAD_SHARE = 3 };

static bool k_lives(const struct store *store, const unsigned char *k, uint32_t *number)
{
    *number = index_get(&store->by_k, k);
    return *number != INDEX_NONE && store->record[*number].payload[0] == RECORD_ACTION;
}

bool record_live(const struct store *store, uint32_t number)
{
    const struct record *r = &store->record[number];
    const unsigned char *q = r->payload + RECORD_Q, *k = r->payload + RECORD_K;
    uint32_t newest;
    uint64_t of_path;

    switch (r->payload[0]) {
    case RECORD_ACTION:
    case RECORD_LINK:
        return r->n >= RECORD_K + sizeof(struct digest) && k_lives(store, k, &newest) &&
               (newest == number || index_get(&store->by_q, q) == number);
    case RECORD_FACT:
        return r->n >= RECORD_FACT_KEY + sizeof(struct digest) &&
               index_get(&store->by_fact, q) == number;
    case RECORD_ARTIFACT: {
        struct bytes b = {r->payload, r->n, RECORD_HEAD + 2 * sizeof(struct digest)};
        const char *path;
        uint32_t n;

        return r->n > b.at && record_text(&b, &path, &n) &&
               map_get(&store->by_artifact, path, n, &of_path) && of_path == number;
    }
    case RECORD_SOURCE:
    case RECORD_TOMBSTONE:
        return false;
    default:
        return true; /* not known here, so not ours to drop */
    }
}

static bool rewrite(struct store *store, struct err *err)
{
    char name[TEMP_NAME];
    struct log_copy copy;

    store_temp(store, name);
    if (!log_copy_begin(&copy, path_join(store->arena, store->dir, name), err))
        return false;
    bool ok = true;

    for (uint32_t i = 0; i < store->nrecord && ok; i++)
        if (record_live(store, i))
            ok = log_copy_put(&copy, store->record[i].payload, store->record[i].n, err);
    if (ok && source_save(store, &copy, err))
        return log_copy_commit(&copy, &store->log, err);
    log_copy_abort(&copy);
    return false;
}

void store_compact(struct store *store)
{
    const struct log *log = &store->log;
    const bool many =
        log->records > RECORDS_MANY && (log->records - store->dead) * DEAD_SHARE < log->records;
    const bool large =
        log->bytes > BYTES_MANY && (log->bytes - store->dead_bytes) * DEAD_SHARE < log->bytes;
    struct err err;

    if ((many || large || log->holes) && !rewrite(store, &err))
        msg_verbose("cache '%s': its log stays as it is: %s", store->dir, err.text);
    store->dead = store->dead_bytes = 0;
}
