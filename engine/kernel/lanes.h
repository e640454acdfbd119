/* lanes.h - one value of each of LANES blocks in a register: what the lane programs are made of
 *
 * A lane does what the scalar code does, operation for operation (specs/gguf-quant.md section 5),
 * so its bytes are the scalar ones. The width follows the flags of the file that includes this:
 * 16 lanes under AVX-512 (-mavx512f -mavx512bw -mavx512dq -mavx512vl), 8 under AVX2, and nothing
 * at all without either. f32 and i32 here are vectors; arithmetic on them is GNU C's. */
#ifndef KERNEL_LANES_H
#define KERNEL_LANES_H

#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/search.h"

#if defined(__AVX2__)
#include <immintrin.h>

#define LANE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
enum { LANES = 16 };
#else
enum { LANES = 8 };
#endif
typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef uint32_t vu __attribute__((vector_size(4 * LANES)));

/* ---- what has no operator -----------------------------------------------------------------
 *
 * vm is a truth value a lane. All comparisons are false for NaN but vf_ne and vf_nlt. vf_max(a, b)
 * is a > b ? a : b, and vf_min(a, b) is a < b ? a : b, for NaN and zeros too. vf_round is to the
 * nearest, ties to even. vi_trunc is f32_to_i32. */
#if defined(__AVX512F__)
typedef __mmask16 vm;

LANE vf vf_all(float x)
{
    return (vf)_mm512_set1_ps(x);
}
LANE vf vf_load(const float *x)
{
    return (vf)_mm512_loadu_ps(x);
}
LANE void vf_store(float *to, vf x)
{
    _mm512_storeu_ps(to, (__m512)x);
}
LANE vi vi_load(const void *from)
{
    return (vi)_mm512_loadu_si512(from);
}
LANE vf vf_sqrt(vf x)
{
    return (vf)_mm512_sqrt_ps((__m512)x);
}
LANE vf vf_max(vf a, vf b)
{
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
}
LANE vf vf_min(vf a, vf b)
{
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
}
LANE vf vf_round(vf x)
{
    return (vf)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
LANE vi vi_max(vi a, vi b)
{
    return (vi)_mm512_max_epi32((__m512i)a, (__m512i)b);
}
LANE vi vi_min(vi a, vi b)
{
    return (vi)_mm512_min_epi32((__m512i)a, (__m512i)b);
}
LANE vi vi_trunc(vf x)
{
    return (vi)_mm512_cvttps_epi32((__m512)x);
}
LANE vf vf_of(vi x)
{
    return (vf)_mm512_cvtepi32_ps((__m512i)x);
}
#define LANE_COMPARE(name, how)                                                                    \
    LANE vm vf_##name(vf a, vf b)                                                                  \
    {                                                                                              \
        return _mm512_cmp_ps_mask((__m512)a, (__m512)b, how);                                      \
    }
LANE vm vi_lt(vi a, vi b)
{
    return _mm512_cmplt_epi32_mask((__m512i)a, (__m512i)b);
}
LANE vm vm_and(vm a, vm b)
{
    return (vm)(a & b);
}
LANE vm vm_not(vm a)
{
    return (vm)~a;
}
LANE vm vm_none(void)
{
    return 0;
}
LANE bool vm_any(vm a)
{
    return a != 0;
}
LANE vf vf_pick(vm that, vf a, vf b)
{
    return (vf)_mm512_mask_blend_ps(that, (__m512)b, (__m512)a);
}
LANE vi vi_pick(vm that, vi a, vi b)
{
    return (vi)_mm512_mask_blend_epi32(that, (__m512i)b, (__m512i)a);
}
/* 1 where THAT holds, else 0. */
LANE vi vi_one(vm that)
{
    return (vi)_mm512_maskz_set1_epi32(that, 1);
}

/* r[i][j] and r[j][i] change places. */
LANE void lanes_transpose(vf r[LANES])
{
    __m512 t[LANES];

    UNROLLED for (int i = 0; i < LANES; i += 4)
    {
        const __m512 a = (__m512)r[i], b = (__m512)r[i + 1];
        const __m512 c = (__m512)r[i + 2], d = (__m512)r[i + 3];
        const __m512d ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
        const __m512d cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
        const __m512d ab_high = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
        const __m512d cd_high = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));

        /* Row j of four: columns j, j + 4, j + 8, j + 12 of rows i to i + 3. */
        t[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
        t[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd));
        t[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high));
        t[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high));
    }
    UNROLLED for (int j = 0; j < 4; j++)
    {
        const __m512 even = _mm512_shuffle_f32x4(t[j], t[4 + j], 0x88);
        const __m512 even_high = _mm512_shuffle_f32x4(t[8 + j], t[12 + j], 0x88);
        const __m512 odd = _mm512_shuffle_f32x4(t[j], t[4 + j], 0xdd);
        const __m512 odd_high = _mm512_shuffle_f32x4(t[8 + j], t[12 + j], 0xdd);

        r[j] = (vf)_mm512_shuffle_f32x4(even, even_high, 0x88);
        r[4 + j] = (vf)_mm512_shuffle_f32x4(odd, odd_high, 0x88);
        r[8 + j] = (vf)_mm512_shuffle_f32x4(even, even_high, 0xdd);
        r[12 + j] = (vf)_mm512_shuffle_f32x4(odd, odd_high, 0xdd);
    }
}
#else
typedef int32_t vm __attribute__((vector_size(4 * LANES))); /* 0 or -1 */

