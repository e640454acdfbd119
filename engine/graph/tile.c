/* One tile of a sweep: which ranges of which members, making them, what is done with them. */
#include "base/fault.h"
#include "base/sum.h"
#include "graph/cluster.h"
#include "kernel/kernel.h"

#include <inttypes.h>
#include <string.h>

enum { STRIP = 16384 };

static void want(struct slot *slot, int64_t lo, int64_t hi)
{
    if (lo >= hi)
        return;
    if (slot->lo == slot->hi) {
        slot->lo = lo;
        slot->hi = hi;
    } else {
        slot->lo = min_i64(slot->lo, lo);
        slot->hi = max_i64(slot->hi, hi);
    }
}

/* The reduce tiles of M that begin in this tile: they may reach past its end. */
static void reduce_range(const struct cluster *c, const struct tile *t, const struct member *m,
                         int64_t *lo, int64_t *hi)
{
    const int64_t size = m->reduce_tile;

    *lo = (t->lo + size - 1) / size * size;
    *hi = t->hi == c->elements ? c->elements : (t->hi + size - 1) / size * size;
    *lo = min_i64(*lo, c->elements);
    *hi = min_i64(*hi, c->elements);
}

/* Must input K of M be decoded for it? */
static bool decodes(const struct cluster *c, const struct member *m, uint32_t k)
{
    const enum op_form form = op_form_of(m->call);
    const enum dtype dtype = c->member[m->in[k]].call->out.dtype;

    return (form == OP_F32 && dtype != DTYPE_f32) || (form == OP_F64 && dtype != DTYPE_f64);
}

static void want_inputs(const struct cluster *c, struct tile *t, const struct member *m, int64_t lo,
                        int64_t hi)
{
    const enum op_form form = op_form_of(m->call);

    for (uint32_t k = 0; k < m->call->nin; k++) {
        struct slot *slot = &t->slot[m->in[k]];

        want(slot, lo, hi);
        slot->f32_users += form == OP_F32 && decodes(c, m, k);
        slot->f64_users += form == OP_F64 && decodes(c, m, k);
    }
}

/* Computed in this sweep (and not merely read)? */
static bool computes(const struct member *m)
{
    return m->made && m->run && m->rows;
}

/* From users to inputs: the range of each member that this tile needs. */
static void choose_ranges(const struct cluster *c, struct tile *t)
{
    memset(t->slot, 0, c->count * sizeof(*t->slot));
    for (uint32_t i = c->count; i-- > 0;) {
        const struct member *m = &c->member[i];
        struct slot *slot = &t->slot[i];
        int64_t lo, hi;

        slot->bad = -1;
        if (m->hasher || m->emit || m->hold)
            want(slot, t->lo, t->hi);
        if (computes(m) && slot->lo < slot->hi) {
            slot->lo = slot->lo / m->granule * m->granule;
            slot->hi = min_i64((slot->hi + m->granule - 1) / m->granule * m->granule, c->elements);
            want_inputs(c, t, m, slot->lo, slot->hi);
        } else if (slot->lo < slot->hi) { /* whole blocks */
            slot->lo = slot->lo / m->granule * m->granule;
            slot->hi = min_i64((slot->hi + m->granule - 1) / m->granule * m->granule, c->elements);
        }
        if (m->reduce) {
            reduce_range(c, t, m, &lo, &hi);
            want_inputs(c, t, m, lo, hi);
        }
    }
}

static size_t padded(uint64_t bytes)
{
    return (size_t)(bytes + 63) & ~(size_t)63;
}

static void *take(struct tile *t, uint64_t bytes)
{
    void *p = t->data + t->used;

    t->used += padded(bytes);
    return p;
}

/* What the ops at work want for themselves. */
static size_t scratch_bytes(const struct cluster *c)
{
    size_t most = 0;

    for (uint32_t i = 0; i < c->count; i++) {
        const struct member *m = &c->member[i];

        if ((computes(m) || m->reduce) && m->call->op->scratch_bytes) {
            const size_t bytes = m->call->op->scratch_bytes(m->call);

            most = bytes > most ? bytes : most;
        }
    }
    return most;
}

