/* exps_avx2.c - exp and log, 4 numbers of f64 at a time */
#include "kernel/cpu.h"
#include "kernel/exps_lanes.h"

#if CPU_X86
const struct exps exps_avx2 = EXPS_TABLE;
#endif
