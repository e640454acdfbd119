#include "format/tokenizer.h"

#include "format/tokenizer_work.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void tokenizer_warn(struct tokenizer_work *w, const char *text)
{
    w->warning = mem_grow(w->warning, (w->nwarning + 1) * sizeof(*w->warning));
    w->warning[w->nwarning++] = text;
}

static bool read_whole(struct tokenizer_work *w, const char *name, uint64_t limit, char **text,
                       size_t *size)
{
    const char *path = path_join(w->scratch, w->options->dir, name);

    *text = NULL;
    *size = 0;
    if (!file_exists(path))
        return true;
    return file_read(path, limit, w->scratch, text, size, w->err);
}

bool tokenizer_file_read(struct tokenizer_work *w, const char *name, uint64_t limit,
                         struct tokenizer_file *out)
{
    char *text;
    size_t size;

    *out = (struct tokenizer_file){.there = false};
    if (!read_whole(w, name, limit, &text, &size))
        return false;
    if (!text)
        return true;
    if (!json_parse(&out->doc, text, size, JSON_DEPTH_MAX, w->scratch, w->err))
        return err_in(w->err, "%s", path_join(w->scratch, w->options->dir, name));
    if (json_type(&out->doc, 1) != JSON_OBJECT)
        return err_set(w->err, ERR_FORMAT, "%s: a JSON object was expected",
                       path_join(w->scratch, w->options->dir, name));
    out->there = true;
    return true;
}

bool tokenizer_text_read(struct tokenizer_work *w, const char *name, bool lines, char **text,
                         size_t *size)
{
    size_t to = 0;

    if (!read_whole(w, name, TOKENIZER_SMALL_MAX, text, size))
        return false;
    if (!*text || !lines)
        return true;
    if (!utf8_valid(*text, *size))
        return err_set(w->err, ERR_FORMAT, "%s: not valid UTF-8",
                       path_join(w->scratch, w->options->dir, name));
    for (size_t i = 0; i < *size; i++) {
        const char c = (*text)[i];

        if (c == '\r' && (*text)[i + 1] == '\n') /* file_read puts a NUL after the last byte */
            continue;
        (*text)[to++] = c == '\r' ? '\n' : c;
    }
    *size = to;
    return true;
}

void tokenizer_put(struct tokenizer_work *w, const char *key, enum gguf_type type,
                   const void *value, size_t size)
{
    struct gguf_kv kv = {.type = type, .count = 1, .size = size};
    unsigned char *copy = arena_alloc(w->arena, size);

    memcpy(copy, value, size);
    kv.value = copy;
    for (size_t i = 0; i < w->nkv; i++)
        if (strcmp(w->kv[i].key, key) == 0) {
            kv.key = w->kv[i].key;
            w->kv[i] = kv;
            return;
        }
    kv.key = arena_strdup(w->arena, key);
    w->kv = mem_grow(w->kv, (w->nkv + 1) * sizeof(*w->kv));
    w->kv[w->nkv++] = kv;
}

void tokenizer_put_u32(struct tokenizer_work *w, const char *key, uint32_t value)
{
    const unsigned char b[4] = {(unsigned char)value, (unsigned char)(value >> 8),
                                (unsigned char)(value >> 16), (unsigned char)(value >> 24)};

    tokenizer_put(w, key, GGUF_U32, b, sizeof(b));
}

void tokenizer_put_bool(struct tokenizer_work *w, const char *key, bool value)
{
    const unsigned char b = value;

    tokenizer_put(w, key, GGUF_BOOL, &b, 1);
}

void tokenizer_put_text(struct tokenizer_work *w, const char *key, const char *text, size_t n)
{
    struct buf value = {0};

    if (n == 0)
        return;
    gguf_put_string(&value, text, n);
    tokenizer_put(w, key, GGUF_STRING, value.data, value.size);
    buf_finish(&value);
}

