#include "scratch.h"

#include "base/hash.h"
#include "kernel/kernel.h"

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

/* What each test builds: S and L of a slerp of a and b, and its plain bytes. */
enum { ROWS = 600, COLS = 512 };

static struct graph *world(double t, enum dtype small, struct artifact *out)
{
    struct graph *g = graph_new();
    const struct node_id a = source(g, "a.bin", ROWS, COLS), b = source(g, "b.bin", ROWS, COLS);
    const struct node_id m = slerped(g, a, b, t);
    const struct node_id s[2] = {quantized(g, m, small), a};
    const struct node_id l[2] = {quantized(g, m, DTYPE_q6_k), m};

    out[0] = one_file(g, "S", s, 2);
    out[1] = one_file(g, "L", l, 2);
    return g;
}

static void run(double t, enum dtype small, const struct build_options *options,
                struct build_report *report)
{
    struct artifact art[2];
    struct graph *g = world(t, small, art);
    struct err err = {0};

    CHECK_IN(build(g, art, 2, options, report, &err), "%s", err.text);
    graph_free(g);
}

static void fresh_world(void)
{
    scratch_make();
    put_source("a.bin", ROWS, COLS, 1);
    put_source("b.bin", ROWS, COLS, 2);
}

/* If it failed, a second build would do work again, or the first would not do all of it. */
TEST(second_build_runs_nothing)
{
    const struct build_options o = options_of(2, 64 << 20, 0);
    struct build_report r;

    fresh_world();
    run(0.5, DTYPE_q4_k, &o, &r);
    CHECK_IN(r.run == 3 && r.alias == 1 && r.nodes == 4, "run %u alias %u", r.run, r.alias);
    CHECK(r.read_bytes == 2 * (uint64_t)ROWS * COLS * 2); /* each source once, hash and passes */
    run(0.5, DTYPE_q4_k, &o, &r);
    CHECK_IN(r.run == 0 && r.hit == 3 && r.alias == 1, "run %u hit %u", r.run, r.hit);
    CHECK(r.read_bytes == 0);
    scratch_remove();
}

/* If it failed, bytes would depend on the machine: workers, memory or tiles. */
TEST(same_bytes_for_any_workers_memory_and_tiles)
{
    static const struct {
        uint32_t jobs;
        uint64_t mem;
        int64_t tile;
    } how[] = {{1, 64 << 20, 0}, {2, 64 << 20, 65536}, {7, 64 << 20, 1},
               {2, 1 << 20, 0},  {3, 100000, 0},       {7, 1, 65536}};
    struct digest s = {{0}}, l = {{0}};

    for (size_t i = 0; i < countof(how); i++) {
        const struct build_options o = options_of(how[i].jobs, how[i].mem, how[i].tile);
        struct build_report r;

        fresh_world();
        run(0.3, DTYPE_q3_k, &o, &r);
        if (i == 0) {
            s = file_digest("outputs/S");
            l = file_digest("outputs/L");
        }
        CHECK_IN(digest_eq(s, file_digest("outputs/S")), "case %zu", i);
        CHECK_IN(digest_eq(l, file_digest("outputs/L")), "case %zu", i);
        scratch_remove();
    }
}

/* If it failed, a changed parameter would rebuild more or less than its cone. */
TEST(a_changed_type_runs_one_node)
{
    const struct build_options o = options_of(2, 64 << 20, 0);
    struct build_report r;

    fresh_world();
    run(0.5, DTYPE_q4_k, &o, &r);
    const struct digest l = file_digest("outputs/L");

    run(0.5, DTYPE_q5_k, &o, &r);
    CHECK_IN(r.run == 1, "run %u", r.run);
    CHECK(digest_eq(l, file_digest("outputs/L")));
    run(0.6, DTYPE_q5_k, &o, &r);
    CHECK_IN(r.run == 3, "run %u", r.run);
    CHECK(!digest_eq(l, file_digest("outputs/L")));
    run(0.5, DTYPE_q5_k, &o, &r); /* back: everything is remembered */
    CHECK_IN(r.run == 0, "run %u", r.run);
    CHECK(digest_eq(l, file_digest("outputs/L")));
    scratch_remove();
}