/* How many elements op M is given at a time where it is the only one to want inputs decoded: these
 * then stay in the second-level cache from the decoder to the op. */
static int64_t strip_of(const struct member *m)
{
    return m->reduce ? m->reduce_tile : max_i64(STRIP / m->granule, 1) * m->granule;
}

/* Does M want input K decoded, and nobody else? */
static bool alone(const struct cluster *c, const struct tile *t, const struct member *m, uint32_t k)
{
    const struct slot *slot = &t->slot[m->in[k]];

    return decodes(c, m, k) && slot->f32_users + slot->f64_users == 1;
}

static size_t strip_bytes(const struct cluster *c, const struct tile *t)
{
    size_t most = 0;

    for (uint32_t i = 0; i < c->count; i++) {
        const struct member *m = &c->member[i];
        const uint64_t n = (uint64_t)min_i64(strip_of(m), c->elements);
        size_t bytes = 0;

        for (uint32_t k = 0; (computes(m) || m->reduce) && k < m->call->nin; k++)
            bytes += alone(c, t, m, k) ? padded(n * (op_form_of(m->call) == OP_F64 ? 8 : 4)) : 0;
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Do M's bytes lie where they are held, or are to be? A tile that makes rows of its neighbour, too,
 * holds a copy of its own alone. */
static bool in_place(const struct tile *t, const struct member *m, const struct slot *slot)
{
    return m->held && (!m->hold || (slot->lo == t->lo && slot->hi == t->hi));
}

static bool reserve(const struct cluster *c, struct tile *t, struct err *err)
{
    const size_t scratch = scratch_bytes(c), strip = strip_bytes(c, t);
    size_t size = 64 + padded(scratch) + padded(strip);

    for (uint32_t i = 0; i < c->count; i++) {
        const struct slot *slot = &t->slot[i];
        const uint64_t n = (uint64_t)(slot->hi - slot->lo);

        size += in_place(t, &c->member[i], slot)
                    ? 0
                    : padded(tensor_span(&c->member[i].call->out, (int64_t)n));
        if (slot->f32_users + slot->f64_users > 1)
            size += (slot->f32_users ? padded(4 * n) : 0) + (slot->f64_users ? padded(8 * n) : 0);
    }
    if (size > t->size) {
        bulk_free(t->data, t->size);
        t->data = bulk_alloc(size);
        t->size = t->data ? size : 0;
    }
    if (!t->data)
        return err_set(err, ERR_MEMORY, "%zu bytes for a tile of %" PRId64 " elements", size,
                       t->hi - t->lo);
    t->used = 0;
    t->scratch = take(t, scratch);
    t->strip = take(t, strip);
    return true;
}

/* Bytes of member M from element ELEMENT on, in the slot. */
static unsigned char *at(const struct member *m, const struct slot *slot, int64_t element)
{
    return slot->raw + tensor_span(&m->call->out, element - slot->lo);
}

static void decode(enum dtype dtype, enum op_form form, const void *from, void *to, int64_t n)
{
    if (form == OP_F32)
        kernel_of(dtype)->decode(from, to, n);
    else
        decode_f64(dtype, from, to, n);
}

/* The inputs of M for the N elements from FIRST on, as its op wants them. */
static void inputs(const struct cluster *c, const struct tile *t, const struct member *m,
                   int64_t first, int64_t n, const void **in)
{
    const enum op_form form = op_form_of(m->call);
    unsigned char *strip = t->strip;

    for (uint32_t k = 0; k < m->call->nin; k++) {
        const struct member *from = &c->member[m->in[k]];
        const struct slot *slot = &t->slot[m->in[k]];

        in[k] = at(from, slot, first);
        if (form == OP_F32 && slot->f32)
            in[k] = (const float *)slot->f32 + (first - slot->lo);
        else if (form == OP_F64 && slot->f64)
            in[k] = (const double *)slot->f64 + (first - slot->lo);
        else if (alone(c, t, m, k)) {
            decode(from->call->out.dtype, form, in[k], strip, n);
            in[k] = strip;
            strip += padded((uint64_t)n * (form == OP_F64 ? 8 : 4));
        }
    }
}

static bool compute(const struct cluster *c, const struct tile *t, const struct member *m,
                    const struct slot *slot, struct err *err)
{
    const int64_t strip = strip_of(m);
    const void *in[OP_INPUTS_MAX];

    for (int64_t first = slot->lo; first < slot->hi; first += strip) {
        const int64_t n = min_i64(strip, slot->hi - first);
        const struct op_range range = {first, n, in, at(m, slot, first), t->scratch, m->keep};

        inputs(c, t, m, first, n, in);
        if (!m->call->op->rows(m->call, m->state, &range, err))
            return false;
    }
    return true;
}

static bool read_source(struct exec *x, const struct member *m, const struct slot *slot,
                        struct err *err)
{
    const struct node *node = graph_node(x->s->graph, (struct node_id){m->node});
    const struct graph_file *file = graph_file(x->s->graph, node->file);
    const size_t n = (size_t)tensor_span(&m->call->out, slot->hi - slot->lo);

    __atomic_add_fetch(&x->read_bytes, n, __ATOMIC_RELAXED);
    return file_read_at(x->fd[node->file], file->shown, slot->raw, n,
                        node->offset + tensor_span(&m->call->out, slot->lo), err);
}

static bool fill(struct exec *x, const struct cluster *c, const struct tile *t, uint32_t i,
                 struct err *err)
{
    const struct member *m = &c->member[i];
    const struct slot *slot = &t->slot[i];

    if (!m->call->op)
        return read_source(x, m, slot, err);
    if (computes(m))
        return compute(c, t, m, slot, err);
    return blob_read(m->reader, slot->raw, tensor_span(&m->call->out, slot->lo),
                     (size_t)tensor_span(&m->call->out, slot->hi - slot->lo), err);
}

/* The first of N elements that is worth a warning (rulings 9, 39): a float that is not finite,
 * a bool that is neither 0 nor 1; or -1. */
static int64_t first_bad(enum dtype dtype, const unsigned char *bytes, int64_t n)
{
    if (dtype_is_float(dtype))
        return kernel_of(dtype)->invalid(bytes, n);
    for (int64_t i = 0; dtype == DTYPE_bool && i < n; i++)
        if (bytes[i] > 1)
            return i;
    return -1;
}

/* Make the rows of member I for this tile, decode them for those who want them so, and keep
 * them if they are to be held. */
static bool make(struct exec *x, const struct cluster *c, struct tile *t, uint32_t i,
                 struct err *err)
{
    const struct member *m = &c->member[i];
    struct slot *slot = &t->slot[i];
    const struct tensor *out = &m->call->out;
    const int64_t n = slot->hi - slot->lo;
    const bool placed = in_place(t, m, slot);

    slot->raw = placed ? (unsigned char *)m->held + tensor_span(out, slot->lo)
                       : take(t, tensor_span(out, n));
    if ((!m->held || m->hold) && !fill(x, c, t, i, err))
        return false;
    if (m->hold && !placed)
        memcpy((unsigned char *)m->held + tensor_span(out, t->lo), at(m, slot, t->lo),
               tensor_span(out, t->hi - t->lo));
    if (slot->f32_users && slot->f32_users + slot->f64_users > 1) {
        slot->f32 = take(t, 4 * (uint64_t)n);
        decode(out->dtype, OP_F32, slot->raw, slot->f32, n);
    }
    if (slot->f64_users && slot->f32_users + slot->f64_users > 1) {
        slot->f64 = take(t, 8 * (uint64_t)n);
        decode(out->dtype, OP_F64, slot->raw, slot->f64, n);
    }
    if (m->hasher && !m->call->op)
        slot->bad = first_bad(out->dtype, at(m, slot, t->lo), t->hi - t->lo);
    return true;
}

static void reduce(const struct cluster *c, const struct tile *t, const struct member *m)
{
    const void *in[OP_INPUTS_MAX];
    void *counts = m->counts ? (unsigned char *)m->counts + t->worker * m->counts_size : NULL;
    int64_t lo, hi;

    reduce_range(c, t, m, &lo, &hi);
    for (int64_t first = lo; first < hi; first += m->reduce_tile) {
        const int64_t n = min_i64(m->reduce_tile, c->elements - first);
        const struct op_range range = {first, n, in, NULL, t->scratch, m->keep};
        const int64_t index = m->in_order ? 0 : first / m->reduce_tile;

        inputs(c, t, m, first, n, in);
        m->call->op->reduce(m->call, m->pass, m->state, &range,
                            m->partial + (size_t)index * m->partial_size, counts);
    }
}

static bool emit(struct exec *x, const struct tile *t, const struct member *m,
                 const struct slot *slot, struct err *err)
{
    const struct settled *n = &x->s->node[m->node];

    for (uint32_t u = n->use_at; u < n->use_at + n->uses; u++)
        if (outputs_wants(x->outputs, x->s->use[u]) &&
            !outputs_write(x->outputs, x->s->use[u], t->lo, t->hi - t->lo, at(m, slot, t->lo), err))
            return false;
    return true;
}

/* A file lets one writer in at a time: where all goes to one, two workers would wait for each
 * other, so tiles are written in their turn. Several files are written by whoever made a tile. */
static bool emits_in_turn(const struct cluster *c)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < c->count; i++)
        n += c->member[i].emit;
    return n <= 1;
}

