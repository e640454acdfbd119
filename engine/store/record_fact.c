#include "base/fault.h"
#include "store/inner.h"

#include <string.h>

enum { FACT_FIXED = RECORD_HEAD + 16 };

void fact_index(struct store *store, uint32_t number)
{
    const struct record *r = &store->record[number];

    if (r->n >= FACT_FIXED)
        record_replaced(store, index_set(&store->by_fact, r->payload + RECORD_FACT_KEY, number));
}

bool store_fact(struct store *store, struct digest key, struct arena *arena, char **bytes,
                size_t *n)
{
    pthread_mutex_lock(&store->mutex);
    const uint32_t number = index_get(&store->by_fact, key.b);

    if (number != INDEX_NONE) {
        const struct record *r = &store->record[number];

        *n = r->n - FACT_FIXED;
        *bytes = arena_strndup(arena, (const char *)r->payload + FACT_FIXED, *n);
    }
    pthread_mutex_unlock(&store->mutex);
    return number != INDEX_NONE;
}

static bool known(const struct store *store, struct digest key, const void *bytes, size_t n)
{
    const uint32_t number = index_get(&store->by_fact, key.b);

    if (number == INDEX_NONE)
        return false;
    const struct record *r = &store->record[number];

    return r->n - FACT_FIXED == n && (n == 0 || memcmp(r->payload + FACT_FIXED, bytes, n) == 0);
}

bool store_put_fact(struct store *store, struct digest key, const void *bytes, size_t n,
                    struct err *err)
{
    struct buf rec = {0};
    bool ok = store_writable(store, err);

    if (!ok)
        return false;
    pthread_mutex_lock(&store->mutex);
    if (!known(store, key, bytes, n)) {
        record_begin(&rec, RECORD_FACT, 0);
        buf_put(&rec, key.b, sizeof(key.b));
        buf_put(&rec, bytes, n);
        FAULT("fact_record");
        ok = record_append(store, &rec, err);
    }
    pthread_mutex_unlock(&store->mutex);
    buf_finish(&rec);
    return ok;
}
