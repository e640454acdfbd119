#include "base/map.h"

#include "base/arena.h"
#include "base/hash.h"

#include <string.h>

struct map_slot {
    const void *key; /* NULL: free */
    size_t n;
    uint64_t hash, value;
};

/* The seed is fixed: order never leaves a map, and XXH3 chains are short enough even when keys
 * are chosen, because the table grows at half full and compares whole hashes first. */
static struct map_slot *find(const struct map *map, const void *key, size_t n, uint64_t hash)
{
    size_t i = (size_t)hash & (map->room - 1);

    for (;; i = (i + 1) & (map->room - 1)) {
        struct map_slot *s = &map->slot[i];

        if (!s->key || (s->hash == hash && s->n == n && memcmp(s->key, key, n) == 0))
            return s;
    }
}

static void grow(struct map *map)
{
    const struct map old = *map;

    map->room = old.room ? old.room * 2 : 64;
    map->slot = mem_grow(NULL, map->room * sizeof(*map->slot));
    memset(map->slot, 0, map->room * sizeof(*map->slot));
    for (size_t i = 0; i < old.room; i++)
        if (old.slot[i].key)
            *find(map, old.slot[i].key, old.slot[i].n, old.slot[i].hash) = old.slot[i];
    mem_free(old.slot);
}

bool map_get(const struct map *map, const void *key, size_t n, uint64_t *value)
{
    if (!map->room)
        return false;
    const struct map_slot *s = find(map, key, n, hash_u64(key, n, 0));

    if (s->key && value)
        *value = s->value;
    return s->key != NULL;
}

bool map_add(struct map *map, const void *key, size_t n, uint64_t value, uint64_t *old)
{
    if (map->count * 2 >= map->room)
        grow(map);
    const uint64_t hash = hash_u64(key, n, 0);
    struct map_slot *s = find(map, key, n, hash);

    if (s->key) {
        if (old)
            *old = s->value;
        return false;
    }
    *s = (struct map_slot){key, n, hash, value};
    map->count++;
    return true;
}

void map_set(struct map *map, const void *key, size_t n, uint64_t value)
{
    if (map_add(map, key, n, value, NULL))
        return;
    find(map, key, n, hash_u64(key, n, 0))->value = value;
}

void map_finish(struct map *map)
{
    mem_free(map->slot);
    *map = (struct map){0};
}
