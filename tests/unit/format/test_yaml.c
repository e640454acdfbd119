#include "test.h"

#include "base/buf.h"
#include "format/yaml.h"

#include <math.h>

/* ---- scalars -------------------------------------------------------------------------------- */

static enum yaml_kind resolve(const char *text, union yaml_value *value)
{
    return yaml_resolve(text, strlen(text), value);
}

/* Integers are those of YAML 1.1: otherwise `layer_range: [010, 0x10]` would be another range than
 * the peer's. */
TEST(integers_in_every_base)
{
    static const struct {
        const char *text;
        int64_t want;
    } list[] = {
        {"0", 0},        {"-0", 0},           {"12", 12},   {"+7", 7},
        {"1_000", 1000}, {"1__", 1},          {"0x1F", 31}, {"-0xff", -255},
        {"0b1_01", 5},   {"017", 15},         {"0_7", 7},   {"0_", 0},
        {"1:30", 90},    {"-2:00:05", -7205}, {"1:5", 65},  {"9223372036854775807", INT64_MAX},
    };
    union yaml_value v;

    for (size_t i = 0; i < countof(list); i++)
        CHECK_IN(resolve(list[i].text, &v) == YAML_INT && v.i64 == list[i].want, "%s",
                 list[i].text);
}

/* A float has a point, and a sign in its exponent: "1e-5" reaches the peer as a text. */
TEST(floats_need_a_point)
{
    static const struct {
        const char *text;
        double want;
    } list[] = {
        {"0.5", 0.5},
        {"1.", 1},
        {".5", 0.5},
        {"-1.5e+3", -1500},
        {"1.0e-3", 0.001},
        {"1_0.2_5", 10.25},
        {"1:30.5", 90.5},
        {"+.inf", HUGE_VAL},
        {"-.INF", -HUGE_VAL},
        {"0.1", 0.1},
        {"4.", 4},
        {"9223372036854775808", 0x1p63},
        {"1.e+2", 100},
        {"0xffffffffffffffffff", 0x1p72},
    };
    union yaml_value v;

    for (size_t i = 0; i < countof(list); i++)
        CHECK_IN(resolve(list[i].text, &v) == YAML_FLOAT && !(v.f64 < list[i].want) &&
                     !(v.f64 > list[i].want),
                 "%s", list[i].text);
    CHECK(resolve(".nan", &v) == YAML_FLOAT && isnan(v.f64));
}

/* What looks like a number and is none stays a text, which the caller may still take for one. */
TEST(texts_that_look_like_numbers)
{
    static const char *const list[] = {"1e-5", "1.0e3", "08",    "0x",   "0b2",   "0b_",   "1:60",
                                       "1:",   "-.5",   "1.2.3", "+",    "-",     ".",     "._1",
                                       "0o17", "1,5",   "0:30",  "inf",  "nan",   "+.nan", "y",
                                       "N",    "tRUE",  "1 2",   "1.5e", "1.5e+", "12_x",  "::"};
    union yaml_value v;

    for (size_t i = 0; i < countof(list); i++)
        CHECK_IN(resolve(list[i], &v) == YAML_TEXT, "%s", list[i]);
}

TEST(truths_and_nothing)
{
    static const char *const yes[] = {"yes",  "Yes", "YES", "true", "True",
                                      "TRUE", "on",  "On",  "ON"};
    static const char *const no[] = {"no",    "No",  "NO",  "false", "False",
                                     "FALSE", "off", "Off", "OFF"};
    static const char *const none[] = {"", "~", "null", "Null", "NULL"};
    union yaml_value v;

    for (size_t i = 0; i < countof(yes); i++)
        CHECK_IN(resolve(yes[i], &v) == YAML_BOOL && v.flag, "%s", yes[i]);
    for (size_t i = 0; i < countof(no); i++)
        CHECK_IN(resolve(no[i], &v) == YAML_BOOL && !v.flag, "%s", no[i]);
    for (size_t i = 0; i < countof(none); i++)
        CHECK_IN(resolve(none[i], &v) == YAML_NULL, "'%s'", none[i]);
}

