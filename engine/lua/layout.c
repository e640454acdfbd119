/* layout.c - files of an artifact: headers and the places of tensors, all known while planning */
#include "base/bytes.h"
#include "base/map.h"
#include "format/gguf.h"
#include "format/safetensors.h"
#include "lua/sandbox.h"
#include "lua/vocab.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN_MAX = 1 << 20 };

/* A tensor as the rules list it: { name =, node =, map = nil or { kind =, head = } }. */
struct entry {
    const char *name;
    struct node_id node;
    struct rowmap map;
};

/* Keep the bytes of BUF for as long as the graph. */
static void *keep(struct vocab *v, const struct buf *buf)
{
    void *bytes = arena_alloc(graph_arena(v->graph), buf->size);

    if (buf->size)
        memcpy(bytes, buf->data, buf->size);
    return bytes;
}

static struct artifact *new_layout(struct vocab *v, const char *kind, bool folder, uint32_t nfile)
{
    struct arena *arena = graph_arena(v->graph);
    struct artifact *a = arena_alloc(arena, sizeof(*a));

    a->kind = kind;
    a->folder = folder;
    a->file = arena_array(arena, nfile, sizeof(*a->file));
    a->nfile = nfile;
    v->layout = mem_grow(v->layout, (v->nlayout + 1) * sizeof(struct artifact *));
    v->layout[v->nlayout++] = a;
    return a;
}

static const char *field_string(lua_State *L, int idx, const char *name)
{
    lua_getfield(L, idx, name);
    const char *text = luaL_checkstring(L, -1); /* the table keeps it */

    lua_pop(L, 1);
    return text;
}

/* The row map in the table on top (nil: none) for a tensor of shape T. */
static struct rowmap read_map(lua_State *L, const char *name, const struct tensor *t)
{
    struct rowmap map = {ROWMAP_NONE, 0};

    if (lua_isnil(L, -1))
        return map;
    luaL_checktype(L, -1, LUA_TTABLE);
    const char *kind = field_string(L, -1, "kind");

    lua_getfield(L, -1, "head");
    map.head = luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    map.kind = strcmp(kind, "to_hf") == 0 ? ROWMAP_TO_HF : ROWMAP_TO_GGUF;
    if (map.head < 2 || map.head % 2 != 0 || t->rank == 0 || t->dim[0] % map.head != 0)
        sandbox_error(L, "%s: its rows cannot be permuted in heads of %lld", name,
                      (long long)map.head);
    return map;
}

/* The list of tensors on top of the stack, in the arena. */
static struct entry *read_entries(lua_State *L, size_t *count)
{
    struct vocab *v = vocab_of(L);

    luaL_checktype(L, -1, LUA_TTABLE);
    const size_t n = lua_rawlen(L, -1);
    struct entry *entry = arena_array(graph_arena(v->graph), n, sizeof(*entry));

    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        luaL_checktype(L, -1, LUA_TTABLE);
        entry[i].name = arena_strdup(graph_arena(v->graph), field_string(L, -1, "name"));
        lua_getfield(L, -1, "node");
        entry[i].node = vocab_node(L, -1);
        lua_getfield(L, -2, "map");
        entry[i].map = read_map(L, entry[i].name, graph_tensor(v->graph, entry[i].node));
        lua_pop(L, 3);
    }
    *count = n;
    return entry;
}

static struct extent make_extent(const struct vocab *v, const struct entry *e, uint64_t offset)
{
    return (struct extent){.name = e->name,
                           .node = e->node,
                           .map = e->map,
                           .offset = offset,
                           .size = tensor_bytes(graph_tensor(v->graph, e->node))};
}

static int by_offset(const void *pa, const void *pb)
{
    const struct extent *a = pa, *b = pb;

    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return (a->size > b->size) - (a->size < b->size); /* empty tensors first */
}

/* ---- gguf ----------------------------------------------------------------------------------- */

static uint32_t kv_type(lua_State *L, const char *key, const char *name)
{
    static const char *const types[GGUF_TYPE_COUNT] = {
        "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "arr", "u64", "i64", "f64"};

    for (uint32_t i = 0; i < countof(types); i++)
        if (strcmp(types[i], name) == 0)
            return i;
    sandbox_error(L, "key '%s': no value type '%s'", key, name);
}

/* The table of a key-value on top of the stack: { key =, type =, raw = encoded bytes }. */
static void read_kv(lua_State *L, struct gguf_kv *out, struct arena *arena)
{
    size_t n;

    luaL_checktype(L, -1, LUA_TTABLE);
    out->key = arena_strdup(arena, field_string(L, -1, "key"));
    out->type = kv_type(L, out->key, field_string(L, -1, "type"));
    out->count = 1;
    lua_getfield(L, -1, "raw");
    const char *raw = luaL_checklstring(L, -1, &n);

    out->value = (const unsigned char *)raw; /* the table keeps it while it is laid out */
    out->size = n;
    if (out->type == GGUF_ARRAY) {
        struct bytes b = {.data = out->value, .size = n};

        if (!bytes_u32(&b, &out->item) || !bytes_u64(&b, &out->count))
            sandbox_error(L, "key '%s': an array without its head", out->key);
    }
    lua_pop(L, 1);
}

static struct gguf_kv *read_kvs(lua_State *L, struct arena *arena, size_t *count)
{
    luaL_checktype(L, -1, LUA_TTABLE);
    const size_t n = lua_rawlen(L, -1);
    struct gguf_kv *kv = arena_array(arena, n, sizeof(*kv));

    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        read_kv(L, &kv[i], arena);
        lua_pop(L, 1);
    }
    *count = n;
    return kv;
}

