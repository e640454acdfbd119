/* What an op keeps from pass to pass: in the pool, else in a file of the cache, or not at all. */
#include "base/sum.h"
#include "graph/cluster.h"

static size_t each(const struct member *m)
{
    const struct op *op = m->call->op;

    return op && op->keep_bytes ? op->keep_bytes(m->call) : 0;
}

bool keep_begin(struct exec *x, const struct cluster *c, struct member *m, struct err *err)
{
    uint64_t size;

    const bool spare = m->call->op->keep_spare;

    if (m->keep || each(m) == 0 || (spare && m->pass > 0)) /* too late for what pass 0 makes */
        return true;
    if (!sum_mul(each(m), (uint64_t)c->elements, &size) || size > PTRDIFF_MAX)
        return err_set(err, ERR_LIMIT, "%s cannot keep %zu bytes for each of its elements",
                       m->call->op->name, each(m));
    m->keep = pool_take(x->pool, size);
    if (m->keep || spare)
        return true;
    m->keep_file = size ? size : 1;
    return store_scratch(x->s->store, m->keep_file, &m->keep, err) || cache_failed(err);
}

void keep_restart(struct exec *x, struct member *m)
{
    if (each(m) == 0)
        return;
    if (m->keep_file)
        bulk_free(m->keep, m->keep_file);
    else
        pool_give(x->pool, m->keep);
    m->keep = NULL;
    m->keep_file = 0;
    mem_free(m->state);
    m->state = NULL;
    m->pass = 0;
    m->reduced = !op_reduces(m->call);
}
