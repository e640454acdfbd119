/* options.h - the command line: one table of subcommands, one of options
 *
 * Parsing, --help and docs/command.md come from the two tables in options_table.c; an option that
 * is not in the table does not exist. An environment variable fills what no option gave. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "lua/recipe.h"

enum when { WHEN_AUTO, WHEN_ALWAYS, WHEN_NEVER };
enum progress_mode { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_PLAIN, PROGRESS_NONE };

struct command;

struct options {
    const struct command *command;
    bool named;              /* the command line names the subcommand */
    const char *const *word; /* what is no option, the subcommand left out */
    uint32_t nword;
    const char *dir;    /* -C, NULL: stay */
    uint64_t jobs;      /* 0: as many as there are processors */
    uint64_t mem_bytes; /* 0: see machine.h */
    const char *cache;  /* NULL: see workspace.h */
    bool cache_given;   /* on the command line, not by the environment */
    const char *out_dir;
    const char *json; /* a path, "-" for standard output, NULL: none */
    const char **define;
    uint32_t ndefine;
    uint64_t progress, color; /* enum progress_mode, enum when */
    uint64_t verbose;
    bool quiet, keep_going, dry_run, force, explain, durable, no_snapshot, help, version;
    bool types;                    /* of inspect, as the next two */
    const char *against, *imatrix; /* NULL: none */
    bool recipe;                   /* of a drop-in: print the recipe instead of running it */
    struct recipe_merge merge;     /* of a mergekit file in the place of a recipe */
};

struct command {
    const char *name;
    const char *args;                          /* "[RECIPE] [VARIANT...]" */
    const char *doc;                           /* one line */
    int (*run)(const struct options *options); /* the exit code; NULL: of a later version */
    uint32_t words_max;                        /* how many words it takes; more are an error */
    /* Of a drop-in (dropin.h): what is said of its own options. Everything after its name is left
     * to it, unread. */
    void (*help)(struct buf *out);
};

/* ERR_RECIPE, with the nearest word, for what is not in the tables. Texts live in ARENA or in
 * ARGV. Words before the first that is no option choose the subcommand; none chosen: build. */
bool options_parse(struct options *out, int argc, char *const *argv, struct arena *arena,
                   struct err *err) MUST_USE;

const struct command *command_find(const char *name); /* or NULL */
const char *command_near(const char *word);           /* or NULL */
bool options_has(const char *word);                   /* "--cache=x": is there such an option? */

/* --help of the program (COMMAND NULL) or of one subcommand; docs/command.md. */
void options_help(const struct command *command, struct buf *out);
void options_manual(struct buf *out);

#endif
