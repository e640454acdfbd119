#include "scratch.h"

#include "base/hash.h"

enum { ROWS = 600, COLS = 512 };

static struct digest file_digest(const char *path)
{
    struct arena *arena = arena_new();
    struct digest d = {{0}};
    struct err err;
    char *text;
    size_t n;

    if (file_read(path, 1 << 28, arena, &text, &n, &err))
        d = hash_bytes(text, n);
    arena_free(arena);
    return d;
}

static void overwrite(const char *path, const void *bytes, size_t n, off_t at)
{
    const int fd = chmod(path, 0644) == 0 ? open(path, O_WRONLY) : -1;

    if (fd < 0 || pwrite(fd, bytes, n, at) != (ssize_t)n)
        abort();
    close(fd);
}

/* The one blob of the cache. */
static void damage_blob(void)
{
    struct arena *arena = arena_new();
    struct err err;
    char **folder, **name;
    size_t nfolder, n, count = 0;

    CHECK(dir_list("cache/cas", arena, &folder, &nfolder, &err));
    for (size_t i = 0; i < nfolder; i++) {
        char *dir = path_join(arena, "cache/cas", folder[i]);

        CHECK(dir_list(dir, arena, &name, &n, &err));
        for (size_t k = 0; k < n; k++, count++)
            overwrite(path_join(arena, dir, name[k]), "damage", 6, 1000);
    }
    CHECK(count == 1);
    arena_free(arena);
}

static struct node_id block(struct graph *g, const char *path)
{
    return quantized(g, source(g, path, ROWS, COLS), DTYPE_q4_k);
}

/* If it failed, a file that a power cut damaged would be reported, and kept. */
TEST(a_file_damaged_before_this_boot_is_built_again)
{
    const struct build_options o = options_of(2, 64 << 20, 0);
    struct build_report r;
    struct err err = {0};
    struct store *store;

    scratch_make();
    put_source("a.bin", ROWS, COLS, 1);
    struct graph *g = graph_new();
    const struct node_id q = block(g, "a.bin");
    const struct artifact art = one_file(g, "S", &q, 1);

    CHECK_IN(build(g, &art, 1, &o, &r, &err), "%s", err.text);
    const struct digest good = file_digest("outputs/S");

    overwrite("outputs/S", "damage", 6, 1000);
    CHECK(store_open(&store, "cache", STORE_WRITE, &err));
    struct artifact_record record = *store_artifact(store, "outputs/S");
    struct artifact_file file = record.file[0];

    memset(record.boot, 7, sizeof(record.boot)); /* as another boot left it */
    CHECK(file_stamp("outputs/S", &file.stamp, &err));
    record.file = &file;
    CHECK(store_put_artifact(store, &record, &err) && store_close(store, false, &err));
    CHECK_IN(build(g, &art, 1, &o, &r, &err), "%s", err.text);
    CHECK(r.artifact[0].written && r.run == 0);
    CHECK(digest_eq(good, file_digest("outputs/S")));
    graph_free(g);
    scratch_remove();
}

/* If it failed, a damaged blob that two tensors share would end the build instead of being
 * made again. */
TEST(a_damaged_blob_of_two_tensors_is_made_again)
{
    for (uint32_t jobs = 1; jobs <= 2; jobs++) {
        const struct build_options o = options_of(jobs, 64 << 20, 0);
        struct build_report r;
        struct err err = {0};

        scratch_make();
        put_source("a.bin", ROWS, COLS, 1);
        put_source("b.bin", ROWS, COLS, 1); /* the same bytes: one blob */
        struct graph *g = graph_new();
        const struct node_id q[2] = {block(g, "a.bin"), block(g, "b.bin")};
        const struct artifact art = one_file(g, "S", q, 2);

        CHECK_IN(build(g, &art, 1, &o, &r, &err), "%s", err.text);
        const struct digest good = file_digest("outputs/S");

        CHECK(unlink("outputs/S") == 0);
        damage_blob();
        CHECK_IN(build(g, &art, 1, &o, &r, &err), "%u workers: %s", jobs, err.text);
        CHECK(digest_eq(good, file_digest("outputs/S")));
        graph_free(g);
        scratch_remove();
    }
}

/* If it failed, --keep-going would give up on what does not need the node that failed. */
TEST(keep_going_makes_damaged_blobs_again)
{
    struct build_options o = options_of(1, 64 << 20, 0);
    const uint16_t nan = 0x7fc0;
    struct artifact art[2];
    struct build_report r;
    struct err err = {0};

    scratch_make();
    put_source("a.bin", ROWS, COLS, 1);
    put_source("z.bin", ROWS, COLS, 9);
    overwrite("z.bin", &nan, 2, 4000);
    o.keep_going = true;
    struct graph *g = graph_new();
    const struct node_id q = block(g, "a.bin"), z = block(g, "z.bin");

    art[0] = one_file(g, "S", &q, 1);
    art[1] = one_file(g, "Z", &z, 1);
    CHECK_IN(build(g, art, 1, &o, &r, &err), "%s", err.text);
    CHECK(unlink("outputs/S") == 0);
    damage_blob();
    CHECK(!build(g, art, 2, &o, &r, &err));
    CHECK(r.artifact[1].failed && !r.artifact[0].failed && file_exists("outputs/S"));
    graph_free(g);
    scratch_remove();
}

TEST_MAIN(RUN(a_file_damaged_before_this_boot_is_built_again)
              RUN(a_damaged_blob_of_two_tensors_is_made_again)
                  RUN(keep_going_makes_damaged_blobs_again))
