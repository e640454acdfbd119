/* key.h - the identity of a node: one walk, two sinks
 *
 * What is hashed is what explain prints. A key holds op name and version, parameters by name,
 * the output's dtype, and for each input its dtype (with the version of its coding), dims and
 * content: the content is D in a shallow key K, Q in a deep key. Paths, tensor names, recipe
 * lines, other tensors and machine facts stay out. */
#ifndef GRAPH_KEY_H
#define GRAPH_KEY_H

#include "base/buf.h"
#include "graph/node.h"

enum key_kind { KEY_SHALLOW, KEY_DEEP };

/* The key of NODE when its inputs' contents (D or Q) are CONTENT[0 .. nin). */
struct digest key_hash(const struct node *node, enum key_kind kind, const struct digest *content);
/* The same walk as "field\0value\0" pairs, appended to OUT. */
void key_text(const struct node *node, enum key_kind kind, const struct digest *content,
              struct buf *out);
/* Op and parameters alone, in the hashed encoding: what interning compares. */
void key_params(const struct op *op, const union op_arg *arg, struct buf *out);

#endif
