#include "graph/build.h"

#include "base/msg.h"
#include "graph/exec.h"
#include "graph/explain.h"

#include <string.h>

enum {
    ROUNDS_MAX = 4,             /* a damaged blob costs one more */
    WORKER_BYTES_MAX = 4 << 20, /* larger tiles leave the second-level cache */
};

struct build {
    struct settling *s;
    struct exec x;
    const struct build_events *events;
    struct build_report *report;
    struct build_progress progress;
};

/* Open the files whose tensors may be read; they must be the ones whose headers were read. */
static bool open_sources(struct build *b, struct err *err)
{
    const struct settling *s = b->s;

    for (uint32_t i = 0; i < s->nnode; i++) {
        const struct node *node = graph_node(s->graph, (struct node_id){i});
        const struct graph_file *file = node->call.op ? NULL : graph_file(s->graph, node->file);
        struct stamp now;

        if (!file || !s->node[i].needed || b->x.fd[node->file] >= 0)
            continue;
        if (!file_open(file->path, &b->x.fd[node->file], err) ||
            !file_stamp_fd(b->x.fd[node->file], file->shown, &now, err))
            return false;
        if (!stamp_eq(now, file->stamp))
            return err_set(err, ERR_CHANGED,
                           "%s: the source changed since its header was read; build again",
                           file->shown);
    }
    return true;
}

static void count_work(struct build *b)
{
    b->progress = (struct build_progress){0};
    for (uint32_t i = 0; i < b->s->nnode; i++)
        b->progress.total += b->s->node[i].needed && b->s->node[i].uses;
    for (uint32_t a = 0; a < b->s->nartifact; a++)
        if ((b->report->artifact[a].stale = !b->s->fresh[a]))
            b->progress.bytes_all += artifact_size(b->s->graph, &b->s->artifact[a]).tensor_bytes;
}

static void report_fresh(const struct build *b)
{
    for (uint32_t a = 0; a < b->s->nartifact; a++) {
        if (!b->s->fresh[a])
            continue;
        b->report->artifact[a].digest = b->s->record[a]->digest;
        if (b->events && b->events->artifact)
            b->events->artifact(b->events->self, &b->s->artifact[a], b->s->path[a], false);
    }
}

/* Clusters until no artifact waits for bytes that turned out to be missing. */
static bool run_rounds(struct build *b, struct err *err)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        struct arena *arena = arena_new();
        uint32_t n;
        struct cluster *list = clusters_form(&b->x, arena, &n);
        bool ok = exec_run(&b->x, list, n, b->events, &b->progress, err), again = false;

        for (uint32_t i = 0; i < n; i++)
            again |= list[i].retry;
        arena_free(arena);
        const bool failed = b->x.failed_node != UINT32_MAX && !b->x.options->keep_going;

        if (!ok || !again || failed)
            return ok;
    }
    return err_set(err, ERR_CACHE,
                   "%s: blobs keep disappearing while they are used; check the disk",
                   store_dir(b->s->store));
}

/* Files that moved since they were hashed: hash them before deciding that anything must run. */
static bool hash_stale(struct build *b, struct err *err)
{
    struct arena *arena = arena_new();
    uint32_t n;
    struct cluster *list = clusters_of_stale(&b->x, arena, &n);
    bool ok = !n || exec_run(&b->x, list, n, NULL, &b->progress, err);

    if (ok && b->x.failed_node != UINT32_MAX) {
        *err = b->x.failure;
        ok = false;
    }
    arena_free(arena);
    settling_look(b->s);
    return ok;
}

static bool any_stale_artifact(const struct settling *s)
{
    for (uint32_t a = 0; a < s->nartifact; a++)
        if (!s->fresh[a])
            return true;
    return false;
}

static bool run(struct build *b, struct err *err)
{
    struct settling *s = b->s;

    settling_fresh(s, true);
    if (!any_stale_artifact(s)) {
        report_fresh(b);
        return true;
    }
    if (!open_sources(b, err) || !hash_stale(b, err))
        return false;
    settling_fresh(s, true);
    report_fresh(b);
    if (!any_stale_artifact(s))
        return true;
    count_work(b);
    if (!outputs_open(&b->x.outputs, s, b->events, b->report, err))
        return false;
    if (!run_rounds(b, err) || !outputs_settle(b->x.outputs, err))
        return false;
    for (uint32_t a = 0; a < s->nartifact && b->x.failed_node == UINT32_MAX; a++)
        if (!s->fresh[a] && !outputs_finished(b->x.outputs, a))
            return err_set(err, ERR_VERIFY,
                           "%s: not all of it could be built; this is a defect "
                           "of vbuild",
                           s->path[a]);
    return true;
}

static void setup(struct build *b)
{
    const struct build_options *o = b->s->options;
    const uint32_t nfile = graph_files(b->s->graph);
    const uint64_t share = o->mem_bytes / 4 / o->jobs;

    b->x = (struct exec){.s = b->s, .options = o, .workers = o->jobs, .failed_node = UINT32_MAX};
    b->x.blind = o->force || store_empty(b->s->store);
    b->x.worker_bytes = share < WORKER_BYTES_MAX ? share : WORKER_BYTES_MAX;
    b->x.pool = pool_new(o->mem_bytes - b->x.worker_bytes * o->jobs);
    b->x.fd = arena_array(b->s->arena, nfile, sizeof(*b->x.fd));
    for (uint32_t f = 0; f < nfile; f++)
        b->x.fd[f] = -1;
    pthread_mutex_init(&b->x.lock, NULL);
    b->x.sources = sources_new(b->s, b->s->arena);
}

