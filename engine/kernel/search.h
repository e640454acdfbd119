/* search.h - the searches for scales that block types share (specs/gguf-quant.md 3.1, 3.2)
 *
 * Every operation rounds to f32 in the order written; sums run upwards, one after the other.
 * These are the definition: lanes may run several calls side by side, never reorder one. */
#ifndef KERNEL_SEARCH_H
#define KERNEL_SEARCH_H

#include "base/exact.h"
#include "kernel/block.h"

#include <math.h>

enum { SEARCH_MAX = 32 }; /* the longest N below; each N is a multiple of 8 */

/* Blocks whose largest value is smaller count as zero (not in search_range). */
static const float search_tiny = 1e-15f;

/* Nearest integer, ties to even, for |x| <= 2^22; beyond, the wrapped bits of the definition. */
static inline int32_t nearest_int(float x)
{
    return (int32_t)(f32_bits(x + 12582912.0f) & 0x007fffff) - 0x00400000;
}

/* The first element of largest magnitude: that magnitude, and *value with its sign. 0 if none
 * is above 0. */
float search_extreme(int n, const float *x, float *value);

/* QX: levels -nmax .. nmax-1, stored + nmax in L; weights W, or x squared if NULL. Gives the
 * scale. */
float search_signed(int n, int nmax, const float *x, const float *w, uint8_t *L);

/* Q3: 16 values to levels -4 .. 3, stored + 4, by coordinate descent. Gives the scale. */
float search_q3(const float *x, uint8_t *L);

/* QKX: levels 0 .. nmax above a minimum. Trials 0 .. nstep use rmin + rdelta * trial. */
struct search_steps {
    float rmin, rdelta;
    int nstep;
    bool absolute; /* errors |d|, not d squared */
};
/* Those of every type that uses an imatrix. */
static const struct search_steps search_imatrix_steps = {-0.9f, 0.05f, 36, false};
/* Gives the scale; *minimum is how far below zero level 0 lies (>= 0 for finite input). */
float search_range(int n, int nmax, const float *x, const float *w,
                   const struct search_steps *steps, uint8_t *L, float *minimum);

/* QP: values >= 0 to levels 0 .. nmax (scales of sub-blocks). Gives the scale. */
float search_positive(int n, int nmax, const float *x, const float *w, uint8_t *L);

/* The sum of squares, upwards in f32. */
float search_squares(int64_t n, const float *x);
/* w = imatrix * sqrt(variance + x^2). */
void search_weights(int n, const float *x, const float *imatrix, float variance, float *w);
float search_sum(int n, const float *x);

#endif
