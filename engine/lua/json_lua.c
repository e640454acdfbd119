#include "base/json.h"
#include "lua/facts.h"

#include <lauxlib.h>
#include <string.h>

static const char array_meta[] = "vbuild.json.array";

int facts_is_array(lua_State *L)
{
    const bool marked = lua_istable(L, 1) && lua_getmetatable(L, 1);

    if (marked)
        luaL_getmetatable(L, array_meta);
    lua_pushboolean(L, marked && lua_rawequal(L, -1, -2));
    return 1;
}

static void push_scalar(lua_State *L, const struct json *doc, uint32_t node, struct arena *arena)
{
    int64_t i64;
    double f64 = 0;
    bool flag = false;
    size_t n;
    const char *text;

    switch (json_type(doc, node)) {
    case JSON_STRING:
        text = json_string(doc, node, arena, &n);
        lua_pushlstring(L, text, n);
        break;
    case JSON_NUMBER:
        if (json_i64(doc, node, &i64)) {
            lua_pushinteger(L, i64);
        } else if (json_f64(doc, node, &f64)) {
            lua_pushnumber(L, f64);
        } else {
            luaL_error(L, "JSON byte %d: a number beyond all floats", (int)doc->node[node].at);
        }
        break;
    case JSON_BOOL:
        (void)json_bool(doc, node, &flag);
        lua_pushboolean(L, flag);
        break;
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        lua_pushlightuserdata(L, NULL);
        break;
    }
}

/* Push the table of a container, marked when it is an array. */
static void push_container(lua_State *L, bool array)
{
    lua_newtable(L);
    if (array) {
        luaL_newmetatable(L, array_meta); /* the same table every time */
        lua_setmetatable(L, -2);
    }
}

/* A container that is being filled, and the node of its next value (an object's: its key). */
struct level {
    uint32_t node, next;
    lua_Integer filled;
};

/* The value on top belongs to the container below it: an array's next element, or an object's
 * under the key that lies between them. */
static void store(lua_State *L, struct level *level, bool object)
{
    if (object)
        lua_rawset(L, -3);
    else
        lua_rawseti(L, -2, ++level->filled);
}

/* Push the value of the root. Containers wait on Lua's stack, so nothing here recurses. */
static void push_value(lua_State *L, const struct json *doc, struct arena *arena)
{
    struct level level[JSON_DEPTH_MAX + 1];
    int depth = 0;
    uint32_t node = 1;

    luaL_checkstack(L, 3 * (JSON_DEPTH_MAX + 1), "JSON");
    for (;;) {
        const enum json_type type = json_type(doc, node);

        if (type == JSON_ARRAY || type == JSON_OBJECT) {
            push_container(L, type == JSON_ARRAY);
            level[depth++] = (struct level){.node = node, .next = json_first(doc, node)};
        } else {
            push_scalar(L, doc, node, arena);
            if (!depth)
                return;
            store(L, &level[depth - 1], json_type(doc, level[depth - 1].node) == JSON_OBJECT);
        }
        while (!level[depth - 1].next) { /* full: it is a value of the one below */
            if (--depth == 0)
                return;
            store(L, &level[depth - 1], json_type(doc, level[depth - 1].node) == JSON_OBJECT);
        }
        struct level *top = &level[depth - 1];

        node = top->next;
        if (json_type(doc, top->node) == JSON_OBJECT) {
            push_scalar(L, doc, node, arena);
            node = json_after(doc, top->node, node);
        }
        top->next = json_after(doc, top->node, node);
    }
}

int facts_json(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    struct arena *arena = facts_arena(L);
    const int guard = lua_gettop(L);
    struct json doc;
    struct err err;

    if (!json_parse(&doc, text, size, JSON_DEPTH_MAX, arena, &err))
        return facts_fail(L, err.text);
    push_value(L, &doc, arena);
    facts_done(L, guard);
    return 1;
}

/* The quoted form of N bytes, in ARENA. */
static const char *quoted(struct arena *arena, const char *text, size_t n, size_t *size)
{
    struct buf out = {0};

    json_put_string(&out, text, n);
    const char *copy = arena_strndup(arena, (const char *)out.data, out.size);

    *size = out.size;
    buf_finish(&out);
    return copy;
}

int facts_json_string(lua_State *L)
{
    size_t n, size;
    const char *text = luaL_checklstring(L, 1, &n);
    struct arena *arena = facts_arena(L);
    const int guard = lua_gettop(L);
    const char *out = quoted(arena, text, n, &size);

    lua_pushlstring(L, out, size);
    facts_done(L, guard);
    return 1;
}

/* ---- json_edit ---- */

struct pair {
    const char *key; /* unescaped */
    size_t nkey;
    size_t at, value, end; /* the key's quote, the value's first byte, the byte after it */
};

static struct pair *pairs_of(const struct json *doc, struct arena *arena, uint32_t *count)
{
    struct pair *pair = arena_array(arena, doc->node[1].count, sizeof(*pair));
    uint32_t n = 0;

