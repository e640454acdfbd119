/* merge_options.h - mergekit-yaml's command line (specs/merge.md section 8.1)
 *
 * One table of options drives parsing, the help and docs/command.md. Words are read as click does:
 * options anywhere, --no-NAME for a switch, --NAME=VALUE, "--" ends them. What goes beyond the peer
 * is --seed, --recipe, --strict, --model-dir. */
#ifndef CLI_MERGE_OPTIONS_H
#define CLI_MERGE_OPTIONS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "lua/recipe.h"

struct merge_options {
    const char *yaml, *out;    /* CONFIG_FILE and OUT_PATH; NULL: not given */
    struct recipe_merge merge; /* what the recipe is told */
    uint64_t jobs, verbose;    /* jobs 0: not given */
    bool quiet, recipe, help;
    const char *idle;  /* the options given that change nothing here, parted by ", "; or NULL */
    const char *cards; /* "--write-model-card" when it was asked for, or NULL */
};

/* The words after "merge". A refusal is one of usage: the peer's exit code for it is 2. */
bool merge_parse(struct merge_options *out, const char *const *word, uint32_t n,
                 struct arena *arena, struct err *err) MUST_USE;

/* What is said of the options: for vbuild help merge and docs/command.md. */
void merge_help(struct buf *out);

#endif
