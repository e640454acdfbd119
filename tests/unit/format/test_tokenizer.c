#include "test.h"

#include "base/file.h"
#include "format/gguf.h"
#include "format/tokenizer.h"

#include <unistd.h>

static char folder[] = P_tmpdir "/vbuild-tokenizer-XXXXXX";
static struct arena *arena;
static struct err err;
static struct tokenizer t;

static void put(const char *name, const char *text)
{
    struct arena *a = arena_new();
    struct err e;
    const char *path = path_join(a, folder, name);

    CHECK(text ? file_replace(path, text, strlen(text), &e) : dir_remove(path, &e));
    arena_free(a);
}

static bool read_as(const char *arch, uint64_t vocab, const char *pre)
{
    const bool llama = strcmp(arch, "llama") == 0;
    const struct tokenizer_options o = {.dir = folder,
                                        .arch = arch,
                                        .vocab_size = vocab,
                                        .pre = pre,
                                        .config = "{}",
                                        .spm = true,
                                        .hf_vocab = llama,
                                        .space_prefix = llama,
                                        .by_size = llama};

    arena_reset(arena);
    err = (struct err){0};
    return tokenizer_read(&t, &o, arena, &err);
}

/* The same with the text of tokenizer.json; REASON must be in the message. */
static bool refused(const char *json, uint64_t vocab, const char *reason)
{
    put("tokenizer.json", json);
    const bool ok = read_as("qwen2", vocab, "qwen2");

    if (!ok && !strstr(err.text, reason))
        fprintf(stderr, "said: %s\n", err.text);
    return !ok && strstr(err.text, reason) && strstr(err.text, "tokenizer.json");
}

static const struct gguf_kv *kv(const char *key)
{
    return gguf_find(t.kv, t.nkv, key);
}

static bool text_is(const char *key, const char *want)
{
    uint64_t n = 0;
    const char *text = gguf_string(kv(key), &n);

    return text && n == strlen(want) && memcmp(text, want, n) == 0;
}

static bool flag_is(const char *key, int want)
{
    const struct gguf_kv *found = kv(key);

    return want < 0 ? !found : found && found->type == GGUF_BOOL && found->value[0] == want;
}

static bool id_is(const char *key, int64_t want)
{
    uint64_t v;

    return want < 0 ? !kv(key) : gguf_u64(kv(key), &v) && v == (uint64_t)want;
}

static bool item_is(const char *key, uint32_t index, const char *want)
{
    uint64_t cursor = 0, n = 0;
    const char *text = NULL;

    for (uint32_t i = 0; i <= index; i++)
        text = gguf_array_string(kv(key), &cursor, &n);
    return text && n == strlen(want) && memcmp(text, want, n) == 0;
}

static int type_at(uint32_t index)
{
    return kv("tokenizer.ggml.token_type")->value[12 + 4 * index];
}

#define BPE(vocab, merges, more)                                                                   \
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[" merges "]}" more "}"
#define AB "\"a\":0,\"b\":1,\"ab\":2"

