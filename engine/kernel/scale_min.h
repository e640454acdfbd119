/* scale_min.h - what q4_k and q5_k share: 8 sub-blocks of 32, each with a 6-bit scale and a
 * 6-bit minimum (specs/gguf-quant.md 3.4) */
#ifndef KERNEL_SCALE_MIN_H
#define KERNEL_SCALE_MIN_H

#include "kernel/search.h"

enum { SCALE_MIN_N = 256, SCALE_MIN_SUBS = 8, SCALE_MIN_SUB = 32 };

struct scale_min {
    uint8_t d[2], dmin[2];
    uint8_t packed[12];
};

/* The multiplier and what is taken off, of sub-block J. */
void scale_min_get(const struct scale_min *head, int j, float *d, float *m);

/* 256 X to levels 0 .. nmax in L, and their head. STEPS is the search without imatrix. */
void scale_min_encode(const float *x, const float *imatrix, int nmax,
                      const struct search_steps *steps, struct scale_min *head, uint8_t *L);

static inline bool scale_min_bad(const struct scale_min *head)
{
    return block_f16_bad(head->d) || block_f16_bad(head->dmin);
}

#endif
