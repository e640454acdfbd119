/* artifact.h - what a build writes: files made of a header and tensors at planned offsets
 *
 * Everything but the tensors' bytes is known while planning: headers, sizes, offsets. The
 * graph knows no file format: a file is HEAD at offset 0, extents, and zeros elsewhere. */
#ifndef GRAPH_ARTIFACT_H
#define GRAPH_ARTIFACT_H

#include "graph/node.h"

struct extent {
    const char *name; /* of the tensor, in the file */
    struct node_id node;
    struct rowmap map; /* applied to the node's rows as they are written */
    uint64_t offset, size;
};

struct out_file {
    const char *path; /* inside the artifact; "" when the artifact is one file */
    const void *head;
    size_t head_size;
    uint64_t size;         /* of the whole file */
    struct extent *extent; /* by offset; head and extents do not overlap */
    uint32_t nextent;
};

struct artifact {
    const char *variant; /* its key in the recipe's table */
    const char *name;    /* file or folder name under outputs/ */
    const char *kind;    /* "gguf", "safetensors": for messages and JSON */
    const char *line;    /* of the recipe */
    bool folder;
    struct out_file *file;
    uint32_t nfile;
};

/* Sums over all extents. */
struct artifact_size {
    uint64_t file_bytes;   /* the files, headers and padding included */
    uint64_t tensor_bytes; /* the tensors alone */
    uint32_t tensors;
    double bpw;           /* bits per weight over all tensors */
    double bpw_quantized; /* over tensors in block types; 0 if there are none */
};
struct artifact_size artifact_size(const struct graph *graph, const struct artifact *artifact);

#endif
