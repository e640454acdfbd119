/* What ops keep from pass to pass: wherever it lies, and whatever happens in between. */
#include "base/hash.h"
#include "scratch.h"

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

static struct node_id karcher(struct graph *g, struct node_id a, struct node_id b)
{
    const struct node_id in[2] = {a, b};
    const union op_arg arg[] = {{.word = "inputs"}, {.i64 = 10}, {.f64 = 1e-5}};

    return add(g, "merge_karcher", in, 2, arg);
}

static void fresh_world(void)
{
    scratch_make();
    put_source("a.bin", ROWS, COLS, 1);
    put_source("b.bin", ROWS, COLS, 2);
}

static size_t names_in(const char *dir)
{
    struct arena *arena = arena_new();
    struct err err;
    char **name;
    size_t n = SIZE_MAX;

    CHECK(dir_list(dir, arena, &name, &n, &err));
    arena_free(arena);
    return n;
}

/* One merge of the sources and one of its result, in a file each. */
static struct digest merged_twice(const struct build_options *options)
{
    struct graph *g = graph_new();
    struct build_report r;
    struct err err = {0};

    fresh_world();
    const struct node_id a = source(g, "a.bin", ROWS, COLS), b = source(g, "b.bin", ROWS, COLS);
    const struct node_id one = karcher(g, a, b), two = karcher(g, scaled(g, one, 0.5), a);
    const struct artifact art[2] = {one_file(g, "one", &one, 1), one_file(g, "two", &two, 1)};

    CHECK_IN(build(g, art, 2, options, &r, &err), "%s", err.text);
    const struct digest d[2] = {file_digest("outputs/one"), file_digest("outputs/two")};

    CHECK(names_in("cache/tmp") == 0);
    graph_free(g);
    scratch_remove();
    return hash_bytes(d, sizeof(d));
}

/* If it failed, bytes would depend on whether what is kept fits the budget or lies in a file, or
 * such a file would stay in the cache. */
TEST(same_bytes_from_memory_and_from_a_file)
{
    static const struct {
        uint32_t jobs;
        uint64_t mem;
        int64_t tile;
    } how[] = {{1, 64 << 20, 0}, {2, 64 << 20, 65536}, {3, 1 << 20, 65536},
               {1, 1, 65536},    {2, 3 << 19, 0},      {7, 1, 1}};
    struct digest want = {{0}};

    for (size_t i = 0; i < countof(how); i++) {
        const struct build_options o = options_of(how[i].jobs, how[i].mem, how[i].tile);
        const struct digest d = merged_twice(&o);

        if (i == 0)
            want = d;
        CHECK_IN(digest_eq(d, want), "case %zu", i);
    }
}

/* K of the sources; with SPOILER, beside it a chain that fails when its slerp has made its two
 * passes, in a sweep in which K's third changes what it keeps. */
static struct digest beside_a_failure(bool spoiler, const struct build_options *options)
{
    struct graph *g = graph_new();
    struct artifact art[2];
    struct build_report r;
    struct err err = {0};

    fresh_world();
    const struct node_id a = source(g, "a.bin", ROWS, COLS), b = source(g, "b.bin", ROWS, COLS);
    const struct node_id k = karcher(g, a, b);
    const struct node_id bad = scaled(g, scaled(g, slerped(g, a, b, 0.5), 1e30), 1e30);

    art[0] = one_file(g, "K", &k, 1);
    art[1] = one_file(g, "bad", &bad, 1);
    CHECK_IN(build(g, art, spoiler ? 2 : 1, options, &r, &err) == !spoiler, "%s", err.text);
    CHECK(r.failed == (spoiler ? 1 : 0) && !r.artifact[0].failed);
    const struct digest d = file_digest("outputs/K");

    graph_free(g);
    scratch_remove();
    return d;
}

/* If it failed, a pass would be made twice over what it keeps when a sweep gave nothing. */
TEST(a_voided_sweep_begins_the_passes_again)
{
    for (uint32_t jobs = 1; jobs <= 2; jobs++) {
        struct build_options o = options_of(jobs, jobs == 1 ? 64 << 20 : 1, 65536);

        o.keep_going = true;
        CHECK_IN(digest_eq(beside_a_failure(true, &o), beside_a_failure(false, &o)), "%u workers",
                 jobs);
    }
}

TEST_MAIN(RUN(same_bytes_from_memory_and_from_a_file) RUN(a_voided_sweep_begins_the_passes_again))