LANE vf vf_all(float x)
{
    return (vf)_mm256_set1_ps(x);
}
LANE vf vf_load(const float *x)
{
    return (vf)_mm256_loadu_ps(x);
}
LANE void vf_store(float *to, vf x)
{
    _mm256_storeu_ps(to, (__m256)x);
}
LANE vi vi_load(const void *from)
{
    return (vi)_mm256_loadu_si256((const __m256i *)from);
}
LANE vf vf_sqrt(vf x)
{
    return (vf)_mm256_sqrt_ps((__m256)x);
}
LANE vf vf_max(vf a, vf b)
{
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
}
LANE vf vf_min(vf a, vf b)
{
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
}
LANE vf vf_round(vf x)
{
    return (vf)_mm256_round_ps((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
LANE vi vi_max(vi a, vi b)
{
    return (vi)_mm256_max_epi32((__m256i)a, (__m256i)b);
}
LANE vi vi_min(vi a, vi b)
{
    return (vi)_mm256_min_epi32((__m256i)a, (__m256i)b);
}
LANE vi vi_trunc(vf x)
{
    return (vi)_mm256_cvttps_epi32((__m256)x);
}
LANE vf vf_of(vi x)
{
    return (vf)_mm256_cvtepi32_ps((__m256i)x);
}
#define LANE_COMPARE(name, how)                                                                    \
    LANE vm vf_##name(vf a, vf b)                                                                  \
    {                                                                                              \
        return (vm)_mm256_cmp_ps((__m256)a, (__m256)b, how);                                       \
    }
LANE vm vi_lt(vi a, vi b)
{
    return (vm)_mm256_cmpgt_epi32((__m256i)b, (__m256i)a);
}
LANE vm vm_and(vm a, vm b)
{
    return a & b;
}
LANE vm vm_not(vm a)
{
    return ~a;
}
LANE vm vm_none(void)
{
    return (vm){0};
}
LANE bool vm_any(vm a)
{
    return _mm256_movemask_ps((__m256)a) != 0;
}
LANE vf vf_pick(vm that, vf a, vf b)
{
    return (vf)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)that);
}
LANE vi vi_pick(vm that, vi a, vi b)
{
    return (vi)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)that);
}
LANE vi vi_one(vm that)
{
    return that & 1;
}

