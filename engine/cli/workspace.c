#include "cli/workspace.h"

#include "base/file.h"
#include "lua/recipe.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

bool workspace_enter(const char *dir, struct err *err)
{
    if (dir && chdir(dir) != 0) {
        err_sys(err, "-C %s", dir);
        err->code = ERR_RECIPE;
        return false;
    }
    return true;
}

/* The nearest ancestor of HERE (an absolute path) that holds a build.lua, or NULL. */
static char *find_root(const char *here, struct arena *arena)
{
    char *dir = arena_strdup(arena, here);

    for (;;) {
        if (file_exists(path_join(arena, dir, "build.lua")))
            return dir;
        if (strcmp(dir, "/") == 0)
            return NULL;
        char *slash = strrchr(dir, '/');

        slash[slash == dir] = 0; /* the root keeps its slash */
    }
}

const char *workspace_above(struct arena *arena)
{
    char here[PATH_BYTES];
    const char *root = getcwd(here, sizeof(here)) ? find_root(here, arena) : NULL;

    return root && strcmp(root, here) != 0 ? root : NULL;
}

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

/* Split the words into one recipe and variants. */
static bool split_words(struct workspace *out, const struct options *options, const char *prefix,
                        struct arena *arena, struct err *err)
{
    const char **variant = arena_array(arena, options->nword + 1, sizeof(*variant));

    for (uint32_t i = 0; i < options->nword; i++) {
        const char *word = options->word[i];

        if (!ends_in(word, ".lua") && !recipe_is_yaml(word)) {
            variant[out->nvariant++] = word;
            continue;
        }
        if (out->recipe)
            return err_set(err, ERR_RECIPE, "'%s' is a second recipe after '%s'; give one", word,
                           out->recipe);
        out->recipe = path_join(arena, prefix, word);
    }
    out->variant = variant;
    return true;
}

static bool no_recipe(const struct workspace *ws, struct err *err)
{
    const char *near = ws->nvariant ? command_near(ws->variant[0]) : NULL;

    if (near)
        return err_set(err, ERR_RECIPE, "unknown subcommand '%s'; did you mean '%s'?",
                       ws->variant[0], near);
    if (ws->nvariant)
        return err_set(
            err, ERR_RECIPE,
            "'%s' is no subcommand and no recipe (*.lua, *.yml), and there is no build.lua "
            "here or above that could hold a variant of that name",
            ws->variant[0]);
    return err_set(err, ERR_RECIPE,
                   "there is no build.lua here or above; name a recipe: vbuild "
                   "RECIPE.lua");
}

bool workspace_user_cache(const char **cache, struct arena *arena, struct err *err)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (xdg && xdg[0] == '/')
        *cache = path_join(arena, xdg, "vbuild");
    else if (home && home[0] == '/')
        *cache = path_join(arena, home, ".cache/vbuild");
    else
        return err_set(err, ERR_RECIPE,
                       "outside a workspace the cache is in the home folder, and "
                       "$HOME is not set; name one: --cache DIR");
    return true;
}

bool workspace_open(struct workspace *out, const struct options *options, struct arena *arena,
                    struct err *err)
{
    struct workspace ws = {0};
    char here[PATH_BYTES];
    const char *prefix = "";

    if (!getcwd(here, sizeof(here)))
        return err_sys(err, "the working directory");
    const char *root = find_root(here, arena);

    if (root && strcmp(root, here) != 0) /* a root below "/" ends without a slash */
        prefix = here + strlen(root) + (root[1] != 0);
    if (!split_words(&ws, options, prefix, arena, err))
        return false;
    if (!ws.recipe && !root)
        return no_recipe(&ws, err);
    if (!ws.recipe)
        ws.recipe = "build.lua";
    ws.out_dir = options->out_dir ? path_join(arena, prefix, options->out_dir) : "outputs";
    if (options->cache_given)
        ws.cache = path_join(arena, prefix, options->cache);
    else if (options->cache)
        ws.cache = options->cache;
    else if (root)
        ws.cache = "cache";
    else if (!workspace_user_cache(&ws.cache, arena, err))
        return false;
    if (root && chdir(root) != 0)
        return err_sys(err, "%s", root);
    *out = ws;
    return true;
}
