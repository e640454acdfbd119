#include "lua/sandbox.h"

#include "base/msg.h"
#include "lua/box.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { HOOK_EVERY = 10000 };

static const struct sandbox_limits defaults = {
    .memory_bytes = (size_t)512 << 20,
    .steps = 2000000000,
    .note_s = 30,
    .stop_s = 120,
};

/* A chunk twice as large as the last; huge pages, since a large recipe's time is page faults. */
static bool pool_grow(struct sandbox *box)
{
    const uint32_t twice = box->npool < 5 ? box->npool : 5;
    const size_t size = (size_t)POOL_CHUNK_MIN << twice;

    if (box->npool == POOL_CHUNKS)
        return false;
    box->fresh = bulk_alloc(size);
    if (!box->fresh) {
        box->nfresh = 0;
        return false;
    }
    if (size >= POOL_CHUNK_MAX / 2)
        (void)madvise(box->fresh, size, MADV_HUGEPAGE);
    box->nfresh = size;
    box->pool[box->npool++] = (struct pool_chunk){box->fresh, size};
    return true;
}

/* Small blocks come from free lists by size, cut from chunks: a recipe makes many tables of few
 * sizes, and all of them go at once in the end. */
static void *pool_take(struct sandbox *box, size_t size)
{
    const size_t class = (size + POOL_STEP - 1) / POOL_STEP;
    struct free_block *block = box->free[class];

    if (block) {
        box->free[class] = block->next;
        return block;
    }
    if (box->nfresh < class * POOL_STEP && !pool_grow(box))
        return NULL;
    void *out = box->fresh;

    box->fresh += class * POOL_STEP;
    box->nfresh -= class * POOL_STEP;
    return out;
}

static void pool_give(struct sandbox *box, void *old, size_t size)
{
    struct free_block *block = old;

    block->next = box->free[(size + POOL_STEP - 1) / POOL_STEP];
    box->free[(size + POOL_STEP - 1) / POOL_STEP] = block;
}

static void *resize(struct sandbox *box, void *old, size_t had, size_t size)
{
    const bool was_small = had <= POOL_MAX, small = size <= POOL_MAX;

    if (old && !was_small && !small)
        return mem_grow(old, size);
    void *out = size == 0 ? NULL : small ? pool_take(box, size) : mem_grow(NULL, size);

    if (!old || (size > 0 && !out))
        return out;
    if (out)
        memcpy(out, old, had < size ? had : size);
    if (was_small)
        pool_give(box, old, had);
    else
        mem_grow(old, 0);
    return out;
}

static void *allocate(void *self, void *old, size_t old_size, size_t size)
{
    struct sandbox *box = self;
    const size_t had = old ? old_size : 0; /* Lua passes a type tag for new blocks */

    if (size > had && size - had > box->cap - box->used)
        return NULL;
    void *out = resize(box, old, had, size);

    if (out || size == 0) {
        box->used += size;
        box->used -= had;
    }
    return out;
}

/* Once tripped it raises at every instruction, so that nothing a recipe does (a __close
 * variable, say) goes on for long. */
static void hook(lua_State *L, lua_Debug *ar)
{
    struct sandbox *box = box_of(L);

    lua_getinfo(L, "Sl", ar);
    if (ar->source[0] == '@')
        atomic_store(&box->now_line, ar->currentline);
    box->steps += HOOK_EVERY;
    if (box->steps < box->steps_max && !atomic_load(&box->expired))
        return;
    if (!box->tripped)
        lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    box->tripped = true;
    if (atomic_load(&box->expired))
        sandbox_error(L, "the recipe ran for %u s: is there an endless loop?",
                      (unsigned)box->stop_s);
    sandbox_error(L, "the recipe ran for %llu steps: is there an endless loop?",
                  (unsigned long long)box->steps_max);
}

/* True when the evaluation ended, false after SECONDS. The lock is held. */
static bool wait_end(struct sandbox *box, uint32_t seconds)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    while (!box->finished)
        if (pthread_cond_timedwait(&box->wake, &box->lock, &until) == ETIMEDOUT)
            break;
    return box->finished;
}

