/* vocab_merge.c - what merges ask of C: keys of random masks, leading rows, unlike vocabularies */
#include "base/json.h"
#include "base/map.h"
#include "lua/facts.h"
#include "lua/sandbox.h"
#include "lua/vocab.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* Ops in a row, and tensors in all, that are looked at for leading rows. */
enum { CHAIN_MAX = 32, LOOKS_MAX = 4096 };

/* engine.mask_key(name, index, seed): the Philox key of the mask of input INDEX (from 0, without
 * the base) of the tensor NAME, as an integer of 64 bits (specs/merge.md section 3). */
int vocab_mask_key(lua_State *L)
{
    struct buf tag = {0};
    char number[32];

    const char *name = luaL_checkstring(L, 1);
    const lua_Integer index = luaL_checkinteger(L, 2), seed = luaL_checkinteger(L, 3);
    const int n = snprintf(number, sizeof(number), "\n%lld", (long long)index);
    static const char head[] = "vbuild.mask.v1\n";

    buf_put(&tag, head, sizeof(head) - 1);
    buf_put(&tag, name, strlen(name));
    buf_put(&tag, number, (size_t)n);
    lua_pushinteger(L, (lua_Integer)hash_u64(tag.data, tag.size, (uint64_t)seed));
    buf_finish(&tag);
    return 1;
}

/* ---- leading rows --------------------------------------------------------------------------- */

struct cut {
    struct vocab *v;
    const char *line;
    int64_t rows;
    int left; /* tensors that may still be looked at: chains of ops may share theirs */
};

static bool leading(struct cut *cut, struct node_id id, int depth, struct node_id *out,
                    struct err *err);

/* An op that makes element i of elements i alone gives leading rows of leading rows. */
static bool leading_of_op(struct cut *cut, struct node_id id, int depth, struct node_id *out,
                          struct err *err)
{
    const struct node *node = graph_node(cut->v->graph, id);
    const struct op_call call = node->call; /* the node moves when others are added */
    const struct node_id *from = node->in;
    struct node_id in[OP_INPUTS_MAX];

    if (depth == 0 || call.nin == 0 || call.op->reduce || call.op->granule)
        return err_set(err, ERR_RECIPE,
                       "it is made by %s and cannot be cut: cut what it is made "
                       "of",
                       call.op->name);
    for (uint32_t i = 0; i < call.nin; i++)
        if (!leading(cut, from[i], depth - 1, &in[i], err))
            return false;
    return graph_add_op(cut->v->graph, call.op, in, call.nin, call.arg, cut->line, out, err);
}

static bool leading(struct cut *cut, struct node_id id, int depth, struct node_id *out,
                    struct err *err)
{
    const struct node *node = graph_node(cut->v->graph, id);
    struct tensor t = node->call.out;

    if (t.rank == 0 || cut->rows < 0 || cut->rows > t.dim[0])
        return err_set(err, ERR_SHAPE, "%lld rows of %lld", (long long)cut->rows,
                       t.rank ? (long long)t.dim[0] : 0LL);
    if (cut->left-- <= 0)
        return err_set(err, ERR_LIMIT, "it is made of too many tensors to be cut");
    if (node->call.op)
        return leading_of_op(cut, id, depth, out, err);
    t.dim[0] = cut->rows;
    if (!tensor_check(&t, err))
        return false;
    *out = graph_add_source(cut->v->graph, node->file, node->name, &t, node->offset);
    return true;
}

/* engine.rows(id, n, context): the first N rows of a tensor. Of a source they are its first
 * bytes, so nothing is copied; ops that work element by element get cut inputs; others fail. */
int vocab_rows(lua_State *L)
{
    struct cut cut = {vocab_of(L), sandbox_line(L), luaL_checkinteger(L, 2), LOOKS_MAX};
    struct node_id out;
    struct err err;

    if (!leading(&cut, vocab_node(L, 1), CHAIN_MAX, &out, &err)) {
        (void)err_in(&err, "%s", luaL_optstring(L, 3, "rows"));
        sandbox_fail(L, &err);
    }
    lua_pushinteger(L, out.i);
    return 1;
}

/* ---- unlike vocabularies -------------------------------------------------------------------- */

/* The tokens of one tokenizer.json: added tokens, then the model's, each with its number. */
struct walk {
    const struct json *doc;
    struct arena *arena;
    uint32_t added, vocab; /* the lists */
    uint32_t list, at;     /* where it is */
    int64_t index;         /* of AT in its list */
};

static bool walk_start(struct walk *w, const struct json *doc, struct arena *arena)
{
    *w = (struct walk){.doc = doc, .arena = arena};
    w->added = json_get(doc, 1, "added_tokens");
    w->vocab = json_get(doc, json_get(doc, 1, "model"), "vocab");
    if (json_type(doc, w->added) != JSON_ARRAY)
        w->added = JSON_NONE;
    if (json_type(doc, w->vocab) != JSON_OBJECT && json_type(doc, w->vocab) != JSON_ARRAY)
        return false;
    w->list = w->added ? w->added : w->vocab;
    w->at = json_first(doc, w->list);
    return true;
}

/* The next token with text and number; false at the end. Entries of another form are passed. */
static bool walk_next(struct walk *w, const char **text, size_t *n, int64_t *id)
{
    const struct json *doc = w->doc;

    for (;;) {
        while (!w->at && w->list == w->added && w->list) {
            w->list = w->vocab;
            w->at = json_first(doc, w->list);
            w->index = 0;
        }
        if (!w->at)
            return false;
        uint32_t token = w->at, number = JSON_NONE;

        if (w->list == w->added) {
            token = json_get(doc, w->at, "content");
            number = json_get(doc, w->at, "id");
        } else if (json_type(doc, w->list) == JSON_OBJECT) {
            number = w->at = json_after(doc, w->list, token);
        } else {
            token = json_at(doc, w->at, 0);
        }
        w->at = json_after(doc, w->list, w->at);
        *id = w->index++;
        *text = json_string(doc, token, w->arena, n);
        if (*text && (!number || json_i64(doc, number, id)))
            return true;
    }
}

static bool parse(lua_State *L, int idx, struct json *doc, struct arena *arena)
{
    size_t n;
    const char *text = luaL_checklstring(L, idx, &n);
    struct err err;

    return json_parse(doc, text, n, JSON_DEPTH_MAX, arena, &err);
}

/* engine.tokens_differ(a, b): how many tokens of tokenizer.json text B have another number, or
 * none, in A; nil when either holds no vocabulary that is understood. */
int vocab_tokens_differ(lua_State *L)
{
    struct arena *arena = facts_arena(L);
    struct json a, b;
    struct walk w;
    struct map of_a = {0}, seen = {0};
    const char *text;
    size_t n;
    int64_t id, differ = 0;
    uint64_t other;
    const int guard = lua_gettop(L);

    if (!parse(L, 1, &a, arena) || !parse(L, 2, &b, arena) || !walk_start(&w, &a, arena))
        return lua_pushnil(L), 1;
    while (walk_next(&w, &text, &n, &id))
        (void)map_add(&of_a, text, n, (uint64_t)id, NULL);
    const bool known = walk_start(&w, &b, arena);

    while (known && walk_next(&w, &text, &n, &id))
        if (map_add(&seen, text, n, (uint64_t)id, NULL))
            differ += !map_get(&of_a, text, n, &other) || other != (uint64_t)id;
    map_finish(&of_a);
    map_finish(&seen);
    facts_done(L, guard);
    if (!known)
        return lua_pushnil(L), 1;
    lua_pushinteger(L, differ);
    return 1;
}
