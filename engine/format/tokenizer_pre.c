#include "format/tokenizer_work.h"

#include <string.h>

static const struct splitter {
    const char *name, *arch;
    int merges;
    const char *steps;
} splitters[] = {
#define PRE(name, arch, merges, steps) {name, arch, merges, steps},
#include "format/pre.def"
#undef PRE
};

enum { STEPS_MAX = 64 }; /* of a flattened Sequence */

static bool flag_of(const struct json *doc, uint32_t node, const char *key, bool otherwise)
{
    bool flag = otherwise;

    if (!json_bool(doc, json_get(doc, node, key), &flag))
        return otherwise;
    return flag;
}

/* The steps of a normalizer or pre_tokenizer: nested Sequences flattened in order, without
 * recursion. LISTS is the field that holds a Sequence's steps. */
static bool flatten(struct tokenizer_work *w, uint32_t node, const char *lists, uint32_t *step,
                    uint32_t *count)
{
    const struct json *doc = &w->json.doc;
    struct {
        uint32_t list, child;
    } stack[JSON_DEPTH_MAX];
    uint32_t depth = 0;

    *count = 0;
    while (node && json_type(doc, node) != JSON_NULL) {
        if (json_is(doc, json_get(doc, node, "type"), "Sequence")) {
            const uint32_t list = json_get(doc, node, lists);

            if (!list || json_type(doc, list) != JSON_ARRAY || depth == JSON_DEPTH_MAX)
                return err_set(w->err, ERR_FORMAT, "a Sequence without its list \"%s\"", lists);
            stack[depth].list = list;
            stack[depth].child = json_first(doc, list);
            depth++;
        } else if (*count == STEPS_MAX) {
            return err_set(w->err, ERR_LIMIT, "more than %d steps in \"%s\"", STEPS_MAX, lists);
        } else {
            step[(*count)++] = node;
        }
        while (depth && !stack[depth - 1].child)
            depth--;
        if (!depth)
            break;
        node = stack[depth - 1].child;
        stack[depth - 1].child = json_after(doc, stack[depth - 1].list, node);
    }
    return true;
}

static void put_string(struct tokenizer_work *w, uint32_t node, struct buf *out)
{
    size_t n;
    const char *text = json_string(&w->json.doc, node, w->scratch, &n);

    if (text)
        buf_put(out, text, n);
}

static void put_step(struct tokenizer_work *w, uint32_t step, struct buf *out)
{
    const struct json *doc = &w->json.doc;
    const uint32_t type = json_get(doc, step, "type");

    if (json_is(doc, type, "Split")) {
        const uint32_t pattern = json_get(doc, step, "pattern");
        const uint32_t regex = json_get(doc, pattern, "Regex");

        buf_text(out, "S(");
        put_string(w, regex ? regex : json_get(doc, pattern, "String"), out);
        buf_text(out, ",");
        put_string(w, json_get(doc, step, "behavior"), out);
        buf_printf(out, ",%d)", flag_of(doc, step, "invert", false));
    } else if (json_is(doc, type, "ByteLevel")) {
        buf_printf(out, "B(%d,%d)", flag_of(doc, step, "add_prefix_space", true),
                   flag_of(doc, step, "use_regex", true));
    } else if (json_is(doc, type, "Digits")) {
        buf_printf(out, "D(%d)", flag_of(doc, step, "individual_digits", false));
    } else if (json_is(doc, type, "Punctuation")) {
        buf_text(out, "P(");
        put_string(w, json_get(doc, step, "behavior"), out);
        buf_text(out, ")");
    } else { /* no row has such a step: its own JSON says what it is */
        buf_put(out, doc->text + doc->node[step].at,
                (size_t)(doc->node[step].end - doc->node[step].at));
    }
}

/* N: the types of the normalizer's steps, "-" when there is none. */
static bool normalizer_key(struct tokenizer_work *w, struct buf *out)
{
    uint32_t step[STEPS_MAX], count;

    if (!flatten(w, json_get(&w->json.doc, 1, "normalizer"), "normalizers", step, &count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            buf_text(out, "+");
        put_string(w, json_get(&w->json.doc, step[i], "type"), out);
    }
    if (!out->size)
        buf_text(out, "-");
    return true;
}

static bool steps_key(struct tokenizer_work *w, struct buf *out)
{
    uint32_t step[STEPS_MAX], count;

    if (!flatten(w, json_get(&w->json.doc, 1, "pre_tokenizer"), "pretokenizers", step, &count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        put_step(w, step[i], out);
    return true;
}

/* The row that fits; *near: rows whose steps fit while something else does not. */
static const char *find(const struct tokenizer_work *w, const char *normalizer, const char *steps,
                        bool merges, const char **near)
{
    /* llama.cpp's byte-level tokenizers normalize nothing, and NFC changes next to no text. */
    const bool plain = strcmp(normalizer, "-") == 0 || strcmp(normalizer, "NFC") == 0;

    for (size_t i = 0; i < countof(splitters); i++) {
        const struct splitter *s = &splitters[i];

        if (strcmp(s->steps, steps) != 0)
            continue;
        if (plain && (s->merges < 0 || s->merges == (int)merges) &&
            (!s->arch || strcmp(s->arch, w->options->arch) == 0))
            return s->name;
        *near = s->name;
    }
    return NULL;
}

bool tokenizer_pre(struct tokenizer_work *w, const char **out)
{
    const uint32_t model = json_get(&w->json.doc, 1, "model");
    const bool merges = flag_of(&w->json.doc, model, "ignore_merges", false);
    const bool fallback = flag_of(&w->json.doc, model, "byte_fallback", false);
    struct buf normalizer = {0}, steps = {0};
    const char *near = NULL;
    bool ok = true;

    if (w->options->pre) {
        *out = w->options->pre;
        return true;
    }
    ok = normalizer_key(w, &normalizer) && steps_key(w, &steps);
    if (ok) {
        *out = find(w, buf_cstr(&normalizer), buf_cstr(&steps), merges, &near);
        ok = *out != NULL;
        if (!ok)
            err_set(w->err, ERR_FORMAT,
                    "no pre-tokenizer is known for the key %s|%.500s|%d%d%s%s%s; say which one "
                    "llama.cpp should use: pre = \"%s\"",
                    buf_cstr(&normalizer), buf_cstr(&steps), merges, fallback,
                    near ? " (near: " : "", near ? near : "", near ? ")" : "",
                    near ? near : "llama-bpe");
    }
    buf_finish(&normalizer);
    buf_finish(&steps);
    return ok;
}
