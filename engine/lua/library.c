/* library.c - Lua's functions as recipes see them: fixed order, bounded work, no addresses */
#include "base/buf.h"
#include "base/msg.h"
#include "lua/box.h"
#include "lua/sandbox.h"

#include <lualib.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 64 << 20, ITEMS_MAX = 10000000 };

/* ---- pairs and next in a fixed order -------------------------------------------------------- */

/* A key outside 1..#t; its string is the table's. */
struct key {
    int type; /* LUA_TBOOLEAN < LUA_TNUMBER < LUA_TSTRING */
    bool integer;
    lua_Integer i; /* a boolean too */
    double f;      /* of any number */
    const char *text;
    size_t size;
};

static int compare_keys(const void *pa, const void *pb)
{
    const struct key *a = pa, *b = pb;

    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    if (a->type == LUA_TSTRING) {
        const int c = memcmp(a->text, b->text, a->size < b->size ? a->size : b->size);

        return c != 0 ? c : (a->size > b->size) - (a->size < b->size);
    }
    if (a->f < b->f || a->f > b->f)
        return a->f < b->f ? -1 : 1;
    if (a->integer != b->integer)
        return a->integer ? -1 : 1;
    return (a->i > b->i) - (a->i < b->i);
}

static void read_key(lua_State *L, struct key *out)
{
    *out = (struct key){.type = lua_type(L, -2)};
    if (out->type == LUA_TBOOLEAN) {
        out->i = lua_toboolean(L, -2);
    } else if (out->type == LUA_TNUMBER) {
        out->integer = lua_isinteger(L, -2);
        out->i = out->integer ? lua_tointeger(L, -2) : 0;
        out->f = lua_tonumber(L, -2);
    } else if (out->type == LUA_TSTRING) {
        out->text = lua_tolstring(L, -2, &out->size);
    } else {
        sandbox_error(L, "keys of type %s have no order to iterate in", luaL_typename(L, -2));
    }
}

static bool in_array(lua_State *L, lua_Unsigned n)
{
    return lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 &&
           (lua_Unsigned)lua_tointeger(L, -2) <= n;
}

static void push_key(lua_State *L, const struct key *key)
{
    if (key->type == LUA_TBOOLEAN)
        lua_pushboolean(L, key->i != 0);
    else if (key->type == LUA_TSTRING)
        lua_pushlstring(L, key->text, key->size);
    else if (key->integer)
        lua_pushinteger(L, key->i);
    else
        lua_pushnumber(L, key->f);
}

/* Push a list of the keys of the table at IDX: 1..#t, then the others sorted. */
static void push_keys(lua_State *L, int idx)
{
    const lua_Unsigned n = lua_rawlen(L, idx);
    size_t count = 0, k = 0;

    idx = lua_absindex(L, idx);
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
        count += !in_array(L, n);
    lua_createtable(L, (int)(n + count), 0);
    for (lua_Unsigned i = 1; i <= n; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    if (count == 0)
        return;
    struct key *key = lua_newuserdatauv(L, count * sizeof(*key), 0);

    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
        if (!in_array(L, n))
            read_key(L, &key[k++]);
    qsort(key, count, sizeof(*key), compare_keys);
    for (k = 0; k < count; k++) {
        push_key(L, &key[k]);
        lua_rawseti(L, -3, (lua_Integer)(n + k) + 1);
    }
    lua_pop(L, 1);
}

/* What iteration over a frozen value shows: the visible fields. */
static void see_through(lua_State *L, int idx)
{
    luaL_checktype(L, idx, LUA_TTABLE);
    if (luaL_getmetafield(L, idx, "__visible") != LUA_TNIL)
        lua_replace(L, idx);
}

/* Upvalues: table, keys, how many were given. */
static int step(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(3));

    do {
        lua_settop(L, 0);
        if (lua_rawgeti(L, lua_upvalueindex(2), ++i) == LUA_TNIL)
            return 1;
        lua_pushvalue(L, 1);
    } while (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL); /* taken out meanwhile */
    lua_pushinteger(L, i);
    lua_replace(L, lua_upvalueindex(3));
    return 2;
}

int library_pairs(lua_State *L)
{
    see_through(L, 1);
    lua_pushvalue(L, 1);
    push_keys(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, step, 3);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

int library_next(lua_State *L)
{
    see_through(L, 1);
    lua_settop(L, 2);
    push_keys(L, 1);
    const lua_Integer n = (lua_Integer)lua_rawlen(L, 3);
    lua_Integer i = 0;

    while (!lua_isnil(L, 2) && i < n) {
        lua_rawgeti(L, 3, ++i);
        const bool same = lua_rawequal(L, -1, 2);

        lua_pop(L, 1);
        if (same)
            break;
    }
    for (i++; i <= n; i++) {
        lua_rawgeti(L, 3, i);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, 1) != LUA_TNIL)
            return 2;
        lua_pop(L, 2);
    }
    lua_pushnil(L);
    return 1;
}

/* ---- text without addresses ----------------------------------------------------------------- */

