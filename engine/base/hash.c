#include "base/hash.h"

#include "base/arena.h"

#include <xxhash.h>
/* The library's own choice by CPU, where it is built with it: AVX2 hashes twice as fast. */
#if (defined(__x86_64__) || defined(__i386__)) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

static struct digest canonical(XXH128_hash_t hash)
{
    XXH128_canonical_t c;
    struct digest d;

    XXH128_canonicalFromHash(&c, hash);
    memcpy(d.b, c.digest, sizeof(d.b));
    return d;
}

struct digest hash_bytes(const void *bytes, size_t n)
{
    return canonical(XXH3_128bits(bytes, n));
}

uint64_t hash_u64(const void *bytes, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, n, seed);
}

struct hasher *hasher_new(void)
{
    XXH3_state_t *state = XXH3_createState();

    if (!state)
        mem_grow(NULL, SIZE_MAX); /* dies with the message */
    XXH3_128bits_reset(state);
    return (struct hasher *)state;
}

void hasher_reset(struct hasher *h)
{
    XXH3_128bits_reset((XXH3_state_t *)h);
}

void hasher_put(struct hasher *h, const void *bytes, size_t n)
{
    XXH3_128bits_update((XXH3_state_t *)h, bytes, n);
}

struct digest hasher_digest(const struct hasher *h)
{
    return canonical(XXH3_128bits_digest((const XXH3_state_t *)h));
}

void hasher_free(struct hasher *h)
{
    XXH3_freeState((XXH3_state_t *)h);
}

const char *digest_hex(struct digest d, char *hex)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < sizeof(d.b); i++) {
        hex[2 * i] = digits[d.b[i] >> 4];
        hex[2 * i + 1] = digits[d.b[i] & 15];
    }
    hex[DIGEST_HEX] = 0;
    return hex;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool digest_parse(const char *hex, struct digest *out)
{
    struct digest d;

    for (size_t i = 0; i < sizeof(d.b); i++) {
        const int high = hex_value(hex[2 * i]);
        const int low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);

        if (low < 0)
            return false;
        d.b[i] = (unsigned char)(high << 4 | low);
    }
    if (hex[DIGEST_HEX])
        return false;
    *out = d;
    return true;
}
