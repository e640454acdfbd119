/* cpu.h - what this CPU runs, for kernels that compile one body for several instruction sets
 *
 * VBUILD_ISA=scalar makes every answer false. Whatever the answers, the bytes are the same. */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include "base/cc.h"

#if defined(__x86_64__) || defined(__i386__)
#define CPU_X86 1
#else
#define CPU_X86 0
#endif

bool cpu_has_avx2(void); /* and FMA */

#endif
