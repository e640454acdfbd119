#include "test.h"

#include "base/json.h"

static struct json doc;
static struct err err;
static struct arena *arena;

/* A copy of exactly N bytes, so that the sanitizer sees a read past the end. */
static bool parse_n(const char *text, size_t n, uint32_t depth)
{
    static char *copy;

    free(copy);
    copy = malloc(n ? n : 1);
    memcpy(copy, text, n);
    arena_reset(arena);
    err = (struct err){0};
    return json_parse(&doc, copy, n, depth, arena, &err);
}

static bool parse(const char *text)
{
    return parse_n(text, strlen(text), JSON_DEPTH_MAX);
}

/* The string at NODE is the N bytes of WANT. */
static bool string_is(uint32_t node, const char *want, size_t n)
{
    size_t size = 0;
    const char *s = json_string(&doc, node, arena, &size);

    return s && size == n && memcmp(s, want, n) == 0;
}

/* False if the grammar refused something that RFC 8259 allows. */
TEST(takes_every_valid_text)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "-1.5e+3",
        "1E5",
        "0.0",
        "10",
        "1e-9",
        "\"\"",
        "\"a\\u0000b\"",
        "null",
        "true",
        "false",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        " [1 , 2]\r\n\t",
        "{\"\":0}",
        "{\"a\":{\"a\":[]}}",
        "[[],[[]],{}]",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\x7f\"",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
        "\"\xf4\x8f\xbf\xbf\"",
        "[123456789012345678901234567890]",
        "{\"a\":1,\"A\":2,\" a\":3,\"a\\u0000\":4}",
    };

    for (size_t i = 0; i < countof(texts); i++)
        CHECK_IN(parse(texts[i]), "%s: %s", texts[i], err.text);
}