/* False if tokens, their types or merges were not those of the file. */
TEST(bpe_tokens_types_and_merges)
{
    put("tokenizer.json",
        BPE(AB, "\"a b\"",
            ",\"added_tokens\":[{\"id\":4,\"content\":\"<|x|>\",\"special\":false},"
            "{\"id\":5,\"content\":\"\xe2\x96\x81n\",\"special\":false},"
            "{\"id\":6,\"content\":\"\xe2\x96\x81s\",\"special\":true}]"));
    CHECK_IN(read_as("qwen2", 8, "qwen2"), "%s", err.text);
    CHECK(t.tokens == 8 && strcmp(t.kind, "bpe") == 0 && t.nwarning == 0);
    CHECK(item_is("tokenizer.ggml.tokens", 2, "ab") && type_at(2) == 1);
    CHECK(item_is("tokenizer.ggml.tokens", 3, "[PAD3]") && type_at(3) == 5);
    CHECK(item_is("tokenizer.ggml.tokens", 4, "<|x|>") && type_at(4) == 3); /* looks special */
    CHECK(item_is("tokenizer.ggml.tokens", 5, " n") && type_at(5) == 4);
    CHECK(item_is("tokenizer.ggml.tokens", 6, "\xe2\x96\x81s") && type_at(6) == 3);
    CHECK(item_is("tokenizer.ggml.merges", 0, "a b") && kv("tokenizer.ggml.merges")->count == 1);
    CHECK(!kv("tokenizer.ggml.scores") && text_is("tokenizer.ggml.model", "gpt2"));
    put("tokenizer.json", BPE("\"a \":0,\"b\":1,\"a\xc4\xa0"
                              "b\":2,\"a\xc4\xa0\":3",
                              "[\"a \",\"b\"]", ""));
    CHECK_IN(read_as("qwen2", 8, "qwen2"), "%s", err.text);
    CHECK(item_is("tokenizer.ggml.merges", 0, "a\xc4\xa0 b")); /* a blank inside a part */
}

/* False if a vocabulary that lies reached a file, or the message did not say what is wrong. */
TEST(hostile_vocabularies_are_refused)
{
    CHECK(refused("[]", 8, "object"));
    CHECK(refused("{", 8, "JSON"));
    CHECK(refused("{}", 8, "BPE"));
    CHECK(refused("{\"model\":7}", 8, "BPE"));
    CHECK(refused("{\"model\":{\"type\":\"WordPiece\"}}", 8, "WordPiece"));
    CHECK(refused("{\"model\":{\"type\":\"BPE\"}}", 8, "vocab"));
    CHECK(refused(BPE("", "", ""), 8, "vocab"));
    CHECK(refused(BPE("\"a\":8", "", ""), 8, "not below vocab_size 8"));
    CHECK(refused(BPE("\"a\":-1", "", ""), 8, "-1"));
    CHECK(refused(BPE("\"a\":1.0", "", ""), 8, "no integer"));
    CHECK(refused(BPE("\"a\":\"1\"", "", ""), 8, "no integer"));
    CHECK(refused(BPE("\"a\":18446744073709551617", "", ""), 8, "no integer"));
    CHECK(refused(BPE("\"a\":1,\"b\":1", "", ""), 8, "also that of \"a\""));
    CHECK(refused(BPE("\"a\":1,\"a\":2", "", ""), 8, "\"a\""));
    CHECK(refused(BPE(AB, "\"a  b\"", ""), 8, "two parts"));
    CHECK(refused(BPE(AB, "\"ab\"", ""), 8, "two parts"));
    CHECK(refused(BPE(AB, "\" ab\"", ""), 8, "empty part"));
    CHECK(refused(BPE(AB, "\"b a\"", ""), 8, "does not have"));
    CHECK(refused(BPE(AB, "[\"a\"]", ""), 8, "two parts"));
    CHECK(refused(BPE(AB, "[\"a\",1]", ""), 8, "two parts"));
    CHECK(refused(BPE(AB, "7", ""), 8, "two parts"));
    CHECK(refused(BPE(AB, "", ",\"added_tokens\":{}"), 8, "list"));
    CHECK(refused(BPE(AB, "", ",\"added_tokens\":[{\"id\":1}]"), 8, "content"));
    CHECK(
        refused(BPE(AB, "", ",\"added_tokens\":[{\"id\":9,\"content\":\"x\"}]"), 8, "vocab_size"));
    CHECK(refused(BPE(AB, "", ",\"added_tokens\":[{\"content\":\"x\"}]"), 8, "no integer"));
    CHECK(!read_as("qwen2", 0, NULL) && strstr(err.text, "vocab_size 0"));
    CHECK(!read_as("qwen2", 1ull << 40, NULL) && strstr(err.text, "vocab_size"));
}

