/* embed.h - the rules library inside the program: the .lua files of rules/, by embed.sh */
#ifndef LUA_EMBED_H
#define LUA_EMBED_H

#include "base/cc.h"

struct embedded {
    const char *name; /* the path below rules/ without .lua: "arch/llama" */
    const char *text;
    size_t size;
};

extern const struct embedded embedded_rules[]; /* sorted by name */
extern const size_t embedded_rules_count;

#endif
