/* cluster.h - nodes that are settled together, sweep by sweep. Private to graph.
 *
 * A cluster is a set of nodes tied by their inputs: a source tensor, the merges that read it,
 * the quantizers that read those. All have the same number of elements, so one sweep over a
 * range of tiles feeds them all: each source tile is read and decoded once. After a sweep,
 * digests are known, more nodes are looked up, and what is still wanted decides the next one:
 *
 *   choose  what is wanted, what can give rows, what may be used before its digest is known
 *   sweep   tiles, in any worker: read, decode, reduce or compute; in order: hash, write
 *   end     compare digests, record results, hand finished extents to their artifacts
 */
#ifndef GRAPH_CLUSTER_H
#define GRAPH_CLUSTER_H

#include "graph/outputs.h"
#include "graph/pool.h"
#include "graph/sources.h"

#include <pthread.h>

#define MEMBER_NONE UINT32_MAX /* no member */

struct member {
    uint32_t node;              /* its id */
    const struct op_call *call; /* of the node; call->op NULL: a source */
    uint32_t *in;               /* members, call->nin of them; NULL: its inputs are not here */
    int64_t granule;            /* its rows come in ranges of this many elements */
    bool failed;
    bool emitted; /* its extents are written */
    bool blob;    /* the store holds its bytes */

    /* a multi-pass op */
    uint32_t pass;
    bool reduced; /* or it need not be */
    void *state;
    void *keep;         /* what its op keeps over passes, or NULL */
    uint64_t keep_file; /* its bytes where it lies in a file; 0: in the pool */

    void *held; /* its bytes, kept over sweeps, or NULL */
    struct blob_reader *reader;

    /* chosen for the next sweep */
    bool need;         /* somebody wants its bytes or digest */
    bool run;          /* it must be computed for that */
    bool feeds;        /* a member that must be computed has it as input */
    bool feeds_passes; /* and that one reduces first */
    bool rows;         /* this sweep can give its rows */
    bool usable;       /* and ops may use them */
    bool commit;       /* its digest is made, its result recorded */
    bool emit;         /* its extents are written */
    bool reduce;       /* it makes a reduce pass */
    bool made;         /* its rows are made in this sweep, for itself or for others */
    bool hold;         /* and kept */

    /* while a sweep runs */
    struct hasher *hasher;
    struct blob_writer *writer;
    int64_t reduce_tile;    /* elements */
    bool in_order;          /* its tiles are reduced one after another, into one partial */
    unsigned char *partial; /* else one a reduce tile */
    size_t partial_size;
    uint64_t *counts; /* one array per worker */
    size_t counts_size;
    int64_t bad; /* first element of a source that is worth a warning, or -1 */
};

struct cluster {
    struct member *member; /* inputs before users */
    uint32_t count;
    int64_t elements; /* of every member */
    uint32_t file;    /* where it begins to read: the order of clusters on disk */
    uint64_t offset;
    bool before;  /* an earlier build knows one of its extents (ruling 19) */
    bool digests; /* only the digests of its members are wanted, no extent */
    bool retry;   /* bytes are missing that other nodes must make again */
    struct arena *arena;

    /* the sweep */
    int64_t tile; /* elements */
    int64_t ntile, next, done, committed;
    struct tile *made;   /* tiles whose turn to be committed has not come, in any order */
    bool committing;     /* a worker commits one */
    bool ending;         /* a worker is between sweeps */
    int64_t bad_tile;    /* the first tile that failed, or -1 */
    uint32_t bad_member; /* and in which member; MEMBER_NONE: in writing */
    struct err err;
    uint64_t busy_ns; /* spent in its tiles */
};

struct exec {
    struct settling *s;
    struct outputs *outputs;
    struct sources *sources;
    const struct build_options *options;
    struct pool *pool;     /* of what is held, within the budget */
    bool blind;            /* no node can be a hit: the store is empty, or not asked */
    uint64_t worker_bytes; /* what one worker's tiles may take */
    uint32_t workers;
    int *fd; /* of each graph file, or -1 */
    uint64_t read_bytes, written_bytes;
    pthread_mutex_t lock; /* of the two below */
    uint32_t failed_node; /* the lowest that failed, and its error */
    struct err failure;
};

/* One cluster for each needed source tensor without a digest, in files that moved since they
 * were hashed: whether anything must run is decided after it. */
struct cluster *clusters_of_stale(struct exec *x, struct arena *arena, uint32_t *count);
/* The clusters that the wanted extents need, in the order in which they are best read. */
struct cluster *clusters_form(struct exec *x, struct arena *arena, uint32_t *count);

enum cluster_next { CLUSTER_SWEEP, CLUSTER_DONE, CLUSTER_BROKEN };
/* Look up what can be looked up and choose the next sweep. BROKEN: err is for the whole build. */
enum cluster_next cluster_choose(struct exec *x, struct cluster *c, struct err *err);

/* Memory for what the op of M, which reduces in the sweep to come, keeps over its passes: held
 * until its rows are made. */
bool keep_begin(struct exec *x, const struct cluster *c, struct member *m,
                struct err *err) MUST_USE;
/* Of an op that keeps something: let go of it, and of all passes. If it is still wanted it begins
 * again at pass 0. Nothing otherwise. */
void keep_restart(struct exec *x, struct member *m);

/* Open what the chosen sweep needs. */
bool sweep_begin(struct exec *x, struct cluster *c, struct err *err) MUST_USE;
/* What one worker needs for a tile; it keeps the memory from tile to tile. */
struct slot {
    int64_t lo, hi;     /* elements made, or none when lo == hi */
    unsigned char *raw; /* in the member's dtype, from lo */
    void *f32, *f64;    /* decoded from lo, where several users want it */
    uint32_t f32_users, f64_users;
    int64_t bad; /* of a source: the first element worth a warning, or -1 */
};
/* A worker has several: while one waits for its turn, which any worker may then give it, it makes
 * the next. */
enum { WORKER_TILES = 3 };
struct tile {
    uint32_t worker;
    bool busy;             /* being made, or waiting for its turn */
    struct tile *next;     /* of those that wait */
    int64_t index, lo, hi; /* elements of the tile */
    struct slot *slot;     /* one a member */
    uint32_t nslot;
    unsigned char *data;
    size_t size, used;
    void *scratch;   /* as large as any member's op wants it */
    void *strip;     /* inputs that one user wants decoded, a strip at a time */
    uint32_t member; /* in work: the one that failed, when it does; MEMBER_NONE: writing */
};
/* Tile INDEX, in any worker: everything but what must be in order. */
bool tile_run(struct exec *x, struct cluster *c, struct tile *tile, int64_t index,
              struct err *err) MUST_USE;
/* The part in order: hashes, blobs, and what goes to one file alone. */
bool tile_commit(struct exec *x, struct cluster *c, struct tile *tile, struct err *err) MUST_USE;
/* All tiles are committed, or one failed: results, or none. */
bool sweep_end(struct exec *x, struct cluster *c, struct err *err) MUST_USE;
/* Say which artifacts failed with its members, and free it. */
void cluster_finish(struct exec *x, struct cluster *c);

/* "blk.3.ffn_down.weight": the extent that wants member M, for messages. */
const char *member_label(const struct exec *x, const struct cluster *c, uint32_t m);

#endif
