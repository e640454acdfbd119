/* What a recipe may do to the machine that evaluates it: nothing, and not for long. */
#include "base/file.h"
#include "lua/near.h"
#include "lua/sandbox.h"
#include "test.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct sandbox_limits limits = {.steps = 20000000, .stop_s = 20};
static char recipe_path[64];

static int run_recipe(lua_State *L)
{
    sandbox_recipe(L, recipe_path);
    lua_call(L, 0, 1);
    lua_getglobal(L, "unused"); /* the real globals: nothing of the recipe's leaks there */
    CHECK(lua_isnil(L, -1));
    lua_pop(L, 1);
    char *out = sandbox_owner(L);
    const char *text = lua_tostring(L, -1);

    snprintf(out, 256, "%s", text ? text : "");
    return 0;
}

/* Evaluate TEXT as a recipe; its value as text goes to OUT. */
static bool eval_n(const char *text, size_t n, char out[256], struct err *err)
{
    struct sandbox *box = NULL;

    snprintf(recipe_path, sizeof(recipe_path), "/tmp/vbuild-test-%d.lua", (int)getpid());
    out[0] = '\0';
    bool ok = file_replace(recipe_path, text, n, err);

    ok = ok && sandbox_open(&box, &limits, out, err) && sandbox_run(box, run_recipe, err);
    sandbox_close(box);
    remove(recipe_path);
    return ok;
}

static bool eval(const char *text, char out[256], struct err *err)
{
    return eval_n(text, strlen(text), out, err);
}

/* The recipe must fail, with WHAT in its message and PATH:LINE before it. */
static void check_fails(const char *text, int line, const char *what)
{
    struct err err = {0};
    char out[256], where[80];

    CHECK(!eval(text, out, &err));
    CHECK_IN(strstr(err.text, what), "%s: %s", text, err.text);
    if (line > 0) {
        snprintf(where, sizeof(where), "%s:%d: ", recipe_path, line);
        if (strncmp(err.text, where, strlen(where)) != 0)
            printf("  expected %s at the beginning of: %s\n", where, err.text);
        CHECK(strncmp(err.text, where, strlen(where)) == 0);
    }
}

static void check_gives(const char *text, const char *value)
{
    struct err err = {0};
    char out[256];

    if (!eval(text, out, &err))
        printf("  %s\n", err.text);
    if (strcmp(out, value) != 0)
        printf("  %s\n  gives %s, expected %s\n", text, out, value);
    CHECK(strcmp(out, value) == 0);
}

/* False: a loop that never ends hangs the build. */
TEST(endless_loops_are_stopped)
{
    check_fails("local x = 0\nwhile true do\n  x = x + 1\nend", 0, "endless loop");
    check_fails("local function f() return f() end\nreturn f()", 0, "endless loop");
    check_fails(
        "local t <close> = setmetatable({}, { __close = function() while true do end end })\n"
        "while true do end",
        0, "endless loop");
    check_fails("return string.gsub('x', 'x', function() while true do end end)", 0,
                "endless loop");
}

/* False: one pattern costs years, where the hook of the VM does not reach. */
TEST(catastrophic_patterns_are_stopped)
{
    check_fails("return string.find(('a'):rep(24), ('a-'):rep(24) .. 'b')", 1, "steps");
    check_fails("return ('a'):rep(40):match(('a*'):rep(30) .. 'b')", 1, "steps");
    check_fails("return ('x'):rep(300000):find(('.-'):rep(9) .. 'y')", 1, "steps");
    check_fails("return ('a'):rep(1000):find(('a?'):rep(500) .. 'b')", 1, "");
}

/* False: a recipe can take the machine's memory, or its stack. */
TEST(memory_and_stack_are_limited)
{
    check_fails("return ('x'):rep(1 << 30)", 1, "string.rep");
    check_fails("local s = 'x'\nwhile true do s = s .. s end", 0, "512 MiB");
    check_fails("local t = {}\nwhile true do t[#t + 1] = { t } end", 0, "");
    check_fails("local function f(n) return 1 + f(n + 1) end\nreturn f(1)", 0, "stack overflow");
    check_fails("local t = {}\nfor i = 1, 40 do t[i] = ('x'):rep(2000000) end\n"
                "return table.concat(t)",
                3, "table.concat");
    check_fails("return table.unpack({}, 1, 1e7)", 1, "table.unpack");
    check_fails("return table.move({}, 1, 1 << 60, 2)", 1, "table.move");
    check_fails(
        "return table.insert(setmetatable({}, { __len = function() return 1 << 50 end }), 1, 2)", 1,
        "table.insert");
    check_fails("return select('#', table.unpack({}, 1, 1e6))", 1, "table.unpack");
}

