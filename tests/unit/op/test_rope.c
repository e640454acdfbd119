#include "test.h"

#include "op/run.h"

/* One line of rope.txt: where it is from, six parameters, the f32s in hex. */
static void rope_line(char *line)
{
    struct run r = {.op = op_find("rope_freqs")};
    char *at = NULL, *word[8] = {0};
    int n = 0;

    for (char *w = strtok_r(line, " \n", &at); w && n < 8; w = strtok_r(NULL, " \n", &at))
        word[n++] = w;
    CHECK(n == 8);
    r.arg[0].i64 = strtoll(word[1], NULL, 10);
    for (int i = 1; i < 6; i++)
        r.arg[i].f64 = strtod(word[i + 1], NULL);
    CHECK(run_infer(&r));
    CHECK(strlen(word[7]) == 2 * tensor_bytes(&r.call.out));
    for (int64_t split = 1; split < 200; split = split * 2 + 5) {
        CHECK(run_split(&r, split));
        for (size_t i = 0; i < tensor_bytes(&r.call.out); i++) {
            const char two[3] = {word[7][2 * i], word[7][2 * i + 1], 0};

            CHECK_IN(r.out[i] == strtoul(two, NULL, 16), "%s head_dim %s, byte %zu", word[0],
                     word[1], i);
        }
    }
    run_free(&r);
}

/* convert_hf_to_gguf's own tensor, and numpy's f32 in the order that is defined. */
TEST(rope_equals_the_vectors)
{
    static char line[1 << 16];
    FILE *file = fopen("tests/golden/op/rope.txt", "r");
    int count = 0;

    CHECK(file);
    while (file && fgets(line, sizeof(line), file)) {
        rope_line(line);
        count++;
    }
    if (file)
        fclose(file);
    CHECK(count == 7);
}

TEST(rope_refuses_what_has_no_meaning)
{
    struct run r = {.op = op_find("rope_freqs")};
    const double good[6] = {0, 10000, 8, 1, 4, 8192};

    for (int i = 1; i < 6; i++)
        r.arg[i].f64 = good[i];
    r.arg[0].i64 = 63;
    CHECK(!run_infer(&r) && r.err.code == ERR_RECIPE && strstr(r.err.text, "63"));
    r.arg[0].i64 = 64;
    CHECK(run_infer(&r) && r.call.out.rank == 1 && r.call.out.dim[0] == 32);
    r.arg[4].f64 = 1;
    CHECK(!run_infer(&r) && strstr(r.err.text, "high"));
}

TEST_MAIN(RUN(rope_equals_the_vectors) RUN(rope_refuses_what_has_no_meaning))
