/* five.h - what q5_0 and q5_1 share: 32 levels of five bits (specs/gguf-quant.md 3.3) */
#ifndef KERNEL_FIVE_H
#define KERNEL_FIVE_H

#include "base/cc.h"

enum { FIVE_N = 32, FIVE_HALF = 16 };

struct five {
    uint8_t high[4];      /* bit j: bit 4 of element j */
    uint8_t q[FIVE_HALF]; /* the lower four bits: element j low, element j + 16 high */
};

static inline void five_put(struct five *to, const uint8_t *L)
{
    for (int j = 0; j < 4; j++) {
        uint32_t bits = 0;

        for (int k = 0; k < 8; k++)
            bits |= (uint32_t)(L[8 * j + k] >> 4 & 1) << k;
        to->high[j] = (uint8_t)bits;
    }
    for (int j = 0; j < FIVE_HALF; j++)
        to->q[j] = (uint8_t)((L[j] & 15) | (L[j + FIVE_HALF] & 15) << 4);
}

static inline void five_get(const struct five *from, uint8_t *L)
{
    for (int j = 0; j < FIVE_HALF; j++) {
        L[j] = (uint8_t)((from->q[j] & 15) | (from->high[j / 8] >> j % 8 & 1) << 4);
        L[j + FIVE_HALF] = (uint8_t)(from->q[j] >> 4 | (from->high[2 + j / 8] >> j % 8 & 1) << 4);
    }
}

#endif
