/* vocab_op.c - engine.op: one use of an op, its parameters checked by the op's own table */
#include "lua/near.h"
#include "lua/sandbox.h"
#include "lua/vocab.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    case PARAM_F32S:
        return vocab_vector(L, -1, &out->f32s);
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
    case PARAM_F32S:
        out->f32s = NULL;
        return true;
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
int vocab_op(lua_State *L)
{
    struct vocab *v = vocab_of(L);
    const struct op *op = op_find(luaL_checkstring(L, 1));
    union op_arg arg[OP_PARAMS_MAX];
    struct node_id in[OP_INPUTS_MAX], out;
    struct err err;

    luaL_argcheck(L, op != NULL && op->nparam <= OP_PARAMS_MAX, 1, "no such op");
    lua_settop(L, 5);
    luaL_checkstack(L, 3 * OP_PARAMS_MAX, "op");
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
