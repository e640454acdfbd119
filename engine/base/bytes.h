/* bytes.h - bounded little-endian reads of bytes that nobody vouches for
 *
 * A reader never passes its end: a read that would returns false and moves nothing. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/cc.h"

#include <string.h>

struct bytes {
    const unsigned char *data;
    uint64_t size, at;
};

static inline uint64_t bytes_left(const struct bytes *b)
{
    return b->size - b->at;
}

/* The next N bytes in place, or NULL. */
static inline const unsigned char *bytes_take(struct bytes *b, uint64_t n)
{
    if (n > bytes_left(b))
        return NULL;
    b->at += n;
    return b->data + (b->at - n);
}

static inline uint64_t bytes_le(const unsigned char *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

#define BYTES_READ(name, type)                                                                     \
    static inline bool bytes_##name(struct bytes *b, type *out)                                    \
    {                                                                                              \
        const unsigned char *p = bytes_take(b, sizeof(type));                                      \
        if (p)                                                                                     \
            *out = (type)bytes_le(p, sizeof(type));                                                \
        return p != NULL;                                                                          \
    }
BYTES_READ(u8, uint8_t)
BYTES_READ(u16, uint16_t)
BYTES_READ(u32, uint32_t)
BYTES_READ(u64, uint64_t)
#undef BYTES_READ

#endif
