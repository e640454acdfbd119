/* metadata.h - the metadata of a checkpoint as keys and values: of a GGUF its key-values, of a
 * Hugging Face folder the fields of config.json, of a safetensors file its __metadata__ */
#ifndef CLI_METADATA_H
#define CLI_METADATA_H

#include "base/buf.h"
#include "format/format.h"

struct fact {
    const char *key;
    const char *type;  /* "u32", "string", "array of string", "json" */
    const void *bytes; /* the value as in the file: equal bytes and types are equal values */
    size_t size;
    const char *text; /* for people: may hold control characters, and be long */
    const char *json; /* a JSON value; long arrays as {"count": n} */
};

/* Open a file, a folder, or what "hf://ORG/NAME" is on this disk. */
bool model_open(struct checkpoint *out, const char *path, struct arena *arena,
                struct err *err) MUST_USE;

/* In file order, in ARENA; they point into the open checkpoint. */
bool metadata_of(const struct checkpoint *ckpt, struct arena *arena, struct fact **out, size_t *n,
                 struct err *err) MUST_USE;

#endif
