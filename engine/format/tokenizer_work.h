/* tokenizer_work.h - what the parts of format/tokenizer share while one tokenizer is read */
#ifndef FORMAT_TOKENIZER_WORK_H
#define FORMAT_TOKENIZER_WORK_H

#include "base/json.h"
#include "format/gguf.h"
#include "format/tokenizer.h"

enum token_type {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN,
    TOKEN_CONTROL,
    TOKEN_USER_DEFINED,
    TOKEN_UNUSED,
    TOKEN_BYTE
};

struct token {
    const char *text; /* NULL: no token has this id, it becomes "[PAD<id>]" */
    uint32_t n;
    enum token_type type;
    float score;
};

/* A JSON file of the folder; there: it exists. */
struct tokenizer_file {
    struct json doc;
    bool there;
};

struct tokenizer_work {
    const struct tokenizer_options *options;
    struct arena *arena;   /* of the result */
    struct arena *scratch; /* of the reading */
    struct err *err;
    struct tokenizer_file config, conf, json; /* config.json, tokenizer_config, tokenizer.json */
    struct token *token;
    uint32_t ntoken;
    struct gguf_kv *kv; /* mem_grow */
    size_t nkv;
    const char **warning; /* mem_grow */
    size_t nwarning;
};

enum { TOKENIZER_JSON_MAX = 256 << 20, TOKENIZER_SMALL_MAX = 32 << 20 };

/* ---- tokenizer.c ---- */

/* One more warning; TEXT must live in w->arena. */
void tokenizer_warn(struct tokenizer_work *w, const char *text);
/* DIR/NAME parsed; an absent file is fine (out->there false). */
bool tokenizer_file_read(struct tokenizer_work *w, const char *name, uint64_t limit,
                         struct tokenizer_file *out);
/* The whole of DIR/NAME; *text NULL when it is absent. LINES: "\r\n" and "\r" become "\n". */
bool tokenizer_text_read(struct tokenizer_work *w, const char *name, bool lines, char **text,
                         size_t *size);
/* Key-values; a key put again keeps its place. An empty string is not put. */
void tokenizer_put(struct tokenizer_work *w, const char *key, enum gguf_type type,
                   const void *value, size_t size);
void tokenizer_put_u32(struct tokenizer_work *w, const char *key, uint32_t value);
void tokenizer_put_bool(struct tokenizer_work *w, const char *key, bool value);
void tokenizer_put_text(struct tokenizer_work *w, const char *key, const char *text, size_t n);
/* An array; VALUE holds the elements alone. */
void tokenizer_put_array(struct tokenizer_work *w, const char *key, enum gguf_type item,
                         uint64_t count, const struct buf *value);

/* ---- tokenizer_vocab.c ---- */

/* Fill w->token from tokenizer.model, as "HF vocab", or as byte-level BPE. */
bool tokenizer_vocab_spm(struct tokenizer_work *w);
bool tokenizer_vocab_hf(struct tokenizer_work *w);
bool tokenizer_vocab_bpe(struct tokenizer_work *w);

/* ---- tokenizer_merges.c ---- */

/* The merges of a BPE tokenizer, checked against its vocabulary; puts tokenizer.ggml.merges. */
bool tokenizer_merges(struct tokenizer_work *w);

/* ---- tokenizer_pre.c ---- */

/* The name of the splitter by the key of tokenizer.json; an error prints the key. */
bool tokenizer_pre(struct tokenizer_work *w, const char **out);

/* ---- tokenizer_special.c ---- */

/* Special ids, add flags, chat template, normalizer: everything after the tokens. */
bool tokenizer_special(struct tokenizer_work *w, bool *chat_template);

/* ---- tokenizer_chat.c ---- */

/* The chat templates, wherever they lie; *there: there is one. */
bool tokenizer_chat_template(struct tokenizer_work *w, bool *there);

#endif