/* False: a recipe reads files, runs programs, sees the clock, or swallows errors. */
TEST(nothing_of_the_machine_is_there)
{
    static const char *const gone[] = {
        "io",     "os",    "debug",  "package", "coroutine",      "load", "loadfile",
        "dofile", "pcall", "xpcall", "rawset",  "collectgarbage", "warn", "engine"};

    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        char text[64], what[64];

        snprintf(text, sizeof(text), "return %s", gone[i]);
        snprintf(what, sizeof(what), "undeclared variable '%s'", gone[i]);
        check_fails(text, 1, what);
    }
    check_fails("return math.random", 1, "math has no 'random'");
    check_fails("return string.dump", 1, "string has no 'dump'");
    check_gives("return tostring(getmetatable('')) .. tostring(getmetatable(string))",
                "protectedfrozen");
    check_gives("return tostring(getmetatable(_G)) .. tostring(next(_G))", "frozennil");
    check_fails("return require '../../etc/passwd'", 1, "no module name");
    check_fails("return require '/etc/passwd'", 1, "no module name");
    check_fails("return require 'nothing_here'", 1, "no module 'nothing_here'");
}

/* False: compiled Lua, which can crash the machine it runs on, is loaded. */
TEST(compiled_recipes_are_refused)
{
    struct err err = {0};
    char out[256];

    CHECK(!eval_n("\x1bLua\x54\0\x19\x93\r\n", 10, out, &err));
    CHECK(strstr(err.text, "compiled Lua"));
}

/* False: what one part of a recipe changes, another part sees. */
TEST(libraries_and_globals_cannot_be_changed)
{
    check_fails("\nstring.format = 1", 2, "string cannot be changed");
    check_fails("string.byte = nil", 1, "string cannot be changed");
    check_fails("x = 1", 1, "undeclared global 'x'");
    check_fails("\n\n_G.x = 1", 3, "undeclared global 'x'");
    check_fails("_ENV.x = 1", 1, "undeclared global 'x'");
    check_fails("pairs = 1", 1, "word of the language");
    check_fails("setmetatable(string, {})", 1, "protected");
    check_fails("setmetatable(_G, {})", 1, "protected");
    check_fails("table.insert(string, 1)", 1, "cannot be changed");
    check_fails("table.sort(math)", 1, "cannot be changed");
    check_fails("setmetatable({}, { __gc = function() end })", 1, "__gc");
    check_fails("setmetatable({}, { __mode = 'k' })", 1, "__mode");
    check_fails("setmetatable({}, { __frozen = {} })", 1, "__frozen");
    check_gives("local a = ('x').upper; return a('y')", "Y");
}

/* False: a typing error gives no hint. */
TEST(a_wrong_name_offers_the_nearest)
{
    check_fails("return tostrin(1)", 1, "did you mean 'tostring'?");
    check_fails("local a = 1\nreturn parirs {}", 2, "did you mean 'pairs'?");
    check_fails("return qqqqqqq", 1, "undeclared variable 'qqqqqqq'");
    CHECK(near_distance("tpye", "type", 3) == 1);
    CHECK(near_distance("atn_q", "attn_q", 3) == 1);
    CHECK(near_distance("", "abc", 5) == 3);
    CHECK(near_distance("abc", "xyz", 1) == 2);
    CHECK(near_distance("ca", "abc", 9) == 3);
    CHECK(near_limit("ab") == 1 && near_limit("abcdef") == 2 && near_limit("abcdefghi") == 3);
}

/* False: a recipe's value depends on the process that evaluates it. */
TEST(tables_are_walked_in_one_order)
{
    static const char text[] =
        "local t = { 'p', 'q', zeta = 1, alpha = 1, [10] = 1, [2.5] = 1, [-1] = 1, [true] = 1,\n"
        "  [false] = 1, mid = 1 }\n"
        "local s = ''\n"
        "for k in pairs(t) do s = s .. tostring(k) .. ' ' end\n"
        "local k = next(t)\n"
        "while k ~= nil do s = s .. tostring(k) .. ','; k = next(t, k) end\n"
        "return s";

    check_gives(text, "1 2 false true -1 2.5 10 alpha mid zeta "
                      "1,2,false,true,-1,2.5,10,alpha,mid,zeta,");
    check_fails("for k in pairs { [{}] = 1 } do end", 1, "no order");
    check_gives("local t = { a = 1, b = 2, c = 3 }\nlocal s = ''\n"
                "for k in pairs(t) do s = s .. k; t.b = nil end\nreturn s",
                "ac");
}

