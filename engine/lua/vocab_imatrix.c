/* vocab_imatrix.c - engine.imatrix: the vectors of an imatrix file, as arguments of engine.op
 *
 * Vectors are userdata: rules hand them on and see nothing of their numbers. A file is read once
 * for all words that name it; its vectors live as long as the graph, whose nodes use them. */
#include "format/imatrix.h"
#include "lua/sandbox.h"
#include "lua/vocab.h"

#include <lauxlib.h>
#include <string.h>

static const char vector_type[] = "vbuild.vector";

struct weights { /* in the graph's arena */
    const char *path;
    struct imatrix m;
    const struct op_f32s **vector; /* by entry */
    struct weights *next;
};

bool vocab_vector(lua_State *L, int idx, const struct op_f32s **out)
{
    const struct op_f32s *const *p = luaL_testudata(L, idx, vector_type);

    if (p)
        *out = *p;
    return p != NULL;
}

static void push_vector(lua_State *L, const struct op_f32s *vector)
{
    const struct op_f32s **p = lua_newuserdatauv(L, sizeof(struct op_f32s *), 0);

    *p = vector;
    luaL_newmetatable(L, vector_type);
    lua_setmetatable(L, -2);
}

static const struct weights *read_file(lua_State *L, const char *path)
{
    struct vocab *v = vocab_of(L);
    struct arena *arena = graph_arena(v->graph);
    struct imatrix m;
    struct err err;

    for (const struct weights *w = v->weights; w; w = w->next)
        if (strcmp(w->path, path) == 0)
            return w;
    if (!imatrix_open(&m, path, arena, &err))
        sandbox_fail(L, &err);
    struct weights *w = arena_alloc(arena, sizeof(*w));

    w->path = arena_strdup(arena, path);
    w->m = m;
    w->vector = arena_array(arena, m.nentry, sizeof(struct op_f32s *));
    for (size_t i = 0; i < m.nentry; i++)
        w->vector[i] = op_f32s(m.entry[i].value, m.entry[i].n, arena);
    w->next = v->weights;
    v->weights = w;
    return w;
}

/* The list of strings in field NAME of the table at 2, if there is one; it stays on the stack. */
static const char *const *read_list(lua_State *L, const char *name, size_t *n)
{
    *n = 0;
    if (lua_isnoneornil(L, 2))
        return NULL;
    lua_getfield(L, 2, name);
    if (lua_isnil(L, -1))
        return NULL;
    luaL_checktype(L, -1, LUA_TTABLE);
    const int list = lua_gettop(L);
    const size_t count = lua_rawlen(L, list);
    const char **text = lua_newuserdatauv(L, (count + 1) * sizeof(char *), 0);

    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            sandbox_error(L, "imatrix: '%s' takes a list of texts", name);
        text[i] = lua_tostring(L, -1); /* the list holds it */
        lua_pop(L, 1);
    }
    *n = count;
    return text;
}

/* engine.imatrix(path, { include = { texts }, exclude = { texts } }): { format = "gguf" or
 * "legacy", entries = how many are left, chunks =, dataset = (or nil), names = { sorted },
 * vectors = { name = for engine.op }, values = { name = how many } }. */
int vocab_imatrix(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct imatrix_filter filter;
    lua_Integer kept = 0;

    filter.include = read_list(L, "include", &filter.ninclude);
    filter.exclude = read_list(L, "exclude", &filter.nexclude);
    const struct weights *w = read_file(L, path);
    const int n = (int)w->m.nentry;

    lua_createtable(L, 0, 7);
    lua_createtable(L, n, 0); /* names */
    lua_createtable(L, 0, n); /* vectors */
    lua_createtable(L, 0, n); /* values */
    for (size_t i = 0; i < w->m.nentry; i++) {
        const struct imatrix_entry *entry = &w->m.entry[i];

        if (!imatrix_keeps(&filter, entry->name))
            continue;
        lua_pushstring(L, entry->name);
        lua_rawseti(L, -4, ++kept);
        push_vector(L, w->vector[i]);
        lua_setfield(L, -3, entry->name);
        lua_pushinteger(L, entry->n);
        lua_setfield(L, -2, entry->name);
    }
    lua_setfield(L, -4, "values");
    lua_setfield(L, -3, "vectors");
    lua_setfield(L, -2, "names");
    lua_pushstring(L, w->m.legacy ? "legacy" : "gguf");
    lua_setfield(L, -2, "format");
    lua_pushinteger(L, kept);
    lua_setfield(L, -2, "entries");
    lua_pushinteger(L, w->m.chunks);
    lua_setfield(L, -2, "chunks");
    lua_pushstring(L, w->m.dataset); /* nil without */
    lua_setfield(L, -2, "dataset");
    return 1;
}
