/* imatrix.h - how much each column of each tensor matters, as llama-imatrix measured it
 *
 * Both of its formats, told apart by the file's first bytes, never by its name: GGUF (pairs of
 * NAME.in_sum2 and NAME.counts) and the older one without a magic number. What comes out is the
 * same for both: for each tensor the vector that llama-quantize would use, mean squared
 * activations by column; for 3-D tensors those of expert 0, then of expert 1 and so on. An
 * expert that nothing reached counts as all ones.
 *
 * Files are hostile until checked: besides every length and count, values are finite and not
 * negative (a negative one would reach a square root), and no name is there twice.
 * Source: specs/gguf-quant.md section 4.6. */
#ifndef FORMAT_IMATRIX_H
#define FORMAT_IMATRIX_H

#include "base/arena.h"
#include "base/err.h"

struct imatrix_entry {
    const char *name;   /* of the tensor: unique, NUL-terminated valid UTF-8 */
    const float *value; /* n > 0 of them, finite and >= 0 */
    int64_t n;
    int64_t matrices; /* that have a count of their own, n / matrices values each; the old format
                         does not tell experts apart: 1 */
};

struct imatrix {
    struct imatrix_entry *entry; /* nentry > 0, sorted by the bytes of their names */
    size_t nentry;
    const char *dataset; /* the first one named, any bytes, or NULL */
    uint32_t chunks;     /* of text it was measured on; 0: the file does not say */
    bool legacy;         /* of the older format */
};

/* Read PATH. Everything lives in ARENA, nothing stays open. Errors give file, byte, entry. */
bool imatrix_open(struct imatrix *out, const char *path, struct arena *arena,
                  struct err *err) MUST_USE;
/* The same of the N bytes of PATH, which are not kept. */
bool imatrix_read(struct imatrix *out, const char *path, const void *bytes, size_t n,
                  struct arena *arena, struct err *err) MUST_USE;
/* The entry of that tensor, or NULL. */
const struct imatrix_entry *imatrix_find(const struct imatrix *m, const char *name);

/* llama-quantize's --include-weights and --exclude-weights: an entry stays when its name holds
 * none of EXCLUDE and, if there is an INCLUDE, one of these. */
struct imatrix_filter {
    const char *const *include, *const *exclude;
    size_t ninclude, nexclude;
};
bool imatrix_keeps(const struct imatrix_filter *filter, const char *name);

#endif