static char *many(size_t n, const char *form)
{
    struct buf out = {0};

    buf_text(&out, "{\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{");
    for (size_t i = 0; i < n; i++) {
        buf_printf(&out, i ? ",\"t%zu\":" : "\"t%zu\":", i);
        buf_printf(&out, form[0] == '-' ? "-%zu" : "%zu", form[0] == 'x' ? n + i : i);
    }
    buf_text(&out, "}}}");
    char *text = strdup(buf_cstr(&out));

    buf_finish(&out);
    return text;
}

/* False if a million entries took more than moments, or bad ids among them were followed. */
TEST(a_million_entries_are_checked)
{
    char *good = many(1000000, "i"), *negative = many(1000000, "-"), *beyond = many(1000000, "x");

    CHECK(refused(negative, 1000000, "-1"));
    CHECK(refused(beyond, 1000000, "not below"));
    CHECK(refused(good, 999999, "999999"));
    CHECK(read_as("qwen2", 1000000, "qwen2") && t.tokens == 1000000 && t.nwarning == 1);
    free(good);
    free(negative);
    free(beyond);
}

#define TEMPLATE(single, pair)                                                                     \
    ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" single "],\"pair\":[" pair \
    "]}"
#define S(id) "{\"SpecialToken\":{\"id\":\"" id "\",\"type_id\":0}}"
#define A "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
#define B "{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}"
#define ADDED                                                                                      \
    ",\"added_tokens\":[{\"id\":4,\"content\":\"<s>\",\"special\":true},{\"id\":5,\"content\":"    \
    "\"</s>\",\"special\":true},{\"id\":6,\"content\":\"<t>\",\"special\":true}]"

static void special(const char *conf, const char *json)
{
    put("tokenizer_config.json", conf);
    put("tokenizer.json", json);
    CHECK_IN(read_as("qwen2", 8, "qwen2"), "%s", err.text);
}

#define ADD(word) "tokenizer.ggml.add_" word "_token"
#define ID(word) "tokenizer.ggml." word "_token_id"

/* False if llama.cpp would add, or not add, other tokens than the tokenizer does. */
TEST(add_flags_come_from_the_template)
{
    const char *conf = "{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"</s>\"},"
                       "\"add_eos_token\":true}";

    special(conf,
            BPE(AB, "\"a b\"", ADDED TEMPLATE(S("<s>") "," A, S("<s>") "," A "," S("<s>") "," B)));
    CHECK(flag_is(ADD("bos"), 1) && flag_is(ADD("eos"), 1) && flag_is(ADD("sep"), 0));
    CHECK(id_is(ID("bos"), 4) && id_is(ID("eos"), 5));
    special(conf, BPE(AB, "\"a b\"",
                      ADDED TEMPLATE(A "," S("</s>"), A "," S("</s>") "," B "," S("</s>"))));
    CHECK(flag_is(ADD("bos"), -1) && flag_is(ADD("eos"), 1) && flag_is(ADD("sep"), 0));
    special(conf, BPE(AB, "\"a b\"", ADDED TEMPLATE(A, A "," S("</s>") "," B)));
    CHECK(flag_is(ADD("sep"), 1));
    special(conf,
            BPE(AB, "\"a b\"",
                ADDED TEMPLATE(S("<s>") "," A "," S("</s>"),
                               S("<s>") "," A "," S("</s>") "," S("</s>") "," B "," S("</s>"))));
    CHECK(flag_is(ADD("sep"), 1));
    /* another token at the end becomes eos, the configured one ends turns */
    special(conf, BPE(AB, "\"a b\"", ADDED TEMPLATE(A "," S("<t>"), "")));
    CHECK(id_is(ID("eos"), 6) && id_is(ID("eot"), 5) && flag_is(ADD("eos"), 1));
    special("{\"add_bos_token\":true,\"bos_token\":\"<s>\"}",
            BPE(AB, "\"a b\"", ADDED ",\"post_processor\":{\"type\":\"ByteLevel\"}"));
    CHECK(flag_is(ADD("bos"), 0) && flag_is(ADD("eos"), 0) && t.nwarning == 1);
    special("{}", BPE(AB, "\"a b\"", ",\"post_processor\":[1,{\"single\":7}]"));
    CHECK(flag_is(ADD("bos"), -1));
}

