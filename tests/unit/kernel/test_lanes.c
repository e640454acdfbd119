/* test_lanes.c - every instruction set of this CPU against the scalar code, byte for byte
 *
 * VBUILD_LANES_BLOCKS=N tries N random blocks a type, mode and set (1,000,000 takes minutes). */
#include "base/arena.h"
#include "base/file.h"
#include "kernel/half.h"
#include "kernel/kernel.h"

#include "test.h"

#include <float.h>
#include <math.h>

enum { CELLS = 96 * 256, GUARD = 64 };

static float cells[CELLS], weights[CELLS];
static unsigned char want[CELLS * 2 + GUARD], got[CELLS * 2 + GUARD];

#define FOR_BLOCK_TYPES(t)                                                                         \
    for (int t = 0; t < DTYPE_COUNT; t++)                                                          \
        if (dtype_is_block((enum dtype)t) && kernel_in(CPU_SCALAR, (enum dtype)t))

/* Those besides the scalar one that can be run here. */
#define FOR_SETS(isa)                                                                              \
    for (int isa = CPU_SCALAR + 1; isa < CPU_ISAS; isa++)                                          \
        if (cpu_runs((enum cpu_isa)isa))

/* ---- random numbers of every kind ------------------------------------------------------------ */

static uint64_t state = 1;

