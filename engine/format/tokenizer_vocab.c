#include "format/spm.h"
#include "format/tokenizer_work.h"

#include <inttypes.h>
#include <string.h>

static const char meta[] = "\xe2\x96\x81"; /* U+2581, SentencePiece's blank */

static bool is_text(const char *text, size_t n, const char *want)
{
    return n == strlen(want) && memcmp(text, want, n) == 0;
}

static bool is_between(const char *text, size_t n, const char *begin, const char *end)
{
    const size_t b = strlen(begin), e = strlen(end);

    return n >= b && n >= e && memcmp(text, begin, b) == 0 && memcmp(text + n - e, end, e) == 0;
}

/* Tokens that nobody marked special, but that are by their look. */
static bool looks_special(const char *text, size_t n)
{
    return is_text(text, n, "<pad>") || is_text(text, n, "<mask>") || is_text(text, n, "<2mass>") ||
           is_text(text, n, "[@BOS@]") || is_between(text, n, "<|", "|>") ||
           is_between(text, n, "<\xef\xbd\x9c", "\xef\xbd\x9c>") ||
           is_between(text, n, "<unused", ">");
}

/* TEXT with each U+2581 as a blank. */
static const char *with_blanks(struct arena *arena, const char *text, size_t *n)
{
    char *out = arena_alloc(arena, *n + 1);
    size_t to = 0;

    for (size_t i = 0; i < *n;) {
        const bool blank = *n - i >= 3 && memcmp(text + i, meta, 3) == 0;

        out[to++] = blank ? ' ' : text[i];
        i += blank ? 3 : 1;
    }
    *n = to;
    return out;
}

/* An added token: as it stands and CONTROL, or with blanks and USER_DEFINED. */
static struct token added_token(struct tokenizer_work *w, const char *text, size_t n, bool special)
{
    struct token t = {.score = -1000.0f, .type = TOKEN_CONTROL};

    if (!special && !looks_special(text, n)) {
        t.type = TOKEN_USER_DEFINED;
        text = with_blanks(w->scratch, text, &n);
    }
    t.text = text;
    t.n = (uint32_t)n;
    return t;
}

static bool is_true(const struct json *doc, uint32_t node)
{
    bool flag = false;

    return json_bool(doc, node, &flag) && flag;
}

/* ---- SentencePiece ---- */

static bool spm_pieces(struct tokenizer_work *w)
{
    const char *path = path_join(w->scratch, w->options->dir, "tokenizer.model");
    struct spm_piece *piece;
    uint32_t count;
    char *data;
    size_t size;

    if (!file_read(path, TOKENIZER_SMALL_MAX, w->scratch, &data, &size, w->err))
        return false;
    if (!spm_parse(data, size, w->scratch, &piece, &count, w->err))
        return err_in(w->err, "%s", path);
    if (count > w->ntoken)
        return err_set(w->err, ERR_FORMAT,
                       "%s: %u pieces, but vocab_size of config.json is only %u", path, count,
                       w->ntoken);
    for (uint32_t i = 0; i < count; i++) {
        const enum spm_type type = piece[i].type;

        w->token[i] = (struct token){
            .text = piece[i].text,
            .n = piece[i].n,
            .score = piece[i].score,
            .type = type == SPM_USER_DEFINED ? TOKEN_NORMAL : (enum token_type)type,
        };
    }
    return true;
}

/* An id of an added token: false and a failure when it is none, *skip when it is too large. */
static bool spm_id(struct tokenizer_work *w, const char *file, const char *text, size_t n,
                   int64_t id, bool *skip)
{
    const int shown = n > 100 ? 100 : (int)n;

    if (id < 0)
        return err_set(w->err, ERR_FORMAT, "%s: the id of \"%.*s\" is negative or no integer",
                       path_join(w->scratch, w->options->dir, file), shown, text);
    *skip = id >= (int64_t)w->ntoken;
    if (*skip)
        tokenizer_warn(w, arena_printf(w->arena,
                                       "%s: \"%.*s\" has id %" PRId64 ", beyond vocab_size %u: it "
                                       "is left out",
                                       file, shown, text, id, w->ntoken));
    return true;
}

