/* build.h - bring artifacts up to date: look up, run what is stale, commit, assemble
 *
 * build_run settles every node the artifacts need, by deep key, then shallow key, then by
 * running it; writes results to the store and to the artifacts in the same pass; and renames
 * artifacts into place. build_plan says what build_run would do and writes nothing. */
#ifndef GRAPH_BUILD_H
#define GRAPH_BUILD_H

#include "graph/artifact.h"
#include "store/store.h"

enum node_state {
    NODE_IDLE,   /* nobody wants it */
    NODE_HIT,    /* settled by deep key or artifact record */
    NODE_CUTOFF, /* settled by shallow key after an input ran */
    NODE_RUN,    /* computed (in a plan: would be) */
    NODE_ALIAS,  /* a source tensor that an artifact takes unchanged */
    NODE_FAILED,
    NODE_UNKNOWN, /* plan only: depends on a source that was not hashed yet */
};

struct build_options {
    uint32_t jobs;            /* workers, at least 1 */
    uint64_t mem_bytes;       /* budget for tensor bytes */
    int64_t tile_elements;    /* 0: as the budget allows (tests vary it) */
    bool keep_going;          /* after a failed node, build what does not need it */
    bool force;               /* run nodes even when the store knows them */
    bool durable;             /* fsync blobs, log and artifacts */
    const char *out_dir;      /* "outputs" */
    bool no_manifest;         /* write none, but keep one up that is there */
    uint64_t build_id;        /* of this program (ruling 54) */
    const volatile int *stop; /* becomes non-zero when the user interrupts */
};

struct build_progress {
    uint32_t done, total;      /* nodes and aliases */
    uint64_t bytes, bytes_all; /* of tensor data that must move */
};

/* Called from one thread at a time, at most every 100 ms, and at the end of each artifact. */
struct build_events {
    void *self;
    void (*progress)(void *self, const struct build_progress *now);
    void (*artifact)(void *self, const struct artifact *a, const char *path, bool written);
};

/* Why a tensor of an artifact is not what the last build of it recorded. */
enum reason_kind {
    REASON_NONE,    /* it is */
    REASON_NEW,     /* this artifact never had this tensor */
    REASON_PARAM,   /* a parameter changed: what = its name, from, to */
    REASON_OP,      /* another op, or another version of it */
    REASON_SOURCE,  /* a source tensor's bytes changed: what = "FILE: TENSOR" */
    REASON_INPUT,   /* another input: from, to = names */
    REASON_EVICTED, /* known, but its bytes are no longer in the cache */
    REASON_FORCED,  /* --force */
};

struct reason {
    enum reason_kind kind;
    const char *what, *from, *to; /* "" where they do not fit */
    const char *line;             /* recipe line of the node where the cause lies, or "" */
};

struct build_artifact { /* of one artifact, in the order given */
    const char *path;
    struct reason *reason; /* of each extent, files in order; NULL: the artifact was fresh */
    uint32_t nreason;
    struct digest digest; /* ruling 35; zero when unknown (a plan, a failure) */
    bool stale;           /* it was not as it should be when the build began */
    bool written;         /* false: was already there, byte for byte */
    bool failed;
};

struct build_report {
    uint32_t nodes, run, hit, cutoff, alias, failed, unknown;
    uint64_t read_bytes, written_bytes; /* of sources; of artifacts and blobs */
    struct build_artifact *artifact;
    enum node_state *state; /* one a node */
    struct err failure;     /* of the first that failed, in node order */
};

/* True when every artifact is up to date. The report is filled in either case; its arrays live
 * in the graph's arena. */
bool build_run(struct graph *graph, const struct artifact *artifact, uint32_t n,
               struct store *store, const struct build_options *options,
               const struct build_events *events, struct build_report *report,
               struct err *err) MUST_USE;

/* The same decisions without reading a weight or writing a byte (ruling 36). */
bool build_plan(struct graph *graph, const struct artifact *artifact, uint32_t n,
                struct store *store, const struct build_options *options,
                struct build_report *report, struct err *err) MUST_USE;

#endif
