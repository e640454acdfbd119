#include "base/witness.h"

#include "base/map.h"

#include <string.h>
#include <sys/stat.h>

struct witness {
    struct arena *arena;
    struct sight *sight;
    uint32_t n, room;
    struct map by_path;
};

static struct witness *watching; /* NULL: nobody asked */

struct sight sight_take(const char *path, bool listed)
{
    struct sight sight = {.path = path, .kind = SIGHT_ABSENT};
    struct stat st;

    if (stat(path, &st) != 0)
        return sight;
    if (S_ISDIR(st.st_mode))
        sight.kind = listed ? SIGHT_LISTED : SIGHT_FOLDER;
    else
        sight.kind = SIGHT_FILE;
    if (sight.kind != SIGHT_FOLDER)
        sight.stamp = stamp_of(&st);
    return sight;
}

bool sight_stands(const struct sight *sight)
{
    const struct sight now = sight_take(sight->path, sight->kind == SIGHT_LISTED);

    return now.kind == sight->kind && stamp_eq(now.stamp, sight->stamp);
}

struct witness *witness_begin(struct arena *arena)
{
    watching = arena_alloc(arena, sizeof(*watching));
    *watching = (struct witness){.arena = arena};
    return watching;
}

const struct sight *witness_end(struct witness *witness, uint32_t *n)
{
    struct sight *list = arena_array(witness->arena, witness->n, sizeof(*list));

    watching = NULL;
    if (witness->n)
        memcpy(list, witness->sight, witness->n * sizeof(*list));
    *n = witness->n;
    mem_free(witness->sight);
    map_finish(&witness->by_path);
    return list;
}

void witness_tell(const char *path, bool listed)
{
    struct witness *w = watching;
    uint64_t at;

    if (!w)
        return;
    if (map_get(&w->by_path, path, strlen(path), &at)) {
        if (listed && w->sight[at].kind == SIGHT_FOLDER)
            w->sight[at] = sight_take(w->sight[at].path, true);
        return;
    }
    if (w->n == w->room) {
        w->room = w->room ? 2 * w->room : 64;
        w->sight = mem_grow(w->sight, w->room * sizeof(*w->sight));
    }
    const char *kept = arena_strdup(w->arena, path);

    w->sight[w->n] = sight_take(kept, listed);
    map_set(&w->by_path, kept, strlen(kept), w->n++);
}
