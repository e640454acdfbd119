/* test_narrow.c - what is particular to the types of uneven levels and of few bits */
#include "kernel/block.h"
#include "kernel/fp4.h"
#include "kernel/iq4.h"

#include "test.h"

static uint64_t state = 7;

static uint32_t random_u32(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

static float random_bits(void)
{
    return f32_from_bits(random_u32());
}

static float random_unit(void)
{
    return (float)(random_u32() >> 8) * 0x1p-23f - 1.0f;
}

/* The definition's exponent, by the logarithm itself. */
static uint8_t exponent_by_log2(float x)
{
    return (uint8_t)(int)(floorf((float)log2((double)x)) - 2.0f + 127.0f);
}

static uint8_t mxfp4_exponent(float x)
{
    float block[32] = {0};
    uint8_t out[17];

    block[random_u32() % 32] = random_u32() & 1 ? -x : x;
    kernel_mxfp4.encode(block, 1, 32, NULL, out);
    return out[0];
}

/* False if the exponent is not the rounded logarithm's: near every power of two, subnormals too,
 * the 300 floats on both sides; and anywhere. */
TEST(mxfp4_exponents_are_the_rounded_logarithms)
{
    for (uint32_t e = 0; e < 277; e++) {
        const uint32_t power = e < 23 ? 1u << e : (e - 22) << 23;

        for (uint32_t i = 0; i < 600; i++) {
            const uint32_t u = power - 300 + i;
            const float x = f32_from_bits(u);

            if (u == 0 || u >= 0x7f800000)
                continue;
            CHECK_IN(mxfp4_exponent(x) == exponent_by_log2(x), "%a: %d, not %d", (double)x,
                     mxfp4_exponent(x), exponent_by_log2(x));
        }
    }
    for (int i = 0; i < 20000; i++) {
        const float x = f32_from_bits(random_u32() % 0x7f800000);

        CHECK_IN(x == 0.0f || mxfp4_exponent(x) == exponent_by_log2(x), "%a", (double)x);
    }
}

/* False if a scale of 255, which stands for NaN, is not found, or any other is; or if the scales
 * of nvfp4, which all are numbers, are refused. */
TEST(scales_without_f16_are_judged)
{
    uint8_t mx[3 * 17] = {0}, nv[36];

    for (int e = 0; e < 256; e++) {
        mx[17] = (uint8_t)e;
        CHECK(kernel_mxfp4.invalid(mx, 96) == (e == 255 ? 32 : -1));
        memset(nv, e, sizeof(nv));
        CHECK(kernel_nvfp4.invalid(nv, 64) == -1);
    }
    CHECK(kernel_mxfp4.invalid(mx, 32) == -1);
}

/* The scale byte of 16 values whose largest is X, and the value that it stands for. */
static uint8_t nvfp4_scale(float x, float *scale)
{
    float block[64] = {0}, back[64];
    uint8_t out[36];

    block[16 + random_u32() % 16] = x;
    kernel_nvfp4.encode(block, 1, 64, NULL, out);
    CHECK(out[0] == 0 && out[2] == 0 && out[3] == 0);
    memset(out + 4, 0x22, 32); /* every value 1 */
    kernel_nvfp4.decode(out, back, 64);
    *scale = back[16];
    return out[1];
}

/* The code that 6 x as largest magnitude gets. */
static void check_scale(float x, uint32_t code, float value)
{
    float scale;

    CHECK_IN(nvfp4_scale(6 * x, &scale) == code && scale == value, "%a: scale %g", (double)x,
             (double)scale);
}

/* The value of a code: 448 for all of the last exponent. */
static float scale_value(uint32_t code)
{
    if (code >= 15 << 3)
        return 448;
    return code < 8 ? (float)code * 0x1p-9f
                    : ldexpf(1.0f + (float)(code & 7) / 8, (int)(code >> 3) - 7);
}

/* False if a code of 0 .. 0x77 does not come back, if the middle to the next is not rounded up
 * (but from 7 to 8, where the definition stays), or if what is too large does not stay at 448. */
TEST(nvfp4_scales_round_half_up)
{
    for (uint32_t code = 0; code < 15 << 3; code++) {
        const float value = scale_value(code),
                    step = code < 8 ? 0x1p-9f : scale_value(code | 7) / 15;
        const float middle = value + step / 2;
        const uint32_t next = code == 7 ? 7 : code == 0x77 ? 0x7e : code + 1;

        check_scale(value, code, value);
        check_scale(middle * (1 - 0x1p-20f), code, value);
        check_scale(middle, next, scale_value(next));
    }
    check_scale(0x1p-6f, 8, 0x1p-6f);
    for (float x = 256; x < 1e37f; x *= 1.5f)
        check_scale(x, 0x7e, 448);
}

/* False if two equally near values do not go to the lower code, or a zero to any but code 0. */
TEST(fp4_ties_go_to_the_lower_code)
{
    static const float between[7] = {0.5f, 1.5f, 2.5f, 3.5f, 5, 7, 10};
    float x[32] = {0};
    uint8_t q[16];

    for (int i = 0; i < 7; i++) {
        x[i] = between[i];
        x[i + 16] = -between[i];
    }
    x[7] = -0.0f;
    x[8] = 100;
    x[24] = -100;
    fp4_put(32, x, 1.0f, q);
    for (int i = 0; i < 7; i++)
        CHECK_IN(q[i] == (i | (i ? i + 8 : 0) << 4), "%g: %02x", (double)between[i], q[i]);
    CHECK(q[7] == 0 && q[8] == 0xf7 && q[9] == 0);
}

/* Section 3.1.5 of the types' page as it is told. */
static int best16(float v)
{
    const int8_t *t = iq4_level;
    int low = 0, high = 15;

    if (v <= (float)t[0])
        return 0;
    if (v >= (float)t[15])
        return 15;
    while (high - low > 1) {
        const int mid = (low + high) / 2;

        if (v < (float)t[mid])
            high = mid;
        else
            low = mid;
    }
    return v - (float)t[high - 1] < (float)t[high] - v ? high - 1 : high;
}

static void check_level(const float x[32])
{
    uint8_t q[16];

    iq4_put(x, 1.0f, q);
    for (int j = 0; j < 32; j++) {
        const int got = q[j % 16] >> (j < 16 ? 0 : 4) & 15;

        CHECK_IN(got == best16(x[j]), "%a: %d, not %d", (double)x[j], got, best16(x[j]));
    }
}

/* False if a number, however close to the middle of two levels, takes another level than the
 * definition's two rounded distances give it. */
TEST(iq4_levels_are_the_nearest)
{
    float x[32];

    for (int i = 0; i < 15; i++) {
        const float middle = ((float)iq4_level[i] + (float)iq4_level[i + 1]) / 2;

        for (int j = 0; j < 32; j++)
            x[j] = f32_from_bits(f32_bits(middle) + (uint32_t)(j - 16));
        check_level(x);
    }
    for (int i = 0; i < 20000; i++) {
        for (int j = 0; j < 32; j++)
            x[j] = i & 1 ? random_bits() : 140 * random_unit();
        check_level(x);
    }
}

/* The search as section 3.4 of the types' page tells it, one trial after the other. */
static float scale_as_told(const float *x, const float *w)
{
    float extreme, d = 0, best = 0;

    if (search_extreme(32, x, &extreme) < 1e-15f)
        return 0;
    for (int trial = -8; trial <= 7; trial++) {
        const float first = -extreme / -127.0f;
        const float id = trial == -8 ? 1.0f / first : (float)(trial - 127) / extreme;
        float sqx = 0, sq2 = 0;

        for (int j = 0; j < 32; j++) {
            const float weight = w ? w[j] : x[j] * x[j];
            const float q = iq4_level[best16(id * x[j])];

            sqx += weight * q * x[j];
            sq2 += weight * q * q;
        }
        if (trial == -8)
            d = sq2 > 0 ? sqx / sq2 : 0;
        else if (sq2 > 0 && sqx * sqx > best * sq2)
            d = sqx / sq2;
        else
            continue;
        best = d * sqx;
    }
    return d;
}

/* False if trials side by side do not give the scale of trials one by one, whatever the bits. */
TEST(iq4_trials_do_not_mix)
{
    for (int i = 0; i < 5000; i++) {
        float x[32], w[32];

        for (int j = 0; j < 32; j++) {
            x[j] = i % 3 == 0 ? random_bits() : ldexpf(random_unit(), i % 90 - 60);
            x[j] = isfinite(x[j]) ? x[j] : 0;
            w[j] = i % 5 == 0 ? fabsf(random_bits()) : random_unit() + 1.0f;
        }
        for (int weighted = 0; weighted < 2; weighted++) {
            const float got = iq4_scale(x, weighted ? w : NULL);
            const float want = scale_as_told(x, weighted ? w : NULL);

            CHECK_IN(f32_bits(got) == f32_bits(want) || (isnan(got) && isnan(want)),
                     "%d: %a, not %a", i, (double)got, (double)want);
        }
    }
}

/* False if levels of -1, 0 and 1 do not come back from their bytes, whatever their order. */
TEST(ternary_types_keep_every_pattern)
{
    const struct kernel *kernels[3] = {&kernel_tq1_0, &kernel_tq2_0, &kernel_q2_0};

    for (int k = 0; k < 3; k++)
        for (int round = 0; round < 200; round++) {
            float x[256], back[256];
            uint8_t out[4 * 18];

            for (int j = 0; j < 256; j++)
                x[j] = 0.375f * (float)((int)(random_u32() % 3) - 1);
            x[0] = x[64] = x[128] = x[192] = -0.375f;
            kernels[k]->encode(x, 1, 256, NULL, out);
            kernels[k]->decode(out, back, 256);
            CHECK_IN(memcmp(x, back, sizeof(x)) == 0, "type %d round %d", k, round);
        }
}

/* False if the bits of five-bit levels are swapped: each of the 32 places holds each level. */
TEST(five_bits_keep_their_places)
{
    for (int shift = 0; shift < 32; shift++) {
        float x[32], back[32];
        uint8_t out[24];

        for (int j = 0; j < 32; j++)
            x[j] = (float)((j + shift) % 32 - 16);
        kernel_q5_0.encode(x, 1, 32, NULL, out);
        kernel_q5_0.decode(out, back, 32);
        CHECK(memcmp(x, back, sizeof(x)) == 0);
        kernel_q5_1.encode(x, 1, 32, NULL, out);
        kernel_q5_1.decode(out, back, 32);
        CHECK(memcmp(x, back, sizeof(x)) == 0);
    }
}

/* False if a sign is lost, or a zero of either sign counts as negative. */
TEST(q1_0_holds_signs)
{
    float x[128], back[128];
    uint8_t out[18];

    for (int j = 0; j < 128; j++)
        x[j] = j % 3 == 0 ? -2.0f : 2.0f;
    x[5] = 0.0f;
    x[7] = -0.0f;
    kernel_q1_0.encode(x, 1, 128, NULL, out);
    kernel_q1_0.decode(out, back, 128);
    for (int j = 0; j < 128; j++)
        CHECK(back[j] == (x[j] < 0 ? -1.96875f : 1.96875f)); /* 2 * 126 / 128 */
}

TEST_MAIN(RUN(mxfp4_exponents_are_the_rounded_logarithms) RUN(scales_without_f16_are_judged)
              RUN(nvfp4_scales_round_half_up) RUN(fp4_ties_go_to_the_lower_code)
                  RUN(iq4_levels_are_the_nearest) RUN(iq4_trials_do_not_mix)
                      RUN(ternary_types_keep_every_pattern) RUN(five_bits_keep_their_places)
                          RUN(q1_0_holds_signs))