    for (uint32_t k = json_first(doc, 1); k; k = json_after(doc, 1, k)) {
        struct pair *p = &pair[n++];

        p->key = json_string(doc, k, arena, &p->nkey);
        p->at = doc->node[k].at - 1;
        k = json_after(doc, 1, k);
        const bool quoted = json_type(doc, k) == JSON_STRING;

        p->value = doc->node[k].at - quoted;
        p->end = doc->node[k].end + quoted;
    }
    *count = n;
    return pair;
}

/* The edit of a key in the list at index 2: pushes its JSON text (or nil: removed), true; or
 * pushes nothing. */
static bool push_edit(lua_State *L, const char *key, size_t n)
{
    const lua_Integer count = (lua_Integer)lua_rawlen(L, 2);

    for (lua_Integer i = count; i >= 1; i--) { /* the last edit of a key counts */
        size_t size;

        lua_rawgeti(L, 2, i);
        lua_rawgeti(L, -1, 1);
        const char *name = lua_tolstring(L, -1, &size);

        if (size == n && memcmp(name, key, n) == 0) {
            lua_pop(L, 1);
            lua_rawgeti(L, -1, 2);
            lua_remove(L, -2);
            return true;
        }
        lua_pop(L, 2);
    }
    return false;
}

static void add_span(luaL_Buffer *out, const char *text, size_t from, size_t to)
{
    luaL_addlstring(out, text + from, to - from);
}

/* What stands between a comma and the last key: a line break and its indent, a blank, nothing. */
static void add_gap(luaL_Buffer *out, const char *text, const struct pair *pair, uint32_t count,
                    size_t open)
{
    size_t at = pair[count - 1].at;

    while (at > open + 1 && text[at - 1] != ',')
        at--;
    add_span(out, text, at, pair[count - 1].at);
}

/* Append the edits whose key is not there, in the manner of the last of COUNT pairs. */
static void add_missing(lua_State *L, luaL_Buffer *out, const char *text, const struct pair *pair,
                        uint32_t count, size_t open, struct arena *arena)
{
    const lua_Integer edits = (lua_Integer)lua_rawlen(L, 2);
    bool any = count > 0;

    for (lua_Integer i = 1; i <= edits; i++) {
        size_t n, size, nquoted;
        bool there = false;

        lua_rawgeti(L, 2, i);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        const char *key = lua_tolstring(L, -2, &n);
        const char *value = lua_tolstring(L, -1, &size);

        for (uint32_t p = 0; p < count; p++)
            there = there || (pair[p].nkey == n && memcmp(pair[p].key, key, n) == 0);
        lua_pop(L, 3); /* both strings stay in the table of edits */
        if (there || !value)
            continue;
        const char *name = quoted(arena, key, n, &nquoted);

        if (any)
            luaL_addchar(out, ',');
        any = true;
        if (count)
            add_gap(out, text, pair, count, open);
        luaL_addlstring(out, name, nquoted);
        if (count) {
            size_t colon = pair[count - 1].value;

            while (text[colon] != ':')
                colon--;
            add_span(out, text, colon, pair[count - 1].value);
        } else {
            luaL_addstring(out, ": ");
        }
        luaL_addlstring(out, value, size);
    }
}

/* Index 2 is a list of {string, string or nil}: no number may turn into a string later. */
static void check_edits(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TTABLE);
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, 2); i++) {
        lua_rawgeti(L, 2, i);
        luaL_checktype(L, -1, LUA_TTABLE);
        if (lua_rawgeti(L, -1, 1) != LUA_TSTRING)
            luaL_error(L, "json_edit: a key must be a string");
        const int type = lua_rawgeti(L, -2, 2);

        if (type != LUA_TSTRING && type != LUA_TNIL)
            luaL_error(L, "json_edit: a value must be JSON text");
        lua_pop(L, 3);
    }
}

int facts_json_edit(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);

    check_edits(L);
    struct arena *arena = facts_arena(L);
    struct json doc;
    struct err err;
    uint32_t count;
    luaL_Buffer out;
    bool first = true;

    if (!json_parse(&doc, text, size, JSON_DEPTH_MAX, arena, &err))
        return facts_fail(L, err.text);
    if (json_type(&doc, 1) != JSON_OBJECT)
        return facts_fail(L, "a JSON object was expected");
    const struct pair *pair = pairs_of(&doc, arena, &count);
    const size_t open = doc.node[1].at;
    size_t tail = open + 1;

    luaL_buffinit(L, &out);
    add_span(&out, text, 0, count ? pair[0].at : open + 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct pair *p = &pair[i];
        const int top = lua_gettop(L);
        size_t n = 0;
        const bool edited = push_edit(L, p->key, p->nkey);
        const char *value = edited ? lua_tolstring(L, -1, &n) : NULL;

        lua_settop(L, top); /* the string stays in the table of edits */
        tail = p->end;
        if (edited && !value)
            continue;
        if (!first)
            add_span(&out, text, pair[i - 1].end, p->at);
        first = false;
        add_span(&out, text, p->at, p->value);
        if (edited)
            luaL_addlstring(&out, value, n);
        else
            add_span(&out, text, p->value, p->end);
    }
    add_missing(L, &out, text, pair, first ? 0 : count, open, arena);
    add_span(&out, text, tail, size);
    luaL_pushresult(&out);
    return 1; /* the arena goes with its guard */
}
