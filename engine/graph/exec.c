/* The only parallel regions. Of a build: W workers pull tiles from the clusters that are open,
 * oldest first, and open the next cluster when none has a tile to give. What must be in order
 * inside a sweep (hashes, blobs, files) is done in its turn by whoever is there; results never
 * depend on who did what. */
#include "graph/exec.h"

#include <omp.h>

enum { PROGRESS_NS = 100 * 1000 * 1000 };

struct queue {
    struct exec *x;
    struct cluster *cluster;
    uint32_t count, next; /* clusters; the next to be opened */
    uint32_t *open;       /* indexes, oldest first */
    uint32_t nopen, open_max;
    pthread_mutex_t lock;
    pthread_cond_t turn;
    bool broken; /* err is for the whole build: hand out nothing more */
    struct err err;
    const struct build_events *events;
    struct build_progress *progress;
    int64_t shown_ns;
};

static void report(struct queue *q, bool always)
{
    const int64_t now = clock_ns();

    if (!q->events || !q->events->progress || (!always && now - q->shown_ns < PROGRESS_NS))
        return;
    q->shown_ns = now;
    q->progress->bytes = q->x->outputs ? outputs_bytes(q->x->outputs) : q->x->read_bytes;
    q->events->progress(q->events->self, q->progress);
}

static void break_off(struct queue *q, const struct err *err)
{
    if (!q->broken)
        q->err = *err;
    q->broken = true;
    pthread_cond_broadcast(&q->turn);
}

/* After the first failed node no new cluster is opened, unless told to keep going. */
static bool may_open(const struct queue *q)
{
    const bool failed = q->x->failed_node != UINT32_MAX && !q->x->options->keep_going;

    return !q->broken && !failed && q->next < q->count && q->nopen < q->open_max;
}

static void close_cluster(struct queue *q, struct cluster *c)
{
    uint32_t at = 0;

    while (&q->cluster[q->open[at]] != c)
        at++;
    for (; at + 1 < q->nopen; at++)
        q->open[at] = q->open[at + 1];
    q->nopen--;
    for (uint32_t i = 0; i < c->count; i++) {
        sources_note(q->x->sources, c->member[i].node);
        q->progress->done += q->x->s->node[c->member[i].node].state != NODE_IDLE;
    }
}

/* Between sweeps: one worker has the cluster for itself. Called with the lock, which is given
 * up while the store and the artifacts are written. */
static void turn_sweep(struct queue *q, struct cluster *c, bool first)
{
    enum cluster_next next = CLUSTER_BROKEN;
    struct err err = {0};

    c->ending = true;
    pthread_mutex_unlock(&q->lock);
    bool ok = first || sweep_end(q->x, c, &err);

    if (ok) {
        err.code = ERR_NONE; /* a member's own failure is no longer of interest here */
        next = cluster_choose(q->x, c, &err);
        ok = next != CLUSTER_BROKEN && (next == CLUSTER_DONE || sweep_begin(q->x, c, &err));
    }
    if (!ok || next == CLUSTER_DONE)
        cluster_finish(q->x, c);
    pthread_mutex_lock(&q->lock);
    c->ending = false;
    if (!ok || next == CLUSTER_DONE)
        close_cluster(q, c);
    ok = ok && sources_flush(q->x->sources, false, &err);
    if (!ok)
        break_off(q, &err);
    pthread_cond_broadcast(&q->turn);
}

static void note_failure(struct cluster *c, const struct tile *t, const struct err *err)
{
    if (c->bad_tile >= 0 && c->bad_tile < t->index)
        return; /* the first in order is the one that counts, on every machine */
    c->bad_tile = t->index;
    c->bad_member = t->member;
    c->err = *err;
}

/* A tile of C that is made and may be done with: the next in order, or after a failure any. */
static struct tile *take_made(struct cluster *c)
{
    for (struct tile **at = &c->made; *at; at = &(*at)->next) {
        struct tile *t = *at;

        if (c->bad_tile >= 0 || t->index == c->committed) {
            *at = t->next;
            return t;
        }
    }
    return NULL;
}

static void finish_tile(struct queue *q, struct cluster *c, struct tile *t)
{
    t->busy = false;
    c->done++;
    pthread_cond_broadcast(&q->turn);
}

/* Commit what is made and has its turn, whoever made it; whoever is at it goes on for all. True if
 * a tile was finished, the last with the lock held since. Called with the lock. */
static bool commit_made(struct queue *q, struct cluster *c)
{
    bool finished = false;

    while (!c->committing) {
        struct tile *t = take_made(c);
        struct err err = {0};

        if (!t)
            break;
        if (c->bad_tile < 0) {
            c->committing = true;
            pthread_mutex_unlock(&q->lock);
            const bool ok = tile_commit(q->x, c, t, &err);

            pthread_mutex_lock(&q->lock);
            c->committing = false;
            if (!ok)
                note_failure(c, t, &err);
            c->committed++;
        }
        finish_tile(q, c, t);
        finished = true;
    }
    return finished;
}

