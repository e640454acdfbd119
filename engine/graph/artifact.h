/* artifact.h - what a build writes: files made of a header and tensors at planned offsets
 *
 * Everything but the tensors' bytes is known while planning: headers, sizes, offsets. The
 * graph knows no file format: a file is HEAD at offset 0, extents, and zeros elsewhere.
 *
 * An artifact is one file, a folder of files, or a set: files beside each other, of which the
 * first has the artifact's name (split GGUF). Files of a set get their names from the last to
 * the first, so that whoever finds the first finds them all. */
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
    const char *path; /* "NAME": in the folder; "": the artifact itself; "../NAME": beside it */
    const void *head;
    size_t head_size;
    uint64_t size;         /* of the whole file */
    struct extent *extent; /* by offset; head and extents do not overlap */
    uint32_t nextent;
};

struct artifact {
    const char *variant; /* its key in the recipe's table */
    const char *name;    /* under outputs/, of the file, the folder, the first file of a set */
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

/* Where a file with that path lies (out_file's path, also as a record keeps it), the artifact being
 * at ARTIFACT. Lives in the arena, or is ARTIFACT. */
const char *artifact_file(struct arena *arena, const char *artifact, const char *path);
bool artifact_is_set(const struct artifact *artifact);

#endif
