/* test_half.c - f16, bf16 and f64: every value, every rounding boundary */
#include "kernel/half.h"
#include "kernel/kernel.h"

#include "test.h"

#include <math.h>

/* The value of an f16 by its definition, written with ldexp. */
static double f16_value(int h)
{
    const int e = h >> 10 & 31, m = h & 1023;
    const double v = e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);

    return h & 0x8000 ? -v : v;
}

/* False if a value of f16 is read wrongly, or does not come back as itself. */
TEST(every_f16_is_read_and_written)
{
    for (int h = 0; h < 65536; h++) {
        const float x = f16_get((uint16_t)h);

        if ((h & 0x7c00) != 0x7c00) {
            CHECK_IN((double)x == f16_value(h) && !signbit(x) == !(h & 0x8000), "%04x", h);
            CHECK_IN(f16_put(x) == h, "%04x", h);
        } else if (h & 0x3ff) {
            CHECK_IN(f32_bits(x) ==
                         ((uint32_t)(h & 0x8000) << 16 | 0x7fc00000 | (uint32_t)(h & 0x3ff) << 13),
                     "%04x", h);
            CHECK_IN(f16_put(x) == (0x7e00 | (h & 0x8000)), "%04x", h);
        } else {
            CHECK_IN(isinf(x) && f16_put(x) == h, "%04x", h);
        }
    }
}

TEST(every_bf16_is_read_and_written)
{
    for (int h = 0; h < 65536; h++) {
        const float x = bf16_get((uint16_t)h);
        const bool nan = (h & 0x7fff) > 0x7f80;

        CHECK_IN(f32_bits(x) == (uint32_t)h << 16, "%04x", h);
        CHECK_IN(bf16_put(x) == (nan ? h | 64 : h), "%04x", h);
    }
}

/* Encode one f64, or the same number through f32. */
static uint16_t put_f64(enum dtype dtype, double x)
{
    uint16_t h;

    encode_f64(dtype, &x, &h, 1);
    return h;
}

static uint16_t put_f32(enum dtype dtype, float x)
{
    uint16_t h;

    kernel_of(dtype)->encode(&x, 1, 1, NULL, &h);
    return h;
}

/* The boundary between the values of H and H + 1, from both sides, in f32 and in f64 (where a
 * rounding to f32 first would land on the boundary and go to the even side wrongly). */
static void check_boundary(enum dtype dtype, int h, double low, double high)
{
    const double middle = low + (high - low) / 2;
    const int even = h & 1 ? h + 1 : h;

    for (int sign = 0; sign <= 0x8000; sign += 0x8000) {
        const double m = sign ? -middle : middle, out = sign ? -(double)INFINITY : (double)INFINITY;
        const float f = (float)m;

        CHECK((double)f == m);
        CHECK_IN(put_f32(dtype, f) == (even | sign), "%s %04x", dtype_name(dtype), h);
        CHECK_IN(put_f32(dtype, nextafterf(f, 0.0f)) == (h | sign), "%s %04x", dtype_name(dtype),
                 h);
        CHECK_IN(put_f32(dtype, nextafterf(f, (float)out)) == ((h + 1) | sign), "%s %04x",
                 dtype_name(dtype), h);
        CHECK_IN(put_f64(dtype, m) == (even | sign), "%s %04x", dtype_name(dtype), h);
        CHECK_IN(put_f64(dtype, nextafter(m, 0.0)) == (h | sign), "%s %04x", dtype_name(dtype), h);
        CHECK_IN(put_f64(dtype, nextafter(m, out)) == ((h + 1) | sign), "%s %04x",
                 dtype_name(dtype), h);
    }
}

/* False if any rounding to f16 or bf16 is not to nearest even, at subnormals, at overflow, or
 * because f64 was rounded twice. */
TEST(every_boundary_rounds_once_to_even)
{
    for (int h = 0; h < 0x7c00; h++)
        check_boundary(DTYPE_f16, h, f16_value(h), f16_value(h + 1));
    for (int h = 0; h < 0x7f80; h++) {
        const double low = (double)f32_from_bits((uint32_t)h << 16);
        const double high =
            h + 1 < 0x7f80 ? (double)f32_from_bits((uint32_t)(h + 1) << 16) : 0x1p128;

        check_boundary(DTYPE_bf16, h, low, high);
    }
    CHECK(f16_put(65519.996f) == 0x7bff && f16_put(65520.0f) == 0x7c00);
    CHECK(f16_put(0x1p-25f) == 0 && f16_put(-0x1p-25f) == 0x8000 && f16_put(0x1.000002p-25f) == 1);
    CHECK(put_f64(DTYPE_f16, 0x1p-1074) == 0 && put_f64(DTYPE_bf16, -0x1p-1074) == 0x8000);
    CHECK(put_f64(DTYPE_f16, 1e300) == 0x7c00 && put_f64(DTYPE_bf16, -1e300) == 0xff80);
    CHECK((put_f64(DTYPE_f16, (double)NAN) & 0x7fff) == 0x7e00);
    CHECK((put_f64(DTYPE_bf16, (double)NAN) & 0x7fff) == 0x7fc0);
}

