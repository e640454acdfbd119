#include "lua/facts.h"

#include "base/file.h"
#include "format/gguf.h"
#include "format/tokenizer.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

static const char guard_meta[] = "vbuild.arena";
static const char *const type_words[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = "u8",      [GGUF_I8] = "i8",     [GGUF_U16] = "u16", [GGUF_I16] = "i16",
    [GGUF_U32] = "u32",    [GGUF_I32] = "i32",   [GGUF_F32] = "f32", [GGUF_BOOL] = "bool",
    [GGUF_STRING] = "str", [GGUF_ARRAY] = "arr", [GGUF_U64] = "u64", [GGUF_I64] = "i64",
    [GGUF_F64] = "f64"};

static int guard_free(lua_State *L)
{
    struct arena **guard = lua_touserdata(L, 1);

    arena_free(*guard);
    *guard = NULL;
    return 0;
}

struct arena *facts_arena(lua_State *L)
{
    struct arena **guard = lua_newuserdatauv(L, sizeof(struct arena *), 0);

    *guard = NULL;
    if (luaL_newmetatable(L, guard_meta)) {
        lua_pushcfunction(L, guard_free);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    *guard = arena_new();
    return *guard;
}

void facts_done(lua_State *L, int index)
{
    struct arena **guard = lua_touserdata(L, index);

    arena_free(*guard);
    *guard = NULL;
}

int facts_fail(lua_State *L, const char *text)
{
    lua_pushstring(L, text);
    lua_error(L);
    __builtin_unreachable();
}

/* engine.read(path, limit): the bytes of a small file; nil when it is absent. */
static int facts_read(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    const lua_Integer limit = luaL_optinteger(L, 2, 32 << 20);
    char *text;
    size_t size;
    struct err err;

    if (!file_exists(path)) {
        lua_pushnil(L);
        return 1;
    }
    struct arena *arena = facts_arena(L);
    const int guard = lua_gettop(L);

    if (!file_read(path, limit < 0 ? 0 : (uint64_t)limit, arena, &text, &size, &err))
        return facts_fail(L, err.text);
    lua_pushlstring(L, text, size);
    facts_done(L, guard);
    return 1;
}

/* ---- encode ---- */

static int bad_value(lua_State *L, const char *word)
{
    return luaL_error(L, "a value of type %s was expected, not %s", word, luaL_typename(L, -1));
}

/* Little-endian bytes of the integer on top of the stack, if it fits. */
static void encode_int(lua_State *L, unsigned char *to, size_t n, bool is_signed, const char *word)
{
    int whole;
    const lua_Integer v = lua_tointegerx(L, -1, &whole);

    if (!whole || lua_type(L, -1) != LUA_TNUMBER)
        bad_value(L, word);
    if (n < 8) {
        const lua_Integer top = (lua_Integer)1 << (8 * n - is_signed);

        if (v >= top || v < (is_signed ? -top : 0))
            luaL_error(L, "%I does not fit %s", v, word);
    } else if (!is_signed && v < 0) {
        luaL_error(L, "%I does not fit %s", v, word);
    }
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)((uint64_t)v >> (8 * i));
}

/* The fixed-size value on top of the stack; its bytes. */
static size_t encode_number(lua_State *L, enum gguf_type type, unsigned char *to)
{
    static const unsigned char sizes[GGUF_TYPE_COUNT] = {
        [GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2, [GGUF_I16] = 2,
        [GGUF_U32] = 4, [GGUF_I32] = 4, [GGUF_U64] = 8, [GGUF_I64] = 8,
        [GGUF_F32] = 4, [GGUF_F64] = 8, [GGUF_BOOL] = 1};
    const bool is_signed =
        type == GGUF_I8 || type == GGUF_I16 || type == GGUF_I32 || type == GGUF_I64;
    const size_t n = sizes[type];

    if (type == GGUF_BOOL) {
        if (!lua_isboolean(L, -1))
            bad_value(L, "bool");
        to[0] = (unsigned char)lua_toboolean(L, -1);
    } else if (type == GGUF_F32 || type == GGUF_F64) {
        if (lua_type(L, -1) != LUA_TNUMBER)
            bad_value(L, type_words[type]);
        const double f64 = lua_tonumber(L, -1);
        const float f32 = (float)f64;

        memcpy(to, type == GGUF_F32 ? (const void *)&f32 : (const void *)&f64, n);
    } else {
        encode_int(L, to, n, is_signed, type_words[type]);
    }
    return n;
}

static void encode_one(lua_State *L, enum gguf_type type, luaL_Buffer *out)
{
    unsigned char b[8];
    size_t n;

    if (type != GGUF_STRING) {
        n = encode_number(L, type, b);
        lua_pop(L, 1);
        luaL_addlstring(out, (const char *)b, n);
        return;
    }
    if (lua_type(L, -1) != LUA_TSTRING)
        bad_value(L, "str");
    const char *text = lua_tolstring(L, -1, &n);

    for (size_t i = 0; i < 8; i++)
        b[i] = (unsigned char)((uint64_t)n >> (8 * i));
    lua_pop(L, 1); /* the value stays in its table, or at index 2 */
    luaL_addlstring(out, (const char *)b, 8);
    luaL_addlstring(out, text, n);
}

static enum gguf_type type_of(lua_State *L, const char *word)
{
    for (enum gguf_type t = GGUF_U8; t < GGUF_TYPE_COUNT; t++)
        if (t != GGUF_ARRAY && strcmp(type_words[t], word) == 0)
            return t;
    luaL_error(L, "no GGUF type \"%s\"", word);
    return GGUF_U8;
}

/* engine.encode(type, value): a value as gguf_kv.value has it; "arr:TYPE" takes a list. */
static int facts_encode(lua_State *L)
{
    const char *word = luaL_checkstring(L, 1);
    const bool array = strncmp(word, "arr:", 4) == 0;
    const enum gguf_type type = type_of(L, array ? word + 4 : word);
    luaL_Buffer out;

    lua_settop(L, 2);
    if (array)
        luaL_checktype(L, 2, LUA_TTABLE);
    luaL_buffinit(L, &out);
    if (!array) {
        lua_pushvalue(L, 2);
        encode_one(L, type, &out);
    } else {
        const lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
        unsigned char head[12] = {(unsigned char)type};

        for (size_t i = 0; i < 8; i++)
            head[4 + i] = (unsigned char)((uint64_t)n >> (8 * i));
        luaL_addlstring(&out, (const char *)head, sizeof(head));
        for (lua_Integer i = 1; i <= n; i++) {
            lua_rawgeti(L, 2, i);
            encode_one(L, type, &out);
        }
    }
    luaL_pushresult(&out);
    return 1;
}

/* ---- tokenizer ---- */

/* The string field NAME of the table at 1, or NULL; it stays on the stack. */
static const char *string_field(lua_State *L, const char *name)
{
    if (lua_getfield(L, 1, name) == LUA_TNIL)
        return NULL;
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "tokenizer: %s must be a string", name);
    return lua_tostring(L, -1);
}

