/* chance.h - random masks: which elements of a tensor are kept (specs/merge.md section 3)
 *
 * word(i) is word i mod 4 of Philox block i / 4 under KEY, u(i) = (word(i) >> 8) * 2^-24: an exact
 * float in [0, 1), a function of the element's flat index alone. */
#ifndef KERNEL_CHANCE_H
#define KERNEL_CHANCE_H

#include "base/cc.h"

/* mask[i] = u(FIRST + i) < p ? 1 : 0 for N elements, P one for all */
void chance_mask(uint8_t *mask, uint64_t key, uint64_t first, int64_t n, float p);
/* p[i] for each */
void chance_mask_each(uint8_t *mask, uint64_t key, uint64_t first, int64_t n, const float *p);

/* Ranks below 2^31: p[i] = low + ((rank[i] / last) * 2) * by, each step in float */
struct chance_ramp {
    float low, last, by;
};
void chance_of_ranks(float *p, const uint32_t *rank, struct chance_ramp ramp, int64_t n);

#endif
