#include "cli/metadata.h"

#include "base/bytes.h"
#include "base/json.h"
#include "cli/text.h"
#include "format/gguf.h"

#include <math.h>
#include <string.h>

enum { CONFIG_BYTES_MAX = 16 << 20, ITEMS_SHOWN = 8, TEXT_SHOWN = 160, ARRAY_HEAD = 12 };

static const char *const type_words[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = "u8",         [GGUF_I8] = "i8",       [GGUF_U16] = "u16", [GGUF_I16] = "i16",
    [GGUF_U32] = "u32",       [GGUF_I32] = "i32",     [GGUF_F32] = "f32", [GGUF_BOOL] = "bool",
    [GGUF_STRING] = "string", [GGUF_ARRAY] = "array", [GGUF_U64] = "u64", [GGUF_I64] = "i64",
    [GGUF_F64] = "f64",
};

static const size_t type_bytes[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = 1,  [GGUF_I8] = 1,   [GGUF_U16] = 2, [GGUF_I16] = 2, [GGUF_U32] = 4, [GGUF_I32] = 4,
    [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

static const char *word_of(uint32_t type)
{
    return type < GGUF_TYPE_COUNT ? type_words[type] : "unknown";
}

static void put_f64(struct buf *out, double value, bool json)
{
    if (isfinite(value) || !json)
        buf_printf(out, "%.9g", value);
    else
        buf_text(out, "null");
}

static void put_string(struct buf *out, const char *text, size_t n, bool json)
{
    if (json) {
        json_value(out, text, n);
        return;
    }
    const size_t keep = n < TEXT_SHOWN ? n : TEXT_SHOWN;

    buf_text(out, "\"");
    buf_put(out, text, keep);
    buf_text(out, n > keep ? "...\"" : "\"");
}

/* A number or bool of TYPE at VALUE, or a string of N bytes there. */
static void put_scalar(struct buf *out, uint32_t type, const unsigned char *value, size_t n,
                       bool json)
{
    const struct gguf_kv one = {.type = type, .value = value, .size = n, .count = 1};
    uint64_t u = 0;
    double f = 0;

    if (type == GGUF_STRING)
        put_string(out, (const char *)value, n, json);
    else if (type == GGUF_BOOL)
        buf_text(out, value[0] ? "true" : "false");
    else if (gguf_f64(&one, &f))
        put_f64(out, f, json);
    else if (gguf_u64(&one, &u))
        buf_printf(out, "%llu", (unsigned long long)u);
    else if (n && n <= 8) /* negative: the missing high bytes are ones */
        buf_printf(out, "%lld",
                   (long long)(bytes_le(value, n) | (n < 8 ? ~UINT64_C(0) << (8 * n) : 0)));
}

/* The first items of an array; false when it holds arrays. */
static bool put_items(struct buf *out, const struct gguf_kv *kv, uint64_t n, bool json)
{
    uint64_t cursor = 0;

    if (kv->item >= GGUF_TYPE_COUNT || kv->item == GGUF_ARRAY)
        return false;
    const size_t step = type_bytes[kv->item];

    for (uint64_t i = 0; i < n; i++) {
        const unsigned char *value = kv->value + ARRAY_HEAD + i * step;
        uint64_t size = step;

        if (kv->item == GGUF_STRING)
            value = (const unsigned char *)gguf_array_string(kv, &cursor, &size);
        if (!value)
            return false;
        buf_text(out, i ? ", " : "");
        put_scalar(out, kv->item, value, (size_t)size, json);
    }
    return true;
}

static void put_array(struct buf *out, const struct gguf_kv *kv, bool json)
{
    const bool whole = kv->count <= ITEMS_SHOWN;
    const size_t start = out->size;

    buf_text(out, "[");
    if (!(json && !whole) && put_items(out, kv, whole ? kv->count : ITEMS_SHOWN, json)) {
        if (!whole)
            buf_printf(out, ", ... %llu in all", (unsigned long long)kv->count);
        buf_text(out, "]");
        return;
    }
    out->size = start;
    buf_printf(out, json ? "{\"count\":%llu}" : "[%llu items]", (unsigned long long)kv->count);
}

static const char *value_text(const struct gguf_kv *kv, bool json, struct arena *arena)
{
    struct buf out = {0};
    uint64_t n = kv->size;
    const char *text = gguf_string(kv, &n);

    if (kv->type == GGUF_ARRAY)
        put_array(&out, kv, json);
    else
        put_scalar(&out, kv->type, text ? (const unsigned char *)text : kv->value, (size_t)n, json);
    const char *copy = arena_strndup(arena, buf_cstr(&out), out.size);

    buf_finish(&out);
    return copy;
}

static void gguf_facts(const struct checkpoint *ckpt, struct arena *arena, struct fact **out,
                       size_t *n)
{
    struct fact *fact = arena_array(arena, ckpt->nkv, sizeof(*fact));

    for (size_t i = 0; i < ckpt->nkv; i++) {
        const struct gguf_kv *kv = &ckpt->kv[i];

        fact[i] = (struct fact){
            .key = kv->key,
            .type = kv->type == GGUF_ARRAY ? arena_printf(arena, "array of %s", word_of(kv->item))
                                           : word_of(kv->type),
            .bytes = kv->value,
            .size = (size_t)kv->size,
            .text = value_text(kv, false, arena),
            .json = value_text(kv, true, arena),
        };
    }
    *out = fact;
    *n = ckpt->nkv;
}

/* A value without the line breaks and indents of its file. */
static const char *compact(const char *text, size_t n, struct arena *arena)
{
    struct buf out = {0};
    bool quoted = false;

    for (size_t i = 0; i < n; i++) {
        if (quoted && text[i] == '\\') /* and what it escapes, which may be a quote */
            buf_u8(&out, (uint8_t)text[i++]);
        else if (text[i] == '"')
            quoted = !quoted;
        if (quoted || !memchr(" \t\r\n", text[i], 4))
            buf_u8(&out, (uint8_t)text[i]);
    }
    const char *copy = arena_strndup(arena, buf_cstr(&out), out.size);

    buf_finish(&out);
    return copy;
}

/* The fields of one object of a document. */
static void object_facts(const struct json *doc, uint32_t object, struct arena *arena,
                         struct fact **out, size_t *n)
{
    if (!object || json_type(doc, object) != JSON_OBJECT)
        return;
    struct fact *fact = arena_array(arena, doc->node[object].count, sizeof(*fact));
    size_t at = 0;

    for (uint32_t k = json_first(doc, object); k;) {
        const uint32_t v = json_after(doc, object, k);
        const struct json_node *node = &doc->node[v];
        const uint64_t quote = node->type == JSON_STRING;
        const char *text = doc->text + node->at - quote;
        const size_t size = (size_t)(node->end - node->at + 2 * quote);
        size_t key_size;
        const char *key = json_string(doc, k, arena, &key_size);

        fact[at++] = (struct fact){
            .key = arena_strndup(arena, key, key_size),
            .type = "json",
            .bytes = text,
            .size = size,
            .text = compact(text, size, arena),
        };
        fact[at - 1].json = fact[at - 1].text;
        k = json_after(doc, object, v);
    }
    *out = fact;
    *n = at;
}

static bool config_facts(const struct checkpoint *ckpt, struct arena *arena, struct fact **out,
                         size_t *n, struct err *err)
{
    const char *path = path_join(arena, ckpt->dir, "config.json");
    struct json doc;
    char *text;
    size_t size;

    if (!file_exists(path))
        return true;
    if (!file_read(path, CONFIG_BYTES_MAX, arena, &text, &size, err))
        return false;
    if (!json_parse(&doc, text, size, JSON_DEPTH_MAX, arena, err))
        return err_in(err, "%s", path);
    object_facts(&doc, 1, arena, out, n);
    return true;
}

/* The header was checked when the file was opened; it is checked again, not believed. */
static bool metadata_facts(const struct checkpoint *ckpt, struct arena *arena, struct fact **out,
                           size_t *n, struct err *err)
{
    struct json doc;

    if (!ckpt->nfile || ckpt->map[0].size < 8)
        return true;
    const uint64_t size = bytes_le(ckpt->map[0].data, 8);

    if (size > ckpt->map[0].size - 8)
        return true;
    if (!json_parse(&doc, (const char *)ckpt->map[0].data + 8, (size_t)size, JSON_DEPTH_MAX, arena,
                    err))
        return err_in(err, "%s", ckpt->file[0]);
    object_facts(&doc, json_get(&doc, 1, "__metadata__"), arena, out, n);
    return true;
}

bool metadata_of(const struct checkpoint *ckpt, struct arena *arena, struct fact **out, size_t *n,
                 struct err *err)
{
    *out = NULL;
    *n = 0;
    if (ckpt->kv)
        gguf_facts(ckpt, arena, out, n);
    else if (ckpt->dir)
        return config_facts(ckpt, arena, out, n, err);
    else if (strcmp(ckpt->format->name, "safetensors") == 0)
        return metadata_facts(ckpt, arena, out, n, err);
    return true;
}

bool model_open(struct checkpoint *out, const char *path, struct arena *arena, struct err *err)
{
    char *dir;

    if (strncmp(path, "hf://", 5) != 0)
        return checkpoint_open(out, path, arena, err);
    return hub_resolve(path, arena, &dir, err) && checkpoint_open(out, dir, arena, err);
}
