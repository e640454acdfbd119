/* json.h - a bounded JSON reader (spans, no recursion) and the few writers that vbuild needs
 *
 * Hostile input: depth, counts and sizes are limited before memory is spent; strict RFC 8259
 * (no comments, trailing commas, NaN, BOM); valid UTF-8; no lone surrogate escapes; duplicate
 * keys of one object are an error (compared after unescaping). Numbers stay text, since real
 * tokenizer configs hold integers beyond 64 bits, and spans let an edit keep all other bytes. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
enum { JSON_NONE = 0, JSON_DEPTH_MAX = 64 };

struct json_node {
    uint8_t type;
    uint8_t escaped;  /* a string that holds a backslash */
    uint32_t count;   /* elements of an array, pairs of an object */
    uint32_t next;    /* the node after this value and all inside it */
    uint64_t at, end; /* its bytes in the text; a string without its quotes */
};

/* A document: node 1 is the root; the children of node i begin at i + 1; an object's children
 * are key, value, key, value. JSON_NONE (0) means "not there" everywhere. */
struct json {
    const char *text;
    size_t size;
    struct json_node *node;
    uint32_t count;
};

/* Parse SIZE bytes that must be one value and white space. TEXT must outlive the document.
 * DEPTH is the deepest nesting allowed (at most JSON_DEPTH_MAX). Errors name the byte. */
bool json_parse(struct json *out, const char *text, size_t size, uint32_t depth,
                struct arena *arena, struct err *err) MUST_USE;

enum json_type json_type(const struct json *doc, uint32_t node); /* JSON_NULL for JSON_NONE */
uint32_t json_get(const struct json *doc, uint32_t object, const char *key);
uint32_t json_at(const struct json *doc, uint32_t array, uint32_t index);
/* for (uint32_t k = json_first(d, n); k; k = json_after(d, n, k)): children of n, keys too. */
uint32_t json_first(const struct json *doc, uint32_t node);
uint32_t json_after(const struct json *doc, uint32_t node, uint32_t child);

/* A string unescaped into ARENA (NUL after it), or in place when nothing is escaped; *n its
 * bytes. NULL when the node is no string. */
const char *json_string(const struct json *doc, uint32_t node, struct arena *arena, size_t *n);
/* True when NODE is a string equal to TEXT. */
bool json_is(const struct json *doc, uint32_t node, const char *text);
/* A number written without '.' or exponent that fits; false otherwise. */
bool json_i64(const struct json *doc, uint32_t node, int64_t *out);
bool json_u64(const struct json *doc, uint32_t node, uint64_t *out);
bool json_f64(const struct json *doc, uint32_t node, double *out); /* any number */
bool json_bool(const struct json *doc, uint32_t node, bool *out);

/* True when N bytes are valid UTF-8: no overlong forms, surrogates, or values past U+10FFFF. */
bool utf8_valid(const char *text, size_t n);

/* A JSON string with its quotes: the escapes of specs/hf-and-convert.md section 1.3 rule 4. */
void json_put_string(struct buf *out, const char *text, size_t n);

#endif
