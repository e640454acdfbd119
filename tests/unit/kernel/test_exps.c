/* test_exps.c - exp and log on runs against the scalar functions, bit for bit, on every
 * instruction set: random bits, the neighbourhoods where the scalar code branches or rounds
 * closely, every length and alignment */
#include "kernel/exps.h"

#include "base/exact.h"
#include "base/fmath.h"

#include "test.h"

#include <math.h>

enum { MANY = 1 << 20, PART = 1 << 12, GUARD = 3, MOST = 600 };

#define FOR_ISAS(e)                                                                                \
    for (int isa = CPU_SCALAR; isa < CPU_ISAS; isa++)                                              \
        for (const struct exps *e = cpu_runs((enum cpu_isa)isa) ? exps_in((enum cpu_isa)isa)       \
                                                                : NULL;                            \
             e; e = NULL)

static uint64_t state = 1;

static uint64_t random_u64(void)
{
    uint64_t x = state += 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t bits_of(double x)
{
    uint64_t u;

    memcpy(&u, &x, sizeof(u));
    return u;
}

static double of_bits(uint64_t u)
{
    double x;

    memcpy(&x, &u, sizeof(x));
    return x;
}

/* exp and log of N numbers, on every instruction set. */
static void check_f64(const double *x, int64_t n)
{
    static double y[PART], exp_of[PART], log_of[PART];
    const volatile double nothing = 0.0; /* taken off all the same: it makes NaN a quiet one */

    for (int64_t i = 0; i < n; i++) {
        exp_of[i] = fmath_exp(x[i] - nothing);
        log_of[i] = fmath_log(x[i]);
    }
    FOR_ISAS(e)
    {
        e->exp(y, x, sizeof(*x), 0.0, n);
        for (int64_t i = 0; i < n; i++)
            CHECK_IN(bits_of(y[i]) == bits_of(exp_of[i]), "%s: exp %a: %a, not %a",
                     cpu_isa_name((enum cpu_isa)isa), x[i], y[i], exp_of[i]);
        e->log(y, x, sizeof(*x), n);
        for (int64_t i = 0; i < n; i++)
            CHECK_IN(bits_of(y[i]) == bits_of(log_of[i]), "%s: log %a: %a, not %a",
                     cpu_isa_name((enum cpu_isa)isa), x[i], y[i], log_of[i]);
    }
}

/* The same of floats; exp of what they are above LESS. */
static void check_f32(const float *x, double less, int64_t n)
{
    static double y[PART], exp_of[PART];
    static float z[PART], log_of[PART];

    for (int64_t i = 0; i < n; i++) {
        exp_of[i] = fmath_exp((double)x[i] - less);
        log_of[i] = (float)fmath_log((double)x[i]);
    }
    FOR_ISAS(e)
    {
        e->exp(y, x, sizeof(*x), less, n);
        e->log(z, x, sizeof(*x), n);
        for (int64_t i = 0; i < n; i++)
            CHECK_IN(bits_of(y[i]) == bits_of(exp_of[i]) &&
                         memcmp(&z[i], &log_of[i], sizeof(z[i])) == 0,
                     "%s: %a: %a and %a, not %a and %a", cpu_isa_name((enum cpu_isa)isa),
                     (double)x[i], y[i], (double)z[i], exp_of[i], (double)log_of[i]);
    }
}

/* False if any kind of number, in any mixture, comes out otherwise than from the scalar code. */
TEST(random_bits_give_the_scalar_bits)
{
    static double x[PART];

    for (int64_t at = 0; at < MANY; at += PART) {
        for (int i = 0; i < PART; i++)
            x[i] = of_bits(random_u64());
        check_f64(x, PART);
    }
}

static const double middle[] = {0.0,
                                1.0,
                                2.0,
                                0x1.6a09e667f3bcdp-1,
                                0x1.6a09e667f3bcdp0,
                                709.0,
                                709.0895,
                                709.435,
                                709.78271289338397,
                                709.79,
                                -707.7,
                                -708.0,
                                -708.05,
                                -708.3964185322641,
                                -745.13321910194110,
                                -745.2,
                                0x1p-1022,
                                0x1p-1074,
                                0x1.fffffffffffffp+1023,
                                0.34657359027997264,
                                -0.34657359027997264,
                                0x1p-54,
                                88.72,
                                -87.33,
                                1e5,
                                -1e5};

/* False if the lanes' limits, or a rounding of k beside a half, are not those of the scalar code:
 * random bits hardly meet them. */
TEST(dense_samples_give_the_scalar_bits)
{
    static double x[PART];

    for (size_t m = 0; m < countof(middle); m++) {
        for (int i = 0; i < PART; i++)
            x[i] = of_bits(bits_of(middle[m]) + (uint64_t)(int64_t)(i - PART / 2));
        check_f64(x, PART);
        for (int i = 0; i < PART; i++)
            x[i] = middle[m] + (double)(i - PART / 2) * 0x1p-14;
        check_f64(x, PART);
        for (int i = 0; i < PART; i++)
            x[i] = -of_bits(bits_of(fabs(x[i])) ^ random_u64() >> 40);
        check_f64(x, PART);
    }
    /* Where whole blocks are ordinary: exp from -708 to 709, log of 2^-1022 to 2^1024. */
    for (int64_t at = 0; at < MANY; at += PART) {
        for (int i = 0; i < PART; i++)
            x[i] = (double)(int64_t)random_u64() * 0x1p-63 * 708.0;
        check_f64(x, PART);
        for (int i = 0; i < PART; i++)
            x[i] = of_bits(0x0010000000000000u + random_u64() % 0x7fe0000000000000u);
        check_f64(x, PART);
        for (int i = 0; i < PART; i++)
            x[i] = 1.0 + (double)(int64_t)random_u64() * 0x1p-63 * ldexp(1.0, -(i % 50));
        check_f64(x, PART);
    }
}

/* False if a float is not widened, or a logarithm not rounded, as a cast does it. */
TEST(floats_give_the_scalar_bits)
{
    static const double less[] = {0.0,        -0.0, 3.25, -700.0, 0x1.8p127, (double)INFINITY,
                                  (double)NAN};
    static float x[PART];

    for (int64_t at = 0; at < MANY / 4; at += PART) {
        for (int i = 0; i < PART; i++) {
            const uint32_t u = (uint32_t)random_u64();

            memcpy(&x[i], &u, sizeof(x[i]));
        }
        check_f32(x, less[at / PART % (int)countof(less)], PART);
        for (int i = 0; i < PART; i++)
            x[i] = fabsf((float)(int32_t)random_u64() * 0x1p-31f * (float)(1 + i % 9));
        check_f32(x, less[at / PART % 4], PART);
    }
}

/* False if a short rest is computed otherwise than the whole, if a rare number changes its
 * neighbours, or if a byte beside the run is read or written. */
TEST(every_length_and_place_gives_the_same)
{
    static double x[MOST + GUARD], y[MOST + 2 * GUARD], in_place[MOST + GUARD];
    static const double rare[] = {(double)NAN, (double)INFINITY, -1e4, 0.0, -1.0, 0x1p-1060};

    for (int n = 0; n < MOST; n += n < 70 ? 1 : 41)
        for (int start = 0; start < GUARD; start++) {
            for (int i = 0; i < n; i++)
                x[start + i] = (double)(random_u64() >> 11) * 0x1p-50;
            if (n % 2 && start)
                x[start + (int)(random_u64() % (uint64_t)n)] = rare[random_u64() % countof(rare)];
            FOR_ISAS(e)
            {
                for (int i = 0; i < MOST + 2 * GUARD; i++)
                    y[i] = 7.0;
                memcpy(in_place, x, sizeof(x));
                e->exp(y + start, x + start, sizeof(*x), 1.5, n);
                e->log(in_place + start, in_place + start, sizeof(*x), n);
                for (int i = 0; i < n; i++)
                    CHECK(bits_of(y[start + i]) == bits_of(fmath_exp(x[start + i] - 1.5)) &&
                          bits_of(in_place[start + i]) == bits_of(fmath_log(x[start + i])));
                for (int i = 0; i < GUARD; i++)
                    CHECK((i >= start || y[i] == 7.0) && y[start + n + i] == 7.0);
                CHECK(memcmp(in_place, x, sizeof(*x) * (size_t)start) == 0 &&
                      memcmp(in_place + start + n, x + start + n,
                             sizeof(*x) * (size_t)(MOST + GUARD - start - n)) == 0);
            }
        }
}

/* The definition of most, one after another. */
static double most_of(const double *x, int64_t n)
{
    double y = x[0];

    for (int64_t i = 1; i < n; i++)
        y = x[i] > y ? x[i] : y;
    return y;
}

static void check_parts(const struct exps *e, const double *x, const float *f, int64_t n)
{
    static double wide[MOST];
    static float narrow[MOST];

    e->over(wide, sizeof(double), x, 0.37, n);
    e->over(narrow, sizeof(float), x, 0.37, n);
    for (int64_t i = 0; i < n; i++) {
        const double share = x[i] / 0.37;
        const float rounded = (float)share;

        CHECK(bits_of(wide[i]) == bits_of(share) && memcmp(&narrow[i], &rounded, 4) == 0);
    }
    if (n == 0)
        return;
    const double most = most_of(x, n), here = e->most(x, sizeof(*x), n);
    const double here_f32 = e->most(f, sizeof(*f), n);

    CHECK(here == most || (isnan(most) && isnan(here)));
    CHECK(here_f32 == (double)(float)most || (isnan(most) && isnan(here_f32)));
}

/* False if a lane is left out of the largest number, if NaN counts elsewhere than at the
 * beginning, or if a division is rounded twice. */
TEST(largest_and_parts_are_those_of_a_loop)
{
    static double x[MOST];
    static float f[MOST];

    for (int n = 0; n < MOST; n += n < 70 ? 1 : 41)
        for (int turn = 0; turn < 6; turn++) {
            for (int i = 0; i < n; i++)
                x[i] = (double)(float)((double)(int64_t)random_u64() * 0x1p-60) - 20.0 * turn;
            if (turn > 3 && n)
                x[turn == 4 ? 0 : random_u64() % (uint64_t)n] = (double)NAN;
            if (turn == 3 && n)
                x[n - 1] = (double)INFINITY;
            for (int i = 0; i < n; i++) {
                f[i] = (float)x[i];
                x[i] = (double)f[i];
            }
            FOR_ISAS(e)
            {
                check_parts(e, x, f, n);
            }
        }
}

TEST_MAIN(RUN(random_bits_give_the_scalar_bits) RUN(dense_samples_give_the_scalar_bits)
              RUN(floats_give_the_scalar_bits) RUN(every_length_and_place_gives_the_same)
                  RUN(largest_and_parts_are_those_of_a_loop))
