#include "lua/vocab.h"

#include "base/msg.h"
#include "format/gguf.h"
#include "lua/hub_missing.h"
#include "lua/near.h"
#include "lua/sandbox.h"

#include <lauxlib.h>
#include <string.h>

struct opened {
    struct checkpoint ckpt;
    struct arena *arena;
    struct opened *next;
};

struct vocab *vocab_of(lua_State *L)
{
    return sandbox_owner(L);
}

void vocab_finish(struct vocab *v)
{
    for (struct opened *o = v->opened, *next; o; o = next) {
        next = o->next;
        checkpoint_close(&o->ckpt);
        arena_free(o->arena); /* O lies in it */
    }
    v->opened = NULL;
    mem_grow(v->layout, 0);
    mem_grow(v->note, 0);
    mem_grow(v->option_used, 0);
    mem_grow(v->reached, 0);
}

struct node_id vocab_node(lua_State *L, int idx)
{
    const lua_Integer i = luaL_checkinteger(L, idx);

    luaL_argcheck(L, i >= 0 && i < graph_nodes(vocab_of(L)->graph), idx, "no such node");
    return (struct node_id){(uint32_t)i};
}

/* ---- words and messages --------------------------------------------------------------------- */

static int nearest(lua_State *L)
{
    const char *word = luaL_checkstring(L, 1);
    uint32_t best = near_limit(word) + 1;

    luaL_checktype(L, 2, LUA_TTABLE);
    lua_pushnil(L);
    const int result = lua_gettop(L);

    for (lua_Integer i = 1; lua_rawgeti(L, 2, i) == LUA_TSTRING; i++) {
        const uint32_t d = near_distance(word, lua_tostring(L, -1), best);

        if (d < best) {
            best = d;
            lua_copy(L, -1, result);
        }
        lua_pop(L, 1);
    }
    lua_settop(L, result);
    return 1;
}

static int fail(lua_State *L)
{
    sandbox_error(L, "%s", luaL_checkstring(L, 1));
}

static int warn(lua_State *L)
{
    const char *line = sandbox_line(L);

    msg_warn("%s%s%s", line, line[0] ? ": " : "", luaL_checkstring(L, 1));
    return 0;
}

static int note(lua_State *L)
{
    struct vocab *v = vocab_of(L);
    const char *text = luaL_checkstring(L, 1);

    for (uint32_t i = 0; i < v->nnote; i++)
        if (strcmp(v->note[i], text) == 0)
            return 0;
    v->note = mem_grow(v->note, (v->nnote + 1) * sizeof(*v->note));
    v->note[v->nnote++] = arena_strdup(graph_arena(v->graph), text);
    return 0;
}

static int line(lua_State *L)
{
    lua_pushstring(L, sandbox_line(L));
    return 1;
}

/* engine.at(line, f, ...): f(...) with that line for its nodes and errors. */
static int at(lua_State *L)
{
    sandbox_at(L, luaL_checkstring(L, 1));
    lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
    sandbox_at(L, NULL);
    return lua_gettop(L) - 1;
}

static int freeze(lua_State *L)
{
    const char *kind = luaL_checkstring(L, 2);
    const bool visible = lua_istable(L, 3), strict = lua_toboolean(L, 4);

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, 1);
    sandbox_freeze(L, kind, visible ? 3 : 0, strict);
    return 1;
}

static int content(lua_State *L)
{
    const char *kind;

    if (!sandbox_content(L, 1, &kind))
        return lua_pushnil(L), 1;
    lua_pushstring(L, kind);
    return 2;
}

/* ---- options -------------------------------------------------------------------------------- */

/* engine.option(name): the text of -D name=..., or nil. */
static int option(lua_State *L)
{
    struct vocab *v = vocab_of(L);
    const char *name = luaL_checkstring(L, 1);
    const size_t n = strlen(name);

    for (uint32_t i = v->options->ndefine; i-- > 0;) { /* the last one wins */
        const char *def = v->options->define[i];

        if (strncmp(def, name, n) != 0 || (def[n] != '=' && def[n] != '\0'))
            continue;
        v->option_used[i] = true;
        lua_pushstring(L, def[n] == '=' ? def + n + 1 : "true");
        return 1;
    }
    return lua_pushnil(L), 1;
}

/* The first -D that no option(...) asked for: its name, or nil. */
static int option_unused(lua_State *L)
{
    const struct vocab *v = vocab_of(L);

    for (uint32_t i = 0; i < v->options->ndefine; i++)
        if (!v->option_used[i]) {
            const char *def = v->options->define[i];

            lua_pushlstring(L, def, strcspn(def, "="));
            return 1;
        }
    return lua_pushnil(L), 1;
}

