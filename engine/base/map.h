/* map.h - byte strings to numbers: an open-addressed table that does not own its keys */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/cc.h"

struct map {
    struct map_slot *slot;
    size_t room, count;
};

/* Keys are N bytes and must outlive the map. Values are any u64 (an index, mostly). */
bool map_get(const struct map *map, const void *key, size_t n, uint64_t *value);
/* False, and nothing changed, when the key is there already; *old gets its value if not NULL. */
bool map_add(struct map *map, const void *key, size_t n, uint64_t value, uint64_t *old);
void map_set(struct map *map, const void *key, size_t n, uint64_t value); /* add or replace */
void map_finish(struct map *map);

#endif
