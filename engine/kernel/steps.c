/* steps.c - the steps without wide registers, and which ones this CPU has */
#include "kernel/steps.h"

#include "kernel/cpu.h"
#include "kernel/steps_lanes.h"

static const struct steps steps_scalar[] = STEPS_TABLE;

const struct steps *steps_in(enum cpu_isa isa, enum dtype work)
{
    const struct steps *table = steps_scalar;

#if CPU_X86
    if (isa == CPU_AVX2)
        table = steps_avx2;
    if (isa == CPU_AVX512)
        table = steps_avx512;
#else
    (void)isa;
#endif
    for (size_t i = 0; i + 1 < countof(steps_scalar); i++)
        if (table[i].work == work)
            return &table[i];
    return &table[countof(steps_scalar) - 1];
}

const struct steps *steps_of(enum dtype work)
{
    return steps_in(cpu_isa(), work);
}