/* added_tokens.json: {text: id}. */
static bool spm_added(struct tokenizer_work *w)
{
    struct tokenizer_file file;
    const char *name = "added_tokens.json";

    if (!tokenizer_file_read(w, name, TOKENIZER_SMALL_MAX, &file))
        return false;
    if (!file.there)
        return true;
    const struct json *doc = &file.doc;

    for (uint32_t k = json_first(doc, 1); k; k = json_after(doc, 1, k)) {
        int64_t id = -1;
        bool skip;
        size_t n;
        const char *text = json_string(doc, k, w->scratch, &n);

        k = json_after(doc, 1, k);
        if (!json_i64(doc, k, &id))
            id = -1;
        if (!spm_id(w, name, text, n, id, &skip))
            return false;
        if (!skip)
            w->token[id] = (struct token){
                .text = text, .n = (uint32_t)n, .score = -1000.0f, .type = TOKEN_USER_DEFINED};
    }
    return true;
}

/* Decimal digits without sign; -1 otherwise. */
static int64_t decimal(const char *text, size_t n)
{
    int64_t v = 0;

    if (n == 0 || n > 15)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        v = v * 10 + (text[i] - '0');
    }
    return v;
}

/* tokenizer_config.json added_tokens_decoder: {id: {content, special}}. */
static bool spm_decoder(struct tokenizer_work *w)
{
    const struct json *doc = &w->conf.doc;
    const char *name = "tokenizer_config.json";
    const uint32_t list = w->conf.there ? json_get(doc, 1, "added_tokens_decoder") : JSON_NONE;

    if (json_type(doc, list) != JSON_OBJECT || !list)
        return true;
    for (uint32_t k = json_first(doc, list); k; k = json_after(doc, list, k)) {
        size_t key_size, n;
        bool skip;
        const char *key = json_string(doc, k, w->scratch, &key_size);
        const int64_t id = decimal(key, key_size);

        k = json_after(doc, list, k);
        const char *text = json_string(doc, json_get(doc, k, "content"), w->scratch, &n);

        if (!text)
            return err_set(w->err, ERR_FORMAT, "%s: added_tokens_decoder \"%.*s\" has no content",
                           path_join(w->scratch, w->options->dir, name),
                           key_size > 100 ? 100 : (int)key_size, key);
        if (!spm_id(w, name, text, n, id, &skip))
            return false;
        if (!skip)
            w->token[id] = added_token(w, text, n, is_true(doc, json_get(doc, k, "special")));
    }
    return true;
}

bool tokenizer_vocab_spm(struct tokenizer_work *w)
{
    return spm_pieces(w) && spm_added(w) && spm_decoder(w);
}

/* ---- tokenizer.json ---- */

static bool bad_id(struct tokenizer_work *w, const char *text, size_t n, const char *why)
{
    return err_set(w->err, ERR_FORMAT, "\"%.*s\": %s", n > 100 ? 100 : (int)n, text, why);
}

/* The id of a token of tokenizer.json: an integer, 0 <= id < LIMIT. */
static bool json_id(struct tokenizer_work *w, uint32_t node, const char *text, size_t n,
                    uint32_t limit, uint32_t *out)
{
    int64_t id;

    if (!json_i64(&w->json.doc, node, &id))
        return bad_id(w, text, n, "its id is no integer");
    if (id < 0 || id >= (int64_t)limit)
        return bad_id(w, text, n,
                      arena_printf(w->scratch,
                                   "id %" PRId64 " is not below %s %" PRIu32
                                   ": embedding and tokenizer disagree",
                                   id, limit == w->ntoken ? "vocab_size" : "the number of pieces",
                                   limit));
    *out = (uint32_t)id;
    return true;
}

/* model.vocab: {text: id}, each id once and below LIMIT. *count its entries. */
static bool json_vocab(struct tokenizer_work *w, bool dense, float score, uint32_t *count)
{
    const struct json *doc = &w->json.doc;
    const uint32_t vocab = json_get(doc, json_get(doc, 1, "model"), "vocab");
    uint32_t limit = w->ntoken;

    if (!vocab || json_type(doc, vocab) != JSON_OBJECT || json_first(doc, vocab) == JSON_NONE)
        return err_set(w->err, ERR_FORMAT, "model.vocab: an object {token: id} was expected");
    *count = 0;
    for (uint32_t k = json_first(doc, vocab); k; k = json_after(doc, vocab, k), ++*count)
        k = json_after(doc, vocab, k);
    if (dense && *count < limit)
        limit = *count;
    for (uint32_t k = json_first(doc, vocab); k; k = json_after(doc, vocab, k)) {
        size_t n;
        uint32_t id;
        const char *text = json_string(doc, k, w->scratch, &n);

        k = json_after(doc, vocab, k);
        if (!json_id(w, k, text, n, limit, &id))
            return false;
        if (w->token[id].text)
            return bad_id(w, text, n,
                          arena_printf(w->scratch, "id %u is also that of \"%.*s\"", id,
                                       w->token[id].n > 100 ? 100 : (int)w->token[id].n,
                                       w->token[id].text));
        w->token[id] =
            (struct token){.text = text, .n = (uint32_t)n, .score = score, .type = TOKEN_NORMAL};
    }
    return true;
}

