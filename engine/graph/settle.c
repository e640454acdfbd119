#include "graph/settle.h"

#include "graph/key.h"
#include "graph/verify.h"

#include <string.h>

enum { SMALL_BYTES = 64 << 10 };

/* Visit each extent of each artifact, in order. */
#define FOR_EXTENTS(s, a, f, e)                                                                    \
    for (uint32_t a = 0; a < (s)->nartifact; a++)                                                  \
        for (uint32_t f = 0; f < (s)->artifact[a].nfile; f++)                                      \
            for (uint32_t e = 0; e < (s)->artifact[a].file[f].nextent; e++)

static uint32_t extent_node(const struct settling *s, uint32_t a, uint32_t f, uint32_t e)
{
    return s->artifact[a].file[f].extent[e].node.i;
}

/* The uses of each node, packed: counted, then placed. */
static void index_uses(struct settling *s)
{
    uint32_t total = 0;

    FOR_EXTENTS(s, a, f, e)
    s->node[extent_node(s, a, f, e)].uses++;
    for (uint32_t i = 0; i < s->nnode; i++) {
        s->node[i].use_at = total;
        total += s->node[i].uses;
        s->node[i].uses = 0;
    }
    s->use = arena_array(s->arena, total, sizeof(*s->use));
    FOR_EXTENTS(s, a, f, e)
    {
        struct settled *n = &s->node[extent_node(s, a, f, e)];

        s->use[n->use_at + n->uses++] = (struct use){a, f, e};
    }
}

static void mark_needed(struct settling *s)
{
    for (uint32_t i = s->nnode; i-- > 0;) {
        const struct node *node = graph_node(s->graph, (struct node_id){i});

        s->node[i].needed |= s->node[i].uses > 0;
        if (s->node[i].uses && !node->call.op)
            s->node[i].state = NODE_ALIAS;
        for (uint32_t k = 0; s->node[i].needed && k < node->call.nin; k++)
            s->node[node->in[k].i].needed = true;
    }
}

static int by_offset(const struct source_digest *list, size_t n, uint64_t offset, uint64_t size)
{
    size_t low = 0, high = n;

    while (low < high) {
        const size_t mid = (low + high) / 2;

        if (list[mid].offset < offset)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < n && list[low].offset == offset; low++)
        if (list[low].size == size)
            return (int)low;
    return -1;
}

/* Digests of source tensors in files whose stamp the log vouches for. */
static void look_up_sources(struct settling *s)
{
    const uint32_t nfile = graph_files(s->graph);
    const struct source_digest **list = arena_array(s->arena, nfile, sizeof(*list));
    size_t *count = arena_array(s->arena, nfile, sizeof(*count));

    for (uint32_t f = 0; f < nfile; f++) {
        const struct graph_file *file = graph_file(s->graph, f);

        s->trust[f] = store_source(s->store, file->path, file->stamp, &list[f], &count[f]);
    }
    for (uint32_t i = 0; i < s->nnode; i++) {
        const struct node *node = graph_node(s->graph, (struct node_id){i});
        struct settled *n = &s->node[i];

        if (node->call.op || !n->needed || s->trust[node->file] != SOURCE_KNOWN)
            continue;
        const int at = by_offset(list[node->file], count[node->file], node->offset,
                                 tensor_bytes(&node->call.out));

        if (at >= 0) {
            n->d = n->q = list[node->file][at].d;
            n->d_known = n->q_known = true;
        }
    }
}

struct settling *settling_new(struct graph *graph, const struct artifact *artifact, uint32_t n,
                              struct store *store, const struct build_options *options)
{
    struct arena *arena = arena_new();
    struct settling *s = arena_alloc(arena, sizeof(*s));

    *s = (struct settling){.graph = graph,
                           .store = store,
                           .options = options,
                           .artifact = artifact,
                           .nartifact = n,
                           .nnode = graph_nodes(graph),
                           .arena = arena};
    s->node = arena_array(arena, s->nnode, sizeof(*s->node));
    s->path = arena_array(arena, n, sizeof(*s->path));
    s->record = arena_array(arena, n, sizeof(*s->record));
    s->fresh = arena_array(arena, n, sizeof(*s->fresh));
    s->trust = arena_array(arena, graph_files(graph), sizeof(*s->trust));
    for (uint32_t a = 0; a < n; a++) {
        s->path[a] = path_join(arena, options->out_dir, artifact[a].name);
        s->record[a] = store_artifact(store, s->path[a]);
    }
    index_uses(s);
    mark_needed(s);
    look_up_sources(s);
    settling_look(s);
    return s;
}

