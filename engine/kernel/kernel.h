/* kernel.h - pure arithmetic over rows: no files, no allocation, no failure
 *
 * Bytes depend on inputs only. Scalar code is the definition; a SIMD variant is the same
 * signature in lanes_avx2.c or lanes_avx512.c with equal bytes, chosen once at start
 * (VBUILD_ISA=scalar|avx2|avx512 forces one, cpu.h). */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include "kernel/cpu.h"
#include "tensor/dtype.h"

/* How one dtype is coded. Every FLOAT and BLOCK row of dtype.def has one: kernel_NAME. */
struct kernel {
    /* N elements (a multiple of the block) of FROM into f32. */
    void (*decode)(const void *from, float *to, int64_t n);
    /* ROWS rows of COLS f32 (COLS a multiple of the block) into blocks. IMATRIX: COLS column
     * weights, or NULL. One row depends on nothing outside it. */
    void (*encode)(const float *from, int64_t rows, int64_t cols, const float *imatrix, void *to);
    /* Elements whose block holds a scale that is not finite (what llama-quantize refuses):
     * the index of the first, or -1. Of plain floats: the first NaN or Inf. */
    int64_t (*invalid)(const void *blocks, int64_t n);
};

/* NULL for PLAIN dtypes. */
const struct kernel *kernel_of(enum dtype dtype);
/* The same for one instruction set, which this CPU must run to call it (tests, benchmarks). */
const struct kernel *kernel_in(enum cpu_isa isa, enum dtype dtype);
/* The instruction set in use: "scalar", "avx2" or "avx512". */
const char *kernel_isa(void);

/* The index of the first of N f32 that is NaN or Inf, or -1. */
int64_t f32_invalid(const float *x, int64_t n);

/* Any FLOAT or BLOCK dtype into f64: exact for f64, through f32 for the rest. */
void decode_f64(enum dtype dtype, const void *from, double *to, int64_t n);
/* f64 into f64, f32, f16 or bf16: each rounded once, to nearest even. */
void encode_f64(enum dtype dtype, const double *from, void *to, int64_t n);

#endif
