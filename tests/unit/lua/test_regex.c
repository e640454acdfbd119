/* engine.regex in a plain Lua state: what is found, what is refused and why, limits. What
 * std::regex finds is compared by tests/peers/check_words.py. */
#include "test.h"

#include "lua/vocab.h"

#include <lauxlib.h>

static lua_State *L;

/* The matcher of TEXT on the stack, or the reason why there is none. */
static bool compile(const char *text)
{
    lua_settop(L, 0);
    lua_pushcfunction(L, vocab_regex);
    lua_pushstring(L, text);
    lua_call(L, 1, LUA_MULTRET);
    if (lua_isfunction(L, 1))
        return true;
    lua_remove(L, 1);
    return false;
}

static int found(const char *text, const char *name)
{
    if (!compile(text)) {
        CHECK_IN(false, "%s: %s", text, lua_tostring(L, 1));
        return -1;
    }
    lua_pushstring(L, name);
    lua_call(L, 1, LUA_MULTRET);
    return lua_isnil(L, 1) ? -1 : lua_toboolean(L, 1);
}

static void finds(const char *text, const char *name)
{
    CHECK_IN(found(text, name) == 1, "'%s' is not found in '%s'", text, name);
}

static void misses(const char *text, const char *name)
{
    CHECK_IN(found(text, name) == 0, "'%s' is found in '%s'", text, name);
}

static void refuses(const char *text, const char *why)
{
    const bool ok = compile(text);

    CHECK_IN(!ok, "'%s' is taken", text);
    if (!ok)
        CHECK_IN(strstr(lua_tostring(L, 1), why), "'%s': %s", text, lua_tostring(L, 1));
}

/* False: a pattern means something else than it does to llama-quantize. */
TEST(expressions_are_searched_for)
{
    finds("attn_v", "blk.3.attn_v.weight");
    misses("attn_V", "blk.3.attn_v.weight");
    finds("^blk\\.(1|3)\\.", "blk.3.attn_v.weight");
    misses("^blk\\.(1|3)\\.", "blk.13.attn_v.weight");
    misses("^attn", "blk.3.attn_v.weight");
    finds("weight$", "blk.3.attn_v.weight");
    misses("weight$", "a.weight\n");
    misses("a.b", "a\nb");
    misses("a.b", "a\rb");
    finds("a[^]b", "a\nb");
    misses("[]", "a");
    finds("blk.3", "blkx3");
    misses("blk\\.3", "blkx3");
    finds("ffn_(?:up|down)(?=\\.w)", "blk.0.ffn_down.weight");
    misses("ffn_(?!up)", "blk.0.ffn_up.weight");
    finds("(t)\\1", "attn");
    misses("(t)n\\1", "attn");
    finds("a{2}t", "baat");
    misses("^a{2,3}$", "aaaa");
    finds("^a{2,}?$", "aaaa");
    finds("\\bffn\\B_", "x.ffn_up");
}

/* False: a set of characters holds others than ASCII ones, or an escape is another character. */
TEST(sets_are_ascii_and_escapes_are_characters)
{
    misses("\\w", "\xc3\xa4");
    finds("\\W", "\xc3\xa4");
    finds("^\\d\\D\\s\\S$", "1a\vb");
    finds("[[:digit:]x-z]+_", "y7_");
    misses("[[:digit:]x-z]+_", "w_");
    finds("\\x62lk\\u002e", "blk.");
    finds("[\\x61-\\x63-]\\-", "--");
    finds("[\\b]", "\b");
    finds("\\cA\\t\\n\\v\\f\\r", "\x01\t\n\v\f\r");
    finds("a}]\\_\\/", "a}]_/");
    finds("[.$^(|]", "|");
    finds("\xc3\xa4+", "x\xc3\xa4\xa4");
    finds("[a\\]b]]", "]]");
}

/* False: PCRE2's own syntax gets through, or a broken pattern has no reason that helps. */
TEST(what_ecmascript_lacks_is_refused_by_name)
{
    refuses("(?<=a)b", "lookbehind");
    refuses("(?<!a)b", "lookbehind");
    refuses("(?<n>a)", "named groups");
    refuses("(?P<n>a)", "named groups");
    refuses("(?'n'a)", "named groups");
    refuses("\\k<n>", "named groups");
    refuses("(?>a)", "atomic");
    refuses("(?i)a", "options");
    refuses("(?#x)", "comments");
    refuses("(*UTF)a", "verbs");
    refuses("(*MARK:x)a", "verbs");
    refuses("a++", "possessive");
    refuses("a?+", "possessive");
    refuses("a{2}+", "possessive");
    refuses("\\Qa\\E", "\\Q");
    for (const char *c = "AGHKNRXZhpPz"; *c; c++)
        refuses((const char[]){'\\', *c, '\0'}, "is not ECMAScript");
    refuses("[[:word:]]", "names no class");
    refuses("[[:alpha]", "names no class");
    refuses("[[=a=]]", "collating");
    refuses("\\01", "octal");
    refuses("\\u00e4", "beyond ASCII");
}

TEST(broken_patterns_say_why)
{
    refuses("*attn", "nothing to repeat");
    refuses("a**", "nothing to repeat");
    refuses("^+", "nothing to repeat");
    refuses("(?=a)?", "nothing to repeat");
    refuses("(|*)", "nothing to repeat");
    refuses("(a", "no ')'");
    refuses("a)", "no '('");
    refuses("[a", "no ']'");
    refuses("[a\\", "backslash");
    refuses("a\\", "backslash");
    refuses("[z-a]", "is empty");
    refuses("[\\w-z]", "begins or ends with a set");
    refuses("[a-\\d]", "begins or ends with a set");
    refuses("a{", "no quantifier");
    refuses("a{,2}", "no quantifier");
    refuses("a{3,2}", "goes down");
    refuses("a{256}", "beyond 255");
    refuses("a{99999999999}", "no quantifier");
    refuses("\\x6", "hexadecimal");
    refuses("\\1(a)", "back-reference");
    refuses("(a\\1)", "back-reference");
    refuses("(a)\\2", "back-reference");
    refuses("[\\1]", "in a class");
    refuses("\\c1", "needs a letter");
}

/* False: a stranger's pattern costs memory or time without end. */
TEST(hostile_patterns_end)
{
    static char text[20000];

    memset(text, 'a', sizeof(text) - 1);
    refuses(text, "the most is 16384");
    memset(text, '(', 500);
    text[500] = '\0';
    refuses(text, "groups");
    for (size_t i = 0; i < 300; i++)
        memcpy(text + 2 * i, "()", 3);
    refuses(text, "groups");
    refuses("(((((a{255}){255}){255}){255}){255})", "too large");
    CHECK(found("(a|a|aa)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab") == -1);
    CHECK(strstr(lua_tostring(L, 2), "more than 100000 steps"));
}

TEST_MAIN(L = luaL_newstate();
          RUN(expressions_are_searched_for) RUN(sets_are_ascii_and_escapes_are_characters)
              RUN(what_ecmascript_lacks_is_refused_by_name) RUN(broken_patterns_say_why)
                  RUN(hostile_patterns_end) lua_close(L);)
