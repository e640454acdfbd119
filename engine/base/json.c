#include "base/json.h"

#include "base/json_text.h"
#include "base/map.h"

#include <string.h>

/* The nodes are grown while the text proves itself, so that a text costs memory only for what
 * was valid so far; NODES_MAX (512 MiB) is far beyond any real tokenizer or header. */
enum { NODES_MAX = 1 << 24, FEW_PAIRS = 12 };

enum state { WANT_VALUE, WANT_VALUE_OR_CLOSE, WANT_KEY, WANT_KEY_OR_CLOSE, WANT_NEXT };

struct parser {
    const char *text;
    size_t size, at;
    struct json_node *node;
    uint32_t count, room; /* nodes in use, node 0 among them */
    uint32_t stack[JSON_DEPTH_MAX];
    uint32_t depth, depth_max;
    enum state state;
    struct arena *scratch; /* unescaped keys of the object being checked */
    struct err *err;
};

static bool refuse(struct parser *p, size_t at, const char *wanted)
{
    const unsigned char c = at < p->size ? (unsigned char)p->text[at] : 0;

    if (at >= p->size)
        return err_set(p->err, ERR_FORMAT, "JSON ends at byte %zu where %s was expected", at,
                       wanted);
    if (c > 0x20 && c < 0x7f)
        return err_set(p->err, ERR_FORMAT, "JSON byte %zu is '%c' where %s was expected", at, c,
                       wanted);
    return err_set(p->err, ERR_FORMAT, "JSON byte %zu is 0x%02x where %s was expected", at, c,
                   wanted);
}

/* ---- strings ---- */

/* Bytes of the UTF-8 sequence at S (N bytes are left), 0 when it is not valid. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t len = s[0] < 0x80             ? 1
                       : (s[0] & 0xe0) == 0xc0 ? 2
                       : (s[0] & 0xf0) == 0xe0 ? 3
                       : (s[0] & 0xf8) == 0xf0 ? 4
                                               : 0;

    if (len <= 1 || len > n)
        return len == 1;
    uint32_t code = s[0] & (0x7fu >> len);

    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return len;
}

bool utf8_valid(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;

    for (size_t i = 0; i < n;) {
        const size_t len = s[i] < 0x80 ? 1 : utf8_length(s + i, n - i);

        if (!len)
            return false;
        i += len;
    }
    return true;
}

static int hex4(const char *s)
{
    int v = 0;

    for (int i = 0; i < 4; i++) {
        const char c = s[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;

        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

static bool is_high(int unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(int unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* p->at is at a backslash inside a string: check the escape and pass it. */
static bool check_escape(struct parser *p)
{
    const size_t at = p->at, left = p->size - at;
    const char *s = p->text + at;

    if (left < 2)
        return refuse(p, at + 1, "an escape");
    if (s[1] != 'u') {
        p->at += 2;
        return (s[1] && strchr("\"\\/bfnrt", s[1])) || refuse(p, at + 1, "one of \"\\/bfnrtu");
    }
    const int unit = left >= 6 ? hex4(s + 2) : -1;

    if (unit < 0)
        return err_set(p->err, ERR_FORMAT, "JSON byte %zu: four hex digits belong after \\u", at);
    p->at += 6;
    if (!is_high(unit) && !is_low(unit))
        return true;
    if (is_high(unit) && left >= 12 && s[6] == '\\' && s[7] == 'u' && is_low(hex4(s + 8))) {
        p->at += 6;
        return true;
    }
    return err_set(p->err, ERR_FORMAT, "JSON byte %zu: \\u%04x is half of a surrogate pair", at,
                   (unsigned)unit);
}

/* p->at is at the opening quote; passes the closing one. */
static bool scan_string(struct parser *p, struct json_node *out)
{
    const unsigned char *s = (const unsigned char *)p->text;

    out->type = JSON_STRING;
    out->at = ++p->at;
    for (;;) {
        while (p->at < p->size && s[p->at] >= 0x20 && s[p->at] < 0x80 && s[p->at] != '"' &&
               s[p->at] != '\\')
            p->at++;
        if (p->at == p->size)
            return refuse(p, p->at, "the rest of a string");
        const unsigned char c = s[p->at];

        if (c == '"') {
            out->end = p->at++;
            return true;
        }
        if (c == '\\') {
            out->escaped = 1;
            if (!check_escape(p))
                return false;
        } else if (c < 0x20) {
            return err_set(p->err, ERR_FORMAT,
                           "JSON byte %zu: the control byte 0x%02x must be escaped in a string",
                           p->at, c);
        } else {
            const size_t len = utf8_length(s + p->at, p->size - p->at);

            if (!len)
                return err_set(p->err, ERR_FORMAT, "JSON byte %zu: 0x%02x is not valid UTF-8",
                               p->at, c);
            p->at += len;
        }
    }
}

