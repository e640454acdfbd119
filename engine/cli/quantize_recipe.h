/* quantize_recipe.h - what a command line of llama-quantize stands for: a recipe, and output names
 */
#ifndef CLI_QUANTIZE_RECIPE_H
#define CLI_QUANTIZE_RECIPE_H

#include "cli/dropin.h"
#include "cli/quantize_options.h"

/* Where it writes: the output as given or by default, or the folder of a ladder. */
const char *quantize_target(const struct quantize *q);
/* The variants and the names of their files, one for each type. NAME: what is written to when it
 * is no ladder. In q->arena. */
const struct dropin_out *quantize_outputs(const struct quantize *q, const char *name);
/* The text. WORDS: the command line, for its first line. */
void quantize_recipe(const struct quantize *q, const struct dropin_out *out,
                     const char *const *word, uint32_t nword, struct buf *text);

#endif