/* For each added token: its id, text, special flag; PUT decides what becomes of it. */
static bool each_added(struct tokenizer_work *w,
                       bool (*put)(struct tokenizer_work *w, uint32_t id, const char *text,
                                   size_t n, bool special))
{
    const struct json *doc = &w->json.doc;
    const uint32_t list = json_get(doc, 1, "added_tokens");

    if (!list || json_type(doc, list) == JSON_NULL)
        return true;
    if (json_type(doc, list) != JSON_ARRAY)
        return err_set(w->err, ERR_FORMAT, "added_tokens: a list was expected");
    for (uint32_t k = json_first(doc, list); k; k = json_after(doc, list, k)) {
        size_t n;
        uint32_t id;
        const char *text = json_string(doc, json_get(doc, k, "content"), w->scratch, &n);

        if (!text)
            return err_set(w->err, ERR_FORMAT, "added_tokens: an entry without content");
        if (!json_id(w, json_get(doc, k, "id"), text, n, w->ntoken, &id) ||
            !put(w, id, text, n, is_true(doc, json_get(doc, k, "special"))))
            return false;
    }
    return true;
}

static bool same_text(const struct token *t, const char *text, size_t n)
{
    return t->n == n && memcmp(t->text, text, n) == 0;
}

/* Two texts for one id; the reference keeps one of them without a word. */
static void warn_taken(struct tokenizer_work *w, uint32_t id, const char *text, size_t n,
                       const char *kept)
{
    const struct token *old = &w->token[id];

    tokenizer_warn(w, arena_printf(w->arena,
                                   "tokenizer.json: id %u is the added token \"%.*s\" and the "
                                   "piece \"%.*s\": %s is kept",
                                   id, n > 100 ? 100 : (int)n, text,
                                   old->n > 100 ? 100 : (int)old->n, old->text, kept));
}

static bool put_bpe(struct tokenizer_work *w, uint32_t id, const char *text, size_t n, bool special)
{
    if (w->token[id].text && !same_text(&w->token[id], text, n))
        warn_taken(w, id, text, n, "the added token");
    w->token[id] = added_token(w, text, n, special);
    return true;
}

bool tokenizer_vocab_bpe(struct tokenizer_work *w)
{
    const struct json *doc = &w->json.doc;
    const uint32_t model = json_get(doc, 1, "model");
    const uint32_t type = json_get(doc, model, "type");
    uint32_t count;

    if (type ? !json_is(doc, type, "BPE") : !json_get(doc, model, "merges")) {
        size_t n = 0;
        const char *word = json_string(doc, type, w->scratch, &n);

        return err_set(w->err, ERR_FORMAT,
                       "model.type is \"%.*s\", BPE was expected (a Unigram model needs its "
                       "tokenizer.model)",
                       n > 100 ? 100 : (int)n, word ? word : "");
    }
    return json_vocab(w, false, -10000.0f, &count) && each_added(w, put_bpe);
}

static bool is_byte_piece(const char *text, size_t n)
{
    static const char hex[] = "0123456789abcdefABCDEF";

    return n == 6 && memcmp(text, "<0x", 3) == 0 && text[5] == '>' && text[3] && text[4] &&
           strchr(hex, text[3]) && strchr(hex, text[4]);
}

/* An added token beyond the pieces keeps its text; one among them only says what is special. */
static bool put_hf(struct tokenizer_work *w, uint32_t id, const char *text, size_t n, bool special)
{
    struct token *t = &w->token[id];

    if (!t->text)
        *t = (struct token){.text = text,
                            .n = (uint32_t)n,
                            .score = -1000.0f,
                            .type = special ? TOKEN_CONTROL : TOKEN_USER_DEFINED};
    else if (!same_text(t, text, n))
        warn_taken(w, id, text, n, "the piece");
    else if (special && t->type == TOKEN_NORMAL)
        t->type = TOKEN_CONTROL;
    return true;
}

bool tokenizer_vocab_hf(struct tokenizer_work *w)
{
    uint32_t count;

    if (!json_vocab(w, true, -1000.0f, &count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (is_byte_piece(w->token[i].text, w->token[i].n))
            w->token[i].type = TOKEN_BYTE;
    return each_added(w, put_hf);
}