/* If it failed, deleting what can be had again would cost work, or not be noticed. */
TEST(a_deleted_artifact_comes_back_without_work)
{
    const struct build_options o = options_of(2, 64 << 20, 0);
    struct build_report r;

    fresh_world();
    run(0.5, DTYPE_q4_k, &o, &r);
    const struct digest s = file_digest("outputs/S"), l = file_digest("outputs/L");

    CHECK(unlink("outputs/S") == 0 && unlink("outputs/L") == 0);
    run(0.5, DTYPE_q4_k, &o, &r);
    CHECK_IN(r.run == 0, "run %u", r.run);
    CHECK(digest_eq(s, file_digest("outputs/S")) && digest_eq(l, file_digest("outputs/L")));
    scratch_remove();
}

/* If it failed, touching a source would rebuild, or its hash would not be remembered. */
TEST(a_touched_source_is_hashed_once_and_nothing_runs)
{
    const struct build_options o = options_of(2, 64 << 20, 0);
    struct build_report r;

    fresh_world();
    run(0.5, DTYPE_q4_k, &o, &r);
    put_source("a.bin", ROWS, COLS, 1); /* the same bytes in a new file */
    run(0.5, DTYPE_q4_k, &o, &r);
    CHECK_IN(r.run == 0 && r.read_bytes == (uint64_t)ROWS * COLS * 2, "run %u read %llu", r.run,
             (unsigned long long)r.read_bytes);
    run(0.5, DTYPE_q4_k, &o, &r);
    CHECK(r.run == 0 && r.read_bytes == 0);
    put_source("a.bin", ROWS, COLS, 9);
    run(0.5, DTYPE_q4_k, &o, &r);
    CHECK_IN(r.run == 3 && r.alias == 1, "run %u", r.run);
    scratch_remove();
}

static struct graph *cutoff_world(double t, struct artifact *out)
{
    struct graph *g = graph_new();
    const struct node_id a = source(g, "a.bin", ROWS, COLS);
    const struct node_id m = slerped(g, a, a, t); /* of a model with itself: t changes nothing */
    const struct node_id q[2] = {quantized(g, m, DTYPE_q4_k), quantized(g, m, DTYPE_q8_0)};

    *out = one_file(g, "C", q, 2);
    return g;
}

/* If it failed, equal bytes of an intermediate would not stop the wave, or only when memory
 * allows (ruling 19). */
TEST(equal_bytes_cut_off_whatever_the_memory)
{
    static const uint64_t mem[] = {64 << 20, 100000, 1};

    for (size_t i = 0; i < countof(mem); i++) {
        const struct build_options o = options_of(2, mem[i], 65536);
        struct artifact art;
        struct build_report r;
        struct err err = {0};

        fresh_world();
        struct graph *g = cutoff_world(0.25, &art);

        CHECK(build(g, &art, 1, &o, &r, &err));
        graph_free(g);
        g = cutoff_world(0.75, &art);
        CHECK_IN(build(g, &art, 1, &o, &r, &err), "%s", err.text);
        CHECK_IN(r.cutoff == 2 && r.run == 1, "mem %llu: cutoff %u run %u",
                 (unsigned long long)mem[i], r.cutoff, r.run);
        graph_free(g);
        scratch_remove();
    }
}

static void flip_byte(const char *dir, int *flipped)
{
    struct arena *arena = arena_new();
    struct err err;
    char **name;
    size_t n;

    if (dir_list(dir, arena, &name, &n, &err))
        for (size_t i = 0; i < n; i++) {
            char *path = path_join(arena, dir, name[i]);

            if (file_is_dir(path)) {
                flip_byte(path, flipped);
                continue;
            }
            if (chmod(path, 0644) != 0)
                abort();
            const int fd = open(path, O_RDWR);
            unsigned char b;

            if (fd < 0 || pread(fd, &b, 1, 5000) != 1)
                abort();
            b ^= 4;
            if (pwrite(fd, &b, 1, 5000) != 1)
                abort();
            close(fd);
            (*flipped)++;
        }
    arena_free(arena);
}

