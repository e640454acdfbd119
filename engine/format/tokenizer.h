/* tokenizer.h - a Hugging Face tokenizer as the tokenizer.* key-values of a GGUF file
 *
 * Source: specs/hf-and-convert.md section 3.9; the same bytes as convert_hf_to_gguf. The files
 * of the folder are hostile: ids, counts and text are checked, and every id is below
 * vocab_size. */
#ifndef FORMAT_TOKENIZER_H
#define FORMAT_TOKENIZER_H

#include "base/arena.h"
#include "base/err.h"

struct gguf_kv; /* format/gguf.h */

enum { TOKENIZER_VOCAB_MAX = 1 << 24 };

struct tokenizer_options {
    const char *dir;     /* folder with tokenizer.json or tokenizer.model and their kin */
    const char *arch;    /* GGUF architecture (some splitters have a name of their own there) */
    uint64_t vocab_size; /* tokens to write; rows of the embedding */
    const char *pre;     /* tokenizer.ggml.pre of a BPE tokenizer; NULL: found by its key */
    const char *config;  /* text of config.json (special ids); NULL: read from the folder */
    /* What the architecture's family does (section 3.9, "which path"): */
    bool spm;          /* tokenizer.model decides when it is there */
    bool hf_vocab;     /* tokenizer.json with byte_fallback counts as SentencePiece */
    bool space_prefix; /* add_prefix_space of tokenizer_config.json is written */
    bool by_size;      /* the ids that go with the vocabulary sizes 32016 and 49152 */
};

struct tokenizer {
    const struct gguf_kv *kv; /* in file order, encoded */
    size_t nkv;
    uint32_t tokens;
    const char *kind; /* "spm", "hf" (tokenizer.json as if it were SentencePiece), "bpe" */
    const char *pre;  /* what tokenizer.ggml.pre says */
    bool chat_template;
    const char **warning;
    size_t nwarning;
};

/* Everything in *out lives in ARENA. Errors name the file. */
bool tokenizer_read(struct tokenizer *out, const struct tokenizer_options *options,
                    struct arena *arena, struct err *err) MUST_USE;

#endif