void settling_free(struct settling *s)
{
    if (s)
        arena_free(s->arena);
}

static void contents(const struct settling *s, const struct node *node, enum key_kind kind,
                     struct digest *out)
{
    for (uint32_t k = 0; k < node->call.nin; k++)
        out[k] = kind == KEY_DEEP ? s->node[node->in[k].i].q : s->node[node->in[k].i].d;
}

bool settle_key(struct settling *s, uint32_t i)
{
    const struct node *node = graph_node(s->graph, (struct node_id){i});
    struct settled *n = &s->node[i];
    struct digest q[OP_INPUTS_MAX];

    if (n->q_known || !node->call.op)
        return n->q_known;
    for (uint32_t k = 0; k < node->call.nin; k++)
        if (!s->node[node->in[k].i].q_known)
            return false;
    contents(s, node, KEY_DEEP, q);
    n->q = key_hash(node, KEY_DEEP, q);
    n->q_known = true;
    return true;
}

bool settle_deep(struct settling *s, uint32_t i)
{
    struct settled *n = &s->node[i];

    if (n->d_known)
        return true;
    if (!settle_key(s, i) || !graph_node(s->graph, (struct node_id){i})->call.op)
        return false;
    const struct action *old = s->options->force ? NULL : store_by_q(s->store, n->q);

    if (old) {
        n->d = old->d;
        n->d_known = true;
        n->state = NODE_HIT;
    }
    return n->d_known;
}

bool cache_failed(struct err *err)
{
    if (err->code == ERR_IO)
        err->code = ERR_CACHE;
    return false;
}

bool settle_shallow(struct settling *s, uint32_t i, struct err *err)
{
    const struct node *node = graph_node(s->graph, (struct node_id){i});
    struct settled *n = &s->node[i];
    struct digest d[OP_INPUTS_MAX];

    if (!node->call.op || s->options->force || !n->q_known)
        return false;
    for (uint32_t k = 0; k < node->call.nin; k++)
        if (!s->node[node->in[k].i].d_known)
            return false;
    contents(s, node, KEY_SHALLOW, d);
    const struct action *old = store_by_k(s->store, key_hash(node, KEY_SHALLOW, d));

    if (!old)
        return false;
    struct action link = *old;

    link.q = n->q; /* the next build finds it by deep key */
    if (!store_put_action(s->store, &link, err))
        return cache_failed(err);
    n->d = old->d;
    n->d_known = true;
    n->state = NODE_CUTOFF;
    return true;
}

void settling_look(struct settling *s)
{
    for (uint32_t i = 0; i < s->nnode; i++) {
        if (!s->node[i].needed)
            continue;
        settle_key(s, i);
        if (s->node[i].uses) /* what nobody may come to want is not looked up */
            settle_deep(s, i);
    }
}

bool artifact_known(const struct settling *s, uint32_t a)
{
    for (uint32_t f = 0; f < s->artifact[a].nfile; f++)
        for (uint32_t e = 0; e < s->artifact[a].file[f].nextent; e++)
            if (!s->node[extent_node(s, a, f, e)].d_known)
                return false;
    return true;
}

struct digest artifact_digest(const struct settling *s, uint32_t a)
{
    const struct artifact *art = &s->artifact[a];
    struct hasher *h = hasher_new();

    for (uint32_t f = 0; f < art->nfile; f++) {
        const struct out_file *file = &art->file[f];
        struct buf row = {0};

        buf_text(&row, art->folder ? file->path : ""); /* names of shards hold the artifact's */
        buf_u8(&row, 0);
        buf_u64(&row, file->head_size);
        hasher_put(h, row.data, row.size);
        hasher_put(h, file->head, file->head_size);
        for (uint32_t e = 0; e < file->nextent; e++) {
            const struct extent *x = &file->extent[e];

            row.size = 0;
            buf_put(&row, x->name, strlen(x->name) + 1);
            buf_text(&row, dtype_name(graph_tensor(s->graph, x->node)->dtype));
            buf_u8(&row, 0);
            buf_u8(&row, (uint8_t)x->map.kind);
            buf_u64(&row, (uint64_t)x->map.head);
            buf_put(&row, s->node[x->node.i].d.b, sizeof(struct digest));
            hasher_put(h, row.data, row.size);
        }
        buf_finish(&row);
    }
    const struct digest d = hasher_digest(h);

