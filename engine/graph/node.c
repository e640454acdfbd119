#include "graph/node.h"

#include "base/buf.h"
#include "base/map.h"
#include "graph/key.h"

#include <stdio.h>
#include <string.h>

struct graph {
    struct arena *arena;
    struct node *node;
    uint32_t count, room;
    struct graph_file *file;
    uint32_t nfile, file_room;
    struct map by_identity; /* interning: what decides a node, as bytes, to its id */
    struct map by_path;
    struct buf scratch;
};

struct graph *graph_new(void)
{
    struct arena *arena = arena_new();
    struct graph *graph = arena_alloc(arena, sizeof(*graph));

    graph->arena = arena;
    return graph;
}

void graph_free(struct graph *graph)
{
    if (!graph)
        return;
    mem_free(graph->node);
    mem_free(graph->file);
    map_finish(&graph->by_identity);
    map_finish(&graph->by_path);
    buf_finish(&graph->scratch);
    arena_free(graph->arena);
}

struct arena *graph_arena(struct graph *graph)
{
    return graph->arena;
}

uint32_t graph_nodes(const struct graph *graph)
{
    return graph->count;
}

const struct node *graph_node(const struct graph *graph, struct node_id id)
{
    return &graph->node[id.i];
}

const struct tensor *graph_tensor(const struct graph *graph, struct node_id id)
{
    return &graph->node[id.i].call.out;
}

uint32_t graph_files(const struct graph *graph)
{
    return graph->nfile;
}

const struct graph_file *graph_file(const struct graph *graph, uint32_t i)
{
    return &graph->file[i];
}

bool graph_add_file(struct graph *graph, const char *path, const char *shown, uint32_t *file,
                    struct err *err)
{
    struct stamp stamp;
    uint64_t old;

    if (map_get(&graph->by_path, path, strlen(path), &old)) {
        *file = (uint32_t)old;
        return true;
    }
    if (!file_stamp(path, &stamp, err))
        return false;
    if (graph->nfile == graph->file_room) {
        graph->file_room = graph->file_room ? 2 * graph->file_room : 16;
        graph->file = mem_grow(graph->file, graph->file_room * sizeof(*graph->file));
    }
    const char *kept = arena_strdup(graph->arena, path);

    map_add(&graph->by_path, kept, strlen(kept), graph->nfile, NULL);
    graph->file[graph->nfile] =
        (struct graph_file){kept, arena_strdup(graph->arena, shown), stamp, 0};
    *file = graph->nfile++;
    return true;
}

/* The node whose identity is in scratch, or a new slot for it (*made). */
static struct node_id intern(struct graph *graph, bool *made)
{
    const struct buf *s = &graph->scratch;
    uint64_t old;

    *made = !map_get(&graph->by_identity, s->data, s->size, &old);
    if (!*made)
        return (struct node_id){(uint32_t)old};
    if (graph->count == graph->room) {
        graph->room = graph->room ? 2 * graph->room : 1024;
        graph->node = mem_grow(graph->node, graph->room * sizeof(*graph->node));
    }
    void *key = arena_alloc(graph->arena, s->size);

    memcpy(key, s->data, s->size);
    map_add(&graph->by_identity, key, s->size, graph->count, NULL);
    memset(&graph->node[graph->count], 0, sizeof(*graph->node));
    return (struct node_id){graph->count++};
}

struct node_id graph_add_source(struct graph *graph, uint32_t file, const char *name,
                                const struct tensor *t, uint64_t offset)
{
    struct buf *s = &graph->scratch;
    bool made;

    s->size = 0;
    buf_u8(s, 'S');
    buf_u32(s, file);
    buf_u64(s, offset);
    buf_u32(s, (uint32_t)t->dtype);
    for (uint32_t i = 0; i < t->rank; i++)
        buf_u64(s, (uint64_t)t->dim[i]);
    const struct node_id id = intern(graph, &made);

    if (made) {
        struct node *node = &graph->node[id.i];

        node->call.out = *t;
        node->line = "";
        node->file = file;
        node->offset = offset;
        node->name = arena_strdup(graph->arena, name);
        graph->file[file].ntensor++;
    }
    return id;
}

static bool in_range(const struct param *p, double v)
{
    return v >= p->min && v <= p->max; /* false for NaN */
}

static bool check_arg(const struct param *p, const union op_arg *a, struct err *err)
{
    bool ok = true;
    double bad = 0;

    switch (p->type) {
    case PARAM_F64:
        ok = in_range(p, bad = a->f64);
        break;
    case PARAM_I64:
        ok = in_range(p, bad = (double)a->i64);
        break;
    case PARAM_F64S:
        for (uint32_t i = 0; ok && i < a->f64s.n; i++)
            ok = in_range(p, bad = a->f64s.v[i]);
        break;
    case PARAM_I64S:
        for (uint32_t i = 0; ok && i < a->i64s.n; i++)
            ok = in_range(p, bad = (double)a->i64s.v[i]);
        break;
    case PARAM_F32S:
        ok = !a->f32s || a->f32s->n == 0 ||
             (in_range(p, bad = (double)a->f32s->min) && in_range(p, bad = (double)a->f32s->max));
        break;
    case PARAM_WORD:
        for (const char *const *w = p->words; w && *w; w++)
            if (strcmp(*w, a->word) == 0)
                return true;
        return err_set(err, ERR_RECIPE, "%s: unknown word '%s'", p->name, a->word);
    case PARAM_BOOL:
    case PARAM_DTYPE:
    case PARAM_TEXT:
        break;
    }
    return ok || err_set(err, ERR_RECIPE, "%s: %g is not between %g and %g", p->name, bad, p->min,
                         p->max);
}

