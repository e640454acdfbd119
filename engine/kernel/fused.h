/* fused.h - the weighted sum of tensors, from their bytes to its bytes in one go
 *
 * merge.linear is defined by fused multiply-adds (specs/merge.md 2.1), and these files alone hold
 * them (tests/lint/objdump.sh). Each element is computed alone: every instruction set gives the
 * same bytes. */
#ifndef KERNEL_FUSED_H
#define KERNEL_FUSED_H

#include "tensor/dtype.h"

/*     acc = 0;  acc = fma(x_j[i], w_j, acc) for each j below K in order;  y[i] = acc / by
 *
 * for I from FIRST to N - 1. Y and every x_j are of DTYPE, a FLOAT one; steps, weights and BY are
 * f32 (f64 for f64), each rounded once, and the end once more into DTYPE. */
void fused_sum(enum dtype dtype, void *y, const void *const *x, const double *w, uint32_t k,
               double by, int64_t first, int64_t n);

/* The same by dtype. */
typedef void (*fused_fn)(void *y, const void *const *x, const double *w, uint32_t k, double by,
                         int64_t first, int64_t n);
/* What is defined, and what lanes leave over at the end. */
extern const fused_fn fused_scalar[DTYPE_COUNT];
/* Where CPU_X86. */
extern const fused_fn fused_avx2[DTYPE_COUNT], fused_avx512[DTYPE_COUNT];

#endif
