#include "cli/inspect_types.h"

#include "cli/text.h"

#include <math.h>
#include <string.h>

/* ---- sums --------------------------------------------------------------------------------- */

const struct tensor *allocation_tensor(const struct allocation *a, const struct survey_tensor *t)
{
    return graph_tensor(a->survey.graph, t->node);
}

static double relative(const struct error_sums *s)
{
    return s->x > 0 ? sqrt(s->e / s->x) : s->e > 0 ? (double)INFINITY : 0;
}

void allocation_add(struct allocation_sums *s, const struct tensor *t,
                    const struct allocation_error *error)
{
    const uint64_t n = (uint64_t)tensor_elements(t), bytes = tensor_bytes(t);
    const struct error_sums *e = &error->is.sums;

    s->tensors++;
    s->elements += n;
    s->bytes += bytes;
    s->block_elements += dtype_is_block(t->dtype) ? n : 0;
    s->block_bytes += dtype_is_block(t->dtype) ? bytes : 0;
    if (!error->known)
        return;
    s->known++;
    s->counted += n;
    s->skipped += (uint64_t)e->skipped;
    s->j += e->w > 0 ? (double)n * (e->e / e->w) : 0;
    s->x += e->w > 0 ? (double)n * (e->x / e->w) : 0;
    s->max = e->max > s->max ? e->max : s->max;
}

double allocation_bits(uint64_t bytes, uint64_t elements)
{
    return elements ? 8.0 * (double)bytes / (double)elements : 0;
}

double allocation_rmse(const struct allocation_sums *s)
{
    return s->counted ? sqrt(s->j / (double)s->counted) : 0;
}

double allocation_relative(const struct allocation_sums *s)
{
    return s->x > 0 ? sqrt(s->j / s->x) : s->j > 0 ? (double)INFINITY : 0;
}

/* ---- JSON --------------------------------------------------------------------------------- */

/* An object or a list under KEY; what closes it is the caller's. */
static void put_open(struct buf *out, const char *key, const char *bracket)
{
    json_key(out, key);
    buf_text(out, bracket);
}

static void put_error(struct buf *out, const struct allocation_error *error)
{
    const struct error_sums *s = &error->is.sums;

    if (!error->known) {
        json_key(out, "error");
        buf_text(out, "null");
        return;
    }
    put_open(out, "error", "{");
    json_f64_put(out, "rmse", error_rmse(s));
    json_f64_put(out, "relative", relative(s));
    json_f64_put(out, "max_abs", s->max);
    json_i64_put(out, "max_at", s->max_at);
    json_f64_put(out, "sum", s->e);
    json_f64_put(out, "sum_weights", s->w);
    json_f64_put(out, "sum_source", s->x);
    json_i64_put(out, "not_finite", s->skipped);
    json_word(out, "against", error->is.against);
    if (error->is.weights[0])
        json_word(out, "imatrix", error->is.weights);
    buf_text(out, "}");
}

static void put_tensor(struct buf *out, const struct allocation *a, uint32_t i)
{
    const struct survey_tensor *s = &a->survey.tensor[i];
    const struct tensor *t = allocation_tensor(a, s);

    json_comma(out);
    buf_text(out, "\n{");
    json_word(out, "name", s->name);
    json_word(out, "role", s->role);
    json_flag(out, "bias", s->bias);
    if (s->layer == SURVEY_OUTSIDE) {
        json_key(out, "layer");
        buf_text(out, "null");
    } else {
        json_i64_put(out, "layer", s->layer);
    }
    json_word(out, "dtype", dtype_name(t->dtype));
    put_open(out, "shape", "[");
    for (uint32_t k = 0; k < t->rank; k++)
        buf_printf(out, "%s%lld", k ? "," : "", (long long)t->dim[k]);
    buf_text(out, "]");
    json_f64_put(out, "bpw", dtype_bits(t->dtype));
    json_u64_put(out, "bytes", tensor_bytes(t));
    if (a->options->against) {
        json_key(out, "source");
        if (s->paired)
            json_value(out, s->ref_name, strlen(s->ref_name));
        else
            buf_text(out, "null");
    }
    put_error(out, &a->error[i]);
    buf_text(out, "}");
}

static void put_total(struct buf *out, const struct allocation *a)
{
    struct allocation_sums all = {0};

    for (uint32_t i = 0; i < a->survey.ntensor; i++)
        allocation_add(&all, allocation_tensor(a, &a->survey.tensor[i]), &a->error[i]);
    put_open(out, "total", "{");
    json_u64_put(out, "tensors", all.tensors);
    json_u64_put(out, "weights", all.elements);
    json_u64_put(out, "bytes", all.bytes);
    json_f64_put(out, "bpw", allocation_bits(all.bytes, all.elements));
    json_f64_put(out, "bpw_quantized", allocation_bits(all.block_bytes, all.block_elements));
    json_u64_put(out, "known", all.known);
    if (all.known) {
        json_f64_put(out, "rmse", allocation_rmse(&all));
        json_f64_put(out, "relative", allocation_relative(&all));
        json_f64_put(out, "max_abs", all.max);
        json_u64_put(out, "not_finite", all.skipped);
    }
    buf_text(out, "}");
}

void allocation_json(const struct allocation *a, struct buf *out)
{
    buf_text(out, "{");
    json_u64_put(out, "v", 1);
    json_word(out, "path", a->path);
    json_word(out, "arch", a->survey.arch);
    json_i64_put(out, "layers", a->survey.layers);
    if (a->options->against)
        json_word(out, "against", a->options->against);
    if (a->options->imatrix)
        json_word(out, "imatrix", a->options->imatrix);
    put_open(out, "tensors", "[");
    for (uint32_t i = 0; i < a->survey.ntensor; i++)
        put_tensor(out, a, i);
    buf_text(out, "]");
    if (a->options->against) {
        put_open(out, "only_in_source", "[");
        for (uint32_t i = 0; i < a->survey.nalone; i++) {
            json_comma(out);
            json_value(out, a->survey.alone[i], strlen(a->survey.alone[i]));
        }
        buf_text(out, "]");
    }
    put_total(out, a);
    json_u64_put(out, "measured", a->measured);
    json_u64_put(out, "read_bytes", a->read_bytes);
    buf_text(out, "}\n");
}
