/* cpu.c - asks the CPU once */
#include "kernel/cpu.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[CPU_ISAS] = {"scalar", "avx2", "avx512"};

const char *cpu_isa_name(enum cpu_isa isa)
{
    return names[isa];
}

bool cpu_runs(enum cpu_isa isa)
{
    bool runs = true;

#if CPU_X86
    if (isa >= CPU_AVX2)
        runs = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (isa >= CPU_AVX512)
        runs = runs && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    runs = isa == CPU_SCALAR;
#endif
    return runs;
}

static enum cpu_isa ask(void)
{
    const char *forced = getenv("VBUILD_ISA");
    enum cpu_isa best = CPU_SCALAR;

    for (int i = 0; i < CPU_ISAS; i++)
        if (cpu_runs((enum cpu_isa)i)) {
            best = (enum cpu_isa)i;
            if (forced && strcmp(forced, names[i]) == 0)
                break;
        }
    return best;
}

/* Threads that race here all store the same answer. */
enum cpu_isa cpu_isa(void)
{
    static _Atomic int answer = -1;

    if (answer < 0)
        answer = (int)ask();
    return (enum cpu_isa)answer;
}