/* The hook cannot fire inside a C function; this thread can speak at any time. */
static void *watch(void *self)
{
    struct sandbox *box = self;

    pthread_mutex_lock(&box->lock);
    if (box->note_s < box->stop_s && !wait_end(box, box->note_s)) {
        msg_moment("still evaluating %s:%d", box->nchunk ? box->chunk[0].path : "the recipe",
                   atomic_load(&box->now_line));
        wait_end(box, box->stop_s - box->note_s);
    } else {
        wait_end(box, box->stop_s);
    }
    if (!box->finished)
        atomic_store(&box->expired, true);
    pthread_mutex_unlock(&box->lock);
    return NULL;
}

static bool alarm_start(struct sandbox *box, struct err *err)
{
    pthread_condattr_t attr;

    box->finished = false;
    pthread_mutex_init(&box->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&box->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&box->alarm, NULL, watch, box) == 0)
        return true;
    pthread_cond_destroy(&box->wake);
    pthread_mutex_destroy(&box->lock);
    return err_set(err, ERR_MEMORY, "no thread for the recipe's clock");
}

static void alarm_stop(struct sandbox *box)
{
    pthread_mutex_lock(&box->lock);
    box->finished = true;
    pthread_cond_signal(&box->wake);
    pthread_mutex_unlock(&box->lock);
    pthread_join(box->alarm, NULL);
    pthread_cond_destroy(&box->wake);
    pthread_mutex_destroy(&box->lock);
}

static int setup(lua_State *L)
{
    env_open(L);
    return 0;
}

bool sandbox_open(struct sandbox **out, const struct sandbox_limits *limits, void *owner,
                  struct err *err)
{
    struct arena *arena = arena_new();
    struct sandbox *box = arena_alloc(arena, sizeof(*box));
    const struct sandbox_limits l = limits ? *limits : defaults;

    box->arena = arena;
    box->owner = owner;
    box->cap = l.memory_bytes ? l.memory_bytes : defaults.memory_bytes;
    box->steps_max = l.steps ? l.steps : defaults.steps;
    box->note_s = l.note_s ? l.note_s : defaults.note_s;
    box->stop_s = l.stop_s ? l.stop_s : defaults.stop_s;
    box->L = lua_newstate(allocate, box);
    if (!box->L) {
        for (uint32_t i = 0; i < box->npool; i++)
            bulk_free(box->pool[i].p, box->pool[i].size);
        arena_free(arena);
        return err_set(err, ERR_MEMORY, "no memory for Lua");
    }
    memcpy(lua_getextraspace(box->L), &box, sizeof(struct sandbox *));
    /* Recipes are short, so collecting is mostly waste; at the cap Lua collects by itself. */
    lua_gc(box->L, LUA_GCINC, 1000, 0, 0);
    if (!sandbox_run(box, setup, err)) {
        sandbox_close(box);
        return false;
    }
    *out = box;
    return true;
}

void sandbox_close(struct sandbox *box)
{
    if (!box)
        return;
    lua_sethook(box->L, NULL, 0, 0);
    lua_close(box->L);
    for (uint32_t i = 0; i < box->npool; i++)
        bulk_free(box->pool[i].p, box->pool[i].size);
    arena_free(box->arena);
}

lua_State *sandbox_state(struct sandbox *box)
{
    return box->L;
}

void *sandbox_owner(lua_State *L)
{
    return box_of(L)->owner;
}

const char *sandbox_line(lua_State *L)
{
    return box_of(L)->line;
}

void sandbox_at(lua_State *L, const char *line)
{
    struct sandbox *box = box_of(L);

    snprintf(box->line, sizeof(box->line), "%s", line ? line : "");
}

