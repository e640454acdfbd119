#include "cli/options_table.h"

#include "cli/cmd.h"
#include "cli/merge_options.h"
#include "cli/quantize_options.h"

/* Which subcommands an option belongs to: bits in the order of the table below. */
enum {
    BUILD = 1 << 0,
    PLAN = 1 << 1,
    EXPLAIN = 1 << 2,
    GRAPH = 1 << 3,
    INSPECT = 1 << 4,
    DIFF = 1 << 5,
    DROPIN = 1 << 10 | 1 << 11 | 1 << 12,
    RECIPE = BUILD | PLAN | EXPLAIN | GRAPH,
    ALL = OPTIONS_OF_ALL
};

/* The subcommands. Those that a later version brings are here so that their names mean that. */
const struct command commands[COMMANDS_COUNT] = {
    {"build", "[RECIPE] [VARIANT...]", "bring artifacts up to date (what vbuild does unasked)",
     cmd_build, UINT32_MAX, NULL},
    {"plan", "[RECIPE] [VARIANT...]", "say what a build would do, and how large each file will be",
     cmd_plan, UINT32_MAX, NULL},
    {"explain", "[RECIPE] [VARIANT...]", "say why each tensor would be rebuilt", cmd_explain,
     UINT32_MAX, NULL},
    {"graph", "[RECIPE] [VARIANT...]", "print nodes and artifacts as JSON", cmd_graph, UINT32_MAX,
     NULL},
    {"inspect", "FILE", "print what a model file or folder holds", cmd_inspect, 1, NULL},
    {"diff", "A B", "compare two models tensor by tensor: exit 0 equal, 1 different, 2 trouble",
     cmd_diff, 2, NULL},
    {"words", "", "print the words of the recipe language (docs/words.md)", cmd_words, 0, NULL},
    {"manual", "", "print this command's options (docs/command.md)", cmd_manual, 0, NULL},
    {"help", "[WORD]", "explain a subcommand or a word of the recipe language", cmd_help, 1, NULL},
    {"version", "", "print the version", cmd_version, 0, NULL},
    {"convert", "", "convert a model folder to GGUF; comes in a later version", NULL, UINT32_MAX,
     NULL},
    {"quantize", "[OPTION...] IN.gguf [OUT.gguf] TYPE [THREADS]",
     "llama-quantize's command line, and the same file", cmd_quantize, UINT32_MAX, quantize_help},
    {"merge", "[OPTION...] CONFIG_FILE OUT_PATH", "mergekit-yaml's command line", cmd_merge,
     UINT32_MAX, merge_help},
};

#define FIELD(name) offsetof(struct options, name)
const struct option option_table[OPTIONS_COUNT] = {
    {'C', "directory", "DIR", OPTION_TEXT, FIELD(dir), ALL, NULL, "work as if started in DIR"},
    {'j', "jobs", "N", OPTION_JOBS, FIELD(jobs), BUILD | PLAN | INSPECT | DROPIN, "VBUILD_JOBS",
     "threads; default: the processors this process may use"},
    {0, "mem", "SIZE", OPTION_SIZE, FIELD(mem_bytes), BUILD | PLAN | DROPIN, "VBUILD_MEM",
     "memory for tensor bytes, as 64M or 1.5GiB; default: 256M, or less where there is less"},
    {0, "cache", "DIR", OPTION_TEXT, FIELD(cache), RECIPE | INSPECT | DROPIN, "VBUILD_CACHE",
     "where past work is kept; default: cache/ of the workspace"},
    {'o', "output", "DIR", OPTION_TEXT, FIELD(out_dir), RECIPE, NULL,
     "where artifacts go; default: outputs/ of the workspace"},
    {'k', "keep-going", NULL, OPTION_FLAG, FIELD(keep_going), BUILD | DROPIN, NULL,
     "after a failure, build what does not need the failed tensor"},
    {'n', "dry-run", NULL, OPTION_FLAG, FIELD(dry_run), BUILD | PLAN, NULL,
     "as the subcommand plan"},
    {'q', "quiet", NULL, OPTION_FLAG, FIELD(quiet), ALL, NULL, "print errors and warnings only"},
    {'v', "verbose", NULL, OPTION_COUNT, FIELD(verbose), ALL, NULL, "say more; twice: still more"},
    {'D', "define", "NAME=VALUE", OPTION_DEFINE, FIELD(define), RECIPE, NULL,
     "what option(\"NAME\", default) in the recipe gives"},
    {0, "force", NULL, OPTION_FLAG, FIELD(force), BUILD | PLAN | DROPIN, NULL,
     "run every node, even those whose results are known"},
    {0, "explain", NULL, OPTION_FLAG, FIELD(explain), BUILD | PLAN | DROPIN, NULL,
     "print every reason for which something is rebuilt"},
    {0, "json", "FILE", OPTION_OUTPUT, FIELD(json), RECIPE | INSPECT | DIFF | DROPIN, NULL,
     "write JSON to FILE; without FILE, or with -, to standard output"},
    {0, "progress", "auto|bar|plain|none", OPTION_CHOICE, FIELD(progress), BUILD | PLAN | DROPIN,
     NULL, "how a running build reports; auto: a bar on a terminal, else plain lines"},
    {0, "color", "auto|always|never", OPTION_CHOICE, FIELD(color), ALL, NULL,
     "colors in messages; auto: on a terminal"},
    {0, "durable", NULL, OPTION_FLAG, FIELD(durable), BUILD | DROPIN, NULL,
     "force results to the disk before they are believed (for power cuts)"},
    {0, "no-snapshot", NULL, OPTION_FLAG, FIELD(no_snapshot), BUILD | DROPIN, NULL,
     "evaluate the recipe even where nothing it depends on has changed"},
    {0, "strict", NULL, OPTION_FLAG, FIELD(merge.strict), RECIPE, NULL,
     "in a mergekit file, what mergekit ignores is an error: unknown keys, dead filters"},
    {0, "seed", "N", OPTION_TEXT, FIELD(merge.seed), RECIPE, NULL,
     "of the methods of a mergekit file that drop by chance; default: 0"},
    {0, "model-dir", "DIR", OPTION_TEXT, FIELD(merge.model_dir), RECIPE, NULL,
     "where models of a mergekit file lie: DIR/ORG/NAME, DIR/NAME, or as in the hub's cache"},
    {0, "types", NULL, OPTION_FLAG, FIELD(types), INSPECT, NULL,
     "show which type each role has in which layers, bits, bytes, and errors that are known"},
    {0, "against", "SOURCE", OPTION_TEXT, FIELD(against), INSPECT, NULL,
     "with --types: measure the error against SOURCE, the model that FILE was quantized from"},
    {0, "imatrix", "FILE", OPTION_TEXT, FIELD(imatrix), INSPECT, NULL,
     "with --against: weigh each column as this imatrix does"},
    {0, "recipe", NULL, OPTION_FLAG, FIELD(recipe), DROPIN, NULL,
     "print the recipe that the subcommand stands for, and do nothing"},
    {0, "version", NULL, OPTION_FLAG, FIELD(version), ALL, NULL, "print the version"},
    {'h', "help", NULL, OPTION_FLAG, FIELD(help), ALL, NULL, "print this help"},
};
#undef FIELD
