/* codec.h - what one row of codec.def is: how the raw bytes of a chunk are stored
 *
 * A codec with chunk 0 stores all bytes as they are. Chunks are independent of each other; what
 * decode gets is hostile. Adding one: codec_NAME.c with `const struct codec_ops codec_NAME`, and
 * its row. */
#ifndef STORE_CODEC_H
#define STORE_CODEC_H

#include "base/cc.h"

enum { CODEC_ELEMENT_MAX = 16, CODEC_CHUNK_MAX = 64 << 20 };

struct codec_ops {
    uint32_t chunk; /* raw bytes of a chunk, rounded down to whole elements by the caller */
    /* The most that N raw bytes can take when stored. */
    size_t (*bound)(size_t n, uint32_t element);
    void *(*begin)(void); /* working state of one writer; freed by end */
    void (*end)(void *state);
    /* N > 0 raw bytes to TO, which has bound(n) bytes; returns how many were stored. */
    size_t (*encode)(void *state, const unsigned char *raw, size_t n, uint32_t element,
                     unsigned char *to);
    /* Exactly N raw bytes, or false. */
    bool (*decode)(const unsigned char *stored, size_t stored_n, uint32_t element,
                   unsigned char *raw, size_t n);
};

#define CODEC(number, name) extern const struct codec_ops codec_##name;
#include "store/codec.def"
#undef CODEC

#endif
