/* fmath.c - exp, log, pow, sin, cos, acos from series
 *
 * Each function brings its argument near zero, sums the Taylor series there, and adds the large
 * part last, with what its rounding lost put into the small part. Where that is not enough
 * (pow, the reduction of angles) numbers are pairs: a value and what it lacks. */
#include "base/fmath.h"

#include "base/cc.h"
#include "base/exact.h"
#include "base/fmath_series.h"

#include <math.h>
#include <string.h>

/* hi + lo, |lo| at most half a unit in the last place of hi. */
struct pair {
    double hi, lo;
};

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

/* |a| >= |b|, or a is 0. */
static struct pair sum_ordered(double a, double b)
{
    const double s = a + b;

    return (struct pair){s, b - (s - a)};
}

static struct pair sum(double a, double b)
{
    const double s = a + b, t = s - a;

    return (struct pair){s, (a - (s - t)) + (b - t)};
}

/* The product without loss (Dekker), for |a|, |b| below 2^996 and no underflow. */
static struct pair product(double a, double b)
{
    const double p = a * b, ta = FMATH_SPLIT * a, tb = FMATH_SPLIT * b;
    const double ah = ta - (ta - a), al = a - ah, bh = tb - (tb - b), bl = b - bh;

    return (struct pair){p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
}

static struct pair pair_add(struct pair a, struct pair b)
{
    const struct pair s = sum(a.hi, b.hi);

    return sum_ordered(s.hi, s.lo + (a.lo + b.lo));
}

static struct pair pair_mul(struct pair a, struct pair b)
{
    const struct pair p = product(a.hi, b.hi);

