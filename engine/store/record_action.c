#include "base/fault.h"
#include "base/msg.h"
#include "store/inner.h"

#include <stdio.h>
#include <string.h>

enum { ACTION_FIXED = RECORD_HEAD + 3 * 16 + 3 * 8, LINK_FIXED = RECORD_HEAD + 2 * 16 };

/* ---- reading --------------------------------------------------------------------------- */

void action_index(struct store *store, uint32_t number)
{
    const struct record *r = &store->record[number];

    if (r->n < ACTION_FIXED)
        return;
    record_replaced(store, index_set(&store->by_k, r->payload + RECORD_K, number));
    index_set(&store->by_q, r->payload + RECORD_Q, number);
}

void link_index(struct store *store, uint32_t number)
{
    const struct record *r = &store->record[number];

    if (r->n == LINK_FIXED)
        index_set(&store->by_q, r->payload + RECORD_Q, number);
}

void tombstone_index(struct store *store, uint32_t number)
{
    const struct record *r = &store->record[number];

    if (r->n == LINK_FIXED)
        record_replaced(store, index_set(&store->by_k, r->payload + RECORD_K, number));
}

static struct action *decode(struct arena *arena, const unsigned char *payload, uint32_t n)
{
    struct bytes b = {payload, n, RECORD_HEAD};
    struct action *a = arena_alloc(arena, sizeof(*a));

    if (!record_digest(&b, &a->q) || !record_digest(&b, &a->k) || !record_digest(&b, &a->d) ||
        !bytes_u64(&b, &a->size) || !bytes_u64(&b, &a->cpu_us) || !bytes_u64(&b, &a->build) ||
        !record_text(&b, &a->line, NULL) || !record_text(&b, &a->text, &a->text_size) ||
        !bytes_u32(&b, &a->ninput) || a->ninput > bytes_left(&b) / (2 * 16 + 5))
        return NULL;
    a->input = arena_array(arena, a->ninput, sizeof(*a->input));
    for (uint32_t i = 0; i < a->ninput; i++)
        if (!record_digest(&b, &a->input[i].q) || !record_digest(&b, &a->input[i].d) ||
            !record_text(&b, &a->input[i].label, NULL))
            return NULL;
    return a;
}

static const struct action *get_k(struct store *store, const unsigned char *k)
{
    const uint32_t number = index_get(&store->by_k, k);

    if (number == INDEX_NONE || store->record[number].payload[0] != RECORD_ACTION)
        return NULL;
    struct record *r = &store->record[number];

    if (!r->decoded && !r->bad) {
        r->decoded = decode(store->arena, r->payload, r->n);
        r->bad = !r->decoded;
    }
    return r->decoded;
}

static const struct action *get_q(struct store *store, const unsigned char *q)
{
    const uint32_t number = index_get(&store->by_q, q);

    return number == INDEX_NONE ? NULL : get_k(store, store->record[number].payload + RECORD_K);
}

const struct action *store_by_q(struct store *store, struct digest q)
{
    pthread_mutex_lock(&store->mutex);
    const struct action *a = get_q(store, q.b);

    pthread_mutex_unlock(&store->mutex);
    return a;
}

const struct action *store_by_k(struct store *store, struct digest k)
{
    pthread_mutex_lock(&store->mutex);
    const struct action *a = get_k(store, k.b);

    pthread_mutex_unlock(&store->mutex);
    return a;
}

/* ---- writing --------------------------------------------------------------------------- */

static void encode(struct buf *rec, const struct action *a)
{
    record_begin(rec, RECORD_ACTION, 0);
    buf_put(rec, a->q.b, sizeof(a->q.b));
    buf_put(rec, a->k.b, sizeof(a->k.b));
    buf_put(rec, a->d.b, sizeof(a->d.b));
    buf_u64(rec, a->size);
    buf_u64(rec, a->cpu_us);
    buf_u64(rec, a->build);
    record_put_text(rec, a->line, (uint32_t)strnlen(a->line, LOG_PAYLOAD_MAX));
    record_put_text(rec, a->text, a->text_size);
    buf_u32(rec, a->ninput);
    for (uint32_t i = 0; i < a->ninput; i++) {
        const struct action_input *in = &a->input[i];

        buf_put(rec, in->q.b, sizeof(in->q.b));
        buf_put(rec, in->d.b, sizeof(in->d.b));
        record_put_text(rec, in->label, (uint32_t)strnlen(in->label, LOG_PAYLOAD_MAX));
    }
}

static bool two_results(const struct action *old, const struct action *new, struct err *err)
{
    char k[DIGEST_HEX + 1], was[DIGEST_HEX + 1], is[DIGEST_HEX + 1];

    return err_set(err, ERR_VERIFY,
                   "two results for one key: %s gave %s (%llu bytes) before and %s (%llu bytes) "
                   "now; the older stays; build with an empty --cache to see which is right",
                   digest_hex(old->k, k), digest_hex(old->d, was), (unsigned long long)old->size,
                   digest_hex(new->d, is), (unsigned long long)new->size);
}

static bool put_locked(struct store *store, const struct action *a, struct err *err)
{
    const struct action *old = get_k(store, a->k.b);
    struct buf rec = {0};

    if (old && (!digest_eq(old->d, a->d) || old->size != a->size))
        return two_results(old, a, err);
    if (old && get_q(store, a->q.b) == old)
        return true;
    if (old) {
        record_begin(&rec, RECORD_LINK, 0);
        buf_put(&rec, a->q.b, sizeof(a->q.b));
        buf_put(&rec, a->k.b, sizeof(a->k.b));
    } else {
        encode(&rec, a);
    }
    FAULT("action_record");
    const bool ok = record_append(store, &rec, err);

    buf_finish(&rec);
    return ok;
}

bool store_put_action(struct store *store, const struct action *action, struct err *err)
{
    if (!store_writable(store, err))
        return false;
    pthread_mutex_lock(&store->mutex);
    const bool ok = put_locked(store, action, err);

    pthread_mutex_unlock(&store->mutex);
    return ok;
}

bool store_forget(struct store *store, struct digest k, struct err *err)
{
    bool ok = store_writable(store, err);
    struct buf rec = {0};

    if (!ok)
        return false;
    pthread_mutex_lock(&store->mutex);
    if (get_k(store, k.b)) {
        record_begin(&rec, RECORD_TOMBSTONE, 0);
        buf_fill(&rec, 0, sizeof(k.b));
        buf_put(&rec, k.b, sizeof(k.b));
        ok = record_append(store, &rec, err);
    }
    pthread_mutex_unlock(&store->mutex);
    buf_finish(&rec);
    return ok;
}

bool store_empty(const struct store *store)
{
    return store->by_q.count == 0;
}
