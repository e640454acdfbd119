/* error.h - how far the values of a tensor lie from those it was made of, tile by tile
 *
 * The error of qm 22: e = sum of w(c) (x - y)^2, x a source value, y what its codes decode to, w(c)
 * how much column c matters. Differences and sums are f64; a tile is one of kernel/reduce.h, summed
 * in its eight lanes, and tiles are joined in their order. */
#ifndef KERNEL_ERROR_H
#define KERNEL_ERROR_H

#include "base/cc.h"

struct error_sums {
    double e;        /* of w (x - y)^2 */
    double w;        /* of w */
    double x;        /* of w x^2 */
    double max;      /* of |x - y|, whatever w is */
    int64_t max_at;  /* its flat index, the lowest; -1: nothing differs */
    int64_t skipped; /* elements of which a side is NaN or Inf: in no figure above */
};

/* The sums of N values (at most REDUCE_TILE) at flat index FIRST. W: a weight each; NULL: ones. */
void error_tile(const double *x, const double *y, const double *w, int64_t n, int64_t first,
                struct error_sums *out);
/* Add the next tile to SUM, which begins as ERROR_NONE. */
void error_add(struct error_sums *sum, const struct error_sums *tile);
#define ERROR_NONE ((struct error_sums){.max_at = -1})

/* The weights of one matrix's columns from COLS imatrix values (finite, >= 0): value / mean, so
 * that their mean is 1. Values that are all zero weigh nothing against each other: ones. */
void error_weights(const float *value, int64_t cols, double *w);

/* Root of the mean square error, sqrt(e / w); 0 when nothing was counted. */
double error_rmse(const struct error_sums *sums);

#endif