    return sum_ordered(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

static struct pair pair_div(struct pair a, struct pair b)
{
    const double q = a.hi / b.hi;
    const struct pair p = product(q, b.hi);
    const double rest = ((a.hi - p.hi) - p.lo) + (a.lo - q * b.lo);

    return sum_ordered(q, rest / b.hi);
}

/* c[0] + z (c[1] + z (c[2] ...)). */
static double poly(double z, const double *c, size_t n)
{
    double y = c[n - 1];

    for (size_t i = n - 1; i-- > 0;)
        y = c[i] + z * y;
    return y;
}

static const double ln2_hi = FMATH_LN2_HI, ln2_lo = FMATH_LN2_LO;

/* 2^k y for y in 0.5 .. 2 and a result that may be subnormal or infinite. */
static double scale(double y, int k)
{
    if (k > 1023)
        return y * 2.0 * of_bits((uint64_t)(k - 1 + 1023) << 52);
    if (k < -1021)
        return y * of_bits((uint64_t)(k + 128 + 1023) << 52) * 0x1p-128;
    return y * of_bits((uint64_t)(k + 1023) << 52);
}

/* e^(x.hi + x.lo). */
static double exp_pair(struct pair x)
{
    static const double c[] = FMATH_EXP_SERIES;
    struct pair r, square, s, t;
    double k, small;

    if (x.hi > 709.79)
        return (double)INFINITY;
    if (x.hi < -745.2)
        return 0.0;
    k = floor(x.hi * FMATH_LOG2_E + 0.5);
    r = sum(x.hi - k * ln2_hi, x.lo - k * ln2_lo);
    square = product(r.hi, r.hi);
    s = sum_ordered(1.0, r.hi);
    t = sum_ordered(s.hi, 0.5 * square.hi);
    small = r.lo + r.hi * r.lo + 0.5 * square.lo + r.hi * square.hi * poly(r.hi, c, countof(c));
    return scale(t.hi + (t.lo + (s.lo + small)), (int)k);
}

double fmath_exp(double x)
{
    return x != x ? x : exp_pair((struct pair){x, 0.0});
}

/* x = 2^*k m with m in sqrt(1/2) .. sqrt(2); x finite and above 0. Gives m. */
static double split(double x, int *k)
{
    int e = 0;
    uint64_t u;

    if (x < 0x1p-1022) {
        x *= 0x1p54;
        e = -54;
    }
    u = bits_of(x) + (0x3ff0000000000000u - FMATH_ROOT_HALF);
    *k = e + (int)(u >> 52) - 1023;
    return of_bits((u & 0x000fffffffffffffu) + FMATH_ROOT_HALF);
}

double fmath_log(double x)
{
    static const double c[] = FMATH_LOG_SERIES;
    struct pair square, a, b;
    double f, s, small;
    int k;

    if (x != x || x < 0.0)
        return (double)NAN;
    if (x == 0.0 || x > 0x1.fffffffffffffp+1023)
        return x == 0.0 ? -(double)INFINITY : x;
    f = split(x, &k) - 1.0;
    s = f / (2.0 + f);
    square = product(f, f);
    a = sum(k * ln2_hi, f);
    b = sum(a.hi, -0.5 * square.hi);
    small = s * (0.5 * square.hi + s * s * poly(s * s, c, countof(c))) + k * ln2_lo;
    return b.hi + (b.lo + (a.lo - 0.5 * square.lo + small));
}

/* The logarithm with some 70 bits: 2 s (1 + z/3 + z^2/5 ...), z = s^2, first terms as pairs. */
static struct pair log_pair(double x)
{
    static const double c[] = {1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19,
                               1.0 / 21, 1.0 / 23, 1.0 / 25, 1.0 / 27, 1.0 / 29};
    struct pair s, z, y;
    double f;
    int k;

    f = split(x, &k) - 1.0;
    s = pair_div((struct pair){f, 0.0}, sum(2.0, f));
    z = pair_mul(s, s);
    y = (struct pair){poly(z.hi, c, countof(c)), 0.0};
    for (int n = 9; n >= 1; n -= 2) {
        const struct pair term = pair_div((struct pair){1.0, 0.0}, (struct pair){n, 0.0});

        y = pair_add(term, pair_mul(z, y));
    }
    y = pair_mul((struct pair){2.0 * s.hi, 2.0 * s.lo}, y);
    return pair_add(sum(k * ln2_hi, k * ln2_lo), y);
}

double fmath_pow(double x, double y)
{
    struct pair l, p;

    if (y == 0.0 || x == 1.0)
        return 1.0;
    if (x != x || y != y || x < 0.0)
        return (double)NAN;
    if (x == 0.0 || x > 0x1.fffffffffffffp+1023)
        return (x == 0.0) == (y < 0.0) ? (double)INFINITY : 0.0;
    l = log_pair(x);
    /* Far outside what exp gives anything but 0 and infinity for; also keeps y in range. */
    if (!(fabs(y * l.hi) < 1024.0))
        return (y > 0.0) == (l.hi > 0.0) ? (double)INFINITY : 0.0;
    p = product(y, l.hi);
    return exp_pair(sum_ordered(p.hi, p.lo + y * l.lo));
}

/* x - *quarter pi/2, within -pi/4 .. pi/4 (a hair beyond), for |x| up to 2^20. The parts of
 * pi/2 have 33 bits, so that all products but the last are exact. */
static struct pair reduce(double x, int *quarter)
{
    static const double part[] = {0x1.921fb544p+0, 0x1.0b4611a6p-34, 0x1.3198a2ep-69};
    const double k = floor(x * 0x1.45f306dc9c883p-1 + 0.5);
    struct pair r = {x, 0.0};

    for (size_t i = 0; i < countof(part); i++)
        r = pair_add(r, (struct pair){-k * part[i], 0.0});
    r = pair_add(r, (struct pair){-k * 0x1.b839a252049c1p-104, 0.0});
    *quarter = (int)((int64_t)k & 3);
    return r;
}

static double sin_near_zero(struct pair r)
{
    static const double c[] = {-1.0 / 6,
                               1.0 / 120,
                               -1.0 / 5040,
                               1.0 / 362880,
                               -1.0 / 39916800,
                               1.0 / 6227020800,
                               -1.0 / 1307674368000,
                               1.0 / 355687428096000,
                               -1.0 / 121645100408832000};
    const double z = r.hi * r.hi;

    return r.hi + (r.lo * (1.0 - 0.5 * z) + r.hi * z * poly(z, c, countof(c)));
}

static double cos_near_zero(struct pair r)
{
    static const double c[] = {
        1.0 / 24,        -1.0 / 720,         1.0 / 40320,          -1.0 / 3628800,
        1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000, -1.0 / 6402373705728000};
    const struct pair z = product(r.hi, r.hi), one = sum_ordered(1.0, -0.5 * z.hi);
    const double small = z.hi * z.hi * poly(z.hi, c, countof(c));

    return one.hi + (one.lo - 0.5 * z.lo + (small - r.hi * r.lo));
}

static double sin_or_cos(double x, int shift)
{
    struct pair r;
    int quarter;
    double y;

    if (!(fabs(x) <= 0x1p20))
        return (double)NAN;
    r = reduce(x, &quarter);
    quarter = (quarter + shift) & 3;
    y = quarter & 1 ? cos_near_zero(r) : sin_near_zero(r);
    return quarter & 2 ? -y : y;
}

double fmath_sin(double x)
{
    /* Small enough to be its own sine; also keeps -0 and subnormals as they are. */
    return fabs(x) < 0x1p-27 ? x : sin_or_cos(x, 0);
}

double fmath_cos(double x)
{
    return sin_or_cos(x, 1);
}

/* asin(s) - s, over s, for z = s^2 up to 1/4: the sum of (2n)! / (4^n n!^2 (2n+1)) z^n. */
static double asin_rest(double z)
{
    static const double c[] = {
        0x1.5555555555555p-3, 0x1.3333333333333p-4, 0x1.6db6db6db6db7p-5, 0x1.f1c71c71c71c7p-6,
        0x1.6e8ba2e8ba2e9p-6, 0x1.1c4ec4ec4ec4fp-6, 0x1.c99999999999ap-7, 0x1.7a87878787878p-7,
        0x1.3fde50d79435ep-7, 0x1.12ef3cf3cf3cfp-7, 0x1.df3bd37a6f4dfp-8, 0x1.a6863d70a3d71p-8,
        0x1.782dda12f684cp-8, 0x1.51ba308d3dcb1p-8, 0x1.31683bdef7bdfp-8, 0x1.15ee9d45d1746p-8,
        0x1.fcaf8fb6db6dbp-9, 0x1.d3d2a8e0dd67dp-9, 0x1.b026f57b13b14p-9, 0x1.90cb77f60c7cep-9,
        0x1.750de64d7d05fp-9, 0x1.5c5f56efaaaabp-9, 0x1.464c0950f7d47p-9, 0x1.3275586c5f2f0p-9,
        0x1.208d3570ae5a6p-9, 0x1.1052bc5fa960ap-9, 0x1.018f963c229bfp-9};

    return z * poly(z, c, countof(c));
}

double fmath_acos(double x)
{
    const double half_pi_hi = 0x1.921fb54442d18p+0, half_pi_lo = 0x1.1a62633145c07p-54;
    double z, s, lost, rest;
    struct pair square, all;

    if (!(fabs(x) <= 1.0))
        return (double)NAN;
    if (fabs(x) <= 0.5) {
        all = sum_ordered(half_pi_hi, -x);
        return all.hi + (all.lo + (half_pi_lo - x * asin_rest(x * x)));
    }
    /* acos(x) = 2 asin(sqrt((1 - x) / 2)), and pi minus that of -x. */
    z = 0.5 * (1.0 - fabs(x));
    if (z == 0.0)
        return x > 0.0 ? 0.0 : 2.0 * half_pi_hi;
    s = sqrt(z);
    square = product(s, s);
    lost = ((z - square.hi) - square.lo) / (2.0 * s);
    rest = lost + s * asin_rest(z);
    if (x > 0.0)
        return 2.0 * (s + rest);
    all = sum_ordered(half_pi_hi, -s);
    return 2.0 * (all.hi + (all.lo + (half_pi_lo - rest)));
}
