/* dropin.h - the peers' own command lines: a recipe made on the fly, built where the user says
 *
 * A drop-in turns the words after its name into the text of a recipe (which --recipe prints) and
 * into the paths of what that makes. The text runs as a recipe file would, so that the run and the
 * printed recipe cannot differ. Unlike an ordinary build it looks for no workspace (paths are the
 * working directory's), writes no manifest (qm 10), chooses its cache by qm 12, writes to the
 * exact path it was given, and leaves with the peer's exit codes: 0, 1, or a signal's. */
#ifndef CLI_DROPIN_H
#define CLI_DROPIN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "cli/options.h"
#include "lua/recipe.h"

struct dropin_out {
    const char *variant; /* its key in the table that the recipe returns */
    const char *name;    /* its file or folder in out_dir */
    bool split;          /* shards: NAME is what their names begin with */
};

struct dropin {
    const char *name;    /* of the subcommand: what messages call the recipe */
    const char *text;    /* the recipe */
    const char *out_dir; /* an absolute path; the build makes the folder if it is not there */
    const struct dropin_out *out;
    uint32_t nout;
};

/* TEXT as a Lua string in one line, whatever bytes it holds. */
void dropin_quote(struct buf *out, const char *text);

/* Where PATH, a file or folder to be made, lies: symbolic links are followed, so that what they
 * name is replaced and not they. DIR: absolute. It must be there (ERR_RECIPE if it is not), but
 * with MAKE the build makes it, once nothing is wrong with the recipe. */
bool dropin_target(const char *path, bool make, struct arena *arena, const char **dir,
                   const char **name, struct err *err) MUST_USE;

/* The cache by qm 12. */
bool dropin_find_cache(const struct options *options, struct arena *arena, const char **cache,
                       struct err *err) MUST_USE;
/* The same, said on standard error unless OPTIONS or the environment name it. */
bool dropin_cache(const struct options *options, struct arena *arena, const char **cache,
                  struct err *err) MUST_USE;

/* Give the artifacts of the evaluated recipe their names. An output that is one of the recipe's
 * sources, is not writable, or is no file (of a folder: no folder) is ERR_RECIPE. */
bool dropin_place(const struct dropin *dropin, struct recipe *recipe, struct err *err) MUST_USE;

/* Build it; the exit code. */
int dropin_build(const struct options *options, const struct dropin *dropin);
/* Print TEXT, the recipe, for --recipe; and say where its paths would be another's. */
void dropin_print(const struct buf *text);
/* Say what is wrong and, after a wrong command line, how it is written; exit code 1. */
int dropin_refuse(const char *name, const struct err *err, bool usage);

#endif
