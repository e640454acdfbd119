/* yaml_lua.c - what rules/mergekit.lua asks of C: a YAML file as tables, places in it, and where
 * the models that it names lie */
#include "format/format.h"
#include "format/hub.h"
#include "format/yaml.h"
#include "lua/box.h"
#include "lua/facts.h"
#include "lua/vocab.h"

#include <string.h>

static const char *const kinds[] = {"null", "bool", "int", "float", "text", "list", "map"};

static void set_integer(lua_State *L, const char *name, lua_Integer v)
{
    lua_pushinteger(L, v);
    lua_setfield(L, -2, name);
}

/* Push the table of a node, without what is in it. */
static void push_node(lua_State *L, const struct yaml_node *node)
{
    const bool map = node->kind == YAML_MAP, scalar = node->kind < YAML_LIST;

    lua_createtable(L, scalar ? 0 : (int)node->count, 5);
    lua_pushstring(L, kinds[node->kind]);
    lua_setfield(L, -2, "kind");
    set_integer(L, "line", node->line);
    set_integer(L, "column", node->column);
    if (map)
        lua_createtable(L, (int)node->count, 0);
    else
        lua_pushlstring(L, scalar ? node->text : "", node->size);
    lua_setfield(L, -2, map ? "keys" : "text");
    if (node->kind == YAML_BOOL)
        lua_pushboolean(L, node->value.flag);
    else if (node->kind == YAML_INT)
        lua_pushinteger(L, node->value.i64);
    else if (node->kind == YAML_FLOAT)
        lua_pushnumber(L, node->value.f64);
    else
        lua_pushnil(L);
    lua_setfield(L, -2, "value");
}

/* Fill the table on top with the children of NODE, from the list of all tables at ALL. */
static void fill_node(lua_State *L, const struct yaml *doc, const struct yaml_node *node, int all)
{
    const uint32_t step = node->kind == YAML_MAP ? 2 : 1;

    for (uint32_t k = 0; k < node->count; k++) {
        const uint32_t *item = &doc->item[node->first + k * step];

        lua_rawgeti(L, all, (lua_Integer)item[step - 1] + 1);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
        if (step == 1)
            continue;
        lua_getfield(L, -1, "keys");
        lua_rawgeti(L, all, (lua_Integer)item[0] + 1);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
        lua_pop(L, 1);
    }
}

/* engine.yaml(path): its documents, each a node { kind =, line =, column =, text =, value =, ... }:
 * kind is "null", "bool", "int", "float", "text", "list" or "map"; a list holds its values, a map
 * its values and in `keys` their keys. An alias is the node of its anchor. */
static int yaml(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct arena *arena = facts_arena(L);
    const int guard = lua_gettop(L);
    struct yaml doc;
    struct err err;

    sandbox_document(L, path);
    if (!yaml_read(&doc, path, arena, &err))
        sandbox_fail(L, &err);
    lua_createtable(L, (int)doc.nnode, 0);
    const int all = lua_gettop(L);

    for (uint32_t i = 0; i < doc.nnode; i++) {
        push_node(L, &doc.node[i]);
        lua_rawseti(L, all, (lua_Integer)i + 1);
    }
    for (uint32_t i = 0; i < doc.nnode; i++) {
        lua_rawgeti(L, all, (lua_Integer)i + 1);
        fill_node(L, &doc, &doc.node[i], all);
        lua_pop(L, 1);
    }
    lua_createtable(L, (int)doc.nroot, 0);
    for (uint32_t i = 0; i < doc.nroot; i++) {
        lua_rawgeti(L, all, (lua_Integer)doc.root[i] + 1);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    facts_done(L, guard);
    return 1;
}

/* engine.place("FILE:LINE:COLUMN", f, ...): f(...), whose errors, warnings and nodes carry that
 * place, even where a recipe reads the document. */
static int place(lua_State *L)
{
    struct sandbox *box = box_of(L);
    char outer[LINE_MAX_BYTES];
    const bool was = box->in_document;

    memcpy(outer, box->line, sizeof(outer));
    sandbox_at(L, luaL_checkstring(L, 1));
    box->in_document = true;
    lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
    box->in_document = was;
    memcpy(box->line, outer, sizeof(outer));
    return lua_gettop(L) - 1;
}

/* engine.find(path): "file", "folder", or nil. */
static int find(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);

    if (!path[0] || !file_exists(path))
        return lua_pushnil(L), 1;
    lua_pushstring(L, file_is_dir(path) ? "folder" : "file");
    return 1;
}

/* engine.hub("ORG/NAME[@REV]", folder): where it lies in the hub's cache, or in another folder of
 * that layout; nil and the error if it does not; nothing when that is no name of the hub. */
static int hub(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *folder = luaL_optstring(L, 2, NULL);
    struct arena *arena = facts_arena(L);
    const int guard = lua_gettop(L);
    const char *id = arena_strndup(arena, name, strcspn(name, "@"));
    struct err err = {0};
    int n = 0;
    char *dir;

    if (hub_is_id(id) && hub_resolve_in(folder ? folder : hub_folder(arena),
                                        arena_printf(arena, "hf://%s", name), arena, &dir, &err)) {
        lua_pushstring(L, dir);
        n = 1;
    } else if (hub_is_id(id)) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        n = 2;
    }
    facts_done(L, guard);
    return n;
}

void yaml_register(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"yaml", yaml}, {"place", place}, {"find", find}, {"hub", hub}, {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
