/* safetensors.h - read safetensors files that nobody vouches for; lay out new ones
 *
 * Source: specs/hf-and-convert.md section 1: reading makes every check of 1.4, writing gives
 * the bytes of the official writer (1.3) with metadata {"format":"pt"}. */
#ifndef FORMAT_SAFETENSORS_H
#define FORMAT_SAFETENSORS_H

#include "base/buf.h"
#include "format/format.h"

extern const struct format format_safetensors;

/* Limits of section 1.4, held by the reader and by the writer. */
enum { SAFETENSORS_HEADER_MAX = 100000000, SAFETENSORS_TENSORS_MAX = 1000000 };

/* Map the header of one file, as far as its length can be believed. */
bool safetensors_map(struct filemap *map, const char *path, struct err *err) MUST_USE;

/* Read and check the header of one file; the tensors, by offset, in ARENA. */
bool safetensors_read(const char *path, const struct filemap *map, struct arena *arena,
                      struct file_tensor **out, size_t *n, struct err *err) MUST_USE;

/* What 1.4 asks of one tensor, whatever file it is in: its name of N bytes (point 20), sizes
 * without overflow, whole bytes (15, 16). Types below a byte may have odd columns, which
 * tensor_check refuses: such a tensor can be copied, not computed with. */
bool safetensors_check(const char *name, size_t n, const struct tensor *t, uint64_t *bytes,
                       struct err *err) MUST_USE;

struct safetensors_out {
    const char *name;
    struct tensor t; /* a dtype that has a safetensors word */
    uint64_t offset; /* filled in, from the start of the file */
};
/* The header of a file of these tensors; they are put into the writer's order (dtype rank
 * descending, then name) and their offsets filled in; *size is the whole file. */
bool safetensors_layout(struct safetensors_out *tensor, size_t n, struct buf *header,
                        uint64_t *size, struct err *err) MUST_USE;

/* model.safetensors.index.json of a sharded checkpoint (1.5): SHARD[i] is the file name of
 * tensor i. Keys sorted, indent 2, a line break at the end; metadata holds total_size. */
void safetensors_index(const char *const *name, const char *const *shard, size_t n,
                       uint64_t total_size, struct buf *out);

#endif
