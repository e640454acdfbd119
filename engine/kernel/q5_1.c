/* q5_1.c - 32 values: an f16 scale, an f16 minimum and 5 bits each (specs/gguf-quant.md 3.3) */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/five.h"
#include "kernel/search.h"

#include <float.h>

enum { N = FIVE_N, NMAX = 31 };

struct block {
    uint8_t d[2], m[2];
    struct five q;
};
_Static_assert(sizeof(struct block) == 24, "no padding");

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++) {
        const float d = block_f16(b->d), m = block_f16(b->m);
        uint8_t L[N];

        five_get(&b->q, L);
        for (int j = 0; j < N; j++)
            to[i + j] = (float)L[j] * d + m;
    }
}

static void encode_plain(const float *restrict x, struct block *restrict b)
{
    float min = FLT_MAX, max = -FLT_MAX, d, id;
    uint8_t L[N];

    for (int j = 0; j < N; j++) {
        min = x[j] < min ? x[j] : min;
        max = x[j] > max ? x[j] : max;
    }
    d = (max - min) / (float)NMAX;
    id = d != 0.0f ? 1.0f / d : 0.0f;
    block_put_f16(b->d, d);
    block_put_f16(b->m, min);
    for (int j = 0; j < N; j++)
        L[j] = (uint8_t)f32_to_i32((x[j] - min) * id + 0.5f); /* no cap, unlike q4_1 */
    five_put(&b->q, L);
}

static void encode_row(const float *x, int64_t cols, const float *imatrix, struct block *b)
{
    const float variance = search_squares(cols, x) / (float)cols;

    for (int64_t i = 0; i < cols; i += N, b++) {
        float w[N], minimum;
        uint8_t L[N];

        search_weights(N, x + i, imatrix + i, variance, w);
        block_put_f16(b->d, search_range(N, NMAX, x + i, w, &search_imatrix_steps, L, &minimum));
        block_put_f16(b->m, -minimum);
        five_put(&b->q, L);
    }
}

static void encode(const float *from, int64_t rows, int64_t cols, const float *imatrix, void *to)
{
    struct block *b = to;

    if (imatrix)
        for (int64_t r = 0; r < rows; r++)
            encode_row(from + r * cols, cols, imatrix, b + r * (cols / N));
    else
        for (int64_t i = 0; i < rows * cols; i += N)
            encode_plain(from + i, b++);
}

static int64_t invalid(const void *from, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n / N; i++)
        if (block_f16_bad(b[i].d) || block_f16_bad(b[i].m))
            return i * N;
    return -1;
}

const struct kernel kernel_q5_1 = {decode, encode, invalid};
