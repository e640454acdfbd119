/* q4_1.c - 32 values: an f16 scale, an f16 minimum and 4 bits each (specs/gguf-quant.md 3.3) */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/search.h"

#include <float.h>

enum { N = 32, HALF = 16, NMAX = 15 };

struct block {
    uint8_t d[2], m[2];
    uint8_t q[HALF]; /* element j low, element j + 16 high */
};
_Static_assert(sizeof(struct block) == 20, "no padding");

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++) {
        const float d = block_f16(b->d), m = block_f16(b->m);
        float y[N];

        for (int j = 0; j < HALF; j++) {
            y[j] = (float)(b->q[j] & 15) * d + m;
            y[j + HALF] = (float)(b->q[j] >> 4) * d + m;
        }
        memcpy(to + i, y, sizeof(y));
    }
}

/* The definition's (i8) and unsigned steps: a level that wrapped below zero keeps its bits. */
static uint8_t level(float x, float min, float id)
{
    const int32_t q = (int8_t)(uint8_t)f32_to_i32((x - min) * id + 0.5f);

    return (uint8_t)(q < NMAX ? q : NMAX);
}

static void encode_plain(const float *restrict x, struct block *restrict b)
{
    float min = FLT_MAX, max = -FLT_MAX, d, id;

    for (int j = 0; j < N; j++) {
        min = x[j] < min ? x[j] : min;
        max = x[j] > max ? x[j] : max;
    }
    d = (max - min) / (float)NMAX;
    id = d != 0.0f ? 1.0f / d : 0.0f;
    block_put_f16(b->d, d);
    block_put_f16(b->m, min);
    for (int j = 0; j < HALF; j++)
        b->q[j] = (uint8_t)(level(x[j], min, id) | level(x[j + HALF], min, id) << 4);
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
        for (int j = 0; j < HALF; j++)
            b->q[j] = (uint8_t)(L[j] | L[j + HALF] << 4);
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

const struct kernel kernel_q4_1 = {decode, encode, invalid};