/* False if an id beyond the vocabulary was written, or a list of eos ids was taken for one. */
TEST(special_ids_are_found_and_checked)
{
    struct tokenizer_options o = {.dir = folder, .arch = "qwen2", .vocab_size = 8, .pre = "qwen2"};

    special("{\"bos_token\":\"a\",\"unk_token\":\"<t>\",\"mask_token\":\"<s>\"}",
            BPE(AB, "\"a b\"", ADDED));
    CHECK(id_is(ID("bos"), -1)); /* not an added token */
    CHECK(id_is(ID("unknown"), 6) && id_is(ID("mask"), 4));
    o.config = "{\"bos_token_id\":8,\"eos_token_id\":[1,2],\"pad_token_id\":-1,\"sep_token_id\":3,"
               "\"unk_token_id\":1,\"text_config\":{\"mask_token_id\":1}}";
    arena_reset(arena);
    CHECK(tokenizer_read(&t, &o, arena, &err));
    CHECK(id_is(ID("bos"), -1) && id_is(ID("eos"), -1) && id_is(ID("padding"), -1));
    CHECK(id_is(ID("seperator"), 3) && id_is(ID("unknown"), 6) && t.nwarning == 2);
}

/* False if a chat template was lost, or the wrong one written. */
TEST(chat_templates_wherever_they_lie)
{
    const char *key = "tokenizer.chat_template";

    special("{\"chat_template\":\"one\"}", BPE(AB, "\"a b\"", ""));
    CHECK(text_is(key, "one") && t.chat_template);
    put("chat_template.jinja", "x\r\ny\rz");
    special("{\"chat_template\":\"one\"}", BPE(AB, "\"a b\"", ""));
    CHECK(text_is(key, "one") && t.nwarning == 1);
    special("{}", BPE(AB, "\"a b\"", ""));
    CHECK(text_is(key, "x\ny\nz"));
    put("tokenizer_config.json", NULL); /* the reference loses it here */
    CHECK(read_as("qwen2", 8, "qwen2") && text_is(key, "x\ny\nz"));
    special("{\"chat_template\":[{\"name\":\"tool use\",\"template\":\"t\"},{\"name\":\"default\","
            "\"template\":\"d\"},{\"name\":\"rag\",\"template\":\"r\"},7]}",
            BPE(AB, "\"a b\"", ""));
    CHECK(text_is(key, "d") && text_is("tokenizer.chat_template.tool_use", "t"));
    CHECK(item_is("tokenizer.chat_templates", 0, "rag"));
    CHECK(item_is("tokenizer.chat_templates", 1, "tool_use"));
    put("chat_template.jinja", NULL);
    put("chat_template.json", "{\"chat_template\":\"j\"}");
    special("{}", BPE(AB, "\"a b\"", ",\"normalizer\":{\"type\":\"Lowercase\"}"));
    CHECK(text_is(key, "j") && flag_is("tokenizer.ggml.normalizer.lowercase", 1));
    put("chat_template.json", NULL);
    special("{}", BPE(AB, "\"a b\"", ""));
    CHECK(!kv(key) && !t.chat_template);
}

#define SPLIT(regex)                                                                               \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex "\"},\"behavior\":\"Isolated\","         \
    "\"invert\":false}"
#define QWEN2                                                                                      \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| ?"             \
    "[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define BYTES(regex)                                                                               \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_"              \
    "regex\":" regex "}"

static const char *pre_of(const char *json)
{
    put("tokenizer.json", json);
    return read_as("llama", 8, NULL) ? t.pre : err.text;
}