/* False if anything outside RFC 8259 (or our stricter rules) went through. */
TEST(refuses_every_invalid_text)
{
    static const char *const texts[] = {
        "",
        " ",
        "[",
        "]",
        "{",
        "}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{1:2}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{,}",
        "{\"a\":1]",
        "{\"a\",1}",
        "1 2",
        "[]]",
        "{}{}",
        "nul",
        "nulll",
        "True",
        "NaN",
        "Infinity",
        "-Infinity",
        "[NaN]",
        "01",
        "-01",
        "00",
        "+1",
        ".5",
        "1.",
        "1.e1",
        "1e",
        "1e+",
        "-",
        "--1",
        "0x10",
        "1_0",
        "'a'",
        "\"",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\uD800\"",
        "\"\\udc00\"",
        "\"\\ud800\\ud800\"",
        "\"\\ud800a\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\u00\"",
        "\"\n\"",
        "\"\t\"",
        "\"\x01\"",
        "\xef\xbb\xbf{}",
        "// c\n1",
        "[1] // c",
        "/* c */ 1",
        "\"\xff\"",
        "\"\x80\"",
        "\"\xc3\"",
        "\"\xc0\x80\"",
        "\"\xc1\xbf\"",
        "\"\xe0\x80\x80\"",
        "\"\xe2\x82\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf0\x80\x80\x80\"",
        "\"\xf8\x88\x80\x80\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "[\"a\":1]",
        "{\"a\":1:2}",
        "\x0b[]",
        "[\xc2\xa0]",
    };

    for (size_t i = 0; i < countof(texts); i++) {
        CHECK_IN(!parse(texts[i]), "%s", texts[i]);
        CHECK_IN(err.code == ERR_FORMAT && strstr(err.text, "JSON"), "%s: %s", texts[i], err.text);
    }
    CHECK(!parse_n("[]\0", 3, 8));     /* NUL padding is not white space */
    CHECK(!parse_n("\"a\0b\"", 5, 8)); /* nor a character of a string */
    CHECK(!parse_n("\"\\\0\"", 4, 8)); /* nor an escape */
    CHECK(!parse_n("1\0002", 3, 8));   /* nor a part of a number */
}

/* False if a message did not say where. */
TEST(errors_name_the_byte)
{
    CHECK(!parse("[1,x]") && strstr(err.text, "byte 3 is 'x'"));
    CHECK(!parse("[1") && strstr(err.text, "ends at byte 2"));
    CHECK(!parse("{\"abc\":1,\"abc\":2}") && strstr(err.text, "\"abc\" is there twice"));
    CHECK(!parse("[\x01]") && strstr(err.text, "0x01"));
}

/* False if a text cut short were taken, or read past its end (under ASan). */
TEST(every_truncation_is_refused)
{
    static const char text[] =
        "{\"a\\ud83d\\ude00\":[1.5e-3,true,null,{\"\xe2\x82\xac\":\"\\u00e9\"}],\"b\":-12}";

    CHECK(parse(text));
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        CHECK_IN(!parse_n(text, n, 8), "%zu bytes", n);
}

/* False if one flipped byte could crash the reader. */
TEST(any_single_byte_is_survived)
{
    static const char text[] = "{\"a\\ud83d\\ude00\":[1.5e-3,true,{\"\xe2\x82\xac\":\"\\u00e9\"}]}";

    for (size_t i = 0; i < sizeof(text) - 1; i++)
        for (int c = 0; c < 256; c++) {
            char copy[sizeof(text)];

            memcpy(copy, text, sizeof(text));
            copy[i] = (char)c;
            if (parse_n(copy, sizeof(text) - 1, 8))
                CHECK(doc.node[1].next == doc.count + 1);
            else
                CHECK(err.text[0]);
        }
}

/* False if depth were counted otherwise, or deep input could exhaust the stack. */
TEST(depth_is_limited)
{
    static char deep[1 << 20];

    CHECK(parse_n("[[1]]", 5, 2));
    CHECK(!parse_n("[[1]]", 5, 1) && err.code == ERR_LIMIT);
    CHECK(parse_n("7", 1, 0));
    CHECK(!parse_n("[]", 2, 0));
    CHECK(parse_n("[[],[],{}]", 10, 2)); /* siblings are no depth */
    memset(deep, '[', sizeof(deep));
    CHECK(!parse_n(deep, sizeof(deep), 1000) && err.code == ERR_LIMIT);
    memset(deep, ']', 128);
    memset(deep, '[', 64);
    CHECK(parse_n(deep, 128, 1000));
    memset(deep, '[', 65);
    CHECK(!parse_n(deep, 130, 1000));
}

/* False if a key could hide behind an escape, or only neighbours were compared. */
TEST(duplicate_keys_are_found_after_unescaping)
{
    CHECK(!parse("{\"a\":1,\"b\":2,\"a\":3}"));
    CHECK(!parse("{\"a\":1,\"\\u0061\":2}"));
    CHECK(!parse("{\"\\/\":1,\"/\":2}"));
    CHECK(!parse("{\"\xf0\x9f\x98\x80\":1,\"\\uD83D\\uDE00\":2}"));
    CHECK(!parse("[{\"x\":{\"\":1,\"\":2}}]"));
    CHECK(parse("{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":2}}"));
    CHECK(parse("{\"a\\u0000b\":1,\"a\\u0000c\":2}")); /* a NUL does not end a key */
}

/* An object of N distinct keys, then TAIL. */
static char *many_keys(int n, const char *tail)
{
    char *text = malloc((size_t)n * 24 + 64), *to = text;

    *to++ = '{';
    for (int i = 0; i < n; i++)
        to += snprintf(to, 24, "\"k\\u0030%d\":%d,", i, i);
    snprintf(to, 48, "%s}", tail);
    return text;
}

/* False if large objects were compared less well than small ones, or in squared time. */
TEST(duplicate_keys_are_found_among_many)
{
    for (int n = 1; n < 40; n++) {
        char *good = many_keys(n, "\"z\":0"), *bad = many_keys(n, "\"k00\":0");

        CHECK_IN(parse(good), "%d keys", n);
        CHECK(doc.node[1].count == (uint32_t)n + 1);
        CHECK_IN(!parse(bad), "%d keys", n);
        free(good);
        free(bad);
    }
    char *good = many_keys(200000, "\"z\":0"), *bad = many_keys(200000, "\"k0199999\":0");

    CHECK(parse(good));
    CHECK(!parse(bad));
    free(good);
    free(bad);
}

/* False if numbers were rounded, wrapped or taken from text that says otherwise. */
TEST(numbers_keep_their_text)
{
    static const struct {
        const char *text;
        bool i64, u64;
    } cases[] = {
        {"0", true, true},
        {"-0", true, false},
        {"-5", true, false},
        {"1.0", false, false},
        {"1e2", false, false},
        {"9223372036854775807", true, true},
        {"9223372036854775808", false, true},
        {"-9223372036854775808", true, false},
        {"-9223372036854775809", false, false},
        {"18446744073709551615", false, true},
        {"18446744073709551616", false, false},
        {"99999999999999999999", false, false},
        {"184467440737095516150", false, false},
        {"\"1\"", false, false},
        {"null", false, false},
    };

    for (size_t i = 0; i < countof(cases); i++) {
        int64_t s;
        uint64_t u;

        CHECK(parse(cases[i].text));
        CHECK_IN(json_i64(&doc, 1, &s) == cases[i].i64, "%s", cases[i].text);
        CHECK_IN(json_u64(&doc, 1, &u) == cases[i].u64, "%s", cases[i].text);
    }
    int64_t s = 0;
    double d = 0;

    CHECK(parse("-9223372036854775808") && json_i64(&doc, 1, &s) && s == INT64_MIN);
    CHECK(parse("-12") && json_i64(&doc, 1, &s) && s == -12);
    CHECK(parse("1000000000000000019884624838656") && json_f64(&doc, 1, &d) && d == 1e30);
    CHECK(doc.node[1].end - doc.node[1].at == 31);
    CHECK(parse("[1e-05]") && json_f64(&doc, 2, &d) && d == 1e-05);
    CHECK(parse("-0.0") && json_f64(&doc, 1, &d) && d == 0.0);
    CHECK(parse("1e999") && !json_f64(&doc, 1, &d));
    CHECK(parse("\"1\"") && !json_f64(&doc, 1, &d));
}

/* False if an escape meant another character. */
TEST(strings_are_unescaped)
{
    CHECK(parse("\"plain\"") && string_is(1, "plain", 5) && !doc.node[1].escaped);
    CHECK(parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"") && string_is(1, "\"\\/\b\f\n\r\t", 8));
    CHECK(parse("\"\\u0000\\u007f\\u0080\\u07FF\\u0800\\uffff\"") &&
          string_is(1, "\0\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 12));
    CHECK(parse("\"\\ud800\\udc00\\uDBFF\\uDFFF\"") &&
          string_is(1, "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8));
    CHECK(parse("\"a\\n\"") && json_is(&doc, 1, "a\n") && !json_is(&doc, 1, "a") &&
          !json_is(&doc, 1, "a\nb") && !json_is(&doc, 1, "a\\n"));
    CHECK(parse("\"a\\u0000\"") && !json_is(&doc, 1, "a")); /* a NUL does not end it */
    CHECK(parse("5") && !json_is(&doc, 1, "5"));

    size_t n;

    CHECK(!json_string(&doc, 1, arena, &n) && !json_string(&doc, JSON_NONE, arena, &n));
}

/* False if a walk, a key or an index led to another node. */
TEST(the_tree_is_walked)
{
    int64_t v = 0;
    uint32_t keys = 0, sum = 0;

    CHECK(parse(" {\"a\":[10,[20,{}],30],\"\\u0062\":{\"c\":true},\"e\":[],\"n\":null} "));
    const uint32_t a = json_get(&doc, 1, "a"), b = json_get(&doc, 1, "b");

    CHECK(json_type(&doc, 1) == JSON_OBJECT && doc.node[1].count == 4);
    CHECK(doc.node[1].at == 1 && doc.text[doc.node[1].end - 1] == '}');
    CHECK(json_type(&doc, a) == JSON_ARRAY && doc.node[a].count == 3);
    CHECK(json_i64(&doc, json_at(&doc, a, 2), &v) && v == 30);
    CHECK(json_at(&doc, a, 3) == JSON_NONE && json_at(&doc, 1, 0) == JSON_NONE);
    CHECK(doc.node[json_at(&doc, a, 1)].count == 2);
    bool yes = false;

    CHECK(json_bool(&doc, json_get(&doc, b, "c"), &yes) && yes);
    CHECK(!json_bool(&doc, a, &yes));
    CHECK(json_get(&doc, 1, "c") == JSON_NONE && json_get(&doc, a, "a") == JSON_NONE);
    CHECK(json_get(&doc, JSON_NONE, "a") == JSON_NONE && json_type(&doc, JSON_NONE) == JSON_NULL);
    CHECK(json_type(&doc, json_get(&doc, 1, "n")) == JSON_NULL && json_get(&doc, 1, "n"));
    CHECK(json_first(&doc, json_get(&doc, 1, "e")) == JSON_NONE);
    CHECK(json_first(&doc, JSON_NONE) == JSON_NONE);
    CHECK(json_first(&doc, json_get(&doc, 1, "n")) == JSON_NONE);
    for (uint32_t k = json_first(&doc, 1); k; k = json_after(&doc, 1, k))
        keys++;
    CHECK(keys == 8); /* keys and values */
    for (uint32_t k = json_first(&doc, a); k; k = json_after(&doc, a, k))
        if (json_i64(&doc, k, &v))
            sum += (uint32_t)v;
    CHECK(sum == 40);
}

/* False if a refused text left memory in the caller's arena. */
TEST(refused_texts_cost_nothing)
{
    static char text[4 << 20];

    memset(text, ',', sizeof(text));
    arena_reset(arena);
    const size_t before = arena_bytes(arena);

    text[0] = '[';
    text[1] = '1';
    CHECK(!parse_n(text, sizeof(text), 8));
    CHECK(arena_bytes(arena) == before);
}

/* False if written strings differ from the official writer's escapes. */
TEST(strings_are_escaped_as_the_official_writer_does)
{
    struct buf out = {0};

    json_put_string(&out, "\"\\\b\t\n\f\r/\0\x1f\x7f\xe2\x80\xa8", 14);
    CHECK(strcmp(buf_cstr(&out), "\"\\\"\\\\\\b\\t\\n\\f\\r/\\u0000\\u001f\x7f\xe2\x80\xa8\"") ==
          0);
    CHECK(parse(buf_cstr(&out)));
    CHECK(string_is(1, "\"\\\b\t\n\f\r/\0\x1f\x7f\xe2\x80\xa8", 14));
    buf_finish(&out);
}

TEST(utf8_is_judged)
{
    CHECK(utf8_valid("", 0) && utf8_valid("a\0b", 3) && utf8_valid("\xef\xbf\xbf", 3));
    CHECK(!utf8_valid("\xc3", 1) && !utf8_valid("a\xed\xbf\xbf", 4) && !utf8_valid("\xc0\xaf", 2));
    CHECK(!utf8_valid("\xe2\x82z", 3) && !utf8_valid("\xfe", 1));
}

static void all(void)
{
    arena = arena_new();
    RUN(takes_every_valid_text)
    RUN(refuses_every_invalid_text)
    RUN(errors_name_the_byte)
    RUN(every_truncation_is_refused)
    RUN(any_single_byte_is_survived)
    RUN(depth_is_limited)
    RUN(duplicate_keys_are_found_after_unescaping)
    RUN(duplicate_keys_are_found_among_many)
    RUN(numbers_keep_their_text)
    RUN(strings_are_unescaped)
    RUN(the_tree_is_walked)
    RUN(refused_texts_cost_nothing)
    RUN(strings_are_escaped_as_the_official_writer_does)
    RUN(utf8_is_judged)
    arena_free(arena);
}

TEST_MAIN(all();)
