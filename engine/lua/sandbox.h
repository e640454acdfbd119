/* sandbox.h - a Lua state for recipes: nothing of the machine, and limits on steps and memory
 *
 * Two kinds of chunks run in it. The rules (embedded, trusted) see Lua's libraries and the
 * table `engine`; recipes see the words, a few safe functions, and nothing they could change.
 * Source: specs/build-engine.md 4.2 and 4.4. There is no pcall, so the first error ends the
 * evaluation; values that words return are frozen. */
#ifndef LUA_SANDBOX_H
#define LUA_SANDBOX_H

#include "base/err.h"

#include <lua.h>

struct sandbox;

struct sandbox_limits {  /* zero: the default */
    size_t memory_bytes; /* 512 MiB */
    uint64_t steps;      /* 2e9 VM instructions */
    uint32_t note_s;     /* 30: say that the recipe is still evaluated */
    uint32_t stop_s;     /* 120: stop it */
};

/* OWNER is found again by sandbox_owner. sandbox_close frees everything. */
bool sandbox_open(struct sandbox **out, const struct sandbox_limits *limits, void *owner,
                  struct err *err) MUST_USE;
void sandbox_close(struct sandbox *box); /* NULL is fine */
lua_State *sandbox_state(struct sandbox *box);
void *sandbox_owner(lua_State *L);

/* Run F (a C function of L without arguments or results) protected. A failure carries the
 * recipe's "PATH:LINE: ", and the code of the struct err that raised it (else ERR_RECIPE). */
bool sandbox_run(struct sandbox *box, lua_CFunction f, struct err *err) MUST_USE;

/* ---- inside sandbox_run --------------------------------------------------------------------- */

/* Raise the error; the place in the recipe is put in front of it. */
int sandbox_fail(lua_State *L, const struct err *err) __attribute__((noreturn));
int sandbox_error(lua_State *L, const char *fmt, ...) PRINTF(2, 3) __attribute__((noreturn));
/* "PATH:LINE" of the recipe's word or statement being evaluated; "" outside recipes. */
const char *sandbox_line(lua_State *L);
/* Another place for errors and nodes (deferred work of a word); NULL: back to none. */
void sandbox_at(lua_State *L, const char *line);

/* Push the module of that name of the rules library. */
void sandbox_rule(lua_State *L, const char *name);
/* Push the table `engine` of the rules, to add functions to it. */
void sandbox_engine(lua_State *L);
/* Pop a function and make it the recipe's word NAME ("cast", "merge.linear"). */
void sandbox_word(lua_State *L, const char *name);
/* All words are there: freeze the names with a dot. */
void sandbox_words_done(lua_State *L);
/* Load the recipe at PATH and push its chunk; warns of locals that hide a library. */
void sandbox_recipe(lua_State *L, const char *path);
/* The same for a recipe that a program made: NAME stands for it in messages, without lines. */
void sandbox_text(lua_State *L, const char *name, const char *text);
/* PATH is a document that is no Lua: messages may begin with "PATH:LINE:COLUMN: ". */
void sandbox_document(lua_State *L, const char *path);

/* Pop a table and push a frozen view of it. KIND names it in messages. VISIBLE (an index, or 0
 * for the table itself) is what a recipe can read; STRICT: reading another field is an error. */
void sandbox_freeze(lua_State *L, const char *kind, int visible, bool strict);
/* Push what lies behind a frozen view at IDX, or false: it is none. *kind borrowed. */
bool sandbox_content(lua_State *L, int idx, const char **kind);

#endif
