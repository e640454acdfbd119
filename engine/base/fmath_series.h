/* fmath_series.h - the numbers that exp and log are made of, for base/fmath.c and kernel/exps.c
 *
 * Both do the same operations in the same order with them, one number or a vector at a time. */
#ifndef BASE_FMATH_SERIES_H
#define BASE_FMATH_SERIES_H

/* ln 2 in two parts; the first has 32 bits, so that its products with exponents are exact. */
#define FMATH_LN2_HI 0x1.62e42feep-1
#define FMATH_LN2_LO 0x1.a39ef35793c76p-33
#define FMATH_LOG2_E 0x1.71547652b82fep+0

/* Multiplied by it, a number gives its upper 26 bits (Dekker). */
#define FMATH_SPLIT 134217729.0

/* The bits of sqrt(1/2), where a logarithm's argument is split from its exponent. */
#define FMATH_ROOT_HALF 0x3fe6a09e667f3bcdu

/* e^r = 1 + r + r^2/2 + r^3 (these). */
#define FMATH_EXP_SERIES                                                                           \
    {                                                                                              \
        1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880,            \
            1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800                       \
    }

/* With s = f / (2 + f): log(1 + f) = f - f^2/2 + s (f^2/2 + s^2 (these, in s^2)). */
#define FMATH_LOG_SERIES                                                                           \
    {                                                                                              \
        2.0 / 3, 2.0 / 5, 2.0 / 7, 2.0 / 9, 2.0 / 11, 2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19,      \
            2.0 / 21, 2.0 / 23                                                                     \
    }

#endif
