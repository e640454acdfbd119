/* sum.h - arithmetic on sizes that strangers chose: true and the result, or false on overflow */
#ifndef BASE_SUM_H
#define BASE_SUM_H

#include "base/cc.h"

static inline bool sum_add(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool sum_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* ALIGN is a power of two. */
static inline bool sum_align(uint64_t a, uint64_t align, uint64_t *out)
{
    if (!sum_add(a, align - 1, out))
        return false;
    *out &= ~(align - 1);
    return true;
}

static inline int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
