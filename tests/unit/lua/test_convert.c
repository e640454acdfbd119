/* The rules of the conversion (tests/unit/lua/convert.lua) in a plain Lua state: the header of
 * every golden, broken folders, names, configs. */
#include "test.h"

#include "format/format.h"
#include "format/gguf.h"
#include "lua/facts.h"

#include <lauxlib.h>
#include <lualib.h>
#include <unistd.h>

static lua_State *L;
static char folder[] = P_tmpdir "/vbuild-convert-XXXXXX";

/* engine.open(path): a list of {name, type, shape, shard}. */
static int test_open(lua_State *state)
{
    struct arena *arena = arena_new();
    struct checkpoint ckpt;
    struct err err;

    if (!checkpoint_open(&ckpt, luaL_checkstring(state, 1), arena, &err)) {
        arena_free(arena);
        return facts_fail(state, err.text);
    }
    lua_newtable(state);
    for (size_t i = 0; i < ckpt.ntensor; i++) {
        const struct file_tensor *t = &ckpt.tensor[i];

        lua_newtable(state);
        lua_pushstring(state, t->name);
        lua_setfield(state, -2, "name");
        lua_pushstring(state, dtype_name(t->t.dtype));
        lua_setfield(state, -2, "type");
        lua_newtable(state);
        for (uint32_t d = 0; d < t->t.rank; d++) {
            lua_pushinteger(state, t->t.dim[d]);
            lua_rawseti(state, -2, (lua_Integer)d + 1);
        }
        lua_setfield(state, -2, "shape");
        if (ckpt.nfile > 1) {
            lua_pushinteger(state, (lua_Integer)t->file + 1);
            lua_setfield(state, -2, "shard");
        }
        lua_rawseti(state, -2, (lua_Integer)i + 1);
    }
    checkpoint_close(&ckpt);
    arena_free(arena);
    return 1;
}

static const char *field(lua_State *state, const char *name, size_t *n)
{
    lua_getfield(state, -1, name);
    const char *text = luaL_checklstring(state, -1, n);

    lua_pop(state, 1); /* still in the table */
    return text;
}

static enum gguf_type type_of(const char *word)
{
    static const char *const words[] = {"u8",   "i8",  "u16", "i16", "u32", "i32", "f32",
                                        "bool", "str", "arr", "u64", "i64", "f64"};

    for (uint32_t i = 0; i < countof(words); i++)
        if (strcmp(words[i], word) == 0)
            return (enum gguf_type)i;
    return GGUF_TYPE_COUNT;
}

static struct gguf_kv *read_kvs(lua_State *state, struct arena *arena, size_t *n)
{
    *n = (size_t)lua_rawlen(state, 1);
    struct gguf_kv *kv = arena_array(arena, *n, sizeof(*kv));

    for (size_t i = 0; i < *n; i++) {
        size_t size, unused;

        lua_rawgeti(state, 1, (lua_Integer)i + 1);
        kv[i].key = field(state, "key", &unused);
        kv[i].type = type_of(field(state, "type", &unused));
        kv[i].value = (const unsigned char *)field(state, "raw", &size);
        kv[i].size = size;
        kv[i].count = 1;
        if (kv[i].type == GGUF_ARRAY) {
            memcpy(&kv[i].item, kv[i].value, 4);
            memcpy(&kv[i].count, kv[i].value + 4, 8);
        }
        lua_pop(state, 1);
    }
    return kv;
}

static struct gguf_out *read_tensors(lua_State *state, struct arena *arena, size_t *n)
{
    *n = (size_t)lua_rawlen(state, 2);
    struct gguf_out *out = arena_array(arena, *n, sizeof(*out));

    for (size_t i = 0; i < *n; i++) {
        size_t unused;

        lua_rawgeti(state, 2, (lua_Integer)i + 1);
        out[i].name = field(state, "name", &unused);
        if (!dtype_find(field(state, "type", &unused), &out[i].t.dtype))
            out[i].t.dtype = DTYPE_f32;
        lua_getfield(state, -1, "shape");
        out[i].t.rank = (uint32_t)lua_rawlen(state, -1);
        for (uint32_t d = 0; d < out[i].t.rank && d < TENSOR_RANK_MAX; d++) {
            lua_rawgeti(state, -1, (lua_Integer)d + 1);
            out[i].t.dim[d] = lua_tointeger(state, -1);
            lua_pop(state, 1);
        }
        lua_pop(state, 2);
    }
    return out;
}

/* engine.layout(kvs, tensors): the header's bytes and the file's size. */
static int test_layout(lua_State *state)
{
    struct arena *arena = arena_new();
    struct buf header = {0};
    struct err err;
    uint64_t size = 0;
    size_t nkv, n;
    const struct gguf_kv *kv = read_kvs(state, arena, &nkv);
    struct gguf_out *tensor = read_tensors(state, arena, &n);
    const bool ok = gguf_layout(kv, nkv, tensor, n, GGUF_ALIGN_DEFAULT, &header, &size, &err);

    if (ok)
        lua_pushlstring(state, (const char *)header.data, header.size);
    lua_pushinteger(state, (lua_Integer)size);
    buf_finish(&header);
    arena_free(arena);
    return ok ? 2 : facts_fail(state, err.text);
}

