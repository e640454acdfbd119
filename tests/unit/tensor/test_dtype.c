/* test_dtype.c - the table of element types and what is asked of it */
#include "tensor/dtype.h"

#include "test.h"

/* False if a row of dtype.def disagrees with the format's own list of live types. */
TEST(gguf_types_have_their_numbers_and_sizes)
{
    static const struct {
        uint32_t number;
        const char *name;
        uint32_t elements, bytes;
    } want[] = {
        {0, "f32", 1, 4},         {1, "f16", 1, 2},         {2, "q4_0", 32, 18},
        {3, "q4_1", 32, 20},      {6, "q5_0", 32, 22},      {7, "q5_1", 32, 24},
        {8, "q8_0", 32, 34},      {9, "q8_1", 32, 36},      {10, "q2_k", 256, 84},
        {11, "q3_k", 256, 110},   {12, "q4_k", 256, 144},   {13, "q5_k", 256, 176},
        {14, "q6_k", 256, 210},   {15, "q8_k", 256, 292},   {16, "iq2_xxs", 256, 66},
        {17, "iq2_xs", 256, 74},  {18, "iq3_xxs", 256, 98}, {19, "iq1_s", 256, 50},
        {20, "iq4_nl", 32, 18},   {21, "iq3_s", 256, 110},  {22, "iq2_s", 256, 82},
        {23, "iq4_xs", 256, 136}, {24, "i8", 1, 1},         {25, "i16", 1, 2},
        {26, "i32", 1, 4},        {27, "i64", 1, 8},        {28, "f64", 1, 8},
        {29, "iq1_m", 256, 56},   {30, "bf16", 1, 2},       {34, "tq1_0", 256, 54},
        {35, "tq2_0", 256, 66},   {39, "mxfp4", 32, 17},    {40, "nvfp4", 64, 36},
        {41, "q1_0", 128, 18},    {42, "q2_0", 64, 18},
    };
    enum dtype dtype;
    size_t at = 0;

    for (uint32_t number = 0; number < 100; number++) {
        const bool live = at < countof(want) && want[at].number == number;

        CHECK_IN(dtype_from_gguf(number, &dtype) == live, "%u", number);
        if (!live)
            continue;
        CHECK_IN(strcmp(dtype_name(dtype), want[at].name) == 0, "%u", number);
        CHECK_IN(dtype_info(dtype)->elements == want[at].elements, "%u", number);
        CHECK_IN(dtype_info(dtype)->bytes == want[at].bytes, "%u", number);
        at++;
    }
    CHECK(at == countof(want));
    CHECK(!dtype_from_gguf(UINT32_MAX, &dtype));
}

/* False if two rows could be taken for each other. */
TEST(names_are_unique_and_found_in_any_case)
{
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const struct dtype_info *a = dtype_info((enum dtype)i);
        enum dtype found = DTYPE_COUNT;
        char upper[32] = "";

        for (size_t k = 0; a->name[k]; k++)
            upper[k] =
                a->name[k] >= 'a' && a->name[k] <= 'z' ? (char)(a->name[k] - 32) : a->name[k];
        CHECK_IN(dtype_find(a->name, &found) && (int)found == i, "%s", a->name);
        CHECK_IN(dtype_find(upper, &found) && (int)found == i, "%s", upper);
        CHECK(a->elements > 0 && a->bytes > 0 && a->version > 0);
        if (a->safetensors)
            CHECK_IN(dtype_from_safetensors(a->safetensors, strlen(a->safetensors), &found) &&
                         (int)found == i,
                     "%s", a->safetensors);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(a->name, dtype_name((enum dtype)j)) != 0);
    }
    CHECK(strcmp(dtype_name(DTYPE_bool), "bool") == 0);
}

TEST(unknown_names_are_refused)
{
    enum dtype dtype = DTYPE_q6_k;

    CHECK(!dtype_find("", &dtype) && !dtype_find("q4", &dtype) && !dtype_find("q4_k ", &dtype));
    CHECK(!dtype_from_safetensors("bf16", 4, &dtype)); /* exact case */
    CHECK(!dtype_from_safetensors("BF16", 3, &dtype) && !dtype_from_safetensors("", 0, &dtype));
    CHECK(!dtype_from_safetensors("F32\0", 4, &dtype));
    CHECK(dtype == DTYPE_q6_k);
    CHECK(dtype_from_safetensors("BF16xyz", 4, &dtype) && dtype == DTYPE_bf16);
}

/* False if a count that does not fit is given a size all the same. */
TEST(bytes_are_exact_or_refused)
{
    uint64_t bytes = 7;

    CHECK(dtype_bytes(DTYPE_q4_k, 512, &bytes) && bytes == 288);
    CHECK(dtype_bytes(DTYPE_f4, 6, &bytes) && bytes == 3);
    CHECK(dtype_bytes(DTYPE_f6_e2m3, 8, &bytes) && bytes == 6);
    CHECK(dtype_bytes(DTYPE_q8_0, 0, &bytes) && bytes == 0);
    CHECK(!dtype_bytes(DTYPE_q4_k, 511, &bytes) && !dtype_bytes(DTYPE_f4, 1, &bytes));
    CHECK(!dtype_bytes(DTYPE_f64, UINT64_MAX / 4, &bytes) && bytes == 0);
    CHECK(!dtype_bytes(DTYPE_q8_0, UINT64_MAX - 31, &bytes));
    CHECK(dtype_bytes(DTYPE_i8, UINT64_MAX, &bytes) && bytes == UINT64_MAX);
}

TEST(bits_per_element_are_exact)
{
    CHECK(dtype_bits(DTYPE_q4_k) == 4.5 && dtype_bits(DTYPE_q6_k) == 6.5625);
    CHECK(dtype_bits(DTYPE_bf16) == 16 && dtype_bits(DTYPE_f4) == 4 &&
          dtype_bits(DTYPE_f6_e3m2) == 6);
}

TEST(kinds_say_what_is_quantized)
{
    CHECK(dtype_is_block(DTYPE_q4_0) && dtype_is_block(DTYPE_iq2_xxs));
    CHECK(!dtype_is_block(DTYPE_f32) && !dtype_is_block(DTYPE_i8) && !dtype_is_block(DTYPE_f4));
    CHECK(dtype_is_float(DTYPE_bf16) && dtype_is_float(DTYPE_f64));
    CHECK(!dtype_is_float(DTYPE_q8_0) && !dtype_is_float(DTYPE_i32) &&
          !dtype_is_float(DTYPE_f8_e4m3));
}

static bool nearest_is(const char *word, const char *want)
{
    const char *got = dtype_nearest(word);

    return want ? got && strcmp(got, want) == 0 : got == NULL;
}

/* False if a slip of the finger is offered the wrong type, or nonsense any. */
TEST(typos_are_offered_their_neighbour)
{
    CHECK(nearest_is("q4k", "q4_k") && nearest_is("Q4-K", "q4_k") && nearest_is("q4_k_m", "q4_k"));
    CHECK(nearest_is("bfloat16", NULL) && nearest_is("banana", NULL) && nearest_is("", NULL));
    CHECK(nearest_is("bf6", "bf16") && nearest_is("Q8-0", "q8_0"));
    CHECK(nearest_is("a name that is much longer than any type has ever been", NULL));
}

TEST_MAIN(RUN(gguf_types_have_their_numbers_and_sizes) RUN(names_are_unique_and_found_in_any_case)
              RUN(unknown_names_are_refused) RUN(bytes_are_exact_or_refused)
                  RUN(bits_per_element_are_exact) RUN(kinds_say_what_is_quantized)
                      RUN(typos_are_offered_their_neighbour))
