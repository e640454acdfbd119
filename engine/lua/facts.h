/* facts.h - what rules/ may ask of the small files beside the weights, and the encodings they
 * need: engine.read, json, json_edit, json_string, is_array, null, encode, tokenizer
 *
 * Errors are raised as Lua strings; no memory is lost when Lua raises one of its own. */
#ifndef LUA_FACTS_H
#define LUA_FACTS_H

#include <lua.h>

/* Add the functions to the table on top of the stack. */
void facts_register(lua_State *L);

/* ---- json_lua.c ---- */

/* engine.json(text): objects as tables, arrays as tables that engine.is_array knows, null as
 * engine.null, integers of 64 bits as integers, other numbers as floats. */
int facts_json(lua_State *L);
/* engine.json_edit(text, { {key, json or nil}... }): top-level keys replaced in place, appended
 * or removed; every other byte stays. */
int facts_json_edit(lua_State *L);
int facts_json_string(lua_State *L);
int facts_is_array(lua_State *L);

/* An arena that Lua frees when an error unwinds; it is on top of the stack. facts_done frees it
 * at once. */
struct arena *facts_arena(lua_State *L);
void facts_done(lua_State *L, int index);
/* Raise TEXT of a struct err. */
int facts_fail(lua_State *L, const char *text) __attribute__((noreturn));

#endif
