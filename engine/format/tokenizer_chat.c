#include "format/tokenizer_work.h"

#include <stdlib.h>
#include <string.h>

/* A named template, and the list of them as tokenizer_config.json or files give it. */
struct chat {
    const char *name; /* letters and digits, the rest as '_' */
    const char *text;
    size_t n;
};

enum { CHATS_MAX = 256 };

struct chats {
    struct chat chat[CHATS_MAX];
    size_t n;
};

static bool add(struct tokenizer_work *w, struct chats *out, const char *name, size_t nname,
                const char *text, size_t n)
{
    char *clean = arena_strndup(w->scratch, name, nname);

    if (out->n == CHATS_MAX)
        return err_set(w->err, ERR_LIMIT, "more than %d chat templates", CHATS_MAX);
    for (size_t i = 0; i < nname; i++) {
        const char c = clean[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
            clean[i] = '_';
    }
    out->chat[out->n++] = (struct chat){clean, text, n};
    return true;
}

/* A chat_template field: a string, or a list of {name, template}. */
static bool from_field(struct tokenizer_work *w, const struct json *doc, uint32_t node,
                       struct chats *out)
{
    size_t n, m;
    const char *text = json_string(doc, node, w->scratch, &n);

    if (text)
        return add(w, out, "default", 7, text, n);
    if (!node || json_type(doc, node) == JSON_NULL)
        return true;
    if (json_type(doc, node) != JSON_ARRAY) {
        tokenizer_warn(w, "chat_template is neither a text nor a list: it is left out");
        return true;
    }
    for (uint32_t k = json_first(doc, node); k; k = json_after(doc, node, k)) {
        const char *name = json_string(doc, json_get(doc, k, "name"), w->scratch, &m);

        text = json_string(doc, json_get(doc, k, "template"), w->scratch, &n);
        if (name && m && text && !add(w, out, name, m, text, n))
            return false;
    }
    return true;
}

/* additional_chat_templates/NAME.jinja, in byte order of their names. */
static bool from_folder(struct tokenizer_work *w, struct chats *out)
{
    const char *sub = "additional_chat_templates";
    const char *dir = path_join(w->scratch, w->options->dir, sub);
    char **names, *text;
    size_t count, n;

    if (!file_is_dir(dir))
        return true;
    if (!dir_list(dir, w->scratch, &names, &count, w->err))
        return false;
    for (size_t i = 0; i < count; i++) {
        const size_t len = strlen(names[i]);

        if (len <= 6 || strcmp(names[i] + len - 6, ".jinja") != 0)
            continue;
        if (!tokenizer_text_read(w, path_join(w->scratch, sub, names[i]), true, &text, &n))
            return false;
        if (text && !add(w, out, names[i], len - 6, text, n))
            return false;
    }
    return true;
}

/* chat_template.jinja, else chat_template.json. */
static bool from_files(struct tokenizer_work *w, struct chats *out)
{
    struct tokenizer_file file;
    char *text;
    size_t n;

    if (!tokenizer_text_read(w, "chat_template.jinja", true, &text, &n))
        return false;
    if (text)
        return add(w, out, "default", 7, text, n) && from_folder(w, out);
    if (!tokenizer_file_read(w, "chat_template.json", TOKENIZER_SMALL_MAX, &file))
        return false;
    return !file.there || from_field(w, &file.doc, json_get(&file.doc, 1, "chat_template"), out);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* tokenizer.chat_template.NAME each, the sorted names, then the default one. */
static void put(struct tokenizer_work *w, const struct chats *chats)
{
    const struct chat *plain = NULL;
    const char *names[CHATS_MAX];
    struct buf list = {0};
    size_t n = 0;
    uint64_t unique = 0;

    for (size_t i = 0; i < chats->n; i++) {
        const struct chat *c = &chats->chat[i];

        if (strcmp(c->name, "default") == 0) {
            plain = c;
            continue;
        }
        names[n++] = c->name;
        tokenizer_put_text(w, arena_printf(w->scratch, "tokenizer.chat_template.%s", c->name),
                           c->text, c->n);
    }
    if (n)
        qsort(names, n, sizeof(names[0]), by_name);
    for (size_t i = 0; i < n; i++) {
        if (i && strcmp(names[i], names[i - 1]) == 0)
            continue;
        gguf_put_string(&list, names[i], strlen(names[i]));
        unique++;
    }
    tokenizer_put_array(w, "tokenizer.chat_templates", GGUF_STRING, unique, &list);
    buf_finish(&list);
    if (plain)
        tokenizer_put_text(w, "tokenizer.chat_template", plain->text, plain->n);
}

bool tokenizer_chat_template(struct tokenizer_work *w, bool *there)
{
    struct chats *field = arena_alloc(w->scratch, sizeof(*field));
    struct chats *files = arena_alloc(w->scratch, sizeof(*files));

    if (w->conf.there &&
        !from_field(w, &w->conf.doc, json_get(&w->conf.doc, 1, "chat_template"), field))
        return false;
    if (!from_files(w, files))
        return false;
    if (field->n && files->n &&
        (field->chat[0].n != files->chat[0].n ||
         memcmp(field->chat[0].text, files->chat[0].text, field->chat[0].n) != 0))
        tokenizer_warn(w, "the chat template of tokenizer_config.json is written; that of "
                          "chat_template.jinja differs");
    put(w, field->n ? field : files);
    *there = field->n || files->n;
    return true;
}
