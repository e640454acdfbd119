/* yaml_scalar.c - what a plain scalar is: YAML 1.1's types as safe loaders resolve them */
#include "format/yaml.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Longer ones are texts: nobody writes such a number. */
enum { NUMBER_BYTES = 400 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int digit_of(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

/* The end of a run of digits of BASE and underscores. */
static const char *skip_digits(const char *s, int base)
{
    while (*s == '_' || digit_of(*s) < base)
        s++;
    return s;
}

/* The end of ":MM" parts, each 0 to 59 in one or two digits; S itself when there is none. */
static const char *skip_sixties(const char *s)
{
    while (s[0] == ':' && is_digit(s[1])) {
        const bool two = is_digit(s[2]);

        if (two && s[1] > '5')
            return s + 2; /* ":6" and a digit too many: not a number */
        s += two ? 3 : 2;
    }
    return s;
}

/* A whole number in BASE: an int, or a float when it is beyond 64 bits. */
static enum yaml_kind whole(const char *s, int base, bool minus, union yaml_value *out)
{
    uint64_t sum = 0;
    double wide = 0;
    bool over = false;

    for (const char *p = s; *p; p++) {
        if (*p == '_')
            continue;
        const uint64_t digit = (uint64_t)digit_of(*p);

        over = over || sum > (INT64_MAX - digit) / (uint64_t)base;
        sum = over ? 0 : sum * (uint64_t)base + digit;
        wide = wide * base + (double)digit;
    }
    if (!over) {
        out->i64 = minus ? -(int64_t)sum : (int64_t)sum;
        return YAML_INT;
    }
    if (base == 10) { /* rounded once */
        char plain[NUMBER_BYTES + 1];
        size_t n = 0;

        for (const char *p = s; *p; p++)
            if (*p != '_')
                plain[n++] = *p;
        plain[n] = 0;
        wide = strtod(plain, NULL);
    }
    out->f64 = minus ? -wide : wide;
    return YAML_FLOAT;
}

/* "H:MM:SS" with at least one colon, summed from its end as the peers' loader does; the last part
 * may have a point. */
static double sixties(const char *s)
{
    const char *end = s + strlen(s);
    double sum = 0, unit = 1;

    while (end > s) {
        const char *from = end;
        char part[NUMBER_BYTES + 1];
        size_t n = 0;

        while (from > s && from[-1] != ':')
            from--;
        for (const char *p = from; p < end; p++)
            if (*p != '_')
                part[n++] = *p;
        part[n] = 0;
        sum += strtod(part, NULL) * unit;
        unit *= 60;
        end = from > s ? from - 1 : s;
    }
    return sum;
}

static enum yaml_kind integer(const char *s, union yaml_value *out)
{
    const bool minus = *s == '-';
    const char *p = s + (*s == '-' || *s == '+');

    if (p[0] == '0' && (p[1] == 'b' || p[1] == 'x')) {
        const int base = p[1] == 'b' ? 2 : 16;
        const char *end = skip_digits(p + 2, base);

        if (*end || strspn(p + 2, "_") == (size_t)(end - p - 2)) /* no digit at all */
            return YAML_TEXT;
        return whole(p + 2, base, minus, out);
    }
    if (p[0] == '0' && p[1])
        return *skip_digits(p + 1, 8) ? YAML_TEXT : whole(p, 8, minus, out);
    if (!is_digit(p[0]))
        return YAML_TEXT;
    const char *end = skip_digits(p, 10);

    if (!*end)
        return whole(p, 10, minus, out);
    if (p[0] == '0' || *end != ':' || *skip_sixties(end))
        return YAML_TEXT;
    const double sum = sixties(p);

    if (sum < 9e15) {
        out->i64 = minus ? -(int64_t)sum : (int64_t)sum;
        return YAML_INT;
    }
    out->f64 = minus ? -sum : sum;
    return YAML_FLOAT;
}

/* After the point: digits, underscores, an exponent with its sign. */
static bool fraction(const char *s)
{
    s = skip_digits(s, 10);
    if (*s != 'e' && *s != 'E')
        return !*s;
    s++;
    if (*s != '+' && *s != '-')
        return false;
    s++;
    if (!is_digit(*s))
        return false;
    while (is_digit(*s))
        s++;
    return !*s;
}

static bool one_of(const char *s, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(s, *list) == 0)
            return true;
    return false;
}

static enum yaml_kind special(const char *s, union yaml_value *out)
{
    static const char *const inf[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const nan_[] = {".nan", ".NaN", ".NAN", NULL};

    if (one_of(s, nan_)) {
        out->f64 = (double)NAN;
        return YAML_FLOAT;
    }
    if (!one_of(s + (*s == '-' || *s == '+'), inf))
        return YAML_TEXT;
    out->f64 = *s == '-' ? -HUGE_VAL : HUGE_VAL;
    return YAML_FLOAT;
}

static enum yaml_kind real(const char *s, union yaml_value *out)
{
    const bool minus = *s == '-';
    const char *p = s + (*s == '-' || *s == '+');
    char plain[NUMBER_BYTES + 1];
    size_t n = 0;

    if (p[0] == '.' && (p != s || !is_digit(p[1]) || !fraction(p + 1)))
        return special(s, out);
    if (p[0] != '.' && !is_digit(p[0]))
        return YAML_TEXT;
    if (p[0] != '.') {
        const char *end = skip_digits(p, 10);
        const char *point = skip_sixties(end);

        if (*point != '.' || (point > end ? *skip_digits(point + 1, 10) : !fraction(point + 1)))
            return YAML_TEXT;
        if (point > end) {
            const double sum = sixties(p);

            out->f64 = minus ? -sum : sum;
            return YAML_FLOAT;
        }
    }
    for (; *p; p++)
        if (*p != '_')
            plain[n++] = *p;
    plain[n] = 0;
    out->f64 = minus ? -strtod(plain, NULL) : strtod(plain, NULL);
    return YAML_FLOAT;
}

enum yaml_kind yaml_resolve(const char *text, size_t n, union yaml_value *out)
{
    static const char *const none[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"yes",  "Yes", "YES", "true", "True",
                                      "TRUE", "on",  "On",  "ON",   NULL};
    static const char *const no[] = {"no",    "No",  "NO",  "false", "False",
                                     "FALSE", "off", "Off", "OFF",   NULL};
    char s[NUMBER_BYTES + 1];

    if (n > NUMBER_BYTES || memchr(text, 0, n))
        return YAML_TEXT;
    memcpy(s, text, n);
    s[n] = 0;
    if (one_of(s, none))
        return YAML_NULL;
    out->flag = one_of(s, yes);
    if (out->flag || one_of(s, no))
        return YAML_BOOL;
    const enum yaml_kind kind = integer(s, out);

    return kind != YAML_TEXT ? kind : real(s, out);
}
