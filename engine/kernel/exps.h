/* exps.h - exp and log on runs of numbers, as wide as the CPU has them
 *
 * Each number is what the scalar function of base/fmath.h gives, bit for bit, NaN and infinity
 * included: a lane does that function's operations, and the function itself does what is rare.
 * Where SIZE is asked for, it says what numbers are: 4 float, 8 double. N is any length; Y may be
 * X where both hold numbers of one size, but no other overlap is allowed. */
#ifndef KERNEL_EXPS_H
#define KERNEL_EXPS_H

#include "kernel/cpu.h"

struct exps {
    /* y[i] = fmath_exp((double)x[i] - less) */
    void (*exp)(double *y, const void *x, uint32_t size, double less, int64_t n);
    /* y[i] = fmath_log((double)x[i]), of SIZE */
    void (*log)(void *y, const void *x, uint32_t size, int64_t n);
    /* y[i] = x[i] / by, of SIZE: the parts of a sum of exponentials */
    void (*over)(void *y, uint32_t size, const double *x, double by, int64_t n);
    /* The largest number; N is at least 1. NaN counts where it comes first, else not. Of zeros
     * either may come out. */
    double (*most)(const void *x, uint32_t size, int64_t n);
};

/* Chosen once for this CPU (kernel/cpu.h). */
const struct exps *exps_of_cpu(void);
/* Those of ISA, which this CPU runs. */
const struct exps *exps_in(enum cpu_isa isa);

#endif
