#include "format/tokenizer_work.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The special tokens in the order the reference visits them; eot and eom join when a template
 * ends in another token than the configured eos. */
enum special { BOS, EOS, UNK, SEP, PAD, CLS, MASK, EOT, EOM, SPECIALS };

static const struct {
    const char *word, *id_key, *add_key; /* keys NULL: never written */
} specials[SPECIALS] = {
    [BOS] = {"bos", "tokenizer.ggml.bos_token_id", "tokenizer.ggml.add_bos_token"},
    [EOS] = {"eos", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_eos_token"},
    [UNK] = {"unk", "tokenizer.ggml.unknown_token_id", NULL},
    [SEP] = {"sep", "tokenizer.ggml.seperator_token_id", "tokenizer.ggml.add_sep_token"},
    [PAD] = {"pad", "tokenizer.ggml.padding_token_id", NULL},
    [CLS] = {"cls", NULL, NULL},
    [MASK] = {"mask", "tokenizer.ggml.mask_token_id", NULL},
    [EOT] = {"eot", "tokenizer.ggml.eot_token_id", NULL},
    [EOM] = {"eom", "tokenizer.ggml.eom_token_id", NULL},
};

struct text {
    const char *at; /* NULL: none */
    size_t n;
};

struct state {
    struct tokenizer_work *w;
    struct text text[SPECIALS];
    bool visited[SPECIALS]; /* eot, eom: only when they joined */
    bool has_id[SPECIALS], has_add[SPECIALS], add[SPECIALS];
    uint32_t id[SPECIALS];
    enum special id_order[SPECIALS], add_order[SPECIALS]; /* order of discovery */
    size_t nid, nadd;
};

static bool equal(struct text a, struct text b)
{
    return a.at && b.at && a.n == b.n && memcmp(a.at, b.at, a.n) == 0;
}

static struct text string_at(struct tokenizer_work *w, const struct json *doc, uint32_t node)
{
    struct text t = {0};

    t.at = json_string(doc, node, w->scratch, &t.n);
    if (!t.at || !t.n)
        return (struct text){0};
    return t;
}

static void set_add(struct state *s, enum special which, bool value)
{
    if (!s->has_add[which])
        s->add_order[s->nadd++] = which;
    s->has_add[which] = true;
    s->add[which] = value;
}

/* An id found for WHICH; the first one stays. */
static void set_id(struct state *s, enum special which, int64_t id, const char *where)
{
    if (id < 0 || id >= (int64_t)s->w->ntoken) {
        tokenizer_warn(s->w, arena_printf(s->w->arena,
                                          "%s: the %s token's id %" PRId64
                                          " is no token (there are %u): it is left out",
                                          where, specials[which].word, id, s->w->ntoken));
        return;
    }
    if (s->has_id[which])
        return;
    s->has_id[which] = true;
    s->id[which] = (uint32_t)id;
    s->id_order[s->nid++] = which;
}

/* ---- tokenizer.json: post_processor ---- */

/* The special token that an element of a template names. */
static struct text template_token(struct tokenizer_work *w, uint32_t element)
{
    const struct json *doc = &w->json.doc;

    return string_at(w, doc, json_get(doc, json_get(doc, element, "SpecialToken"), "id"));
}

static bool template_is(const struct json *doc, uint32_t element, const char *sequence)
{
    return json_is(doc, json_get(doc, json_get(doc, element, "Sequence"), "id"), sequence);
}

static uint32_t list_count(const struct json *doc, uint32_t list)
{
    return list && json_type(doc, list) == JSON_ARRAY ? doc->node[list].count : 0;
}

/* A template that ends in another token than the configured eos: that one is eos, and the
 * configured one ends a turn. */
static void other_eos(struct state *s, struct text last)
{
    const enum special turn = !s->visited[EOT] ? EOT : EOM;

    if (!s->visited[turn]) {
        s->visited[turn] = true;
        s->text[turn] = s->text[EOS];
    }
    s->text[EOS] = last;
}

static void single_template(struct state *s, uint32_t list, struct text *first, struct text *last)
{
    const struct json *doc = &s->w->json.doc;
    const uint32_t n = list_count(doc, list);
    const bool configured = s->w->conf.there;

    if (n < 2)
        return;
    *first = template_token(s->w, json_at(doc, list, 0));
    if (first->at) {
        if (!configured)
            s->text[BOS] = *first;
        set_add(s, BOS, equal(*first, s->text[BOS]) || equal(*first, s->text[CLS]));
    }
    *last = template_token(s->w, json_at(doc, list, n - 1));
    if (last->at) {
        if (!configured)
            s->text[EOS] = *last;
        else if (!equal(*last, s->text[EOS]))
            other_eos(s, *last);
        set_add(s, EOS, true);
    }
}

/* A [separators] B, with what the single template also has at its ends taken off. */
static void pair_template(struct state *s, uint32_t list, struct text first, struct text last)
{
    const struct json *doc = &s->w->json.doc;
    uint32_t from = 0, to = list_count(doc, list);
    bool sep = false;

    if (to && first.at && equal(template_token(s->w, json_at(doc, list, 0)), first))
        from++;
    if (to > from && last.at && equal(template_token(s->w, json_at(doc, list, to - 1)), last))
        to--;
    if (to < from + 3 || !template_is(doc, json_at(doc, list, from), "A") ||
        !template_is(doc, json_at(doc, list, to - 1), "B"))
        return;
    for (uint32_t i = from + 1; i < to - 1 && i < from + 3; i++) {
        const struct text t = template_token(s->w, json_at(doc, list, i));

        if (i == from + 2 && to - 1 != from + 3)
            break; /* three or more between: only the first counts */
        if ((equal(t, s->text[SEP]) || equal(t, s->text[EOS])) && (i > from + 1 || !last.at))
            sep = true;
    }
    set_add(s, SEP, sep);
    if (sep && !s->text[SEP].at && s->w->conf.there)
        s->text[SEP] = s->text[EOS];
}

static void processor(struct state *s, uint32_t node)
{
    const struct json *doc = &s->w->json.doc;
    const uint32_t type = json_get(doc, node, "type");
    struct text first = {0}, last = {0};

    if (json_is(doc, type, "RobertaProcessing")) {
        set_add(s, BOS, true);
        set_add(s, EOS, true);
        set_add(s, SEP, true);
        if (!s->text[CLS].at)
            s->text[CLS] = string_at(s->w, doc, json_at(doc, json_get(doc, node, "cls"), 0));
        if (!s->text[SEP].at)
            s->text[SEP] = string_at(s->w, doc, json_at(doc, json_get(doc, node, "sep"), 0));
    } else if (json_is(doc, type, "ByteLevel")) {
        if (!s->has_add[BOS])
            set_add(s, BOS, false);
        if (!s->has_add[EOS])
            set_add(s, EOS, false);
    } else if (json_is(doc, type, "TemplateProcessing")) {
        single_template(s, json_get(doc, node, "single"), &first, &last);
        pair_template(s, json_get(doc, node, "pair"), first, last);
    }
}

static void post_processor(struct state *s)
{
    const struct json *doc = &s->w->json.doc;
    const uint32_t node = json_get(doc, 1, "post_processor");
    const uint32_t list = json_get(doc, node, "processors");

    if (!list) {
        processor(s, node);
        return;
    }
    for (uint32_t k = json_first(doc, list); k; k = json_after(doc, list, k))
        processor(s, k);
}

/* ---- tokenizer_config.json, config.json ---- */

/* A special token's text: a string, or an object with its content. */
static struct text configured(struct tokenizer_work *w, enum special which)
{
    const struct json *doc = &w->conf.doc;
    char key[16];

    if (!w->conf.there)
        return (struct text){0};
    snprintf(key, sizeof(key), "%s_token", specials[which].word);
    const uint32_t node = json_get(doc, 1, key);

    if (json_type(doc, node) == JSON_OBJECT)
        return string_at(w, doc, json_get(doc, node, "content"));
    return string_at(w, doc, node);
}

/* The id of the first added token with this text. */
static void find_added(struct state *s, enum special which)
{
    const struct json *doc = &s->w->json.doc;
    const uint32_t list = json_get(doc, 1, "added_tokens");
    int64_t id;

    for (uint32_t k = json_first(doc, list); k; k = json_after(doc, list, k)) {
        const struct text t = string_at(s->w, doc, json_get(doc, k, "content"));

        if (!equal(t, s->text[which]))
            continue;
        if (json_i64(doc, json_get(doc, k, "id"), &id))
            set_id(s, which, id, "tokenizer.json");
        return;
    }
}

static void read_conf(struct state *s)
{
    const struct json *doc = &s->w->conf.doc;
    char key[24];
    bool flag;

    for (enum special i = BOS; i < SPECIALS; i++) {
        if (!s->visited[i])
            continue;
        snprintf(key, sizeof(key), "add_%s_token", specials[i].word);
        if (json_bool(doc, json_get(doc, 1, key), &flag)) {
            if (!s->has_add[i])
                set_add(s, i, flag);
            else if (s->add[i] != flag && specials[i].add_key)
                tokenizer_warn(s->w, arena_printf(s->w->arena,
                                                  "tokenizer_config.json says %s is %s, the "
                                                  "post_processor of tokenizer.json the opposite; "
                                                  "the latter is written",
                                                  key, flag ? "true" : "false"));
        }
        if (s->text[i].at && s->w->json.there)
            find_added(s, i);
    }
}

static void read_config(struct state *s)
{
    const struct json *doc = &s->w->config.doc;
    char key[24];
    int64_t id;

    for (enum special i = BOS; i < SPECIALS; i++) {
        if (!s->visited[i])
            continue;
        snprintf(key, sizeof(key), "%s_token_id", specials[i].word);
        uint32_t node = json_get(doc, 1, key);

        if (!node || json_type(doc, node) == JSON_NULL)
            node = json_get(doc, json_get(doc, 1, "text_config"), key);
        if (node && json_i64(doc, node, &id))
            set_id(s, i, id, "config.json");
    }
}

/* ---- normalizer ---- */

/* Lowercase and StripAccents, alone or in a Sequence; BertNormalizer by its fields. */
static void put_normalizer(struct tokenizer_work *w)
{
    const struct json *doc = &w->json.doc;
    const uint32_t root = json_get(doc, 1, "normalizer");
    const uint32_t list = json_get(doc, root, "normalizers");
    bool lower = false, strip = false;

    for (uint32_t k = list ? json_first(doc, list) : root; k;
         k = list ? json_after(doc, list, k) : JSON_NONE) {
        const uint32_t type = json_get(doc, k, "type");
        bool flag = true;

        lower |= json_is(doc, type, "Lowercase");
        strip |= json_is(doc, type, "StripAccents");
        if (json_is(doc, type, "BertNormalizer")) {
            lower |= !json_bool(doc, json_get(doc, k, "lowercase"), &flag) || flag;
            strip |= json_bool(doc, json_get(doc, k, "strip_accents"), &flag) && flag;
        }
    }
    if (lower)
        tokenizer_put_bool(w, "tokenizer.ggml.normalizer.lowercase", true);
    if (strip)
        tokenizer_put_bool(w, "tokenizer.ggml.normalizer.strip_accents", true);
}

bool tokenizer_special(struct tokenizer_work *w, bool *chat_template)
{
    struct state s = {.w = w};

    for (enum special i = BOS; i <= MASK; i++) {
        s.visited[i] = true;
        s.text[i] = configured(w, i);
    }
    if (w->json.there) {
        if (!s.text[BOS].at)
            s.text[BOS] = s.text[CLS];
        if (!s.text[EOS].at)
            s.text[EOS] = s.text[SEP];
        post_processor(&s);
    }
    if (w->conf.there)
        read_conf(&s);
    if (w->config.there)
        read_config(&s);
    for (size_t i = 0; i < s.nid; i++)
        if (specials[s.id_order[i]].id_key)
            tokenizer_put_u32(w, specials[s.id_order[i]].id_key, s.id[s.id_order[i]]);
    for (size_t i = 0; i < s.nadd; i++)
        if (specials[s.add_order[i]].add_key)
            tokenizer_put_bool(w, specials[s.add_order[i]].add_key, s.add[s.add_order[i]]);
    if (!tokenizer_chat_template(w, chat_template))
        return false;
    if (w->json.there)
        put_normalizer(w);
    return true;
}
