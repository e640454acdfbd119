/* pattern.c - Lua's patterns with a limit on the work of one call
 *
 * Meaning as in the reference manual of Lua 5.4, section 6.4.1. The hook that counts a recipe's
 * steps does not fire inside C functions, and a short pattern can backtrack for years; so every
 * comparison is counted here, and a call that needs too many is an error. */
#include "lua/box.h"
#include "lua/sandbox.h"

#include <ctype.h>
#include <string.h>

enum { STEPS_MAX = 10000000, CAPTURES_MAX = 32, DEPTH_MAX = 180, TEXT_MAX = 64 << 20 };
enum { OPEN = -1, POSITION = -2 }; /* lengths of captures that are no text yet, or never */

struct capture {
    const char *at;
    ptrdiff_t size;
};

struct match {
    lua_State *L;
    const char *name; /* of the function, for messages */
    const char *text, *text_end;
    const char *pat, *pat_end;
    uint64_t steps;
    int depth, ncapture;
    struct capture capture[CAPTURES_MAX];
};

static const char *run(struct match *m, const char *s, const char *p);

static void count_step(struct match *m)
{
    if (++m->steps > STEPS_MAX)
        sandbox_error(m->L, "string.%s: the pattern needs more than %d steps on this text", m->name,
                      STEPS_MAX);
}

static void bad(struct match *m, const char *what)
{
    sandbox_error(m->L, "string.%s: malformed pattern (%s)", m->name, what);
}

/* ---- one character -------------------------------------------------------------------------- */

static bool in_class(unsigned char c, unsigned char word)
{
    bool in;

    switch (tolower(word)) {
    case 'a':
        in = isalpha(c);
        break;
    case 'c':
        in = iscntrl(c);
        break;
    case 'd':
        in = isdigit(c);
        break;
    case 'g':
        in = isgraph(c);
        break;
    case 'l':
        in = islower(c);
        break;
    case 'p':
        in = ispunct(c);
        break;
    case 's':
        in = isspace(c);
        break;
    case 'u':
        in = isupper(c);
        break;
    case 'w':
        in = isalnum(c);
        break;
    case 'x':
        in = isxdigit(c);
        break;
    default:
        return c == word; /* %. and the like: the character itself */
    }
    return isupper(word) ? !in : in;
}

/* The end of the item that begins at P: "x", "%x" or "[set]". */
static const char *item_end(struct match *m, const char *p)
{
    if (*p == '%') {
        if (p + 1 == m->pat_end)
            bad(m, "it ends with '%'");
        return p + 2;
    }
    if (*p != '[')
        return p + 1;
    p += p + 1 < m->pat_end && p[1] == '^' ? 2 : 1;
    for (bool first = true; first || p == m->pat_end || *p != ']'; first = false) {
        if (p == m->pat_end)
            bad(m, "missing ']'");
        p += *p == '%' ? 2 : 1;
        if (p > m->pat_end)
            bad(m, "missing ']'");
    }
    return p + 1;
}

/* Is C in the set from '[' at P to after ']' at END? */
static bool in_set(unsigned char c, const char *p, const char *end)
{
    bool want = true;

    end--;
    p++;
    if (*p == '^') {
        want = false;
        p++;
    }
    while (p < end) {
        if (*p == '%') {
            if (in_class(c, (unsigned char)p[1]))
                return want;
            p += 2;
        } else if (p + 2 < end && p[1] == '-') {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
                return want;
            p += 3;
        } else {
            if ((unsigned char)*p == c)
                return want;
            p++;
        }
    }
    return !want;
}

static bool fits(struct match *m, const char *s, const char *p, const char *end)
{
    count_step(m);
    if (s >= m->text_end)
        return false;
    const unsigned char c = (unsigned char)*s;

    if (*p == '.')
        return true;
    if (*p == '%')
        return in_class(c, (unsigned char)p[1]);
    if (*p == '[')
        return in_set(c, p, end);
    return c == (unsigned char)*p;
}

/* ---- items ---------------------------------------------------------------------------------- */

static const char *longest(struct match *m, const char *s, const char *p, const char *end)
{
    ptrdiff_t n = 0;

    while (fits(m, s + n, p, end))
        n++;
    for (; n >= 0; n--) {
        const char *done = run(m, s + n, end + 1);

        if (done)
            return done;
    }
    return NULL;
}

