#include "test.h"

#include <math.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "graph/artifact.h"
#include "graph/compare.h"

/* Two files of a few tensors, made anew by each test. */
static char path_a[] = "/tmp/vbuild-compare-a.XXXXXX", path_b[] = "/tmp/vbuild-compare-b.XXXXXX";

static void put_file(const char *path, const void *bytes, size_t n)
{
    struct err err;

    CHECK(file_replace(path, bytes, n, &err));
}

static struct tensor flat(enum dtype dtype, int64_t n)
{
    return (struct tensor){.dtype = dtype, .rank = 1, .dim = {n}};
}

static struct compare compare(const struct tensor *a, const void *bytes_a, const struct tensor *b,
                              const void *bytes_b)
{
    const struct compare_side left = {path_a, 0, a}, right = {path_b, 0, b};
    struct compare out = {0};
    struct err err = {0};

    put_file(path_a, bytes_a, (size_t)tensor_bytes(a));
    put_file(path_b, bytes_b, (size_t)tensor_bytes(b));
    CHECK_IN(compare_tensors(&left, &right, &out, &err), "%s", err.text);
    return out;
}

/* If false: equal tensors would be reported as different, or cosine 1 would come out rounded. */
TEST(equal_bytes_end_the_matter)
{
    const float x[] = {1, -2, 3.5f, NAN, INFINITY};
    const struct tensor t = flat(DTYPE_f32, 5);
    const struct compare c = compare(&t, x, &t, x);

    CHECK(c.same_bytes && c.same_dtype && c.same_shape && c.measured);
    CHECK(c.differ == 0 && c.max_abs == 0 && c.rmse == 0 && c.cosine == 1 && c.max_at == -1);
}

/* If false: the figures are not those of the definition. 3-4-0 against 3-4-5 by hand. */
TEST(figures_are_those_of_the_definition)
{
    const float x[] = {3, 4, 0}, y[] = {3, 4, 5};
    const struct tensor t = flat(DTYPE_f32, 3);
    const struct compare c = compare(&t, x, &t, y);

    CHECK(!c.same_bytes && c.measured && c.differ == 1);
    CHECK(c.max_abs == 5 && c.max_at == 2);
    CHECK(fabs(c.rmse - sqrt(25.0 / 3)) < 1e-15);
    CHECK(fabs(c.cosine - 25 / (5 * sqrt(50.0))) < 1e-15);
}

/* If false: -0 against 0, whose bytes differ and whose values do not, would count as changed. */
TEST(zero_has_two_byte_forms_and_one_value)
{
    const float x[] = {0.0f, 1}, y[] = {-0.0f, 1};
    const struct tensor t = flat(DTYPE_f32, 2);
    const struct compare c = compare(&t, x, &t, y);

    CHECK(!c.same_bytes && c.measured && c.differ == 0 && c.cosine == 1 && c.max_at == -1);
}

/* If false: one NaN would make every figure NaN. */
TEST(values_that_are_not_finite_are_counted_apart)
{
    const float x[] = {1, NAN, INFINITY, NAN}, y[] = {2, 7, INFINITY, NAN};
    const struct tensor t = flat(DTYPE_f32, 4);
    const struct compare c = compare(&t, x, &t, y);

    CHECK(c.differ == 2 && c.skipped == 3);
    CHECK(c.max_abs == 1 && c.max_at == 0 && c.rmse == 1 && c.cosine == 1);
}

/* If false: types could not be compared with each other, or a cast would look like a change. */
TEST(types_are_compared_by_value)
{
    const float x[] = {1, -2.5f, 0.5f};
    const uint16_t y[] = {0x3f80, 0xc020, 0x3f00}; /* the same in bf16 */
    const struct tensor a = flat(DTYPE_f32, 3), b = flat(DTYPE_bf16, 3);
    const struct compare c = compare(&a, x, &b, y);

    CHECK(!c.same_dtype && !c.same_bytes && c.measured && c.differ == 0 && c.cosine == 1);
}

/* If false: a tensor that cannot be computed with would crash, or be called equal. */
TEST(plain_types_are_compared_by_bytes_alone)
{
    const int32_t x[] = {1, 2}, y[] = {1, 3};
    const struct tensor t = flat(DTYPE_i32, 2);
    struct compare c = compare(&t, x, &t, y);

    CHECK(!c.same_bytes && !c.measured);
    c = compare(&t, x, &t, x);
    CHECK(c.same_bytes && !c.measured);
}

/* If false: another shape of equal bytes would pass for the same tensor. */
TEST(another_shape_is_not_the_same)
{
    const float x[] = {1, 2, 3, 4};
    const struct tensor a = {.dtype = DTYPE_f32, .rank = 2, .dim = {2, 2}};
    const struct tensor b = flat(DTYPE_f32, 4), shorter = flat(DTYPE_f32, 3);
    struct compare c = compare(&a, x, &b, x);

    CHECK(!c.same_shape && !c.same_bytes && c.measured && c.differ == 0);
    c = compare(&a, x, &shorter, x);
    CHECK(!c.same_shape && !c.same_bytes && !c.measured);
}

