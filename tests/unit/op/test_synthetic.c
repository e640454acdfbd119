#include "test.h"

#include "op/golden.h"

#include <math.h>

static struct run synthetic(const char *name, int64_t seed, const int64_t *shape, uint32_t rank,
                            enum dtype dtype)
{
    struct run r = {.op = op_find("synthetic")};

    r.arg[0].word = name;
    r.arg[1].i64 = seed;
    r.arg[2].i64s.v = shape;
    r.arg[2].i64s.n = rank;
    r.arg[3].dtype = dtype;
    return r;
}

static void unhex(const char *text, uint8_t *to)
{
    for (size_t i = 0; i < strlen(text) / 2; i++) {
        const char two[3] = {text[2 * i], text[2 * i + 1], 0};

        to[i] = (uint8_t)strtoul(two, NULL, 16);
    }
}

/* Elements by an independent program, also beyond 2^32: a counter of one word would repeat. */
TEST(synthetic_equals_the_vectors)
{
    static const int64_t shape[] = {3, (int64_t)1 << 40};
    static struct golden g;
    int count = 0;

    if (!golden_open(&g, "tests/golden/op/synthetic.txt"))
        return;
    while (golden_next(&g, NULL)) {
        enum dtype dtype = DTYPE_f32;
        struct run r;
        uint8_t got[32], want[32];
        const int64_t first = strtoll(g.word[2], NULL, 10);

        CHECK(dtype_find(g.word[3], &dtype));
        r = synthetic(g.word[0], strtoll(g.word[1], NULL, 10), shape, 2, dtype);
        unhex(g.word[4], want);
        CHECK(run_infer(&r) && run_range(&r, first, 8, NULL, 0, NULL, got));
        CHECK_IN(memcmp(got, want, strlen(g.word[4]) / 2) == 0, "%s %s at %s as %s", g.word[0],
                 g.word[1], g.word[2], g.word[3]);
        count++;
    }
    CHECK(count == 384);
}

/* Philox itself: the vectors of specs/merge.md section 3. */
TEST(philox_equals_its_vectors)
{
    static const uint32_t zero[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    static const uint32_t q[8] = {0x3d1ecb6a, 0x13372fbf, 0x32602ebd, 0x677221e3,
                                  0x3d4a2d0f, 0xd1024bf7, 0x27d31d9b, 0x39a41d16};
    const char *tag = "vbuild.mask.v1\nmodel.layers.0.self_attn.q_proj.weight\n0";
    const uint64_t key = hash_u64(tag, strlen(tag), 7);
    uint32_t word[4][PHILOX_LANES];

    philox_lanes(0, 0, word);
    for (int w = 0; w < 4; w++)
        CHECK(word[w][0] == zero[w]);
    CHECK(key == 0x163a4f807245a794);
    philox_lanes(key, 0, word);
    for (int i = 0; i < 8; i++)
        CHECK(word[i % 4][i / 4] == q[i]);
    philox_lanes(key, 1, word);
    CHECK(word[0][0] == q[4]);
}

/* Any range, any type: the same elements. */
TEST(synthetic_is_the_same_in_any_ranges)
{
    static const int64_t shape[] = {37, 131};
    static const enum dtype floats[] = {DTYPE_f32, DTYPE_f16, DTYPE_bf16, DTYPE_f64};

    for (size_t d = 0; d < countof(floats); d++) {
        struct run r = synthetic("a.weight", 3, shape, 2, floats[d]);
        struct digest whole;

        CHECK(run_infer(&r) && run_whole(&r));
        whole = run_digest(&r);
        for (int64_t split = 1; split < 5000; split = split * 3 + 2)
            CHECK(run_split(&r, split) && digest_eq(run_digest(&r), whole));
        run_free(&r);
    }
}

/* Mean 0 and deviation 0.02, or a model of these would overflow or vanish. */
TEST(synthetic_looks_like_weights)
{
    static const int64_t shape[] = {200000};
    struct run r = synthetic("a.weight", 0, shape, 1, DTYPE_f64);
    double sum = 0, squares = 0;

    CHECK(run_infer(&r) && run_whole(&r));
    for (int64_t i = 0; i < shape[0]; i++) {
        double x;

        memcpy(&x, r.out + 8 * i, 8);
        sum += x;
        squares += x * x;
    }
    CHECK(fabs(sum / 200000) < 2e-4);
    CHECK(fabs(sqrt(squares / 200000) - 0.02) < 2e-4);
    run_free(&r);
}

TEST(synthetic_refuses_hostile_shapes)
{
    static const int64_t big[] = {1 << 30, 1 << 30, 1 << 30}, minus[] = {2, -1};
    static const int64_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    static char name[2000];
    struct run r = synthetic("x", 0, big, 3, DTYPE_f32);

    CHECK(!run_infer(&r) && r.err.code == ERR_LIMIT);
    r = synthetic("x", 0, minus, 2, DTYPE_f32);
    CHECK(!run_infer(&r) && r.err.code == ERR_SHAPE);
    r = synthetic("x", 0, nine, 9, DTYPE_f32);
    CHECK(!run_infer(&r) && r.err.code == ERR_SHAPE);
    r = synthetic("x", 0, nine, 8, DTYPE_q4_k);
    CHECK(!run_infer(&r) && r.err.code == ERR_TYPE);
    memset(name, 'n', sizeof(name) - 1);
    r = synthetic(name, 0, nine, 1, DTYPE_f32);
    CHECK(!run_infer(&r) && r.err.code == ERR_RECIPE);
    name[1000] = 0;
    r = synthetic(name, 0, nine, 0, DTYPE_f32);
    CHECK(run_infer(&r) && run_whole(&r) && tensor_elements(&r.call.out) == 1);
    run_free(&r);
}

TEST_MAIN(RUN(synthetic_equals_the_vectors) RUN(philox_equals_its_vectors)
              RUN(synthetic_is_the_same_in_any_ranges) RUN(synthetic_looks_like_weights)
                  RUN(synthetic_refuses_hostile_shapes))
