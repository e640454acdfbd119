/* vector.h - arithmetic on runs of numbers, as wide as the CPU has it
 *
 * Each element is computed alone and exactly as written, so every instruction set gives the same
 * bytes. Outputs do not overlap inputs. */
#ifndef KERNEL_VECTOR_H
#define KERNEL_VECTOR_H

#include "base/cc.h"

/* y[i] = x[i] * by */
void vector_scale(float *y, const float *x, float by, int64_t n);
/* y[i] = y[i] / by */
void vector_divide(float *y, float by, int64_t n);
/* y[i] = ka * a[i] + kc * c[i]: two products and a sum, each rounded */
void vector_blend(float *y, float ka, const float *a, float kc, const float *c, int64_t n);
/* acc[i] = x[i] * w + acc[i] with one rounding: the fused multiply-add that merge.linear asks for
 * (specs/merge.md 2.1). libm's fma and the CPU's instruction are both correctly rounded. */
void vector_fma(float *acc, const float *x, float w, int64_t n);
void vector_fma_f64(double *acc, const double *x, double w, int64_t n);
/* Whether the bits of some |x[i]| are LIMIT or more (infinity 0x7f800000, every NaN above). */
bool vector_reaches(const float *x, uint32_t limit, int64_t n);

#endif
