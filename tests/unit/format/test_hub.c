#include "test.h"

#include "files.h"
#include "format/format.h"
#include "format/hub.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define OTHER "fedcba9876543210fedcba9876543210fedcba98"

static struct arena *arena;
static struct err err;
static char *scratch, *found;

static const char *const vars[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME",
                                   "XDG_CACHE_HOME"};

static void clear_env(void)
{
    for (size_t i = 0; i < countof(vars); i++)
        unsetenv(vars[i]);
    setenv("HOME", PATH("%s/home", scratch), 1);
}

static bool resolve(const char *uri)
{
    err = (struct err){0};
    found = NULL;
    return hub_resolve(uri, arena, &found, &err);
}

/* True when URI leads to PATH under the scratch folder. */
static bool leads_to(const char *uri, const char *path)
{
    if (!resolve(uri)) {
        fprintf(stderr, "%s\n", err.text);
        return false;
    }
    return strcmp(found, PATH("%s/%s", scratch, path)) == 0;
}

static void put_ref(const char *cache, const char *name, const char *text)
{
    const char *path = PATH("%s/%s/models--org--name/refs/%s", scratch, cache, name);

    CHECK(dir_make(path_dir(arena, path), &err));
    put_file(path, text, strlen(text));
}

static void put_snapshot(const char *cache, const char *commit)
{
    CHECK(dir_make(PATH("%s/%s/models--org--name/snapshots/%s", scratch, cache, commit), &err));
}

/* False if a cache were looked for elsewhere than the hub's own tools put it. */
TEST(the_cache_is_where_the_environment_says)
{
    static const char *const caches[] = {"one", "two", "home3/hub", "xdg/huggingface/hub",
                                         "home/.cache/huggingface/hub"};

    clear_env();
    for (size_t i = 0; i < countof(caches); i++) {
        put_ref(caches[i], "main", COMMIT);
        put_snapshot(caches[i], COMMIT);
    }
    const char *const tail = "models--org--name/snapshots/" COMMIT;

    CHECK(leads_to("hf://org/name", PATH("%s/%s", caches[4], tail)));
    setenv("XDG_CACHE_HOME", PATH("%s/xdg", scratch), 1);
    CHECK(leads_to("hf://org/name", PATH("%s/%s", caches[3], tail)));
    setenv("HF_HOME", PATH("%s/home3", scratch), 1);
    CHECK(leads_to("hf://org/name", PATH("%s/%s", caches[2], tail)));
    setenv("HUGGINGFACE_HUB_CACHE", PATH("%s/two", scratch), 1);
    CHECK(leads_to("hf://org/name", PATH("%s/%s", caches[1], tail)));
    setenv("HF_HUB_CACHE", PATH("%s/one", scratch), 1);
    CHECK(leads_to("hf://org/name", PATH("%s/%s", caches[0], tail)));
    setenv("HF_HUB_CACHE", "", 1); /* empty is not set */
    CHECK(leads_to("hf://org/name", PATH("%s/%s", caches[1], tail)));
}

/* False if "~" or a variable in a cache path were taken literally. */
TEST(cache_paths_are_expanded)
{
    const char *const tail = "c/models--org--name/snapshots/" COMMIT;

    clear_env();
    put_ref("home/c", "main", COMMIT "\n");
    put_snapshot("home/c", COMMIT);
    setenv("HF_HUB_CACHE", "~/c", 1);
    CHECK(leads_to("hf://org/name", PATH("home/%s", tail)));
    setenv("HF_HUB_CACHE", "$HOME/c", 1);
    CHECK(leads_to("hf://org/name", PATH("home/%s", tail)));
    setenv("VB_TEST_PART", "c", 1);
    setenv("HF_HUB_CACHE", "${HOME}/${VB_TEST_PART}", 1);
    CHECK(leads_to("hf://org/name", PATH("home/%s", tail)));
    setenv("HF_HUB_CACHE", "/x$VB_NOT_SET/${VB_NOT_SET}/$/${/a~", 1);
    CHECK(!resolve("hf://org/name") &&
          strstr(err.text, "/x$VB_NOT_SET/${VB_NOT_SET}/$/${/a~/models"));
}

/* False if a revision led to another snapshot than its ref says. */
TEST(revisions_lead_to_snapshots)
{
    clear_env();
    setenv("HF_HUB_CACHE", PATH("%s/rev", scratch), 1);
    put_ref("rev", "main", " \n" COMMIT "\r\n");
    put_ref("rev", "v1.0", OTHER);
    put_ref("rev", "refs/pr/7", OTHER);
    put_ref("rev", "refs/convert/parquet", OTHER);
    put_ref("rev", "feature/x", OTHER);
    put_snapshot("rev", COMMIT);
    put_snapshot("rev", OTHER);
    put_file(PATH("%s/rev/models--org--name/snapshots/" OTHER "/m.gguf", scratch), "x", 1);
#define SNAPSHOT "rev/models--org--name/snapshots/"
    CHECK(leads_to("hf://org/name", SNAPSHOT COMMIT));
    CHECK(leads_to("hf://org/name/", SNAPSHOT COMMIT));
    CHECK(leads_to("hf://models/org/name", SNAPSHOT COMMIT));
    CHECK(leads_to("hf://org/name@main", SNAPSHOT COMMIT));
    CHECK(leads_to("hf://org/name@v1.0", SNAPSHOT OTHER));
    CHECK(leads_to("hf://org/name@" OTHER, SNAPSHOT OTHER));
    CHECK(leads_to("hf://org/name@refs/pr/7", SNAPSHOT OTHER));
    CHECK(leads_to("hf://org/name@refs/convert/parquet", SNAPSHOT OTHER));
    CHECK(leads_to("hf://org/name@feature%2Fx", SNAPSHOT OTHER));
    CHECK(leads_to("hf://org/name@feature%2fx/m.gguf", SNAPSHOT OTHER "/m.gguf"));
    CHECK(leads_to("hf://org/name@refs/pr/7/m.gguf", SNAPSHOT OTHER "/m.gguf"));
    put_ref("rev", "short", "0123456");
    CHECK(!resolve("hf://org/name@short") && strstr(err.text, "is no commit"));
    put_ref("rev", "wild", "../../../x");
    CHECK(!resolve("hf://org/name@wild") && strstr(err.text, "is no commit"));
}

