/* lanes_kernels.h - the table of one width, from the lane programs
 *
 * lanes_avx2.c and lanes_avx512.c include this and nothing else, each with its flags. Decoding
 * and checking blocks stay the scalar code's. */
#ifndef KERNEL_LANES_KERNELS_H
#define KERNEL_LANES_KERNELS_H

#include "kernel/lanes_float.h"
#include "kernel/lanes_iq4.h"
#include "kernel/lanes_k.h"
#include "kernel/lanes_narrow.h"
#include "kernel/lanes_simple.h"

#if defined(__AVX2__)

#define LANES_KERNEL(name, program)                                                                \
    static void decode_##name(const void *from, float *to, int64_t n)                              \
    {                                                                                              \
        kernel_##name.decode(from, to, n);                                                         \
    }                                                                                              \
    static int64_t invalid_##name(const void *blocks, int64_t n)                                   \
    {                                                                                              \
        return kernel_##name.invalid(blocks, n);                                                   \
    }                                                                                              \
    static void encode_##name(const float *from, int64_t rows, int64_t cols, const float *imatrix, \
                              void *to)                                                            \
    {                                                                                              \
        const struct lanes_job job = lanes_job_of(DTYPE_##name, from, rows, cols, imatrix, to);    \
                                                                                                   \
        program;                                                                                   \
    }                                                                                              \
    static const struct kernel lanes_##name = {decode_##name, encode_##name, invalid_##name};

/* Blocks alone; and those that column weights make depend on their row. */
#define BLOCKS(name) LANES_KERNEL(name, lanes_run(name##_lanes, &kernel_##name, &job))
#define ROWS(name)                                                                                 \
    LANES_KERNEL(name, if (imatrix) lanes_run_rows(name##_pair, &kernel_##name, &job);             \
                 else lanes_run(name##_lanes, &kernel_##name, &job))

ROWS(q4_0)
ROWS(q4_1)
ROWS(q5_0)
ROWS(q5_1)
BLOCKS(q8_0)
BLOCKS(q2_k)
BLOCKS(q3_k)
BLOCKS(q4_k)
BLOCKS(q5_k)
BLOCKS(q6_k)
BLOCKS(iq4_nl)
BLOCKS(iq4_xs)
BLOCKS(tq1_0)
BLOCKS(tq2_0)
BLOCKS(mxfp4)
BLOCKS(nvfp4)
BLOCKS(q1_0)
BLOCKS(q2_0)

/* The rows of dtype.def that are computed with. */
#define lanes_f64 kernel_f64 /* which has no lanes */
#define KERNEL_ENTRY_FLOAT(name) [DTYPE_##name] = &lanes_##name,
#define KERNEL_ENTRY_BLOCK(name) [DTYPE_##name] = &lanes_##name,
#define KERNEL_ENTRY_PLAIN(name)

#endif
#endif
