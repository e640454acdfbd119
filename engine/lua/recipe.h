/* recipe.h - run a recipe in its sandbox: Lua text in, a graph and artifacts out
 *
 * The only folder that includes Lua's headers. A recipe sees the words of rules/ and nothing
 * else of the machine; it is limited in steps, memory and time (specs/build-engine.md 4.2). */
#ifndef LUA_RECIPE_H
#define LUA_RECIPE_H

#include "base/buf.h"
#include "graph/artifact.h"
#include "store/store.h"

/* What the command line says of a mergekit file (rules/mergekit.lua); NULL and false: nothing. */
struct recipe_merge {
    const char *model_dir; /* another folder of models */
    const char *seed;      /* of random methods: digits, or 0x and digits */
    const char *shard;     /* bytes, or a text like "5GB" */
    const char *name;      /* of its one artifact */
    bool strict;           /* what mergekit ignores is an error */
    bool truncate_vocab, allow_mixed_arch;
    bool no_tokenizer; /* the tokenizer's files are not written */
};

struct recipe_options {
    /* The recipe itself, made by a program; NULL: the file at PATH. Its lines mean nothing to
     * anybody, so neither messages nor nodes carry them; PATH is what messages call it. */
    const char *text;
    const char *const *define; /* "name=value" of -D, ndefine of them */
    uint32_t ndefine;
    const char *const *variant; /* the variants asked for; none: all */
    uint32_t nvariant;
    struct store *store;              /* for memoised facts; may be NULL */
    const struct recipe_merge *merge; /* for a mergekit file at PATH; may be NULL */
    bool
        sizes_only; /* nothing will be built: an imatrix that is demanded and missing is no error */
};

struct recipe {
    struct graph *graph; /* owns everything below */
    struct artifact *artifact;
    uint32_t nartifact;
    const char **note; /* what the recipe wants said before a build: "layers 47..47 of ..." */
    uint32_t nnote;
};

/* Evaluate the recipe at PATH, or options->text. Errors of a file carry "PATH:LINE: "; they are
 * ERR_RECIPE, or the code of the file that could not be opened. recipe_close frees the graph. */
bool recipe_open(struct recipe *out, const char *path, const struct recipe_options *options,
                 struct err *err) MUST_USE;
void recipe_close(struct recipe *recipe);

/* True when PATH ends as a mergekit file does, in .yml or .yaml: recipe_open takes it as one. */
bool recipe_is_yaml(const char *path);
/* The mergekit file at PATH as the text of a recipe. MERGE may be NULL. */
bool recipe_of_yaml(struct buf *out, const char *path, const struct recipe_merge *merge,
                    struct err *err) MUST_USE;

/* docs/words.md, from the tables of rules/ and the ops. */
bool recipe_words(struct buf *out, struct err *err) MUST_USE;

#endif
