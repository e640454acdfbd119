/* select.h - choosing numbers by their magnitude without sorting them (specs/merge.md 2.7)
 *
 * A magnitude is the bits of |x| as an integer, which orders as |x| does; every NaN is one and the
 * same, above infinity. Numbers are float (SIZE 4, magnitudes u32) or double (SIZE 8, u64). What a
 * work dtype of 16 bits can hold has few magnitudes: each has a bin, in the same order. Integers
 * throughout, so every instruction set gives the same. */
#ifndef KERNEL_SELECT_H
#define KERNEL_SELECT_H

#include "tensor/dtype.h"

#define SELECT_NAN_F32 UINT32_C(0x7f800001)
#define SELECT_NAN_F64 UINT64_C(0x7ff0000000000001)

enum { SELECT_BLOCK = 64, SELECT_BINS = 657 * SELECT_BLOCK };

/* Magnitudes of N numbers D. */
void select_magnitudes(void *magnitude, const void *d, uint32_t size, int64_t n);

/* Bins of N floats, each representable in WORK (bf16 or f16); below SELECT_BINS. */
void select_bins(enum dtype work, uint16_t *bin, const float *d, int64_t n);
/* The magnitude (of float) that a bin of WORK stands for. */
uint32_t select_magnitude_of(enum dtype work, uint32_t bin);
/* The number of bins that WORK needs. */
uint32_t select_bins_of(enum dtype work);

/* count[bin[i]]++ */
void select_count_bins(uint32_t *count, const uint16_t *bin, int64_t n);
uint32_t select_sum(const uint32_t *count);                       /* of SELECT_BLOCK counts */
void select_merge(uint64_t *to, const uint32_t *from, int64_t n); /* to[i] += from[i] */

/* The digit of BITS bits from SHIFT up, of magnitudes whose bits above it are PREFIX:
 * count[digit]++. */
struct select_digit {
    uint32_t shift, bits;
    uint64_t prefix;
};
void select_count_digits(uint64_t *count, const void *magnitude, uint32_t size,
                         struct select_digit digit, int64_t n);

/* How many magnitudes are KEY. */
int64_t select_equals(const void *magnitude, uint32_t size, uint64_t key, int64_t n);

/* d[i] * 1 where LOW <= its magnitude <= HIGH, else d[i] * 0. */
void select_between(void *d, uint32_t size, uint64_t low, uint64_t high, int64_t n);

/* a[i] where it is not 0, else 1 */
void select_nonzero(void *a, uint32_t size, int64_t n);

#endif
