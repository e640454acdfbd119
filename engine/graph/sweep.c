/* The beginning and the end of a sweep: what is opened for it, and what it settles. */
#include "base/buf.h"
#include "base/fault.h"
#include "base/msg.h"
#include "graph/cluster.h"
#include "graph/key.h"

#include <inttypes.h>
#include <string.h>

static struct settled *of(const struct exec *x, const struct member *m)
{
    return &x->s->node[m->node];
}

static uint64_t bytes_of(const struct member *m)
{
    return tensor_bytes(&m->call->out);
}

/* Partials of member M. */
static int64_t partials(const struct cluster *c, const struct member *m)
{
    return m->in_order ? 1 : (c->elements + m->reduce_tile - 1) / m->reduce_tile;
}

static bool begin_reduce(struct exec *x, const struct cluster *c, struct member *m, struct err *err)
{
    const struct op *op = m->call->op;

    if (!keep_begin(x, c, m, err))
        return false;
    m->reduce_tile = op_tile(m->call);
    m->in_order = op->in_order && op->in_order(m->call, m->pass);
    const size_t count = (size_t)partials(c, m);

    if (!m->state) {
        const size_t n = op->state_bytes(m->call);

        m->state = mem_grow(NULL, n + 1);
        memset(m->state, 0, n);
    }
    m->partial_size = op->partial_bytes ? op->partial_bytes(m->call, m->pass) : 0;
    m->partial = mem_grow(NULL, count * m->partial_size + 1);
    memset(m->partial, 0, count * m->partial_size);
    m->counts_size = op->worker_bytes ? op->worker_bytes(m->call, m->pass) : 0;
    if (m->counts_size) {
        m->counts = mem_grow(NULL, x->workers * m->counts_size);
        memset(m->counts, 0, x->workers * m->counts_size);
    }
    return true;
}

/* Floats are kept as byte planes; blocks hardly shrink (specs/build-engine.md section 3.4). */
static bool begin_blob(const struct exec *x, struct member *m, struct err *err)
{
    const struct tensor *t = &m->call->out;

    if (!of(x, m)->uses || !keeps_blob(m->call))
        return true;
    const bool planes = dtype_is_float(t->dtype) && t->dtype != DTYPE_f64;

    return blob_begin(x->s->store, bytes_of(m), planes ? CODEC_planes : CODEC_raw,
                      dtype_info(t->dtype)->bytes, &m->writer, err) ||
           cache_failed(err);
}

/* Let go of what belongs to one sweep. */
static void drop(struct member *m)
{
    hasher_free(m->hasher);
    m->hasher = NULL;
    blob_abort(m->writer);
    m->writer = NULL;
    mem_free(m->partial);
    m->partial = NULL;
    mem_free(m->counts);
    m->counts = NULL;
}

/* The sweep gave nothing: nothing of it may be used. */
static void void_sweep(struct exec *x, struct cluster *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct member *m = &c->member[i];

        drop(m);
        if (m->hold) {
            pool_give(x->pool, m->held);
            m->held = NULL;
        }
        if (m->reduce) /* part of the pass may be in what it keeps */
            keep_restart(x, m);
    }
}

bool sweep_begin(struct exec *x, struct cluster *c, struct err *err)
{
    c->next = c->done = c->committed = 0;
    c->bad_tile = -1;
    c->busy_ns = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        struct member *m = &c->member[i];
        const bool held = m->held && !m->hold;
        const bool reads_blob = m->made && m->call->op && !held && !(m->run && m->rows);

        m->bad = -1;
        if (m->commit || reads_blob || (m->made && !m->call->op && !held))
            m->hasher = hasher_new();
        if ((m->commit && m->call->op && !begin_blob(x, m, err)) ||
            (m->reduce && !begin_reduce(x, c, m, err))) {
            void_sweep(x, c);
            return err_in(err, "%s", member_label(x, c, i));
        }
    }
    return true;
}

/* Where to look: the line that asked for a node; without a recipe, the file that it is made of. */
static const char *place_of(const struct graph *graph, const struct node *node)
{
    if (node->line[0])
        return node->line;
    while (node->call.op && node->call.nin)
        node = graph_node(graph, node->in[0]);
    return node->call.op ? "" : graph_file(graph, node->file)->shown;
}

