#include "base/map.h"
#include "format/tokenizer_work.h"

#include <string.h>

/* One merge: "LEFT RIGHT", and where the right part begins. */
struct merge {
    const char *text;
    size_t n, right;
};

static bool bad_merge(struct tokenizer_work *w, const struct merge *m, const char *why)
{
    return err_set(w->err, ERR_FORMAT, "the merge \"%.*s\" %s", m->n > 100 ? 100 : (int)m->n,
                   m->text, why);
}

/* Find the one blank that parts M. */
static bool split(struct tokenizer_work *w, struct merge *m)
{
    const char *blank = memchr(m->text, ' ', m->n);

    if (!blank || memchr(blank + 1, ' ', m->n - (size_t)(blank + 1 - m->text)))
        return bad_merge(w, m, "has not two parts");
    m->right = (size_t)(blank + 1 - m->text);
    if (m->right == 1 || m->right == m->n)
        return bad_merge(w, m, "has an empty part");
    return true;
}

/* Both parts and what they make are in the vocabulary, or nothing could ever merge them. */
static bool known(struct tokenizer_work *w, const struct map *vocab, const struct merge *m)
{
    char *whole = arena_alloc(w->scratch, m->n);
    const size_t left = m->right - 1, right = m->n - m->right;
    uint64_t id;

    memcpy(whole, m->text, left);
    memcpy(whole + left, m->text + m->right, right);
    if (!map_get(vocab, m->text, left, &id) || !map_get(vocab, m->text + m->right, right, &id) ||
        !map_get(vocab, whole, left + right, &id))
        return bad_merge(w, m, "names a piece that model.vocab does not have");
    return true;
}

/* A part of a pair, with each blank as U+0120. */
static void put_part(struct buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == ' ')
            buf_put(out, "\xc4\xa0", 2);
        else
            buf_put(out, &text[i], 1);
    }
}

/* An entry of model.merges: a string, or a pair of strings. */
static bool json_merge(struct tokenizer_work *w, uint32_t node, struct merge *out)
{
    const struct json *doc = &w->json.doc;
    const uint32_t left = json_at(doc, node, 0), right = json_at(doc, node, 1);
    struct buf buf = {0};
    size_t a, b;

    if (json_type(doc, node) == JSON_STRING) {
        out->text = json_string(doc, node, w->scratch, &out->n);
        return split(w, out);
    }
    if (json_type(doc, node) != JSON_ARRAY || json_at(doc, node, 2) || !left || !right ||
        json_type(doc, left) != JSON_STRING || json_type(doc, right) != JSON_STRING) {
        out->text = doc->text + doc->node[node].at;
        out->n = (size_t)(doc->node[node].end - doc->node[node].at);
        return bad_merge(w, out, "has not two parts that are strings");
    }
    const char *l = json_string(doc, left, w->scratch, &a);
    const char *r = json_string(doc, right, w->scratch, &b);

    put_part(&buf, l, a);
    out->right = buf.size + 1;
    buf_put(&buf, " ", 1);
    put_part(&buf, r, b);
    out->text = arena_strndup(w->scratch, (const char *)buf.data, buf.size);
    out->n = buf.size;
    buf_finish(&buf);
    return true;
}

static bool merges_json(struct tokenizer_work *w, uint32_t list, const struct map *vocab,
                        struct buf *out, uint64_t *count)
{
    const struct json *doc = &w->json.doc;
    struct merge m;

    for (uint32_t k = json_first(doc, list); k; k = json_after(doc, list, k), ++*count) {
        if (!json_merge(w, k, &m) || !known(w, vocab, &m))
            return false;
        gguf_put_string(out, m.text, m.n);
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* merges.txt: a first line that begins with # is a title; blank lines are skipped. */
static bool merges_txt(struct tokenizer_work *w, const struct map *vocab, struct buf *out,
                       uint64_t *count)
{
    char *text;
    size_t size;

    if (!tokenizer_text_read(w, "merges.txt", true, &text, &size))
        return false;
    for (size_t at = 0; text && at < size;) {
        const char *line = text + at;
        const char *newline = memchr(line, '\n', size - at);
        const size_t whole = newline ? (size_t)(newline - line) : size - at;
        struct merge m = {.text = line, .n = whole};

        while (m.n && is_blank(m.text[m.n - 1]))
            m.n--;
        while (m.n && is_blank(*m.text))
            m.text++, m.n--;
        if (m.n && !(at == 0 && *m.text == '#')) {
            if (!split(w, &m) || !known(w, vocab, &m))
                return err_in(w->err, "merges.txt");
            gguf_put_string(out, m.text, m.n);
            ++*count;
        }
        at += whole + 1;
    }
    return true;
}

bool tokenizer_merges(struct tokenizer_work *w)
{
    const struct json *doc = &w->json.doc;
    const uint32_t model = json_get(doc, 1, "model");
    const uint32_t list = json_get(doc, model, "merges"), vocab = json_get(doc, model, "vocab");
    struct map map = {0};
    struct buf out = {0};
    uint64_t count = 0;
    bool ok;

    for (uint32_t k = json_first(doc, vocab); k; k = json_after(doc, vocab, k)) {
        size_t n;
        const char *text = json_string(doc, k, w->scratch, &n);

        k = json_after(doc, vocab, k);
        map_set(&map, text, n, k);
    }
    if (list && json_type(doc, list) == JSON_ARRAY && json_first(doc, list))
        ok = merges_json(w, list, &map, &out, &count);
    else
        ok = merges_txt(w, &map, &out, &count);
    if (ok && count == 0)
        tokenizer_warn(w, "the tokenizer has no merges: llama.cpp cannot load a BPE without them");
    if (ok)
        tokenizer_put_array(w, "tokenizer.ggml.merges", GGUF_STRING, count, &out);
    buf_finish(&out);
    map_finish(&map);
    return ok;
}
