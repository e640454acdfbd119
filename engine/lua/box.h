/* box.h - the inside of a sandbox, shared by sandbox.c, env.c and library.c */
#ifndef LUA_BOX_H
#define LUA_BOX_H

#include "base/arena.h"
#include "lua/sandbox.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdatomic.h>

enum { POOL_STEP = 16, POOL_MAX = 1024 }; /* small blocks of Lua's */
enum { POOL_CHUNK_MIN = 256 << 10, POOL_CHUNK_MAX = 8 << 20, POOL_CHUNKS = 128 };
enum { LINE_MAX_BYTES = 512, MODULES_MAX = 256, RECIPE_BYTES_MAX = 16 << 20 };

struct free_block {
    struct free_block *next;
};

/* Lua cuts long chunk names in its messages; a recipe with a long path runs under an alias. */
struct chunk {
    const char *alias; /* what Lua shows */
    const char *path;  /* what people see */
    bool made;         /* nobody wrote it: its lines are not told */
};

struct sandbox {
    lua_State *L;
    void *owner;
    struct arena *arena;
    size_t used, cap;
    struct free_block *free[POOL_MAX / POOL_STEP + 1]; /* by size / POOL_STEP */
    unsigned char *fresh;                              /* never used yet */
    size_t nfresh;
    struct pool_chunk {
        void *p;
        size_t size;
    } pool[POOL_CHUNKS];
    uint32_t npool;
    uint64_t steps, steps_max;
    uint32_t note_s, stop_s;
    bool tripped; /* a limit was hit: the hook raises at every instruction */

    char line[LINE_MAX_BYTES]; /* of the word in progress; "" outside words */
    bool in_document;          /* LINE is a place in a document that the recipe reads */
    struct chunk chunk[MODULES_MAX + 1];
    uint32_t nchunk;
    struct err failure; /* what sandbox_fail raised; code ERR_NONE: a plain Lua error */

    pthread_t alarm;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool finished;
    _Atomic bool expired;
    _Atomic int now_line; /* of the recipe, as the hook last saw it */
};

static inline struct sandbox *box_of(lua_State *L)
{
    struct sandbox *box;

    __builtin_memcpy(&box, lua_getextraspace(L), sizeof(struct sandbox *));
    return box;
}

/* env.c: libraries, environments, `engine`, require; called once. */
void env_open(lua_State *L);
/* "PATH:LINE" of the innermost recipe frame into TEXT, or "" when there is none. */
void env_where(lua_State *L, char *text, size_t size);
/* The path that people see for a chunk name as Lua has it ("@..."), or NULL: no recipe
 * that somebody wrote. */
const char *env_path(const struct sandbox *box, const char *source);

/* frozen.c: push the key of the table at TABLE nearest to WORD, or nothing and false. */
bool frozen_nearest(lua_State *L, int table, const char *word);

/* library.c: push the table of functions that recipes see (pairs, string, table, ...). */
void library_push(lua_State *L);
/* pairs and next in a fixed order, for the rules too. */
int library_pairs(lua_State *L);
int library_next(lua_State *L);
int library_tostring(lua_State *L);
/* pattern.c: find, match, gmatch, gsub with a limit on their steps, into the table on top. */
void pattern_register(lua_State *L);

#endif
