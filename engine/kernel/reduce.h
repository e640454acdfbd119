/* reduce.h - sums over one tile, in the one order there is (DESIGN section 2)
 *
 * A tile is 65,536 elements in flat order (the last one of a tensor may be shorter). Inside it
 * lane l sums the elements l, l + 8, l + 16 ... upwards in f64; the lanes are then combined as
 * ((l0+l4)+(l2+l6)) + ((l1+l5)+(l3+l7)). Whoever calls keeps the sum of each tile and adds them
 * in tile order, from 0. */
#ifndef KERNEL_REDUCE_H
#define KERNEL_REDUCE_H

#include "base/cc.h"

enum { REDUCE_TILE = 65536 };

/* N is at most REDUCE_TILE in each; the square of an f32 is exact in f64. */
double reduce_squares(const float *a, int64_t n);
/* (a / na) * (b / nb), both divisions and the product rounded to f32 (specs/merge.md 2.2). */
double reduce_unit_products(const float *a, float na, const float *b, float nb, int64_t n);

#endif