/* False if a miss did not say where it looked, or how to get the model. */
TEST(a_miss_lists_where_it_looked)
{
    clear_env();
    setenv("HF_HUB_CACHE", PATH("%s/miss", scratch), 1);
    CHECK(!resolve("hf://org/name") && err.code == ERR_IO);
    CHECK(strstr(err.text, PATH("looked in %s/miss/models--org--name;", scratch)));
    CHECK(strstr(err.text, "download it with: hf download org/name") != NULL);
    CHECK(!strstr(err.text, "--revision"));
    CHECK(!resolve("hf://org/name@v2") && strstr(err.text, "hf download org/name --revision v2"));
    put_ref("miss", "main", COMMIT);
    CHECK(!resolve("hf://org/name@v2") && strstr(err.text, "models--org--name/refs/v2;"));
    CHECK(!resolve("hf://org/name") && strstr(err.text, "snapshots/" COMMIT ";"));
    CHECK(strstr(err.text, "models--org--name/refs/main, "));
    CHECK(!resolve("hf://org/name@" OTHER) && strstr(err.text, "snapshots/" OTHER ";"));
    CHECK(!strstr(err.text, "refs/") && strstr(err.text, "--revision " OTHER));
    put_snapshot("miss", COMMIT);
    CHECK(!resolve("hf://org/name@main/x.gguf") && strstr(err.text, COMMIT "/x.gguf;"));
}

/* False if a name outside the grammar reached the file system. */
TEST(names_outside_the_grammar_are_refused)
{
    static const char *const names[] = {
        "hf://",
        "hf://name",
        "hf:///name",
        "hf://org/",
        "hf://org//name",
        "hf://-org/name",
        "hf://org/name-",
        "hf://org/.name",
        "hf://or--g/name",
        "hf://org/na..me",
        "hf://org/name.git",
        "hf://../name",
        "hf://org/..",
        "hf://org/na me",
        "hf://org/n\xc3\xa9",
        "hf://datasets/a/b",
        "hf://spaces/a/b",
        "hf://buckets/a/b",
        "hf://org/name@",
        "hf://org/name@/f",
        "hf://org/name@..",
        "hf://org/name@a..b",
        "hf://org/name@%2Fetc",
        "hf://org/name@a%2F",
        "hf://org/name@a%2F%2Fb",
        "hf://org/name@a%2F.b",
        "hf://org/name@a b",
        "hf://org/name@a;b",
        "hf://org/name@$(x)",
        "hf://org/name@-v",
        "hf://org/name@a'b",
        "hf://org/name@refs/pr/",
        "hf://org/name@main/../x",
        "hf://org/name@main/./x",
        "hf://org/name@main//x",
        "hf://org/name@main/x/",
        "hf://org/name@main/a\\b",
        "hf://org/name@main/a\nb",
        "hf://org/name/..",
        "hf:/org/name",
        "org/name",
        "",
        "h",
    };
    char part[100];

    for (size_t i = 0; i < countof(names); i++)
        CHECK_IN(!resolve(names[i]) && err.code == ERR_RECIPE, "%s: %s", names[i], err.text);
    memset(part, 'a', sizeof(part));
    part[96] = 0;
    CHECK(hub_is_id(PATH("%s/%s", part, part)));
    part[96] = 'a';
    part[97] = 0;
    CHECK(!hub_is_id(PATH("org/%s", part)) && !hub_is_id(PATH("%s/name", part)));
    CHECK(hub_is_id("a/b") && hub_is_id("mistralai/Mistral-Nemo-Base-2407") &&
          hub_is_id("_a/b_.c-d"));
    CHECK(!hub_is_id("a/b/c") && !hub_is_id("a") && !hub_is_id("/a/b") && !hub_is_id("a/b@c"));
}

static void all(void)
{
    arena = arena_new();
    scratch = scratch_dir(arena);
    RUN(the_cache_is_where_the_environment_says)
    RUN(cache_paths_are_expanded)
    RUN(revisions_lead_to_snapshots)
    RUN(a_miss_lists_where_it_looked)
    RUN(names_outside_the_grammar_are_refused)
    CHECK(dir_remove(scratch, &err));
    arena_free(arena);
}

TEST_MAIN(all();)
