/* settle.h - what is known of each node before and while a build runs
 *
 * The part that build_run and build_plan share: which nodes the artifacts need, their deep
 * keys, what the store knows, which artifacts are already as they should be. Private to graph. */
#ifndef GRAPH_SETTLE_H
#define GRAPH_SETTLE_H

#include "graph/build.h"

/* One use of a node: an extent of an artifact. */
struct use {
    uint32_t artifact, file, extent;
};

struct settled {
    struct digest q, d; /* deep key (of a source: its digest) and content */
    bool q_known, d_known;
    bool needed;     /* by an extent, or by a node that is needed */
    uint8_t state;   /* enum node_state */
    uint32_t use_at; /* its uses are use[use_at .. use_at + uses) */
    uint32_t uses;
};

struct settling {
    struct graph *graph;
    struct store *store;
    const struct build_options *options;
    const struct artifact *artifact;
    uint32_t nartifact;
    struct settled *node;
    uint32_t nnode;
    struct use *use;
    const char **path;                     /* of each artifact: out_dir/name */
    const struct artifact_record **record; /* what the store knows of it, or NULL */
    bool *fresh;                           /* it is there and as it should be */
    enum source_trust *trust;              /* one a graph file */
    struct arena *arena;
};

/* Everything that can be known without reading a tensor: source digests that the log vouches
 * for, deep keys, results by deep key. */
struct settling *settling_new(struct graph *graph, const struct artifact *artifact, uint32_t n,
                              struct store *store, const struct build_options *options);
void settling_free(struct settling *s);

/* Again, after digests of sources became known: deep keys, and look-ups of what artifacts use. */
void settling_look(struct settling *s);
/* The deep key of node I, once its inputs have theirs. */
bool settle_key(struct settling *s, uint32_t i);
/* Deep key of node I if its inputs' are known; then a look-up. True when settled. */
bool settle_deep(struct settling *s, uint32_t i);
/* The same by shallow key, once the inputs' digests are known. */
bool settle_shallow(struct settling *s, uint32_t i, struct err *err);

/* The digest of an artifact (ruling 35); all its nodes' digests are known. */
struct digest artifact_digest(const struct settling *s, uint32_t a);
bool artifact_known(const struct settling *s, uint32_t a); /* are they? */
/* Decide s->fresh: known, and the files of the record are there, unchanged since. When the
 * machine was booted since, their bytes are hashed once more (ruling 42), if VERIFY. */
void settling_fresh(struct settling *s, bool verify);
/* s->fresh of artifact A as its files stand now: what was written since this boot is believed by
 * its stamps, nothing else is. */
void settling_keep(struct settling *s, uint32_t a);
/* Are the bytes that a node makes kept as a blob? What is dear is, and small tensors cost nothing
 * to keep. Any other tensor lies in its artifact; without that it is made again, which for simple
 * types, most merges and casts costs little more than reading their inputs. */
bool keeps_blob(const struct op_call *call);
/* Does an earlier build of an artifact that uses node I know this tensor? (ruling 19) */
bool settled_before(const struct settling *s, uint32_t i);

/* The entry of that tensor in an earlier build's record (NULL is fine), or NULL. */
const struct artifact_entry *record_entry(const struct artifact_record *record, const char *name);
/* How an extent lies in its file, as a number for the record. */
uint64_t extent_form(const struct extent *x);
/* Is that file of the record where it was, with the stamp it had? */
bool file_stands(const struct settling *s, uint32_t a, uint32_t file, struct arena *arena);

/* False, after a failure of the store: a cache that cannot be read or written is exit 4, whatever
 * the system said of it (ruling 37). No room stays no room. */
bool cache_failed(struct err *err);

/* Count states into the report; every needed node has one of the settled states. */
void settling_count(const struct settling *s, struct build_report *report);

#endif
