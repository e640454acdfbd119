#include "test.h"

#include <sys/stat.h>

#include "base/msg.h"
#include "files.h"
#include "format/hf.h"
#include "format/safetensors.h"

static struct arena *arena;
static struct err err;
static struct checkpoint ckpt;
static char *scratch;

/* Open PATH through the table; close it again (what the arena holds stays). */
static bool open_path(const char *path)
{
    err = (struct err){0};
    ckpt = (struct checkpoint){0};
    if (!checkpoint_open(&ckpt, path, arena, &err))
        return false;
    for (size_t i = 0; i < ckpt.ntensor; i++) {
        const struct file_tensor *t = &ckpt.tensor[i];

        CHECK(t->file < ckpt.nfile && t->offset <= ckpt.map[t->file].size &&
              tensor_bytes(&t->t) <= ckpt.map[t->file].size - t->offset);
    }
    checkpoint_close(&ckpt);
    return true;
}

/* A file in the scratch folder that holds one u8 tensor a name (up to two). */
static void put_shard(const char *file, const char *a, const char *b)
{
    struct safetensors_out out[2] = {{a, {DTYPE_u8, 1, {2}}, 0}, {b, {DTYPE_u8, 1, {2}}, 0}};
    struct buf buf = {0};
    uint64_t size;

    CHECK(safetensors_layout(out, b ? 2 : 1, &buf, &size, &err));
    buf_fill(&buf, 7, (size_t)size - buf.size);
    put_file(PATH("%s/%s", scratch, file), buf.data, buf.size);
    buf_finish(&buf);
}

static void put_text(const char *file, const char *text)
{
    put_file(PATH("%s/%s", scratch, file), text, strlen(text));
}

static void put_index(const char *weight_map)
{
    put_text("model.safetensors.index.json", PATH("{\"weight_map\":%s}", weight_map));
}

static void empty_scratch(void)
{
    CHECK(dir_remove(scratch, &err) && dir_make(scratch, &err));
}

static bool refused(const char *why)
{
    if (open_path(scratch))
        return false;
    CHECK_IN(strstr(err.text, why), "%s, not: %s", err.text, why);
    return strstr(err.text, scratch) != NULL;
}

/* Lay out a case of the goldens: base, its files over it, minus what it removes. */
static void lay_out(const struct json *doc, uint32_t node)
{
    const char *dir = PATH("tests/golden/malformed/%s/files", text_at(doc, node, "dir", arena));
    const uint32_t gone = json_get(doc, node, "remove");

    empty_scratch();
    copy_files(arena, "tests/golden/malformed/base", scratch);
    copy_files(arena, dir, scratch);
    for (uint32_t k = json_first(doc, gone); k; k = json_after(doc, gone, k)) {
        size_t n;
        const char *name = json_string(doc, k, arena, &n);

        CHECK(dir_remove(PATH("%s/%.*s", scratch, (int)n, name), &err));
    }
}

/* False if a malformed folder opened, a good one did not, or a doubtful one passed silently.
 * Configs, tokenizers and what a family lacks are judged by whoever converts: to this layer
 * those folders are good. */
TEST(malformed_folders_are_judged)
{
    static const struct {
        const char *dir, *why;
        uint32_t warnings;
    } cases[] = {
        {"dirs/idx-no-weight-map", "weight_map is missing", 0},
        {"dirs/idx-missing-shard", "model-00002-of-00002.safetensors: No such file", 0},
        {"dirs/idx-traversal", "is not a bare file name", 0},
        {"dirs/idx-tensor-not-in-shard", "is not in its shard", 0},
        {"dirs/idx-wrong-shard", "but lies in", 0},
        {"dirs/idx-bad-json", "index.json: JSON ends at byte", 0},
        {"dirs/idx-total-size", NULL, 1},
        {"dirs/both-single-and-index", NULL, 1},
    };
    const struct json doc = malformed_index(arena);
    const uint32_t list = json_get(&doc, 1, "dirs");
    size_t seen = 0, known = 0;

    for (uint32_t k = json_first(&doc, list); k; k = json_after(&doc, list, k), seen++) {
        const char *dir = text_at(&doc, k, "dir", arena);
        const char *expect = text_at(&doc, k, "expect", arena), *why = NULL;
        const uint32_t before = msg_warnings();
        uint32_t warnings = 0;

        for (size_t i = 0; i < countof(cases); i++)
            if (strcmp(cases[i].dir, dir) == 0) {
                known++;
                why = cases[i].why;
                warnings = cases[i].warnings;
                CHECK_IN(strcmp(expect, why ? "reject" : "warn") == 0, "%s", dir);
            }
        lay_out(&doc, k);
        const bool ok = open_path(scratch);

        CHECK_IN(ok == !why, "%s: %s", dir, ok ? "opened" : err.text);
        CHECK_IN(ok || strstr(err.text, why), "%s: %s", dir, err.text);
        CHECK_IN(ok || strstr(err.text, scratch), "%s: %s", dir, err.text);
        CHECK_IN(msg_warnings() - before == warnings, "%s", dir);
    }
    CHECK(seen > 30 && known == countof(cases));
}

