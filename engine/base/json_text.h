/* json_text.h - strings of a parsed document, shared by json.c and json_read.c */
#ifndef BASE_JSON_TEXT_H
#define BASE_JSON_TEXT_H

#include "base/json.h"

/* The next character of a checked string at *S as up to 4 bytes in TO (one byte of a raw
 * multi-byte character at a time); moves *S past it; returns the bytes. */
size_t json_next_char(const char **s, char *to);
/* A string node unescaped into ARENA, NUL after it; in place, and ARENA unused, when nothing is
 * escaped. */
const char *json_span_string(const char *text, const struct json_node *node, struct arena *arena,
                             size_t *n);

#endif
