/* ternary.h - what tq1_0 and tq2_0 share: 256 values to -1, 0, 1 (specs/gguf-quant.md 3.3) */
#ifndef KERNEL_TERNARY_H
#define KERNEL_TERNARY_H

#include "kernel/block.h"

#include <math.h>

enum { TERNARY_N = 256 };

/* Levels + 1 in L; gives the scale, the largest magnitude. */
static inline float ternary_levels(const float *x, uint8_t *L)
{
    float largest = 0.0f, id;

    for (int j = 0; j < TERNARY_N; j++)
        largest = largest > fabsf(x[j]) ? largest : fabsf(x[j]);
    id = largest != 0.0f ? 1.0f / largest : 0.0f;
    /* What does not fit 32 bits is a level of 0: its low bits are, as the definition's are. */
    for (int j = 0; j < TERNARY_N; j++)
        L[j] = (uint8_t)(f32_round_i32(x[j] * id) + 1);
    return largest;
}

#endif
