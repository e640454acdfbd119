#include "test.h"

#include "base/arena.h"
#include "base/cc.h"
#include "kernel/chance.h"
#include "kernel/half.h"
#include "kernel/kernel.h"
#include "kernel/philox.h"
#include "kernel/select.h"

#include <math.h>

enum { MANY = 1000 };

/* Random bit patterns: every exponent, subnormals, NaN and infinity among them. */
static void random_floats(float *x, enum dtype work, uint64_t key)
{
    uint32_t word[4][PHILOX_LANES];

    for (int i = 0; i < MANY; i++) {
        if (i % PHILOX_LANES == 0)
            philox_lanes(key, (uint64_t)i, word);
        x[i] = f32_from_bits(word[0][i % PHILOX_LANES]);
        if (work == DTYPE_bf16)
            x[i] = bf16_get((uint16_t)word[0][i % PHILOX_LANES]);
        if (work == DTYPE_f16)
            x[i] = f16_get((uint16_t)word[0][i % PHILOX_LANES]);
        if (i % 50 == 7)
            x[i] = i % 100 == 7 ? INFINITY : -NAN;
        if (i % 50 == 8)
            x[i] = i % 100 == 8 ? -0.0f : 0.0f;
    }
}

/* As the description orders them: NaN above all, and all NaN alike. */
static int compare(float a, float b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    return (fabsf(a) > fabsf(b)) - (fabsf(a) < fabsf(b));
}

/* A magnitude, or bin, that orders otherwise than |x| would keep the wrong elements. */
TEST(select_orders_as_magnitudes_do)
{
    static const enum dtype works[] = {DTYPE_f32, DTYPE_bf16, DTYPE_f16};
    static float x[MANY];
    static uint32_t m[MANY];
    static uint16_t bin[MANY];
    int bad = 0;

    for (size_t w = 0; w < countof(works); w++) {
        random_floats(x, works[w], w);
        select_magnitudes(m, x, sizeof(float), MANY);
        if (works[w] != DTYPE_f32)
            select_bins(works[w], bin, x, MANY);
        for (int i = 0; i < MANY; i++) {
            bad += works[w] != DTYPE_f32 && select_magnitude_of(works[w], bin[i]) != m[i];
            bad += works[w] != DTYPE_f32 && bin[i] >= select_bins_of(works[w]);
            for (int k = 0; k < i; k++)
                bad += (m[i] > m[k]) - (m[i] < m[k]) != compare(x[i], x[k]);
        }
    }
    CHECK_IN(bad == 0, "%d pairs", bad);
}

/* Doubles have their own code for the same. */
TEST(select_orders_doubles)
{
    static const double x[] = {0.0,   5e-324,           1.0,        0x1.0000000000001p0,
                               1e308, (double)INFINITY, (double)NAN};
    uint64_t m[countof(x)];

    select_magnitudes(m, x, sizeof(double), countof(x));
    for (size_t i = 1; i < countof(x); i++)
        CHECK(m[i] > m[i - 1]);
    CHECK(select_equals(m, sizeof(double), m[2], countof(x)) == 1);
}

/* Bounds are inclusive, an empty band keeps nothing, and what is dropped is multiplied. */
TEST(select_between_keeps_its_bounds)
{
    static const uint32_t bounds[][2] = {
        {0, UINT32_MAX}, {0x3f800000, 0x3f800000}, {1, 0}, {0x3f800001, 0x7f800000}, {0, 0}};
    static float x[MANY], y[MANY];
    static uint32_t m[MANY];
    int bad = 0;

    random_floats(x, DTYPE_f32, 9);
    x[3] = x[997] = -1.0f;
    select_magnitudes(m, x, sizeof(float), MANY);
    for (size_t b = 0; b < countof(bounds); b++) {
        memcpy(y, x, sizeof(y));
        select_between(y, sizeof(float), bounds[b][0], bounds[b][1], MANY);
        for (int i = 0; i < MANY; i++) {
            const bool in = m[i] >= bounds[b][0] && m[i] <= bounds[b][1];
            const float want = x[i] * (in ? 1.0f : 0.0f);

            bad += isnan(want) ? !isnan(y[i]) : f32_bits(want) != f32_bits(y[i]);
        }
    }
    CHECK_IN(bad == 0, "%d elements", bad);
}

/* Counts by digits add up to all, and find an element by its digits. */
TEST(select_counts_digits)
{
    static float x[MANY];
    static uint32_t m[MANY];
    uint64_t *count = mem_grow(NULL, sizeof(*count) << 16), all = 0;

    random_floats(x, DTYPE_f32, 11);
    select_magnitudes(m, x, sizeof(float), MANY);
    memset(count, 0, sizeof(*count) << 16);
    select_count_digits(count, m, sizeof(float), (struct select_digit){15, 16, 0}, MANY);
    for (int i = 0; i < 1 << 16; i++)
        all += count[i];
    CHECK(all == MANY && count[m[5] >> 15] > 0);
    memset(count, 0, sizeof(*count) << 16);
    select_count_digits(count, m, sizeof(float), (struct select_digit){0, 15, m[5] >> 15}, MANY);
    CHECK(count[m[5] & 0x7fff] == (uint64_t)select_equals(m, sizeof(float), m[5], MANY));
    mem_free(count);
}

