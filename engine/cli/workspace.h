/* workspace.h - where a build works: the workspace, the recipe, the cache, the outputs
 *
 * Ruling 49: the workspace is the nearest ancestor of the working directory with a build.lua,
 * else the working directory. cache/, outputs/ and the relative paths of recipes are the
 * workspace's; relative paths on the command line are the working directory's. */
#ifndef CLI_WORKSPACE_H
#define CLI_WORKSPACE_H

#include "cli/options.h"

struct workspace {
    const char *recipe;         /* path of the recipe */
    const char *const *variant; /* the variants asked for; none: all */
    uint32_t nvariant;
    const char *cache, *out_dir;
};

/* Find it, move into it, and make every path of OPTIONS good from there. ERR_RECIPE when there
 * is no recipe to build. */
bool workspace_open(struct workspace *out, const struct options *options, struct arena *arena,
                    struct err *err) MUST_USE;
/* The user's own cache, for what is outside a workspace. */
bool workspace_user_cache(const char **cache, struct arena *arena, struct err *err) MUST_USE;
/* The folder above the working directory that is its workspace, or NULL when there is none or it is
 * the working directory itself. */
const char *workspace_above(struct arena *arena);
/* Does -C, once, before anything else looks at a path. */
bool workspace_enter(const char *dir, struct err *err) MUST_USE;

#endif
