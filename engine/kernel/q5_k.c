/* q5_k.c - 256 values: 8 sub-blocks of 32, 5 bits each (specs/gguf-quant.md 3.4) */
#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/scale_min.h"

enum { N = SCALE_MIN_N, NMAX = 31 };

struct block {
    struct scale_min head;
    uint8_t high[32]; /* bit j of byte l: bit 4 of element l of sub-block j */
    uint8_t q[128];   /* the lower four bits: 32 bytes hold two sub-blocks, first low */
};
_Static_assert(sizeof(struct block) == 176, "no padding");

static const struct search_steps steps = {-0.5f, 0.1f, 15, false};

static void decode(const void *from, float *to, int64_t n)
{
    const struct block *b = from;

    for (int64_t i = 0; i < n; i += N, b++)
        for (int c = 0; c < 4; c++) {
            float d[2], m[2], y[64];

            scale_min_get(&b->head, 2 * c, &d[0], &m[0]);
            scale_min_get(&b->head, 2 * c + 1, &d[1], &m[1]);
            for (int l = 0; l < 32; l++) {
                const int q = b->q[32 * c + l], h = b->high[l] >> (2 * c);

                y[l] = d[0] * (float)((q & 15) | (h & 1) << 4) - m[0];
                y[l + 32] = d[1] * (float)(q >> 4 | (h >> 1 & 1) << 4) - m[1];
            }
            memcpy(to + i + c * 64, y, sizeof(y));
        }
}

static void encode_block(const float *x, const float *imatrix, struct block *b)
{
    uint8_t L[N];

    scale_min_encode(x, imatrix, NMAX, &steps, &b->head, L);
    memset(b->high, 0, sizeof(b->high));
    for (int c = 0; c < 4; c++)
        for (int l = 0; l < 32; l++) {
            const int first = L[64 * c + l], second = L[64 * c + 32 + l];

            b->q[32 * c + l] = (uint8_t)((first & 15) | (second & 15) << 4);
            b->high[l] = (uint8_t)(b->high[l] | (first >> 4 | second >> 4 << 1) << (2 * c));
        }
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

const struct kernel kernel_q5_k = {decode, encode, invalid};
