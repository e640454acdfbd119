#include "base/witness.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static const char *at(struct arena *arena, const char *name)
{
    return path_join(arena, dir, name);
}

static void write_text(const char *path, const char *text)
{
    struct err err;

    CHECK(file_replace(path, text, strlen(text), &err));
}

/* What was seen of PATH; kind SIGHT_KINDS when nothing was. */
static struct sight find(const struct sight *list, uint32_t n, const char *path)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(list[i].path, path) == 0)
            return list[i];
    return (struct sight){.path = path, .kind = SIGHT_KINDS};
}

/* If a look went unseen, a snapshot could outlive a change of what was looked at. */
TEST(every_look_is_seen)
{
    struct arena *arena = arena_new();
    const char *read = at(arena, "read"), *mapped = at(arena, "mapped"),
               *stamped = at(arena, "stamped"), *missing = at(arena, "missing"),
               *folder = at(arena, "folder"), *listed = at(arena, "listed");
    struct err err;
    struct stamp stamp;
    struct filemap map;
    char *text, **names;
    size_t size;
    uint32_t n;

    write_text(read, "1");
    write_text(mapped, "2");
    write_text(stamped, "3");
    CHECK(dir_make(folder, &err) && dir_make(listed, &err));
    struct witness *w = witness_begin(arena);

    CHECK(file_read(read, 9, arena, &text, &size, &err));
    CHECK(filemap_open(&map, mapped, &err));
    CHECK(file_stamp(stamped, &stamp, &err));
    CHECK(!file_exists(missing));
    CHECK(file_is_dir(folder));
    CHECK(file_is_dir(listed) && dir_list(listed, arena, &names, &size, &err));
    CHECK(file_exists(read)); /* twice is once */
    const struct sight *list = witness_end(w, &n);

    filemap_close(&map);
    CHECK(n == 6);
    CHECK(find(list, n, read).kind == SIGHT_FILE);
    CHECK(find(list, n, mapped).kind == SIGHT_FILE);
    CHECK(stamp_eq(find(list, n, stamped).stamp, stamp));
    CHECK(find(list, n, missing).kind == SIGHT_ABSENT);
    CHECK(find(list, n, folder).kind == SIGHT_FOLDER);
    CHECK(find(list, n, listed).kind == SIGHT_LISTED);
    CHECK(!file_exists(missing)); /* nobody watches any more */
    for (uint32_t i = 0; i < n; i++)
        CHECK(sight_stands(&list[i]));
    arena_free(arena);
}

/* If a sight stood after its path changed, the change would be missed. */
TEST(a_changed_path_does_not_stand)
{
    struct arena *arena = arena_new();
    const char *file = at(arena, "file"), *folder = at(arena, "names"),
               *inside = at(arena, "names/inside");
    struct err err;

    write_text(file, "old");
    CHECK(dir_make(folder, &err));
    const struct sight was = sight_take(file, false), missing = sight_take(inside, false),
                       is_folder = sight_take(folder, false), listed = sight_take(folder, true);

    CHECK(sight_stands(&was) && sight_stands(&missing) && sight_stands(&listed));
    write_text(file, "new");
    CHECK(!sight_stands(&was));
    write_text(inside, "");
    CHECK(!sight_stands(&missing));
    CHECK(!sight_stands(&listed));
    CHECK(sight_stands(&is_folder)); /* what is in it was not asked */
    CHECK(dir_remove(folder, &err));
    CHECK(!sight_stands(&is_folder));
    CHECK(unlink(file) == 0);
    CHECK(!sight_stands(&was));
    CHECK(mkdir(file, 0777) == 0); /* a folder in the place of a file */
    CHECK(!sight_stands(&was));
    arena_free(arena);
}

/* If the stamp were taken after the look, a change between the two would be missed. */
TEST(a_path_counts_as_it_was_first_seen)
{
    struct arena *arena = arena_new();
    const char *file = at(arena, "twice");
    char *text;
    size_t size;
    uint32_t n;
    struct err err;

    write_text(file, "first");
    struct witness *w = witness_begin(arena);

    CHECK(file_read(file, 9, arena, &text, &size, &err));
    witness_end(w, &n);
    write_text(file, "other");
    w = witness_begin(arena);
    CHECK(file_read(file, 9, arena, &text, &size, &err));
    write_text(file, "third");
    CHECK(file_read(file, 9, arena, &text, &size, &err));
    const struct sight *list = witness_end(w, &n);

    CHECK(n == 1); /* file_replace looks at nothing, and the temporary is not an input */
    CHECK(!sight_stands(&list[0]));
    arena_free(arena);
}

static void all(void)
{
    struct err err;

    snprintf(dir, sizeof(dir), "/tmp/vbuild-witness-XXXXXX");
    if (!mkdtemp(dir)) {
        perror(dir);
        exit(1);
    }
    RUN(every_look_is_seen)
    RUN(a_changed_path_does_not_stand)
    RUN(a_path_counts_as_it_was_first_seen)
    if (!dir_remove(dir, &err))
        fprintf(stderr, "%s\n", err.text);
}

TEST_MAIN(all();)
