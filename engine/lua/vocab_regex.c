/* vocab_regex.c - engine.regex: ECMAScript's regular expressions, searched for in tensor names
 *
 * llama-quantize takes std::regex's ECMAScript for --tensor-type; here PCRE2 does the matching.
 * The two agree on what they share, and every pattern is rewritten into that: each construct is
 * read by ECMAScript's grammar and written so that PCRE2 can only mean the same, literals as
 * \xHH. What ECMAScript lacks, and what the two read differently, is refused by name. Bytes are
 * characters (as char is in std::regex), \d \w \s and the classes are ASCII. A back-reference to
 * a group that took no part matches nothing, as in std::regex.
 *
 * Patterns come from strangers: their length, groups and repeats are bounded here, the steps of
 * one search by PCRE2's match limit. */
#include "base/buf.h"
#include "base/err.h"
#include "lua/sandbox.h"
#include "lua/vocab.h"

#define PCRE2_CODE_UNIT_WIDTH 8 /* of pcre2.h */

#include <lauxlib.h>
#include <pcre2.h>
#include <string.h>

enum { BYTES_MAX = 16384, GROUPS_MAX = 200, DEPTH_MAX = 100, REPEAT_MAX = 255, STEPS_MAX = 100000 };

static const char regex_type[] = "vbuild.regex";

struct regex { /* a userdata */
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
};

/* ---- rewriting ------------------------------------------------------------------------------ */

struct scan {
    const char *at, *end;
    struct buf *out;
    struct err *err;
    bool repeatable; /* what stands before may have a quantifier */
    uint32_t groups, depth;
    bool closed[GROUPS_MAX + 1];
    struct {
        uint32_t number; /* 0: it captures nothing */
        bool lookahead;
    } open[DEPTH_MAX];
};

static bool starts(const struct scan *s, const char *text)
{
    const size_t n = strlen(text);

    return (size_t)(s->end - s->at) >= n && memcmp(s->at, text, n) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void put_byte(struct scan *s, unsigned char c)
{
    if (is_digit((char)c) || is_letter((char)c))
        buf_printf(s->out, "%c", c);
    else
        buf_printf(s->out, "\\x%02x", c);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = memchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c, 16);

    return at ? (int)(at - digits) : -1;
}

/* N hexadecimal digits of the character \x or \u. */
static bool take_hex(struct scan *s, size_t n, unsigned char *out)
{
    uint32_t value = 0;

    for (size_t i = 0; i < n; i++) {
        const int digit = s->at < s->end ? hex_digit(*s->at) : -1;

        if (digit < 0)
            return err_set(s->err, ERR_RECIPE, "'\\%c' needs %zu hexadecimal digits",
                           n == 2 ? 'x' : 'u', n);
        value = 16 * value + (uint32_t)digit;
        s->at++;
    }
    if (n == 4 && value > 0x7f)
        return err_set(s->err, ERR_RECIPE, "'\\u%04x' is beyond ASCII; write it as it is", value);
    *out = (unsigned char)value;
    return true;
}

/* A decimal number of at most six digits; false when there is none. */
static bool take_number(struct scan *s, uint32_t *out)
{
    uint32_t n = 0, digits = 0;

    for (; s->at < s->end && is_digit(*s->at) && digits < 6; digits++)
        n = 10 * n + (uint32_t)(*s->at++ - '0');
    *out = n;
    return digits > 0 && !(s->at < s->end && is_digit(*s->at));
}

/* Whether \C stands for a set of characters. */
static bool is_set(char c)
{
    return c != '\0' && strchr("dDwWsS", c) != NULL;
}

