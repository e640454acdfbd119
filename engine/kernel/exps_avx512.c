/* exps_avx512.c - exp and log, 8 numbers of f64 at a time */
#include "kernel/cpu.h"
#include "kernel/exps_lanes.h"

#if CPU_X86
const struct exps exps_avx512 = EXPS_TABLE;
#endif