LANE void lanes_transpose(vf r[LANES])
{
    __m256 t[LANES];

    UNROLLED for (int i = 0; i < LANES; i += 4)
    {
        const __m256 a = (__m256)r[i], b = (__m256)r[i + 1];
        const __m256 c = (__m256)r[i + 2], d = (__m256)r[i + 3];
        const __m256d ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
        const __m256d cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
        const __m256d ab_high = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
        const __m256d cd_high = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));

        /* Row j of four: columns j, j + 4 of rows i to i + 3. */
        t[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd));
        t[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd));
        t[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab_high, cd_high));
        t[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab_high, cd_high));
    }
    UNROLLED for (int j = 0; j < 4; j++)
    {
        r[j] = (vf)_mm256_permute2f128_ps(t[j], t[4 + j], 0x20);
        r[4 + j] = (vf)_mm256_permute2f128_ps(t[j], t[4 + j], 0x31);
    }
}
#endif

LANE_COMPARE(lt, _CMP_LT_OQ)
LANE_COMPARE(gt, _CMP_GT_OQ)
LANE_COMPARE(le, _CMP_LE_OQ)
LANE_COMPARE(ge, _CMP_GE_OQ)
LANE_COMPARE(ne, _CMP_NEQ_UQ)
LANE_COMPARE(nlt, _CMP_NLT_UQ)
#undef LANE_COMPARE

/* ---- the scalar helpers of search.h, block.h and half.h, lane by lane ------------------------ */

LANE vf vf_abs(vf x)
{
    return (vf)((vu)x & 0x7fffffffu);
}

/* nearest_int */
LANE vi vi_nearest(vf x)
{
    return ((vi)(x + 12582912.0f) & 0x007fffff) - 0x00400000;
}

LANE vi vi_all(int32_t x)
{
    return x - (vi){0};
}

LANE vu vu_all(uint32_t x)
{
    return x - (vu){0};
}

LANE vi vi_clamp(vi x, int32_t low, int32_t high)
{
    return vi_min(vi_max(x, vi_all(low)), vi_all(high));
}

/* (float)clamp_i32(nearest_int(x), low, high), for |x| <= 2^22 (-0 for 0 may come out): between
 * integers it does not matter which comes first, and up to there nearest_int is what it is named.
 */
LANE vf vf_level(vf x, vf low, vf high)
{
    return vf_round(vf_min(vf_max(x, low), high));
}

/* f32_round_i32, the same for every bit pattern there is: what lies below a half by the least
 * does not reach the next integer by this addend, and a half does. */
LANE vi vi_round_away(vf x)
{
    const vu sign = (vu)x & 0x80000000u, addend = (vu)vf_all(0x1.fffffep-2f);

    return vi_trunc(x + (vf)(addend | sign));
}

/* X / D, or 0 where D is 0. */
LANE vf vf_over(vf x, vf d)
{
    return vf_pick(vf_ne(d, vf_all(0.0f)), x / d, vf_all(0.0f));
}

/* f16_put */
LANE vu vu_f16(vf x)
{
    const vu u = (vu)x & 0x7fffffffu, sign = (vu)x >> 16 & 0x8000u;
    const vu small = (vu)((vf)u + 0.5f) - 0x3f000000u;
    const vu normal = (u - (112u << 23) + 0x0fffu + (u >> 13 & 1u)) >> 13;
    const vi finite = vi_pick(vi_lt((vi)u, vi_all(0x38800000)), (vi)small, (vi)normal);
    const vi infinite = vi_pick(vi_lt(vi_all(0x7f800000), (vi)u), vi_all(0x7e00), vi_all(0x7c00));

    return (vu)vi_pick(vi_lt(vi_all(0x477fffff), (vi)u), infinite, finite) | sign;
}

/* f16_get */
LANE vf vf_f16(vu h)
{
    const vu rest = (h & 0x7fffu) << 13;
    const vi e = (vi)(rest & 0x0f800000u);
    const vm tiny = vi_lt(e, vi_all(1)), special = vi_lt(vi_all(0x0f7fffff), e);
    const vi bias =
        vi_pick(special, vi_all(224 << 23), vi_pick(tiny, vi_all(113 << 23), vi_all(112 << 23)));
    const vf y = (vf)((vi)rest + bias) - (vf)vi_pick(tiny, vi_all(113 << 23), vi_all(0));
    const vi quiet = vi_pick(vi_lt(vi_all(0x0f800000), (vi)rest), vi_all(0x00400000), vi_all(0));

    return (vf)((vu)y | (vu)quiet | (h & 0x8000u) << 16);
}