static const char *shortest(struct match *m, const char *s, const char *p, const char *end)
{
    for (;; s++) {
        const char *done = run(m, s, end + 1);

        if (done)
            return done;
        if (!fits(m, s, p, end))
            return NULL;
    }
}

/* %bxy at P (after "%b"). */
static const char *balanced(struct match *m, const char *s, const char *p)
{
    int64_t open = 0;

    if (p + 2 > m->pat_end)
        bad(m, "missing arguments to '%b'");
    if (s >= m->text_end || *s != p[0])
        return NULL;
    for (; s < m->text_end; s++) {
        count_step(m);
        if (*s == p[1]) {
            if (--open == 0)
                return s + 1;
        } else if (*s == p[0]) {
            open++;
        }
    }
    return NULL;
}

/* %f[set] with the set from P to END: the place where it begins to hold. */
static bool frontier(const struct match *m, const char *s, const char *p, const char *end)
{
    const unsigned char before = s == m->text ? '\0' : (unsigned char)s[-1];
    const unsigned char here = s < m->text_end ? (unsigned char)*s : '\0';

    return !in_set(before, p, end) && in_set(here, p, end);
}

static const char *same_again(struct match *m, const char *s, unsigned char digit)
{
    const int i = digit - '1';

    if (i < 0 || i >= m->ncapture || m->capture[i].size < 0)
        bad(m, "invalid capture index");
    const size_t n = (size_t)m->capture[i].size;

    m->steps += n;
    count_step(m);
    if ((size_t)(m->text_end - s) < n || memcmp(m->capture[i].at, s, n) != 0)
        return NULL;
    return s + n;
}

static const char *begin_capture(struct match *m, const char *s, const char *p)
{
    const bool position = p + 1 < m->pat_end && p[1] == ')';
    const char *done;

    if (m->ncapture == CAPTURES_MAX)
        bad(m, "too many captures");
    m->capture[m->ncapture++] = (struct capture){s, position ? POSITION : OPEN};
    done = run(m, s, p + (position ? 2 : 1));
    if (!done)
        m->ncapture--;
    return done;
}

static const char *end_capture(struct match *m, const char *s, const char *p)
{
    int i = m->ncapture - 1;

    while (i >= 0 && m->capture[i].size != OPEN)
        i--;
    if (i < 0)
        bad(m, "')' without '('");
    m->capture[i].size = s - m->capture[i].at;
    const char *done = run(m, s, p + 1);

    if (!done)
        m->capture[i].size = OPEN;
    return done;
}

/* A single item with its suffix. *S moves and true: go on after *P; false: *S is the answer. */
static bool single(struct match *m, const char **s, const char **p)
{
    const char *end = item_end(m, *p);
    const char suffix = end < m->pat_end ? *end : '\0';

    if (suffix == '*' || suffix == '+') {
        if (suffix == '+' && !fits(m, *s, *p, end))
            *s = NULL;
        else
            *s = longest(m, suffix == '+' ? *s + 1 : *s, *p, end);
        return false;
    }
    if (suffix == '-') {
        *s = shortest(m, *s, *p, end);
        return false;
    }
    const bool here = fits(m, *s, *p, end);

    if (suffix == '?') {
        const char *done = here ? run(m, *s + 1, end + 1) : NULL;

        if (done) {
            *s = done;
            return false;
        }
        *p = end + 1;
        return true;
    }
    *p = end;
    *s = here ? *s + 1 : NULL;
    return here;
}

/* Items behind '%' that stand for no single character: true when P was one. */
static bool special(struct match *m, const char **s, const char **p)
{
    if (**p != '%' || *p + 1 >= m->pat_end)
        return false;
    const char kind = (*p)[1];

    if (kind == 'b') {
        *s = balanced(m, *s, *p + 2);
        *p += 4;
    } else if (kind == 'f') {
        const char *set = *p + 2;

        if (set >= m->pat_end || *set != '[')
            bad(m, "missing '[' after '%f'");
        *p = item_end(m, set);
        *s = frontier(m, *s, set, *p) ? *s : NULL;
    } else if (isdigit((unsigned char)kind)) {
        *s = same_again(m, *s, (unsigned char)kind);
        *p += 2;
    } else {
        return false;
    }
    return true;
}

