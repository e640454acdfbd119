/* select.c - choosing numbers by their magnitude without sorting them
 *
 * Loops of constant length over local arrays become SIMD; one body each, compiled for the base
 * instruction set and for AVX2. */
#include "kernel/select.h"

#include "base/exact.h"
#include "kernel/cpu.h"
#include "kernel/half.h"

enum {
    STEP = 32,
    F16_LOW = 102 << 10,  /* magnitude >> 13 of the largest float below every f16 but 0 */
    F16_HIGH = 143 << 10, /* of the least that f16 has no place for: infinity's bin */
    BF16_NAN = 0x7f81
};

#define BODY static inline __attribute__((always_inline))

/* Not wider: the base set compares no wider ones but number by number. */
typedef uint32_t u32x4 __attribute__((vector_size(16), aligned(4), may_alias));

static inline uint64_t f64_bits(double x)
{
    uint64_t u;

    memcpy(&u, &x, 8);
    return u;
}

static inline uint32_t magnitude_f32(float x)
{
    const uint32_t u = f32_bits(x) & 0x7fffffff;

    return u < SELECT_NAN_F32 ? u : SELECT_NAN_F32;
}

static inline uint64_t magnitude_f64(double x)
{
    const uint64_t u = f64_bits(x) & INT64_MAX;

    return u < SELECT_NAN_F64 ? u : SELECT_NAN_F64;
}

BODY void magnitudes_body(uint32_t *restrict to, const float *restrict d, int64_t n)
{
    int64_t at = 0;

    for (; at + STEP <= n; at += STEP)
        for (int i = 0; i < STEP; i++)
            to[at + i] = magnitude_f32(d[at + i]);
    for (; at < n; at++)
        to[at] = magnitude_f32(d[at]);
}

static inline uint16_t bin_bf16(float x)
{
    const uint32_t u = f32_bits(x) >> 16 & 0x7fff;

    return (uint16_t)(u < BF16_NAN ? u : BF16_NAN);
}

/* f16 has floats from 2^-24 to 2^16, each with ten bits or fewer behind its first. */
static inline uint16_t bin_f16(float x)
{
    const uint32_t u = f32_bits(x) & 0x7fffffff, nan = u > 0x7f800000;
    const uint32_t low = u >> 13 > F16_LOW ? u >> 13 : F16_LOW;

    return (uint16_t)((low < F16_HIGH ? low : F16_HIGH) - F16_LOW + nan);
}

#define BINS_BODY(work)                                                                            \
    BODY void work##_body(uint16_t *restrict bin, const float *restrict d, int64_t n)              \
    {                                                                                              \
        int64_t at = 0;                                                                            \
                                                                                                   \
        for (; at + STEP <= n; at += STEP)                                                         \
            for (int i = 0; i < STEP; i++)                                                         \
                bin[at + i] = bin_##work(d[at + i]);                                               \
        for (; at < n; at++)                                                                       \
            bin[at] = bin_##work(d[at]);                                                           \
    }

BINS_BODY(bf16)
BINS_BODY(f16)

/* In place, STEP at a time and then the rest. */
#define FOR_RUN(a, n, EACH)                                                                        \
    do {                                                                                           \
        int64_t at = 0;                                                                            \
        for (; at + STEP <= (n); at += STEP)                                                       \
            for (int i = 0; i < STEP; i++)                                                         \
                (a)[at + i] = EACH((a)[at + i]);                                                   \
        for (; at < (n); at++)                                                                     \
            (a)[at] = EACH((a)[at]);                                                               \
    } while (0)

/* One product per element, whatever is kept: infinity times 0 is NaN. */
BODY void between_body(float *d, uint32_t low, uint32_t high, int64_t n)
{
    const uint32_t width = high - low, one = low <= high ? 0x3f800000 : 0;

#define EACH(x) ((x)*f32_from_bits(one & (0 - (uint32_t)(magnitude_f32(x) - low <= width))))
    FOR_RUN(d, n, EACH);
#undef EACH
}

BODY void nonzero_body(float *a, int64_t n)
{
#define EACH(x) f32_from_bits(u32_select((x) == 0.0f, 0x3f800000, f32_bits(x)))
    FOR_RUN(a, n, EACH);
#undef EACH
}

static inline void count_digits(uint64_t *count, const uint32_t *m, const struct select_digit *d,
                                int64_t n)
{
    const uint64_t mask = (UINT64_C(1) << d->bits) - 1, prefix = d->prefix;
    const uint32_t shift = d->shift, above = shift + d->bits;

    for (int64_t i = 0; i < n; i++)
        if ((uint64_t)m[i] >> above == prefix)
            count[m[i] >> shift & mask]++;
}