/* ---- trees ---------------------------------------------------------------------------------- */

/* A tree as text: [1,"a"], {"k":null}; a recursion is fine over a test's own text. */
static void dump(const struct yaml *doc, uint32_t i, struct buf *out)
{
    const struct yaml_node *node = &doc->node[i];
    const bool map = node->kind == YAML_MAP;

    if (node->kind == YAML_TEXT)
        buf_printf(out, "\"%s\"", node->text);
    else if (node->kind == YAML_INT)
        buf_printf(out, "%lld", (long long)node->value.i64);
    else if (node->kind == YAML_FLOAT)
        buf_printf(out, "%.17g", node->value.f64);
    else if (node->kind == YAML_BOOL)
        buf_text(out, node->value.flag ? "true" : "false");
    else if (node->kind == YAML_NULL)
        buf_text(out, "null");
    if (node->kind < YAML_LIST)
        return;
    buf_text(out, map ? "{" : "[");
    for (uint32_t k = 0; k < node->count; k++) {
        if (k > 0)
            buf_text(out, ",");
        if (map) {
            dump(doc, doc->item[node->first + 2 * k], out);
            buf_text(out, ":");
        }
        dump(doc, doc->item[node->first + (map ? 2 * k + 1 : k)], out);
    }
    buf_text(out, map ? "}" : "]");
}

/* All documents, each followed by ';', or the error. */
static char *read(const char *text, struct arena *arena)
{
    struct yaml doc;
    struct err err = {0};
    struct buf out = {0};

    if (!yaml_parse(&doc, "f.yml", text, strlen(text), arena, &err))
        return arena_strdup(arena, err.text);
    for (uint32_t i = 0; i < doc.nroot; i++) {
        dump(&doc, doc.root[i], &out);
        buf_text(&out, ";");
    }
    char *all = arena_strdup(arena, buf_cstr(&out));

    buf_finish(&out);
    return all;
}

struct pair {
    const char *text, *want;
};

static void check_pairs(const struct pair *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct arena *arena = arena_new();
        const char *got = read(list[i].text, arena);

        CHECK_IN(strcmp(got, list[i].want) == 0, "%s\ngives %s\nnot   %s", list[i].text, got,
                 list[i].want);
        arena_free(arena);
    }
}

TEST(styles_documents_and_comments)
{
    static const struct pair list[] = {
        {"", ""},
        {"# nothing\n", ""},
        {"a: 1 # one\nb: [x, 'y z', \"t\\n\"]\n", "{\"a\":1,\"b\":[\"x\",\"y z\",\"t\n\"]};"},
        {"- '1'\n- \"true\"\n- 1\n- true\n-\n", "[\"1\",\"true\",1,true,null];"},
        {"a: >-\n  one\n  two\nb: |\n  x\n  y\n", "{\"a\":\"one two\",\"b\":\"x\ny\n\"};"},
        {"a\n---\n[]\n---\n{}\n...\n---\n", "\"a\";[];{};null;"},
        {"{a: {b: [1, {c: 2}]}, d: }", "{\"a\":{\"b\":[1,{\"c\":2}]},\"d\":null};"},
        {"- !!str 1\n- !!float 1\n- !!float 1e-3\n- !!int '7'\n- !!seq []\n- ! 5\n",
         "[\"1\",1,0.001,7,[],\"5\"];"},
        {"%YAML 1.1\n---\n1: one\n~: none\n", "{1:\"one\",null:\"none\"};"},
        {"a:\tb\n", "{\"a\":\"b\"};"}, /* a tab that indents nothing */
    };
    check_pairs(list, countof(list));
}