/* The end of the match of the pattern from P on the text from S, or NULL. */
static const char *run(struct match *m, const char *s, const char *p)
{
    if (++m->depth > DEPTH_MAX)
        sandbox_error(m->L, "string.%s: the pattern is too complex", m->name);
    count_step(m);
    while (s && p < m->pat_end) {
        if (*p == '(') {
            s = begin_capture(m, s, p);
            break;
        }
        if (*p == ')') {
            s = end_capture(m, s, p);
            break;
        }
        if (*p == '$' && p + 1 == m->pat_end) {
            s = s == m->text_end ? s : NULL;
            break;
        }
        if (!special(m, &s, &p) && !single(m, &s, &p))
            break;
    }
    m->depth--;
    return s;
}

/* ---- the four functions --------------------------------------------------------------------- */

static void start(lua_State *L, struct match *m, const char *name, int text, int pat)
{
    size_t nt, np;

    *m = (struct match){.L = L, .name = name};
    m->text = luaL_checklstring(L, text, &nt);
    m->pat = luaL_checklstring(L, pat, &np);
    m->text_end = m->text + nt;
    m->pat_end = m->pat + np;
}

static const char *attempt(struct match *m, const char *s, const char *p)
{
    m->depth = 0;
    m->ncapture = 0;
    return run(m, s, p);
}

/* Push capture I, or the whole match when there are none. */
static void push_capture(struct match *m, int i, const char *s, const char *e)
{
    if (i >= m->ncapture) {
        if (i != 0)
            sandbox_error(m->L, "string.%s: invalid capture index %%%d", m->name, i + 1);
        lua_pushlstring(m->L, s, (size_t)(e - s));
    } else if (m->capture[i].size == POSITION) {
        lua_pushinteger(m->L, m->capture[i].at - m->text + 1);
    } else if (m->capture[i].size == OPEN) {
        bad(m, "unfinished capture");
    } else {
        lua_pushlstring(m->L, m->capture[i].at, (size_t)m->capture[i].size);
    }
}

static int push_captures(struct match *m, const char *s, const char *e)
{
    const int n = m->ncapture == 0 && s ? 1 : m->ncapture;

    luaL_checkstack(m->L, n, "too many captures");
    for (int i = 0; i < n; i++)
        push_capture(m, i, s, e);
    return n;
}

static bool plain(const struct match *m)
{
    for (const char *p = m->pat; p < m->pat_end; p++)
        if (*p == '\0' || strchr("^$*+?.([%-", *p))
            return false;
    return true;
}

static int search(lua_State *L, bool find)
{
    struct match m;

    start(L, &m, find ? "find" : "match", 1, 2);
    const ptrdiff_t n = m.text_end - m.text;
    lua_Integer at = luaL_optinteger(L, 3, 1);

    if (at < 0)
        at = -at > n ? 1 : n + at + 1;
    if (at == 0)
        at = 1;
    if (at > n + 1) {
        lua_pushnil(L);
        return 1;
    }
    const char *s = m.text + at - 1;

    if (find && (lua_toboolean(L, 4) || plain(&m))) {
        const size_t np = (size_t)(m.pat_end - m.pat);
        const char *hit = np == 0 ? s : memmem(s, (size_t)(m.text_end - s), m.pat, np);

        if (!hit)
            return lua_pushnil(L), 1;
        lua_pushinteger(L, hit - m.text + 1);
        lua_pushinteger(L, hit - m.text + (ptrdiff_t)np);
        return 2;
    }
    const bool anchored = m.pat < m.pat_end && *m.pat == '^';

    do {
        const char *e = attempt(&m, s, m.pat + anchored);

        if (!e)
            continue;
        if (!find)
            return push_captures(&m, s, e);
        lua_pushinteger(L, s - m.text + 1);
        lua_pushinteger(L, e - m.text);
        return push_captures(&m, NULL, NULL) + 2;
    } while (s++ < m.text_end && !anchored);
    lua_pushnil(L);
    return 1;
}

static int find(lua_State *L)
{
    return search(L, true);
}

