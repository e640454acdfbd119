#include "kernel/fused.h"

#include "base/exact.h"
#include "kernel/cpu.h"
#include "kernel/half.h"
#include "kernel/kernel.h"

#include "test.h"

#include <math.h>
#include <string.h>

enum { N = 150, INPUTS = 3, AROUND = 7 };

static const enum dtype dtypes[] = {DTYPE_bf16, DTYPE_f16, DTYPE_f32, DTYPE_f64};

static uint32_t seed = 1;

/* Any bits: NaN, infinities and subnormals, too. */
static uint32_t any(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed ^ seed >> 13;
}

/* Numbers of one dtype. */
struct run {
    unsigned char bytes[8 * (N + AROUND)];
};

static double get(enum dtype dtype, const struct run *r, int64_t i)
{
    double x;

    decode_f64(dtype, r->bytes + i * dtype_info(dtype)->bytes, &x, 1);
    return x;
}

static bool same(double a, double b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof(a)) == 0;
}

/* One element as fused.h defines it. */
static double expected(enum dtype dtype, const struct run *x, const double *w, uint32_t k,
                       double by, int64_t i)
{
    double wide = 0.0;
    float acc = 0.0f;

    for (uint32_t j = 0; j < k; j++) {
        wide = fma(get(dtype, &x[j], i), w[j], wide);
        acc = fmaf((float)get(dtype, &x[j], i), (float)w[j], acc);
    }
    acc = acc / (float)by;
    if (dtype == DTYPE_f64)
        return wide / by;
    if (dtype == DTYPE_f32)
        return (double)acc;
    return (double)(dtype == DTYPE_f16 ? f16_get(f16_put(acc)) : bf16_get(bf16_put(acc)));
}

static void check(const fused_fn *table, enum dtype dtype, uint32_t k, double by, int64_t first,
                  int64_t n)
{
    const double w[INPUTS] = {0.3, -1.7, 1e-3};
    const int64_t size = dtype_info(dtype)->bytes;
    struct run x[INPUTS], y, before;
    const void *in[INPUTS];

    for (uint32_t j = 0; j < INPUTS; j++) {
        for (size_t i = 0; i + 4 <= sizeof(x[j]); i += 4) {
            const uint32_t u = any();

            memcpy(x[j].bytes + i, &u, 4);
        }
        in[j] = x[j].bytes;
    }
    y = before = x[0];
    table[dtype](y.bytes, in, w, k, by, first, n);
    for (int64_t i = first; i < n; i++)
        CHECK_IN(same(get(dtype, &y, i), expected(dtype, x, w, k, by, i)), "%s, %lld",
                 dtype_name(dtype), (long long)i);
    CHECK(memcmp(y.bytes, before.bytes, (size_t)(first * size)) == 0);
    CHECK(memcmp(y.bytes + n * size, before.bytes + n * size,
                 sizeof(y.bytes) - (size_t)(n * size)) == 0);
}

static void check_all(const fused_fn *table)
{
    for (size_t d = 0; d < countof(dtypes); d++)
        for (int64_t n = 0; n <= N; n++) {
            const uint32_t k = 1 + (uint32_t)n % INPUTS;

            check(table, dtypes[d], k, 1.0, 0, n);
            check(table, dtypes[d], k, 0.7, n % AROUND < n ? n % AROUND : 0, n);
        }
}

/* If it failed, a linear merge would be another one than it is defined to be. */
TEST(each_element_is_the_sum_of_fused_steps)
{
    check_all(fused_scalar);
#if CPU_X86
    if (cpu_runs(CPU_AVX2))
        check_all(fused_avx2);
    if (cpu_runs(CPU_AVX512))
        check_all(fused_avx512);
#endif
}

/* If it failed, -0 times a weight would stay -0: a sum begins at +0. */
TEST(a_sum_begins_at_zero)
{
    const float zero[1] = {-0.0f};
    const void *in[1] = {zero};
    const double w[1] = {1.0};
    float y[1];

    fused_sum(DTYPE_f32, y, in, w, 1, 1.0, 0, 1);
    CHECK(f32_bits(y[0]) == 0);
}

TEST_MAIN(RUN(each_element_is_the_sum_of_fused_steps) RUN(a_sum_begins_at_zero))
