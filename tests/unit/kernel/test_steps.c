/* test_steps.c - every step, work dtype and instruction set against the definition, a number at a
 * time, on random bits */
#include "base/exact.h"
#include "base/sum.h"
#include "kernel/half.h"
#include "kernel/steps.h"

#include "test.h"

#include <math.h>

enum { MOST = 1024, GUARD = 3, SLOTS = MOST + 2 * GUARD };

static const enum dtype works[] = {DTYPE_bf16, DTYPE_f16, DTYPE_f32, DTYPE_f64};

#define FOR_STEPS(s)                                                                               \
    for (int isa = CPU_SCALAR; isa < CPU_ISAS; isa++)                                              \
        for (size_t w = 0; w < countof(works) && cpu_runs((enum cpu_isa)isa); w++)                 \
            for (const struct steps *s = steps_in((enum cpu_isa)isa, works[w]); s; s = NULL)

/* ---- numbers ------------------------------------------------------------------------------- */

static uint64_t state = 1;

static uint32_t random_u32(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

static uint64_t f64_bits(double x)
{
    uint64_t u;

    memcpy(&u, &x, 8);
    return u;
}

static double f64_from_bits(uint64_t u)
{
    double x;

    memcpy(&x, &u, 8);
    return x;
}

static double at(const struct steps *s, const void *buffer, int64_t i)
{
    return s->size == 8 ? ((const double *)buffer)[i] : (double)((const float *)buffer)[i];
}

static void set(const struct steps *s, void *buffer, int64_t i, double x)
{
    if (s->size == 8)
        ((double *)buffer)[i] = x;
    else
        ((float *)buffer)[i] = (float)x;
}

/* R, by the coders of one value. */
static double rounded(const struct steps *s, double x)
{
    const float f = (float)x;

    if (isnan(x))
        return (double)NAN;
    if (s->work == DTYPE_bf16)
        return (double)bf16_get(bf16_put(f));
    if (s->work == DTYPE_f16)
        return (double)f16_get(f16_put(f));
    return s->work == DTYPE_f32 ? (double)f : x;
}

/* Bits at random, every kind of number often: also those that meet at a rounding's edge. */
static double any(const struct steps *s)
{
    static const double some[] = {0.0,      -0.0,    1.0,        -1.0,      0x1p-14,  0x1p-24,
                                  0x1p-25,  65504.0, -65504.0,   0.5,       0x1p-126, 0x1p-149,
                                  0x1p-133, 3e38,    HUGE_VAL,   -HUGE_VAL, 0x1p127,  -3.0,
                                  0x1.8p0,  1e-6,    (double)NAN};
    const uint64_t u = (uint64_t)random_u32() << 32 | random_u32();

    switch (random_u32() % 4) {
    case 0:
        return rounded(s, some[random_u32() % countof(some)]);
    case 1: /* tame: sums and differences cancel, ties are frequent */
        return rounded(s, ((double)(random_u32() % 4096) - 2048) * 0x1p-9);
    default:
        if (s->work == DTYPE_bf16)
            return (double)bf16_get((uint16_t)u);
        if (s->work == DTYPE_f16)
            return (double)f16_get((uint16_t)u);
        return s->work == DTYPE_f32 ? (double)f32_from_bits((uint32_t)u) : f64_from_bits(u);
    }
}

static void fill(const struct steps *s, void *buffer)
{
    for (int i = 0; i < SLOTS; i++)
        set(s, buffer, i, any(s));
}

/* Equal bits; of NaN only that it is one (STRICT: the one NaN). */
static bool same(const struct steps *s, double got, double want, bool strict)
{
    const uint64_t nan = s->size == 8 ? 0x7ff8000000000000u : f64_bits((double)NAN);

    if (isnan(want))
        return isnan(got) && (!strict || f64_bits(got) == nan);
    return f64_bits(got) == f64_bits(want);
}

/* ---- the definition -------------------------------------------------------------------------- */

enum step {
    SUB,
    ADD,
    MUL,
    DIV,
    SCALE,
    OVER,
    PLUS,
    FROM,
    RECIP,
    ABS,
    AT_LEAST,
    CLAMP,
    BLEND,
    SCALE_ADD,
    AGREE,
    MASK,
    STEPS
};

struct operands {
    double p, q; /* scalars */
    const uint8_t *mask;
};

/* One operation in the kind of number that W is computed with. */
static double operate(const struct steps *s, char how, double a, double b)
{
    const float x = (float)a, y = (float)b;

    if (s->size == 8)
        return how == '+' ? a + b : how == '-' ? a - b : how == '*' ? a * b : a / b;
    return (double)(how == '+' ? x + y : how == '-' ? x - y : how == '*' ? x * y : x / y);
}

static double once(const struct steps *s, char how, double a, double b)
{
    return rounded(s, operate(s, how, a, b));
}

static bool agrees(double d, double majority)
{
    return majority >= 0 ? d > 0 : d < 0;
}

/* What Y becomes, from U of A, V of B, and what Y was. */
static double expected(const struct steps *s, enum step step, double u, double v, double y,
                       const struct operands *o, int64_t i)
{
    const double low = rounded(s, o->p), high = rounded(s, o->q);

    switch (step) {
    case SUB:
    case ADD:
    case MUL:
    case DIV:
        return once(s, "-+*/"[step], u, v);
    case SCALE:
        return once(s, '*', u, o->p);
    case OVER:
        return once(s, '/', u, o->p);
    case PLUS:
        return once(s, '+', u, o->p);
    case FROM:
        return once(s, '-', o->p, u);
    case RECIP:
        return once(s, '/', 1, u);
    case ABS:
        return fabs(u);
    case AT_LEAST:
        return u < low ? low : u;
    case CLAMP:
        return u < low ? low : u > high ? high : u;
    case BLEND:
        return once(s, '+', once(s, '*', o->p, u), once(s, '*', o->q, v));
    case SCALE_ADD:
        return once(s, '+', y, once(s, '*', o->p, u));
    case AGREE:
        return operate(s, '*', u, agrees(u, v) ? 1 : 0);
    case MASK:
        return operate(s, '*', u, o->mask[i] ? 1 : 0);
    case STEPS:
        break;
    }
    return 0;
}

static void run(const struct steps *s, enum step step, void *y, const void *a, const void *b,
                const struct operands *o, int64_t n)
{
    void (*const two[])(void *, const void *, const void *, int64_t) = {s->sub, s->add, s->mul,
                                                                        s->div};
    void (*const number[])(void *, const void *, double, int64_t) = {s->scale, s->over, s->plus};

    if (step <= DIV)
        two[step](y, a, b, n);
    else if (step <= PLUS)
        number[step - SCALE](y, a, o->p, n);
    else if (step == FROM)
        s->from(y, o->p, a, n);
    else if (step == RECIP || step == ABS)
        (step == ABS ? s->abs : s->recip)(y, a, n);
    else if (step == AT_LEAST)
        s->at_least(y, a, o->p, n);
    else if (step == CLAMP)
        s->clamp(y, a, o->p, o->q, n);
    else if (step == BLEND)
        s->blend(y, o->p, a, o->q, b, n);
    else if (step == SCALE_ADD)
        s->scale_add(y, a, o->p, n);
    else if (step == AGREE)
        s->agree(y, NULL, a, b, 0, n);
    else
        s->mask(y, a, o->mask, n);
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static double a[SLOTS], b[SLOTS], y[SLOTS], was[SLOTS], first[2][SLOTS];
static uint8_t mask[SLOTS];

static void *from(const struct steps *s, double *buffer, int64_t i)
{
    return (char *)buffer + i * s->size;
}

/* Y from A and B, N numbers from START on, into: 0 another buffer, 1 A itself, 2 B itself. */
static void check_step(const struct steps *s, enum step step, int64_t start, int64_t n, int place)
{
    const bool strict = step != ABS && step != AT_LEAST && step != CLAMP;
    struct operands o = {any(s), any(s), mask + start};
    double *out = place == 0 ? y : place == 1 ? a : b;
    int bad = 0;

    fill(s, a);
    fill(s, b);
    fill(s, y);
    for (int i = 0; i < SLOTS; i++)
        mask[i] = (uint8_t)(random_u32() % 3 ? 0 : random_u32());
    if (isnan(o.p) || isnan(o.q) || step == CLAMP) {
        o.p = rounded(s, -0.25);
        o.q = 0.3;
    }
    if (step == AT_LEAST)
        o.p = 1e-6;
    if (random_u32() % 2 && step < AT_LEAST)
        o.p = 0.1; /* not a number of any W: stays the float (or double) that it is */
    if (s->size == 4) {
        o.p = (double)(float)o.p;
        o.q = (double)(float)o.q;
    }
    memcpy(was, out, sizeof(was));
    memcpy(first[0], a, sizeof(a));
    memcpy(first[1], b, sizeof(b));
    run(s, step, from(s, out, start), from(s, a, start), from(s, b, start), &o, n);
    for (int64_t i = 0; i < SLOTS; i++) {
        const bool within = i >= start && i < start + n;
        const double want = within ? expected(s, step, at(s, first[0], i), at(s, first[1], i),
                                              at(s, was, i), &o, i - start)
                                   : at(s, was, i);

        bad += !same(s, at(s, out, i), want, within && strict);
    }
    CHECK_IN(!bad, "%s, step %d, from %d, %d numbers, place %d: %d wrong", dtype_name(s->work),
             (int)step, (int)start, (int)n, place, bad);
}

/* False if a step of some instruction set were another than written, missed the end of a run,
 * wrote beyond it, or could not write over its input. */
TEST(every_step_is_its_definition_in_every_set)
{
    FOR_STEPS(s)
    {
        CHECK(s->work == works[w] && s->size == (works[w] == DTYPE_f64 ? 8 : 4));
        for (int step = 0; step < STEPS; step++)
            for (int n = 0; n <= 68; n++)
                for (int place = 0; place < 3; place++)
                    if (!(place && step == SCALE_ADD))
                        check_step(s, (enum step)step, n % 4 % GUARD, n < 68 ? n : MOST, place);
    }
}

/* False if keep counted other elements than those that agree, or went wrong where y is d. */
TEST(agreeing_weights_are_added_where_signs_agree)
{
    static double keep[SLOTS], before[SLOTS];

    FOR_STEPS(s)
    for (int n = 0; n <= 68; n++) {
        const int64_t count = n < 68 ? n : MOST;
        const double weight = rounded(s, 0.3);
        int bad = 0;

        fill(s, a);
        fill(s, b);
        fill(s, keep);
        memcpy(before, keep, sizeof(keep));
        memcpy(y, a, sizeof(y));
        s->agree(y, keep, y, b, weight, count);
        for (int64_t i = 0; i < SLOTS; i++) {
            const bool yes = i < count && agrees(at(s, a, i), at(s, b, i));
            const double want = yes ? once(s, '+', at(s, before, i), weight) : at(s, before, i);

            bad += !same(s, at(s, keep, i), want, false);
            bad += i < count && !same(s, at(s, y, i), operate(s, '*', at(s, a, i), yes), true);
        }
        CHECK_IN(!bad, "%s, %d numbers: %d wrong", dtype_name(s->work), (int)count, bad);
    }
}

/* False if R of f16 or bf16 differed anywhere from the coders' rounding. */
TEST(rounding_is_that_of_the_coders_for_all_kinds_of_f32)
{
    static float x[MOST], got[MOST];

    FOR_STEPS(s)
    for (uint32_t round = 0; round < 256 && s->size == 4; round++) {
        int bad = 0;

        /* Each exponent and sign with fractions near the middle of two f16 and bf16, and others. */
        for (uint32_t i = 0; i < MOST; i++) {
            const uint32_t fraction = i % 4 == 0   ? random_u32()
                                      : i % 4 == 1 ? (random_u32() & 0x7ff000) + (i >> 2) % 3 - 1
                                      : i % 4 == 2 ? (random_u32() & 0x7f8000) + (i >> 2) % 3 - 1
                                                   : (random_u32() & 1 ? 0x7fffff : 0);

            x[i] = f32_from_bits(round << 23 | (fraction & 0x7fffff) | random_u32() << 31);
        }
        s->scale(got, x, 1, MOST);
        for (uint32_t i = 0; i < MOST; i++) {
            const double want = rounded(s, (double)x[i]);

            bad += !same(s, (double)got[i], want, true);
            bad += !same(s, s->scalar((double)x[i]), want, true);
        }
        CHECK_IN(!bad, "%s, exponent %u: %d wrong", dtype_name(s->work), round, bad);
    }
}

static uint64_t key_of(const struct steps *s, double x)
{
    if (s->work == DTYPE_f64)
        return isnan(x) ? INT64_MAX : f64_bits(x) & INT64_MAX;
    if (s->work == DTYPE_f32)
        return isnan(x) ? INT32_MAX : f32_bits((float)x) & INT32_MAX;
    if (isnan(x))
        return INT16_MAX;
    return INT16_MAX & (s->work == DTYPE_f16 ? f16_put((float)x) : bf16_put((float)x));
}

/* False if a key were not the bits of the number in its work dtype without the sign. */
TEST(keys_are_the_bits_of_the_work_dtype)
{
    static uint64_t key[SLOTS];

    FOR_STEPS(s)
    for (int n = 0; n <= 68; n++) {
        const int64_t count = n < 68 ? n : MOST;
        int bad = 0;

        fill(s, a);
        memset(key, 0xa5, sizeof(key));
        s->keys(key, from(s, a, 1), count);
        for (int64_t i = 0; i < MOST; i++)
            bad += key[i] != (i < count ? key_of(s, at(s, a, i + 1)) : 0xa5a5a5a5a5a5a5a5u);
        CHECK_IN(!bad, "%s, %d numbers: %d wrong", dtype_name(s->work), (int)count, bad);
    }
}

static uint64_t rank_of(const struct steps *s, double x)
{
    const uint32_t bits = s->work == DTYPE_f64 ? 63 : s->work == DTYPE_f32 ? 31 : 15;
    const uint64_t top = UINT64_C(1) << bits;

    return !isnan(x) && signbit(x) ? top - 1 - key_of(s, x) : top + key_of(s, x);
}

/* False if ranks were not the keys with their sign, or were not ordered as numbers are. */
TEST(ranks_order_as_numbers_do)
{
    static uint64_t wide[SLOTS];
    const uint32_t *narrow = (const uint32_t *)(const void *)wide;

    FOR_STEPS(s)
    for (int n = 0; n <= 68; n++) {
        const int64_t count = n < 68 ? n : MOST;
        int bad = 0;

        fill(s, a);
        memset(wide, 0xa5, sizeof(wide));
        s->ranks(wide, from(s, a, 1), count);
        for (int64_t i = 0; i < MOST; i++) {
            const uint64_t rank = s->size == 8 ? wide[i] : narrow[i];
            const uint64_t none = s->size == 8 ? 0xa5a5a5a5a5a5a5a5u : 0xa5a5a5a5u;

            bad += rank != (i < count ? rank_of(s, at(s, a, i + 1)) : none);
            for (int64_t k = 0; k < i && i < min_i64(count, 100); k++)
                bad += at(s, a, i + 1) < at(s, a, k + 1) &&
                       rank >= (s->size == 8 ? wide[k] : narrow[k]);
        }
        CHECK_IN(!bad, "%s, %d numbers: %d wrong", dtype_name(s->work), (int)count, bad);
    }
}

/* False if a comparison were not exact, were true of NaN, wrote beside its bytes, or if a count
 * became another number. */
TEST(truths_and_counts_are_bytes)
{
    static uint8_t far[SLOTS], up[SLOTS];

    FOR_STEPS(s)
    for (int n = 0; n <= 68; n++) {
        const int64_t count = n < 68 ? n : MOST;
        int bad = 0;

        fill(s, a);
        const double by = fabs(at(s, a, 1 + n / 2));

        memset(far, 7, sizeof(far));
        memset(up, 7, sizeof(up));
        s->beyond(far + 1, from(s, a, 1), by, count);
        s->reaches(up + 1, from(s, a, 1), -by, count);
        for (int64_t i = 0; i < SLOTS; i++) {
            const bool in = i >= 1 && i <= count;

            bad += far[i] != (in ? fabs(at(s, a, i)) > by : 7);
            bad += up[i] != (in ? at(s, a, i) >= -by : 7);
            up[i] = (uint8_t)random_u32();
        }
        memset(y, 0x5a, sizeof(y));
        memset(was, 0x5a, sizeof(was));
        s->numbers(y, up + 1, count);
        for (int64_t i = 0; i < count; i++)
            bad += at(s, y, i) != (double)up[i + 1];
        CHECK_IN(!bad && memcmp((uint8_t *)y + count * s->size, was,
                                sizeof(y) - (size_t)count * s->size) == 0,
                 "%s, %d numbers: %d wrong", dtype_name(s->work), (int)count, bad);
    }
}

TEST_MAIN(RUN(every_step_is_its_definition_in_every_set)
              RUN(agreeing_weights_are_added_where_signs_agree)
                  RUN(rounding_is_that_of_the_coders_for_all_kinds_of_f32)
                      RUN(keys_are_the_bits_of_the_work_dtype) RUN(ranks_order_as_numbers_do)
                          RUN(truths_and_counts_are_bytes))
