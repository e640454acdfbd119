/* account.h - the at most five lines that end a build (ruling 51)
 *
 * What ran and what was kept, why, and what was written where. */
#ifndef CLI_ACCOUNT_H
#define CLI_ACCOUNT_H

#include "cli/session.h"
#include "graph/explain.h"

enum { ACCOUNT_LINES = 5 };

void account_put(struct session *s, int64_t wall_ns, struct buf *out);
/* Every reason, artifact by artifact (--explain, vbuild explain); ALL: of tensors that are not
 * rebuilt too. */
void account_reasons(const struct session *s, bool all, struct buf *out);
/* "new", "param", ... as in JSON. */
const char *reason_word(enum reason_kind kind);

#endif