/* Below the first digit few numbers have the prefix, so most steps are passed over whole. */
BODY void digits_body(uint64_t *count, const uint32_t *m, const struct select_digit *d, int64_t n)
{
    const uint32_t above = d->shift + d->bits, prefix = (uint32_t)d->prefix;
    int64_t at = 0;

    for (; at + STEP <= n && above < 32 && prefix; at += STEP) {
        uint32_t any = 0;
        u32x4 hit = {0};

        for (int i = 0; i < STEP; i += 4)
            hit |= (u32x4)(*(const u32x4 *)(const void *)(m + at + i) >> above == prefix);
        for (int l = 0; l < 4; l++)
            any |= hit[l];
        if (any)
            count_digits(count, m + at, d, STEP);
    }
    count_digits(count, m + at, d, n - at);
}

/* NAME as the CPU has it. */
#if CPU_X86
#define WIDE(name, params, args)                                                                   \
    __attribute__((target("avx2"))) static void name##_wide params                                 \
    {                                                                                              \
        name##_body args;                                                                          \
    }                                                                                              \
    static void name params                                                                        \
    {                                                                                              \
        if (cpu_has_avx2())                                                                        \
            name##_wide args;                                                                      \
        else                                                                                       \
            name##_body args;                                                                      \
    }
#else
#define WIDE(name, params, args)                                                                   \
    static void name params                                                                        \
    {                                                                                              \
        name##_body args;                                                                          \
    }
#endif

WIDE(magnitudes, (uint32_t * to, const float *d, int64_t n), (to, d, n))
WIDE(bf16, (uint16_t * bin, const float *d, int64_t n), (bin, d, n))
WIDE(f16, (uint16_t * bin, const float *d, int64_t n), (bin, d, n))
WIDE(between, (float *d, uint32_t low, uint32_t high, int64_t n), (d, low, high, n))
WIDE(nonzero, (float *a, int64_t n), (a, n))
WIDE(digits, (uint64_t * count, const uint32_t *m, const struct select_digit *d, int64_t n),
     (count, m, d, n))

void select_magnitudes(void *magnitude, const void *d, uint32_t size, int64_t n)
{
    uint64_t *to = magnitude;
    const double *from = d;

    if (size == sizeof(float)) {
        magnitudes(magnitude, d, n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        to[i] = magnitude_f64(from[i]);
}

void select_bins(enum dtype work, uint16_t *bin, const float *d, int64_t n)
{
    if (work == DTYPE_bf16)
        bf16(bin, d, n);
    else
        f16(bin, d, n);
}

uint32_t select_magnitude_of(enum dtype work, uint32_t bin)
{
    if (work == DTYPE_bf16)
        return bin < BF16_NAN ? bin << 16 : SELECT_NAN_F32;
    if (bin >= F16_HIGH - F16_LOW)
        return bin == F16_HIGH - F16_LOW ? 0x7f800000 : SELECT_NAN_F32;
    return bin ? (bin + F16_LOW) << 13 : 0;
}

uint32_t select_bins_of(enum dtype work)
{
    return work == DTYPE_bf16 ? 32768 : SELECT_BINS;
}

void select_count_bins(uint32_t *count, const uint16_t *bin, int64_t n)
{
    int64_t at = 0;
    uint64_t four;

    for (; at + 4 <= n; at += 4) {
        memcpy(&four, bin + at, sizeof(four));
        count[four & 0xffff]++;
        count[four >> 16 & 0xffff]++;
        count[four >> 32 & 0xffff]++;
        count[four >> 48]++;
    }
    for (; at < n; at++)
        count[bin[at]]++;
}

uint32_t select_sum(const uint32_t *count)
{
    uint32_t lane[8] = {0};

    for (int i = 0; i < SELECT_BLOCK; i += 8)
        for (int l = 0; l < 8; l++)
            lane[l] += count[i + l];
    return lane[0] + lane[1] + lane[2] + lane[3] + lane[4] + lane[5] + lane[6] + lane[7];
}

void select_merge(uint64_t *restrict to, const uint32_t *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] += from[i];
}

void select_count_digits(uint64_t *count, const void *magnitude, uint32_t size,
                         struct select_digit digit, int64_t n)
{
    const uint64_t *m = magnitude, mask = (UINT64_C(1) << digit.bits) - 1;

    if (size == sizeof(float)) {
        digits(count, magnitude, &digit, n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        if (m[i] >> digit.shift >> digit.bits == digit.prefix)
            count[m[i] >> digit.shift & mask]++;
}

int64_t select_equals(const void *magnitude, uint32_t size, uint64_t key, int64_t n)
{
    const uint32_t *m32 = magnitude;
    const uint64_t *m64 = magnitude;
    int64_t count = 0;

    for (int64_t i = 0; i < n; i++)
        count += size == sizeof(float) ? m32[i] == key : m64[i] == key;
    return count;
}

void select_between(void *d, uint32_t size, uint64_t low, uint64_t high, int64_t n)
{
    double *x = d;

    if (size == sizeof(float)) {
        between(d, (uint32_t)low, (uint32_t)high, n);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const uint64_t m = magnitude_f64(x[i]);

        x[i] = x[i] * (m >= low && m <= high ? 1.0 : 0.0);
    }
}

void select_nonzero(void *a, uint32_t size, int64_t n)
{
    double *x = a;

    if (size == sizeof(float)) {
        nonzero(a, n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] == 0.0 ? 1.0 : x[i];
}
