/* block.h - what the files of this layer share: the kernels' names, and bytes inside blocks
 *
 * A block is declared as a struct of uint8_t arrays, so that it may lie at any address and has
 * no padding; multi-byte fields are little endian whatever the machine. */
#ifndef KERNEL_BLOCK_H
#define KERNEL_BLOCK_H

#include "kernel/half.h"
#include "kernel/kernel.h"

/* kernel_NAME for every row of dtype.def that is computed with. */
#define KERNEL_FLOAT(name) extern const struct kernel kernel_##name;
#define KERNEL_BLOCK(name) extern const struct kernel kernel_##name;
#define KERNEL_PLAIN(name)
#define DTYPE(name, st, gguf, elements, bytes, kind, version, weighted, dear) KERNEL_##kind(name)
#include "tensor/dtype.def"
#undef DTYPE
#undef KERNEL_FLOAT
#undef KERNEL_BLOCK
#undef KERNEL_PLAIN

#if CPU_X86
/* Those of lanes_avx2.c and lanes_avx512.c; NULL where there is none. */
extern const struct kernel *const kernels_avx2[DTYPE_COUNT], *const kernels_avx512[DTYPE_COUNT];
#endif

static inline uint16_t block_u16(const uint8_t at[2])
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline float block_f16(const uint8_t at[2])
{
    return f16_get(block_u16(at));
}

/* Store X as f16 and give back the value that a reader will see. */
static inline float block_put_f16(uint8_t at[2], float x)
{
    const uint16_t h = f16_put(x);

    at[0] = (uint8_t)h;
    at[1] = (uint8_t)(h >> 8);
    return f16_get(h);
}

static inline bool block_f16_bad(const uint8_t at[2])
{
    return (at[1] & 0x7c) == 0x7c;
}

static inline int32_t clamp_i32(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* specs/gguf-quant.md 3.0: toward zero; INT32_MIN for what does not fit, as x86 converts. */
static inline int32_t f32_to_i32(float x)
{
    const bool fits = (x >= -0x1p31f) & (x < 0x1p31f);
    const int32_t i = (int32_t)f32_from_bits(u32_select(fits, f32_bits(x), 0));

    return (int32_t)u32_select(fits, (uint32_t)i, 0x80000000);
}

/* roundf, then the conversion: half away from zero. What x loses to its truncation is exact. */
static inline int32_t f32_round_i32(float x)
{
    const int32_t whole = f32_to_i32(x);
    const float rest = x - (float)whole;

    return whole + ((rest >= 0.5f) & (rest < 1.0f)) - ((rest <= -0.5f) & (rest > -1.0f));
}

#endif
