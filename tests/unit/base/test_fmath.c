/* test_fmath.c - base/fmath against long double and against libm */
#include "base/fmath.h"

#include "base/cc.h"
#include "base/exact.h"
#include "base/hash.h"

#include "test.h"

#include <float.h>
#include <math.h>

static uint64_t state = 7;

static uint64_t random_u64(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state ^ state >> 29) * 0xbf58476d1ce4e5b9u;
}

/* 0 .. 1 */
static double unit(void)
{
    return (double)(random_u64() >> 11) * 0x1p-53;
}

static double between(double low, double high)
{
    return low + (high - low) * unit();
}

static double ulp(double x)
{
    const double a = fabs(x);

    return a < 0x1p-1022 ? 0x1p-1074 : nextafter(a, HUGE_VAL) - a;
}

enum { POINTS = 100000 };

/* The worst error so far, in units in the last place of the true value. */
static double worst;

static void compare(const char *name, double x, double y, double got, long double want, double libm)
{
    double off;

    if (fabsl(want) > (long double)DBL_MAX) {
        CHECK_IN(isinf(got) && (got > 0) == (want > 0), "%s(%a, %a) = %a", name, x, y, got);
        return;
    }
    off = (double)(fabsl((long double)got - want) / (long double)ulp((double)want));
    worst = off > worst ? off : worst;
    CHECK_IN(off < 0.9, "%s(%a, %a) = %a: %.3f ulp off", name, x, y, got, off);
    CHECK_IN(fabs(got - libm) <= ulp(libm), "%s(%a, %a) = %a, libm %a", name, x, y, got, libm);
}

