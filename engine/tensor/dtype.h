/* dtype.h - the element types, from dtype.def, and what follows from a row of it */
#ifndef TENSOR_DTYPE_H
#define TENSOR_DTYPE_H

#include "base/cc.h"

enum dtype {
#define DTYPE(name, st, gguf, elements, bytes, kind, version, weighted, dear) DTYPE_##name,
#include "tensor/dtype.def"
#undef DTYPE
    DTYPE_COUNT
};

enum dtype_kind { DTYPE_KIND_FLOAT, DTYPE_KIND_BLOCK, DTYPE_KIND_PLAIN };

struct dtype_info {
    const char *name;
    const char *safetensors;  /* or NULL */
    int gguf;                 /* or -1 */
    uint32_t elements, bytes; /* of one block */
    enum dtype_kind kind;
    uint32_t version;
    bool weighted; /* its encoding uses the column weights of an imatrix */
    bool dear;     /* its encoding searches: it costs far more than reading what it makes */
};

const struct dtype_info *dtype_info(enum dtype dtype);
const char *dtype_name(enum dtype dtype);
bool dtype_is_block(enum dtype dtype); /* quantized: more than one element a block, in GGUF */
bool dtype_is_float(enum dtype dtype);
/* Any case; false when there is none of that name. */
bool dtype_find(const char *name, enum dtype *out);
bool dtype_from_safetensors(const char *name, size_t n, enum dtype *out); /* exact case */
bool dtype_from_gguf(uint32_t number, enum dtype *out);
/* Bytes of N elements; false when N is no multiple of the block or the size overflows. */
bool dtype_bytes(enum dtype dtype, uint64_t n, uint64_t *bytes) MUST_USE;
/* Bits per element, exact for every row of the table. */
double dtype_bits(enum dtype dtype);
/* The name nearest to WORD (for "did you mean"), or NULL when none is near. */
const char *dtype_nearest(const char *word);

#endif
