#include "lua/hub_missing.h"

#include "base/buf.h"
#include "base/map.h"
#include "format/format.h"

#include <stdio.h>
#include <string.h>

enum { RECIPE_BYTES = 16 << 20 };

/* The next name in TEXT: it ends where a string of a recipe ends. */
static char *next_name(const char **text, struct arena *arena)
{
    const char *at = strstr(*text, "hf://");

    if (!at)
        return NULL;
    const size_t n = strcspn(at, "\"' \t\r\n,;)]}\\");

    *text = at + n;
    return arena_strndup(arena, at, n);
}

void hub_missing(const char *recipe, struct err *err)
{
    struct arena *arena = arena_new();
    struct map seen = {0};
    struct buf line = {0};
    struct err one;
    char *text, *dir;
    size_t size, count = 0;

    if (file_read(recipe, RECIPE_BYTES, arena, &text, &size, &one)) {
        const char *at = text;

        for (char *name; (name = next_name(&at, arena)) != NULL;) {
            if (!map_add(&seen, name, strlen(name), 0, NULL) ||
                hub_resolve(name, arena, &dir, &one))
                continue;
            const char *command = strstr(one.text, "hf download ");

            if (command)
                buf_printf(&line, "%s%s", count++ ? " && " : "", command);
        }
    }
    if (count > 1) {
        const size_t used = strlen(err->text);

        snprintf(err->text + used, sizeof(err->text) - used, "; for all that are missing: %s",
                 buf_cstr(&line));
    }
    buf_finish(&line);
    map_finish(&seen);
    arena_free(arena);
}
