/* exec.h - run clusters with W workers from one queue. Private to graph. */
#ifndef GRAPH_EXEC_H
#define GRAPH_EXEC_H

#include "graph/cluster.h"

/* Bring each cluster to its end. False: the build as a whole failed (disk full, interrupted,
 * store broken), err says how; a failed node alone is in x->failure. */
bool exec_run(struct exec *x, struct cluster *cluster, uint32_t count,
              const struct build_events *events, struct build_progress *progress,
              struct err *err) MUST_USE;

/* RUN(self) in WORKERS threads at once, for what is no build. They share SELF. */
void exec_spread(uint32_t workers, void (*run)(void *self), void *self);

#endif