/* LANES values of 16 bits. */
LANE vu vu_load_16(const uint8_t *from)
{
#if defined(__AVX512F__)
    return (vu)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)from));
#else
    return (vu)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
#endif
}

LANE void vu_store_16(uint8_t *to, vu x)
{
#if defined(__AVX512F__)
    _mm256_storeu_si256((__m256i *)(void *)to, _mm512_cvtepi32_epi16((__m512i)x));
#else
    const __m256i pairs = _mm256_packus_epi32((__m256i)x, (__m256i)x);

    _mm_storeu_si128((__m128i *)(void *)to,
                     _mm256_castsi256_si128(_mm256_permute4x64_epi64(pairs, 0x08)));
#endif
}

/* bf16_put */
LANE vu vu_bf16(vf x)
{
    const vu u = (vu)x, nearest = (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
    const vm nan = vi_lt(vi_all(0x7f800000), (vi)(u & 0x7fffffffu));

    return (vu)vi_pick(nan, (vi)(u >> 16 | 64u), (vi)nearest);
}

/* bf16_get */
LANE vf vf_bf16(vu h)
{
    return (vf)(h << 16);
}

/* ---- blocks into lanes and back ---------------------------------------------------------------
 */

/* N (a multiple of 16) values from each address, transposed: to[i] holds element i of every lane.
 */
static inline void lanes_load(const float *const from[LANES], int n, vf *to)
{
    for (int i = 0; i < n; i += LANES) {
        vf r[LANES];

        UNROLLED for (int l = 0; l < LANES; l++) r[l] = vf_load(from[l] + i);
        lanes_transpose(r);
        UNROLLED for (int l = 0; l < LANES; l++) to[i + l] = r[l];
    }
}

/* Is any of N x LANES values NaN or infinite? */
static inline bool lanes_invalid(int n, const vf *x)
{
    vi most = vi_all(0);

    for (int i = 0; i < n; i++)
        most = vi_max(most, (vi)((vu)x[i] & 0x7fffffffu));
    return vm_any(vi_lt(vi_all(0x7f7fffff), most));
}

/* Four bytes, those of ascending addresses first; what exceeds 8 bits is dropped. */
LANE vu vu_bytes(vu a, vu b, vu c, vu d)
{
    return (a & 255u) | (b & 255u) << 8 | (c & 255u) << 16 | d << 24;
}

/* The first COUNT lanes of N words, N x 4 bytes a lane, AT bytes into the lane's block. */
static inline void lanes_put_words(int count, uint8_t *const block[LANES], int at, const vu *word,
                                   int n)
{
    for (int l = 0; l < count; l++)
        for (int k = 0; k < n; k++) {
            const uint32_t w = word[k][l];

            memcpy(block[l] + at + 4 * k, &w, sizeof(w));
        }
}

static inline void lanes_put_half(int count, uint8_t *const block[LANES], int at, vu h)
{
    for (int l = 0; l < count; l++) {
        const uint16_t one = (uint16_t)h[l];

        memcpy(block[l] + at, &one, sizeof(one));
    }
}

/* 64 bytes of 256 levels, in each half: the lower two bits of l, l + 32, l + 64, l + 96 in one. */
static inline void lanes_put_quarters(int count, uint8_t *const block[LANES], int at, const vu *L)
{
    vu word[16];

    for (int k = 0; k < 16; k++) {
        const vu *q = L + 128 * (k / 8) + 4 * (k % 8);
        vu byte[4];

        for (int i = 0; i < 4; i++)
            byte[i] = (q[i] & 3u) | (q[i + 32] & 3u) << 2 | (q[i + 64] & 3u) << 4 | q[i + 96] << 6;
        word[k] = vu_bytes(byte[0], byte[1], byte[2], byte[3]);
    }
    lanes_put_words(count, block, at, word, 16);
}

#endif
#endif
