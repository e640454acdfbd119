/* near.h - the word that was probably meant */
#ifndef LUA_NEAR_H
#define LUA_NEAR_H

#include "base/cc.h"

/* Insertions, deletions, replacements and swaps of neighbours between two words, as many as
 * make one of the other; anything above LIMIT is LIMIT + 1. Words beyond 64 bytes are far. */
uint32_t near_distance(const char *a, const char *b, uint32_t limit);
/* How far a word may be from the one meant: max(1, length / 3). */
uint32_t near_limit(const char *word);

#endif
