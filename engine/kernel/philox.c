/* philox.c - Philox4x32-10, many blocks side by side
 *
 * Integers only, so every instruction set gives the same words. */
#include "kernel/philox.h"

#include "kernel/cpu.h"

#if CPU_X86
#include <immintrin.h>
#endif

static void lanes_scalar(uint64_t key, uint64_t first, uint32_t out[4][PHILOX_LANES])
{
    uint32_t c0[PHILOX_LANES], c1[PHILOX_LANES], c2[PHILOX_LANES], c3[PHILOX_LANES];
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);

    for (int l = 0; l < PHILOX_LANES; l++) {
        const uint64_t block = first + (uint64_t)l;

        c0[l] = (uint32_t)block;
        c1[l] = (uint32_t)(block >> 32);
        c2[l] = 0;
        c3[l] = 0;
    }
    for (int round = 0; round < 10; round++) {
        for (int l = 0; l < PHILOX_LANES; l++) {
            const uint64_t p0 = (uint64_t)c0[l] * 0xD2511F53u, p1 = (uint64_t)c2[l] * 0xCD9E8D57u;

            c0[l] = (uint32_t)(p1 >> 32) ^ c1[l] ^ k0;
            c1[l] = (uint32_t)p1;
            c2[l] = (uint32_t)(p0 >> 32) ^ c3[l] ^ k1;
            c3[l] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int l = 0; l < PHILOX_LANES; l++) {
        out[0][l] = c0[l];
        out[1][l] = c1[l];
        out[2][l] = c2[l];
        out[3][l] = c3[l];
    }
}

#if CPU_X86
/* Blocks in 64-bit lanes, four to a vector. A multiplication reads the lower halves alone, so what
 * the upper ones hold does not matter until the end. All vectors go side by side, unrolled: a round
 * waits for its multiplication, and the others fill the time. */
enum { ROUNDS = 10, VECTORS = PHILOX_LANES / 4 };

__attribute__((target("avx2"))) static void lanes_avx2(uint64_t key, uint64_t first,
                                                       uint32_t out[4][PHILOX_LANES])
{
    const __m256i m0 = _mm256_set1_epi64x(0xD2511F53), m1 = _mm256_set1_epi64x(0xCD9E8D57);
    const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    __m256i c[VECTORS][4];

    UNROLLED for (int v = 0; v < VECTORS; v++)
    {
        c[v][0] = _mm256_add_epi64(_mm256_set1_epi64x((int64_t)first + 4 * v),
                                   _mm256_setr_epi64x(0, 1, 2, 3));
        c[v][1] = _mm256_srli_epi64(c[v][0], 32);
        c[v][2] = c[v][3] = _mm256_setzero_si256();
    }
    UNROLLED for (int round = 0; round < ROUNDS; round++)
    {
        const __m256i key0 = _mm256_set1_epi64x(k0), key1 = _mm256_set1_epi64x(k1);

        UNROLLED for (int v = 0; v < VECTORS; v++)
        {
            const __m256i p0 = _mm256_mul_epu32(c[v][0], m0), p1 = _mm256_mul_epu32(c[v][2], m1);
            const __m256i h0 = _mm256_srli_epi64(p0, 32), h1 = _mm256_srli_epi64(p1, 32);

            c[v][0] = _mm256_xor_si256(h1, _mm256_xor_si256(c[v][1], key0));
            c[v][1] = p1;
            c[v][2] = _mm256_xor_si256(h0, _mm256_xor_si256(c[v][3], key1));
            c[v][3] = p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    UNROLLED for (int v = 0; v < VECTORS; v++)
    {
        UNROLLED for (int w = 0; w < 4; w++)
        {
            const __m256i packed = _mm256_permutevar8x32_epi32(c[v][w], even);

            _mm_storeu_si128((__m128i *)(void *)&out[w][4 * v], _mm256_castsi256_si128(packed));
        }
    }
}

/* Eight blocks, in the same way. */
__attribute__((target("avx512f"))) static void eight_avx512(uint64_t key, uint64_t first,
                                                            uint32_t out[4][PHILOX_LANES], int lane)
{
    const __m512i m0 = _mm512_set1_epi64(0xD2511F53), m1 = _mm512_set1_epi64(0xCD9E8D57);
    const __m512i index = _mm512_add_epi64(_mm512_set1_epi64((int64_t)first),
                                           _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
    __m512i c[4] = {index, _mm512_srli_epi64(index, 32), _mm512_setzero_si512(),
                    _mm512_setzero_si512()};
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);

    for (int round = 0; round < 10; round++) {
        const __m512i p0 = _mm512_mul_epu32(c[0], m0), p1 = _mm512_mul_epu32(c[2], m1);

        c[0] =
            _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), c[1], _mm512_set1_epi64(k0), 0x96);
        c[1] = p1;
        c[2] =
            _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), c[3], _mm512_set1_epi64(k1), 0x96);
        c[3] = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int w = 0; w < 4; w++)
        _mm256_storeu_si256((__m256i *)(void *)&out[w][lane], _mm512_cvtepi64_epi32(c[w]));
}

__attribute__((target("avx512f"))) static void lanes_avx512(uint64_t key, uint64_t first,
                                                            uint32_t out[4][PHILOX_LANES])
{
    for (int lane = 0; lane < PHILOX_LANES; lane += 8)
        eight_avx512(key, first + (uint64_t)lane, out, lane);
}
#endif

void philox_lanes(uint64_t key, uint64_t first, uint32_t out[4][PHILOX_LANES])
{
#if CPU_X86
    const enum cpu_isa isa = cpu_isa();

    if (isa >= CPU_AVX512) {
        lanes_avx512(key, first, out);
        return;
    }
    if (isa >= CPU_AVX2) {
        lanes_avx2(key, first, out);
        return;
    }
#endif
    lanes_scalar(key, first, out);
}