/* False: addresses, which differ from run to run, reach a value. */
TEST(no_addresses_show)
{
    check_gives("return tostring({}) .. tostring(print) .. tostring(pairs)",
                "tablefunctionfunction");
    check_gives("return string.format('%s %d %s', {}, 3, print)", "table 3 function");
    check_fails("return string.format('%p', {})", 1, "%p");
    check_gives("return string.format('%5.1f%%|%-4s|%q', 2.25, 'a', 'b')", "  2.2%|a   |\"b\"");
}

/* False: our matcher is not Lua's. */
TEST(patterns_mean_what_the_manual_says)
{
    check_gives("return ('blk.12.ffn_up.weight'):match('^blk%.(%d+)%.(.-)%.weight$')", "12");
    check_gives("return table.concat({ ('key = value'):match('^(%w+)%s*=%s*(%w+)$') }, '/')",
                "key/value");
    check_gives("return (('hello world'):gsub('o', '0'))", "hell0 w0rld");
    check_gives("return (('abc'):gsub('%w', '%0%0'))", "aabbcc");
    check_gives("return (('abc'):gsub('', '-'))", "-a-b-c-");
    check_gives("return (('$name is $age'):gsub('%$(%w+)', { name = 'x', age = 7 }))", "x is 7");
    check_gives("return (('abc'):gsub('b', function(c) return c:upper() end))", "aBc");
    check_gives("return (('THE (quick) fox'):find('%((%a+)%)'))", "5");
    check_gives("return ('f(a(b)c)d'):match('%b()')", "(a(b)c)");
    check_gives("return (('THE fox'):gsub('%f[%a]%a+', 'w'))", "w w");
    check_gives(
        "local s = ''\nfor a, b in ('a=1, b=2'):gmatch('(%w)=(%w)') do s = s .. a .. b end\n"
        "return s",
        "a1b2");
    check_gives("local s = ''\nfor p in ('aXbX'):gmatch('()X') do s = s .. p end\nreturn s", "24");
    check_gives("return (('x]y-z^'):gsub('[]%-^]', '.'))", "x.y.z.");
    check_gives("return ('abab'):match('^(ab)%1$')", "ab");
    check_gives(
        "return tostring(('abc'):find('b', 1, true)) .. tostring(('a.c'):find('.', 1, true))",
        "22");
    check_gives("return tostring(('abc'):find('x?')) .. tostring(('abc'):find('c$'))", "13");
    check_gives("return ('  trim  '):match('^%s*(.-)%s*$') .. '|'", "trim|");
    check_gives("return tostring(('aaa'):match('a-$')) .. tostring(('abc'):match('a-b'))", "aaaab");
    check_gives("return tostring((''):find('')) .. tostring(('abc'):find('', 10))", "1nil");
    check_gives("return tostring(('abc'):find('b', -2)) .. #('x\\0y'):match('%W')", "21");
    check_fails("return ('a'):match('[a')", 1, "missing ']'");
    check_fails("return ('a'):match('%')", 1, "ends with '%'");
    check_fails("return ('a'):match('(a')", 1, "unfinished capture");
    check_fails("return ('a'):match('a)')", 1, "')'");
    check_fails("return ('a'):gsub('a', '%2')", 1, "capture index");
    check_fails("return ('a'):match('%1')", 1, "capture index");
}

/* False: an error does not say where. */
TEST(errors_name_their_line)
{
    check_fails("local a\n\nreturn a.b", 3, "attempt to index a nil value");
    check_fails("error('mine')", 1, "mine");
    check_fails("error({})", 0, "table");
    check_fails("return +", 1, "unexpected symbol");
    check_fails("#!/usr/bin/vbuild\nx = 1", 2, "undeclared global");
    check_gives("#!/usr/bin/vbuild\nreturn 'ok'", "ok");
}

TEST_MAIN(RUN(endless_loops_are_stopped) RUN(catastrophic_patterns_are_stopped)
              RUN(memory_and_stack_are_limited) RUN(nothing_of_the_machine_is_there)
                  RUN(compiled_recipes_are_refused) RUN(libraries_and_globals_cannot_be_changed)
                      RUN(a_wrong_name_offers_the_nearest) RUN(tables_are_walked_in_one_order)
                          RUN(no_addresses_show) RUN(patterns_mean_what_the_manual_says)
                              RUN(errors_name_their_line))
