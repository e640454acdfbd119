#include "graph/artifact.h"

#include "base/file.h"

#include <string.h>

struct artifact_size artifact_size(const struct graph *graph, const struct artifact *artifact)
{
    struct artifact_size size = {0};
    double elements = 0, block_elements = 0, block_bits = 0;

    for (uint32_t f = 0; f < artifact->nfile; f++) {
        const struct out_file *file = &artifact->file[f];

        size.file_bytes += file->size;
        size.tensors += file->nextent;
        for (uint32_t i = 0; i < file->nextent; i++) {
            const struct tensor *t = graph_tensor(graph, file->extent[i].node);
            const double n = (double)tensor_elements(t);
            const double bits = 8.0 * (double)file->extent[i].size;

            size.tensor_bytes += file->extent[i].size;
            elements += n;
            if (dtype_is_block(t->dtype)) {
                block_elements += n;
                block_bits += bits;
            }
        }
    }
    if (elements > 0)
        size.bpw = 8.0 * (double)size.tensor_bytes / elements;
    if (block_elements > 0)
        size.bpw_quantized = block_bits / block_elements;
    return size;
}

const char *artifact_file(struct arena *arena, const char *artifact, const char *path)
{
    if (!path[0])
        return artifact;
    if (strncmp(path, "../", 3) != 0)
        return path_join(arena, artifact, path);
    return path_join(arena, path_dir(arena, artifact), path + 3);
}

bool artifact_is_set(const struct artifact *artifact)
{
    return !artifact->folder && artifact->nfile > 1;
}