static void push_text(lua_State *L, int idx)
{
    idx = lua_absindex(L, idx);
    if (luaL_callmeta(L, idx, "__tostring")) {
        if (lua_type(L, -1) != LUA_TSTRING)
            sandbox_error(L, "'__tostring' must return a string");
        return;
    }
    switch (lua_type(L, idx)) {
    case LUA_TNUMBER:
        if (lua_isinteger(L, idx))
            lua_pushfstring(L, "%I", (LUAI_UACINT)lua_tointeger(L, idx));
        else
            luaL_tolstring(L, idx, NULL);
        break;
    case LUA_TSTRING:
        lua_pushvalue(L, idx);
        break;
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, idx) ? "true" : "false");
        break;
    default:
        lua_pushstring(L, luaL_typename(L, idx));
    }
}

int library_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    push_text(L, 1);
    return 1;
}

static int print(lua_State *L)
{
    const int n = lua_gettop(L);
    luaL_Buffer b;

    luaL_checkstack(L, n + 8, "too many values to print");
    for (int i = 1; i <= n; i++) {
        push_text(L, i);
        lua_replace(L, i);
    }
    luaL_buffinit(L, &b);
    for (int i = 1; i <= n; i++) {
        if (i > 1)
            luaL_addchar(&b, ' ');
        lua_pushvalue(L, i);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    msg_note("%s", lua_tostring(L, -1));
    return 0;
}

/* Upvalue 1: the original. "%p" would show an address, "%s" of a table too. */
static int format(lua_State *L)
{
    const char *spec = luaL_checkstring(L, 1);
    const int n = lua_gettop(L);
    size_t total = lua_rawlen(L, 1);
    int arg = 1;

    for (const char *p = spec; *p; p++) {
        if (*p != '%')
            continue;
        if (*++p == '%')
            continue;
        p += strspn(p, "-+ #0123456789.");
        arg++;
        if (*p == 'p')
            sandbox_error(L, "string.format has no '%%p' here: addresses differ from run to run");
        if (*p == 's' && arg <= n) {
            push_text(L, arg);
            lua_replace(L, arg);
        }
        if (*p == '\0')
            break;
    }
    for (int i = 2; i <= n; i++)
        total += 128 + (lua_type(L, i) == LUA_TSTRING ? 4 * lua_rawlen(L, i) : 0);
    if (total > (size_t)4 * TEXT_MAX)
        sandbox_error(L, "string.format: the text is longer than %d MiB", TEXT_MAX >> 20);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, n, 1);
    return 1;
}

