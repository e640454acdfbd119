/* summary.h - what a build, a plan or a snapshot of a build comes to: counts and artifacts */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include "graph/build.h"
#include "lua/recipe.h"

struct summary_artifact {
    const char *name, *path, *kind, *variant;
    struct artifact_size size;
    struct digest digest; /* zero when unknown */
    uint32_t shards;      /* files beside each other, PATH the first of them; else 1 */
    bool written, failed;
};

struct summary {
    uint32_t nodes, run, hit, cutoff, alias, failed, unknown;
    uint64_t read_bytes, written_bytes;
    struct summary_artifact *artifact;
    uint32_t nartifact;
    bool snapshot; /* no recipe ran: everything stands as the last build left it */
};

/* Of a report; the artifacts in the graph's arena. */
struct summary summary_of(const struct recipe *recipe, const struct build_report *report);

#endif
