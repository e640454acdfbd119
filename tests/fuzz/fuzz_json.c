#include "fuzz.h"

#include "base/json.h"

#include <string.h>

/* A string survives being written and read again. */
static void check_string(const struct json *doc, uint32_t node, struct arena *arena)
{
    struct buf out = {0};
    struct json again;
    struct err err = {0};
    size_t n, m;
    const char *text = json_string(doc, node, arena, &n);

    PROMISE(text && utf8_valid(text, n));
    json_put_string(&out, text, n);
    PROMISE(json_parse(&again, (const char *)out.data, out.size, 1, arena, &err));
    const char *same = json_string(&again, 1, arena, &m);

    PROMISE(same && m == n && memcmp(same, text, n) == 0);
    buf_finish(&out);
}

static void check_node(const struct json *doc, uint32_t i, struct arena *arena)
{
    const struct json_node *node = &doc->node[i];
    uint32_t children = 0;
    int64_t i64;
    uint64_t u64;
    double f64;
    bool truth;

    PROMISE(node->at <= node->end && node->end <= doc->size);
    PROMISE(node->next > i && node->next <= doc->count + 1);
    for (uint32_t k = json_first(doc, i); k; k = json_after(doc, i, k), children++)
        PROMISE(k > i && k < node->next);
    if (node->type == JSON_STRING)
        check_string(doc, i, arena);
    if (json_u64(doc, i, &u64) && json_i64(doc, i, &i64))
        PROMISE(i64 >= 0 && (uint64_t)i64 == u64);
    if (json_f64(doc, i, &f64)) /* not a number too large for one */
        PROMISE(node->type == JSON_NUMBER && f64 - f64 == 0);
    PROMISE(json_bool(doc, i, &truth) == (node->type == JSON_BOOL));
    if (node->type == JSON_ARRAY)
        PROMISE(children == node->count && json_at(doc, i, node->count) == JSON_NONE);
    if (node->type == JSON_OBJECT)
        PROMISE(children == 2 * node->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct err err = {0};
    struct json doc;

    if (json_parse(&doc, (const char *)data, size, JSON_DEPTH_MAX, arena, &err)) {
        for (uint32_t i = 1; i <= doc.count; i++)
            check_node(&doc, i, arena);
    } else {
        PROMISE(err.code != ERR_NONE && err.text[0]);
    }
    arena_free(arena);
    return 0;
}