void tokenizer_put_array(struct tokenizer_work *w, const char *key, enum gguf_type item,
                         uint64_t count, const struct buf *value)
{
    struct buf all = {0};

    if (count == 0)
        return;
    buf_u32(&all, item);
    buf_u64(&all, count);
    buf_put(&all, value->data, value->size);
    tokenizer_put(w, key, GGUF_ARRAY, all.data, all.size);
    for (size_t i = 0; i < w->nkv; i++)
        if (strcmp(w->kv[i].key, key) == 0) {
            w->kv[i].item = item;
            w->kv[i].count = count;
        }
    buf_finish(&all);
}

/* tokens, scores (SentencePiece kinds only), token_type. */
static void put_tokens(struct tokenizer_work *w, bool scores)
{
    struct buf text = {0}, score = {0}, type = {0};
    char pad[32];

    for (uint32_t i = 0; i < w->ntoken; i++) {
        const struct token *t = &w->token[i];
        const int n = snprintf(pad, sizeof(pad), "[PAD%" PRIu32 "]", i);

        gguf_put_string(&text, t->text ? t->text : pad, t->text ? t->n : (size_t)n);
        buf_f32(&score, t->score);
        buf_u32(&type, t->type);
    }
    tokenizer_put_array(w, "tokenizer.ggml.tokens", GGUF_STRING, w->ntoken, &text);
    if (scores)
        tokenizer_put_array(w, "tokenizer.ggml.scores", GGUF_F32, w->ntoken, &score);
    tokenizer_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, w->ntoken, &type);
    buf_finish(&text);
    buf_finish(&score);
    buf_finish(&type);
}

/* byte_fallback and a Sequence decoder: SentencePiece that was saved as tokenizer.json. */
static bool is_hf_vocab(const struct json *doc)
{
    const uint32_t model = json_get(doc, 1, "model"), decoder = json_get(doc, 1, "decoder");
    bool fallback = false;

    return json_is(doc, json_get(doc, model, "type"), "BPE") &&
           json_bool(doc, json_get(doc, model, "byte_fallback"), &fallback) && fallback &&
           json_is(doc, json_get(doc, decoder, "type"), "Sequence");
}

static bool read_vocab(struct tokenizer_work *w, struct tokenizer *t)
{
    const char *dir = w->options->dir;
    const char *model = "llama";

    t->pre = "default";
    if (w->options->spm && file_exists(path_join(w->scratch, dir, "tokenizer.model"))) {
        t->kind = "spm";
        if (!tokenizer_vocab_spm(w))
            return false;
    } else if (!w->json.there) {
        return err_set(w->err, ERR_FORMAT,
                       "%s: no tokenizer: tokenizer.json%s was expected beside the weights", dir,
                       w->options->spm ? " or tokenizer.model" : "");
    } else if (w->options->hf_vocab && is_hf_vocab(&w->json.doc)) {
        t->kind = "hf";
        if (!tokenizer_vocab_hf(w))
            return err_in(w->err, "%s", path_join(w->scratch, dir, "tokenizer.json"));
    } else {
        t->kind = "bpe";
        model = "gpt2";
        if (!tokenizer_vocab_bpe(w) || !tokenizer_pre(w, &t->pre))
            return err_in(w->err, "%s", path_join(w->scratch, dir, "tokenizer.json"));
    }
    tokenizer_put_text(w, "tokenizer.ggml.model", model, strlen(model));
    tokenizer_put_text(w, "tokenizer.ggml.pre", t->pre, strlen(t->pre));
    put_tokens(w, strcmp(model, "llama") == 0);
    if (strcmp(t->kind, "bpe") == 0 && !tokenizer_merges(w))
        return err_in(w->err, "%s", path_join(w->scratch, dir, "tokenizer.json"));
    return true;
}

static void put_prefix_space(struct tokenizer_work *w)
{
    bool flag;

    if (w->conf.there &&
        json_bool(&w->conf.doc, json_get(&w->conf.doc, 1, "add_prefix_space"), &flag))
        tokenizer_put_bool(w, "tokenizer.ggml.add_space_prefix", flag);
}

