/* json_read.c - questions asked of a parsed document, and the strings that vbuild writes */
#include "base/json.h"

#include "base/json_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum json_type json_type(const struct json *doc, uint32_t node)
{
    return node ? (enum json_type)doc->node[node].type : JSON_NULL;
}

uint32_t json_first(const struct json *doc, uint32_t node)
{
    return node && doc->node[node].next > node + 1 ? node + 1 : JSON_NONE;
}

uint32_t json_after(const struct json *doc, uint32_t node, uint32_t child)
{
    const uint32_t next = doc->node[child].next;

    return next < doc->node[node].next ? next : JSON_NONE;
}

uint32_t json_at(const struct json *doc, uint32_t array, uint32_t index)
{
    if (json_type(doc, array) != JSON_ARRAY || index >= doc->node[array].count)
        return JSON_NONE;
    uint32_t at = array + 1;

    while (index--)
        at = doc->node[at].next;
    return at;
}

bool json_is(const struct json *doc, uint32_t node, const char *text)
{
    if (json_type(doc, node) != JSON_STRING)
        return false;
    const char *s = doc->text + doc->node[node].at, *end = doc->text + doc->node[node].end;
    size_t left = strlen(text);

    while (s < end) {
        char c[4];
        const size_t n = json_next_char(&s, c);

        if (n > left || memcmp(c, text, n) != 0)
            return false;
        text += n;
        left -= n;
    }
    return left == 0;
}

uint32_t json_get(const struct json *doc, uint32_t object, const char *key)
{
    if (json_type(doc, object) != JSON_OBJECT)
        return JSON_NONE;
    for (uint32_t k = json_first(doc, object); k; k = json_after(doc, object, k + 1))
        if (json_is(doc, k, key))
            return k + 1;
    return JSON_NONE;
}

const char *json_string(const struct json *doc, uint32_t node, struct arena *arena, size_t *n)
{
    if (json_type(doc, node) != JSON_STRING)
        return NULL;
    return json_span_string(doc->text, &doc->node[node], arena, n);
}

static bool magnitude(const char *s, const char *end, uint64_t *out)
{
    uint64_t v = 0;

    for (; s < end; s++)
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return false;
    *out = v;
    return true;
}

bool json_u64(const struct json *doc, uint32_t node, uint64_t *out)
{
    return json_type(doc, node) == JSON_NUMBER &&
           magnitude(doc->text + doc->node[node].at, doc->text + doc->node[node].end, out);
}

bool json_i64(const struct json *doc, uint32_t node, int64_t *out)
{
    if (json_type(doc, node) != JSON_NUMBER)
        return false;
    const char *s = doc->text + doc->node[node].at, *end = doc->text + doc->node[node].end;
    const bool minus = *s == '-';
    uint64_t v;

    if (!magnitude(s + minus, end, &v) || v > (uint64_t)INT64_MAX + minus)
        return false;
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool json_f64(const struct json *doc, uint32_t node, double *out)
{
    if (json_type(doc, node) != JSON_NUMBER)
        return false;
    const size_t n = (size_t)(doc->node[node].end - doc->node[node].at);
    char *text = mem_grow(NULL, n + 1);

    memcpy(text, doc->text + doc->node[node].at, n);
    text[n] = 0;
    const double v = strtod(text, NULL);

    mem_free(text);
    if (!isfinite(v))
        return false;
    *out = v;
    return true;
}

bool json_bool(const struct json *doc, uint32_t node, bool *out)
{
    if (json_type(doc, node) != JSON_BOOL)
        return false;
    *out = doc->text[doc->node[node].at] == 't';
    return true;
}

void json_put_string(struct buf *out, const char *text, size_t n)
{
    static const char plain[] = "\"\\\b\t\n\f\r", letter[] = "\"\\btnfr";

    buf_u8(out, '"');
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text[i];
        const char *short_form = c ? strchr(plain, c) : NULL;

        if (short_form)
            buf_printf(out, "\\%c", letter[short_form - plain]);
        else if (c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else
            buf_u8(out, c);
    }
    buf_u8(out, '"');
}
