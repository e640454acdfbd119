/* vector.h - arithmetic on runs of numbers, as wide as the CPU has it
 *
 * Each element is computed alone and exactly as written, so every instruction set gives the same
 * bytes. Outputs do not overlap inputs. */
#ifndef KERNEL_VECTOR_H
#define KERNEL_VECTOR_H

#include "base/cc.h"

/* y[i] = x[i] * by */
void vector_scale(float *y, const float *x, float by, int64_t n);
/* y[i] = ka * a[i] + kc * c[i]: two products and a sum, each rounded */
void vector_blend(float *y, float ka, const float *a, float kc, const float *c, int64_t n);

#endif
