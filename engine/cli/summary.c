#include "cli/summary.h"

struct summary summary_of(const struct recipe *recipe, const struct build_report *report)
{
    struct summary s = {
        .nodes = report->nodes,
        .run = report->run,
        .hit = report->hit,
        .cutoff = report->cutoff,
        .alias = report->alias,
        .failed = report->failed,
        .unknown = report->unknown,
        .read_bytes = report->read_bytes,
        .written_bytes = report->written_bytes,
        .nartifact = report->artifact ? recipe->nartifact : 0,
    };

    s.artifact = arena_array(graph_arena(recipe->graph), s.nartifact, sizeof(*s.artifact));
    for (uint32_t i = 0; i < s.nartifact; i++) {
        const struct artifact *a = &recipe->artifact[i];
        const struct build_artifact *built = &report->artifact[i];

        s.artifact[i] = (struct summary_artifact){
            .name = a->name,
            .path = built->path ? built->path : "",
            .kind = a->kind,
            .variant = a->variant ? a->variant : "",
            .size = artifact_size(recipe->graph, a),
            .digest = built->digest,
            .shards = artifact_is_set(a) ? a->nfile : 1,
            .written = built->written,
            .failed = built->failed,
        };
    }
    return s;
}
