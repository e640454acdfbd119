/* fused_avx2.c - weighted sums, 8 numbers of f32 at a time */
#include "kernel/cpu.h"
#include "kernel/fused_lanes.h"

#if CPU_X86
const fused_fn fused_avx2[DTYPE_COUNT] = FUSED_TABLE;
#endif