/* False if a sharded folder lost a tensor, or gave it another file or place. */
TEST(shards_are_one_list)
{
    size_t first = 0;

    CHECK_IN(open_path("tests/golden/safetensors/sharded"), "%s", err.text);
    CHECK(ckpt.format == &format_hf && ckpt.nfile == 2 && ckpt.ntensor == 39 && !ckpt.kv);
    CHECK(strcmp(ckpt.dir, "tests/golden/safetensors/sharded") == 0);
    CHECK(strcmp(ckpt.file[0],
                 "tests/golden/safetensors/sharded/model-00001-of-00002.safetensors") == 0);
    for (size_t i = 0; i < ckpt.ntensor; i++) {
        const struct file_tensor *t = &ckpt.tensor[i];

        first += t->file == 0;
        CHECK(i == 0 || t->file > t[-1].file ||
              (t->file == t[-1].file && t->offset >= t[-1].offset + tensor_bytes(&t[-1].t)));
    }
    CHECK(first > 0 && first < ckpt.ntensor);
}

/* False if a folder without an index took anything but model.safetensors. */
TEST(a_single_file_is_enough)
{
    empty_scratch();
    put_shard("model.safetensors", "a", "b");
    put_shard("model-old.safetensors", "c", NULL); /* a stray that others would merge in */
    put_text("pytorch_model.bin", "x");
    CHECK_IN(open_path(scratch), "%s", err.text);
    CHECK(ckpt.ntensor == 2 && ckpt.nfile == 1 && strcmp(ckpt.path, scratch) == 0);
    CHECK(open_path(PATH("%s/", scratch)) && ckpt.ntensor == 2);
}

/* False if the index could disagree with the shards. */
TEST(index_and_shards_must_agree)
{
    empty_scratch();
    put_shard("s1.safetensors", "a", "b");
    put_shard("s2.safetensors", "c", NULL);
    put_index("{\"c\":\"s2.safetensors\",\"a\":\"s1.safetensors\",\"b\":\"s1.safetensors\"}");
    CHECK_IN(open_path(scratch), "%s", err.text);
    CHECK(ckpt.ntensor == 3 && ckpt.tensor[2].file == 1 && strcmp(ckpt.tensor[2].name, "c") == 0);
    put_index("{\"c\":\"s2.safetensors\",\"a\":\"s1.safetensors\"}");
    CHECK(refused("\"b\" is not in model.safetensors.index.json"));
    put_index("{\"c\":\"s1.safetensors\",\"a\":\"s1.safetensors\",\"b\":\"s1.safetensors\"}");
    CHECK(refused("\"c\" is not in its shard s1.safetensors"));
    put_index("{\"c\":\"s2.safetensors\",\"a\":\"s2.safetensors\",\"b\":\"s1.safetensors\"}");
    CHECK(refused("\"a\" is sent to s2.safetensors, but lies in s1.safetensors"));
    put_shard("s2.safetensors", "c", "a"); /* one tensor in two shards */
    put_index("{\"c\":\"s2.safetensors\",\"a\":\"s1.safetensors\",\"b\":\"s1.safetensors\"}");
    CHECK(refused("\"a\" is sent to s1.safetensors, but lies in s2.safetensors"));
    put_index(
        "{\"a\\u0000\":\"s1.safetensors\",\"a\":\"s1.safetensors\",\"b\":\"s1.safetensors\"}");
    CHECK(refused("is not in its shard"));
}

/* False if an index could name a file that is not beside it. */
TEST(shard_names_are_bare)
{
    static const char *const names[] = {
        "",
        ".",
        "..",
        "../s.safetensors",
        "/etc/passwd",
        "a/s.safetensors",
        "a\\\\s.safetensors",
        "s.safetensors\\u0000",
        "s\\n",
        "\\u007f",
        "s\\u002f..",
        "\\u002e\\u002e",
    };

    empty_scratch();
    put_shard("s.safetensors", "a", NULL);
    for (size_t i = 0; i < countof(names); i++) {
        put_index(PATH("{\"a\":\"%s\"}", names[i]));
        CHECK_IN(refused("is not a bare file name"), "%s", names[i]);
    }
    put_index("{\"a\":5}");
    CHECK(refused("a shard name is not a string"));
    put_index("{\"a\":null}");
    CHECK(refused("a shard name is not a string"));
    put_index("{}");
    CHECK(refused("weight_map is empty"));
    put_index("[]");
    CHECK(refused("no object"));
    put_text("model.safetensors.index.json", "[]");
    CHECK(refused("weight_map is missing"));
    put_text("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"s\",\"a\":\"s\"}}");
    CHECK(refused("is there twice"));
    put_index("{\"a\":\"s.safeten\\u0073ors\"}"); /* an escape changes nothing */
    CHECK_IN(open_path(scratch), "%s", err.text);
}

