/* recipe.h - run a recipe in its sandbox: Lua text in, a graph and artifacts out
 *
 * The only folder that includes Lua's headers. A recipe sees the words of rules/ and nothing
 * else of the machine; it is limited in steps, memory and time (specs/build-engine.md 4.2). */
#ifndef LUA_RECIPE_H
#define LUA_RECIPE_H

#include "base/buf.h"
#include "graph/artifact.h"
#include "store/store.h"

struct recipe_options {
    const char *const *define; /* "name=value" of -D, ndefine of them */
    uint32_t ndefine;
    const char *const *variant; /* the variants asked for; none: all */
    uint32_t nvariant;
    struct store *store; /* for memoised facts; may be NULL */
};

struct recipe {
    struct graph *graph; /* owns everything below */
    struct artifact *artifact;
    uint32_t nartifact;
    const char **note; /* what the recipe wants said before a build: "layers 47..47 of ..." */
    uint32_t nnote;
};

/* Evaluate the recipe at PATH. Errors carry "PATH:LINE: " and are ERR_RECIPE, or the code of
 * the file that could not be opened. recipe_close frees the graph. */
bool recipe_open(struct recipe *out, const char *path, const struct recipe_options *options,
                 struct err *err) MUST_USE;
void recipe_close(struct recipe *recipe);

/* docs/words.md, from the tables of rules/ and the ops. */
bool recipe_words(struct buf *out, struct err *err) MUST_USE;

#endif
