/* exact.h - included by every file whose arithmetic decides output bytes
 *
 * One float operation is one rounding to its own type, in the order written (DESIGN section 2,
 * specs/gguf-quant.md section 3.0). The Makefile says -ffp-contract=off -fno-fast-math; this
 * header refuses a build that says otherwise where the compiler lets it be seen, and
 * tests/unit/kernel/test_exact.c measures the rest. */
#ifndef BASE_EXACT_H
#define BASE_EXACT_H

#include <float.h>

#if defined(__FAST_MATH__)
#error "vbuild's bytes depend on exact arithmetic: build without -ffast-math and -Ofast"
#endif
#if FLT_EVAL_METHOD != 0
#error "vbuild's bytes depend on floats that round at every step: build with SSE2, not x87"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#endif
