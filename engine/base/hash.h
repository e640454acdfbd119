/* hash.h - XXH3-128 digests: of bytes, in a stream, to and from 32 hex digits */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/cc.h"

#include <string.h>

enum { DIGEST_HEX = 32 };

/* In canonical (big-endian) order, so that memcmp and hex agree on every machine. */
struct digest {
    unsigned char b[16];
};

static inline bool digest_eq(struct digest a, struct digest b)
{
    return memcmp(a.b, b.b, sizeof(a.b)) == 0;
}

struct digest hash_bytes(const void *bytes, size_t n);
uint64_t hash_u64(const void *bytes, size_t n, uint64_t seed); /* XXH3_64bits_withSeed */

struct hasher; /* a stream: the same digest as hash_bytes of everything put */
struct hasher *hasher_new(void);
void hasher_reset(struct hasher *h);
void hasher_put(struct hasher *h, const void *bytes, size_t n);
struct digest hasher_digest(const struct hasher *h);
void hasher_free(struct hasher *h); /* NULL is fine */

/* HEX has room for 33 bytes; the result is HEX. */
const char *digest_hex(struct digest d, char *hex);
bool digest_parse(const char *hex, struct digest *out); /* exactly 32 lower-case digits */

#endif
