/* gguf.h - read GGUF v2 and v3 files that nobody vouches for; lay out v3 files
 *
 * Source: specs/gguf-quant.md section 1. Key-values keep their encoded bytes, so that a copy
 * is a byte copy; typed reads check type and range. */
#ifndef FORMAT_GGUF_H
#define FORMAT_GGUF_H

#include "base/buf.h"
#include "format/format.h"

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPE_COUNT
};

/* Limits, so that a header of a few bytes cannot cost gigabytes. */
enum {
    GGUF_DIMS_MAX = 4,
    GGUF_NAME_MAX = 63,
    GGUF_KEY_MAX = 65535,
    GGUF_ALIGN_DEFAULT = 32,
    GGUF_ALIGN_MAX = 1 << 20
};

struct gguf_kv {
    const char *key;            /* NUL-terminated */
    uint32_t type;              /* enum gguf_type */
    uint32_t item;              /* element type of an array */
    uint64_t count;             /* elements of an array, else 1 */
    const unsigned char *value; /* encoded as in the file: a string with its u64 length, an
                                   array with its element type and count */
    uint64_t size;              /* bytes of value */
};

extern const struct format format_gguf;

const struct gguf_kv *gguf_find(const struct gguf_kv *kv, size_t n, const char *key); /* or NULL */
/* Any unsigned or signed integer type that fits; false when absent or of another type. */
bool gguf_u64(const struct gguf_kv *kv, uint64_t *out);
bool gguf_f64(const struct gguf_kv *kv, double *out); /* f32 or f64 */
/* The bytes of a string value in place (no NUL), or NULL. */
const char *gguf_string(const struct gguf_kv *kv, uint64_t *n);
/* The I-th element of a string array in place; walks from *CURSOR (0 at first). */
const char *gguf_array_string(const struct gguf_kv *kv, uint64_t *cursor, uint64_t *n);

/* Append one encoded value (as gguf_kv.value) to OUT. */
void gguf_put_string(struct buf *out, const char *text, size_t n);

/* One tensor of a file to be written; offset is filled in, from the start of the file. */
struct gguf_out {
    const char *name; /* at most GGUF_NAME_MAX bytes, valid UTF-8, unique */
    struct tensor t;  /* rank 0..4, a dtype that has a GGUF number */
    uint64_t offset;
};
/* The header of a v3 file with these key-values and tensors in this order, padding included;
 * fills every offset; *size is the whole file with the padding after the last tensor. ALIGN
 * must be what general.alignment says, or 32. The rank is written as it is (ruling 32). */
bool gguf_layout(const struct gguf_kv *kv, size_t nkv, struct gguf_out *tensor, size_t n,
                 uint64_t align, struct buf *header, uint64_t *size, struct err *err) MUST_USE;

#endif