static int repeat(lua_State *L)
{
    size_t n, gap;

    luaL_checklstring(L, 1, &n);
    luaL_optlstring(L, 3, "", &gap);
    const lua_Integer times = luaL_checkinteger(L, 2);

    if (times > 0 && n + gap > 0 && (size_t)times > TEXT_MAX / (n + gap))
        sandbox_error(L, "string.rep: the text is longer than %d MiB", TEXT_MAX >> 20);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

/* ---- tables --------------------------------------------------------------------------------- */

/* Plain tables only: a metatable could send a C loop through 2^60 elements, and frozen values
 * must not be changed. Upvalue 1: the original, upvalue 2: its name. */
static int plain_table(lua_State *L)
{
    const char *name = lua_tostring(L, lua_upvalueindex(2));

    luaL_checktype(L, 1, LUA_TTABLE);
    if (lua_getmetatable(L, 1)) {
        const char *kind;

        lua_pop(L, 1);
        if (sandbox_content(L, 1, &kind))
            sandbox_error(L, "table.%s: %s cannot be changed: values are frozen", name, kind);
        sandbox_error(L, "table.%s takes tables without a metatable", name);
    }
    if (lua_rawlen(L, 1) > ITEMS_MAX)
        sandbox_error(L, "table.%s: more than %d items", name, ITEMS_MAX);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int concat(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    see_through(L, 1);
    const lua_Integer first = luaL_optinteger(L, 3, 1);
    const lua_Integer last = luaL_optinteger(L, 4, (lua_Integer)lua_rawlen(L, 1));
    size_t gap, total = 0;
    luaL_Buffer b;

    const char *between = luaL_optlstring(L, 2, "", &gap);

    luaL_buffinit(L, &b);
    for (lua_Integer i = first; i <= last; i++) {
        lua_rawgeti(L, 1, i);
        if (!lua_isstring(L, -1))
            sandbox_error(L, "table.concat: item %lld is a %s", (long long)i, luaL_typename(L, -1));
        total += lua_rawlen(L, -1) + gap;
        if (total > TEXT_MAX)
            sandbox_error(L, "table.concat: the text is longer than %d MiB", TEXT_MAX >> 20);
        luaL_addvalue(&b);
        if (i < last)
            luaL_addlstring(&b, between, gap);
        if (i == LUA_MAXINTEGER)
            break;
    }
    luaL_pushresult(&b);
    return 1;
}

static int unpack(lua_State *L)
{
    see_through(L, 1);
    const lua_Integer first = luaL_optinteger(L, 2, 1);
    const lua_Integer last = luaL_optinteger(L, 3, (lua_Integer)lua_rawlen(L, 1));

    if (first > last)
        return 0;
    if ((lua_Unsigned)last - (lua_Unsigned)first >= 100000 ||
        !lua_checkstack(L, (int)(last - first) + 1))
        sandbox_error(L, "table.unpack: too many items");
    for (lua_Integer i = first; i <= last; i++)
        lua_rawgeti(L, 1, i);
    return (int)(last - first) + 1;
}

static int move(lua_State *L)
{
    const lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
    const int to = lua_isnoneornil(L, 5) ? 1 : 5;

    if (last >= first && (lua_Unsigned)last - (lua_Unsigned)first >= ITEMS_MAX)
        sandbox_error(L, "table.move: more than %d items", ITEMS_MAX);
    for (int i = 1; i <= 5; i += 4)
        if ((i == 1 || to == 5) && lua_getmetatable(L, i))
            sandbox_error(L, "table.move takes tables without a metatable");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

/* Finalizers and weak tables would make a recipe depend on when memory is collected. */
static int set_metatable(lua_State *L)
{
    static const char *const banned[] = {"__gc", "__mode", "__frozen", "__visible"};

    luaL_checktype(L, 1, LUA_TTABLE);
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        for (size_t i = 0; i < countof(banned); i++) {
            lua_pushstring(L, banned[i]);
            if (lua_rawget(L, 2) != LUA_TNIL)
                sandbox_error(L, "a metatable of a recipe cannot have '%s'", banned[i]);
            lua_pop(L, 1);
        }
    }
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        sandbox_error(L, "the metatable of this value is protected");
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* ---- the whole table ------------------------------------------------------------------------ */

/* Wrap the function NAME of the library table at LIB into the table on top. */
static void wrap(lua_State *L, int lib, const char *name, lua_CFunction f)
{
    lua_getfield(L, lib, name);
    lua_pushstring(L, name);
    lua_pushcclosure(L, f, 2);
    lua_setfield(L, -2, name);
}

static void copy(lua_State *L, int lib, const char *const *names)
{
    for (; *names; names++) {
        lua_getfield(L, lib, *names);
        lua_setfield(L, -2, *names);
    }
}

static void add_string(lua_State *L, int api)
{
    static const char *const same[] = {"byte",  "char",    "len", "lower",
                                       "upper", "reverse", "sub", NULL};

    luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0);
    const int lib = lua_gettop(L);

    lua_newtable(L);
    copy(L, lib, same);
    wrap(L, lib, "format", format);
    wrap(L, lib, "rep", repeat);
    pattern_register(L);
    lua_pushvalue(L, -1);
    sandbox_freeze(L, "string", 0, true);
    lua_setfield(L, api, "string");
    /* ("x"):rep(9) takes the same road; the rules call string.NAME. */
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_settop(L, lib - 1);
}

static void add_table(lua_State *L, int api)
{
    static const char *const same[] = {"pack", NULL};
    static const char *const plain[] = {"insert", "remove", "sort"};

    luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 0);
    const int lib = lua_gettop(L);

    lua_newtable(L);
    copy(L, lib, same);
    for (size_t i = 0; i < countof(plain); i++)
        wrap(L, lib, plain[i], plain_table);
    wrap(L, lib, "concat", concat);
    wrap(L, lib, "unpack", unpack);
    wrap(L, lib, "move", move);
    sandbox_freeze(L, "table", 0, true);
    lua_setfield(L, api, "table");
    lua_settop(L, lib - 1);
}

static void add_math(lua_State *L, int api)
{
    static const char *const same[] = {
        "abs",  "ceil", "cos", "deg",        "exp",        "floor", "fmod",      "log",  "max",
        "min",  "modf", "rad", "sin",        "sqrt",       "tan",   "acos",      "asin", "atan",
        "type", "ult",  "pi",  "maxinteger", "mininteger", "huge",  "tointeger", NULL};

    luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 0);
    lua_newtable(L);
    copy(L, lua_gettop(L) - 1, same);
    sandbox_freeze(L, "math", 0, true);
    lua_setfield(L, api, "math");
    lua_pop(L, 1);
}

void library_push(lua_State *L)
{
    static const char *const same[] = {"assert",   "error",        "ipairs",   "select",
                                       "tonumber", "type",         "rawequal", "rawlen",
                                       "rawget",   "getmetatable", "_VERSION", NULL};
    static const luaL_Reg own[] = {
        {"pairs", library_pairs}, {"next", library_next},          {"tostring", library_tostring},
        {"print", print},         {"setmetatable", set_metatable}, {NULL, NULL},
    };

    lua_newtable(L);
    const int api = lua_gettop(L);

    luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
    lua_pushvalue(L, api);
    copy(L, api + 1, same);
    luaL_setfuncs(L, own, 0);
    lua_settop(L, api);
    add_string(L, api);
    add_table(L, api);
    add_math(L, api);
    luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 0);
    sandbox_freeze(L, "utf8", 0, false);
    lua_setfield(L, api, "utf8");
}