/* False if a re-saved tokenizer lost its splitter, or an unknown one was taken for another. */
TEST(splitters_are_known_by_their_key)
{
    put("tokenizer_config.json", NULL);
    CHECK(!strcmp(pre_of(BPE(AB, "\"a b\"", ",\"pre_tokenizer\":" BYTES("true"))), "gpt-2"));
    CHECK(!strcmp(pre_of(BPE(AB, "\"a b\"",
                             ",\"pre_tokenizer\":{\"type\":\"Sequence\","
                             "\"pretokenizers\":[" SPLIT(QWEN2) "," BYTES("false") "]}")),
                  "qwen2"));
    /* nested, with a normalizer that changes next to nothing */
    CHECK(!strcmp(pre_of(BPE(AB, "\"a b\"",
                             ",\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":"
                             "\"Sequence\",\"pretokenizers\":[{\"type\":\"Sequence\","
                             "\"pretokenizers\":[" SPLIT(QWEN2) "]},{\"type\":\"Sequence\","
                                                                "\"pretokenizers\":[]}," BYTES(
                                                                    "false") "]}")),
                  "qwen2"));
    /* a normalizer that llama.cpp would not apply: refused, and the near one named */
    CHECK(strstr(pre_of(BPE(AB, "\"a b\"",
                            ",\"normalizer\":{\"type\":\"Lowercase\"},"
                            "\"pre_tokenizer\":" BYTES("true"))),
                 "Lowercase|B(0,1)|00 (near: gpt-2)"));
    CHECK(strstr(pre_of(BPE(AB, "\"a b\"", "")), "key -||00"));
    CHECK(strstr(pre_of(BPE(AB, "\"a b\"", ",\"pre_tokenizer\":{\"type\":\"Sequence\"}")),
                 "pretokenizers"));
    CHECK(strstr(pre_of(BPE(AB, "\"a b\"", ",\"pre_tokenizer\":" SPLIT("x"))), "S(x,Isolated,0)"));
}

/* False if the ids that go with Code Llama's vocabulary size were lost, or given to others. */
TEST(two_sizes_have_side_effects)
{
    special("{\"add_bos_token\":true}", BPE(AB, "\"a b\"", ""));
    CHECK(read_as("llama", 32016, "x") && id_is("tokenizer.ggml.eot_token_id", 32010));
    CHECK(id_is("tokenizer.ggml.prefix_token_id", 32007) && flag_is(ADD("bos"), 1));
    CHECK(read_as("llama", 49152, "x") && flag_is(ADD("bos"), 0) && t.nwarning == 1);
    CHECK(read_as("qwen2", 32016, "x") && id_is("tokenizer.ggml.eot_token_id", -1));
}

/* False if a SentencePiece folder's extra tokens were placed or typed otherwise than 3.9 says. */
TEST(sentencepiece_with_added_tokens)
{
    put("tokenizer.json", NULL);
    put("tokenizer.model",
        "\x0a\x03\x0a\x01\x41\x0a\x05\x0a\x01\x42\x18\x04\x0a\x05\x0a\x01\x43\x18\x02");
    put("added_tokens.json", "{\"extra\":3,\"far\":9}");
    put("tokenizer_config.json",
        "{\"add_prefix_space\":false,\"added_tokens_decoder\":{\"2\":{\"content\":\"<unk>\","
        "\"special\":true},\"4\":{\"content\":\"\xe2\x96\x81x\"}}}");
    CHECK_IN(read_as("llama", 6, NULL), "%s", err.text);
    CHECK(strcmp(t.kind, "spm") == 0 && t.nwarning == 1);
    CHECK(strcmp(t.kv[0].key, "tokenizer.ggml.add_space_prefix") == 0);
    CHECK(type_at(0) == 1 && type_at(1) == 1 && type_at(2) == 3 && type_at(3) == 4);
    CHECK(type_at(4) == 4 && type_at(5) == 5);
    CHECK(item_is("tokenizer.ggml.tokens", 4, " x") &&
          item_is("tokenizer.ggml.tokens", 5, "[PAD5]"));
    CHECK(kv("tokenizer.ggml.scores")->count == 6);
    CHECK(!read_as("llama", 2, NULL) && strstr(err.text, "3 pieces"));
    put("added_tokens.json", "{\"x\":-3}");
    CHECK(!read_as("llama", 6, NULL) && strstr(err.text, "added_tokens.json"));
    put("added_tokens.json", NULL);
    put("tokenizer_config.json", "{\"added_tokens_decoder\":{\"+1\":{\"content\":\"x\"}}}");
    CHECK(!read_as("llama", 6, NULL) && strstr(err.text, "tokenizer_config.json"));
    put("tokenizer_config.json", "{\"added_tokens_decoder\":{\"1\":{}}}");
    CHECK(!read_as("llama", 6, NULL) && strstr(err.text, "content"));
    put("tokenizer_config.json", NULL);
    put("tokenizer.model", NULL);
    CHECK(!read_as("llama", 6, NULL) && strstr(err.text, "no tokenizer"));
}

