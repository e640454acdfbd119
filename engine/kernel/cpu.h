/* cpu.h - what this CPU runs, decided once for the kernels' tables and for single functions
 *
 * VBUILD_ISA=scalar|avx2|avx512 takes that set if this CPU runs it, else the best it runs; any
 * other value counts as unset. Whatever the answers, the bytes are the same. */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include "base/cc.h"

#if defined(__x86_64__) || defined(__i386__)
#define CPU_X86 1
#else
#define CPU_X86 0
#endif

/* Each set holds those before it. */
enum cpu_isa {
    CPU_SCALAR,
    CPU_AVX2,   /* and FMA */
    CPU_AVX512, /* F, BW, DQ, VL */
    CPU_ISAS
};

/* "scalar", "avx2" or "avx512". */
const char *cpu_isa_name(enum cpu_isa isa);
/* Does this CPU run it, whatever VBUILD_ISA says? */
bool cpu_runs(enum cpu_isa isa);
/* The one in use. */
enum cpu_isa cpu_isa(void);

static inline bool cpu_has_avx2(void)
{
    return cpu_isa() >= CPU_AVX2;
}

#endif
