/* steps.h - merge arithmetic on runs of numbers, rounded to the work dtype after every step
 *
 * Merges are defined step by step (specs/merge.md 1.1): each elementwise operation is one f32
 * operation (f64 for W = f64) and one rounding R to the work dtype W. A method is therefore
 * written as a list of steps over short runs that stay in the first cache; this table holds the
 * steps of one W, as wide as the CPU has them. Each element is computed alone and exactly as
 * written: every instruction set gives the same bytes. So that this holds for NaN, too, R gives one
 * NaN alone (positive, quiet, no payload), whichever it was.
 *
 * Numbers of W = bf16, f16 and f32 lie in buffers of float, each representable in W; those of
 * W = f64 in buffers of double: `size` bytes each. A scalar is rounded to float first (stays
 * double for f64), not to W; where W is asked for, steps->scalar gives it. Y may be an input
 * (the same pointer), but no other overlap is allowed. N is any length. */
#ifndef KERNEL_STEPS_H
#define KERNEL_STEPS_H

#include "kernel/cpu.h"
#include "tensor/dtype.h"

struct steps {
    enum dtype work; /* DTYPE_bf16, DTYPE_f16, DTYPE_f32 or DTYPE_f64 */
    uint32_t size;   /* of a number in a buffer: 4 or 8 */

    double (*scalar)(double x); /* R(x): a float (or double) rounded to W */

    void (*sub)(void *y, const void *a, const void *b, int64_t n); /* R(a - b) */
    void (*add)(void *y, const void *a, const void *b, int64_t n); /* R(a + b) */
    void (*mul)(void *y, const void *a, const void *b, int64_t n); /* R(a * b) */
    void (*div)(void *y, const void *a, const void *b, int64_t n); /* R(a / b) */
    void (*scale)(void *y, const void *a, double by, int64_t n);   /* R(a * by) */
    void (*over)(void *y, const void *a, double by, int64_t n);    /* R(a / by) */
    void (*plus)(void *y, const void *a, double by, int64_t n);    /* R(a + by) */
    void (*from)(void *y, double by, const void *a, int64_t n);    /* R(by - a) */
    void (*recip)(void *y, const void *a, int64_t n);              /* R(1 / a) */
    void (*abs)(void *y, const void *a, int64_t n);                /* |a| */
    /* Comparisons are with R(by), and exact; a NaN passes through. */
    void (*at_least)(void *y, const void *a, double by, int64_t n); /* max(a, R(by)) */
    void (*clamp)(void *y, const void *a, double low, double high, int64_t n);
    /* R(R(ka * a) + R(kb * b)) */
    void (*blend)(void *y, double ka, const void *a, double kb, const void *b, int64_t n);
    /* acc = R(acc + R(by * a)) */
    void (*scale_add)(void *acc, const void *a, double by, int64_t n);

    /* Of the task arithmetic family (specs/merge.md 2.6): y = d where sign(d) is the sign of
     * MAJORITY (>= 0 counts as +), else d * 0 (so that NaN stays NaN, and 0 is 0); with KEEP
     * not NULL: KEEP = R(keep + w) where it agreed. sign 0 agrees with nothing. */
    void (*agree)(void *y, void *keep, const void *d, const void *majority, double w, int64_t n);
    /* y = d where mask[i] != 0, else d * 0 */
    void (*mask)(void *y, const void *d, const uint8_t *mask, int64_t n);
    /* mask[i] = 1 where |a| > by (beyond) or a >= by (reaches), else 0; so for NaN */
    void (*beyond)(uint8_t *mask, const void *a, double by, int64_t n);
    void (*reaches)(uint8_t *mask, const void *a, double by, int64_t n);
    /* y = count[i] */
    void (*numbers)(void *y, const uint8_t *count, int64_t n);
    /* key[i] = bits of |d| in W without the sign, as one integer that orders as |d| does: 15 bits
     * for bf16 and f16, 31 for f32, 63 for f64. Every NaN is all ones, so the largest. */
    void (*keys)(uint64_t *key, const void *d, int64_t n);
    /* key[i] = an integer of `size` bytes that orders as d does, sign included (-0 below 0, NaN
     * above all): its keys' bits and one more, 2^bits + key or 2^bits - 1 - key. */
    void (*ranks)(void *key, const void *d, int64_t n);
};

/* The steps of W, which is one of the four; chosen once for this CPU (kernel/cpu.h). */
const struct steps *steps_of(enum dtype work);
/* Those of ISA, which this CPU runs. */
const struct steps *steps_in(enum cpu_isa isa, enum dtype work);

#endif
