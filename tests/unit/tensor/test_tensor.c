/* test_tensor.c - sizes of shapes, hostile ones among them */
#include "tensor/tensor.h"

#include "test.h"

/* False if a plain shape is refused or counted wrongly. */
TEST(shapes_are_counted)
{
    const struct tensor t = {DTYPE_q4_k, 3, {2, 3, 512}}, scalar = {DTYPE_f32, 0, {0}};
    char text[64];
    struct err err;

    CHECK(tensor_check(&t, &err) && tensor_check(&scalar, &err));
    CHECK(tensor_elements(&t) == 3072 && tensor_cols(&t) == 512 && tensor_rows(&t) == 6);
    CHECK(tensor_bytes(&t) == 12 * 144 && tensor_span(&t, 512) == 288);
    CHECK(tensor_slab(&t) == 1536 && tensor_slab(&scalar) == 1);
    CHECK(tensor_elements(&scalar) == 1 && tensor_cols(&scalar) == 1 && tensor_rows(&scalar) == 1);
    CHECK(strcmp(tensor_shape(&t, text, sizeof(text)), "[2, 3, 512]") == 0);
    CHECK(strcmp(tensor_shape(&scalar, text, sizeof(text)), "[]") == 0);
}

/* False if an empty tensor divides by zero, or is taken for one element. */
TEST(empty_tensors_are_tensors)
{
    static const struct tensor empty[] = {{DTYPE_f32, 1, {0}},
                                          {DTYPE_bf16, 2, {0, 5}},
                                          {DTYPE_q4_k, 2, {7, 0}},
                                          {DTYPE_f16, 3, {INT64_MAX / 8, 0, 1}}};
    struct err err;

    for (size_t i = 0; i < countof(empty); i++) {
        CHECK_IN(tensor_check(&empty[i], &err), "%zu", i);
        CHECK(tensor_elements(&empty[i]) == 0 && tensor_rows(&empty[i]) == 0);
        CHECK(tensor_slab(&empty[i]) == 0);
        CHECK(tensor_bytes(&empty[i]) == 0);
    }
}

/* False if a shape whose size overflows, or that its type cannot hold, passes. */
TEST(impossible_shapes_are_refused)
{
    static const struct {
        struct tensor t;
        const char *says;
    } bad[] = {
        {{DTYPE_f32, 2, {-1, 4}}, "negative"},
        {{DTYPE_f32, 1, {INT64_MIN}}, "negative"},
        {{DTYPE_f32, 9, {0}}, "dimensions"},
        {{DTYPE_q4_k, 2, {4, 255}}, "multiples of 256"},
        {{DTYPE_q8_0, 0, {0}}, "multiples of 32"},
        {{DTYPE_i8, 2, {INT64_MAX, INT64_MAX}}, "2^62 elements"},
        {{DTYPE_i8, 3, {(int64_t)1 << 61, 0, (int64_t)1 << 61}}, "2^62 elements"},
        {{DTYPE_i8, 1, {(int64_t)1 << 62}}, "2^62 elements"},
        {{DTYPE_f64, 1, {(int64_t)1 << 60}}, "2^62 bytes"},
        {{(enum dtype)DTYPE_COUNT, 1, {1}}, "dtype number"},
    };

    for (size_t i = 0; i < countof(bad); i++) {
        struct err err = {ERR_NONE, ""};

        CHECK_IN(!tensor_check(&bad[i].t, &err), "%zu", i);
        CHECK_IN(strstr(err.text, bad[i].says) != NULL, "%s", err.text);
        CHECK(err.code != ERR_NONE);
    }
}

TEST(largest_shape_is_accepted)
{
    const struct tensor t = {DTYPE_i8, 2, {((int64_t)1 << 31) - 1, (int64_t)1 << 31}};
    struct err err;

    CHECK(tensor_check(&t, &err));
    CHECK(tensor_bytes(&t) == (uint64_t)tensor_elements(&t));
}

/* False if shapes of different rank or order count as one. */
TEST(same_shape_means_same_dims)
{
    const struct tensor a = {DTYPE_f32, 2, {2, 3}}, b = {DTYPE_bf16, 2, {2, 3}};
    const struct tensor c = {DTYPE_f32, 2, {3, 2}}, d = {DTYPE_f32, 3, {2, 3, 1}};

    CHECK(tensor_same_shape(&a, &b) && !tensor_same_shape(&a, &c) && !tensor_same_shape(&a, &d));
}

/* False if a long shape overruns the text it is written to. */
TEST(shape_text_is_cut_to_its_room)
{
    struct tensor t = {DTYPE_i8, TENSOR_RANK_MAX, {0}};
    char text[16], all[192];

    for (int i = 0; i < TENSOR_RANK_MAX; i++)
        t.dim[i] = INT64_MIN;
    CHECK(strlen(tensor_shape(&t, text, sizeof(text))) == sizeof(text) - 1);
    CHECK(strlen(tensor_shape(&t, all, sizeof(all))) == 8 * 20 + 7 * 2 + 2);
    CHECK(strcmp(tensor_shape(&t, text, 1), "") == 0);
}

TEST_MAIN(RUN(shapes_are_counted) RUN(empty_tensors_are_tensors) RUN(impossible_shapes_are_refused)
              RUN(largest_shape_is_accepted) RUN(same_shape_means_same_dims)
                  RUN(shape_text_is_cut_to_its_room))
