/* gguf_read.h - one GGUF file, mapped and checked; gguf.c joins the files of a split model
 *
 * Source: specs/gguf-quant.md section 1.2; the checks are numbered as there. */
#ifndef FORMAT_GGUF_READ_H
#define FORMAT_GGUF_READ_H

#include "base/map.h"
#include "format/gguf.h"

struct gguf_part {
    const char *path;
    struct filemap map;
    struct gguf_kv *kv;
    size_t nkv;
    struct file_tensor *tensor; /* by offset, which counts from the start of the file */
    size_t ntensor;
};

/* Is all of the header in what MAP maps of the file? Believes nothing, checks nothing else. */
bool gguf_in_head(const struct filemap *map);

/* The file MAP of PATH (both kept, not copied); its directory lives in ARENA. NAMES gathers the
 * tensor names of all files of a set: one that is in it already is an error. Errors give file,
 * byte, key or tensor, reason. */
bool gguf_read(const char *path, const struct filemap *map, struct arena *arena, struct map *names,
               struct gguf_part *out, struct err *err) MUST_USE;

#endif
