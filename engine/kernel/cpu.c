/* cpu.c - asks the CPU once */
#include "kernel/cpu.h"

#include <stdlib.h>
#include <string.h>

enum { UNKNOWN, NO, YES };

static int ask(void)
{
    const char *forced = getenv("VBUILD_ISA");

    if (forced && strcmp(forced, "scalar") == 0)
        return NO;
#if CPU_X86
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? YES : NO;
#else
    return NO;
#endif
}

/* Threads that race here all store the same answer. */
bool cpu_has_avx2(void)
{
    static _Atomic int answer;

    if (answer == UNKNOWN)
        answer = ask();
    return answer == YES;
}