/* The argument with its words and lists in the graph's arena. */
static union op_arg keep_arg(struct arena *arena, enum param_type type, union op_arg a)
{
    if (type == PARAM_WORD || type == PARAM_TEXT) {
        a.word = arena_strdup(arena, a.word);
    } else if (type == PARAM_F64S) {
        double *v = arena_array(arena, a.f64s.n, sizeof(*v));

        for (uint32_t i = 0; i < a.f64s.n; i++)
            v[i] = a.f64s.v[i];
        a.f64s.v = v;
    } else if (type == PARAM_I64S) {
        int64_t *v = arena_array(arena, a.i64s.n, sizeof(*v));

        for (uint32_t i = 0; i < a.i64s.n; i++)
            v[i] = a.i64s.v[i];
        a.i64s.v = v;
    }
    return a;
}

static bool infer(const struct graph *graph, const struct op *op, const struct node_id *in,
                  uint32_t nin, struct op_call *call, struct tensor *types, struct err *err)
{
    for (uint32_t i = 0; i < nin; i++)
        types[i] = graph->node[in[i].i].call.out;
    call->in = types;
    if (nin < op->in_min || nin > op->in_max || nin > OP_INPUTS_MAX)
        return err_set(err, ERR_RECIPE, "%s takes %u to %u inputs, not %u", op->name, op->in_min,
                       op->in_max, nin);
    for (uint32_t i = 0; i < op->nparam; i++)
        if (!check_arg(&op->param[i], &call->arg[i], err))
            return err_in(err, "%s", op->name);
    if (!op->infer(call, err) || !tensor_check(&call->out, err))
        return false;
    /* Ranges of an output are the same ranges of its inputs (op.h). */
    for (uint32_t i = 0; i < nin; i++)
        if (tensor_elements(&types[i]) != tensor_elements(&call->out))
            return err_set(err, ERR_SHAPE, "%s: inputs differ in their number of elements",
                           op->name);
    if (op_granule(call) <= 0)
        return err_set(err, ERR_LIMIT, "%s: the tensor's rows are too long", op->name);
    return true;
}

/* The arguments that decide something, in USED, which the call then has. */
static const union op_arg *drop_ignored(struct op_call *call, union op_arg *used)
{
    for (uint32_t i = 0; i < call->op->nparam; i++)
        used[i] = call->arg[i];
    for (uint32_t i = 0; call->op->ignores && i < call->op->nparam; i++)
        if (call->op->ignores(call, i))
            used[i].f32s = NULL;
    call->arg = used;
    return used;
}

bool graph_add_op(struct graph *graph, const struct op *op, const struct node_id *in, uint32_t nin,
                  const union op_arg *arg, const char *line, struct node_id *out, struct err *err)
{
    struct tensor types[OP_INPUTS_MAX];
    union op_arg used[OP_PARAMS_MAX];
    struct op_call call = {.op = op, .nin = nin, .arg = arg};
    struct buf *s = &graph->scratch;
    bool made;

    if (nin > OP_INPUTS_MAX)
        return err_set(err, ERR_LIMIT, "%s takes at most %d inputs", op->name, OP_INPUTS_MAX);
    if (!infer(graph, op, in, nin, &call, types, err))
        return false;
    if (op->identity && op->identity(&call)) {
        *out = in[0];
        return true;
    }
    arg = drop_ignored(&call, used);
    s->size = 0;
    buf_u8(s, 'O');
    for (uint32_t i = 0; i < nin; i++)
        buf_u32(s, in[i].i);
    key_params(op, arg, s);
    const struct node_id id = intern(graph, &made);

    if (!made) {
        *out = id;
        return true;
    }
    struct node *node = &graph->node[id.i];
    union op_arg *kept = arena_array(graph->arena, op->nparam, sizeof(*kept));
    struct tensor *kept_types = arena_array(graph->arena, nin, sizeof(*kept_types));
    struct node_id *kept_in = arena_array(graph->arena, nin, sizeof(*kept_in));

    for (uint32_t i = 0; i < op->nparam; i++)
        kept[i] = keep_arg(graph->arena, op->param[i].type, arg[i]);
    for (uint32_t i = 0; i < nin; i++) {
        kept_types[i] = types[i];
        kept_in[i] = in[i];
    }
    call.arg = kept;
    call.in = kept_types;
    node->call = call;
    node->in = kept_in;
    node->line = arena_strdup(graph->arena, line);
    *out = id;
    return true;
}
