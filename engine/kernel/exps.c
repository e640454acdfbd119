/* exps.c - exp and log without wide registers, and which ones this CPU has */
#include "kernel/exps.h"

#include "kernel/exps_lanes.h"

static const struct exps exps_scalar = EXPS_TABLE;

const struct exps *exps_in(enum cpu_isa isa)
{
#if CPU_X86
    if (isa == CPU_AVX2)
        return &exps_avx2;
    if (isa == CPU_AVX512)
        return &exps_avx512;
#else
    (void)isa;
#endif
    return &exps_scalar;
}

const struct exps *exps_of_cpu(void)
{
    return exps_in(cpu_isa());
}
