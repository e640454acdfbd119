/* node.h - the graph: source tensors and computed tensors, each of them once
 *
 * A node is a source tensor (bytes in somebody's file) or one use of an op. Equal nodes are one
 * node (interned). Nodes are made while the recipe runs, inputs before users, so ids are a
 * topological order. Nothing is read or computed here. */
#ifndef GRAPH_NODE_H
#define GRAPH_NODE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "kernel/rowmap.h"
#include "op/op.h"

struct node_id {
    uint32_t i;
};

struct graph_file {     /* a file that holds source tensors */
    const char *path;   /* as opened */
    const char *shown;  /* as the recipe wrote it, for messages */
    struct stamp stamp; /* when its header was read */
    uint32_t ntensor;   /* source nodes in it */
};

struct node {
    struct op_call call; /* call.op NULL: a source; call.out is the tensor in either case */
    const struct node_id *in;
    const char *line; /* "recipe.lua:12" of the word that made it first; "" if none */
    /* of a source */
    uint32_t file;    /* graph_file */
    uint64_t offset;  /* of its bytes */
    const char *name; /* in its file */
};

struct graph;

struct graph *graph_new(void);
void graph_free(struct graph *graph);           /* NULL is fine */
struct arena *graph_arena(struct graph *graph); /* lives as long as the graph */

uint32_t graph_nodes(const struct graph *graph);
const struct node *graph_node(const struct graph *graph, struct node_id id);
const struct tensor *graph_tensor(const struct graph *graph, struct node_id id);
uint32_t graph_files(const struct graph *graph);
const struct graph_file *graph_file(const struct graph *graph, uint32_t i);

/* A file, once per path; ERR_IO if it cannot be stamped. */
bool graph_add_file(struct graph *graph, const char *path, const char *shown, uint32_t *file,
                    struct err *err) MUST_USE;
/* A tensor of it, once per (file, offset, type, shape). */
struct node_id graph_add_source(struct graph *graph, uint32_t file, const char *name,
                                const struct tensor *t, uint64_t offset);
/* One use of OP: checks counts and parameters' ranges, infers, interns. ARG is copied, with
 * its lists and words, but not the vector of a PARAM_F32S (op.h). An op that says so by giving
 * call.out equal to its only input and no change (cast to the own dtype, scale 1) is not made: the
 * input comes back (ruling 15). */
bool graph_add_op(struct graph *graph, const struct op *op, const struct node_id *in, uint32_t nin,
                  const union op_arg *arg, const char *line, struct node_id *out,
                  struct err *err) MUST_USE;

#endif
