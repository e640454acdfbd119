/* hub.h - names of models on the Hugging Face hub (hub_resolve is in format.h)
 *
 * Source: specs/hf-and-convert.md sections 2.2, 2.3, 2.5. */
#ifndef FORMAT_HUB_H
#define FORMAT_HUB_H

#include "base/arena.h"
#include "base/err.h"

/* True when TEXT reads as "ORG/NAME" of the hub: one slash, each part 1 to 96 characters of
 * [A-Za-z0-9_.-], first and last of [A-Za-z0-9_], no "--" or "..", not ending in ".git". */
bool hub_is_id(const char *text);

/* The folder of what was downloaded: all that hub_resolve takes from the environment. */
char *hub_folder(struct arena *arena);

/* As hub_resolve (format.h), in another folder of the same layout. */
bool hub_resolve_in(const char *folder, const char *uri, struct arena *arena, char **dir,
                    struct err *err) MUST_USE;

#endif
