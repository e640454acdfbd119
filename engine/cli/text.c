#include "cli/text.h"

#include "base/file.h"
#include "base/json.h"
#include "lua/near.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- sizes -------------------------------------------------------------------------------- */

/* What one of UNIT is worth; 0 when it is no unit. */
static double unit_bytes(const char *unit)
{
    static const char letters[] = "kmgt";
    const char *letter;

    if (!unit[0] || strcasecmp(unit, "b") == 0)
        return 1;
    letter = strchr(letters, unit[0] | 0x20);
    if (!letter)
        return 0;
    const int power = (int)(letter - letters) + 1;

    if (!unit[1] || strcasecmp(unit + 1, "ib") == 0)
        return ldexp(1, 10 * power);
    if (strcasecmp(unit + 1, "b") != 0)
        return 0;
    double value = 1;

    for (int i = 0; i < power; i++)
        value *= 1000;
    return value;
}

bool size_parse(const char *text, uint64_t *bytes)
{
    const size_t digits = strspn(text, "0123456789.");
    char *end;

    if (digits == 0 || digits > 24)
        return false;
    const double number = strtod(text, &end);
    const double value = number * unit_bytes(end);

    /* strtod takes exponents and hexadecimal, which nobody means here */
    if (end != text + digits || unit_bytes(end) <= 0 || value >= 0x1p62)
        return false;
    *bytes = (uint64_t)value;
    return true;
}

const char *size_text(uint64_t bytes, char *text, size_t room)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        snprintf(text, room, "%llu byte%s", (unsigned long long)bytes, bytes == 1 ? "" : "s");
        return text;
    }
    while (value >= 1024 && unit + 1 < countof(units)) {
        value /= 1024;
        unit++;
    }
    snprintf(text, room, "%.3f %s", value, units[unit]);
    return text;
}

const char *duration_text(int64_t ns, char *text, size_t room)
{
    const int64_t seconds = ns / 1000000000;

    if (seconds < 60)
        snprintf(text, room, "%.2f s", (double)ns / 1e9);
    else if (seconds < 3600)
        snprintf(text, room, "%d:%02d", (int)(seconds / 60), (int)(seconds % 60));
    else
        snprintf(text, room, "%lld:%02d:%02d", (long long)(seconds / 3600),
                 (int)(seconds / 60 % 60), (int)(seconds % 60));
    return text;
}

/* ---- words -------------------------------------------------------------------------------- */

const char *near_word(const char *word, const char *const *words, size_t n)
{
    uint32_t least = near_limit(word) + 1;
    const char *best = NULL;

    for (size_t i = 0; i < n; i++) {
        const uint32_t edits = near_distance(word, words[i], least);

        /* a letter must stay: "x" is near to nothing */
        if (edits < least && edits < strlen(word)) {
            least = edits;
            best = words[i];
        }
    }
    return best;
}

/* Bytes of the UTF-8 character at TEXT, or 0 when it is none. */
static size_t utf8_size(const char *text, size_t n)
{
    for (size_t k = 1; k <= 4 && k <= n; k++)
        if (utf8_valid(text, k))
            return k;
    return 0;
}

/* Would it move a terminal's cursor, or hide? C0, DEL, C1, and the marks that turn direction. */
static bool is_control(const char *text, size_t k)
{
    const unsigned char *c = (const unsigned char *)text;

    if (k == 1)
        return c[0] < 0x20 || c[0] == 0x7f;
    if (k == 2)
        return c[0] == 0xc2 && c[1] < 0xa0;
    return k == 3 && c[0] == 0xe2 &&
           ((c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) || (c[1] == 0x81 && c[2] >= 0xa6));
}

void put_safe(struct buf *out, const char *text, size_t n, size_t limit)
{
    const size_t end = n < limit ? n : limit;

    for (size_t i = 0; i < end;) {
        const size_t k = utf8_size(text + i, n - i);

        if (k && !is_control(text + i, k)) {
            buf_put(out, text + i, k);
            i += k;
            continue;
        }
        for (const size_t stop = i + (k ? k : 1); i < stop; i++)
            buf_printf(out, "\\x%02x", (unsigned char)text[i]);
    }
    if (n > limit)
        buf_text(out, "...");
}

/* ---- JSON --------------------------------------------------------------------------------- */

void json_comma(struct buf *out)
{
    if (out->size && !strchr("{[", out->data[out->size - 1]))
        buf_u8(out, ',');
}

void json_key(struct buf *out, const char *key)
{
    json_comma(out);
    json_put_string(out, key, strlen(key));
    buf_u8(out, ':');
}

void json_value(struct buf *out, const char *text, size_t n)
{
    struct buf clean = {0};

    if (utf8_valid(text, n)) {
        json_put_string(out, text, n);
        return;
    }
    for (size_t i = 0; i < n;) {
        const size_t k = utf8_size(text + i, n - i);

        if (k)
            buf_put(&clean, text + i, k);
        else
            buf_text(&clean, "\xef\xbf\xbd");
        i += k ? k : 1;
    }
    json_put_string(out, (const char *)clean.data, clean.size);
    buf_finish(&clean);
}

void json_text(struct buf *out, const char *key, const char *text, size_t n)
{
    json_key(out, key);
    json_value(out, text, n);
}

void json_word(struct buf *out, const char *key, const char *text)
{
    json_text(out, key, text, strlen(text));
}

void json_u64_put(struct buf *out, const char *key, uint64_t value)
{
    json_key(out, key);
    buf_printf(out, "%llu", (unsigned long long)value);
}

void json_i64_put(struct buf *out, const char *key, int64_t value)
{
    json_key(out, key);
    buf_printf(out, "%lld", (long long)value);
}

void json_f64_put(struct buf *out, const char *key, double value)
{
    json_key(out, key);
    if (isfinite(value))
        buf_printf(out, "%.12g", value);
    else
        buf_text(out, "null");
}

void json_flag(struct buf *out, const char *key, bool value)
{
    json_key(out, key);
    buf_text(out, value ? "true" : "false");
}

void json_digest(struct buf *out, const char *key, struct digest value)
{
    static const struct digest zero;
    char hex[DIGEST_HEX + 1];

    json_key(out, key);
    if (digest_eq(value, zero))
        buf_text(out, "null");
    else
        json_put_string(out, digest_hex(value, hex), DIGEST_HEX);
}

/* ---- saying ------------------------------------------------------------------------------- */

static enum { SAY_STDOUT, SAY_STDERR, SAY_NOTHING } say_to;

void say_elsewhere(void)
{
    say_to = SAY_STDERR;
}

void say_nothing(void)
{
    say_to = SAY_NOTHING;
}

void say(const char *fmt, ...)
{
    va_list ap;

    if (say_to == SAY_NOTHING)
        return;
    va_start(ap, fmt);
    vfprintf(say_to == SAY_STDOUT ? stdout : stderr, fmt, ap);
    va_end(ap);
}

void say_bytes(const void *text, size_t n)
{
    if (say_to != SAY_NOTHING && n)
        fwrite(text, 1, n, say_to == SAY_STDOUT ? stdout : stderr);
}

bool say_json(const char *path, const struct buf *text, struct err *err)
{
    if (strcmp(path, "-") != 0)
        return file_replace(path, text->data, text->size, err);
    say_bytes(text->data, text->size);
    return true;
}