static size_t put_utf8(uint32_t code, char *to)
{
    const size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    if (len == 1) {
        to[0] = (char)code;
        return 1;
    }
    for (size_t i = len; --i > 0; code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)(code | (0xff00u >> len & 0xff));
    return len;
}

size_t json_next_char(const char **s, char *to)
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *at = *s;

    if (at[0] != '\\') {
        to[0] = at[0];
        *s = at + 1;
        return 1;
    }
    if (at[1] != 'u') {
        to[0] = meant[strchr(plain, at[1]) - plain];
        *s = at + 2;
        return 1;
    }
    const int unit = hex4(at + 2);

    *s = at + 6;
    if (!is_high(unit))
        return put_utf8((uint32_t)unit, to);
    *s = at + 12;
    return put_utf8(
        0x10000u + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(hex4(at + 8) - 0xdc00), to);
}

const char *json_span_string(const char *text, const struct json_node *node, struct arena *arena,
                             size_t *n)
{
    const char *s = text + node->at, *end = text + node->end;

    *n = (size_t)(node->end - node->at);
    if (!node->escaped)
        return s;
    char *out = arena_alloc(arena, *n + 4); /* an escape is never shorter than what it means */
    size_t size = 0;

    while (s < end)
        size += json_next_char(&s, out + size);
    out[size] = 0;
    *n = size;
    return out;
}

/* ---- the other values ---- */

static size_t digits(struct parser *p)
{
    const size_t from = p->at;

    while (p->at < p->size && p->text[p->at] >= '0' && p->text[p->at] <= '9')
        p->at++;
    return p->at - from;
}

static bool at_char(const struct parser *p, const char *any)
{
    return p->at < p->size && p->text[p->at] && strchr(any, p->text[p->at]);
}

static bool scan_number(struct parser *p, struct json_node *out)
{
    out->type = JSON_NUMBER;
    out->at = p->at;
    if (at_char(p, "-"))
        p->at++;
    if (at_char(p, "0")) {
        p->at++;
        if (at_char(p, "0123456789"))
            return err_set(p->err, ERR_FORMAT, "JSON byte %zu: a number has a leading zero",
                           p->at - 1);
    } else if (!digits(p)) {
        return refuse(p, p->at, "a digit");
    }
    if (at_char(p, ".")) {
        p->at++;
        if (!digits(p))
            return refuse(p, p->at, "a digit");
    }
    if (at_char(p, "eE")) {
        p->at++;
        if (at_char(p, "+-"))
            p->at++;
        if (!digits(p))
            return refuse(p, p->at, "a digit");
    }
    out->end = p->at;
    return true;
}

static bool scan_word(struct parser *p, struct json_node *out)
{
    static const struct {
        const char *word;
        enum json_type type;
    } words[] = {{"true", JSON_BOOL}, {"false", JSON_BOOL}, {"null", JSON_NULL}};

    for (size_t i = 0; i < countof(words); i++) {
        const size_t n = strlen(words[i].word);

        if (p->size - p->at < n || memcmp(p->text + p->at, words[i].word, n) != 0)
            continue;
        out->type = (uint8_t)words[i].type;
        out->at = p->at;
        out->end = p->at += n;
        return true;
    }
    return refuse(p, p->at, "a value");
}

/* ---- the tree ---- */

static bool add_node(struct parser *p, const struct json_node *node)
{
    if (p->count == p->room) {
        if (p->count >= NODES_MAX)
            return err_set(p->err, ERR_LIMIT, "JSON byte %zu: more than %d values", p->at,
                           (int)NODES_MAX);
        p->room = p->room ? p->room * 2 : 64;
        p->node = mem_grow(p->node, p->room * sizeof(*p->node));
    }
    p->node[p->count] = *node;
    p->node[p->count].next = p->count + 1;
    p->count++;
    return true;
}

static bool twice(struct parser *p, const struct json_node *key)
{
    size_t n = (size_t)(key->end - key->at);

    if (n > 200)
        for (n = 200; (p->text[key->at + n] & 0xc0) == 0x80;) /* not inside a character */
            n--;
    return err_set(p->err, ERR_FORMAT, "JSON byte %zu: key \"%.*s\" is there twice",
                   (size_t)key->at, (int)n, p->text + key->at);
}

/* Keys of the object at INDEX must differ after unescaping. A few are compared with each
 * other, which is all that most objects need; many go through a map. */
static bool check_keys(struct parser *p, uint32_t index)
{
    const struct json_node *object = &p->node[index];
    const bool few = object->count <= FEW_PAIRS;
    const char *key[FEW_PAIRS];
    size_t size[FEW_PAIRS], seen = 0;
    struct map map = {0};
    bool ok = true;

    for (uint32_t i = index + 1; ok && i < p->count; i = p->node[i + 1].next) {
        const struct json_node *node = &p->node[i];
        size_t n;

        if (node->escaped && !p->scratch)
            p->scratch = arena_new();
        const char *s = json_span_string(p->text, node, p->scratch, &n);

        if (few) {
            for (size_t k = 0; ok && k < seen; k++)
                ok = size[k] != n || memcmp(key[k], s, n) != 0;
            key[seen] = s;
            size[seen++] = n;
        } else {
            ok = map_add(&map, s, n, 0, NULL);
        }
        if (!ok)
            twice(p, node);
    }
    map_finish(&map);
    if (p->scratch)
        arena_reset(p->scratch);
    return ok;
}

