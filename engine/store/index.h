/* index.h - digests to record numbers: an open-addressed table of 8 bytes a slot
 *
 * It holds no keys: the caller says where the key of a record lies, and 32 bits of each digest
 * are kept so that few wrong records are looked at. 100,000 keys take 2 MiB and no allocation
 * each, which is what lets a log of that many records open in a few milliseconds. */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "base/hash.h"

#define INDEX_NONE UINT32_MAX

/* The key (16 bytes) of record NUMBER in this index. */
typedef const unsigned char *(*index_key_fn)(const void *user, uint32_t number);

struct index {
    struct index_slot *slot;
    uint32_t room, count;
    index_key_fn key;
    const void *user;
};

/* INDEX_NONE when it is not there. */
uint32_t index_get(const struct index *index, const unsigned char *digest);
/* Add or replace; returns what was there before. NUMBER is below INDEX_NONE. */
uint32_t index_set(struct index *index, const unsigned char *digest, uint32_t number);
void index_finish(struct index *index);

#endif
