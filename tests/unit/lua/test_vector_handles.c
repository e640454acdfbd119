/* engine.imatrix, called as the rules call it. */
#include "lua/sandbox.h"
#include "lua/vocab.h"
#include "test.h"

#include <lauxlib.h>

static const char *chunk;

static int run_chunk(lua_State *L)
{
    sandbox_engine(L);
    vocab_register(L);
    if (luaL_loadstring(L, chunk) != LUA_OK)
        return lua_error(L);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    CHECK_IN(lua_toboolean(L, -1), "%s", chunk);
    lua_pop(L, 1);
    return 0;
}

/* Run TEXT with `engine` in `...`; it must return true, or fail with a message that holds WHAT. */
static struct err eval(const char *text, struct graph *graph)
{
    const struct recipe_options options = {0};
    struct vocab v = {.graph = graph, .options = &options, .path = "test"};
    struct sandbox *box = NULL;
    struct err err = {0};

    chunk = text;
    if (!sandbox_open(&box, &(struct sandbox_limits){0}, &v, &err) ||
        !sandbox_run(box, run_chunk, &err))
        CHECK(err.code != ERR_NONE);
    else
        err = (struct err){0};
    sandbox_close(box);
    vocab_finish(&v);
    return err;
}

static void holds(const char *text)
{
    struct graph *g = graph_new();
    const struct err err = eval(text, g);

    CHECK_IN(err.code == ERR_NONE, "%s: %s", text, err.text);
    graph_free(g);
}

static void fails(const char *text, enum err_code code, const char *what)
{
    struct graph *g = graph_new();
    const struct err err = eval(text, g);

    CHECK_IN(err.code == code && strstr(err.text, what), "%s: %s", text, err.text);
    graph_free(g);
}

#define DAT "local e = ... local m = e.imatrix 'tests/golden/imatrix/model.dat' "
#define SYNTHETIC                                                                                  \
    "local function t(n) return e.op('synthetic', {}, { name = n, shape = { 8, 256 }, "            \
    "seed = 1, type = 'f32' }) end "

/* What a header of a quantized file says of its imatrix comes from here. */
TEST(facts_of_the_file)
{
    holds(DAT "return m.entries == 15 and m.chunks == 7 and m.dataset == 'calib.txt' and "
              "m.format == 'legacy' and #m.names == 15 and m.names[1] == 'blk.0.attn_k.weight' and "
              "m.values['blk.1.ffn_down.weight'] == 512 and m.values.no == nil");
    holds("local e = ... local m = e.imatrix 'tests/golden/imatrix/experts.gguf' "
          "return m.entries == 2 and m.chunks == 2 and m.dataset == 'wiki' and m.format == 'gguf' "
          "and m.values['blk.0.ffn_down_exps.weight'] == 24");
}

/* Counts and names are those after the filters, as llama-quantize's entries_count is. */
TEST(filters_choose_entries)
{
    holds(
        "local e = ... local m = e.imatrix('tests/golden/imatrix/model.dat', "
        "{ include = { 'ffn_' }, exclude = { 'up', '1.' } }) "
        "return m.entries == 2 and m.names[1] == 'blk.0.ffn_down.weight' and "
        "m.vectors['blk.1.ffn_down.weight'] == nil and m.vectors['blk.0.ffn_gate.weight'] ~= nil");
    holds("local e = ... return e.imatrix('tests/golden/imatrix/model.dat', "
          "{ include = { 'nothing' } }).entries == 0");
    fails("local e = ... return e.imatrix('tests/golden/imatrix/model.dat', { include = { 1 } })",
          ERR_RECIPE, "takes a list of texts");
}

/* A vector is an argument like any other: it decides the node where the type uses it. */
TEST(vectors_are_arguments_of_ops)
{
    holds(
        DAT SYNTHETIC
        "local q = e.imatrix 'tests/golden/imatrix/model.gguf' "
        "local n = 'blk.0.attn_q.weight' "
        "local function make(to, v) return e.op('quantize', t(n), { type = to, imatrix = v }) end "
        "return make('q4_k', m.vectors[n]) == make('q4_k', q.vectors[n]) and "
        "make('q4_k', m.vectors[n]) ~= make('q4_k') and "
        "make('q8_0', m.vectors[n]) == make('q8_0') and make('q4_k') == e.op('quantize', t(n), "
        "'q4_k')");
    fails(DAT SYNTHETIC "return e.op('quantize', t 'a', { type = 'q4_k', "
                        "imatrix = m.vectors['blk.0.ffn_down.weight'] }, 'blk.0.attn_q')",
          ERR_SHAPE, "blk.0.attn_q: the imatrix has 512 values, expected 256 columns x 1 matrix");
    fails(DAT SYNTHETIC "return e.op('quantize', t 'a', { type = 'q4_k', imatrix = { 1, 2 } })",
          ERR_RECIPE, "'imatrix' cannot be table");
    fails(DAT "return e.op('quantize', {}, { type = 'q4_k', imatrix = m })", ERR_RECIPE,
          "'imatrix' cannot be table");
}

TEST(files_that_are_none_keep_their_code)
{
    fails("local e = ... return e.imatrix 'tests/golden/imatrix/none'", ERR_IO, "imatrix/none");
    fails("local e = ... return e.imatrix 'tests/golden/imatrix/make.py'", ERR_FORMAT,
          "not an imatrix");
}

/* Rules ask which types use one. */
TEST(types_say_whether_they_use_an_imatrix)
{
    holds("local e = ... local function uses(t) return (select(5, e.dtype(t))) end "
          "return uses 'q4_k' and uses 'iq4_xs' and uses 'Q5_1' and not uses 'q8_0' and "
          "not uses 'mxfp4' and not uses 'f16' and not uses 'tq1_0' and uses 'q6_k'");
}

TEST_MAIN(RUN(facts_of_the_file) RUN(filters_choose_entries) RUN(vectors_are_arguments_of_ops)
              RUN(files_that_are_none_keep_their_code) RUN(types_say_whether_they_use_an_imatrix))
