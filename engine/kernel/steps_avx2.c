/* steps_avx2.c - the steps, 8 numbers of f32 at a time */
#include "kernel/cpu.h"
#include "kernel/steps_lanes.h"

#if CPU_X86
const struct steps steps_avx2[] = STEPS_TABLE;
#endif