/* If false: what lies beyond the first tile is not looked at, or positions are of the tile. */
TEST(tiles_join_into_one_tensor)
{
    enum { N = 3 * 65536 + 17 };
    float *x = bulk_alloc(N * sizeof(*x)), *y = bulk_alloc(N * sizeof(*y));
    const struct tensor t = flat(DTYPE_f32, N);
    double aa = 0, ab = 0, bb = 0;

    for (int i = 0; i < N; i++) {
        x[i] = y[i] = (float)(i % 1000) - 500;
        if (i == 2 * 65536 + 5 || i == N - 1)
            y[i] += 4;
        aa += (double)x[i] * (double)x[i];
        ab += (double)x[i] * (double)y[i];
        bb += (double)y[i] * (double)y[i];
    }
    const struct compare c = compare(&t, x, &t, y);

    CHECK(c.differ == 2 && c.max_abs == 4 && c.max_at == 2 * 65536 + 5); /* ties: the lowest */
    CHECK(fabs(c.rmse - sqrt(32.0 / N)) < 1e-15);
    CHECK(fabs(c.cosine - ab / sqrt(aa * bb)) < 1e-12);
    bulk_free(x, N * sizeof(*x));
    bulk_free(y, N * sizeof(*y));
}

/* If false: a vector of zeros would divide by zero. */
TEST(a_zero_vector_has_a_cosine)
{
    const float x[] = {0, 0}, y[] = {1, 0};
    const struct tensor t = flat(DTYPE_f32, 2), none = flat(DTYPE_f32, 0);
    struct compare c = compare(&t, x, &t, y);

    CHECK(c.cosine == 0 && c.max_abs == 1);
    c = compare(&none, x, &none, x);
    CHECK(c.same_bytes && c.cosine == 1);
}

/* If false: a file that was cut after its header was read would be read past its end. */
TEST(a_short_file_is_an_error)
{
    const float x[] = {1, 2, 3, 4};
    const struct tensor t = flat(DTYPE_f32, 4);
    const struct compare_side left = {path_a, 0, &t}, right = {path_b, 8, &t};
    struct compare out = {.differ = 99};
    struct err err;

    put_file(path_a, x, sizeof(x));
    put_file(path_b, x, sizeof(x));
    CHECK(!compare_tensors(&left, &right, &out, &err));
    CHECK(err.code == ERR_CHANGED && out.differ == 99);
}

/* If false: the figures of plan (bits per weight over all, over block types) would be wrong.
 * One q4_k row of 256 (144 bytes) and 64 f32: by hand. */
TEST(an_artifact_adds_up_its_extents)
{
    struct graph *graph = graph_new();
    const struct tensor q = {.dtype = DTYPE_q4_k, .rank = 2, .dim = {1, 256}};
    const struct tensor f = flat(DTYPE_f32, 64);
    const float x[] = {1};
    struct err err = {0};
    uint32_t file;

    put_file(path_a, x, sizeof(x));
    CHECK_IN(graph_add_file(graph, path_a, path_a, &file, &err), "%s", err.text);
    struct extent extent[] = {
        {.name = "q", .node = graph_add_source(graph, file, "q", &q, 0), .size = 144},
        {.name = "f", .node = graph_add_source(graph, file, "f", &f, 144), .size = 256}};
    struct out_file out = {.path = "", .size = 500, .extent = extent, .nextent = 2};
    const struct artifact artifact = {.name = "x", .kind = "gguf", .file = &out, .nfile = 1};
    const struct artifact_size size = artifact_size(graph, &artifact);

    CHECK(size.file_bytes == 500 && size.tensor_bytes == 400 && size.tensors == 2);
    CHECK(size.bpw == 10 && size.bpw_quantized == 4.5);
    graph_free(graph);
}

static void remove_files(void)
{
    unlink(path_a);
    unlink(path_b);
}

int main(void)
{
    const int a = mkstemp(path_a), b = mkstemp(path_b);

    if (a < 0 || b < 0)
        return 2;
    file_close(a);
    file_close(b);
    RUN(equal_bytes_end_the_matter)
    RUN(figures_are_those_of_the_definition)
    RUN(zero_has_two_byte_forms_and_one_value)
    RUN(values_that_are_not_finite_are_counted_apart)
    RUN(types_are_compared_by_value)
    RUN(plain_types_are_compared_by_bytes_alone)
    RUN(another_shape_is_not_the_same)
    RUN(tiles_join_into_one_tensor)
    RUN(a_zero_vector_has_a_cosine)
    RUN(a_short_file_is_an_error)
    RUN(an_artifact_adds_up_its_extents)
    remove_files();
    printf("%d passed, %d failed\n", test_passed, test_failed);
    return test_failed != 0;
}