/* Merge keys: the map's own keys win, then the earlier of a list, as safe loaders do it. */
TEST(anchors_and_merge_keys)
{
    static const struct pair list[] = {
        {"- &a {x: 1}\n- *a\n- &a 2\n- *a\n", "[{\"x\":1},{\"x\":1},2,2];"},
        {"- &a {x: 1, y: 2}\n- {<<: *a, x: 3}\n- {x: 4, <<: *a}\n",
         "[{\"x\":1,\"y\":2},{\"x\":3,\"y\":2},{\"x\":4,\"y\":2}];"},
        {"- &a {x: 1}\n- &b {x: 2, y: 3}\n- {<<: [*a, *b], z: 0}\n",
         "[{\"x\":1},{\"x\":2,\"y\":3},{\"z\":0,\"x\":1,\"y\":3}];"},
        {"- &a {x: 1}\n- &b {<<: *a, y: 2}\n- {<<: *b}\n",
         "[{\"x\":1},{\"y\":2,\"x\":1},{\"y\":2,\"x\":1}];"},
        {"{<<: {x: 1}, <<: {x: 2}}", "{\"x\":2};"},
        {"{'<<': 1}", "{\"<<\":1};"},
        {"{<<: []}", "{};"},
        {"&a b: *a", "{\"b\":\"b\"};"},
        {"--- &a 1\n--- &a 2\n", "1;2;"},
    };
    check_pairs(list, countof(list));
}

TEST(errors_carry_line_and_column)
{
    static const struct pair list[] = {
        {"a: 1\nb:\n  c: 1\n  c: 2\n", "f.yml:4:3: 'c' is there already, in line 3"},
        {"'a': 1\na: 2\n", "f.yml:2:1: 'a' is there already, in line 1"},
        {"a: *b\n", "f.yml:1:4: *b: there is no &b before it"},
        {"--- &a 1\n--- *a\n", "f.yml:2:5: *a: there is no &a before it"},
        {"x: &a\n  - 1\n  - *a\n", "f.yml:3:5: *a stands inside of what it stands for"},
        {"a:\n\tb: 1\n", "f.yml:2:1: a tab: YAML indents with spaces"},
        {"a: !thing 1\n", "f.yml:1:4: tag '!thing': only YAML's own tags are read (!!str, !!int, "
                          "!!float, !!bool, !!null, !!seq, !!map)"},
        {"a: !!python/object:os.system x\n",
         "f.yml:1:4: tag 'tag:yaml.org,2002:python/object:os.system': only YAML's own tags are "
         "read (!!str, !!int, !!float, !!bool, !!null, !!seq, !!map)"},
        {"a: !!int x\n", "f.yml:1:4: 'x' is no !!int"},
        {"a: !!map []\n", "f.yml:1:4: a list is no !!map"},
        {"a: \"x\\0y\"\n", "f.yml:1:4: a text with a NUL character"},
        {"<<: 1\n", "f.yml:1:5: << takes a map or a list of maps"},
        {"<<: [{}, 1]\n", "f.yml:1:10: << takes a map or a list of maps"},
        {"[1]: 2\n", "f.yml:1:1: a key that is a list or a map"},
        {"a: [1\nb: 2\n",
         "f.yml:2:2: did not find expected ',' or ']' while parsing a flow sequence (line 1)"},
        {"ä: ö\nü: \x01\n", "f.yml:2:4: control characters are not allowed"},
        {"a: \xff\n", "f.yml:1:4: invalid leading UTF-8 octet"},
    };
    check_pairs(list, countof(list));
}

/* ---- limits --------------------------------------------------------------------------------- */

/* LEVELS lists of WIDTH aliases each of the one before. */
static char *bomb(struct arena *arena, int levels, int width)
{
    struct buf text = {0};

    buf_text(&text, "a0: &a0 x\n");
    for (int i = 1; i <= levels; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < width; k++)
            buf_printf(&text, "%s*a%d", k ? "," : "", i - 1);
        buf_text(&text, "]\n");
    }
    char *out = arena_strdup(arena, buf_cstr(&text));

    buf_finish(&text);
    return out;
}

/* What unfolds without end is refused from its size, before anything is unfolded; what is within
 * the limit costs its text alone. */
