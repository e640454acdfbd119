/* philox.h - Philox4x32-10: random words that are a function of their index
 *
 * Block i under a 64-bit key is four words; no state, so any range can be made in any order, on
 * any thread. Source: specs/merge.md section 3 (with test vectors). */
#ifndef KERNEL_PHILOX_H
#define KERNEL_PHILOX_H

#include "base/cc.h"

enum { PHILOX_LANES = 16 };

/* Blocks FIRST to FIRST + PHILOX_LANES - 1: word w of block FIRST + l is in out[w][l]. */
void philox_lanes(uint64_t key, uint64_t first, uint32_t out[4][PHILOX_LANES]);

#endif
