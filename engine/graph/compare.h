/* compare.h - how two tensors in two files differ, in bounded memory
 *
 * Bytes first: equal bytes of equal dtypes end the matter. Otherwise both are decoded to f64,
 * tile by tile, and measured. Sums follow DESIGN section 2 (tiles of 65,536, eight lanes), so
 * the figures depend on the two files alone. */
#ifndef GRAPH_COMPARE_H
#define GRAPH_COMPARE_H

#include "base/err.h"
#include "tensor/tensor.h"

struct compare_side {
    const char *path;       /* the file that holds it */
    uint64_t offset;        /* of its bytes */
    const struct tensor *t; /* checked */
};

struct compare {
    bool same_dtype, same_shape;
    bool same_bytes; /* of equal dtype and shape */
    /* The rest needs equal element counts and dtypes that can be computed with. */
    bool measured;
    uint64_t differ;  /* elements whose values differ; -0 equals 0, NaN equals NaN */
    uint64_t skipped; /* elements that are NaN or Inf on a side: in no figure below */
    double max_abs;   /* of A - B */
    int64_t max_at;   /* its flat index, the lowest; -1 when nothing differs */
    double rmse;      /* root of the mean of (A - B)^2 */
    double cosine;    /* of the two as vectors; 1 when both are zero, 0 when one is */
};

/* ERR_IO, ERR_CHANGED when a file cannot be read; ERR_MEMORY. Uses about 2 MiB. */
bool compare_tensors(const struct compare_side *a, const struct compare_side *b,
                     struct compare *out, struct err *err) MUST_USE;

#endif
