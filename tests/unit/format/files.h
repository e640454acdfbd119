/* files.h - files and folders for the tests of formats: whole reads, scratch folders */
#ifndef FILES_H
#define FILES_H

#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"

/* "DIR/NAME"; the caller's arena. */
#define PATH(...) arena_printf(arena, __VA_ARGS__)

static inline void put_file(const char *path, const void *bytes, size_t n)
{
    struct err err;

    if (!file_replace(path, bytes, n, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
}

static inline char *get_file(struct arena *arena, const char *path, size_t *n)
{
    struct err err;
    char *text;

    if (!file_read(path, 1 << 24, arena, &text, n, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return text;
}

static inline void copy_file(struct arena *arena, const char *from, const char *to)
{
    size_t n;
    const char *text = get_file(arena, from, &n);

    put_file(to, text, n);
}

/* Everything in FROM (a flat folder that may be absent) into TO (made when it is not there). */
static inline void copy_files(struct arena *arena, const char *from, const char *to)
{
    struct err err;
    char **name;
    size_t n;

    if (!dir_make(to, &err))
        exit(1);
    if (file_is_dir(from) && dir_list(from, arena, &name, &n, &err))
        for (size_t i = 0; i < n; i++)
            copy_file(arena, path_join(arena, from, name[i]), path_join(arena, to, name[i]));
}

/* A new folder under TMPDIR (or /tmp); remove it with dir_remove. */
static inline char *scratch_dir(struct arena *arena)
{
    const char *tmp = getenv("TMPDIR");
    char *path = arena_printf(arena, "%s/vbuild-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");

    if (!mkdtemp(path))
        exit(1);
    return path;
}

/* tests/golden/malformed/index.json, parsed. */
static inline struct json malformed_index(struct arena *arena)
{
    struct json doc;
    struct err err;
    size_t n;
    const char *text = get_file(arena, "tests/golden/malformed/index.json", &n);

    if (!json_parse(&doc, text, n, 16, arena, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return doc;
}

static inline const char *text_at(const struct json *doc, uint32_t object, const char *key,
                                  struct arena *arena)
{
    size_t n;
    const char *text = json_string(doc, json_get(doc, object, key), arena, &n);

    return text ? arena_strndup(arena, text, n) : "";
}

#endif
