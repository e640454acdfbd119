/* lanes_kernels.h - the table of one width, from the lane programs
 *
 * lanes_avx2.c and lanes_avx512.c include this and nothing else, each with its flags. Decoding
 * and checking stay the scalar code's. */
#ifndef KERNEL_LANES_KERNELS_H
#define KERNEL_LANES_KERNELS_H

#include "kernel/lanes_k.h"

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

/* Blocks alone. */
#define BLOCKS(name) LANES_KERNEL(name, lanes_run(name##_lanes, &kernel_##name, &job))

BLOCKS(q2_k)
BLOCKS(q3_k)
BLOCKS(q4_k)
BLOCKS(q5_k)
BLOCKS(q6_k)

#define LANES_TABLE                                                                                \
    {                                                                                              \
        [DTYPE_q2_k] = &lanes_q2_k, [DTYPE_q3_k] = &lanes_q3_k, [DTYPE_q4_k] = &lanes_q4_k,        \
        [DTYPE_q5_k] = &lanes_q5_k, [DTYPE_q6_k] = &lanes_q6_k,                                    \
    }

#endif
#endif
