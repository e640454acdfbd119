#include "cli/options_table.h"

#include "cli/cmd.h"

/* Which subcommands an option belongs to: bits in the order of the table below. */
enum {
    BUILD = 1 << 0,
    PLAN = 1 << 1,
    EXPLAIN = 1 << 2,
    GRAPH = 1 << 3,
    INSPECT = 1 << 4,
    DIFF = 1 << 5,
    RECIPE = BUILD | PLAN | EXPLAIN | GRAPH,
    ALL = OPTIONS_OF_ALL
};

/* The subcommands. Those that a later version brings are here so that their names mean that. */
const struct command commands[COMMANDS_COUNT] = {
    {"build", "[RECIPE] [VARIANT...]", "bring artifacts up to date (what vbuild does unasked)",
     cmd_build, UINT32_MAX},
    {"plan", "[RECIPE] [VARIANT...]", "say what a build would do, and how large each file will be",
     cmd_plan, UINT32_MAX},
    {"explain", "[RECIPE] [VARIANT...]", "say why each tensor would be rebuilt", cmd_explain,
     UINT32_MAX},
    {"graph", "[RECIPE] [VARIANT...]", "print nodes and artifacts as JSON", cmd_graph, UINT32_MAX},
    {"inspect", "FILE", "print what a model file or folder holds", cmd_inspect, 1},
    {"diff", "A B", "compare two models tensor by tensor: exit 0 equal, 1 different, 2 trouble",
     cmd_diff, 2},
    {"words", "", "print the words of the recipe language (docs/words.md)", cmd_words, 0},
    {"manual", "", "print this command's options (docs/command.md)", cmd_manual, 0},
    {"help", "[WORD]", "explain a subcommand or a word of the recipe language", cmd_help, 1},
    {"version", "", "print the version", cmd_version, 0},
    {"convert", "", "convert a model folder to GGUF; comes in a later version", NULL, UINT32_MAX},
    {"quantize", "", "quantize a GGUF; comes in a later version", NULL, UINT32_MAX},
    {"merge", "", "run a mergekit configuration; comes in a later version", NULL, UINT32_MAX},
};

#define FIELD(name) offsetof(struct options, name)
const struct option option_table[OPTIONS_COUNT] = {
    {'C', "directory", "DIR", OPTION_TEXT, FIELD(dir), ALL, NULL, "work as if started in DIR"},
    {'j', "jobs", "N", OPTION_JOBS, FIELD(jobs), BUILD | PLAN, "VBUILD_JOBS",
     "threads; default: the processors this process may use"},
    {0, "mem", "SIZE", OPTION_SIZE, FIELD(mem_bytes), BUILD | PLAN, "VBUILD_MEM",
     "memory for tensor bytes, as 64M or 1.5GiB; default: 256M, or less where there is less"},
    {0, "cache", "DIR", OPTION_TEXT, FIELD(cache), RECIPE, "VBUILD_CACHE",
     "where past work is kept; default: cache/ of the workspace"},
    {'o', "output", "DIR", OPTION_TEXT, FIELD(out_dir), RECIPE, NULL,
     "where artifacts go; default: outputs/ of the workspace"},
    {'k', "keep-going", NULL, OPTION_FLAG, FIELD(keep_going), BUILD, NULL,
     "after a failure, build what does not need the failed tensor"},
    {'n', "dry-run", NULL, OPTION_FLAG, FIELD(dry_run), BUILD | PLAN, NULL,
     "as the subcommand plan"},
    {'q', "quiet", NULL, OPTION_FLAG, FIELD(quiet), ALL, NULL, "print errors and warnings only"},
    {'v', "verbose", NULL, OPTION_COUNT, FIELD(verbose), ALL, NULL, "say more; twice: still more"},
    {'D', "define", "NAME=VALUE", OPTION_DEFINE, FIELD(define), RECIPE, NULL,
     "what option(\"NAME\", default) in the recipe gives"},
    {0, "force", NULL, OPTION_FLAG, FIELD(force), BUILD | PLAN, NULL,
     "run every node, even those whose results are known"},
    {0, "explain", NULL, OPTION_FLAG, FIELD(explain), BUILD | PLAN, NULL,
     "print every reason for which something is rebuilt"},
    {0, "json", "FILE", OPTION_OUTPUT, FIELD(json), RECIPE | INSPECT | DIFF, NULL,
     "write JSON to FILE; without FILE, or with -, to standard output"},
    {0, "progress", "auto|bar|plain|none", OPTION_CHOICE, FIELD(progress), BUILD | PLAN, NULL,
     "how a running build reports; auto: a bar on a terminal, else plain lines"},
    {0, "color", "auto|always|never", OPTION_CHOICE, FIELD(color), ALL, NULL,
     "colors in messages; auto: on a terminal"},
    {0, "durable", NULL, OPTION_FLAG, FIELD(durable), BUILD, NULL,
     "force results to the disk before they are believed (for power cuts)"},
    {0, "no-snapshot", NULL, OPTION_FLAG, FIELD(no_snapshot), BUILD, NULL,
     "evaluate the recipe even where nothing it depends on has changed"},
    {0, "version", NULL, OPTION_FLAG, FIELD(version), ALL, NULL, "print the version"},
    {'h', "help", NULL, OPTION_FLAG, FIELD(help), ALL, NULL, "print this help"},
};
#undef FIELD