/* The character that an escape stands for, in a class or out of it; AT is after its letter C. */
static bool take_escape(struct scan *s, char c, unsigned char *out)
{
    static const char letters[] = "tnvfr", values[] = "\t\n\v\f\r";
    const char *simple = c ? strchr(letters, c) : NULL;

    if (simple) {
        *out = (unsigned char)values[simple - letters];
    } else if (c == 'x' || c == 'u') {
        return take_hex(s, c == 'x' ? 2 : 4, out);
    } else if (c == '0') {
        if (s->at < s->end && is_digit(*s->at))
            return err_set(s->err, ERR_RECIPE, "'\\0%c': octal escapes are not ECMAScript", *s->at);
        *out = 0;
    } else if (c == 'c') {
        if (s->at >= s->end || !is_letter(*s->at))
            return err_set(s->err, ERR_RECIPE, "'\\c' needs a letter");
        *out = (unsigned char)(*s->at++ & 31);
    } else if (c == 'Q' || c == 'E') {
        return err_set(s->err, ERR_RECIPE, "'\\%c' (quoting) is not ECMAScript", c);
    } else if (c == 'k') {
        return err_set(s->err, ERR_RECIPE, "'\\k' (named groups) is not taken; use \\1");
    } else if (is_letter(c)) {
        return err_set(s->err, ERR_RECIPE, "'\\%c' is not ECMAScript", c);
    } else {
        *out = (unsigned char)c;
    }
    return true;
}

static bool take_reference(struct scan *s)
{
    uint32_t n;

    if (!take_number(s, &n) || n > s->groups || !s->closed[n])
        return err_set(s->err, ERR_RECIPE,
                       "a back-reference to a group that has not ended before "
                       "it (there are %" PRIu32 ")",
                       s->groups);
    buf_printf(s->out, "\\g{%" PRIu32 "}", n);
    s->repeatable = true;
    return true;
}

/* What a backslash begins outside a class. */
static bool outside_escape(struct scan *s)
{
    unsigned char value;

    if (s->at >= s->end)
        return err_set(s->err, ERR_RECIPE, "it ends with a backslash");
    if (*s->at >= '1' && *s->at <= '9')
        return take_reference(s);
    const char c = *s->at++;

    if (c == 'b' || c == 'B' || is_set(c)) {
        buf_printf(s->out, "\\%c", c);
        s->repeatable = is_set(c);
        return true;
    }
    if (!take_escape(s, c, &value))
        return false;
    put_byte(s, value);
    s->repeatable = true;
    return true;
}

/* ---- classes -------------------------------------------------------------------------------- */

/* [:name:], AT after the bracket: std::regex has these inside of classes. */
static bool take_named(struct scan *s)
{
    static const char *const names[] = {"alnum", "alpha", "blank", "cntrl", "digit", "graph",
                                        "lower", "print", "punct", "space", "upper", "xdigit"};
    const char kind = *s->at;

    if (kind != ':')
        return err_set(s->err, ERR_RECIPE, "'[%c' (collating) in a class is not taken", kind);
    const char *name = s->at + 1, *stop = name;

    while (stop < s->end && is_letter(*stop))
        stop++;
    const size_t n = (size_t)(stop - name);

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (n == strlen(names[i]) && memcmp(name, names[i], n) == 0 && s->end - stop >= 2 &&
            stop[0] == ':' && stop[1] == ']') {
            buf_printf(s->out, "[:%s:]", names[i]);
            s->at = stop + 2;
            return true;
        }
    return err_set(s->err, ERR_RECIPE, "'[:%.*s' names no class of characters", (int)n, name);
}

/* One item of a class: a set, which is written, or a character into *OUT, which is not. */
static bool take_item(struct scan *s, bool *set, unsigned char *out)
{
    const char c = *s->at++;

    *set = false;
    *out = (unsigned char)c;
    if (c == '[' && s->at < s->end && strchr(":=.", *s->at) && *s->at) {
        *set = true;
        return take_named(s);
    }
    if (c != '\\')
        return true;
    if (s->at >= s->end)
        return err_set(s->err, ERR_RECIPE, "it ends with a backslash");
    const char letter = *s->at++;

    *set = is_set(letter);
    if (*set) {
        buf_printf(s->out, "\\%c", letter);
    } else if (letter == 'b') {
        *out = '\b';
    } else if (letter == 'B' || (letter >= '1' && letter <= '9')) {
        return err_set(s->err, ERR_RECIPE, "'\\%c' stands in a class", letter);
    } else {
        return take_escape(s, letter, out);
    }
    return true;
}

