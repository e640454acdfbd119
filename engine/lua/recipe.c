#include "lua/recipe.h"

#include "lua/facts.h"
#include "lua/sandbox.h"
#include "lua/vocab.h"

#include <lauxlib.h>
#include <string.h>

/* Push the rules' init module and make its words those of the recipe. */
static void load_words(lua_State *L)
{
    sandbox_engine(L);
    vocab_register(L);
    facts_register(L);
    lua_pop(L, 1);
    sandbox_rule(L, "init");
    lua_getfield(L, -1, "words");
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TTABLE; i++) {
        lua_getfield(L, -1, "name");
        if (lua_getfield(L, -2, "run") == LUA_TFUNCTION)
            sandbox_word(L, lua_tostring(L, -2));
        else
            lua_pop(L, 1);
        lua_pop(L, 2);
    }
    lua_pop(L, 2);
    sandbox_words_done(L);
}

static const char *keep_field(lua_State *L, struct arena *arena, const char *name)
{
    lua_getfield(L, -1, name);
    const char *text = arena_strdup(arena, luaL_checkstring(L, -1));

    lua_pop(L, 1);
    return text;
}

/* The list of finished artifacts on top of the stack: { variant, name, kind, line, handle }. */
static void take_artifacts(lua_State *L, struct vocab *v)
{
    struct arena *arena = graph_arena(v->graph);
    const uint32_t n = (uint32_t)lua_rawlen(L, -1);

    v->out->artifact = arena_array(arena, n, sizeof(*v->out->artifact));
    for (uint32_t i = 0; i < n; i++) {
        struct artifact *a = &v->out->artifact[i];

        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        lua_getfield(L, -1, "handle");
        *a = *v->layout[luaL_checkinteger(L, -1) - 1];
        lua_pop(L, 1);
        a->variant = keep_field(L, arena, "variant");
        a->name = keep_field(L, arena, "name");
        a->line = keep_field(L, arena, "line");
        lua_pop(L, 1);
    }
    v->out->nartifact = n;
}

static void push_variants(lua_State *L, const struct recipe_options *options)
{
    lua_createtable(L, (int)options->nvariant, 0);
    for (uint32_t i = 0; i < options->nvariant; i++) {
        lua_pushstring(L, options->variant[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void set_text(lua_State *L, const char *key, const char *text)
{
    lua_pushstring(L, text); /* NULL: nil */
    lua_setfield(L, -2, key);
}

static void set_flag(lua_State *L, const char *key, bool flag)
{
    lua_pushboolean(L, flag);
    lua_setfield(L, -2, key);
}

/* Push what function NAME of the rules makes of the mergekit file. */
static void push_yaml(lua_State *L, const struct vocab *v, const char *name)
{
    const struct recipe_merge none = {0}, *m = v->options->merge ? v->options->merge : &none;

    sandbox_rule(L, "init");
    lua_getfield(L, -1, name);
    lua_pushstring(L, v->path);
    lua_createtable(L, 0, 7);
    set_text(L, "model_dir", m->model_dir);
    set_text(L, "seed", m->seed);
    set_text(L, "shard", m->shard);
    set_text(L, "name", m->name);
    set_flag(L, "strict", m->strict);
    set_flag(L, "no_tokenizer", m->no_tokenizer);
    set_flag(L, "truncate_vocab", m->truncate_vocab);
    set_flag(L, "allow_mixed_arch", m->allow_mixed_arch);
    lua_call(L, 2, 1);
    lua_remove(L, -2);
}

static int evaluate(lua_State *L)
{
    struct vocab *v = vocab_of(L);

    load_words(L);
    if (v->options->text)
        sandbox_text(L, v->path, v->options->text);
    else if (recipe_is_yaml(v->path))
        push_yaml(L, v, "yaml");
    else
        sandbox_recipe(L, v->path);
    if (lua_isfunction(L, -1))
        lua_call(L, 0, 1);
    sandbox_rule(L, "init");
    lua_getfield(L, -1, "finish");
    lua_pushvalue(L, -3);
    push_variants(L, v->options);
    lua_pushstring(L, v->path);
    lua_call(L, 3, 1);
    take_artifacts(L, v);
    return 0;
}

static void take_notes(struct vocab *v)
{
    v->out->note = arena_array(graph_arena(v->graph), v->nnote, sizeof(*v->out->note));
    for (uint32_t i = 0; i < v->nnote; i++)
        v->out->note[i] = v->note[i];
    v->out->nnote = v->nnote;
}

static bool run(struct recipe *out, const char *path, const struct recipe_options *options,
                lua_CFunction f, struct err *err)
{
    struct vocab v = {.graph = graph_new(), .options = options, .path = path, .out = out};
    struct sandbox *box = NULL;

    v.option_used = mem_grow(NULL, options->ndefine + 1);
    memset(v.option_used, 0, options->ndefine + 1);
    *out = (struct recipe){.graph = v.graph};
    const bool ok = sandbox_open(&box, NULL, &v, err) && sandbox_run(box, f, err);

    if (ok)
        take_notes(&v);
    sandbox_close(box);
    vocab_finish(&v);
    if (!ok) {
        graph_free(v.graph);
        *out = (struct recipe){0};
    }
    return ok;
}

bool recipe_open(struct recipe *out, const char *path, const struct recipe_options *options,
                 struct err *err)
{
    return run(out, path, options, evaluate, err);
}

void recipe_close(struct recipe *recipe)
{
    graph_free(recipe->graph);
    *recipe = (struct recipe){0};
}

/* The text on top is left in the arena, as the only note. */
static void leave_text(lua_State *L)
{
    struct vocab *v = vocab_of(L);

    v->note = mem_grow(v->note, sizeof(*v->note));
    v->note[0] = arena_strdup(graph_arena(v->graph), luaL_checkstring(L, -1));
    v->nnote = 1;
}

static int write_words(lua_State *L)
{
    load_words(L);
    sandbox_rule(L, "words");
    lua_getfield(L, -1, "page");
    lua_call(L, 0, 1);
    leave_text(L);
    return 0;
}

static int write_yaml(lua_State *L)
{
    load_words(L);
    push_yaml(L, vocab_of(L), "yaml_text");
    leave_text(L);
    return 0;
}

static bool write_text(struct buf *out, const char *path, const struct recipe_options *options,
                       lua_CFunction f, struct err *err)
{
    struct recipe recipe;

    if (!run(&recipe, path, options, f, err))
        return false;
    buf_text(out, recipe.note[0]);
    recipe_close(&recipe);
    return true;
}

bool recipe_words(struct buf *out, struct err *err)
{
    const struct recipe_options none = {0};

    return write_text(out, "words", &none, write_words, err);
}

bool recipe_is_yaml(const char *path)
{
    const size_t n = strlen(path);

    return (n > 4 && strcmp(path + n - 4, ".yml") == 0) ||
           (n > 5 && strcmp(path + n - 5, ".yaml") == 0);
}

bool recipe_of_yaml(struct buf *out, const char *path, const struct recipe_merge *merge,
                    struct err *err)
{
    const struct recipe_options options = {.merge = merge};

    return write_text(out, path, &options, write_yaml, err);
}
