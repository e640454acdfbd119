/* tensor.h - what a tensor is: a dtype and a shape; its bytes are always somebody else's
 *
 * Shapes are in the order of Hugging Face files: dim[0] is the slowest, dim[rank - 1] (the
 * columns) the fastest. GGUF files reverse it in their headers only. */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H

#include "base/err.h"
#include "tensor/dtype.h"

enum { TENSOR_RANK_MAX = 8 };

struct tensor {
    enum dtype dtype;
    uint32_t rank; /* 0: a scalar, one element */
    int64_t dim[TENSOR_RANK_MAX];
};

/* Checked: every dim >= 0, elements and bytes below 2^62, columns a multiple of the block. */
bool tensor_check(const struct tensor *t, struct err *err) MUST_USE;
int64_t tensor_elements(const struct tensor *t); /* of a checked tensor */
int64_t tensor_cols(const struct tensor *t);     /* dim[rank - 1]; 1 for a scalar */
int64_t tensor_rows(const struct tensor *t);     /* elements / cols; 0 when empty */
int64_t tensor_slab(const struct tensor *t); /* elements behind one index of dim[0]; 0 when empty */
uint64_t tensor_bytes(const struct tensor *t);
/* Bytes of N elements of it; N a multiple of the block. */
uint64_t tensor_span(const struct tensor *t, int64_t n);
bool tensor_same_shape(const struct tensor *a, const struct tensor *b);
/* "[4096, 5120]" into TEXT of SIZE bytes; the result is TEXT. */
const char *tensor_shape(const struct tensor *t, char *text, size_t size);

#endif