/* False if one wrong total_size stopped a build, or a right one was warned of. */
TEST(total_size_is_only_warned_of)
{
    static const struct {
        const char *metadata;
        uint32_t warnings;
    } cases[] = {
        {"{\"total_size\":2}", 0},
        {"{\"total_size\":2.0}", 0},
        {"{}", 0},
        {"{\"total_size\":3}", 1},
        {"null", 0},
        {"{\"total_size\":1e400}", 0}, /* the same text is said once */
    };

    empty_scratch();
    put_shard("s.safetensors", "a", NULL);
    for (size_t i = 0; i < countof(cases); i++) {
        const uint32_t before = msg_warnings();

        put_text(
            "model.safetensors.index.json",
            PATH("{\"metadata\":%s,\"weight_map\":{\"a\":\"s.safetensors\"}}", cases[i].metadata));
        CHECK_IN(open_path(scratch), "%s", err.text);
        CHECK_IN(msg_warnings() - before == cases[i].warnings, "%s", cases[i].metadata);
    }
}

/* False if a folder of other files were not refused by what it holds, and what to do. */
TEST(other_folders_are_named)
{
    static const struct {
        const char *file, *why;
    } cases[] = {
        {"pytorch_model.bin", "PyTorch pickles are never read"},
        {"pytorch_model.bin.index.json", "PyTorch pickles are never read"},
        {"pytorch_model-00001-of-00002.bin", "PyTorch pickles are never read"},
        {"consolidated.safetensors", "Mistral's own layout"},
        {"consolidated.00.pth", "Mistral's own layout"},
        {"params.json", "Mistral's own layout"},
        {"m-q4_k.gguf", "m-q4_k.gguf: name that file itself"},
        {"adapter_model.safetensors", "adapter"},
        {"model-00001-of-00002.safetensors", "without their model.safetensors.index.json"},
        {"other.safetensors", "other.safetensors: name that file itself"},
        {"tf_model.h5", "TensorFlow"},
        {"config.json", "holds no weights"},
    };

    for (size_t i = 0; i < countof(cases); i++) {
        empty_scratch();
        put_text(cases[i].file, "x");
        CHECK_IN(refused(cases[i].why), "%s", cases[i].file);
    }
    empty_scratch();
    CHECK(refused("holds no weights"));
}

/* False if a clone without its large files, a broken link or a folder gave a riddle. */
TEST(files_that_hold_no_weights_are_named)
{
    static const char pointer[] =
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";

    empty_scratch();
    put_text("model.safetensors", pointer);
    CHECK(refused("model.safetensors: this is a Git LFS pointer") &&
          strstr(err.text, "git lfs pull"));
    put_text("s.safetensors", pointer);
    put_index("{\"a\":\"s.safetensors\"}");
    CHECK(refused("s.safetensors: this is a Git LFS pointer"));
    put_text("model.safetensors.index.json", pointer);
    CHECK(refused("index.json: this is a Git LFS pointer"));
    put_text("model.safetensors.index.json", "<html>");
    CHECK(refused("this is a web page"));

    empty_scratch();
    CHECK(symlink("../blobs/gone", PATH("%s/model.safetensors", scratch)) == 0);
    CHECK(refused("model.safetensors: No such file"));
    empty_scratch();
    CHECK(dir_make(PATH("%s/model.safetensors", scratch), &err));
    CHECK(refused("not a regular file"));
    empty_scratch();
    CHECK(mkfifo(PATH("%s/model.safetensors", scratch), 0600) == 0); /* must not wait */
    CHECK(refused("not a regular file"));
}

/* False if damage to an index could crash the reader. */
TEST(damaged_indexes_are_survived)
{
    const char *text = "{\"metadata\":{\"total_size\":6},\"weight_map\":{\"a\":\"s1.safetensors\","
                       "\"b\":\"s1.safetensors\",\"c\":\"s2.safetensors\"}}";
    const size_t n = strlen(text);
    uint32_t random = 99;

    empty_scratch();
    put_shard("s1.safetensors", "a", "b");
    put_shard("s2.safetensors", "c", NULL);
    for (size_t cut = 0; cut < n; cut++) {
        put_file(PATH("%s/model.safetensors.index.json", scratch), text, cut);
        CHECK(!open_path(scratch));
    }
    for (int i = 0; i < 500; i++) {
        char *copy = arena_strdup(arena, text);

        random = random * 1664525 + 1013904223;
        copy[(random >> 8) % n] = (char)(random >> 24);
        put_file(PATH("%s/model.safetensors.index.json", scratch), copy, n);
        CHECK(open_path(scratch) || err.text[0]);
    }
}

static void all(void)
{
    arena = arena_new();
    scratch = scratch_dir(arena);
    RUN(malformed_folders_are_judged)
    RUN(shards_are_one_list)
    RUN(a_single_file_is_enough)
    RUN(index_and_shards_must_agree)
    RUN(shard_names_are_bare)
    RUN(total_size_is_only_warned_of)
    RUN(other_folders_are_named)
    RUN(files_that_hold_no_weights_are_named)
    RUN(damaged_indexes_are_survived)
    CHECK(dir_remove(scratch, &err));
    arena_free(arena);
}

TEST_MAIN(all();)
