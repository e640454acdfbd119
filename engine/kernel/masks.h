/* masks.h - runs of bytes that say yes (1) or no (0), and counts of them by element
 *
 * Counts stay below 256. Integers throughout, so every instruction set gives the same. */
#ifndef KERNEL_MASKS_H
#define KERNEL_MASKS_H

#include "base/cc.h"

/* count[i] += mask[i] */
void masks_add(uint8_t *count, const uint8_t *mask, int64_t n);
/* alone[i] = mask[i] where count[i] is 1, with[i] = mask[i] where it is above 1; else 0. */
void masks_split(uint8_t *alone, uint8_t *with, const uint8_t *mask, const uint8_t *count,
                 int64_t n);
/* count[i] = max(count[i], 1) */
void masks_at_least_one(uint8_t *count, int64_t n);
/* How many say yes. */
uint64_t masks_yes(const uint8_t *mask, int64_t n);

#endif
