/* env.c - what chunks see: the rules' environment, the recipes', modules, words */
#include "base/file.h"
#include "base/msg.h"
#include "lua/box.h"
#include "lua/embed.h"
#include "lua/sandbox.h"

#include <ctype.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

/* Registry keys; their addresses are unique. */
static const char key_api, key_env, key_rules, key_modules, key_engine, key_names;

static void reg_get(lua_State *L, const char *key)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
}

static void reg_set(lua_State *L, const char *key)
{
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/* ---- where ---------------------------------------------------------------------------------- */

const char *env_path(const struct sandbox *box, const char *source)
{
    if (source[0] != '@')
        return NULL;
    for (uint32_t i = 0; i < box->nchunk; i++)
        if (strcmp(box->chunk[i].alias, source + 1) == 0)
            return box->chunk[i].made ? NULL : box->chunk[i].path;
    return NULL;
}

void env_where(lua_State *L, char *text, size_t size)
{
    const struct sandbox *box = box_of(L);
    lua_Debug ar;

    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        const char *path = env_path(box, ar.source);

        if (path && ar.currentline > 0) {
            snprintf(text, size, "%s:%d", path, ar.currentline);
            return;
        }
    }
    text[0] = '\0';
}

/* ---- the recipes' environment --------------------------------------------------------------- */

static int env_read(lua_State *L)
{
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (!lua_isnil(L, -1))
        return 1;
    const char *word = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";

    if (frozen_nearest(L, lua_upvalueindex(1), word))
        sandbox_error(L, "undeclared variable '%s' (did you mean '%s'?)", word,
                      lua_tostring(L, -1));
    sandbox_error(L, "undeclared variable '%s'", word);
}

static int env_write(lua_State *L)
{
    const char *word = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";

    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        sandbox_error(L, "'%s' is a word of the language and cannot be assigned", word);
    sandbox_error(L, "assignment to undeclared global '%s'; write 'local %s = ...'", word, word);
}

static void open_env(lua_State *L)
{
    library_push(L);
    lua_newtable(L); /* the environment itself: always empty */
    lua_createtable(L, 0, 3);
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, env_read, 1);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, env_write, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "frozen");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "_G");
    reg_set(L, &key_env);
    reg_set(L, &key_api);
}

/* ---- the rules' environment ----------------------------------------------------------------- */

static const struct embedded *find_rule(const char *name)
{
    for (size_t i = 0; i < embedded_rules_count; i++)
        if (strcmp(embedded_rules[i].name, name) == 0)
            return &embedded_rules[i];
    return NULL;
}

void sandbox_rule(lua_State *L, const char *name)
{
    reg_get(L, &key_modules);
    if (lua_getfield(L, -1, name) != LUA_TNIL) {
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 1);
    const struct embedded *rule = find_rule(name);

    if (!rule)
        sandbox_error(L, "no rule '%s'", name);
    lua_pushfstring(L, "=rules/%s.lua", name);
    if (luaL_loadbufferx(L, rule->text, rule->size, lua_tostring(L, -1), "t") != LUA_OK)
        lua_error(L);
    lua_remove(L, -2);
    reg_get(L, &key_rules);
    lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
    lua_remove(L, -2);
}

static int rules_require(lua_State *L)
{
    sandbox_rule(L, luaL_checkstring(L, 1));
    return 1;
}