/* Where few magnitudes, or many, have the prefix, at any place of a run: a step that is passed over
 * whole must hold none. */
TEST(select_counts_only_what_has_the_prefix)
{
    static uint32_t m[MANY];
    static uint64_t wide[MANY], here[256], there[256], want[256];
    static const struct select_digit digits[] = {{0, 8, 0xabcdef}, {8, 8, 0xabcd}, {24, 8, 0},
                                                 {24, 8, 1},       {23, 8, 1},     {23, 8, 0},
                                                 {16, 8, 0}};

    for (size_t d = 0; d < countof(digits); d++)
        for (int n = 0; n < MANY; n += n < 70 ? 1 : 97) {
            const uint32_t above = digits[d].shift + digits[d].bits;

            memset(here, 0, sizeof(here));
            memset(there, 0, sizeof(there));
            memset(want, 0, sizeof(want));
            for (int i = 0; i < n; i++) {
                m[i] = (uint32_t)i * 2654435761u;
                if (i % (n % 3 ? 37 : 2) == n % 31 && above < 32)
                    m[i] = (uint32_t)digits[d].prefix << above | m[i] % (1u << above);
                wide[i] = m[i];
                want[m[i] >> digits[d].shift & 255] += (uint64_t)m[i] >> above == digits[d].prefix;
            }
            select_count_digits(here, m, sizeof(*m), digits[d], n);
            select_count_digits(there, wide, sizeof(*wide), digits[d], n);
            CHECK_IN(memcmp(here, want, sizeof(want)) == 0, "digit %d of %d", (int)d, n);
            CHECK_IN(memcmp(there, want, sizeof(want)) == 0, "digit %d of %d", (int)d, n);
        }
}

/* u(i) of element I, one at a time. */
static float u_of(uint64_t key, uint64_t i)
{
    uint32_t word[4][PHILOX_LANES];

    philox_lanes(key, i / 4, word);
    return (float)(word[i % 4][0] >> 8) * 0x1p-24f;
}

/* The vectors of specs/merge.md section 3, seed 7, input 0. */
TEST(chance_draws_the_words_of_the_description)
{
    static const uint32_t word[8] = {0x3d1ecb6a, 0x13372fbf, 0x32602ebd, 0x677221e3,
                                     0x3d4a2d0f, 0xd1024bf7, 0x27d31d9b, 0x39a41d16};
    uint8_t mask[8];

    for (int i = 0; i < 8; i++) {
        const float u = (float)(word[i] >> 8) * 0x1p-24f;

        CHECK(u_of(0x163a4f807245a794, (uint64_t)i) == u);
        chance_mask(mask, 0x163a4f807245a794, 0, 8, u); /* below u: not u itself */
        CHECK(!mask[i]);
        chance_mask(mask, 0x163a4f807245a794, 0, 8, nextafterf(u, 1));
        CHECK(mask[i]);
    }
}

/* A mask is a function of the flat index: wherever a run begins and ends, beyond 2^34, too. */
TEST(chance_does_not_know_where_a_run_begins)
{
    static const uint64_t firsts[] = {0, 1, 63, 64, 1151, UINT64_C(0x400000003)};
    static const float ps[] = {0.0f, 0x1p-24f, 0.3f, 0.5f, 1.0f};
    uint8_t mask[200], each[200];
    float p[200];
    int bad = 0;

    for (size_t f = 0; f < countof(firsts); f++)
        for (size_t k = 0; k < countof(ps); k++)
            for (int64_t n = 0; n < 200; n += 37) {
                for (int i = 0; i < n; i++)
                    p[i] = ps[k];
                chance_mask(mask, 77, firsts[f], n, ps[k]);
                chance_mask_each(each, 77, firsts[f], n, p);
                for (int i = 0; i < n; i++)
                    bad += mask[i] != each[i] ||
                           mask[i] != (u_of(77, firsts[f] + (uint64_t)i) < ps[k]);
            }
    CHECK_IN(bad == 0, "%d elements", bad);
}

/* (low + ((r / last) * 2) * by), rounded at every step. */
TEST(chance_rises_with_ranks)
{
    const struct chance_ramp ramp = {0.4f, 100.0f, 0.1f};
    uint32_t rank[101];
    float p[101];

    for (uint32_t i = 0; i < countof(rank); i++)
        rank[i] = 100 - i;
    chance_of_ranks(p, rank, ramp, countof(rank));
    for (uint32_t i = 0; i < countof(rank); i++) {
        const volatile float part = (float)rank[i] / 100.0f, twice = part * 2.0f;
        const volatile float up = twice * 0.1f, want = 0.4f + up;

        CHECK(p[i] == want);
    }
    CHECK(p[100] == 0.4f && p[0] > 0.599f && p[0] < 0.601f);
}

TEST_MAIN(RUN(select_orders_as_magnitudes_do) RUN(select_orders_doubles)
              RUN(select_between_keeps_its_bounds) RUN(select_counts_digits)
                  RUN(select_counts_only_what_has_the_prefix)
                      RUN(chance_draws_the_words_of_the_description)
                          RUN(chance_does_not_know_where_a_run_begins) RUN(chance_rises_with_ranks))