/* ggml counts no dimension after the last that is not 1; these are the first here. */
static void drop_ones(struct tensor *t)
{
    uint32_t ones = 0;

    while (ones + 1 < t->rank && t->dim[ones] == 1)
        ones++;
    t->rank -= ones;
    memmove(t->dim, t->dim + ones, t->rank * sizeof(*t->dim));
}

static void gguf_file(lua_State *L, struct out_file *file, const struct gguf_kv *kv, size_t nkv,
                      const struct entry *entry, size_t n, uint64_t align, bool trim)
{
    struct vocab *v = vocab_of(L);
    struct arena *arena = graph_arena(v->graph);
    struct gguf_out *out = arena_array(arena, n, sizeof(*out));
    struct buf header = {0};
    struct err err;

    for (size_t i = 0; i < n; i++) {
        out[i].name = entry[i].name;
        out[i].t = *graph_tensor(v->graph, entry[i].node);
        if (trim)
            drop_ones(&out[i].t);
    }
    const bool ok = gguf_layout(kv, nkv, out, n, align, &header, &file->size, &err);

    if (ok) {
        file->head = keep(v, &header);
        file->head_size = header.size;
        file->nextent = (uint32_t)n;
        file->extent = arena_array(arena, n, sizeof(*file->extent));
        for (size_t i = 0; i < n; i++)
            file->extent[i] = make_extent(v, &entry[i], out[i].offset);
    }
    buf_finish(&header);
    if (!ok)
        sandbox_fail(L, &err);
}

/* The file table on top: { path =, kv =, tensors =, align = }. TRIM: ranks as ggml counts them. */
static void read_gguf(lua_State *L, struct out_file *file, bool trim)
{
    struct arena *arena = graph_arena(vocab_of(L)->graph);
    size_t nkv, n;

    luaL_checktype(L, -1, LUA_TTABLE);
    const char *path = arena_strdup(arena, field_string(L, -1, "path"));

    lua_getfield(L, -1, "align");
    const lua_Integer align = luaL_optinteger(L, -1, GGUF_ALIGN_DEFAULT);

    if (align < 8 || align > ALIGN_MAX || (align & (align - 1)) != 0)
        sandbox_error(L, "alignment %lld is no power of two from 8 to %d", (long long)align,
                      ALIGN_MAX);
    lua_getfield(L, -2, "tensors");
    const struct entry *entry = read_entries(L, &n);

    lua_getfield(L, -3, "kv");
    const struct gguf_kv *kv = read_kvs(L, arena, &nkv);

    gguf_file(L, file, kv, nkv, entry, n, (uint64_t)align, trim);
    file->path = path;
    lua_pop(L, 3);
}

/* engine.gguf { files = ..., trim = }: a handle of one file, or of a set of them. */
static int gguf(lua_State *L)
{
    struct vocab *v = vocab_of(L);

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "trim");
    const bool trim = lua_toboolean(L, -1);

    lua_getfield(L, 1, "files");
    luaL_checktype(L, -1, LUA_TTABLE);
    const uint32_t n = (uint32_t)lua_rawlen(L, -1);
    struct artifact *a = new_layout(v, "gguf", false, n);

    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        read_gguf(L, &a->file[i], trim);
        lua_pop(L, 1);
    }
    lua_pushinteger(L, v->nlayout);
    return 1;
}

/* ---- folders -------------------------------------------------------------------------------- */

static void safetensors_file(lua_State *L, struct out_file *file, const struct entry *entry,
                             size_t n)
{
    struct vocab *v = vocab_of(L);
    struct arena *arena = graph_arena(v->graph);
    struct safetensors_out *out = arena_array(arena, n, sizeof(*out));
    struct buf header = {0};
    struct map index = {0};
    struct err err;

    for (size_t i = 0; i < n; i++) {
        out[i].name = entry[i].name;
        out[i].t = *graph_tensor(v->graph, entry[i].node);
        map_set(&index, entry[i].name, strlen(entry[i].name), i);
    }
    const bool ok = safetensors_layout(out, n, &header, &file->size, &err);

    if (ok) {
        file->head = keep(v, &header);
        file->head_size = header.size;
        file->nextent = (uint32_t)n;
        file->extent = arena_array(arena, n, sizeof(*file->extent));
        for (size_t i = 0; i < n; i++) { /* out is in the writer's order now */
            uint64_t at = 0;

            (void)map_get(&index, out[i].name, strlen(out[i].name), &at);
            file->extent[i] = make_extent(v, &entry[at], out[i].offset);
        }
        qsort(file->extent, n, sizeof(*file->extent), by_offset);
    }
    map_finish(&index);
    buf_finish(&header);
    if (!ok)
        sandbox_fail(L, &err);
}