/* If it failed, a damaged cache would be served. */
TEST(a_flipped_byte_in_a_blob_is_found_and_rebuilt)
{
    const struct build_options o = options_of(2, 64 << 20, 0);
    struct build_report r;
    int flipped = 0;

    fresh_world();
    run(0.5, DTYPE_q4_k, &o, &r);
    const struct digest s = file_digest("outputs/S"), l = file_digest("outputs/L");

    flip_byte("cache/cas", &flipped);
    CHECK(flipped == 2); /* the merge is not kept, its quantized forms are */
    CHECK(unlink("outputs/S") == 0 && unlink("outputs/L") == 0);
    run(0.5, DTYPE_q4_k, &o, &r);
    CHECK_IN(r.run == 2, "run %u", r.run);
    CHECK(digest_eq(s, file_digest("outputs/S")) && digest_eq(l, file_digest("outputs/L")));
    scratch_remove();
}

/* If it failed, a bad value would reach a block type, or take healthy artifacts with it. */
TEST(a_failed_node_leaves_other_artifacts_and_the_old_file)
{
    struct build_options o = options_of(2, 64 << 20, 0);
    static uint16_t x[256 * 256];
    struct artifact art[2];
    struct build_report r;
    struct err err = {0};

    scratch_make();
    put_source("a.bin", 256, 256, 3);
    x[777] = 0x7fc0; /* NaN */
    put_file("n.bin", x, sizeof(x));
    struct graph *g = graph_new();
    const struct node_id bad = quantized(g, source(g, "n.bin", 256, 256), DTYPE_q4_k);
    const struct node_id good = quantized(g, source(g, "a.bin", 256, 256), DTYPE_q4_k);

    art[0] = one_file(g, "bad", &bad, 1);
    art[1] = one_file(g, "good", &good, 1);
    CHECK(dir_make("outputs", &err));
    put_file("outputs/bad", "old", 3);
    o.keep_going = true;
    CHECK(!build(g, art, 2, &o, &r, &err));
    CHECK_IN(strstr(err.text, "row 3") && strstr(err.text, "column 9") && strstr(err.text, "t0"),
             "%s", err.text);
    CHECK(r.failed == 1 && r.run == 1 && r.artifact[0].failed && !r.artifact[1].failed);
    CHECK(file_exists("outputs/good"));
    CHECK(digest_eq(file_digest("outputs/bad"), hash_bytes("old", 3)));
    graph_free(g);
    scratch_remove();
}

/* If it failed, a plan would promise what the build does not do, or write something. */
TEST(a_plan_says_what_the_build_does)
{
    const struct build_options o = options_of(2, 64 << 20, 0);
    struct build_report r;
    struct artifact art[2];
    struct store *store;
    struct err err = {0};

    fresh_world();
    struct graph *g = world(0.5, DTYPE_q4_k, art);

    CHECK(store_open(&store, "cache", STORE_READ, &err));
    CHECK(build_plan(g, art, 2, store, &o, &r, &err));
    CHECK_IN(r.run == 3 && r.alias == 1 && r.unknown == 0, "run %u", r.run);
    CHECK(store_close(store, false, &err) && !file_exists("cache") && !file_exists("outputs"));
    graph_free(g);
    run(0.5, DTYPE_q4_k, &o, &r);
    g = world(0.5, DTYPE_q5_k, art);
    CHECK(store_open(&store, "cache", STORE_READ, &err));
    CHECK(build_plan(g, art, 2, store, &o, &r, &err));
    CHECK_IN(r.run == 1, "run %u", r.run);
    CHECK(r.artifact[0].stale && !r.artifact[1].stale);
    CHECK(r.artifact[0].nreason == 2 && r.artifact[0].reason[0].kind == REASON_PARAM &&
          !strcmp(r.artifact[0].reason[0].from, "q4_k"));
    CHECK(store_close(store, false, &err));
    graph_free(g);
    scratch_remove();
}

TEST_MAIN(RUN(second_build_runs_nothing) RUN(same_bytes_for_any_workers_memory_and_tiles)
              RUN(a_changed_type_runs_one_node) RUN(a_deleted_artifact_comes_back_without_work)
                  RUN(a_touched_source_is_hashed_once_and_nothing_runs)
                      RUN(equal_bytes_cut_off_whatever_the_memory)
                          RUN(a_flipped_byte_in_a_blob_is_found_and_rebuilt)
                              RUN(a_failed_node_leaves_other_artifacts_and_the_old_file)
                                  RUN(a_plan_says_what_the_build_does))