static bool flag_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    const bool flag = lua_toboolean(L, -1);

    lua_pop(L, 1);
    return flag;
}

/* Push {key =, type =, raw =, value =} of one key-value; value only of scalars. */
static void push_kv(lua_State *L, const struct gguf_kv *kv)
{
    uint64_t n, u64;
    const char *text = gguf_string(kv, &n);

    lua_createtable(L, 0, 4);
    lua_pushstring(L, kv->key);
    lua_setfield(L, -2, "key");
    lua_pushstring(L, type_words[kv->type]);
    lua_setfield(L, -2, "type");
    lua_pushlstring(L, (const char *)kv->value, kv->size);
    lua_setfield(L, -2, "raw");
    if (text)
        lua_pushlstring(L, text, n);
    else if (kv->type == GGUF_BOOL)
        lua_pushboolean(L, kv->value[0]);
    else if (gguf_u64(kv, &u64))
        lua_pushinteger(L, (lua_Integer)u64);
    else
        lua_pushnil(L);
    lua_setfield(L, -2, "value");
}

static void push_tokenizer_facts(lua_State *L, const struct tokenizer *t)
{
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, (lua_Integer)t->tokens);
    lua_setfield(L, -2, "tokens");
    lua_pushstring(L, t->kind);
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, t->pre);
    lua_setfield(L, -2, "pre");
    lua_pushboolean(L, t->chat_template);
    lua_setfield(L, -2, "chat_template");
    lua_newtable(L);
    for (size_t i = 0; i < t->nwarning; i++) {
        lua_pushstring(L, t->warning[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "warnings");
}

/* engine.tokenizer{fields of struct tokenizer_options}: the key-values in order, and
 * {tokens =, kind =, pre =, chat_template =, warnings = }. */
static int facts_tokenizer(lua_State *L)
{
    struct tokenizer_options options = {0};
    struct tokenizer t;
    struct err err;

    luaL_checktype(L, 1, LUA_TTABLE);
    options.dir = string_field(L, "dir");
    options.arch = string_field(L, "arch");
    options.pre = string_field(L, "pre");
    options.config = string_field(L, "config");
    options.spm = flag_field(L, "spm");
    options.hf_vocab = flag_field(L, "hf_vocab");
    options.space_prefix = flag_field(L, "space_prefix");
    options.by_size = flag_field(L, "by_size");
    lua_getfield(L, 1, "vocab_size");
    const lua_Integer vocab = luaL_checkinteger(L, -1);

    if (!options.dir || !options.arch)
        return luaL_error(L, "tokenizer: dir and arch are needed");
    options.vocab_size = vocab < 0 ? 0 : (uint64_t)vocab;
    struct arena *arena = facts_arena(L);
    const int guard = lua_gettop(L);

    if (!tokenizer_read(&t, &options, arena, &err))
        return facts_fail(L, err.text);
    lua_newtable(L);
    for (size_t i = 0; i < t.nkv; i++) {
        push_kv(L, &t.kv[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    push_tokenizer_facts(L, &t);
    facts_done(L, guard);
    return 2;
}

void facts_register(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"read", facts_read},           {"json", facts_json},
        {"json_edit", facts_json_edit}, {"json_string", facts_json_string},
        {"is_array", facts_is_array},   {"encode", facts_encode},
        {"tokenizer", facts_tokenizer}, {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
}
