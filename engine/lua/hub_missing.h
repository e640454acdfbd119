/* hub_missing.h - one line that downloads every hub model a recipe names and this disk lacks */
#ifndef LUA_HUB_MISSING_H
#define LUA_HUB_MISSING_H

#include "base/err.h"

/* ERR is the miss of one "hf://" source; when the recipe at RECIPE names more that are missing,
 * the line for all of them is put after it (ruling 56). What is there is left alone. */
void hub_missing(const char *recipe, struct err *err);

#endif