/* Does TEXT begin with the place in a recipe, as Lua or sandbox_fail writes it? */
static bool has_place(const struct sandbox *box, const char *text)
{
    for (uint32_t i = 0; i < box->nchunk; i++) {
        const char *const name[] = {box->chunk[i].alias, box->chunk[i].path};

        for (size_t k = 0; k < countof(name); k++)
            if (strncmp(text, name[k], strlen(name[k])) == 0 && text[strlen(name[k])] == ':' &&
                isdigit((unsigned char)text[strlen(name[k]) + 1]))
                return true;
    }
    return false;
}

/* The place of what happens now: in a function of the recipe that a word calls, too. */
static void where(lua_State *L, char *text, size_t size)
{
    const struct sandbox *box = box_of(L);

    text[0] = '\0';
    if (!box->in_document)
        env_where(L, text, size);
    if (!text[0])
        snprintf(text, size, "%s", box->line);
}

int sandbox_fail(lua_State *L, const struct err *err)
{
    struct sandbox *box = box_of(L);
    char line[LINE_MAX_BYTES];

    box->failure = *err;
    where(L, line, sizeof(line));
    if (line[0] && !has_place(box, err->text))
        (void)err_in(&box->failure, "%s", line);
    lua_pushstring(L, box->failure.text);
    lua_error(L);
    __builtin_unreachable();
}

int sandbox_error(lua_State *L, const char *fmt, ...)
{
    struct err err;
    char text[sizeof(err.text)];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    (void)err_set(&err, ERR_RECIPE, "%s", text);
    sandbox_fail(L, &err);
}

/* A message of Lua's own begins with a chunk's alias: show its path. */
static void unalias(const struct sandbox *box, const char *text, struct err *err)
{
    for (uint32_t i = 0; i < box->nchunk; i++) {
        const size_t n = strlen(box->chunk[i].alias);

        if (strncmp(text, box->chunk[i].alias, n) == 0 && text[n] == ':') {
            (void)err_set(err, ERR_RECIPE, "%s%s", box->chunk[i].path, text + n);
            return;
        }
    }
    (void)err_set(err, ERR_RECIPE, "%s", text);
}

/* An error of a C function or of the rules does not know the recipe's line: add it while the
 * stack is still there. */
static int on_error(lua_State *L)
{
    struct sandbox *box = box_of(L);
    char line[LINE_MAX_BYTES];

    if (lua_type(L, 1) != LUA_TSTRING && lua_type(L, 1) != LUA_TNUMBER) {
        if (!luaL_callmeta(L, 1, "__tostring"))
            lua_pushfstring(L, "the recipe raised a %s", luaL_typename(L, 1));
        lua_replace(L, 1);
        lua_settop(L, 1);
    }
    const char *text = lua_tostring(L, 1);

    if (!text || has_place(box, text))
        return 1;
    where(L, line, sizeof(line));
    if (line[0])
        lua_pushfstring(L, "%s: %s", line, text);
    return 1;
}

static bool report(struct sandbox *box, int status, struct err *err)
{
    const char *text = lua_tostring(box->L, -1);

    if (status == LUA_ERRMEM)
        return err_set(err, ERR_RECIPE, "%s: the recipe needs more than %zu MiB of memory",
                       box->nchunk ? box->chunk[0].path : "recipe", box->cap >> 20);
    if (!text)
        return err_set(err, ERR_RECIPE, "the recipe failed without a message");
    if (box->failure.code != ERR_NONE && strcmp(text, box->failure.text) == 0)
        *err = box->failure;
    else
        unalias(box, text, err);
    return false;
}

bool sandbox_run(struct sandbox *box, lua_CFunction f, struct err *err)
{
    lua_State *L = box->L;

    box->failure.code = ERR_NONE;
    box->line[0] = '\0';
    if (!alarm_start(box, err))
        return false;
    lua_sethook(L, hook, LUA_MASKCOUNT, HOOK_EVERY);
    lua_settop(L, 0);
    lua_pushcfunction(L, on_error);
    lua_pushcfunction(L, f);
    const int status = lua_pcall(L, 0, 0, 1);

    alarm_stop(box);
    const bool ok = status == LUA_OK || report(box, status, err);

    lua_settop(L, 0);
    return ok;
}
