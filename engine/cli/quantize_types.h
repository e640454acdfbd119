/* quantize_types.h - the names and numbers of llama-quantize's types, as it reads them */
#ifndef CLI_QUANTIZE_TYPES_H
#define CLI_QUANTIZE_TYPES_H

#include "base/buf.h"

/* As std::stoi: blanks, a sign, digits, and whatever follows them. False when there is none, or
 * when it does not fit. */
bool quantize_stoi(const char *text, int *out);
/* llama-quantize's spelling of a name in any case, or NULL. */
const char *quantize_type_by_name(const char *word);
/* And of a name or number: "q4_k", "15"; NULL: it is none. */
const char *quantize_type(const char *word);
/* All of them, for the help. */
void quantize_types_help(struct buf *out);

#endif