static void fill_report(struct graph *graph, const struct settling *s, struct build_report *report)
{
    *report = (struct build_report){0};
    report->artifact = arena_array(graph_arena(graph), s->nartifact, sizeof(*report->artifact));
    for (uint32_t a = 0; a < s->nartifact; a++)
        report->artifact[a].path = arena_strdup(graph_arena(graph), s->path[a]);
}

/* Against the records of the last build, which this one has replaced in the log only. */
static void explain_all(struct settling *s, struct build_report *report)
{
    struct arena *arena = graph_arena(s->graph);

    for (uint32_t a = 0; a < s->nartifact; a++) {
        const struct artifact *art = &s->artifact[a];
        struct build_artifact *out = &report->artifact[a];

        if (!out->stale)
            continue;
        out->reason =
            arena_array(arena, artifact_size(s->graph, art).tensors, sizeof(*out->reason));
        for (uint32_t f = 0; f < art->nfile; f++)
            for (uint32_t e = 0; e < art->file[f].nextent; e++)
                out->reason[out->nreason++] = explain_extent(s, a, &art->file[f].extent[e], arena);
    }
}

bool build_run(struct graph *graph, const struct artifact *artifact, uint32_t n,
               struct store *store, const struct build_options *options,
               const struct build_events *events, struct build_report *report, struct err *err)
{
    struct build b = {
        .s = settling_new(graph, artifact, n, store, options), .events = events, .report = report};
    struct err late;

    fill_report(graph, b.s, report);
    setup(&b);
    bool ok = run(&b, err);

    report->written_bytes = b.x.written_bytes + (b.x.outputs ? outputs_bytes(b.x.outputs) : 0);
    outputs_close(b.x.outputs, !ok && err->code == ERR_STOPPED);
    if (!sources_finish(b.x.sources, &late) && ok) {
        *err = late;
        ok = false;
    }
    if (b.x.failed_node != UINT32_MAX) {
        report->failure = b.x.failure;
        if (ok) /* what ended the build as a whole is told before */
            *err = b.x.failure;
        ok = false;
    }
    report->read_bytes = b.x.read_bytes;
    for (uint32_t a = 0; a < n; a++)
        report->artifact[a].failed |= !ok && !b.s->fresh[a] && !report->artifact[a].written;
    settling_count(b.s, report);
    explain_all(b.s, report);
    for (uint32_t f = 0; f < graph_files(graph); f++)
        file_close(b.x.fd[f]);
    pthread_mutex_destroy(&b.x.lock);
    pool_free(b.x.pool);
    settling_free(b.s);
    return ok;
}

/* ---- plan -------------------------------------------------------------------------------- */

/* Does node I wait for a source that was never hashed, so that nobody can say what it gives? */
static bool depends_on_unknown(const struct settling *s, const struct node *node)
{
    for (uint32_t k = 0; k < node->call.nin; k++)
        if (!s->node[node->in[k].i].q_known)
            return true;
    return false;
}

static bool used_by_stale(const struct settling *s, uint32_t i)
{
    for (uint32_t u = s->node[i].use_at; u < s->node[i].use_at + s->node[i].uses; u++)
        if (!s->fresh[s->use[u].artifact])
            return true;
    return false;
}

/* From users to inputs, as the build would settle them. */
static void predict(struct settling *s)
{
    bool *runs = arena_array(s->arena, s->nnode, sizeof(*runs)); /* a user of it would run */
    const bool empty = store_empty(s->store);                    /* then nothing can be a hit */

    for (uint32_t i = s->nnode; i-- > 0;) {
        const struct node *node = graph_node(s->graph, (struct node_id){i});
        struct settled *n = &s->node[i];
        const bool stale = used_by_stale(s, i);

        if (!node->call.op || (!stale && !runs[i]))
            continue;
        settle_deep(s, i);
        const bool blob = n->d_known && blob_have(s->store, n->d, tensor_bytes(&node->call.out));

        if (n->d_known && (blob || !n->uses || !keeps_blob(&node->call)))
            n->state = NODE_HIT;
        else
            n->state =
                !n->d_known && !empty && depends_on_unknown(s, node) ? NODE_UNKNOWN : NODE_RUN;
        for (uint32_t k = 0; n->state != NODE_HIT && k < node->call.nin; k++)
            runs[node->in[k].i] = true;
    }
}

bool build_plan(struct graph *graph, const struct artifact *artifact, uint32_t n,
                struct store *store, const struct build_options *options,
                struct build_report *report, struct err *err)
{
    struct settling *s = settling_new(graph, artifact, n, store, options);

    (void)err;
    fill_report(graph, s, report);
    settling_fresh(s, false);
    predict(s);
    for (uint32_t a = 0; a < n; a++) {
        report->artifact[a].written = !s->fresh[a];
        report->artifact[a].stale = !s->fresh[a];
        if (artifact_known(s, a))
            report->artifact[a].digest = artifact_digest(s, a);
    }
    settling_count(s, report);
    explain_all(s, report);
    settling_free(s);
    return true;
}
