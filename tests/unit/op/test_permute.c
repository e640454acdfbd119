#include "test.h"

#include "op/run.h"

#include "kernel/rowmap.h"

/* The formula of the definition, for rows of one element. */
TEST(permute_is_the_formula)
{
    static const int64_t heads[] = {2, 4, 6, 64, 128};

    for (size_t k = 0; k < countof(heads); k++)
        for (int64_t count = 0; count < 4; count++) {
            const int64_t head = heads[k], rows = head * count;
            int32_t x[512], y[512], z[512];
            const struct rowmap map = {ROWMAP_TO_GGUF, head};

            for (int64_t i = 0; i < rows; i++)
                x[i] = (int32_t)i;
            rowmap_apply(map, x, y, rows, sizeof(*x));
            for (int64_t h = 0; h < count; h++)
                for (int64_t i = 0; i < head / 2; i++)
                    for (int64_t j = 0; j < 2; j++)
                        CHECK(y[h * head + 2 * i + j] == x[h * head + j * (head / 2) + i]);
            rowmap_apply(rowmap_inverse(map), y, z, rows, sizeof(*x));
            CHECK(memcmp(x, z, (size_t)rows * sizeof(*x)) == 0);
        }
}

static void there_and_back(struct tensor t, int64_t head, int64_t split)
{
    uint8_t *x = mem_grow(NULL, (size_t)tensor_bytes(&t) + 1);
    struct run there = {.op = op_find("permute"), .nin = 1, .in = {t}, .data = {x}};
    struct run back = {.op = op_find("permute"), .nin = 1, .in = {t}};

    for (uint64_t i = 0; i < tensor_bytes(&t); i++)
        x[i] = (uint8_t)(i * 2654435761u >> 13);
    there.arg[0].word = "to_gguf";
    there.arg[1].i64 = back.arg[1].i64 = head;
    back.arg[0].word = "to_hf";
    CHECK(run_infer(&there) && run_split(&there, split));
    back.data[0] = there.out;
    CHECK(run_infer(&back) && run_split(&back, split + 3));
    CHECK(memcmp(back.out, x, (size_t)tensor_bytes(&t)) == 0);
    if (head > 2 && tensor_bytes(&t) > 0)
        CHECK(memcmp(there.out, x, (size_t)tensor_bytes(&t)) != 0);
    CHECK(there.op->identity(&there.call) == (head == 2));
    run_free(&there);
    run_free(&back);
    mem_free(x);
}

/* If to_hf were not the inverse, GGUF to GGUF would not be a copy. */
TEST(permute_there_and_back_is_nothing)
{
    there_and_back(run_tensor(DTYPE_f32, 24, 5), 8, 1);
    there_and_back(run_tensor(DTYPE_bf16, 256, 7), 128, 1000);
    there_and_back(run_tensor(DTYPE_q4_k, 12, 512), 4, 7);
    there_and_back(run_tensor(DTYPE_q8_0, 12, 32), 2, 32);
    there_and_back(run_tensor(DTYPE_i64, 6, 3), 6, 1);
    there_and_back(run_tensor(DTYPE_f32, 0, 5), 8, 1);
    there_and_back(run_tensor(DTYPE_f32, 8, 0), 8, 1);
    there_and_back((struct tensor){.dtype = DTYPE_f16, .rank = 1, .dim = {64}}, 16, 16);
    there_and_back((struct tensor){.dtype = DTYPE_f16, .rank = 3, .dim = {8, 3, 2}}, 4, 1);
}

TEST(permute_refuses_what_does_not_fit)
{
    struct run r = {.op = op_find("permute"), .nin = 1, .in = {run_tensor(DTYPE_f32, 24, 4)}};

    r.arg[0].word = "to_gguf";
    r.arg[1].i64 = 16;
    CHECK(!run_infer(&r) && r.err.code == ERR_SHAPE && strstr(r.err.text, "24 rows"));
    r.arg[1].i64 = 3;
    CHECK(!run_infer(&r) && strstr(r.err.text, "halved"));
    r.arg[1].i64 = 8;
    r.in[0] = (struct tensor){.dtype = DTYPE_q8_0, .rank = 1, .dim = {64}};
    CHECK(!run_infer(&r) && r.err.code == ERR_TYPE);
    r.in[0] = (struct tensor){.dtype = DTYPE_f32};
    CHECK(!run_infer(&r) && r.err.code == ERR_SHAPE);
}

TEST_MAIN(RUN(permute_is_the_formula) RUN(permute_there_and_back_is_nothing)
              RUN(permute_refuses_what_does_not_fit))
