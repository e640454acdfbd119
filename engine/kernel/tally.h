/* tally.h - the sum of a reduce tile, gathered in parts
 *
 * An op makes the terms of a sum chunk by chunk (kernel/steps.h); a tally takes them up in the
 * one order there is (kernel/reduce.h): term i of the tile goes to lane i mod 8. So every part
 * but the last of a tile holds a multiple of 8 terms. A tile is at most REDUCE_TILE terms; whoever
 * calls ends the tally there and adds the tiles in order, from 0.
 *
 * SIZE says what the terms are: 4 float, 8 double. The base instruction set and AVX2 give the same
 * bytes. */
#ifndef KERNEL_TALLY_H
#define KERNEL_TALLY_H

#include "base/cc.h"

enum { TALLY_LANES = 8 };

struct tally {
    double lane[TALLY_LANES]; /* zeros to begin with */
};

void tally_add(struct tally *t, const void *a, uint32_t size, int64_t n);
/* Without their signs. */
void tally_magnitudes(struct tally *t, const void *a, uint32_t size, int64_t n);
/* Squares, and products of A and B: exact of floats, rounded to f64 of doubles. */
void tally_squares(struct tally *t, const void *a, uint32_t size, int64_t n);
void tally_products(struct tally *t, const void *a, const void *b, uint32_t size, int64_t n);
double tally_end(const struct tally *t);

/* N sums side by side, each of its own vector (the columns of a matrix): sum[i] += a[i], or its
 * square. The caller says which lane of them SUM is. */
void tally_columns(double *sum, const void *a, uint32_t size, int64_t n);
void tally_column_squares(double *sum, const void *a, uint32_t size, int64_t n);

#endif
