/* llama-quantize's choice of types (tests/unit/lua/presets.lua) in a plain Lua state: every preset
 * over the configurations and architectures of the goldens, and what they do not hold. */
#include "test.h"

#include "lua/facts.h"
#include "tensor/dtype.h"

#include <lauxlib.h>
#include <lualib.h>

static lua_State *L;

/* engine.dtype(name) as engine/lua/vocab.c has it: name, kind, elements of a block; or nil. */
static int test_dtype(lua_State *state)
{
    static const char *const kinds[] = {"float", "block", "plain"};
    enum dtype dtype;

    if (!dtype_find(luaL_checkstring(state, 1), &dtype))
        return 0;
    lua_pushstring(state, dtype_name(dtype));
    lua_pushstring(state, kinds[dtype_info(dtype)->kind]);
    lua_pushinteger(state, dtype_info(dtype)->elements);
    return 3;
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

/* False if a tensor of the eleven configurations got another type than llama-quantize gives it,
 * with or without an importance matrix, or if a preset that it refuses went through. */
LUA_TEST(every_preset_chooses_as_llama_quantize)
/* False if an architecture's names, widths, experts or options led to another type or order. */
LUA_TEST(every_architecture_gets_its_choices)
/* False if a name that llama-quantize leaves alone were quantized, or the other way round. */
LUA_TEST(names_say_what_may_be_quantized)
/* False if an odd width ended in a type that cannot hold it. */
LUA_TEST(widths_fall_back)
/* False if a number of the header counted otherwise than it does for that architecture. */
LUA_TEST(header_numbers_are_read_as_the_loader_reads_them)
LUA_TEST(a_file_gives_its_numbers)
LUA_TEST(overrides_are_numbers_of_the_file)
LUA_TEST(a_copy_guesses_the_type_of_most_tensors)
/* False if a word beside a preset moved the types of other tensors. */
LUA_TEST(named_tensors_do_not_count)
LUA_TEST(output_and_embedding_are_options)
/* False if a mixture of experts without layer numbers got types by accident. */
LUA_TEST(expert_layers_come_from_the_name)
/* False if a preset could not be asked for by its name, or a wrong one could. */
LUA_TEST(presets_have_names_and_numbers)
LUA_TEST(an_imatrix_is_demanded_where_upstream_does)

static void begin(void)
{
    static const luaL_Reg functions[] = {{"dtype", test_dtype}, {NULL, NULL}};

    L = luaL_newstate();
    luaL_openlibs(L);
    lua_newtable(L);
    facts_register(L);
    luaL_setfuncs(L, functions, 0);
    lua_setglobal(L, "engine");
    if (luaL_dofile(L, "tests/unit/lua/presets.lua")) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        exit(2);
    }
}

TEST_MAIN(begin(); RUN(every_preset_chooses_as_llama_quantize)
              RUN(every_architecture_gets_its_choices) RUN(names_say_what_may_be_quantized)
                  RUN(widths_fall_back) RUN(header_numbers_are_read_as_the_loader_reads_them)
                      RUN(a_file_gives_its_numbers) RUN(overrides_are_numbers_of_the_file)
                          RUN(a_copy_guesses_the_type_of_most_tensors)
                              RUN(named_tensors_do_not_count) RUN(output_and_embedding_are_options)
                                  RUN(expert_layers_come_from_the_name)
                                      RUN(presets_have_names_and_numbers)
                                          RUN(an_imatrix_is_demanded_where_upstream_does)
                                              lua_close(L);)
