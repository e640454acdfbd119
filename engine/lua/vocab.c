#include "lua/vocab.h"

#include "base/msg.h"
#include "format/gguf.h"
#include "lua/near.h"
#include "lua/sandbox.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
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

/* engine.dtype(name): name, kind, elements of a block, bytes of it; or nil, the nearest name. */
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
    return 4;
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
    if ((strncmp(shown, "hf://", 5) == 0 && !hub_resolve(shown, arena, &path, &err)) ||
        !checkpoint_open(&o->ckpt, path, arena, &err)) {
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

/* ---- op ------------------------------------------------------------------------------------- */

static bool read_f64s(lua_State *L, union op_arg *out, bool integers)
{
    const size_t n = lua_rawlen(L, -1);
    void *memory = lua_newuserdatauv(L, (n + 1) * 8, 0); /* lives until the call returns */
    double *f = memory;
    int64_t *i64 = memory;
    int ok = 1;

    lua_insert(L, -2); /* the list stays on top */
    for (size_t i = 0; ok && i < n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        if (integers)
            i64[i] = lua_tointegerx(L, -1, &ok);
        else
            f[i] = lua_tonumberx(L, -1, &ok);
        lua_pop(L, 1);
    }
    if (integers) {
        out->i64s.v = i64;
        out->i64s.n = (uint32_t)n;
    } else {
        out->f64s.v = f;
        out->f64s.n = (uint32_t)n;
    }
    return ok;
}

/* The value on top as parameter P. False: of another type. */
static bool read_arg(lua_State *L, const struct param *p, union op_arg *out)
{
    int ok = 1;

    switch (p->type) {
    case PARAM_F64:
        out->f64 = lua_tonumberx(L, -1, &ok);
        return ok && lua_type(L, -1) == LUA_TNUMBER && !isnan(out->f64);
    case PARAM_I64:
        out->i64 = lua_tointegerx(L, -1, &ok);
        return ok && lua_type(L, -1) == LUA_TNUMBER;
    case PARAM_BOOL:
        out->flag = lua_toboolean(L, -1);
        return lua_isboolean(L, -1);
    case PARAM_WORD:
    case PARAM_TEXT:
        out->word = lua_tostring(L, -1);
        return lua_type(L, -1) == LUA_TSTRING;
    case PARAM_DTYPE:
        return lua_type(L, -1) == LUA_TSTRING && dtype_find(lua_tostring(L, -1), &out->dtype);
    case PARAM_F64S:
    case PARAM_I64S:
        return lua_istable(L, -1) && read_f64s(L, out, p->type == PARAM_I64S);
    }
    return false;
}

/* The default of P as its table gives it; false: it has none. */
static bool default_arg(const struct param *p, union op_arg *out)
{
    if (!p->fallback)
        return false;
    switch (p->type) {
    case PARAM_F64:
        out->f64 = strtod(p->fallback, NULL);
        return true;
    case PARAM_I64:
        out->i64 = (int64_t)strtod(p->fallback, NULL);
        return true;
    case PARAM_BOOL:
        out->flag = strcmp(p->fallback, "true") == 0;
        return true;
    case PARAM_WORD:
    case PARAM_TEXT:
        out->word = p->fallback;
        return true;
    case PARAM_DTYPE:
        return dtype_find(p->fallback, &out->dtype);
    case PARAM_F64S:
        out->f64s.n = 0;
        return true;
    case PARAM_I64S:
        out->i64s.n = 0;
        return true;
    }
    return false;
}

static void check_names(lua_State *L, const struct op *op)
{
    for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";

        if (op_param(op, name) >= 0)
            continue;
        for (uint32_t i = 0; i < op->nparam; i++)
            if (near_distance(name, op->param[i].name, 2) <= near_limit(name))
                sandbox_error(L, "%s has no parameter '%s' (did you mean '%s'?)", op->name, name,
                              op->param[i].name);
        sandbox_error(L, "%s has no parameter '%s'", op->name, name);
    }
}

enum { PARAMS_MAX = 16 };

static uint32_t read_inputs(lua_State *L, const struct op *op, struct node_id *in)
{
    if (lua_isinteger(L, 2)) {
        in[0] = vocab_node(L, 2);
        return 1;
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    const lua_Unsigned n = lua_rawlen(L, 2);

    if (n > OP_INPUTS_MAX)
        sandbox_error(L, "%s takes at most %d inputs", op->name, OP_INPUTS_MAX);
    for (lua_Unsigned i = 0; i < n; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        in[i] = vocab_node(L, -1);
        lua_pop(L, 1);
    }
    return (uint32_t)n;
}

/* The values of all parameters; texts and lists of theirs stay on the stack. */
static void read_args(lua_State *L, const struct op *op, union op_arg *arg)
{
    const bool table = lua_istable(L, 3);

    if (table)
        check_names(L, op);
    for (uint32_t i = 0; i < op->nparam; i++) {
        const struct param *p = &op->param[i];

        if (table)
            lua_getfield(L, 3, p->name);
        else
            lua_pushvalue(L, i == 0 ? 3 : 5); /* 5: nil */
        if (lua_isnil(L, -1)) {
            if (!default_arg(p, &arg[i]))
                sandbox_error(L, "%s needs '%s' (%s)", op->name, p->name, p->doc);
        } else if (!read_arg(L, p, &arg[i])) {
            sandbox_error(L, "%s: '%s' cannot be %s (%s)", op->name, p->name,
                          lua_type(L, -1) == LUA_TNUMBER ? "that number" : luaL_typename(L, -1),
                          p->doc);
        }
    }
}

/* engine.op(name, { ids }, { param = value }, context): the id of the result. One input may
 * stand without its list, the first parameter without its table. */
static int op_call(lua_State *L)
{
    struct vocab *v = vocab_of(L);
    const struct op *op = op_find(luaL_checkstring(L, 1));
    union op_arg arg[PARAMS_MAX];
    struct node_id in[OP_INPUTS_MAX], out;
    struct err err;

    luaL_argcheck(L, op != NULL && op->nparam <= PARAMS_MAX, 1, "no such op");
    lua_settop(L, 5);
    luaL_checkstack(L, 3 * PARAMS_MAX, "op");
    const char *context = luaL_optstring(L, 4, "");
    const uint32_t n = read_inputs(L, op, in);

    read_args(L, op, arg);
    if (!graph_add_op(v->graph, op, in, n, arg, sandbox_line(L), &out, &err)) {
        if (context[0])
            (void)err_in(&err, "%s", context);
        sandbox_fail(L, &err);
    }
    lua_pushinteger(L, out.i);
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
        {"op", op_call},
        {"same_shape", same_shape},
        {"option_unused", option_unused},
        {"cols", cols},
        {"is_matrix", is_matrix},
        {"is_source", is_source},
        {NULL, NULL},
    };

    luaL_setfuncs(L, functions, 0);
    layout_register(L);
}
