/* cmd.h - the subcommands: each reads its options and words, and returns its exit code */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include "cli/options.h"

#define VBUILD_VERSION "0.1.0"

int cmd_build(const struct options *options);
int cmd_plan(const struct options *options);
int cmd_explain(const struct options *options);
int cmd_graph(const struct options *options);
int cmd_inspect(const struct options *options);
int cmd_diff(const struct options *options);
int cmd_words(const struct options *options);
int cmd_manual(const struct options *options);
int cmd_quantize(const struct options *options);
int cmd_merge(const struct options *options);
int cmd_help(const struct options *options);
int cmd_version(const struct options *options);

/* Say that it failed; the exit code of ERR when nothing ran yet. */
int cmd_refuse(const struct err *err);

#endif
