#include "cli/options_table.h"

#include <string.h>

static void put_option(struct buf *out, const struct option *row)
{
    struct buf left = {0};

    if (row->letter)
        buf_printf(&left, "-%c, ", row->letter);
    buf_printf(&left, "--%s", row->name);
    if (row->value)
        buf_printf(&left, row->kind == OPTION_OUTPUT ? "[=%s]" : " %s", row->value);
    if (left.size > 24)
        buf_printf(out, "  %s\n  %-24s", buf_cstr(&left), "");
    else
        buf_printf(out, "  %-24s", buf_cstr(&left));
    buf_printf(out, "  %s%s%s%s\n", row->doc, row->env ? " ($" : "", row->env ? row->env : "",
               row->env ? ")" : "");
    buf_finish(&left);
}

static void put_commands(struct buf *out)
{
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        buf_printf(
            out, strlen(commands[i].args) > 22 ? "  %-9s %s\n  %-32s %s\n" : "  %-9s %-22s%s %s\n",
            commands[i].name, commands[i].args, "", commands[i].doc);
}

static const char exits[] =
    "Exit: 0 done; 1 a tensor failed, or an input changed meanwhile; 2 the command line or the\n"
    "recipe is wrong, and nothing ran; 3 two results for one key, or a digest that should be\n"
    "another; 4 a cache that is unreadable or of a newer version; 5 no room on disk or in memory;\n"
    "130, 143 interrupted.\n";

static const char dropin_exits[] = "Exit: 0 done; 1 not, for any reason; 130, 143 interrupted.\n";

/* What stands before the options: how the command is written, what it does. */
static void put_usage(const struct command *command, struct buf *out)
{
    if (!command) {
        buf_text(out, "usage: vbuild [OPTIONS] [RECIPE] [VARIANT...]\n"
                      "       vbuild SUBCOMMAND [OPTIONS] ...\n"
                      "Builds the artifacts of a recipe (a file that ends in .lua, or mergekit's\n"
                      "in .yml; default: the build.lua of the workspace), all of them or the\n"
                      "variants named.\n\n"
                      "Subcommands:\n");
        put_commands(out);
        buf_text(out, "\nOptions:\n");
    } else if (command->help) {
        buf_printf(out, "usage: vbuild [OPTIONS OF VBUILD] %s %s\n%s\n\n", command->name,
                   command->args, command->doc);
        command->help(out);
        buf_printf(out, "\nOptions of vbuild, before the word %s:\n", command->name);
    } else {
        buf_printf(out, "usage: vbuild %s [OPTIONS] %s\n%s\n\nOptions:\n", command->name,
                   command->args, command->doc);
    }
}

void options_help(const struct command *command, struct buf *out)
{
    const int bit = command ? 1 << (command - commands) : OPTIONS_OF_ALL;

    put_usage(command, out);
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (option_table[i].commands & bit)
            put_option(out, &option_table[i]);
    buf_printf(out, "\n%s", command && command->help ? dropin_exits : exits);
}

static void manual_options(struct buf *out)
{
    buf_text(out, "## Options\n\n| option | of | meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct option *row = &option_table[i];

        buf_text(out, "| `");
        if (row->letter)
            buf_printf(out, "-%c`, `", row->letter);
        buf_printf(out, "--%s%s", row->name,
                   !row->value                  ? ""
                   : row->kind == OPTION_OUTPUT ? "[="
                                                : " ");
        for (const char *c = row->value; c && *c; c++) /* a bar would end the cell */
            buf_printf(out, *c == '|' ? "\\|" : "%c", *c);
        buf_printf(out, "%s` |", row->kind == OPTION_OUTPUT ? "]" : "");
        for (size_t c = 0; row->commands != OPTIONS_OF_ALL && c < COMMANDS_COUNT; c++)
            if (row->commands & 1 << c && commands[c].run)
                buf_printf(out, " %s", commands[c].name);
        buf_printf(out, "%s | %s", row->commands == OPTIONS_OF_ALL ? " all" : "", row->doc);
        buf_printf(out, "%s%s%s |\n", row->env ? "; variable `" : "", row->env ? row->env : "",
                   row->env ? "`" : "");
    }
}

static void manual_dropins(struct buf *out)
{
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (!commands[i].help)
            continue;
        buf_printf(out, "## vbuild %s\n\n```text\n", commands[i].name);
        commands[i].help(out);
        buf_text(out, "```\n\n");
    }
}

void options_manual(struct buf *out)
{
    buf_text(out, "# The command\n\nMade by `vbuild manual` from the tables of "
                  "engine/cli/options_table.c.\n\n"
                  "## Subcommands\n\n| subcommand | does |\n|---|---|\n");
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        buf_printf(out, "| `vbuild %s%s%s` | %s |\n", commands[i].name,
                   commands[i].args[0] ? " " : "", commands[i].args, commands[i].doc);
    buf_text(out, "\n");
    manual_options(out);
    buf_text(out, "\nOther variables: `NO_COLOR`, `CLICOLOR_FORCE` (colors), `CI`, `TERM=dumb` "
                  "(plain progress),\n`XDG_CACHE_HOME` (the cache outside a workspace), "
                  "`VBUILD_ISA` (`scalar`, `avx2` or `avx512`: same bytes),\n"
                  "`VBUILD_TILE` (elements worked on at a time, for tests: same bytes).\n\n");
    manual_dropins(out);
    buf_text(out,
             "## Files\n\nThe workspace is the nearest folder at or above the working directory "
             "that holds a\n`build.lua`, else the working directory. `cache/`, `outputs/` and "
             "the relative paths in a\nrecipe are the workspace's; relative paths on the command "
             "line are the working directory's.\n\n## Exit codes\n\n");
    buf_text(out, exits);
    buf_text(out,
             "\nOf the drop-ins (convert, quantize, merge): 0, 1 for any failure, 130 and 143.\n");
}