static bool emit_all(struct exec *x, const struct cluster *c, struct tile *t, struct err *err)
{
    t->member = MEMBER_NONE;
    for (uint32_t i = 0; i < c->count; i++)
        if (c->member[i].emit && t->lo < t->hi && !emit(x, t, &c->member[i], &t->slot[i], err))
            return false;
    return true;
}

bool tile_run(struct exec *x, struct cluster *c, struct tile *t, int64_t index, struct err *err)
{
    if (c->count > t->nslot) {
        t->slot = mem_grow(t->slot, c->count * sizeof(*t->slot));
        t->nslot = c->count;
    }
    t->index = index;
    t->lo = index * c->tile;
    t->hi = min_i64(t->lo + c->tile, c->elements);
    t->member = MEMBER_NONE;
    choose_ranges(c, t);
    if (!reserve(c, t, err))
        return false;
    for (uint32_t i = 0; i < c->count; i++) {
        t->member = i;
        if (t->slot[i].lo < t->slot[i].hi && !make(x, c, t, i, err))
            return false;
        if (c->member[i].reduce && !c->member[i].in_order)
            reduce(c, t, &c->member[i]);
    }
    return emits_in_turn(c) || emit_all(x, c, t, err);
}

bool tile_commit(struct exec *x, struct cluster *c, struct tile *t, struct err *err)
{
    t->member = MEMBER_NONE;
    for (uint32_t i = 0; i < c->count; i++)
        if (c->member[i].reduce && c->member[i].in_order)
            reduce(c, t, &c->member[i]);
    for (uint32_t i = 0; t->lo < t->hi && i < c->count; i++) {
        struct member *m = &c->member[i];
        const size_t n = (size_t)tensor_span(&m->call->out, t->hi - t->lo);

        if (!m->hasher)
            continue;
        hasher_put(m->hasher, at(m, &t->slot[i], t->lo), n);
        if (m->bad < 0 && t->slot[i].bad >= 0)
            m->bad = t->lo + t->slot[i].bad;
        if (m->writer) {
            __atomic_add_fetch(&x->written_bytes, n, __ATOMIC_RELAXED);
            if (!blob_put(m->writer, at(m, &t->slot[i], t->lo), n, err))
                return cache_failed(err);
        }
    }
    return !emits_in_turn(c) || emit_all(x, c, t, err);
}
