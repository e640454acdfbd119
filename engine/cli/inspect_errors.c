#include "base/msg.h"
#include "cli/dropin.h"
#include "cli/inspect_types.h"
#include "cli/machine.h"
#include "graph/digests.h"

#include <string.h>

static struct measure_side side_of(const struct graph *graph, struct node_id id, struct rowmap map,
                                   struct digest d)
{
    const struct node *node = graph_node(graph, id);

    return (struct measure_side){.path = graph_file(graph, node->file)->path,
                                 .offset = node->offset,
                                 .t = &node->call.out,
                                 .map = map,
                                 .d = d};
}

static struct measure_side made_side(const struct allocation *a, uint32_t i, struct digest d)
{
    const struct survey_tensor *t = &a->survey.tensor[i];

    return side_of(a->survey.graph, t->node, t->map, d);
}

static struct measure_side source_side(const struct allocation *a, uint32_t i, struct digest d)
{
    const struct survey_tensor *t = &a->survey.tensor[i];

    return side_of(a->survey.graph, t->ref, t->ref_map, d);
}

/* Every pair fits, or nothing is measured: the source is another model. */
static bool check_shapes(const struct allocation *a, struct err *err)
{
    const struct digest none = {{0}};

    for (uint32_t i = 0; i < a->survey.ntensor; i++) {
        const struct survey_tensor *t = &a->survey.tensor[i];

        if (!t->paired)
            continue;
        const struct measure_side made = made_side(a, i, none), source = source_side(a, i, none);

        if (!measure_fits(&made, &source, err))
            return err_in(err, "%s: %s is not what it was made of: %s", a->path,
                          a->options->against, t->name);
    }
    return true;
}

static bool can_measure(const struct allocation *a, uint32_t i)
{
    const struct digest none = {{0}};

    if (!a->survey.tensor[i].paired)
        return false;
    const struct measure_side made = made_side(a, i, none), source = source_side(a, i, none);

    return measure_can(&made, &source);
}

/* The error of one tensor, from the store or measured and put there. */
static bool measure_one(struct allocation *a, struct store *store, uint32_t workers, uint32_t i,
                        const struct digest_of d[2], struct err *err)
{
    const struct survey_tensor *t = &a->survey.tensor[i];
    const struct measure_side made = made_side(a, i, d[0].d), source = source_side(a, i, d[1].d);
    const struct digest key = measure_key(&made, &source, t->weights);
    struct measured *is = &a->error[i].is;

    *is = (struct measured){.against = a->options->against,
                            .weights = t->weights ? a->options->imatrix : ""};
    if (!measure_known(store, key, &is->sums)) {
        if (!measure_error(&made, &source, t->weights, workers, &is->sums, err))
            return err_in(err, "%s", t->name);
        if (!digests_stand(a->survey.graph, err) || !measure_keep(store, key, &is->sums, err))
            return false;
        a->measured++;
        a->read_bytes += tensor_bytes(made.t) + tensor_bytes(source.t);
    }
    a->error[i].known = true;
    a->known++;
    return measure_keep_last(store, &made, is, err);
}

static bool measure_all(struct allocation *a, struct store *store, struct err *err)
{
    const uint32_t workers = a->options->jobs ? (uint32_t)a->options->jobs : machine_jobs();
    struct digest_of *list = arena_array(a->arena, 2 * (size_t)a->survey.ntensor, sizeof(*list));
    uint32_t n = 0;

    for (uint32_t i = 0; i < a->survey.ntensor; i++) {
        if (!can_measure(a, i))
            continue;
        list[n++].node = a->survey.tensor[i].node;
        list[n++].node = a->survey.tensor[i].ref;
    }
    digests_look(a->survey.graph, store, list, n);
    if (!digests_make(a->survey.graph, store, list, n, workers, &a->read_bytes, err))
        return false;
    n = 0;
    for (uint32_t i = 0; i < a->survey.ntensor; i++) {
        if (!can_measure(a, i))
            continue;
        if (!measure_one(a, store, workers, i, &list[n], err))
            return false;
        n += 2;
    }
    return true;
}

/* What was measured before of the same tensors, whatever against. */
static void look_all(struct allocation *a, struct store *store)
{
    const uint32_t n = a->survey.ntensor;
    struct digest_of *list = arena_array(a->arena, n, sizeof(*list));

    for (uint32_t i = 0; i < n; i++)
        list[i].node = a->survey.tensor[i].node;
    digests_look(a->survey.graph, store, list, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct measure_side made = made_side(a, i, list[i].d);

        a->error[i].known = list[i].known && measure_last(store, &made, a->arena, &a->error[i].is);
        a->known += a->error[i].known;
    }
}

static bool open_store(const struct allocation *a, struct store **store, enum store_mode mode,
                       struct err *err)
{
    const char *cache;
    const bool found = mode == STORE_WRITE ? dropin_cache(a->options, a->arena, &cache, err)
                                           : dropin_find_cache(a->options, a->arena, &cache, err);

    if (!found)
        return false;
    if (store_open(store, cache, mode, err))
        return true;
    if (err->code == ERR_IO)
        err->code = ERR_CACHE; /* whatever the system said of it (ruling 37) */
    return false;
}

bool allocation_errors(struct allocation *a, bool *running, struct err *err)
{
    struct store *store;
    struct err closing;

    a->error = arena_array(a->arena, a->survey.ntensor, sizeof(*a->error));
    if (!a->options->against) {
        if (open_store(a, &store, STORE_READ, err)) {
            look_all(a, store);
            return store_close(store, false, err);
        }
        msg_warn("%s: errors that are known are not shown", err->text);
        return true;
    }
    if (!check_shapes(a, err) || !open_store(a, &store, STORE_WRITE, err))
        return false;
    *running = true;
    const bool ok = measure_all(a, store, err);
    const bool closed = store_close(store, a->options->durable, &closing);

    if (ok && !closed)
        *err = closing;
    return ok && closed;
}
