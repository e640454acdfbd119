/* fused_avx512.c - weighted sums, 16 numbers of f32 at a time */
#include "kernel/cpu.h"
#include "kernel/fused_lanes.h"

#if CPU_X86
const fused_fn fused_avx512[DTYPE_COUNT] = FUSED_TABLE;
#endif