/* False if rows are coded otherwise than values one by one, at any length or address. */
TEST(rows_equal_single_values)
{
    enum { N = 1000 };
    static float x[N], y[N];
    static uint8_t bytes[2 * N + 1];
    static const enum dtype types[] = {DTYPE_f16, DTYPE_bf16};
    uint32_t u = 12345;

    for (int i = 0; i < N; i++)
        x[i] = f32_from_bits(u = u * 1664525 + 1013904223);
    for (int t = 0; t < 2; t++)
        for (int n = 0; n < 300; n++) {
            const struct kernel *k = kernel_of(types[t]);

            k->encode(x + n, 1, n, NULL, bytes + (n & 1));
            k->decode(bytes + (n & 1), y, n);
            for (int i = 0; i < n; i++) {
                const uint16_t h = t ? bf16_put(x[n + i]) : f16_put(x[n + i]);
                const float back = t ? bf16_get(h) : f16_get(h);
                uint16_t got;

                memcpy(&got, bytes + (n & 1) + 2 * i, 2);
                CHECK(got == h && f32_bits(y[i]) == f32_bits(back));
            }
        }
}

/* False if f64 loses bits where it should not, or rounds twice to f32. */
TEST(f64_keeps_its_bits_and_rounds_once)
{
    const double x[4] = {0x1.0000010000001p+0, 0x1.000001p+0, -0x1p-1074, 1e300};
    double back[4], wide[4];
    float narrow[4];

    encode_f64(DTYPE_f64, x, back, 4);
    CHECK(memcmp(x, back, sizeof(x)) == 0);
    decode_f64(DTYPE_f64, x, wide, 4);
    CHECK(memcmp(x, wide, sizeof(x)) == 0);
    encode_f64(DTYPE_f32, x, narrow, 4);
    CHECK(narrow[0] == 0x1.000002p+0f && narrow[1] == 1.0f && narrow[2] == 0.0f &&
          isinf(narrow[3]));
    kernel_of(DTYPE_f64)->decode(x, narrow, 4);
    CHECK(narrow[0] == 0x1.000002p+0f && narrow[1] == 1.0f && isinf(narrow[3]));
}

/* False if decode_f64 breaks a type's values at the edges of its pieces. */
TEST(wide_decoding_equals_narrow)
{
    enum { N = 1024 };
    static uint8_t bytes[8 * N];
    static float narrow[N];
    static double wide[N];

    for (int i = 0; i < N; i++)
        narrow[i] = sinf((float)i);
    for (int t = 0; t < DTYPE_COUNT; t++) {
        const struct kernel *k = kernel_of((enum dtype)t);

        if (!k)
            continue;
        for (int i = 0; i < N; i++)
            narrow[i] = sinf((float)i);
        k->encode(narrow, 1, N, NULL, bytes);
        k->decode(bytes, narrow, N);
        decode_f64((enum dtype)t, bytes, wide, N);
        for (int i = 0; i < N; i++)
            CHECK_IN(wide[i] == (double)narrow[i], "%s %d", dtype_name((enum dtype)t), i);
    }
}

/* False if a NaN or infinity is overlooked, at any place of a row of any length. */
TEST(first_bad_value_is_found)
{
    static const enum dtype types[] = {DTYPE_f32, DTYPE_f16, DTYPE_bf16, DTYPE_f64};
    static float x[200];
    static uint8_t bytes[8 * 200];

    for (size_t t = 0; t < 4; t++)
        for (int n = 0; n < 200; n += 13) {
            const struct kernel *k = kernel_of(types[t]);

            for (int i = 0; i < n; i++)
                x[i] = i & 1 ? -65504.0f : 0x1p-24f;
            k->encode(x, 1, n, NULL, bytes);
            CHECK(k->invalid(bytes, n) == -1 && f32_invalid(x, n) == -1);
            for (int i = n - 1; i >= 0; i -= 5) {
                x[i] = i & 1 ? -NAN : i & 2 ? INFINITY : -INFINITY;
                k->encode(x, 1, n, NULL, bytes);
                CHECK(k->invalid(bytes, n) == i && k->invalid(bytes, i) == -1);
                CHECK(f32_invalid(x, n) == i);
            }
        }
}

TEST_MAIN(RUN(every_f16_is_read_and_written) RUN(every_bf16_is_read_and_written)
              RUN(every_boundary_rounds_once_to_even) RUN(rows_equal_single_values)
                  RUN(f64_keeps_its_bits_and_rounds_once) RUN(wide_decoding_equals_narrow)
                      RUN(first_bad_value_is_found))