/* Run tile INDEX of C, and commit what can be. Called with the lock. */
static void do_tile(struct queue *q, struct cluster *c, struct tile *t, int64_t index)
{
    struct err err = {0};

    t->busy = true;
    pthread_mutex_unlock(&q->lock);
    const int64_t begun = clock_ns();
    const bool ok = tile_run(q->x, c, t, index, &err);
    const int64_t spent = clock_ns() - begun;

    pthread_mutex_lock(&q->lock);
    c->busy_ns += (uint64_t)spent;
    if (ok) {
        t->next = c->made;
        c->made = t;
    } else {
        note_failure(c, t, &err);
        finish_tile(q, c, t);
    }
    const bool finished = commit_made(q, c) || !ok;

    report(q, false);
    if (finished && c->done == c->next && (c->next == c->ntile || c->bad_tile >= 0 || q->broken)) {
        if (q->broken && c->bad_tile < 0 && c->next < c->ntile) {
            c->bad_tile = c->next; /* broken off: the sweep gave nothing */
            c->bad_member = MEMBER_NONE;
            c->err = q->err;
        }
        turn_sweep(q, c, false);
    }
}

static struct cluster *with_tile(struct queue *q)
{
    for (uint32_t i = 0; i < q->nopen; i++) {
        struct cluster *c = &q->cluster[q->open[i]];

        if (!c->ending && c->bad_tile < 0 && c->next < c->ntile)
            return c;
    }
    return NULL;
}

/* Sweeps that were begun but have no tile in flight, when the build breaks off. */
static void abandon(struct queue *q)
{
    for (uint32_t i = 0; i < q->nopen;) {
        struct cluster *c = &q->cluster[q->open[i]];

        if (c->ending || c->done != c->next) {
            i++;
            continue;
        }
        c->bad_tile = c->next;
        c->bad_member = MEMBER_NONE;
        c->err = q->err;
        turn_sweep(q, c, false);
        i = 0;
    }
}

/* One of a worker's that is free, the largest; NULL: none, or one more of the size of those that
 * are busy would take more than a worker may. The first one is always to be had. */
static struct tile *free_tile(const struct queue *q, struct tile *tile)
{
    struct tile *found = NULL;
    uint64_t all = 0, largest = 0;

    for (int i = 0; i < WORKER_TILES; i++) {
        all += tile[i].size;
        if (tile[i].busy)
            largest = tile[i].size > largest ? tile[i].size : largest;
        else if (!found || tile[i].size > found->size)
            found = &tile[i];
    }
    if (!found || largest == 0)
        return found;
    const uint64_t more = largest > found->size ? largest - found->size : 0;

    return all + more <= q->x->worker_bytes ? found : NULL;
}

static void work(struct queue *q, struct tile *own)
{
    pthread_mutex_lock(&q->lock);
    for (;;) {
        if (*q->x->options->stop && !q->broken) {
            struct err err;

            err_set(&err, ERR_STOPPED, "interrupted; finished work is kept");
            break_off(q, &err);
        }
        if (q->broken)
            abandon(q);
        struct tile *t = free_tile(q, own);
        struct cluster *c = q->broken || !t ? NULL : with_tile(q);

        if (c) {
            do_tile(q, c, t, c->next++);
        } else if (may_open(q)) {
            c = &q->cluster[q->next];
            q->open[q->nopen++] = q->next++;
            turn_sweep(q, c, true);
        } else if (!q->nopen) {
            break;
        } else {
            pthread_cond_wait(&q->turn, &q->lock);
        }
    }
    pthread_cond_broadcast(&q->turn);
    pthread_mutex_unlock(&q->lock);
}

bool exec_run(struct exec *x, struct cluster *cluster, uint32_t count,
              const struct build_events *events, struct build_progress *progress, struct err *err)
{
    struct queue q = {.x = x,
                      .cluster = cluster,
                      .count = count,
                      .open_max = x->workers + 1,
                      .events = events,
                      .progress = progress};

    q.open = mem_grow(NULL, q.open_max * sizeof(*q.open));
    pthread_mutex_init(&q.lock, NULL);
    pthread_cond_init(&q.turn, NULL);
#pragma omp parallel num_threads((int)x->workers)
    {
        const uint32_t worker = (uint32_t)omp_get_thread_num();
        struct tile tile[WORKER_TILES] = {0};

        for (int i = 0; i < WORKER_TILES; i++)
            tile[i].worker = worker;

        work(&q, tile);
        for (int i = 0; i < WORKER_TILES; i++) {
            bulk_free(tile[i].data, tile[i].size);
            mem_free(tile[i].slot);
        }
    }
    report(&q, true);
    pthread_cond_destroy(&q.turn);
    pthread_mutex_destroy(&q.lock);
    mem_free(q.open);
    if (q.broken)
        *err = q.err;
    return !q.broken;
}

void exec_spread(uint32_t workers, void (*run)(void *self), void *self)
{
#pragma omp parallel num_threads((int)workers)
    run(self);
}
