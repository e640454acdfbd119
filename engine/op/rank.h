/* rank.h - the number at a position of a whole tensor's ascending order, without sorting it
 *
 * A key is an integer that orders as its number does (steps->keys, steps->ranks). Passes
 * over the tensor count one digit of the keys each, from the top: level 0 counts all keys, level
 * 1 those that begin as the number sought does, and so on. Counts are integers that any number of
 * workers may gather, so the answer does not depend on who counted what. */
#ifndef OP_RANK_H
#define OP_RANK_H

#include "kernel/steps.h"

enum { RANK_DIGIT = 16 /* bits */ };

struct rank {
    uint64_t key;   /* of the number; while counting, its digits so far */
    int64_t rest;   /* its position, from 0, among the numbers with these digits */
    int64_t equals; /* how many they are */
};

/* Bits of the keys that steps->keys makes for WORK: 15, 31 or 63. */
uint32_t rank_key_bits(enum dtype work);
/* Levels that find keys of BITS bits, and the counts of one of them. */
uint32_t rank_levels(uint32_t bits);
size_t rank_counts(uint32_t bits, uint32_t level);

/* Count N keys of SIZE bytes, 4 or 8; zeroed COUNTS to begin with. */
void rank_count(const struct rank *r, uint32_t bits, uint32_t level, const void *key, uint32_t size,
                int64_t n, uint64_t *counts);
/* The next digit. Before level 0, REST is the position in the tensor: below the number of keys. */
void rank_step(struct rank *r, uint32_t bits, uint32_t level, const uint64_t *counts);

/* Where, in flat order, the equals of a key begin to be on the other side: from number LOCAL
 * (from 0) of those in tile TILE on. */
struct rank_bound {
    int64_t tile, local;
};

/* The bound of equal number FIRST; tile T of NTILE has equals[STRIDE * T]. */
struct rank_bound rank_bound_of(int64_t first, const int64_t *equals, int64_t stride,
                                int64_t ntile);

/* mask[i] = 1 where key[i] > CUT, or is CUT and before BOUND; else 0. SEEN: the equals of the tile
 * TILE so far, 0 when it begins. */
void rank_mask(uint64_t cut, const struct rank_bound *bound, int64_t tile, const uint64_t *key,
               int64_t n, int64_t *seen, uint8_t *mask);

#endif