static bool take_class(struct scan *s)
{
    buf_text(s->out, "[");
    if (s->at < s->end && *s->at == '^') {
        buf_text(s->out, "^");
        s->at++;
    }
    while (s->at < s->end && *s->at != ']') {
        bool first_set, last_set;
        unsigned char first, last;

        if (!take_item(s, &first_set, &first))
            return false;
        const bool range = s->end - s->at >= 2 && s->at[0] == '-' && s->at[1] != ']';

        if (!first_set)
            put_byte(s, first);
        if (!range)
            continue;
        s->at++;
        buf_text(s->out, "-");
        if (!take_item(s, &last_set, &last))
            return false;
        if (first_set || last_set)
            return err_set(s->err, ERR_RECIPE,
                           "a range of a class begins or ends with a set; "
                           "write '\\-' for a hyphen");
        if (first > last)
            return err_set(s->err, ERR_RECIPE, "the range '%c-%c' of a class is empty", first,
                           last);
        put_byte(s, last);
    }
    if (s->at >= s->end)
        return err_set(s->err, ERR_RECIPE, "a '[' has no ']'");
    s->at++;
    buf_text(s->out, "]");
    s->repeatable = true;
    return true;
}

/* ---- groups and quantifiers ----------------------------------------------------------------- */

static bool open_group(struct scan *s)
{
    static const struct {
        const char *text, *what;
    } foreign[] = {{"?<=", "lookbehind"},     {"?<!", "lookbehind"},   {"?<", "named groups"},
                   {"?P", "named groups"},    {"?'", "named groups"},  {"?>", "atomic groups"},
                   {"?#", "comments"},        {"?|", "branch resets"}, {"*", "verbs"},
                   {"?", "options of groups"}};
    const bool plain = !starts(s, "?") && !starts(s, "*");
    const bool ahead = starts(s, "?=") || starts(s, "?!");

    if (s->depth == DEPTH_MAX || (plain && s->groups == GROUPS_MAX))
        return err_set(s->err, ERR_LIMIT, "it has more than %d groups, or %d in each other",
                       GROUPS_MAX, DEPTH_MAX);
    if (plain) {
        buf_text(s->out, "(");
    } else if (ahead || starts(s, "?:")) {
        buf_printf(s->out, "(%.2s", s->at);
        s->at += 2;
    } else {
        for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
            if (starts(s, foreign[i].text))
                return err_set(s->err, ERR_RECIPE,
                               "'(%s' (%s) is not ECMAScript as std::regex "
                               "has it",
                               foreign[i].text, foreign[i].what);
    }
    s->open[s->depth].number = plain ? ++s->groups : 0;
    s->open[s->depth].lookahead = ahead;
    s->depth++;
    s->repeatable = false;
    return true;
}

static bool close_group(struct scan *s)
{
    if (s->depth == 0)
        return err_set(s->err, ERR_RECIPE, "a ')' has no '('");
    s->depth--;
    s->closed[s->open[s->depth].number] = true;
    s->repeatable = !s->open[s->depth].lookahead;
    buf_text(s->out, ")");
    return true;
}

/* {n}, {n,}, {n,m}, AT after the brace. */
static bool take_braces(struct scan *s)
{
    uint32_t least, most;
    bool ok = take_number(s, &least);

    most = least;
    buf_printf(s->out, "{%" PRIu32, least);
    if (ok && s->at < s->end && *s->at == ',') {
        s->at++;
        buf_text(s->out, ",");
        if (s->at < s->end && *s->at != '}') {
            ok = take_number(s, &most);
            buf_printf(s->out, "%" PRIu32, most);
        }
    }
    if (!ok || s->at >= s->end || *s->at != '}')
        return err_set(s->err, ERR_RECIPE, "a '{' is no quantifier like {2} or {2,5}; write '\\{'");
    s->at++;
    if (least > most || most > REPEAT_MAX)
        return err_set(s->err, ERR_RECIPE,
                       "the quantifier {%" PRIu32 ",%" PRIu32 "} goes down or "
                       "beyond %d",
                       least, most, REPEAT_MAX);
    buf_text(s->out, "}");
    return true;
}

