/* spm.h - the pieces of a SentencePiece model (tokenizer.model), a protobuf nobody vouches for
 *
 * Source: specs/hf-and-convert.md section 3.9. Only field 1 (the pieces) is kept; the other
 * fields are walked so that a file that is no SentencePiece model is found out. */
#ifndef FORMAT_SPM_H
#define FORMAT_SPM_H

#include "base/arena.h"
#include "base/err.h"

enum spm_type { SPM_NORMAL = 1, SPM_UNKNOWN, SPM_CONTROL, SPM_USER_DEFINED, SPM_UNUSED, SPM_BYTE };

enum { SPM_PIECES_MAX = 1 << 24 };

struct spm_piece {
    const char *text; /* in the file's bytes: N of them, no NUL after */
    uint32_t n;
    enum spm_type type;
    float score; /* as stored: -0.0 stays -0.0 */
};

/* The pieces of SIZE bytes, in id order, in ARENA; DATA must outlive them. ERR_FORMAT names the
 * byte: cut fields, wrong wire types, no pieces, empty or duplicate pieces, text not UTF-8. */
bool spm_parse(const void *data, size_t size, struct arena *arena, struct spm_piece **out,
               uint32_t *count, struct err *err) MUST_USE;

#endif
