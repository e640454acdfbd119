/* fmath.h - elementary functions whose bits are the same on every CPU and with every compiler
 *
 * A libm picks its code by CPU, so results that reach output bytes never come from one (DESIGN
 * section 2, specs/rulings.md 7). These use + - * / and sqrt of f64 only, each rounded once.
 * They stay within 0.9 units in the last place of the true value, so within one of any good
 * libm; tests/unit/base/test_fmath.c measures it. */
#ifndef BASE_FMATH_H
#define BASE_FMATH_H

double fmath_exp(double x);
double fmath_log(double x); /* NaN below 0, -Inf at 0 */
/* X to the power Y. X below 0 gives NaN unless Y is 0; otherwise as C has it. */
double fmath_pow(double x, double y);

/* |X| up to 2^20; beyond, NaN: no angle here is that large. */
double fmath_sin(double x);
double fmath_cos(double x);
double fmath_acos(double x); /* NaN outside -1 .. 1 */

#endif