static int match(lua_State *L)
{
    return search(L, false);
}

/* Upvalues: text, pattern, offset to go on from, offset of the last end (-1: none). */
static int gmatch_next(lua_State *L)
{
    struct match m;

    start(L, &m, "gmatch", lua_upvalueindex(1), lua_upvalueindex(2));
    const char *last = m.text + lua_tointeger(L, lua_upvalueindex(4));

    for (const char *s = m.text + lua_tointeger(L, lua_upvalueindex(3)); s <= m.text_end; s++) {
        const char *e = attempt(&m, s, m.pat);

        if (!e || e == last)
            continue;
        lua_pushinteger(L, e - m.text);
        lua_pushvalue(L, -1);
        lua_replace(L, lua_upvalueindex(3));
        lua_replace(L, lua_upvalueindex(4));
        return push_captures(&m, s, e);
    }
    return 0;
}

static int gmatch(lua_State *L)
{
    luaL_checkstring(L, 1);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_next, 4);
    return 1;
}

static void add_text(struct match *m, luaL_Buffer *b, const char *s, const char *e)
{
    size_t n;
    const char *r = lua_tolstring(m->L, 3, &n);

    for (size_t i = 0; i < n; i++) {
        if (r[i] != '%') {
            luaL_addchar(b, r[i]);
            continue;
        }
        const char c = ++i < n ? r[i] : '\0';

        if (c == '%')
            luaL_addchar(b, '%');
        else if (c == '0')
            luaL_addlstring(b, s, (size_t)(e - s));
        else if (isdigit((unsigned char)c)) {
            push_capture(m, c - '1', s, e);
            luaL_tolstring(m->L, -1, NULL);
            lua_remove(m->L, -2);
            luaL_addvalue(b);
        } else
            sandbox_error(m->L, "string.gsub: invalid use of '%%' in the replacement");
    }
}

static void add_value(struct match *m, luaL_Buffer *b, const char *s, const char *e)
{
    lua_State *L = m->L;

    switch (lua_type(L, 3)) {
    case LUA_TFUNCTION: {
        lua_pushvalue(L, 3);
        const int n = push_captures(m, s, e);

        lua_call(L, n, 1);
        break;
    }
    case LUA_TTABLE:
        push_capture(m, 0, s, e);
        lua_gettable(L, 3);
        break;
    default:
        add_text(m, b, s, e);
        return;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(b, s, (size_t)(e - s));
    } else if (!lua_isstring(L, -1)) {
        sandbox_error(L, "string.gsub: a %s as replacement", luaL_typename(L, -1));
    } else {
        luaL_addvalue(b);
    }
}

static int gsub(lua_State *L)
{
    struct match m;
    luaL_Buffer b;
    lua_Integer n = 0;
    const char *last = NULL;

    start(L, &m, "gsub", 1, 2);
    const int kind = lua_type(L, 3);

    luaL_argexpected(L,
                     kind == LUA_TSTRING || kind == LUA_TNUMBER || kind == LUA_TTABLE ||
                         kind == LUA_TFUNCTION,
                     3, "string/function/table");
    const lua_Integer most = luaL_optinteger(L, 4, m.text_end - m.text + 1);
    const bool anchored = m.pat < m.pat_end && *m.pat == '^';
    const char *s = m.text;

    luaL_buffinit(L, &b);
    while (n < most) {
        const char *e = attempt(&m, s, m.pat + anchored);

        if (e && e != last) {
            n++;
            add_value(&m, &b, s, e);
            s = last = e;
        } else if (s < m.text_end) {
            luaL_addchar(&b, *s++);
        } else {
            break;
        }
        if (luaL_bufflen(&b) > TEXT_MAX)
            sandbox_error(L, "string.gsub: the text is longer than %d MiB", TEXT_MAX >> 20);
        if (anchored)
            break;
    }
    luaL_addlstring(&b, s, (size_t)(m.text_end - s));
    luaL_pushresult(&b);
    lua_pushinteger(L, n);
    return 2;
}

void pattern_register(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"find", find}, {"match", match}, {"gmatch", gmatch}, {"gsub", gsub}, {NULL, NULL},
    };

    luaL_setfuncs(L, functions, 0);
}