TEST(alias_bombs_cost_nothing)
{
    struct arena *arena = arena_new();
    struct err err = {0};
    struct yaml doc;
    const char *text = bomb(arena, 9, 9);

    CHECK(!yaml_parse(&doc, "f.yml", text, strlen(text), arena, &err));
    CHECK_IN(strcmp(err.text, "f.yml:8:5: this unfolds to more than a million values: an alias "
                              "bomb") == 0,
             "%s", err.text);
    text = bomb(arena, 6, 9);
    CHECK(yaml_parse(&doc, "f.yml", text, strlen(text), arena, &err));
    CHECK(doc.node[doc.root[0]].unfolded > 600000 && doc.nnode < 100);
    CHECK(arena_bytes(arena) < 1 << 20);
    arena_free(arena);
}

/* A merge key copies keys, so a chain of them counts as what it unfolds to. */
TEST(merge_key_bombs_are_refused)
{
    struct arena *arena = arena_new();
    struct buf text = {0};
    struct err err = {0};
    struct yaml doc;

    buf_text(&text, "- &m0 {k0: 0}\n");
    for (int i = 1; i < 4000; i++)
        buf_printf(&text, "- &m%d {<<: *m%d, k%d: 0}\n", i, i - 1, i);
    CHECK(!yaml_parse(&doc, "f.yml", (const char *)text.data, text.size, arena, &err));
    CHECK_IN(strstr(err.text, "more than a million") != NULL, "%s", err.text);
    buf_finish(&text);

    /* Nor does a map that asks for the same keys again and again take time for each. */
    buf_text(&text, "a: &a {");
    for (int i = 0; i < 50000; i++)
        buf_printf(&text, "k%d: 1, ", i);
    buf_text(&text, "}\nb:\n");
    for (int i = 0; i < 50000; i++)
        buf_text(&text, "  <<: *a\n");
    CHECK(!yaml_parse(&doc, "f.yml", (const char *)text.data, text.size, arena, &err));
    CHECK_IN(strcmp(err.text, "f.yml:1:4: more than a million keys by <<") == 0, "%s", err.text);
    buf_finish(&text);
    arena_free(arena);
}

TEST(depth_and_size_are_limited)
{
    struct arena *arena = arena_new();
    struct buf text = {0};
    struct err err = {0};
    struct yaml doc;

    for (int i = 0; i < 64; i++)
        buf_text(&text, "- ");
    CHECK(yaml_parse(&doc, "f.yml", (const char *)text.data, text.size, arena, &err));
    for (int i = 0; i < 100000; i++)
        buf_text(&text, "- ");
    CHECK(!yaml_parse(&doc, "f.yml", (const char *)text.data, text.size, arena, &err));
    CHECK_IN(strcmp(err.text, "f.yml:1:129: nested more than 64 deep") == 0, "%s", err.text);
    buf_finish(&text);
    buf_text(&text, "[");
    for (int i = 0; i < YAML_NODES_MAX; i++)
        buf_text(&text, "1,");
    CHECK(!yaml_parse(&doc, "f.yml", (const char *)text.data, text.size, arena, &err));
    CHECK_IN(strstr(err.text, "more than a million") != NULL, "%s", err.text);
    buf_finish(&text);
    buf_fill(&text, '\n', YAML_BYTES_MAX + 1);
    CHECK(!yaml_parse(&doc, "f.yml", (const char *)text.data, text.size, arena, &err));
    CHECK_IN(err.code == ERR_LIMIT, "%s", err.text);
    buf_finish(&text);
    arena_free(arena);
}

TEST_MAIN(RUN(integers_in_every_base) RUN(floats_need_a_point) RUN(texts_that_look_like_numbers)
              RUN(truths_and_nothing) RUN(styles_documents_and_comments) RUN(anchors_and_merge_keys)
                  RUN(errors_carry_line_and_column) RUN(alias_bombs_cost_nothing)
                      RUN(merge_key_bombs_are_refused) RUN(depth_and_size_are_limited))