    hasher_free(h);
    return d;
}

bool file_stands(const struct settling *s, uint32_t a, uint32_t f, struct arena *arena)
{
    const struct artifact_file *file = &s->record[a]->file[f];
    const char *path = artifact_file(arena, s->path[a], file->path);
    struct stamp now;
    struct err err;

    return file_stamp(path, &now, &err) && stamp_eq(now, file->stamp);
}

/* Are the files of the record there with their stamps, and are they the artifact's files? */
static bool files_stand(const struct settling *s, uint32_t a, struct arena *arena)
{
    const struct artifact_record *record = s->record[a];
    const struct artifact *art = &s->artifact[a];

    if (record->nfile != art->nfile)
        return false;
    for (uint32_t f = 0; f < art->nfile; f++)
        if (strcmp(record->file[f].path, art->file[f].path) != 0 || !file_stands(s, a, f, arena))
            return false;
    return true;
}

/* Known, recorded with this digest, and its files have the stamps of the record. */
static bool looks_fresh(const struct settling *s, uint32_t a)
{
    const struct artifact_record *record = s->record[a];
    struct arena *arena = arena_new();
    const bool fresh = record && artifact_known(s, a) &&
                       digest_eq(record->digest, artifact_digest(s, a)) && files_stand(s, a, arena);

    arena_free(arena);
    return fresh;
}

static bool of_this_boot(const struct artifact_record *record)
{
    unsigned char boot[16];

    boot_id(boot);
    return memcmp(boot, record->boot, sizeof(boot)) == 0;
}

void settling_keep(struct settling *s, uint32_t a)
{
    s->fresh[a] = looks_fresh(s, a) && of_this_boot(s->record[a]);
}

void settling_fresh(struct settling *s, bool verify)
{
    unsigned char boot[16];

    boot_id(boot);
    for (uint32_t a = 0; a < s->nartifact; a++)
        s->fresh[a] = looks_fresh(s, a) &&
                      (!verify || of_this_boot(s->record[a]) || verify_artifact(s, a, boot));
}

const struct artifact_entry *record_entry(const struct artifact_record *record, const char *name)
{
    for (uint32_t low = 0, high = record ? record->nentry : 0; low < high;) {
        const uint32_t mid = (low + high) / 2;
        const int order = strcmp(record->entry[mid].name, name);

        if (order == 0)
            return &record->entry[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

uint64_t extent_form(const struct extent *x)
{
    return (uint64_t)x->map.head << 2 | (uint64_t)x->map.kind;
}

bool keeps_blob(const struct op_call *call)
{
    return tensor_bytes(&call->out) <= SMALL_BYTES ||
           (call->op && call->op->dear && call->op->dear(call));
}

bool settled_before(const struct settling *s, uint32_t i)
{
    const struct settled *n = &s->node[i];

    for (uint32_t u = n->use_at; u < n->use_at + n->uses; u++) {
        const struct use *use = &s->use[u];
        const struct extent *x = &s->artifact[use->artifact].file[use->file].extent[use->extent];

        if (record_entry(s->record[use->artifact], x->name))
            return true;
    }
    return false;
}

void settling_count(const struct settling *s, struct build_report *report)
{
    for (uint32_t i = 0; i < s->nnode; i++) {
        switch ((enum node_state)s->node[i].state) {
        case NODE_IDLE:
            continue;
        case NODE_HIT:
            report->hit++;
            break;
        case NODE_CUTOFF:
            report->cutoff++;
            break;
        case NODE_RUN:
            report->run++;
            break;
        case NODE_ALIAS:
            report->alias++;
            break;
        case NODE_FAILED:
            report->failed++;
            break;
        case NODE_UNKNOWN:
            report->unknown++;
            break;
        }
        report->nodes++;
    }
    report->state = arena_array(graph_arena(s->graph), s->nnode, sizeof(*report->state));
    for (uint32_t i = 0; i < s->nnode; i++)
        report->state[i] = (enum node_state)s->node[i].state;
}
