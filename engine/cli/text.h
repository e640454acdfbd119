/* text.h - sizes, columns, near words and JSON fields, as the command prints them */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

/* "64M", "2G", "1.5GiB", "300000", "1.5GB": K, M, G, T are powers of 1024 with or without "iB",
 * powers of 1000 with "B". False when TEXT is none of it or does not fit. */
bool size_parse(const char *text, uint64_t *bytes) MUST_USE;
/* "8.715 GiB", "512 bytes": three decimals, the largest unit that is not below 1. */
const char *size_text(uint64_t bytes, char *text, size_t room);
/* "0.34 s", "3:07", "1:02:05" */
const char *duration_text(int64_t ns, char *text, size_t room);

/* The word of the N in WORDS that is nearest to WORD, or NULL when none is near. */
const char *near_word(const char *word, const char *const *words, size_t n);

/* N bytes of somebody's file, fit for a terminal: control characters as \xNN, bytes that are no
 * UTF-8 too, and "..." after LIMIT bytes. */
void put_safe(struct buf *out, const char *text, size_t n, size_t limit);

/* JSON: "KEY":VALUE, after a comma unless it comes first in its object. Text that is no UTF-8
 * has U+FFFD in place of each byte that does not fit. */
void json_key(struct buf *out, const char *key);
void json_text(struct buf *out, const char *key, const char *text, size_t n);
void json_word(struct buf *out, const char *key, const char *text);
void json_u64_put(struct buf *out, const char *key, uint64_t value);
void json_i64_put(struct buf *out, const char *key, int64_t value);
void json_f64_put(struct buf *out, const char *key, double value); /* null when not finite */
void json_flag(struct buf *out, const char *key, bool value);
void json_digest(struct buf *out, const char *key, struct digest value); /* null when zero */
/* A comma, unless the last byte opens an array or an object. */
void json_comma(struct buf *out);
/* A string value: json_text without its key. */
void json_value(struct buf *out, const char *text, size_t n);

/* What a command was asked to print goes to standard output, or to standard error when JSON
 * lines have taken standard output (say_elsewhere) and nothing under -q (say_nothing). */
void say_elsewhere(void);
void say_nothing(void);
void say(const char *fmt, ...) PRINTF(1, 2);
void say_bytes(const void *text, size_t n);
/* TEXT into the file at PATH, or said when PATH is "-". */
bool say_json(const char *path, const struct buf *text, struct err *err) MUST_USE;

#endif
