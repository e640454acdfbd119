#include "scratch.h"

#include "base/hash.h"

enum { ROWS = 300, COLS = 256, FILES = 3 };

static const char *const names[FILES] = {"", "../s-2", "../s-3"};
static const char *const paths[FILES] = {"outputs/s-1", "outputs/s-2", "outputs/s-3"};

/* A set of three files: one node in the first, two in the second, none in the last. */
static struct artifact set(struct graph *g)
{
    const struct node_id in = source(g, "a.bin", ROWS, COLS);
    const struct node_id node[3] = {in, quantized(g, in, DTYPE_q4_k), quantized(g, in, DTYPE_q8_0)};
    struct artifact a = one_file(g, "s-1", &node[0], 1), more = one_file(g, "x", &node[1], 2);
    struct out_file *file = arena_array(graph_arena(g), FILES, sizeof(*file));

    file[0] = a.file[0];
    file[1] = more.file[0];
    file[2] = (struct out_file){.head = "LAST", .head_size = 4, .size = 32};
    for (uint32_t f = 0; f < FILES; f++)
        file[f].path = names[f];
    a.file = file;
    a.nfile = FILES;
    return a;
}

static struct digest digest_all(void)
{
    struct arena *arena = arena_new();
    struct hasher *h = hasher_new();
    struct err err;
    char *text;
    size_t n;

    for (uint32_t f = 0; f < FILES; f++) {
        CHECK_IN(file_read(paths[f], 1 << 28, arena, &text, &n, &err), "%s", err.text);
        hasher_put(h, text, n);
    }
    const struct digest d = hasher_digest(h);

    hasher_free(h);
    arena_free(arena);
    return d;
}

/* If it failed, files of a set would be looked for, or written, in a wrong place. */
TEST(paths_of_files_follow_their_artifact)
{
    struct arena *arena = arena_new();
    static const struct {
        const char *artifact, *path, *want;
    } rows[] = {
        {"outputs/x", "", "outputs/x"},
        {"outputs/x", "config.json", "outputs/x/config.json"},
        {"outputs/x", "../y", "outputs/y"},
        {"/a/b/x", "../y", "/a/b/y"},
        {"/x", "../y", "/y"},
        {"x", "../y", "y"},
        {"./x", "../y", "y"},
        {"x", "..y", "x/..y"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *got = artifact_file(arena, rows[i].artifact, rows[i].path);

        CHECK_IN(strcmp(got, rows[i].want) == 0, "%s of %s is %s", rows[i].path, rows[i].artifact,
                 got);
    }
    arena_free(arena);
}

/* If it failed, a file of a set that is gone or was changed would go unnoticed, or cost work. */
TEST(a_set_is_whole_or_built_again)
{
    const struct build_options o = options_of(2, 64 << 20, 0);
    struct build_report r;
    struct err err = {0};

    scratch_make();
    put_source("a.bin", ROWS, COLS, 1);
    struct graph *g = graph_new();
    const struct artifact art = set(g);

    CHECK_IN(build(g, &art, 1, &o, &r, &err), "%s", err.text);
    CHECK(r.artifact[0].written && artifact_is_set(&art));
    const struct digest good = digest_all();

    CHECK_IN(build(g, &art, 1, &o, &r, &err), "%s", err.text);
    CHECK(!r.artifact[0].written && r.run == 0);
    for (uint32_t f = 0; f < FILES; f++) {
        CHECK(unlink(paths[f]) == 0);
        CHECK_IN(build(g, &art, 1, &o, &r, &err), "%s", err.text);
        CHECK_IN(r.artifact[0].written && r.run == 0, "without %s", paths[f]);
        CHECK(digest_eq(good, digest_all()));
        put_file(paths[f], "another", 7);
        CHECK_IN(build(g, &art, 1, &o, &r, &err), "%s", err.text);
        CHECK_IN(r.artifact[0].written && r.run == 0, "another %s", paths[f]);
        CHECK(digest_eq(good, digest_all()));
    }
    graph_free(g);
    scratch_remove();
}

/* If it failed, what a power cut damaged in a set would be believed, or all of it rewritten. */
TEST(a_set_of_an_earlier_boot_is_hashed)
{
    const struct build_options o = options_of(1, 64 << 20, 0);
    struct build_report r;
    struct err err = {0};
    struct store *store;

    scratch_make();
    put_source("a.bin", ROWS, COLS, 1);
    struct graph *g = graph_new();
    const struct artifact art = set(g);

    CHECK_IN(build(g, &art, 1, &o, &r, &err), "%s", err.text);
    const struct digest good = digest_all();

    for (int damaged = 0; damaged <= 1; damaged++) {
        if (damaged) {
            const int fd = open(paths[1], O_WRONLY);

            CHECK(fd >= 0 && pwrite(fd, "damage", 6, 1000) == 6 && close(fd) == 0);
        }
        CHECK(store_open(&store, "cache", STORE_WRITE, &err));
        struct artifact_record record = *store_artifact(store, paths[0]);
        struct artifact_file file[FILES];

        CHECK(record.nfile == FILES);
        memcpy(file, record.file, sizeof(file));
        memset(record.boot, 7, sizeof(record.boot)); /* as another boot left it */
        CHECK(file_stamp(paths[1], &file[1].stamp, &err));
        record.file = file;
        CHECK(store_put_artifact(store, &record, &err) && store_close(store, false, &err));
        CHECK_IN(build(g, &art, 1, &o, &r, &err), "%s", err.text);
        CHECK(r.artifact[0].written == damaged && r.run == 0);
        CHECK(digest_eq(good, digest_all()));
    }
    graph_free(g);
    scratch_remove();
}

/* If it failed, the digest of a set would change with its name (ruling 35). */
TEST(the_digest_of_a_set_does_not_know_its_name)
{
    const struct build_options o = options_of(1, 64 << 20, 0);
    struct build_report r;
    struct digest d[2];
    struct err err = {0};

    scratch_make();
    put_source("a.bin", ROWS, COLS, 1);
    for (int other = 0; other <= 1; other++) {
        struct graph *g = graph_new();
        struct artifact art = set(g);

        if (other) {
            art.name = "t-1";
            art.file[1].path = "../t-2";
            art.file[2].path = "../t-3";
        }
        CHECK_IN(build(g, &art, 1, &o, &r, &err), "%s", err.text);
        d[other] = r.artifact[0].digest;
        graph_free(g);
    }
    CHECK(digest_eq(d[0], d[1]));
    scratch_remove();
}

TEST_MAIN(RUN(paths_of_files_follow_their_artifact) RUN(a_set_is_whole_or_built_again)
              RUN(a_set_of_an_earlier_boot_is_hashed)
                  RUN(the_digest_of_a_set_does_not_know_its_name))