static void copy_into(const char *from, const char *to, struct arena *arena)
{
    char **names = NULL, *text;
    size_t n = 0, size;
    struct err err;

    if (!file_is_dir(from))
        return;
    CHECK(dir_list(from, arena, &names, &n, &err));
    for (size_t i = 0; i < n; i++) {
        CHECK(file_read(path_join(arena, from, names[i]), 1 << 24, arena, &text, &size, &err));
        CHECK(file_replace(path_join(arena, to, names[i]), text, size, &err));
    }
}

/* engine.lay_over(base, files, removed): a fresh folder with BASE, FILES over it, less some. */
static int test_lay_over(lua_State *state)
{
    struct arena *arena = arena_new();
    static int count;
    const char *to = arena_printf(arena, "%s/%d", folder, count++);
    struct err err;

    CHECK(dir_make(to, &err));
    copy_into(luaL_checkstring(state, 1), to, arena);
    copy_into(luaL_checkstring(state, 2), to, arena);
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(state, 3); i++) {
        lua_rawgeti(state, 3, i);
        CHECK(dir_remove(path_join(arena, to, lua_tostring(state, -1)), &err));
        lua_pop(state, 1);
    }
    lua_pushstring(state, to);
    arena_free(arena);
    return 1;
}

static void run(const char *name)
{
    lua_getfield(L, 1, name);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
        CHECK_IN(false, "%s", lua_tostring(L, -1));
        lua_pop(L, 1);
    }
}

#define LUA_TEST(name)                                                                             \
    TEST(name)                                                                                     \
    {                                                                                              \
        run(#name);                                                                                \
    }

/* False if a key, its order, an encoding, a type, an offset or the order of tensors differs from
 * the file that the reference converter made of the same folder, whatever the outtype. */
LUA_TEST(headers_equal_goldens)
/* False if a re-saved config changed the GGUF file of an unchanged model. */
LUA_TEST(old_and_new_rope_configs_mean_the_same)
/* False if long contexts of Llama 3 got other factors than the config says. */
LUA_TEST(rope_factors_take_the_configs_numbers)
/* False if q or k of a model were permuted that must not be, or v and o at all. */
LUA_TEST(row_maps_are_the_llama_familys)
/* False if a quantized file had its tensors elsewhere than llama-quantize puts them. */
LUA_TEST(quantize_order_is_by_layer_then_name)
/* False if a GGUF source lost or changed keys that nobody asked to change. */
LUA_TEST(a_gguf_card_keeps_its_keys_and_edits_some)
/* False if a GGUF source written as a folder described another model. */
LUA_TEST(config_from_key_values)
/* False if a file that the table does not describe was taken apart by it. */
LUA_TEST(irregular_gguf_files_have_no_table)
/* False if an edit of a config touched what it did not name. */
LUA_TEST(edits_keep_every_other_byte)
LUA_TEST(json_edits_replace_append_and_remove)
/* False if a rule saw other values than the file has. */
LUA_TEST(json_values_arrive_whole)
LUA_TEST(encodings_are_the_files)
/* False if general.name and its kin differed from the reference's for real names. */
LUA_TEST(names_are_taken_apart_like_the_reference)
LUA_TEST(cards_of_all_manners_are_read)
/* False if a broken folder converted, or was refused without saying why. */
LUA_TEST(broken_directories_are_refused_by_name)
LUA_TEST(configs_that_lie_are_refused)
/* False if a recipe's word reached other tensors than it says. */
LUA_TEST(roles_of_names_and_words)
LUA_TEST(names_with_odd_numbers_are_no_layers)

static void begin(void)
{
    static const luaL_Reg functions[] = {
        {"open", test_open}, {"layout", test_layout}, {"lay_over", test_lay_over}, {NULL, NULL}};

    if (!mkdtemp(folder))
        exit(2);
    L = luaL_newstate();
    luaL_openlibs(L);
    lua_newtable(L);
    facts_register(L);
    luaL_setfuncs(L, functions, 0);
    lua_setglobal(L, "engine");
    if (luaL_dofile(L, "tests/unit/lua/convert.lua")) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        exit(2);
    }
}

static void end(void)
{
    struct err err;

    lua_close(L);
    (void)!dir_remove(folder, &err);
}

TEST_MAIN(begin(); RUN(headers_equal_goldens) RUN(old_and_new_rope_configs_mean_the_same)
              RUN(rope_factors_take_the_configs_numbers) RUN(row_maps_are_the_llama_familys)
                  RUN(quantize_order_is_by_layer_then_name)
                      RUN(a_gguf_card_keeps_its_keys_and_edits_some) RUN(config_from_key_values)
                          RUN(irregular_gguf_files_have_no_table) RUN(edits_keep_every_other_byte)
                              RUN(json_edits_replace_append_and_remove)
                                  RUN(json_values_arrive_whole) RUN(encodings_are_the_files)
                                      RUN(names_are_taken_apart_like_the_reference)
                                          RUN(cards_of_all_manners_are_read)
                                              RUN(broken_directories_are_refused_by_name)
                                                  RUN(configs_that_lie_are_refused)
                                                      RUN(roles_of_names_and_words)
                                                          RUN(names_with_odd_numbers_are_no_layers)
                                                              end();)
