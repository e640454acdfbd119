/* q4_k.c - 256 values: 8 sub-blocks of 32, 4 bits each (specs/gguf-quant.md 3.4) */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/scale_min.h"

enum { N = SCALE_MIN_N, NMAX = 15 };

struct block {
    struct scale_min head;
    uint8_t q[128]; /* 32 bytes hold two sub-blocks: the first low, the second high */
};
_Static_assert(sizeof(struct block) == 144, "no padding");

static const struct search_steps steps = {-1.0f, 0.1f, 20, false};

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++)
        for (int c = 0; c < 4; c++) {
            float d[2], m[2], y[64];

            scale_min_get(&b->head, 2 * c, &d[0], &m[0]);
            scale_min_get(&b->head, 2 * c + 1, &d[1], &m[1]);
            for (int l = 0; l < 32; l++) {
                y[l] = d[0] * (float)(b->q[32 * c + l] & 15) - m[0];
                y[l + 32] = d[1] * (float)(b->q[32 * c + l] >> 4) - m[1];
            }
            memcpy(to + i + c * 64, y, sizeof(y));
        }
}

static void encode_block(const float *x, const float *imatrix, struct block *b)
{
    uint8_t L[N];

    scale_min_encode(x, imatrix, NMAX, &steps, &b->head, L);
    for (int c = 0; c < 4; c++)
        for (int l = 0; l < 32; l++)
            b->q[32 * c + l] = (uint8_t)(L[64 * c + l] | L[64 * c + 32 + l] << 4);
}

static void encode(const float *from, int64_t rows, int64_t cols, const float *imatrix, void *to)
{
    struct block *b = to;

    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c += N)
            encode_block(from + r * cols + c, imatrix ? imatrix + c : NULL, b++);
}

static int64_t invalid(const void *from, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n / N; i++)
        if (scale_min_bad(&b[i].head))
            return i * N;
    return -1;
}

const struct kernel kernel_q4_k = {decode, encode, invalid};
