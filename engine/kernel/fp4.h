/* fp4.h - what mxfp4 and nvfp4 share: floats of 4 bits, doubled so that they are integers
 * (specs/gguf-quant.md 2.4, 3.1.6) */
#ifndef KERNEL_FP4_H
#define KERNEL_FP4_H

#include "kernel/half.h"

#include <math.h>

static const float fp4_value[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* Codes of the values nearest to X in units of SCALE, N (at most 32) of them; the lower of two
 * equally near. Element j low, element j + n / 2 high. */
static inline void fp4_put(int n, const float *x, float scale, uint8_t *to)
{
    float least[32];
    uint32_t code[32];

    for (int j = 0; j < n; j++) {
        least[j] = fabsf(fp4_value[0] * scale - x[j]);
        code[j] = 0;
    }
    for (uint32_t i = 1; i < 16; i++) {
        const float value = fp4_value[i] * scale;

        for (int j = 0; j < n; j++) {
            const float away = fabsf(value - x[j]);

            code[j] = u32_select(away < least[j], i, code[j]);
            least[j] = away < least[j] ? away : least[j];
        }
    }
    for (int j = 0; j < n / 2; j++)
        to[j] = (uint8_t)(code[j] | code[j + n / 2] << 4);
}

static inline void fp4_get(int n, const uint8_t *from, float scale, float *to)
{
    for (int j = 0; j < n / 2; j++) {
        to[j] = fp4_value[from[j] & 15] * scale;
        to[j + n / 2] = fp4_value[from[j] >> 4] * scale;
    }
}

#endif
