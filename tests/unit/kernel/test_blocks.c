/* test_blocks.c - every block type against the reference's bytes, and against itself */
#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "kernel/half.h"
#include "kernel/kernel.h"

#include "test.h"

#include <math.h>

#define FOLDER "tests/golden/quant/"

/* One line of cases.txt; its fields are told in make.py. */
struct golden {
    char type[16], mode[16], file[32], name[32], verdict[8], digest[40];
    long rows, cols, input_off, imatrix_off, off, size;
    enum dtype dtype;
};

static struct arena *arena;
static char *inputs, *imatrix_file, *cases;
static size_t inputs_size, imatrix_size, cases_size;

static bool load(const char *name, char **data, size_t *size)
{
    struct err err;

    return file_read(arena_printf(arena, FOLDER "%s", name), 16 << 20, arena, data, size, &err);
}

static bool open_all(void)
{
    arena = arena ? arena : arena_new();
    if (cases)
        return true;
    return load("cases.txt", &cases, &cases_size) && load("inputs.f32", &inputs, &inputs_size) &&
           load("imatrix.f32", &imatrix_file, &imatrix_size);
}

/* The next line of *at; false at the end. */
static bool next_case(const char **at, struct golden *c)
{
    const int got = sscanf(*at, "%15s %15s %31s %31s %ld %ld %ld %ld %ld %ld %7s %39s", c->type,
                           c->mode, c->file, c->name, &c->rows, &c->cols, &c->input_off,
                           &c->imatrix_off, &c->off, &c->size, c->verdict, c->digest);

    *at = strchr(*at, '\n');
    *at = *at ? *at + 1 : "";
    return got == 12 && dtype_find(c->type, &c->dtype);
}

static const float *floats(const char *bytes, long off)
{
    return (const float *)(const void *)bytes + off;
}

static size_t first_difference(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return i;
    return n;
}

static void check_case(const struct golden *c, const char *want)
{
    const struct kernel *k = kernel_of(c->dtype);
    const long n = c->rows * c->cols;
    const float *x = floats(inputs, c->input_off);
    const float *w = strcmp(c->mode, "imatrix") == 0 ? floats(imatrix_file, c->imatrix_off) : NULL;
    char *got = arena_alloc(arena, (size_t)c->size);
    float *y = arena_array(arena, (size_t)n, sizeof(float));
    char hex[DIGEST_HEX + 1];

    k->encode(x, c->rows, c->cols, w, got);
    CHECK_IN(memcmp(got, want, (size_t)c->size) == 0, "%s %s %s: byte %zu", c->type, c->mode,
             c->name, first_difference(got, want, (size_t)c->size));
    CHECK_IN((k->invalid(want, n) >= 0) == (strcmp(c->verdict, "bad") == 0), "%s %s %s", c->type,
             c->mode, c->name);
    if (strcmp(c->digest, "-") == 0)
        return;
    k->decode(want, y, n);
    digest_hex(hash_bytes(y, (size_t)n * sizeof(float)), hex);
    CHECK_IN(strcmp(hex, c->digest) == 0, "%s %s %s: decoded %s", c->type, c->mode, c->name, hex);
}

/* False if a quantizer's bytes, with or without imatrix, or its values decoded, differ from
 * llama.cpp's scalar ones in any of the 26 families of input. */
TEST(goldens_are_met_byte_for_byte)
{
    struct golden c;
    char loaded[32] = "", *blob = NULL;
    size_t blob_size = 0;
    int count = 0, seen[DTYPE_COUNT] = {0};

    CHECK(open_all());
    for (const char *at = cases; at && next_case(&at, &c); count++) {
        if (strcmp(loaded, c.file) != 0) {
            CHECK_IN(load(c.file, &blob, &blob_size), "%s", c.file);
            snprintf(loaded, sizeof(loaded), "%s", c.file);
        }
        CHECK((size_t)(c.off + c.size) <= blob_size);
        check_case(&c, blob + c.off);
        seen[c.dtype]++;
    }
    CHECK_IN(count == 806, "%d cases", count);
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (dtype_info((enum dtype)i)->kind == DTYPE_KIND_BLOCK)
            CHECK_IN(seen[i] >= 26, "%s has %d goldens", dtype_name((enum dtype)i), seen[i]);
}