static bool take_quantifier(struct scan *s, char c)
{
    if (!s->repeatable)
        return err_set(s->err, ERR_RECIPE, "'%c' has nothing to repeat before it", c);
    s->repeatable = false;
    if (c == '{') {
        if (!take_braces(s))
            return false;
    } else {
        buf_printf(s->out, "%c", c);
    }
    if (s->at < s->end && *s->at == '?') {
        buf_text(s->out, "?");
        s->at++;
    }
    if (s->at < s->end && *s->at == '+')
        return err_set(s->err, ERR_RECIPE, "'%c+' (possessive quantifiers) is not ECMAScript", c);
    return true;
}

static bool rewrite(struct scan *s)
{
    while (s->at < s->end) {
        const char c = *s->at++;
        bool ok = true;

        if (c == '^' || c == '$' || c == '|') {
            buf_printf(s->out, "%c", c);
            s->repeatable = false;
        } else if (c == '(') {
            ok = open_group(s);
        } else if (c == ')') {
            ok = close_group(s);
        } else if (c == '[') {
            ok = take_class(s);
        } else if (c == '\\') {
            ok = outside_escape(s);
        } else if (c == '*' || c == '+' || c == '?' || c == '{') {
            ok = take_quantifier(s, c);
        } else {
            if (c == '.')
                buf_text(s->out, ".");
            else
                put_byte(s, (unsigned char)c);
            s->repeatable = true;
        }
        if (!ok)
            return false;
    }
    return s->depth == 0 || err_set(s->err, ERR_RECIPE, "a '(' has no ')'");
}

/* ---- matching ------------------------------------------------------------------------------- */

static int regex_free(lua_State *L)
{
    struct regex *re = lua_touserdata(L, 1);

    pcre2_match_context_free(re->context);
    pcre2_match_data_free(re->data);
    pcre2_code_free(re->code);
    *re = (struct regex){0};
    return 0;
}

/* match(name): whether the expression occurs in it; nil and a message when that takes too long. */
static int regex_match(lua_State *L)
{
    const struct regex *re = lua_touserdata(L, lua_upvalueindex(1));
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    const int got =
        pcre2_match(re->code, (PCRE2_SPTR)text, n, 0, PCRE2_NO_UTF_CHECK, re->data, re->context);

    if (got >= 0 || got == PCRE2_ERROR_NOMATCH) {
        lua_pushboolean(L, got >= 0);
        return 1;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "it takes more than %d steps on '%s'", (int)STEPS_MAX, text);
    return 2;
}

static bool compile(struct regex *re, const struct buf *text, struct err *err)
{
    const uint32_t options =
        PCRE2_ALLOW_EMPTY_CLASS | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    char why[128] = "out of memory";
    int code = 0;
    size_t at = 0;

    if (context) {
        pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF); /* what '.' does not match */
        re->code = pcre2_compile(text->data, text->size, options, &code, &at, context);
        if (!re->code)
            pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
        pcre2_compile_context_free(context);
    }
    if (!re->code)
        return err_set(err, ERR_RECIPE, "%s", why);
    re->data = pcre2_match_data_create(1, NULL);
    re->context = pcre2_match_context_create(NULL);
    if (!re->data || !re->context)
        return err_set(err, ERR_MEMORY, "out of memory");
    pcre2_set_match_limit(re->context, STEPS_MAX);
    return true;
}

/* engine.regex(text): a function match(name); nil and why it is no expression. */
int vocab_regex(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    struct err err = {0};
    struct buf out = {0};
    struct regex *re = lua_newuserdatauv(L, sizeof(*re), 0);
    struct scan s = {.at = text, .end = text + n, .out = &out, .err = &err};

    *re = (struct regex){0};
    if (luaL_newmetatable(L, regex_type)) {
        lua_pushcfunction(L, regex_free);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    bool ok = n <= BYTES_MAX ||
              err_set(&err, ERR_LIMIT, "it has %zu bytes, the most is %d", n, (int)BYTES_MAX);

    if (ok)
        ok = rewrite(&s) && compile(re, &out, &err);
    buf_finish(&out);
    if (!ok) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        return 2;
    }
    lua_pushcclosure(L, regex_match, 1);
    return 1;
}