static uint32_t random_u32(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

static int random_below(int n)
{
    return (int)(random_u32() % (uint32_t)n);
}

/* -1 to 1, bell-shaped. */
static float bell(void)
{
    float s = 0;

    for (int j = 0; j < 4; j++)
        s += (float)(random_u32() >> 8) * 0x1p-24f - 0.5f;
    return s / 2;
}

static float finite_bits(void)
{
    const uint32_t u = random_u32();

    return f32_from_bits((u & 0x7f800000) == 0x7f800000 ? u ^ 0x00800000 : u);
}

enum family {
    ZEROS,
    BOTH_ZEROS,
    CONSTANT,
    TIES,
    SMALL_INTEGERS,
    SUBNORMAL,
    NEAR_TINY,
    NEARLY_CONSTANT,
    SPIKE,
    HALVES,
    POSITIVE,
    BELL, /* and the next: ordinary weights more often */
    BELL_TOO,
    TAME, /* families below: their squares stay finite */
    BITS = TAME,
    HUGE_VALUES,
    HUGE_BELL,
    FAMILIES
};

static float one_of(enum family family, float scale, int i, int n)
{
    switch (family) {
    case ZEROS:
        return 0.0f;
    case BOTH_ZEROS:
        return random_below(2) ? -0.0f : 0.0f;
    case CONSTANT:
        return scale;
    case TIES:
        return (float)(random_below(65) - 32) * 0.5f * scale;
    case SMALL_INTEGERS:
        return (float)(random_below(17) - 8);
    case SUBNORMAL:
        return f32_from_bits(random_u32() & 0x807fffff);
    case NEAR_TINY:
        return bell() * 3e-15f;
    case NEARLY_CONSTANT:
        return scale * (1.0f + (float)random_below(4) * 0x1p-23f);
    case SPIKE:
        return i == n / 2 ? scale : bell() * scale * 0x1p-12f;
    case HALVES: /* where the levels of iq4 meet, once the first is taken for -127 */
        return i % 32 == 0 ? -127.0f : (float)(random_below(509) - 254) * 0.5f;
    case POSITIVE:
        return fabsf(bell() * scale);
    case BELL:
    case BELL_TOO:
        return bell() * scale;
    case BITS:
        return finite_bits();
    case HUGE_VALUES:
        return random_below(2) ? FLT_MAX : -FLT_MAX * fabsf(bell());
    case HUGE_BELL:
        return bell() * 0x1p126f;
    case FAMILIES:
        break;
    }
    return 0.0f;
}

/* Runs of 16 to 512 values of one family each, so that lanes beside each other differ, or (LIKE)
 * one family for all. */
static void fill(int n, int families, bool like)
{
    for (int at = 0; at < n;) {
        const enum family family = (enum family)random_below(families);
        const int run = like ? n : 16 << random_below(6);
        const float sign = random_below(2) ? -1.0f : 1.0f;
        const float scale = sign * ldexpf(1.0f + bell(), random_below(100) - 80);

        for (int i = at; i < n && i < at + run; i++)
            cells[i] = one_of(family, scale, i - at, run);
        at += run;
    }
}

static void fill_weights(int n)
{
    const int kind = random_below(5);

    for (int i = 0; i < n; i++) {
        const float u = (float)(random_u32() >> 8) * 0x1p-24f;

        weights[i] = kind == 0   ? 1.0f
                     : kind == 1 ? (random_below(3) ? u : 0.0f)
                     : kind == 2 ? ldexpf(u, random_below(120) - 60)
                     : kind == 3 ? u * FLT_MAX
                                 : u;
    }
}

/* ---- comparing ------------------------------------------------------------------------------- */

static size_t difference(size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (got[i] != want[i])
            return i;
    return n;
}

/* ROWS rows of COLS cells: each set's bytes are the scalar code's, and none beyond them. */
static void compare(enum dtype dtype, int rows, int cols, const float *w, const char *what)
{
    const struct dtype_info *info = dtype_info(dtype);
    const size_t size = (size_t)(rows * cols) / info->elements * info->bytes;

    memset(want, 0xa5, size + GUARD);
    kernel_in(CPU_SCALAR, dtype)->encode(cells, rows, cols, w, want);
    FOR_SETS(isa)
    {
        memset(got, 0xa5, size + GUARD);
        kernel_in((enum cpu_isa)isa, dtype)->encode(cells, rows, cols, w, got);
        CHECK_IN(memcmp(got, want, size + GUARD) == 0, "%s %s %s, %s, %d x %d: byte %zu of %zu",
                 info->name, w ? "weighted" : "plain", cpu_isa_name((enum cpu_isa)isa), what, rows,
                 cols, difference(size + GUARD), size);
    }
}

/* False if an instruction set that this CPU runs is not dispatched: then the rest of this file
 * compares scalar code with itself. */
TEST(sets_have_kernels_of_their_own)
{
    FOR_SETS(isa)
    FOR_BLOCK_TYPES(t)
    {
        const struct kernel *own = kernel_in((enum cpu_isa)isa, (enum dtype)t);

        CHECK_IN(own != kernel_in(CPU_SCALAR, (enum dtype)t), "%s %s", dtype_name((enum dtype)t),
                 cpu_isa_name((enum cpu_isa)isa));
        CHECK(own->encode != kernel_in(CPU_SCALAR, (enum dtype)t)->encode);
    }
    CHECK(kernel_in(cpu_isa(), DTYPE_q4_k) == kernel_of(DTYPE_q4_k));
    CHECK(strcmp(kernel_isa(), cpu_isa_name(cpu_isa())) == 0);
    CHECK(cpu_runs(cpu_isa()));
}

/* False if lanes differ from the scalar code on the inputs that llama.cpp's bytes are known for
 * (each type on all of them). */
TEST(golden_inputs_give_scalar_bytes)
{
    struct arena *arena = arena_new();
    struct err err;
    char *inputs, *cases, *imatrix;
    size_t size, cases_size, imatrix_size;
    long last = -1, rows, cols, input, column;
    int count = 0;

    CHECK(file_read("tests/golden/quant/inputs.f32", 16 << 20, arena, &inputs, &size, &err));
    CHECK(file_read("tests/golden/quant/imatrix.f32", 16 << 20, arena, &imatrix, &imatrix_size,
                    &err));
    CHECK(file_read("tests/golden/quant/cases.txt", 16 << 20, arena, &cases, &cases_size, &err));
    for (const char *at = cases; *at; at = strchr(at, '\n') + 1) {
        CHECK(sscanf(at, "%*s %*s %*s %*s %ld %ld %ld %ld", &rows, &cols, &input, &column) == 4);
        if (input <= last)
            continue; /* of another type: the same inputs again */
        last = input;
        if (!(rows * cols <= CELLS && cols % 256 == 0))
            continue;
        memcpy(cells, inputs + input * 4, (size_t)(rows * cols) * 4);
        memcpy(weights, imatrix + column * 4, (size_t)cols * 4);
        count++;
        FOR_BLOCK_TYPES(t)
        {
            compare((enum dtype)t, (int)rows, (int)cols, NULL, "golden");
            compare((enum dtype)t, (int)rows, (int)cols, weights, "golden");
        }
    }
    CHECK_IN(count >= 20, "%d inputs", count);
    arena_free(arena);
}

/* Blocks to try of each type and mode; *ROUNDS of 64 or so. */
static long blocks_wanted(void)
{
    const char *asked = getenv("VBUILD_LANES_BLOCKS");
    const long n = asked ? strtol(asked, NULL, 10) : 0;

    return n > 0 ? n : 2000;
}

static void random_blocks(enum dtype dtype, bool weighted)
{
    const int n = (int)dtype_info(dtype)->elements;
    const long wanted = blocks_wanted();

    for (long done = 0; done < wanted && !test_bad;) {
        const int row_blocks = 1 + random_below(512 / n), cols = row_blocks * n;
        const int rows = 1 + random_below(40);
        /* Rows that hold huge values are left to the scalar code with weights: few of them. */
        const int families = random_below(3) ? TAME : FAMILIES;

        fill(rows * cols, families, random_below(8) == 0);
        if (weighted)
            fill_weights(cols);
        compare(dtype, rows, cols, weighted ? weights : NULL, families == TAME ? "tame" : "any");
        done += rows * row_blocks;
    }
}

/* False if lanes differ on zeros, ties, constants, subnormals, huge values, or because the block
 * in the next lane is of another kind (accepted other trials, converged earlier). */
TEST(random_blocks_give_scalar_bytes)
{
    FOR_BLOCK_TYPES(t)
    {
        random_blocks((enum dtype)t, false);
        random_blocks((enum dtype)t, true);
    }
}

/* False if the blocks that are left over when lanes are full are dealt with otherwise, or bytes
 * behind the last one are touched. Two rows of unequal size tell whose variance is whose. */
TEST(any_number_of_blocks_is_served)
{
    FOR_BLOCK_TYPES(t)
    {
        const int n = (int)dtype_info((enum dtype)t)->elements;

        fill_weights(40 * n);
        for (int blocks = 1; blocks <= 40; blocks++) {
            for (int i = 0; i < 2 * blocks * n; i++)
                cells[i] = bell() * (i < blocks * n ? 1.0f : 100.0f);
            compare((enum dtype)t, 1, blocks * n, NULL, "count");
            compare((enum dtype)t, 1, blocks * n, weights, "count");
            compare((enum dtype)t, 2, blocks * n, weights, "count");
            compare((enum dtype)t, blocks, n, weights, "count");
        }
        compare((enum dtype)t, 0, n, NULL, "none");
        compare((enum dtype)t, 0, n, weights, "none");
        compare((enum dtype)t, 3, 0, weights, "none");
    }
}

/* False if a step that sources are checked to rule out, NaN or infinity, gives other bytes, or
 * changes a block beside it. */
TEST(bad_values_give_scalar_bytes)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};

    for (int round = 0; round < 12; round++)
        FOR_BLOCK_TYPES(t)
        {
            fill(20 * 256, BITS, false);
            fill_weights(512);
            for (int i = 0; i <= round; i++)
                cells[random_below(20 * 256)] = bad[round % 3];
            compare((enum dtype)t, 10, 512, NULL, "bad values");
            compare((enum dtype)t, 10, 512, weights, "bad values");
        }
}