static bool open_container(struct parser *p, enum json_type type)
{
    const struct json_node node = {.type = (uint8_t)type, .at = p->at};

    if (p->depth == p->depth_max)
        return err_set(p->err, ERR_LIMIT, "JSON byte %zu: nested deeper than %u", p->at,
                       p->depth_max);
    p->stack[p->depth++] = p->count;
    p->at++;
    p->state = type == JSON_ARRAY ? WANT_VALUE_OR_CLOSE : WANT_KEY_OR_CLOSE;
    return add_node(p, &node);
}

static bool close_container(struct parser *p)
{
    const uint32_t index = p->stack[--p->depth];

    p->at++;
    p->node[index].end = p->at;
    p->node[index].next = p->count;
    p->state = WANT_NEXT;
    return p->node[index].type != JSON_OBJECT || check_keys(p, index);
}

static bool step_value(struct parser *p)
{
    const char c = p->text[p->at];
    struct json_node node = {0};

    if (p->state == WANT_VALUE_OR_CLOSE && c == ']')
        return close_container(p);
    if (p->depth && p->node[p->stack[p->depth - 1]].type == JSON_ARRAY)
        p->node[p->stack[p->depth - 1]].count++;
    if (c == '{' || c == '[')
        return open_container(p, c == '{' ? JSON_OBJECT : JSON_ARRAY);
    p->state = WANT_NEXT;
    const bool ok = c == '"'                             ? scan_string(p, &node)
                    : c == '-' || (c >= '0' && c <= '9') ? scan_number(p, &node)
                                                         : scan_word(p, &node);

    return ok && add_node(p, &node);
}

static void skip_space(struct parser *p)
{
    while (p->at < p->size && (p->text[p->at] == ' ' || p->text[p->at] == '\n' ||
                               p->text[p->at] == '\r' || p->text[p->at] == '\t'))
        p->at++;
}

static bool step_key(struct parser *p)
{
    struct json_node node = {0};

    if (p->state == WANT_KEY_OR_CLOSE && p->text[p->at] == '}')
        return close_container(p);
    if (p->text[p->at] != '"')
        return refuse(p, p->at, p->state == WANT_KEY ? "a key" : "a key or '}'");
    p->node[p->stack[p->depth - 1]].count++;
    if (!scan_string(p, &node) || !add_node(p, &node))
        return false;
    skip_space(p);
    if (!at_char(p, ":"))
        return refuse(p, p->at, "':'");
    p->at++;
    p->state = WANT_VALUE;
    return true;
}

/* After a value that is inside something: a comma or the end of that something. */
static bool step_next(struct parser *p)
{
    const bool object = p->node[p->stack[p->depth - 1]].type == JSON_OBJECT;
    const char c = p->text[p->at];

    if (c == (object ? '}' : ']'))
        return close_container(p);
    if (c != ',')
        return refuse(p, p->at, object ? "',' or '}'" : "',' or ']'");
    p->at++;
    p->state = object ? WANT_KEY : WANT_VALUE;
    return true;
}

static bool parse(struct parser *p)
{
    const struct json_node none = {0};

    if (!add_node(p, &none))
        return false;
    for (;;) {
        skip_space(p);
        const bool whole = p->state == WANT_NEXT && p->depth == 0;

        if (p->at == p->size)
            return whole || refuse(p, p->at,
                                   p->state == WANT_NEXT ? "the end of an array or object"
                                   : p->depth            ? "more"
                                                         : "a value");
        if (whole)
            return refuse(p, p->at, "the end of the text");
        const bool ok = p->state == WANT_NEXT                                   ? step_next(p)
                        : p->state == WANT_KEY || p->state == WANT_KEY_OR_CLOSE ? step_key(p)
                                                                                : step_value(p);

        if (!ok)
            return false;
    }
}

bool json_parse(struct json *out, const char *text, size_t size, uint32_t depth,
                struct arena *arena, struct err *err)
{
    struct parser p = {.text = text, .size = size, .err = err, .state = WANT_VALUE};

    p.depth_max = depth < JSON_DEPTH_MAX ? depth : JSON_DEPTH_MAX;
    const bool ok = parse(&p);

    if (ok) {
        struct json_node *node = arena_array(arena, p.count, sizeof(*node));

        memcpy(node, p.node, p.count * sizeof(*node));
        *out = (struct json){text, size, node, p.count - 1};
    }
    mem_free(p.node);
    arena_free(p.scratch);
    return ok;
}