/* What the reference does for two vocabulary sizes of the llama architecture, whatever the
 * model: Code Llama's infill ids, and no bos for 49152 (meant for Granite). */
static void put_by_size(struct tokenizer_work *w)
{
    if (w->ntoken == 32016) {
        tokenizer_put_u32(w, "tokenizer.ggml.prefix_token_id", 32007);
        tokenizer_put_u32(w, "tokenizer.ggml.suffix_token_id", 32008);
        tokenizer_put_u32(w, "tokenizer.ggml.middle_token_id", 32009);
        tokenizer_put_u32(w, "tokenizer.ggml.eot_token_id", 32010);
        tokenizer_warn(w, "vocab_size 32016: Code Llama's infill token ids are written, as the "
                          "reference does");
    }
    if (w->ntoken == 49152) {
        tokenizer_put_bool(w, "tokenizer.ggml.add_bos_token", false);
        tokenizer_warn(w, "vocab_size 49152: add_bos_token is written as false, as the reference "
                          "does");
    }
}

static bool read_config(struct tokenizer_work *w)
{
    const char *text = w->options->config;

    if (!text)
        return tokenizer_file_read(w, "config.json", TOKENIZER_SMALL_MAX, &w->config);
    if (!json_parse(&w->config.doc, text, strlen(text), JSON_DEPTH_MAX, w->scratch, w->err))
        return err_in(w->err, "config.json");
    w->config.there = json_type(&w->config.doc, 1) == JSON_OBJECT;
    return true;
}

static bool read_all(struct tokenizer_work *w, struct tokenizer *t)
{
    const uint64_t vocab = w->options->vocab_size;

    if (vocab == 0 || vocab > TOKENIZER_VOCAB_MAX)
        return err_set(w->err, ERR_LIMIT, "vocab_size %" PRIu64 " is not 1 to %d", vocab,
                       TOKENIZER_VOCAB_MAX);
    if (!read_config(w) ||
        !tokenizer_file_read(w, "tokenizer_config.json", TOKENIZER_SMALL_MAX, &w->conf) ||
        !tokenizer_file_read(w, "tokenizer.json", TOKENIZER_JSON_MAX, &w->json))
        return false;
    w->ntoken = (uint32_t)vocab;
    w->token = arena_array(w->scratch, w->ntoken, sizeof(*w->token));
    for (uint32_t i = 0; i < w->ntoken; i++)
        w->token[i] = (struct token){.type = TOKEN_UNUSED, .score = -10000.0f};
    if (w->options->space_prefix)
        put_prefix_space(w);
    if (!read_vocab(w, t) || !tokenizer_special(w, &t->chat_template))
        return false;
    if (w->options->by_size)
        put_by_size(w);
    return true;
}

bool tokenizer_read(struct tokenizer *out, const struct tokenizer_options *options,
                    struct arena *arena, struct err *err)
{
    struct tokenizer_work w = {.options = options, .arena = arena, .err = err};
    struct tokenizer t = {0};

    w.scratch = arena_new();
    const bool ok = read_all(&w, &t);

    if (ok) {
        struct gguf_kv *kv = arena_array(arena, w.nkv, sizeof(*kv));
        const char **warning = arena_array(arena, w.nwarning, sizeof(*warning));

        if (w.nkv)
            memcpy(kv, w.kv, w.nkv * sizeof(*kv));
        if (w.nwarning)
            memcpy(warning, w.warning, w.nwarning * sizeof(*warning));
        t.kv = kv;
        t.nkv = w.nkv;
        t.tokens = w.ntoken;
        t.warning = warning;
        t.nwarning = w.nwarning;
        t.pre = arena_strdup(arena, t.pre);
        *out = t;
    }
    mem_free(w.kv);
    mem_free(w.warning);
    arena_free(w.scratch);
    return ok;
}