/* False if pieces of a tokenizer.json that stands for SentencePiece were typed wrong. */
TEST(hf_vocabularies_are_sentencepiece)
{
    put("tokenizer.json",
        "{\"decoder\":{\"type\":\"Sequence\"},\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,"
        "\"vocab\":{\"<unk>\":0,\"<0x0A>\":1,\"a\":2},\"merges\":[]},\"added_tokens\":["
        "{\"id\":0,\"content\":\"<unk>\",\"special\":true},{\"id\":4,\"content\":\"\xe2\x96\x81n\"}"
        ","
        "{\"id\":2,\"content\":\"zz\"}]}");
    CHECK_IN(read_as("llama", 6, NULL), "%s", err.text);
    CHECK(strcmp(t.kind, "hf") == 0 && text_is("tokenizer.ggml.pre", "default"));
    CHECK(type_at(0) == 3 && type_at(1) == 6 && type_at(2) == 1 && type_at(3) == 5);
    CHECK(type_at(4) == 4 && item_is("tokenizer.ggml.tokens", 4, "\xe2\x96\x81n"));
    CHECK(item_is("tokenizer.ggml.tokens", 2, "a") && t.nwarning == 1);
    put("tokenizer.json",
        "{\"decoder\":{\"type\":\"Sequence\"},\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,"
        "\"vocab\":{\"a\":0,\"b\":2}}}");
    CHECK(!read_as("llama", 6, NULL) && strstr(err.text, "number of pieces"));
}

/* False if a damaged tokenizer.json was read past its end (under the sanitizer). */
TEST(damaged_files_are_safe)
{
    struct arena *a = arena_new();
    const char *path = "tests/golden/convert/qwen3-bpe/Qwen3-0.2M-Tiny/tokenizer.json";
    struct err e;
    char *text;
    size_t n, step = 97;

    CHECK(file_read(path, 1 << 20, a, &text, &n, &e));
    for (size_t i = 0; i < n; i += step) {
        const char old = text[i];

        text[i] = old == '"' ? '[' : '"';
        put("tokenizer.json", text);
        (void)!read_as("qwen3", 512, NULL);
        text[i] = '7';
        put("tokenizer.json", text);
        (void)!read_as("qwen3", 512, NULL);
        text[i] = old;
    }
    arena_free(a);
}

static void begin(void)
{
    arena = arena_new();
    if (!mkdtemp(folder))
        exit(2);
}

static void end(void)
{
    CHECK(dir_remove(folder, &err));
    arena_free(arena);
}

TEST_MAIN(begin(); RUN(bpe_tokens_types_and_merges) RUN(hostile_vocabularies_are_refused)
              RUN(a_million_entries_are_checked) RUN(add_flags_come_from_the_template)
                  RUN(special_ids_are_found_and_checked) RUN(chat_templates_wherever_they_lie)
                      RUN(splitters_are_known_by_their_key) RUN(two_sizes_have_side_effects)
                          RUN(sentencepiece_with_added_tokens)
                              RUN(hf_vocabularies_are_sentencepiece) RUN(damaged_files_are_safe)
                                  end();)
