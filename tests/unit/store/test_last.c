#include "scratch.h"

static const char text[] = "what stands";

static struct digest key_of(uint64_t i)
{
    return digest_of("snapshot", i);
}

static const char *file_of(const char *dir, struct digest key)
{
    char name[16];

    snprintf(name, sizeof(name), "last/%02x", key.b[0]);
    return in(dir, name);
}

static bool there(const char *dir, struct digest key, const void *bytes, size_t n)
{
    struct bytes got;

    return store_last(dir, key, scratch_arena, &got) && got.size == n &&
           memcmp(got.data, bytes, n) == 0;
}

static const char *with_one(struct digest key)
{
    const char *dir = scratch();
    struct store *store = open_in(dir, STORE_WRITE);

    CHECK(store_put_last(store, key, text, sizeof(text), &err));
    done(store);
    return dir;
}

/* False: a build forgets, or answers with what another build of other words left. */
TEST(a_snapshot_is_found_by_its_key_alone)
{
    const struct digest key = key_of(1);
    struct digest near = key;
    const char *dir = with_one(key);

    near.b[15] ^= 1; /* the same file */
    CHECK(there(dir, key, text, sizeof(text)));
    CHECK(!there(dir, near, text, sizeof(text)));
    CHECK(!there(dir, key_of(2), text, sizeof(text)));
    struct store *store = open_in(dir, STORE_WRITE);

    CHECK(store_put_last(store, near, "", 0, &err)); /* takes its place */
    done(store);
    CHECK(there(dir, near, "", 0));
    CHECK(!there(dir, key, text, sizeof(text)));
}

/* False: a damaged snapshot says that there is nothing to do. */
TEST(a_damaged_snapshot_is_none)
{
    const struct digest key = key_of(3);
    const char *dir = with_one(key), *path = file_of(dir, key);
    size_t n;
    char *whole = slurp(path, &n);

    for (size_t i = 0; i < n; i++) {
        whole[i] ^= 0x10;
        spill(path, whole, n);
        CHECK_IN(!there(dir, key, text, sizeof(text)), "byte %zu", i);
        whole[i] ^= 0x10;
    }
    for (size_t i = 0; i < n; i++) {
        struct bytes got;

        spill(path, whole, i);
        CHECK_IN(!store_last(dir, key, scratch_arena, &got), "cut at %zu", i);
    }
    spill(path, whole, n);
    CHECK(there(dir, key, text, sizeof(text)));
}

/* False: a cache that would be refused is used, or one is made by looking. */
TEST(only_a_cache_of_this_version_has_snapshots)
{
    const struct digest key = key_of(4);
    const char *dir = with_one(key), *format = in(dir, "FORMAT");
    struct bytes got;

    spill(format, "vbuild-cache 2\n", 15);
    CHECK(!there(dir, key, text, sizeof(text)));
    CHECK(unlink(format) == 0);
    CHECK(!there(dir, key, text, sizeof(text)));
    spill(format, "vbuild-cache 1\n", 15);
    CHECK(there(dir, key, text, sizeof(text)));
    CHECK(!store_last(in(dir, "none"), key, scratch_arena, &got));
    CHECK(!file_exists(in(dir, "none")));
    struct store *store = open_in(dir, STORE_READ);

    CHECK(!store_put_last(store, key, text, sizeof(text), &err)); /* readers write nothing */
    done(store);
}

/* False: a change within the margin of the file system's clock hides behind an equal stamp. */
TEST(a_stamp_is_clear_only_after_its_margin)
{
    const char *dir = scratch();
    struct store *store = open_in(dir, STORE_WRITE);
    const int64_t second = 1000000000;
    const struct stamp elsewhere = {.dev = UINT64_MAX, .mtime_ns = 5 * second, .ctime_ns = second};
    const struct stamp future = {.dev = UINT64_MAX, .mtime_ns = INT64_MAX};

    CHECK(!store_clear(store, elsewhere, 5 * second));
    CHECK(!store_clear(store, elsewhere, 7 * second));
    CHECK(store_clear(store, elsewhere, 7 * second + 1));
    CHECK(!store_clear(store, future, INT64_MAX));
    done(store);
}

TEST_MAIN(RUN(a_snapshot_is_found_by_its_key_alone) RUN(a_damaged_snapshot_is_none)
              RUN(only_a_cache_of_this_version_has_snapshots)
                  RUN(a_stamp_is_clear_only_after_its_margin) scratch_done();)
