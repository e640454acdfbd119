#include "test.h"

#include "files.h"
#include "format/format.h"
#include "format/wrong.h"

static struct arena *arena;
static struct err err;
static char *scratch;

static bool open_path(const char *path)
{
    struct checkpoint ckpt;

    err = (struct err){0};
    if (!checkpoint_open(&ckpt, path, arena, &err))
        return false;
    checkpoint_close(&ckpt);
    checkpoint_close(&ckpt); /* twice is fine */
    return true;
}

/* False if a file that people often have instead of weights were not called by its name. */
TEST(usual_wrong_files_are_named)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *why;
    } cases[] = {
        {"", 0, "the file is empty"},
        {"PK\3\4rest", 8, "zip file"},
        {"\x80\2}q", 4, "pickle"},
        {"\x80\4\x95", 3, "pickle"},
        {"version https://git-lfs.github.com/spec/v1\n", 43, "run `git lfs pull`"},
        {"<!DOCTYPE html>", 15, "web page"},
        {"\r\n <HTML lang", 13, "web page"},
        {"hello", 5, "not a checkpoint"},
        {"\x80", 1, "not a checkpoint"},
        {"{\"a\":1}", 7, "not a checkpoint"},
    };
    static const char *const names[] = {"weights.bin", "w", "w.safetensors.txt"};

    for (size_t i = 0; i < countof(cases); i++)
        for (size_t k = 0; k < countof(names); k++) {
            const char *path = PATH("%s/%s", scratch, names[k]);

            put_file(path, cases[i].bytes, cases[i].n);
            CHECK(!open_path(path));
            CHECK_IN(strstr(err.text, cases[i].why) && strstr(err.text, path), "%s", err.text);
        }
}

/* False if the name of a file decided what it is, where its bytes tell. */
TEST(formats_are_known_by_their_bytes)
{
    const char *path = PATH("%s/blob", scratch);

    copy_file(arena, "tests/golden/safetensors/types.safetensors", path);
    CHECK_IN(open_path(path), "%s", err.text);
    put_file(PATH("%s/x.safetensors", scratch), "GGUF", 4);
    CHECK(!open_path(PATH("%s/x.safetensors", scratch)));
    put_file(PATH("%s/x.safetensors", scratch), "PK\3\4", 4);
    CHECK(!open_path(PATH("%s/x.safetensors", scratch)) && strstr(err.text, "zip"));
    put_file(PATH("%s/x.safetensors", scratch), "hello", 5);
    CHECK(!open_path(PATH("%s/x.safetensors", scratch)) && strstr(err.text, "too short"));
}

/* False if a missing path were not told apart from a model of the hub. */
TEST(missing_paths_offer_the_hub)
{
    CHECK(!open_path("no-such-org/no-such-model") &&
          strstr(err.text, "\"hf://no-such-org/no-such-model\""));
    CHECK(err.code == ERR_IO);
    CHECK(!open_path("./no-such/model") && !strstr(err.text, "hf://"));
    CHECK(!open_path("/no/such") && !strstr(err.text, "hf://") && strstr(err.text, "No such file"));
    CHECK(!open_path("nosuch.gguf") && !strstr(err.text, "hf://"));
    CHECK(!open_path("") && err.text[0]);
    CHECK(!open_path("/dev/null") && strstr(err.text, "not a regular file"));
}

/* False if a name could break a message, or be cut inside a character. */
TEST(names_are_shown_safely)
{
    struct shown shown;
    char name[300];

    CHECK(strcmp(name_shown(&shown, "a\0\n\x7f\"\\\xc3\xa9", 8),
                 "a\\x00\\x0a\\x7f\\x22\\x5c\xc3\xa9") == 0);
    CHECK(strcmp(name_shown(&shown, "", 0), "") == 0);
    for (size_t lead = 0; lead < 8; lead++) {
        memset(name, 'x', lead);
        for (size_t i = lead; i + 4 <= sizeof(name); i += 4)
            memcpy(name + i, "\xf0\x9f\x98\x80", 4);
        const char *text = name_shown(&shown, name, lead + 280);
        const size_t n = strlen(text);

        CHECK(n <= 203 && n >= 200 && utf8_valid(text, n) && strcmp(text + n - 3, "...") == 0);
    }
    memset(name, '\n', sizeof(name));
    CHECK(strlen(name_shown(&shown, name, 300)) == 203);
    memset(name, 'y', 200);
    CHECK(strlen(name_shown(&shown, name, 200)) == 200);
}

static void all(void)
{
    arena = arena_new();
    scratch = scratch_dir(arena);
    RUN(usual_wrong_files_are_named)
    RUN(formats_are_known_by_their_bytes)
    RUN(missing_paths_offer_the_hub)
    RUN(names_are_shown_safely)
    CHECK(dir_remove(scratch, &err));
    arena_free(arena);
}

TEST_MAIN(all();)
