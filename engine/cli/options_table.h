/* options_table.h - the rows behind options.h: read by parsing, by the help, by the manual */
#ifndef CLI_OPTIONS_TABLE_H
#define CLI_OPTIONS_TABLE_H

#include "cli/options.h"

enum { OPTIONS_JOBS_MAX = 1024, OPTIONS_MEM_MIN = 1 << 20, OPTIONS_OF_ALL = -1 };

enum option_kind {
    OPTION_FLAG,   /* bool */
    OPTION_COUNT,  /* uint64_t: how often it is given */
    OPTION_JOBS,   /* uint64_t, 1 to OPTIONS_JOBS_MAX */
    OPTION_SIZE,   /* uint64_t bytes */
    OPTION_TEXT,   /* const char * */
    OPTION_OUTPUT, /* const char *, "-" when no value is given; the value only after '=' */
    OPTION_CHOICE, /* uint64_t: index into words */
    OPTION_DEFINE, /* define and ndefine */
};

struct option {
    char letter; /* 0: none */
    const char *name;
    const char *value; /* its name in the help; NULL: takes none */
    enum option_kind kind;
    size_t field;    /* in struct options */
    int commands;    /* bits: 1 << its index in commands[]; OPTIONS_OF_ALL */
    const char *env; /* the variable that fills it, or NULL */
    const char *doc;
};

enum { COMMANDS_COUNT = 13, OPTIONS_COUNT = 26 };
extern const struct command commands[COMMANDS_COUNT];
extern const struct option option_table[OPTIONS_COUNT];

#endif