/* False if lanes clamp before they round where the scalar code, having wrapped, does not. Values
 * without weight lie far below a line that fits the others within a few ulps: the minimum moves
 * close to the largest value, and a level of millions is asked for. */
TEST(levels_that_wrap_give_scalar_bytes)
{
    for (int i = 0; i < 512; i++)
        weights[i] = i % 16 == 0 ? 0.0f : 1.0f;
    for (int round = 0; round < 40; round++)
        FOR_BLOCK_TYPES(t)
        {
            for (int i = 0; i < 40 * 512; i++) {
                const float from = (float)(1 + i / 64) * 0.0137f;
                const float noise = (float)random_below(9) * ldexpf(1.0f, -11 - round % 12);

                cells[i] = -from * (i % 16 == 0 ? (float)(3 << round % 10) : 1.0f + noise);
            }
            compare((enum dtype)t, 40, 512, weights, "wrapping levels");
        }
}

/* Every value of 16 bits. */
static void half_bits(unsigned char *to)
{
    for (int i = 0; i < 65536; i++) {
        to[2 * i] = (unsigned char)i;
        to[2 * i + 1] = (unsigned char)(i >> 8);
    }
}

/* False if lanes convert a value of 16 bits, or to one, as the scalar code does not: any bits
 * there are, from any place, to any length. */
