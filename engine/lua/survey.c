#include "lua/survey.h"

#include "lua/facts.h"
#include "lua/sandbox.h"
#include "lua/vocab.h"

#include <lauxlib.h>
#include <string.h>

/* What the sandbox works for: the vocabulary comes first, so that it finds itself. */
struct view {
    struct vocab v;
    const char *path, *against, *imatrix;
    struct survey *out;
};

/* Field NAME of the table on top, in the arena; "" when it is no text. */
static const char *text_field(lua_State *L, struct arena *arena, const char *name)
{
    lua_getfield(L, -1, name);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";

    text = arena_strdup(arena, text);
    lua_pop(L, 1);
    return text;
}

static int64_t number_field(lua_State *L, const char *name, int64_t absent)
{
    lua_getfield(L, -1, name);
    const int64_t number = (int64_t)luaL_optinteger(L, -1, absent);

    lua_pop(L, 1);
    return number;
}

static struct node_id node_field(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    const struct node_id id = vocab_node(L, -1);

    lua_pop(L, 1);
    return id;
}

/* Rows of a tensor of NAME that its file holds in GGUF order, in heads as field HEAD says. */
static struct rowmap map_field(lua_State *L, const char *head, const struct tensor *t,
                               const char *name)
{
    const struct rowmap map = {ROWMAP_TO_HF, number_field(L, head, 0)};

    if (!map.head)
        return (struct rowmap){ROWMAP_NONE, 0};
    if (map.head < 2 || map.head % 2 != 0 || t->rank == 0 || t->dim[0] % map.head != 0)
        sandbox_error(L, "%s: its rows cannot be permuted in heads of %lld", name,
                      (long long)map.head);
    return map;
}

static void take_tensor(lua_State *L, struct view *view, struct survey_tensor *out)
{
    struct graph *graph = view->v.graph;
    struct arena *arena = graph_arena(graph);

    *out = (struct survey_tensor){.name = text_field(L, arena, "own"),
                                  .role = text_field(L, arena, "role"),
                                  .layer = number_field(L, "layer", SURVEY_OUTSIDE),
                                  .node = node_field(L, "node")};
    out->map = map_field(L, "head", graph_tensor(graph, out->node), out->name);
    lua_getfield(L, -1, "bias");
    out->bias = lua_toboolean(L, -1);
    lua_getfield(L, -2, "vector");
    if (!vocab_vector(L, -1, &out->weights))
        out->weights = NULL;
    lua_getfield(L, -3, "ref");
    out->paired = !lua_isnil(L, -1);
    lua_pop(L, 3);
    if (!out->paired)
        return;
    out->ref = node_field(L, "ref");
    out->ref_name = text_field(L, arena, "ref_name");
    out->ref_map = map_field(L, "ref_head", graph_tensor(graph, out->ref), out->ref_name);
}

static void take_survey(lua_State *L, struct view *view)
{
    struct survey *out = view->out;
    struct arena *arena = graph_arena(view->v.graph);

    out->arch = text_field(L, arena, "arch");
    out->layers = number_field(L, "layers", 0);
    lua_getfield(L, -1, "tensors");
    out->ntensor = (uint32_t)lua_rawlen(L, -1);
    out->tensor = arena_array(arena, out->ntensor, sizeof(*out->tensor));
    for (uint32_t i = 0; i < out->ntensor; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        take_tensor(L, view, &out->tensor[i]);
        lua_pop(L, 1);
    }
    lua_getfield(L, -2, "alone");
    out->nalone = (uint32_t)lua_rawlen(L, -1);
    out->alone = arena_array(arena, out->nalone, sizeof(*out->alone));
    for (uint32_t i = 0; i < out->nalone; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        out->alone[i] = arena_strdup(arena, luaL_checkstring(L, -1));
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
}

static int look(lua_State *L)
{
    struct view *view = (struct view *)vocab_of(L);

    sandbox_engine(L);
    vocab_register(L);
    facts_register(L);
    lua_pop(L, 1);
    sandbox_rule(L, "survey");
    lua_getfield(L, -1, "survey");
    lua_pushstring(L, view->path);
    lua_pushstring(L, view->against); /* NULL: nil */
    lua_pushstring(L, view->imatrix);
    lua_call(L, 3, 1);
    take_survey(L, view);
    return 0;
}

bool survey_open(struct survey *out, const char *path, const char *against, const char *imatrix,
                 struct err *err)
{
    static const struct recipe_options none;
    struct survey got = {.graph = graph_new()};
    struct recipe unused = {.graph = got.graph};
    struct view view = {
        .v = {.graph = got.graph, .options = &none, .path = "inspect", .out = &unused},
        .path = path,
        .against = against,
        .imatrix = imatrix,
        .out = &got};
    struct sandbox *box = NULL;
    const bool ok = sandbox_open(&box, NULL, &view.v, err) && sandbox_run(box, look, err);

    sandbox_close(box);
    vocab_finish(&view.v);
    if (ok)
        *out = got;
    else
        graph_free(got.graph);
    return ok;
}

void survey_close(struct survey *survey)
{
    graph_free(survey->graph);
    *survey = (struct survey){0};
}