/* ---- tensors -------------------------------------------------------------------------------- */

static void push_shape(lua_State *L, const struct tensor *t)
{
    lua_createtable(L, (int)t->rank, 0);
    for (uint32_t i = 0; i < t->rank; i++) {
        lua_pushinteger(L, t->dim[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static const struct tensor *tensor_at(lua_State *L, int idx)
{
    return graph_tensor(vocab_of(L)->graph, vocab_node(L, idx));
}

static int tensor(lua_State *L)
{
    const struct tensor *t = tensor_at(L, 1);

    lua_pushstring(L, dtype_name(t->dtype));
    push_shape(L, t);
    lua_pushboolean(L, graph_node(vocab_of(L)->graph, vocab_node(L, 1))->call.op == NULL);
    return 3;
}

static int type_of(lua_State *L)
{
    lua_pushstring(L, dtype_name(tensor_at(L, 1)->dtype));
    return 1;
}

/* Its dimensions, the slowest first, as values. */
static int dims(lua_State *L)
{
    const struct tensor *t = tensor_at(L, 1);

    for (uint32_t i = 0; i < t->rank; i++)
        lua_pushinteger(L, t->dim[i]);
    return (int)t->rank;
}

static int cols(lua_State *L)
{
    lua_pushinteger(L, tensor_cols(tensor_at(L, 1)));
    return 1;
}

/* Whether ggml counts two dimensions or more: trailing ones (leading here) do not. */
static int is_matrix(lua_State *L)
{
    const struct tensor *t = tensor_at(L, 1);
    bool matrix = false;

    for (uint32_t i = 0; i + 1 < t->rank; i++)
        matrix = matrix || t->dim[i] > 1;
    lua_pushboolean(L, matrix);
    return 1;
}

static int is_source(lua_State *L)
{
    lua_pushboolean(L, graph_node(vocab_of(L)->graph, vocab_node(L, 1))->call.op == NULL);
    return 1;
}

static int same_shape(lua_State *L)
{
    lua_pushboolean(L, tensor_same_shape(tensor_at(L, 1), tensor_at(L, 2)));
    return 1;
}

/* elements, bytes */
static int size_of(lua_State *L)
{
    const struct tensor *t = tensor_at(L, 1);

    lua_pushinteger(L, tensor_elements(t));
    lua_pushinteger(L, (lua_Integer)tensor_bytes(t));
    return 2;
}

/* engine.dtype(name): name, kind, elements of a block, bytes of it, whether it uses an imatrix; or
 * nil, the nearest name. */
static int dtype_facts(lua_State *L)
{
    static const char *const kinds[] = {"float", "block", "plain"};
    const char *name = luaL_checkstring(L, 1);
    enum dtype dtype;

    if (!dtype_find(name, &dtype)) {
        lua_pushnil(L);
        lua_pushstring(L, dtype_nearest(name));
        return 2;
    }
    const struct dtype_info *info = dtype_info(dtype);

    lua_pushstring(L, info->name);
    lua_pushstring(L, kinds[info->kind]);
    lua_pushinteger(L, info->elements);
    lua_pushinteger(L, info->bytes);
    lua_pushboolean(L, info->weighted);
    return 5;
}

/* ---- open ----------------------------------------------------------------------------------- */

static const char *const kv_types[GGUF_TYPE_COUNT] = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "arr", "u64", "i64", "f64"};

/* The value of a scalar or string, or nil. */
static void push_value(lua_State *L, const struct gguf_kv *kv)
{
    uint64_t n, u;
    double f;
    const char *text = gguf_string(kv, &n);

    if (text)
        lua_pushlstring(L, text, (size_t)n);
    else if (kv->type == GGUF_BOOL)
        lua_pushboolean(L, kv->size > 0 && kv->value[0] != 0);
    else if (gguf_f64(kv, &f))
        lua_pushnumber(L, f);
    else if (gguf_u64(kv, &u) && u <= INT64_MAX)
        lua_pushinteger(L, (lua_Integer)u);
    else
        lua_pushnil(L);
}

static void push_kv(lua_State *L, const struct checkpoint *ckpt)
{
    lua_createtable(L, (int)ckpt->nkv, 0);
    for (size_t i = 0; i < ckpt->nkv; i++) {
        const struct gguf_kv *kv = &ckpt->kv[i];

        lua_createtable(L, 0, 4);
        lua_pushstring(L, kv->key);
        lua_setfield(L, -2, "key");
        lua_pushstring(L, kv_types[kv->type]);
        lua_setfield(L, -2, "type");
        lua_pushlstring(L, (const char *)kv->value, kv->size);
        lua_setfield(L, -2, "raw");
        push_value(L, kv);
        lua_setfield(L, -2, "value");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* Push four tables: the tensors' names, nodes and files (from 1), all in file order, and their
 * places by name. Files are added in their order. */
static void push_tensors(lua_State *L, const struct checkpoint *ckpt, const char *shown)
{
    struct vocab *v = vocab_of(L);
    struct arena *arena = graph_arena(v->graph);
    uint32_t *file = arena_array(arena, ckpt->nfile, sizeof(*file));
    struct err err;

    for (uint32_t i = 0; i < ckpt->nfile; i++) {
        const char *name = shown;

        if (ckpt->dir)
            name = path_join(arena, shown, path_base(ckpt->file[i]));
        else if (i > 0)
            name = ckpt->file[i];
        if (!graph_add_file(v->graph, ckpt->file[i], name, &file[i], &err))
            sandbox_fail(L, &err);
    }
    const int n = (int)ckpt->ntensor;

    lua_createtable(L, n, 0); /* names */
    lua_createtable(L, n, 0); /* nodes */
    lua_createtable(L, n, 0); /* shards */
    lua_createtable(L, 0, n); /* by name */
    for (size_t i = 0; i < ckpt->ntensor; i++) {
        const struct file_tensor *t = &ckpt->tensor[i];
        const lua_Integer at = (lua_Integer)i + 1;
        const struct node_id id =
            graph_add_source(v->graph, file[t->file], t->name, &t->t, t->offset);

        lua_pushstring(L, t->name);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -6, at);
        lua_pushinteger(L, at);
        lua_rawset(L, -3);
        lua_pushinteger(L, id.i);
        lua_rawseti(L, -4, at);
        lua_pushinteger(L, (lua_Integer)t->file + 1);
        lua_rawseti(L, -3, at);
    }
}

/* engine.open(path): a checkpoint's directory of tensors, nothing of their bytes: { format, path,
 * dir, files, names, nodes, shards, index, kv }. */
static int open(lua_State *L)
{
    struct vocab *v = vocab_of(L);
    const char *shown = luaL_checkstring(L, 1);
    struct arena *arena = arena_new();
    struct opened *o = arena_alloc(arena, sizeof(*o));
    struct err err;
    char *path = arena_strdup(arena, shown);

    o->arena = arena;
    const bool on_hub = strncmp(shown, "hf://", 5) == 0;
    const bool found = !on_hub || hub_resolve(shown, arena, &path, &err);

    if (!found)
        hub_missing(v->path, &err);
    if (!found || !checkpoint_open(&o->ckpt, path, arena, &err)) {
        arena_free(arena);
        sandbox_fail(L, &err);
    }
    o->next = v->opened;
    v->opened = o;
    lua_createtable(L, 0, 6);
    lua_pushstring(L, o->ckpt.format->name);
    lua_setfield(L, -2, "format");
    lua_pushstring(L, path);
    lua_setfield(L, -2, "path");
    lua_pushstring(L, o->ckpt.dir);
    lua_setfield(L, -2, "dir");
    lua_createtable(L, (int)o->ckpt.nfile, 0);
    for (uint32_t i = 0; i < o->ckpt.nfile; i++) {
        lua_pushstring(L, o->ckpt.file[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "files");
    push_tensors(L, &o->ckpt, shown);
    lua_setfield(L, -5, "index");
    lua_setfield(L, -4, "shards");
    lua_setfield(L, -3, "nodes");
    lua_setfield(L, -2, "names");
    if (o->ckpt.kv) {
        push_kv(L, &o->ckpt);
        lua_setfield(L, -2, "kv");
    }
    return 1;
}

static int sizes_only(lua_State *L)
{
    lua_pushboolean(L, vocab_of(L)->options->sizes_only);
    return 1;
}

void vocab_register(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"nearest", nearest},
        {"fail", fail},
        {"warn", warn},
        {"note", note},
        {"line", line},
        {"at", at},
        {"freeze", freeze},
        {"content", content},
        {"option", option},
        {"tensor", tensor},
        {"type", type_of},
        {"dims", dims},
        {"size", size_of},
        {"open", open},
        {"dtype", dtype_facts},
        {"op", vocab_op},
        {"same_shape", same_shape},
        {"option_unused", option_unused},
        {"cols", cols},
        {"is_matrix", is_matrix},
        {"is_source", is_source},
        {"imatrix", vocab_imatrix},
        {"sizes_only", sizes_only},
        {"regex", vocab_regex},
        {"mask_key", vocab_mask_key},
        {"rows", vocab_rows},
        {"tokens_differ", vocab_tokens_differ},
        {NULL, NULL},
    };

    luaL_setfuncs(L, functions, 0);
    layout_register(L);
    yaml_register(L);
}
