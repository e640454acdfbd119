/* kernel.c - which code serves which dtype, chosen once by CPU and VBUILD_ISA (cpu.c) */
#include "kernel/kernel.h"

#include "base/exact.h"
#include "kernel/block.h"
#include "kernel/cpu.h"

static const struct kernel *const scalar[DTYPE_COUNT] = {
#define KERNEL_FLOAT(name) [DTYPE_##name] = &kernel_##name,
#define KERNEL_BLOCK(name) [DTYPE_##name] = &kernel_##name,
#define KERNEL_PLAIN(name)
#define DTYPE(name, st, gguf, elements, bytes, kind, version, weighted, dear) KERNEL_##kind(name)
#include "tensor/dtype.def"
#undef DTYPE
};

/* Where a set has no kernel of its own the scalar one serves. */
static const struct kernel *const *const tables[CPU_ISAS] = {
    [CPU_SCALAR] = scalar,
#if CPU_X86
    [CPU_AVX2] = kernels_avx2,
    [CPU_AVX512] = kernels_avx512,
#endif
};

const struct kernel *kernel_in(enum cpu_isa isa, enum dtype dtype)
{
    const struct kernel *own = tables[isa] ? tables[isa][dtype] : NULL;

    return own ? own : scalar[dtype];
}

const struct kernel *kernel_of(enum dtype dtype)
{
    return kernel_in(cpu_isa(), dtype);
}

const char *kernel_isa(void)
{
    return cpu_isa_name(cpu_isa());
}

int64_t f32_invalid(const float *x, int64_t n)
{
    return kernel_of(DTYPE_f32)->invalid(x, n);
}

enum { CHUNK = 256 };

void decode_f64(enum dtype dtype, const void *from, double *to, int64_t n)
{
    const struct kernel *kernel = kernel_of(dtype);
    const struct dtype_info *info = dtype_info(dtype);
    const uint8_t *bytes = from;
    float x[CHUNK];

    if (dtype == DTYPE_f64) {
        if (n > 0)
            memcpy(to, from, (size_t)n * sizeof(double));
        return;
    }
    /* CHUNK is a multiple of every block in the table. */
    for (int64_t i = 0; i < n; i += CHUNK) {
        const int64_t count = n - i < CHUNK ? n - i : CHUNK;

        kernel->decode(bytes + i / info->elements * info->bytes, x, count);
        for (int64_t j = 0; j < count; j++)
            to[i + j] = (double)x[j];
    }
}

/* To f32 by truncation, with the last bit set if anything was lost ("round to odd"): a second
 * rounding, to nearest and to at least two bits fewer, then is as if it were the only one. */
static float to_odd(double x)
{
    const float f = (float)x;
    const double back = (double)f;
    uint32_t u = f32_bits(f);

    if (x != x || back == x)
        return f;
    if (x < 0 ? back < x : back > x)
        u--; /* one step toward zero; from infinity, to the largest finite */
    return f32_from_bits(u | 1);
}

void encode_f64(enum dtype dtype, const double *from, void *to, int64_t n)
{
    uint8_t *bytes = to;

    if (dtype == DTYPE_f64) {
        if (n > 0)
            memcpy(to, from, (size_t)n * sizeof(double));
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (dtype == DTYPE_f32) {
            const float x = (float)from[i];

            memcpy(bytes + 4 * i, &x, sizeof(x));
        } else {
            const float x = to_odd(from[i]);
            const uint16_t h = dtype == DTYPE_f16 ? f16_put(x) : bf16_put(x);

            memcpy(bytes + 2 * i, &h, sizeof(h));
        }
    }
}