/* The file table on top: { path =, text = } or { path =, safetensors = tensors }. */
static void read_file(lua_State *L, struct out_file *file)
{
    struct vocab *v = vocab_of(L);
    size_t n;

    luaL_checktype(L, -1, LUA_TTABLE);
    file->path = arena_strdup(graph_arena(v->graph), field_string(L, -1, "path"));
    if (lua_getfield(L, -1, "text") == LUA_TSTRING) {
        const char *text = lua_tolstring(L, -1, &n);

        file->head = arena_strndup(graph_arena(v->graph), text, n);
        file->head_size = n;
        file->size = n;
        lua_pop(L, 1);
        return;
    }
    lua_pop(L, 1);
    lua_getfield(L, -1, "safetensors");
    const struct entry *entry = read_entries(L, &n);

    lua_pop(L, 1);
    safetensors_file(L, file, entry, n);
}

/* engine.folder { files = ... }: a handle. */
static int folder(lua_State *L)
{
    struct vocab *v = vocab_of(L);

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "files");
    luaL_checktype(L, -1, LUA_TTABLE);
    const uint32_t n = (uint32_t)lua_rawlen(L, -1);
    struct artifact *a = new_layout(v, "safetensors", true, n);

    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        read_file(L, &a->file[i]);
        lua_pop(L, 1);
    }
    lua_pushinteger(L, v->nlayout);
    return 1;
}

/* engine.index(names, shards, total): the text of model.safetensors.index.json. */
static int shard_index(lua_State *L)
{
    struct vocab *v = vocab_of(L);
    struct buf out = {0};

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    const size_t n = lua_rawlen(L, 1);
    const char **text = arena_array(graph_arena(v->graph), 2 * n, sizeof(*text));

    for (size_t i = 0; i < 2 * n; i++) {
        lua_rawgeti(L, i < n ? 1 : 2, (lua_Integer)(i % n) + 1);
        text[i] = luaL_checkstring(L, -1); /* the lists keep them */
        lua_pop(L, 1);
    }
    safetensors_index(text, text + n, n, (uint64_t)luaL_checkinteger(L, 3), &out);
    const char *kept = keep(v, &out);
    const size_t size = out.size;

    buf_finish(&out);
    lua_pushlstring(L, kept, size);
    return 1;
}

/* ---- what artifacts hold -------------------------------------------------------------------- */

static const struct artifact *layout_at(lua_State *L, int idx)
{
    const struct vocab *v = vocab_of(L);
    const lua_Integer i = luaL_checkinteger(L, idx);

    luaL_argcheck(L, i >= 1 && i <= v->nlayout, idx, "no such layout");
    return v->layout[i - 1];
}

/* engine.sizes(handle): bytes of the files, of tensors, bpw, bpw over block types. */
static int sizes(lua_State *L)
{
    const struct artifact_size size = artifact_size(vocab_of(L)->graph, layout_at(L, 1));

    lua_pushinteger(L, (lua_Integer)size.file_bytes);
    lua_pushinteger(L, (lua_Integer)size.tensor_bytes);
    lua_pushnumber(L, size.bpw);
    lua_pushnumber(L, size.bpw_quantized);
    return 4;
}

/* engine.reach { handles }: from then on engine.used(id) says whether any of them needs a node. */
static int reach(lua_State *L)
{
    struct vocab *v = vocab_of(L);
    const uint32_t n = graph_nodes(v->graph);

    luaL_checktype(L, 1, LUA_TTABLE);
    v->reached = mem_grow(v->reached, n + 1);
    memset(v->reached, 0, n + 1);
    v->nreached = n;
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, 1); i++) {
        lua_rawgeti(L, 1, i);
        const struct artifact *a = layout_at(L, -1);

        lua_pop(L, 1);
        for (uint32_t f = 0; f < a->nfile; f++)
            for (uint32_t e = 0; e < a->file[f].nextent; e++)
                v->reached[a->file[f].extent[e].node.i] = true;
    }
    for (uint32_t i = n; i-- > 0;) { /* users come after their inputs */
        const struct node *node = graph_node(v->graph, (struct node_id){i});

        for (uint32_t k = 0; v->reached[i] && k < node->call.nin; k++)
            v->reached[node->in[k].i] = true;
    }
    return 0;
}

static int used(lua_State *L)
{
    const uint32_t i = vocab_node(L, 1).i;

    lua_pushboolean(L, i < vocab_of(L)->nreached && vocab_of(L)->reached[i]);
    return 1;
}

void layout_register(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"gguf", gguf},   {"folder", folder}, {"index", shard_index}, {"sizes", sizes},
        {"reach", reach}, {"used", used},     {NULL, NULL},
    };

    luaL_setfuncs(L, functions, 0);
}
