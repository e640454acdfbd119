/* frozen.c - values that can be read and passed on, never changed: an empty table whose metatable
 * leads to what it shows */
#include "lua/box.h"
#include "lua/near.h"
#include "lua/sandbox.h"

#include <string.h>

static int frozen_write(lua_State *L)
{
    sandbox_error(L, "%s cannot be changed: values are frozen",
                  lua_tostring(L, lua_upvalueindex(1)));
}

bool frozen_nearest(lua_State *L, int table, const char *word)
{
    uint32_t best = near_limit(word) + 1;
    bool found = false;

    table = lua_absindex(L, table);
    lua_pushnil(L); /* room for the result */
    const int result = lua_gettop(L);

    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            continue;
        const char *name = lua_tostring(L, -1);
        const uint32_t d = near_distance(word, name, best);
        /* Lua's order of keys differs from run to run: among equals, the first by name. */
        const bool nearer =
            d < best || (found && d == best && strcmp(name, lua_tostring(L, result)) < 0);

        if (nearer && d <= near_limit(word)) {
            best = d;
            found = true;
            lua_pushvalue(L, -1);
            lua_replace(L, result);
        }
    }
    if (!found)
        lua_pop(L, 1);
    return found;
}

/* Upvalues: kind, visible. A key that is not there is an error with the nearest one. */
static int frozen_read(lua_State *L)
{
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
    if (!lua_isnil(L, -1))
        return 1;
    const char *kind = lua_tostring(L, lua_upvalueindex(1));

    if (lua_type(L, 2) != LUA_TSTRING)
        sandbox_error(L, "%s has no field of type %s", kind, luaL_typename(L, 2));
    const char *word = lua_tostring(L, 2);

    if (frozen_nearest(L, lua_upvalueindex(2), word))
        sandbox_error(L, "%s has no '%s' (did you mean '%s'?)", kind, word, lua_tostring(L, -1));
    sandbox_error(L, "%s has no '%s'", kind, word);
}

static int frozen_length(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, lua_upvalueindex(1)));
    return 1;
}

static int frozen_text(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    return 1;
}

void sandbox_freeze(lua_State *L, const char *kind, int visible, bool strict)
{
    const int content = lua_gettop(L);

    visible = visible ? lua_absindex(L, visible) : content;
    lua_newtable(L);
    lua_createtable(L, 0, 9);
    lua_pushvalue(L, content);
    lua_setfield(L, -2, "__frozen");
    lua_pushvalue(L, visible);
    lua_setfield(L, -2, "__visible");
    lua_pushstring(L, kind);
    lua_setfield(L, -2, "__kind");
    lua_pushliteral(L, "frozen");
    lua_setfield(L, -2, "__metatable");
    lua_pushstring(L, kind);
    lua_pushcclosure(L, frozen_write, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushvalue(L, visible);
    lua_pushcclosure(L, frozen_length, 1);
    lua_setfield(L, -2, "__len");
    lua_pushstring(L, kind);
    lua_pushcclosure(L, frozen_text, 1);
    lua_setfield(L, -2, "__tostring");
    if (strict) {
        lua_pushstring(L, kind);
        lua_pushvalue(L, visible);
        lua_pushcclosure(L, frozen_read, 2);
    } else {
        lua_pushvalue(L, visible);
    }
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_replace(L, content);
}

bool sandbox_content(lua_State *L, int idx, const char **kind)
{
    if (!lua_istable(L, idx) || !lua_getmetatable(L, idx))
        return false;
    /* Only sandbox_freeze makes metatables with this function: a recipe cannot forge one. */
    lua_pushliteral(L, "__newindex");
    lua_rawget(L, -2);
    const bool ours = lua_tocfunction(L, -1) == frozen_write;

    lua_pop(L, 1);
    if (!ours) {
        lua_pop(L, 1);
        return false;
    }
    lua_pushliteral(L, "__frozen");
    lua_rawget(L, -2);
    lua_pushliteral(L, "__kind");
    lua_rawget(L, -3);
    *kind = lua_tostring(L, -1); /* the metatable keeps it */
    lua_pop(L, 1);
    lua_remove(L, -2);
    return true;
}
