#include "graph/pool.h"

#include "base/arena.h"

#include <pthread.h>
#include <string.h>

enum { LIVE_MAX = 1024, ALIGN = 4096 };

struct live {
    uint64_t at, size;
};

struct pool {
    pthread_mutex_t lock;
    unsigned char *base;
    uint64_t room;
    struct live live[LIVE_MAX]; /* by place */
    uint32_t count;
};

struct pool *pool_new(uint64_t room)
{
    struct pool *pool = mem_grow(NULL, sizeof(*pool));

    *pool = (struct pool){.room = room};
    pool->base = bulk_alloc(room);
    if (!pool->base)
        pool->room = 0;
    pthread_mutex_init(&pool->lock, NULL);
    return pool;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    bulk_free(pool->base, pool->room);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool);
}

/* The lowest gap that is large enough: it comes before live[*i]. */
static bool find(const struct pool *pool, uint64_t size, uint32_t *i, uint64_t *at)
{
    *at = 0;
    for (*i = 0; *i < pool->count; (*i)++) {
        if (pool->live[*i].at - *at >= size)
            return true;
        *at = pool->live[*i].at + pool->live[*i].size;
    }
    return pool->count < LIVE_MAX && pool->room - *at >= size;
}

void *pool_take(struct pool *pool, uint64_t size)
{
    void *out = NULL;
    uint64_t at;
    uint32_t i;

    if (size > pool->room)
        return NULL;
    size = (size / ALIGN + 1) * ALIGN; /* never 0: a place is one region's */
    pthread_mutex_lock(&pool->lock);
    if (pool->count < LIVE_MAX && find(pool, size, &i, &at)) {
        memmove(&pool->live[i + 1], &pool->live[i], (pool->count - i) * sizeof(*pool->live));
        pool->live[i] = (struct live){at, size};
        pool->count++;
        out = pool->base + at;
    }
    pthread_mutex_unlock(&pool->lock);
    return out;
}

void pool_give(struct pool *pool, void *data)
{
    if (!data)
        return;
    const uint64_t at = (uint64_t)((unsigned char *)data - pool->base);
    uint32_t i = 0;

    pthread_mutex_lock(&pool->lock);
    while (pool->live[i].at != at)
        i++;
    pool->count--;
    memmove(&pool->live[i], &pool->live[i + 1], (pool->count - i) * sizeof(*pool->live));
    pthread_mutex_unlock(&pool->lock);
}
