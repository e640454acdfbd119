/* explain.h - why a node is rebuilt: the old key walk against the new one, down to the cause */
#ifndef GRAPH_EXPLAIN_H
#define GRAPH_EXPLAIN_H

#include "base/buf.h"
#include "graph/build.h"

struct settling;

/* Why extent X of artifact A is not what the store's record of A says. Texts in ARENA. */
struct reason explain_extent(struct settling *s, uint32_t a, const struct extent *x,
                             struct arena *arena);

/* "param type: q4_k -> q5_k (recipe.lua:41)"; STATE is the node's. */
void explain_reason(const struct reason *reason, enum node_state state, struct buf *out);

/* Lines of the form "blk.0.ffn_up.weight (and 11 more): REASON": extents with one reason are
 * one line, in the order of the first. Only those that ran, were cut off, failed or changed,
 * or all when ALL. Nothing for an artifact that was fresh. */
void explain_artifact(const struct artifact *artifact, const struct build_artifact *report,
                      const enum node_state *state, bool all, struct buf *out);

#endif