static void fail_member(struct exec *x, struct cluster *c, uint32_t i, struct err *err)
{
    struct member *m = &c->member[i];
    const struct node *node = graph_node(x->s->graph, (struct node_id){m->node});

    const char *place = place_of(x->s->graph, node);

    err_in(err, "%s", member_label(x, c, i));
    if (place[0])
        err_in(err, "%s", place);
    m->failed = true;
    of(x, m)->state = NODE_FAILED;
    pthread_mutex_lock(&x->lock);
    if (m->node < x->failed_node) {
        x->failed_node = m->node;
        x->failure = *err;
    }
    pthread_mutex_unlock(&x->lock);
}

/* A blob that is not what its name says is moved aside; its node is made again. */
static void lose_blob(struct exec *x, struct member *m)
{
    blob_close(m->reader);
    m->reader = NULL;
    blob_quarantine(x->s->store, of(x, m)->d);
    m->blob = false;
    of(x, m)->state = NODE_RUN;
}

/* A tile failed: whose fault is it? False: everybody's (the disk, the user). */
static bool settle_failure(struct exec *x, struct cluster *c, struct err *err)
{
    const uint32_t i = c->bad_member;

    *err = c->err;
    if (i == MEMBER_NONE || err->code == ERR_STOPPED || err->code == ERR_SPACE ||
        err->code == ERR_MEMORY)
        return i == MEMBER_NONE ? false : err_in(err, "%s", member_label(x, c, i));
    struct member *m = &c->member[i];

    if (m->call->op && m->reader && !(m->run && m->rows))
        lose_blob(x, m);
    else
        fail_member(x, c, i, err);
    return true;
}

/* Do the bytes that were read have the digests they should have? */
static bool check_reads(struct exec *x, struct cluster *c)
{
    bool ok = true;

    for (uint32_t i = 0; i < c->count; i++) {
        struct member *m = &c->member[i];
        const struct node *node = graph_node(x->s->graph, (struct node_id){m->node});
        struct err err;

        if (!m->hasher || !of(x, m)->d_known || m->commit ||
            digest_eq(hasher_digest(m->hasher), of(x, m)->d))
            continue;
        ok = false;
        if (m->call->op) {
            lose_blob(x, m);
            continue;
        }
        err_set(&err, ERR_CHANGED,
                "%s: the bytes of %s are not those that were hashed before; "
                "the source changed while it was used, build again",
                graph_file(x->s->graph, node->file)->shown, node->name);
        fail_member(x, c, i, &err);
    }
    return ok;
}

static void describe_inputs(const struct exec *x, const struct node *node, struct action_input *in,
                            struct digest *d, struct arena *arena)
{
    for (uint32_t k = 0; k < node->call.nin; k++) {
        const struct node *from = graph_node(x->s->graph, node->in[k]);
        const struct settled *n = &x->s->node[node->in[k].i];

        d[k] = n->d;
        in[k] = (struct action_input){n->q, n->d, ""};
        if (!from->call.op)
            in[k].label = arena_printf(arena, "%s: %s", graph_file(x->s->graph, from->file)->shown,
                                       from->name);
    }
}

/* TWIN: another node of the same key was recorded before. */
static bool record(struct exec *x, const struct cluster *c, struct member *m, bool *twin,
                   struct err *err)
{
    const struct node *node = graph_node(x->s->graph, (struct node_id){m->node});
    struct action_input in[OP_INPUTS_MAX];
    struct digest d[OP_INPUTS_MAX];
    struct arena *arena = arena_new();
    struct buf text = {0};

    settle_key(x->s, m->node);
    describe_inputs(x, node, in, d, arena);
    key_text(node, KEY_SHALLOW, d, &text);
    const struct action action = {.k = key_hash(node, KEY_SHALLOW, d),
                                  .q = of(x, m)->q,
                                  .d = of(x, m)->d,
                                  .size = bytes_of(m),
                                  .cpu_us = c->busy_ns / 1000,
                                  .build = x->options->build_id,
                                  .line = node->line,
                                  .text = (const char *)text.data,
                                  .text_size = (uint32_t)text.size,
                                  .ninput = node->call.nin,
                                  .input = in};

    FAULT("action_record");
    pthread_mutex_lock(&x->lock);
    *twin = store_by_k(x->s->store, action.k) != NULL;
    const bool ok = store_put_action(x->s->store, &action, err) || cache_failed(err);