#define COMPARE(name, at)                                                                          \
    do {                                                                                           \
        const double x = (at);                                                                     \
        compare(#name, x, 0.0, fmath_##name(x), name##l((long double)x), name(x));                 \
    } while (0)

static void compare_pow(double x, double y)
{
    compare("pow", x, y, fmath_pow(x, y), powl((long double)x, (long double)y), pow(x, y));
}

/* False if exp strays by a unit anywhere from where it is 0 to where it is infinite. */
TEST(exp_is_within_one_ulp)
{
    worst = 0;
    for (int i = 0; i < POINTS; i++) {
        COMPARE(exp, between(-746.0, 709.9));
        COMPARE(exp, between(-1.0, 1.0));
        COMPARE(exp, ldexp(between(-1.0, 1.0), -(i % 60)));
        COMPARE(exp, (i % 2048 - 1024) * 0x1.62e42fefa39efp-2);
    }
    printf("exp: worst %.3f ulp\n", worst);
    CHECK(fmath_exp(0.0) == 1.0 && fmath_exp(-0.0) == 1.0);
    CHECK(fmath_exp(-HUGE_VAL) == 0.0 && fmath_exp(-800.0) == 0.0);
    CHECK(isinf(fmath_exp(HUGE_VAL)) && isinf(fmath_exp(710.0)) && isnan(fmath_exp((double)NAN)));
    CHECK(fmath_exp(-745.0) == 0x1p-1074 && fmath_exp(709.78) <= DBL_MAX);
}

/* False if log strays by a unit: near 1, where it nears 0, or for subnormals. */
TEST(log_is_within_one_ulp)
{
    worst = 0;
    for (int i = 0; i < POINTS; i++) {
        COMPARE(log, ldexp(1.0 + unit(), i % 2098 - 1074));
        COMPARE(log, between(0.5, 2.0));
        COMPARE(log, 1.0 + ldexp(between(-0.5, 0.5), -(i % 52)));
        COMPARE(log, sqrt(0.5) * (1.0 + between(-1e-9, 1e-9)));
    }
    printf("log: worst %.3f ulp\n", worst);
    CHECK(fmath_log(1.0) == 0.0 && fmath_log(HUGE_VAL) == HUGE_VAL);
    CHECK(fmath_log(0.0) == -HUGE_VAL && fmath_log(-0.0) == -HUGE_VAL);
    CHECK(isnan(fmath_log(-1.0)) && isnan(fmath_log((double)NAN)));
    COMPARE(log, 0x1p-1074);
    COMPARE(log, DBL_MAX);
}

/* False if pow loses the bits of its logarithm that large exponents bring forward. */
TEST(pow_is_within_one_ulp)
{
    worst = 0;
    for (int i = 0; i < POINTS; i++) {
        const double x = ldexp(1.0 + unit(), i % 2044 - 1022);

        compare_pow(unit(), between(0.0, 3.0));
        compare_pow(between(0.5, 2.0), between(-700.0, 700.0));
        compare_pow(1.0 + ldexp(between(-0.5, 0.5), -20), between(-1e9, 1e9));
        compare_pow(x, between(-700.0, 700.0) / (log(x) + (fabs(log(x)) < 1e-3)));
    }
    printf("pow: worst %.3f ulp\n", worst);
    for (int i = 0; i < 53; i++)
        CHECK(fmath_pow(2.0, i - 26) == ldexp(1.0, i - 26) && fmath_pow(i + 1.0, 1.0) == i + 1.0);
    CHECK(fmath_pow(0.0, 2.0) == 0.0 && isinf(fmath_pow(0.0, -2.0)) && fmath_pow(0.0, 0.0) == 1.0);
    CHECK(isinf(fmath_pow(HUGE_VAL, 0.5)) && fmath_pow(HUGE_VAL, -0.5) == 0.0);
    CHECK(fmath_pow(0.5, HUGE_VAL) == 0.0 && isinf(fmath_pow(2.0, HUGE_VAL)));
    CHECK(isinf(fmath_pow(0.5, -1e300)) && fmath_pow(2.0, -1e300) == 0.0);
    CHECK(fmath_pow(2.0, 1e-320) == 1.0 && fmath_pow(1.0, (double)NAN) == 1.0);
    CHECK(isnan(fmath_pow((double)NAN, 1.0)) && isnan(fmath_pow(2.0, (double)NAN)) &&
          isnan(fmath_pow(-2.0, 1.5)));
}

/* False if an angle near a multiple of pi/2 loses its digits, or one in the millions drifts. */
TEST(sin_and_cos_are_within_one_ulp)
{
    worst = 0;
    for (int i = 0; i < POINTS; i++) {
        const double ranges[] = {
            between(-4.0, 4.0), between(-0x1p20, 0x1p20), ldexp(between(-1.0, 1.0), -(i % 40)),
            (double)(i * 2) * 0x1.921fb54442d18p+0, nextafter(i * 0x1.921fb54442d18p+0, 1e9)};

        for (size_t r = 0; r < countof(ranges); r++) {
            COMPARE(sin, ranges[r]);
            COMPARE(cos, ranges[r]);
        }
    }
    printf("sin, cos: worst %.3f ulp\n", worst);
    CHECK(fmath_sin(0.0) == 0.0 && signbit(fmath_sin(-0.0)) && fmath_cos(0.0) == 1.0);
    CHECK(fmath_sin(0x1p-1074) == 0x1p-1074);
    CHECK(isnan(fmath_sin((double)NAN)) && isnan(fmath_cos(HUGE_VAL)) &&
          isnan(fmath_sin(0x1.1p20)));
}

/* False if acos loses digits near 1 and -1, where slerp of like tensors lives. */
TEST(acos_is_within_one_ulp)
{
    worst = 0;
    for (int i = 0; i < POINTS; i++) {
        COMPARE(acos, between(-1.0, 1.0));
        COMPARE(acos, 1.0 - ldexp(unit(), -(i % 53)));
        COMPARE(acos, -1.0 + ldexp(unit(), -(i % 53)));
        COMPARE(acos, (double)(float)between(0.99, 1.0));
        COMPARE(acos, ldexp(between(-1.0, 1.0), -(i % 70)));
    }
    printf("acos: worst %.3f ulp\n", worst);
    COMPARE(acos, 0.5);
    COMPARE(acos, -0.5);
    CHECK(fmath_acos(1.0) == 0.0 && fmath_acos(-1.0) == 0x1.921fb54442d18p+1);
    CHECK(fmath_acos(0.0) == 0x1.921fb54442d18p+0 && fmath_acos(-0.0) == 0x1.921fb54442d18p+0);
    CHECK(isnan(fmath_acos(1.0000000000000002)) && isnan(fmath_acos((double)NAN)));
}

/* False if a compiler, a flag or a CPU gives other bits: the digest is of every compiler's and
 * every mode's results, so a change of fmath.c that moves one bit must change it here. */
TEST(bits_are_the_same_everywhere)
{
    struct hasher *h = hasher_new();
    char hex[DIGEST_HEX + 1];

    state = 1;
    for (int i = 0; i < 20000; i++) {
        const double x = between(0.0, 1.0), y = between(-30.0, 30.0);
        const double results[] = {fmath_exp(y), fmath_log(x),          fmath_pow(x, y),
                                  fmath_sin(y), fmath_cos(1000.0 * y), fmath_acos(2.0 * x - 1.0)};

        hasher_put(h, results, sizeof(results));
    }
    digest_hex(hasher_digest(h), hex);
    hasher_free(h);
    CHECK_IN(strcmp(hex, "589ee118ce709d4f76b5ef75a49dcb88") == 0, "%s", hex);
}

TEST_MAIN(RUN(exp_is_within_one_ulp) RUN(log_is_within_one_ulp) RUN(pow_is_within_one_ulp)
              RUN(sin_and_cos_are_within_one_ulp) RUN(acos_is_within_one_ulp)
                  RUN(bits_are_the_same_everywhere))