static void open_rules(lua_State *L)
{
    static const luaL_Reg libs[] = {
        {LUA_STRLIBNAME, luaopen_string},
        {LUA_TABLIBNAME, luaopen_table},
        {LUA_MATHLIBNAME, luaopen_math},
        {LUA_UTF8LIBNAME, luaopen_utf8},
    };
    static const char *const base[] = {
        "assert", "error",  "ipairs", "select",       "tonumber",     "type", "rawequal",
        "rawget", "rawlen", "rawset", "setmetatable", "getmetatable", "pcall"};

    luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
    lua_createtable(L, 0, 32);
    for (size_t i = 0; i < countof(base); i++) {
        lua_getfield(L, -2, base[i]);
        lua_setfield(L, -2, base[i]);
    }
    lua_remove(L, -2);
    for (size_t i = 0; i < countof(libs); i++) {
        luaL_requiref(L, libs[i].name, libs[i].func, 0);
        lua_setfield(L, -2, libs[i].name);
    }
    lua_pushcfunction(L, library_pairs);
    lua_setfield(L, -2, "pairs");
    lua_pushcfunction(L, library_next);
    lua_setfield(L, -2, "next");
    lua_pushcfunction(L, library_tostring);
    lua_setfield(L, -2, "tostring");
    lua_pushcfunction(L, rules_require);
    lua_setfield(L, -2, "require");
    lua_newtable(L);
    lua_pushvalue(L, -1);
    reg_set(L, &key_engine);
    lua_setfield(L, -2, "engine");
    reg_set(L, &key_rules);
    lua_newtable(L);
    reg_set(L, &key_modules);
    /* Strings of recipes and rules share one metatable; recipes cannot reach it. */
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

void sandbox_engine(lua_State *L)
{
    reg_get(L, &key_engine);
}

/* ---- words ---------------------------------------------------------------------------------- */

/* Upvalue 1: the rule's function. While it runs, errors and nodes carry the line of the call.
 * A C function keeps its caller's frame even in `return gguf { ... }`. */
static int call_word(lua_State *L)
{
    struct sandbox *box = box_of(L);
    char outer[LINE_MAX_BYTES];

    memcpy(outer, box->line, sizeof(outer));
    env_where(L, box->line, sizeof(box->line));
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    memcpy(box->line, outer, sizeof(outer));
    return lua_gettop(L);
}

void sandbox_word(lua_State *L, const char *name)
{
    const char *dot = strchr(name, '.');

    lua_pushcclosure(L, call_word, 1);
    reg_get(L, &key_api);
    if (dot) {
        lua_pushlstring(L, name, (size_t)(dot - name));
        if (lua_rawget(L, -2) != LUA_TTABLE) {
            lua_pop(L, 1);
            lua_newtable(L);
            lua_pushlstring(L, name, (size_t)(dot - name));
            lua_pushvalue(L, -2);
            lua_rawset(L, -4);
        }
        lua_remove(L, -2);
        name = dot + 1;
    }
    lua_insert(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

void sandbox_words_done(lua_State *L)
{
    reg_get(L, &key_api);
    const int api = lua_gettop(L);

    lua_newtable(L); /* names first: freezing replaces values while lua_next walks */
    const int names = lua_gettop(L);

    for (lua_pushnil(L); lua_next(L, api); lua_pop(L, 1)) {
        if (!lua_istable(L, -1))
            continue;
        if (lua_getmetatable(L, -1)) { /* a library: frozen already */
            lua_pop(L, 1);
            continue;
        }
        lua_pushvalue(L, -2);
        lua_rawseti(L, names, (lua_Integer)lua_rawlen(L, names) + 1);
    }
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, names); i++) {
        lua_rawgeti(L, names, i);
        lua_pushvalue(L, -1);
        lua_rawget(L, api);
        sandbox_freeze(L, lua_tostring(L, -2), 0, true);
        lua_rawset(L, api);
    }
    lua_settop(L, api - 1);
}

/* ---- chunks --------------------------------------------------------------------------------- */

/* Remember PATH under a name that Lua does not cut; the alias. */
static const char *add_chunk(lua_State *L, const char *path, bool made)
{
    struct sandbox *box = box_of(L);
    struct chunk *chunk = &box->chunk[box->nchunk];

    if (box->nchunk == countof(box->chunk))
        sandbox_error(L, "more than %d modules", MODULES_MAX);
    chunk->made = made;
    chunk->path = arena_strdup(box->arena, path);
    chunk->alias = strlen(path) + 2 < LUA_IDSIZE
                       ? chunk->path
                       : arena_printf(box->arena, "~%u.lua", (unsigned)box->nchunk);
    box->nchunk++;
    return chunk->alias;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* A text scan: good enough to warn, since a library that is hidden on purpose loses nothing. */
static void warn_hidden(lua_State *L, const char *path, const char *text)
{
    int line = 1;

    reg_get(L, &key_api);
    for (const char *p = text; *p; p++) {
        char name[32];
        size_t n = 0;

        line += *p == '\n';
        if (strncmp(p, "local ", 6) != 0 || (p > text && is_word(p[-1])))
            continue;
        const char *from = p + 6;

        while (*from == ' ')
            from++;
        while (n < sizeof(name) - 1 && is_word(from[n])) {
            name[n] = from[n];
            n++;
        }
        name[n] = '\0';
        if (n > 0 && lua_getfield(L, -1, name) != LUA_TNIL)
            msg_warn("%s:%d: 'local %s' hides the language's own '%s'", path, line, name, name);
        lua_settop(L, n > 0 ? -2 : -1);
    }
    lua_pop(L, 1);
}

static void push_chunk(lua_State *L, const char *alias, const char *text, size_t size)
{
    lua_pushfstring(L, "@%s", alias);
    if (luaL_loadbufferx(L, text, size, lua_tostring(L, -1), "t") != LUA_OK)
        lua_error(L);
    lua_remove(L, -2);
    reg_get(L, &key_env);
    lua_setupvalue(L, -2, 1);
}

void sandbox_recipe(lua_State *L, const char *path)
{
    struct sandbox *box = box_of(L);
    struct arena *arena = arena_new();
    struct err err;
    char *text;
    size_t size;

    if (!file_read(path, RECIPE_BYTES_MAX, arena, &text, &size, &err)) {
        arena_free(arena);
        sandbox_fail(L, &err);
    }
    char *kept = arena_strndup(box->arena, text, size);

    arena_free(arena); /* before anything can raise */
    const char *alias = add_chunk(L, path, false);

    if (size > 0 && kept[0] == LUA_SIGNATURE[0])
        sandbox_error(L, "%s is compiled Lua; recipes are text", path);
    if (size > 1 && kept[0] == '#' && kept[1] == '!')
        memcpy(kept, "--", 2); /* a shebang becomes a comment */
    warn_hidden(L, path, kept);
    push_chunk(L, alias, kept, size);
}

void sandbox_text(lua_State *L, const char *name, const char *text)
{
    push_chunk(L, add_chunk(L, name, true), text, strlen(text));
}

void sandbox_document(lua_State *L, const char *path)
{
    (void)add_chunk(L, path, true);
}

/* ---- require of recipes --------------------------------------------------------------------- */

static bool module_name(const char *name)
{
    bool start = true; /* of a part */

    for (; *name; name++) {
        if (*name == '.' || *name == '/') {
            if (start)
                return false;
            start = true;
        } else if (is_word(*name) || (*name == '-' && !start)) {
            start = false;
        } else {
            return false;
        }
    }
    return !start;
}

/* The file of module NAME (dots are slashes) beside the chunk that asks, or NULL. */
static const char *module_file(lua_State *L, const char *name)
{
    struct sandbox *box = box_of(L);
    char here[LINE_MAX_BYTES];

    env_where(L, here, sizeof(here));
    char *colon = strrchr(here, ':');

    if (colon)
        *colon = '\0';
    char *rest = arena_printf(box->arena, "%s.lua", name);

    for (char *p = rest; p < rest + strlen(name); p++)
        if (*p == '.')
            *p = '/';
    const char *path = path_join(box->arena, path_dir(box->arena, here), rest);

    return file_exists(path) && !file_is_dir(path) ? path : NULL;
}

/* Load module NAME of the built-in library for recipes (rules/lib/): recipe code. */
static void load_builtin(lua_State *L, const char *name)
{
    const struct embedded *rule;

    lua_pushfstring(L, "lib/%s", name);
    rule = find_rule(lua_tostring(L, -1));
    if (!rule)
        sandbox_error(L, "no module '%s' beside the recipe or in the built-in library", name);
    lua_pushfstring(L, "=%s.lua", lua_tostring(L, -1));
    if (luaL_loadbufferx(L, rule->text, rule->size, lua_tostring(L, -1), "t") != LUA_OK)
        lua_error(L);
    reg_get(L, &key_env);
    lua_setupvalue(L, -2, 1);
}

static int recipe_require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    if (!module_name(name))
        sandbox_error(L,
                      "require: '%s' is no module name; names are like \"bits\" or "
                      "\"recipes.demo\"",
                      name);
    const char *path = module_file(L, name);

    reg_get(L, &key_names);
    lua_pushfstring(L, "%s", path ? path : name);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (lua_type(L, -1) == LUA_TBOOLEAN)
        sandbox_error(L, "require: '%s' requires itself", name);
    if (!lua_isnil(L, -1))
        return 1;
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushboolean(L, 0); /* in progress */
    lua_rawset(L, 2);
    if (path)
        sandbox_recipe(L, path);
    else
        load_builtin(L, name);
    lua_call(L, 0, 1);
    sandbox_rule(L, "frozen");
    lua_getfield(L, -1, "deep");
    lua_pushvalue(L, -3);
    lua_call(L, 1, 1);
    lua_pushvalue(L, 3);
    lua_pushvalue(L, -2);
    lua_rawset(L, 2);
    return 1;
}

void env_open(lua_State *L)
{
    open_rules(L);
    open_env(L);
    lua_newtable(L);
    reg_set(L, &key_names);
    reg_get(L, &key_api);
    lua_pushcfunction(L, recipe_require);
    lua_setfield(L, -2, "require");
    lua_pop(L, 1);
}
