/* main.c - the story of a run: read the command line, do what it says, leave with a code */
#include "base/file.h"
#include "base/msg.h"
#include "cli/cmd.h"
#include "cli/machine.h"
#include "cli/workspace.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void set_voice(const struct options *options)
{
    enum msg_level level = MSG_NORMAL;

    if (options->verbose)
        level = options->verbose > 1 ? MSG_DEBUG : MSG_VERBOSE;
    if (options->quiet)
        level = MSG_QUIET;
    msg_setup(level, machine_color((enum when)options->color));
}

/* The file of --json is the working directory's, and a subcommand may move out of that. */
static bool pin_json(struct options *options, struct arena *arena, struct err *err)
{
    char here[4096];

    if (!options->json || strcmp(options->json, "-") == 0 || options->json[0] == '/')
        return true;
    if (!getcwd(here, sizeof(here)))
        return err_sys(err, "the working directory");
    options->json = path_join(arena, here, options->json);
    return true;
}

/* A large model has more shards than the usual limit of open files. */
static void allow_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int run(struct options *options, struct arena *arena)
{
    struct err err;

    if (options->version)
        return cmd_version(options);
    if (options->help) {
        /* "vbuild plan --help" is "vbuild help plan"; plain "--help" is the whole */
        const struct command *command = options->command;
        struct options help = {.word = &command->name, .nword = options->named};

        return cmd_help(&help);
    }
    if (!options->command->run) {
        err_set(&err, ERR_RECIPE,
                "vbuild %s comes in a later version; write a recipe, vbuild "
                "words lists its words",
                options->command->name);
        return cmd_refuse(&err);
    }
    if (!workspace_enter(options->dir, &err) || !pin_json(options, arena, &err))
        return cmd_refuse(&err);
    return options->command->run(options);
}

/* What standard output was told must have arrived: a full disk is a failure. */
static int flush(int code)
{
    struct err err;

    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    err_sys(&err, "standard output");
    msg_error("%s", err.text);
    return code ? code : err_exit(err.code, true);
}

int main(int argc, char **argv)
{
    struct arena *arena = arena_new();
    struct options options;
    struct err err;
    int code;

    allow_files();
    if (options_parse(&options, argc, argv, arena, &err)) {
        set_voice(&options);
        code = flush(run(&options, arena));
    } else {
        code = cmd_refuse(&err);
    }
    arena_free(arena);
    return code;
}