static uint64_t state = 1;

static uint32_t random_u32(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

enum { COLS = 1024, ROWS = 6, CELLS = ROWS * COLS };

static float cells[CELLS], weights[COLS];

/* Sums of uniforms, each row with its own size from 2^-20 to 2^10. */
static void fill_normal(void)
{
    for (int i = 0; i < CELLS; i++) {
        float s = 0;

        for (int j = 0; j < 4; j++)
            s += (float)(random_u32() >> 8) * 0x1p-24f - 0.5f;
        cells[i] = s * ldexpf(1.0f, -20 + 6 * (i / COLS));
    }
    for (int i = 0; i < COLS; i++)
        weights[i] = (float)(random_u32() >> 8) * 0x1p-24f;
}

/* Any finite bit pattern: subnormals and 1e38 side by side. */
static void fill_bits(void)
{
    for (int i = 0; i < CELLS; i++) {
        uint32_t u = random_u32();

        if ((u & 0x7f800000) == 0x7f800000)
            u ^= 0x00800000;
        cells[i] = f32_from_bits(u);
    }
}

#define FOR_KERNELS(t, k)                                                                          \
    for (int t = 0; t < DTYPE_COUNT; t++)                                                          \
        for (const struct kernel *k = kernel_of((enum dtype)t), *once = k; once; once = NULL)

static unsigned char out[8 * CELLS], again[8 * CELLS];
static float decoded[CELLS];

static size_t bytes_of(int dtype, int n)
{
    const struct dtype_info *info = dtype_info((enum dtype)dtype);

    return (size_t)n / info->elements * info->bytes;
}

/* False if a row's blocks depend on the rows beside it: then threads or tiles change bytes. */
TEST(rows_are_independent)
{
    for (int pass = 0; pass < 4; pass++)
        FOR_KERNELS(t, k)
        {
            const float *w = pass & 1 ? weights : NULL;

            fill_normal();
            if (pass & 2)
                fill_bits();
            k->encode(cells, ROWS, COLS, w, out);
            for (int r = ROWS - 1; r >= 0; r--)
                k->encode(cells + r * COLS, 1, COLS, w, again + bytes_of(t, r * COLS));
            CHECK_IN(memcmp(out, again, bytes_of(t, CELLS)) == 0, "%s pass %d",
                     dtype_name((enum dtype)t), pass);
        }
}

/* The step between levels, over the largest magnitude of its sub-block, that each type can at
 * worst have; 0: exact. */
static float worst_step(int dtype)
{
    switch (dtype_info((enum dtype)dtype)->kind == DTYPE_KIND_FLOAT ? 0 : dtype) {
    case DTYPE_q8_0:
        return 1.0f / 100;
    case DTYPE_q6_k:
        return 1.0f / 16;
    case DTYPE_q5_k:
    case DTYPE_q5_0:
    case DTYPE_q5_1:
        return 1.0f / 8;
    case DTYPE_q4_k:
    case DTYPE_q4_0:
    case DTYPE_q4_1:
    case DTYPE_iq4_nl:
    case DTYPE_iq4_xs:
    case DTYPE_mxfp4:
    case DTYPE_nvfp4:
        return 1.0f / 4;
    default:
        return 1.0f;
    }
}

/* False if decoding what was encoded strays by more than the type's step, or if more bits do
 * worse than fewer: a misplaced nibble or scale. */
TEST(round_trip_stays_within_a_step)
{
    float rmse[DTYPE_COUNT] = {0};

    fill_normal();
    FOR_KERNELS(t, k)
    {
        double sum = 0;
        const int from = 4 * COLS; /* scales of order 10: f16 holds every type's */

        k->encode(cells, ROWS, COLS, NULL, out);
        k->decode(out, decoded, CELLS);
        for (int i = from; i < from + COLS; i++) {
            const float d = decoded[i] - cells[i], largest = 2.0f * ldexpf(1.0f, 4);

            if (dtype_is_block((enum dtype)t))
                CHECK_IN(fabsf(d) <= largest * worst_step(t), "%s: %g for %g",
                         dtype_name((enum dtype)t), (double)decoded[i], (double)cells[i]);
            sum += (double)d * (double)d;
        }
        rmse[t] = (float)sqrt(sum / COLS);
    }
    CHECK(rmse[DTYPE_f32] == 0 && rmse[DTYPE_f64] == 0);
    CHECK(rmse[DTYPE_f16] < rmse[DTYPE_bf16] && rmse[DTYPE_bf16] < rmse[DTYPE_q8_0]);
    CHECK(rmse[DTYPE_q8_0] < rmse[DTYPE_q6_k] && rmse[DTYPE_q6_k] < rmse[DTYPE_q5_k]);
    CHECK(rmse[DTYPE_q5_k] < rmse[DTYPE_q4_k] && rmse[DTYPE_q4_k] < rmse[DTYPE_q4_0]);
    CHECK(rmse[DTYPE_q4_0] < rmse[DTYPE_q3_k] && rmse[DTYPE_q3_k] < rmse[DTYPE_q2_k]);
    CHECK(rmse[DTYPE_q5_1] < rmse[DTYPE_q4_1] && rmse[DTYPE_q5_0] < rmse[DTYPE_q4_0]);
    CHECK(rmse[DTYPE_iq4_nl] < rmse[DTYPE_q4_0] && rmse[DTYPE_iq4_xs] < rmse[DTYPE_q4_0]);
    CHECK(rmse[DTYPE_nvfp4] < rmse[DTYPE_mxfp4] && rmse[DTYPE_mxfp4] < rmse[DTYPE_q2_k]);
    CHECK(rmse[DTYPE_q2_k] < rmse[DTYPE_q1_0] && rmse[DTYPE_tq1_0] == rmse[DTYPE_tq2_0]);
}

/* False if encoding what was decoded moves further than encoding did: plain floats must come
 * back bit for bit, blocks within the error they already had. */
TEST(encoding_again_is_stable)
{
    fill_normal();
    FOR_KERNELS(t, k)
    {
        double first = 0, second = 0;
        static float twice[CELLS];

        k->encode(cells, ROWS, COLS, NULL, out);
        k->decode(out, decoded, CELLS);
        k->encode(decoded, ROWS, COLS, NULL, again);
        k->decode(again, twice, CELLS);
        if (dtype_is_float((enum dtype)t))
            CHECK_IN(memcmp(out, again, bytes_of(t, CELLS)) == 0, "%s", dtype_name((enum dtype)t));
        for (int i = 4 * COLS; i < 5 * COLS; i++) {
            first += fabs((double)decoded[i] - (double)cells[i]);
            second += fabs((double)twice[i] - (double)decoded[i]);
        }
        CHECK_IN(second <= first, "%s: %g then %g", dtype_name((enum dtype)t), first, second);
    }
}

/* False if a block type, given subnormals and 1e38, reads or writes out of bounds, or is
 * undefined (the sanitized build tells), or forgets that its scale overflowed. */
TEST(any_finite_bits_give_defined_blocks)
{
    for (int pass = 0; pass < 20; pass++) {
        fill_bits();
        FOR_KERNELS(t, k)
        {
            int64_t bad;

            k->encode(cells, ROWS, COLS, pass & 1 ? weights : NULL, out);
            bad = k->invalid(out, CELLS);
            if (bad < 0) {
                k->decode(out, decoded, CELLS);
                CHECK_IN(f32_invalid(decoded, CELLS) < 0 || !dtype_is_float((enum dtype)t), "%s",
                         dtype_name((enum dtype)t));
            } else {
                CHECK(bad < CELLS && bad % dtype_info((enum dtype)t)->elements == 0);
            }
        }
    }
}

/* False if hostile blocks (any bytes at all) crash a decoder. */
TEST(any_bytes_decode)
{
    for (int pass = 0; pass < 20; pass++) {
        for (size_t i = 0; i < sizeof(out); i++)
            out[i] = (unsigned char)(random_u32() >> 24);
        FOR_KERNELS(t, k)
        {
            k->decode(out, decoded, CELLS);
            CHECK(k->invalid(out, CELLS) < CELLS);
        }
    }
}

/* False if blocks at odd addresses (views into files) are not served. */
TEST(blocks_may_lie_anywhere)
{
    fill_normal();
    FOR_KERNELS(t, k)
    {
        static float other[CELLS];

        k->encode(cells, ROWS - 1, COLS, NULL, out);
        k->encode(cells, ROWS - 1, COLS, NULL, again + 1);
        CHECK(memcmp(out, again + 1, bytes_of(t, CELLS - COLS)) == 0);
        k->decode(out, decoded, CELLS - COLS);
        k->decode(again + 1, other, CELLS - COLS);
        CHECK(memcmp(decoded, other, sizeof(float) * (CELLS - COLS)) == 0);
        CHECK(k->invalid(again + 1, CELLS - COLS) == k->invalid(out, CELLS - COLS));
    }
}

/* Where each type keeps its f16 scales in a block: the first unless told, one unless told. */
static void scale_places(int dtype, int at[2])
{
    static const struct {
        int at, scales;
    } places[DTYPE_COUNT] = {
        [DTYPE_q4_1] = {0, 2},   [DTYPE_q5_1] = {0, 2},   [DTYPE_q4_k] = {0, 2},
        [DTYPE_q5_k] = {0, 2},   [DTYPE_q2_k] = {80, 2},  [DTYPE_q3_k] = {108, 1},
        [DTYPE_q6_k] = {208, 1}, [DTYPE_tq1_0] = {52, 1}, [DTYPE_tq2_0] = {64, 1},
    };

    at[0] = places[dtype].at;
    at[1] = at[0] + (places[dtype].scales == 2 ? 2 : 0);
}

/* False if a NaN or infinite scale is not found, or is found in another block. */
TEST(invalid_names_the_first_bad_block)
{
    static const unsigned char bad[4] = {0x7c, 0xfc, 0x7e, 0xfd}; /* +Inf -Inf NaN -NaN */

    fill_normal();
    FOR_KERNELS(t, k)
    {
        const int elements = (int)dtype_info((enum dtype)t)->elements;
        const int bytes = (int)dtype_info((enum dtype)t)->bytes;
        int at[2];

        /* Their scales are no f16: test_narrow.c. */
        if (!dtype_is_block((enum dtype)t) || t == DTYPE_mxfp4 || t == DTYPE_nvfp4)
            continue;
        scale_places(t, at);
        k->encode(cells, ROWS, COLS, NULL, out);
        CHECK(k->invalid(out, CELLS) == -1);
        for (int i = 0; i < 8; i++) {
            const int block = CELLS / elements - 1 - i;
            unsigned char *byte = out + block * bytes + at[i & 1] + 1;

            *byte = bad[i / 2];
            CHECK_IN(k->invalid(out, CELLS) == block * elements, "%s", dtype_name((enum dtype)t));
            CHECK(k->invalid(out, block * elements) == -1);
        }
    }
}

/* The block of zeros: HEAD, then FILL, then TAIL; all zero where nothing is told. */
struct zero_block {
    int dtype;
    bool plain, imatrix; /* when it is made */
    int nhead, ntail;
    unsigned char head[12], fill, tail[6];
};

static const struct zero_block zero_blocks[] = {
    {DTYPE_q4_0, true, false, 2, 0, {0x00, 0x80}, 0x88, {0}},
    {DTYPE_q5_0, true, false, 6, 0, {0x00, 0x80, 0xff, 0xff, 0xff, 0xff}, 0x00, {0}},
    {DTYPE_iq4_nl, true, true, 2, 0, {0x00, 0x00}, 0x88, {0}},
    {DTYPE_iq4_xs, true, true, 8, 0, {0x00, 0x80, 0xaa, 0xaa}, 0x88, {0}},
    {DTYPE_tq1_0, true, true, 0, 6, {0}, 0x80, {0x7f, 0x7f, 0x7f, 0x7f, 0x00, 0x00}},
    {DTYPE_tq2_0, true, true, 0, 2, {0}, 0x55, {0x00, 0x00}},
    {DTYPE_q1_0, true, true, 2, 0, {0x00, 0x00}, 0xff, {0}},
    {DTYPE_q2_0, true, true, 2, 0, {0x00, 0x00}, 0x55, {0}},
};

static void zero_block_of(int dtype, bool imatrix, unsigned char *to)
{
    const int bytes = (int)dtype_info((enum dtype)dtype)->bytes;

    memset(to, 0, (size_t)bytes);
    for (size_t i = 0; i < countof(zero_blocks); i++) {
        const struct zero_block *z = &zero_blocks[i];

        if (z->dtype != dtype || !(imatrix ? z->imatrix : z->plain))
            continue;
        memset(to, z->fill, (size_t)bytes);
        memcpy(to, z->head, (size_t)z->nhead);
        memcpy(to + bytes - z->ntail, z->tail, (size_t)z->ntail);
    }
}

/* False if zeros make anything but the bytes that sections 3.3 and 3.4 of the types' page list. */
TEST(zero_blocks_are_as_listed)
{
    memset(cells, 0, sizeof(cells));
    for (int imatrix = 0; imatrix < 2; imatrix++)
        FOR_KERNELS(t, k)
        {
            const size_t bytes = dtype_info((enum dtype)t)->bytes;
            unsigned char want[512];

            zero_block_of(t, imatrix, want);
            k->encode(cells, 1, COLS, imatrix ? weights : NULL, out);
            for (size_t at = 0; at < bytes_of(t, COLS); at += bytes)
                CHECK_IN(memcmp(out + at, want, bytes) == 0, "%s %s at %zu",
                         dtype_name((enum dtype)t), imatrix ? "imatrix" : "plain", at);
            k->decode(out, decoded, COLS);
            for (int i = 0; i < COLS; i++)
                CHECK(decoded[i] == 0.0f);
        }
}

/* False if a dtype that is computed with has no kernel, one that is not has, or a block would
 * straddle the pieces that decode_f64 works in. */
TEST(table_and_kernels_agree)
{
    for (int t = 0; t < DTYPE_COUNT; t++) {
        const struct dtype_info *info = dtype_info((enum dtype)t);

        CHECK_IN((kernel_of((enum dtype)t) == NULL) == (info->kind == DTYPE_KIND_PLAIN), "%s",
                 info->name);
        CHECK_IN(info->kind == DTYPE_KIND_PLAIN || 256 % info->elements == 0, "%s", info->name);
    }
    CHECK(strcmp(kernel_isa(), "scalar") == 0 || strcmp(kernel_isa(), "avx2") == 0 ||
          strcmp(kernel_isa(), "avx512") == 0);
}

/* False if naming a set that no CPU has leaves us without kernels. Must run first: the choice is
 * made once. It does not override a set that the caller forces. */
TEST(unknown_isa_falls_back)
{
    if (!getenv("VBUILD_ISA"))
        setenv("VBUILD_ISA", "nonesuch", 1);
    CHECK(strcmp(kernel_isa(), "nonesuch") != 0);
    CHECK(kernel_of(DTYPE_q4_k) != NULL);
}

TEST_MAIN(RUN(unknown_isa_falls_back) RUN(goldens_are_met_byte_for_byte) RUN(rows_are_independent)
              RUN(round_trip_stays_within_a_step) RUN(encoding_again_is_stable)
                  RUN(any_finite_bits_give_defined_blocks) RUN(any_bytes_decode)
                      RUN(blocks_may_lie_anywhere) RUN(invalid_names_the_first_bad_block)
                          RUN(zero_blocks_are_as_listed) RUN(table_and_kernels_agree))
