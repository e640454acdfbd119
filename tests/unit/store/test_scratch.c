#include "scratch.h"

static size_t names_in_tmp(const char *dir)
{
    struct arena *arena = arena_new();
    char **name;
    size_t n = SIZE_MAX;

    CHECK(dir_list(path_join(arena, dir, "tmp"), arena, &name, &n, &err));
    arena_free(arena);
    return n;
}

/* False: unfinished work of one merge lands in another's, or a name of it stays. */
TEST(scratch_is_of_its_owner_and_has_no_name)
{
    const char *dir = scratch();
    struct store *store = open_in(dir, STORE_WRITE);
    const uint64_t size[] = {0, 1, 4096, 3 << 20};
    void *p[countof(size)];

    for (size_t i = 0; i < countof(size); i++) {
        CHECK_IN(store_scratch(store, size[i], &p[i], &err), "%s", err.text);
        memset(p[i], (int)i + 1, size[i]);
    }
    CHECK(names_in_tmp(dir) == 0);
    for (size_t i = 0; i < countof(size); i++) {
        const unsigned char *b = p[i];

        CHECK(size[i] == 0 || (b[0] == i + 1 && b[size[i] - 1] == i + 1));
        bulk_free(p[i], size[i]);
    }
    done(store);
}

/* False: a disk that is too small is found when a page is written, which ends the process. */
TEST(too_much_for_the_disk_is_said_at_once)
{
    const char *dir = scratch();
    struct store *store = open_in(dir, STORE_WRITE);
    const uint64_t size[] = {(uint64_t)1 << 60, UINT64_MAX};
    void *p = NULL;

    for (size_t i = 0; i < countof(size); i++)
        CHECK(!store_scratch(store, size[i], &p, &err) && err.code == ERR_SPACE && !p);
    CHECK(names_in_tmp(dir) == 0);
    done(store);
    store = open_in(dir, STORE_READ);
    CHECK(!store_scratch(store, 1, &p, &err) && err.code == ERR_CACHE);
    done(store);
}

TEST_MAIN(RUN(scratch_is_of_its_owner_and_has_no_name) RUN(too_much_for_the_disk_is_said_at_once))
