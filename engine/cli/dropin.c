#include "cli/dropin.h"

#include "base/file.h"
#include "base/msg.h"
#include "cli/cmd.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/workspace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, LINKS_MAX = 40 };

/* ---- text --------------------------------------------------------------------------------- */

void dropin_quote(struct buf *out, const char *text)
{
    buf_text(out, "\"");
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            buf_printf(out, "\\%c", *c);
        else if (*c < 0x20 || *c == 0x7f)
            buf_printf(out, "\\%03u", *c);
        else
            buf_u8(out, *c);
    }
    buf_text(out, "\"");
}

/* ---- paths -------------------------------------------------------------------------------- */

/* What the symbolic link at PATH names, seen from here; NULL when it is no link. */
static const char *follow(const char *path, struct arena *arena)
{
    char to[PATH_BYTES];
    const ssize_t n = readlink(path, to, sizeof(to) - 1);

    if (n < 0)
        return NULL;
    to[n] = 0;
    return path_join(arena, path_dir(arena, path), to);
}

static const char *without_slashes(const char *path, struct arena *arena)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    return arena_strndup(arena, path, n);
}

/* DIR as an absolute path; its end may not be there yet. */
static bool absolute(const char *dir, struct arena *arena, const char **out, struct err *err)
{
    char whole[PATH_BYTES];
    const char *at = without_slashes(dir, arena), *rest = NULL;

    while (!file_exists(at) && at[0] && strcmp(at, path_dir(arena, at)) != 0) {
        rest = rest ? path_join(arena, path_base(at), rest) : path_base(at);
        at = without_slashes(path_dir(arena, at), arena);
    }
    if (!file_is_dir(at))
        return err_set(err, ERR_RECIPE, "%s: '%s' is not a folder", dir, at);
    if (!realpath(at, whole))
        return err_sys(err, "%s", at);
    *out = rest ? path_join(arena, whole, rest) : arena_strdup(arena, whole);
    return true;
}

bool dropin_target(const char *path, bool make, struct arena *arena, const char **dir,
                   const char **name, struct err *err)
{
    char whole[PATH_BYTES];
    const char *at = without_slashes(path, arena);

    for (int i = 0; i < LINKS_MAX; i++) {
        const char *next = follow(at, arena);

        if (!next)
            break;
        at = without_slashes(next, arena);
    }
    if (file_is_dir(at)) { /* "." and ".." have a name, too */
        if (!realpath(at, whole))
            return err_sys(err, "%s", path);
        at = arena_strdup(arena, whole);
    }
    *name = path_base(at);
    *dir = path_dir(arena, at);
    if (!**name)
        return err_set(err, ERR_RECIPE, "'%s' is no name for an output", path);
    if (!make && !file_is_dir(*dir))
        return err_set(err, ERR_RECIPE, "%s: there is no folder '%s'; make it first", path, *dir);
    return absolute(*dir, arena, dir, err);
}

static bool is_cache(const char *dir)
{
    static const char start[] = "vbuild-cache ";
    struct arena *arena = arena_new();
    struct err ignored;
    size_t n;
    char *text;
    const bool is = file_read(path_join(arena, dir, "FORMAT"), 64, arena, &text, &n, &ignored) &&
                    n >= sizeof(start) - 1 && memcmp(text, start, sizeof(start) - 1) == 0;

    arena_free(arena);
    return is;
}

bool dropin_find_cache(const struct options *options, struct arena *arena, const char **cache,
                       struct err *err)
{
    if (options->cache)
        *cache = options->cache;
    else if (is_cache("cache") || file_exists("build.lua"))
        *cache = "cache";
    else
        return workspace_user_cache(cache, arena, err);
    return true;
}

bool dropin_cache(const struct options *options, struct arena *arena, const char **cache,
                  struct err *err)
{
    if (!dropin_find_cache(options, arena, cache, err))
        return false;
    if (options->cache)
        return true;
    msg_note("past work is kept in %s; vbuild --cache DIR %s ... names another folder", *cache,
             options->command->name);
    return true;
}

/* ---- outputs ------------------------------------------------------------------------------ */

static const struct dropin_out *find_out(const struct dropin *dropin, const char *variant)
{
    for (uint32_t i = 0; i < dropin->nout; i++)
        if (strcmp(dropin->out[i].variant, variant) == 0)
            return &dropin->out[i];
    return NULL;
}

static void give_name(const struct dropin_out *out, struct artifact *a, struct arena *arena)
{
    a->name = out->name;
    if (!out->split)
        return;
    for (uint32_t f = a->nfile; f-- > 0;) {
        a->name = arena_printf(arena, "%s-%05u-of-%05u.gguf", out->name, f + 1, a->nfile);
        a->file[f].path = f ? arena_printf(arena, "../%s", a->name) : "";
    }
}

static bool is_source(const struct recipe *recipe, const struct stat *st)
{
    for (uint32_t f = 0; f < graph_files(recipe->graph); f++) {
        const struct stamp stamp = graph_file(recipe->graph, f)->stamp;

        if (stamp.dev == st->st_dev && stamp.ino == st->st_ino)
            return true;
    }
    return false;
}

/* What stands at PATH may be replaced: as the peer, which opens it for writing, would find. */
static bool may_replace(const struct recipe *recipe, const char *path, struct err *err)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return true;
    if (S_ISDIR(st.st_mode))
        return err_set(err, ERR_RECIPE, "%s: a folder stands where the output is to be", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_RECIPE, "%s is no ordinary file; name another output", path);
    if (is_source(recipe, &st))
        return err_set(err, ERR_RECIPE, "%s: the input and the output are the same file", path);
    if (access(path, W_OK) != 0)
        return err_sys(err, "%s", path);
    return true;
}

bool dropin_place(const struct dropin *dropin, struct recipe *recipe, struct err *err)
{
    struct arena *arena = graph_arena(recipe->graph);

    for (uint32_t i = 0; i < recipe->nartifact; i++) {
        struct artifact *a = &recipe->artifact[i];
        const struct dropin_out *out = find_out(dropin, a->variant);

        if (out)
            give_name(out, a, arena);
        const char *path = path_join(arena, dropin->out_dir, a->name);

        if (a->folder && file_exists(path) && !file_is_dir(path))
            return err_set(err, ERR_RECIPE, "%s: a file stands where the folder is to be", path);
        for (uint32_t f = 0; f < a->nfile; f++)
            if (!may_replace(recipe, artifact_file(arena, path, a->file[f].path), err))
                return false;
    }
    return true;
}

/* ---- running ------------------------------------------------------------------------------ */

int dropin_build(const struct options *options, const struct dropin *dropin)
{
    const int code = build_of(options, dropin);

    return code == 0 || code >= 128 ? code : 1;
}

void dropin_print(const struct buf *text)
{
    struct arena *arena = arena_new();
    const char *root = workspace_above(arena);

    say_bytes(text->data, text->size);
    if (root)
        msg_note("its paths are those of this folder; as a recipe run here they would start at %s, "
                 "which has a build.lua",
                 root);
    arena_free(arena);
}

int dropin_refuse(const char *name, const struct err *err, bool usage)
{
    const struct command *command = command_find(name);

    msg_error("%s: %s", name, err->text);
    if (usage)
        msg_note("usage: vbuild %s %s; vbuild help %s explains it", name, command->args, name);
    return 1;
}