    pthread_mutex_unlock(&x->lock);
    buf_finish(&text);
    arena_free(arena);
    return ok;
}

/* Member M's digest is known now: blob first, then the record that names it. */
static bool commit(struct exec *x, struct cluster *c, struct member *m, struct err *err)
{
    struct settled *n = of(x, m);
    const struct digest d = hasher_digest(m->hasher);
    const bool known = n->d_known;

    if (known && !digest_eq(n->d, d))
        return err_set(err, ERR_VERIFY,
                       "computed again, it gave other bytes than recorded; this "
                       "is a defect of vbuild or of the machine's memory");
    n->d = d;
    n->d_known = true;
    if (!m->call->op) {
        n->q = d;
        n->q_known = true;
        return true;
    }
    if (!known ||
        m->writer) /* else its bytes alone were made again, as bytes that are not kept are */
        n->state = NODE_RUN;
    if (m->writer) {
        struct blob_writer *w = m->writer;

        m->writer = NULL;
        FAULT("blob_commit");
        if (!blob_commit(w, d, x->options->durable, err))
            return cache_failed(err);
        m->blob = true;
    }
    bool twin = false;
    const bool ok = record(x, c, m, &twin, err);

    /* Of nodes with one key, made side by side, one counts as run: not a matter of timing. */
    if (twin && !known && !x->options->force)
        n->state = NODE_CUTOFF;
    return ok;
}

static bool combine(struct exec *x, struct cluster *c, uint32_t i)
{
    struct member *m = &c->member[i];
    const size_t words = m->counts_size / sizeof(uint64_t);
    struct err err;

    for (uint32_t w = 1; w < x->workers && words; w++)
        for (size_t k = 0; k < words; k++)
            m->counts[k] += m->counts[w * words + k];
    const enum op_more more = m->call->op->combine(m->call, m->pass, m->state, m->partial,
                                                   partials(c, m), m->counts, &err);

    m->pass++;
    m->reduced = more == OP_DONE;
    if (more == OP_AGAIN && m->pass >= m->call->op->passes_max)
        err_set(&err, ERR_LIMIT, "%s did not end after %u passes", m->call->op->name, m->pass);
    else if (more != OP_FAILED)
        return true;
    fail_member(x, c, i, &err);
    return false;
}

static void warn_bad(const struct exec *x, const struct member *m)
{
    const struct node *node = graph_node(x->s->graph, (struct node_id){m->node});
    const int64_t cols = tensor_cols(&m->call->out);

    msg_warn("%s: %s holds values that are not %s (the first at row %" PRId64 ", column %" PRId64
             ")",
             graph_file(x->s->graph, node->file)->shown, node->name,
             m->call->out.dtype == DTYPE_bool ? "0 or 1" : "finite", m->bad / cols, m->bad % cols);
}

static bool finish_extents(struct exec *x, struct member *m, struct err *err)
{
    const struct settled *n = of(x, m);

    m->emitted = true;
    for (uint32_t u = n->use_at; u < n->use_at + n->uses; u++)
        if (outputs_wants(x->outputs, x->s->use[u]) && !outputs_done(x->outputs, x->s->use[u], err))
            return false;
    return true;
}

static bool settle_member(struct exec *x, struct cluster *c, uint32_t i, struct err *err)
{
    struct member *m = &c->member[i];

    if (m->bad >= 0)
        warn_bad(x, m);
    if (m->commit && !commit(x, c, m, err))
        return err_in(err, "%s", member_label(x, c, i));
    if (m->reduce)
        combine(x, c, i); /* a failure is the member's own */
    m->hold = false;      /* what was kept is complete */
    return !m->emit || finish_extents(x, m, err);
}

bool sweep_end(struct exec *x, struct cluster *c, struct err *err)
{
    bool ok = true;

    if (c->bad_tile >= 0) {
        void_sweep(x, c);
        return settle_failure(x, c, err);
    }
    if (!check_reads(x, c)) {
        void_sweep(x, c);
        return true;
    }
    for (uint32_t i = 0; ok && i < c->count; i++)
        ok = settle_member(x, c, i, err);
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->member[i].reduced || c->member[i].failed)
            c->member[i].reduce = false;
        drop(&c->member[i]);
    }
    return ok;
}
