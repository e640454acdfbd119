/* lanes_avx512.c - the block encoders, 16 lanes wide */
#include "kernel/cpu.h"
#include "kernel/lanes_kernels.h"

#if CPU_X86
const struct kernel *const kernels_avx512[DTYPE_COUNT] = {
#define DTYPE(name, st, gguf, elements, bytes, kind, version, weighted, dear)                      \
    KERNEL_ENTRY_##kind(name)
#include "tensor/dtype.def"
#undef DTYPE
};
#endif