TEST(plain_floats_give_scalar_bits)
{
    static const enum dtype types[] = {DTYPE_f32, DTYPE_f16, DTYPE_bf16};
    static float scalar_y[65536], y[65536];
    static unsigned char all[131072];

    half_bits(all);
    FOR_SETS(isa)
    for (size_t t = 0; t < countof(types); t++) {
        const struct kernel *scalar = kernel_in(CPU_SCALAR, types[t]);
        const struct kernel *own = kernel_in((enum cpu_isa)isa, types[t]);
        const int n = types[t] == DTYPE_f32 ? 32768 : 65536;

        scalar->decode(all, scalar_y, n);
        own->decode(all, y, n);
        CHECK_IN(memcmp(y, scalar_y, (size_t)n * 4) == 0, "%s", dtype_name(types[t]));
        for (int round = 0; round < 100; round++) {
            const int from = random_below(40), count = random_below(6000);

            for (int i = 0; i < 6040; i++)
                cells[i] = f32_from_bits(random_u32() << (round & 1 ? 0 : 13));
            memset(want, 1, 24100);
            memset(got, 1, 24100);
            scalar->encode(cells + from, 1, count, NULL, want);
            own->encode(cells + from, 1, count, NULL, got);
            CHECK_IN(memcmp(got, want, 24100) == 0, "%s %d", dtype_name(types[t]), count);
        }
    }
}

/* False if the first NaN or infinity is not found where it stands, or something else is taken for
 * one: near the limits of each type, at every place of a look and behind the last. */
TEST(plain_floats_that_are_not_finite_are_found)
{
    static const struct {
        enum dtype dtype;
        int bytes;
        uint32_t finite, bad[4];
    } cases[] = {{DTYPE_f32, 4, 0xff7fffff, {0x7f800000, 0xff800000, 0x7f800001, 0xffffffff}},
                 {DTYPE_f16, 2, 0xfbff, {0x7c00, 0xfc00, 0x7c01, 0xffff}},
                 {DTYPE_bf16, 2, 0xff7f, {0x7f80, 0xff80, 0x7f81, 0xffff}}};
    enum { COUNT = 301 };
    static unsigned char bytes[4 * COUNT];

    for (size_t c = 0; c < countof(cases); c++)
        for (int at = 0; at <= COUNT; at++) {
            const size_t size = (size_t)cases[c].bytes;

            for (int i = 0; i < COUNT; i++)
                memcpy(bytes + (size_t)i * size, &cases[c].finite, size);
            for (int i = at; i < COUNT; i += 40) /* the first counts, not those behind it */
                memcpy(bytes + (size_t)i * size, &cases[c].bad[(i + at) % 4], size);
            FOR_SETS(isa)
            {
                const struct kernel *own = kernel_in((enum cpu_isa)isa, cases[c].dtype);

                CHECK_IN(own->invalid(bytes, COUNT) == (at < COUNT ? at : -1), "%s %d",
                         dtype_name(cases[c].dtype), at);
                CHECK(own->invalid(bytes, at) == -1);
            }
        }
}

/* False if an address that is no multiple of the register's width is not served. */
TEST(values_and_blocks_may_lie_anywhere)
{
    FOR_BLOCK_TYPES(t)
    {
        const struct dtype_info *info = dtype_info((enum dtype)t);
        const size_t size = 2048 / info->elements * info->bytes;

        fill(2049, TAME, false);
        fill_weights(1025);
        FOR_SETS(isa)
        {
            kernel_in(CPU_SCALAR, (enum dtype)t)->encode(cells + 1, 2, 1024, weights + 1, want);
            kernel_in((enum cpu_isa)isa, (enum dtype)t)
                ->encode(cells + 1, 2, 1024, weights + 1, got + 1);
            CHECK_IN(memcmp(want, got + 1, size) == 0, "%s", info->name);
        }
    }
}

TEST_MAIN(RUN(sets_have_kernels_of_their_own) RUN(golden_inputs_give_scalar_bytes)
              RUN(random_blocks_give_scalar_bytes) RUN(any_number_of_blocks_is_served)
                  RUN(bad_values_give_scalar_bytes) RUN(levels_that_wrap_give_scalar_bytes)
                      RUN(values_and_blocks_may_lie_anywhere) RUN(plain_floats_give_scalar_bits)
                          RUN(plain_floats_that_are_not_finite_are_found))
