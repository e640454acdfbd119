#include "base/map.h"
#include "cli/cmd.h"
#include "cli/metadata.h"
#include "cli/text.h"
#include "graph/compare.h"

#include <string.h>

enum { NAME_SHOWN = 200, DIFFERENT = 1 };

struct diff {
    struct checkpoint a, b;
    struct arena *arena;
    const struct options *options;
    struct buf text; /* lines, or the elements of the JSON list "tensors" */
    struct buf only_a, only_b, meta;
    uint64_t pairs, equal; /* tensors in both; of them, those with equal bytes */
    uint64_t alone_a, alone_b, facts;
};

/* ---- what is printed ---------------------------------------------------------------------- */

static void put_name(struct buf *out, const char *name)
{
    put_safe(out, name, strlen(name), NAME_SHOWN);
}

static void put_alone(struct diff *d, const struct file_tensor *t, bool in_a)
{
    struct buf *json = in_a ? &d->only_a : &d->only_b;

    *(in_a ? &d->alone_a : &d->alone_b) += 1;
    if (d->options->json) {
        buf_text(json, json->size ? "," : "");
        json_value(json, t->name, strlen(t->name));
        return;
    }
    buf_printf(&d->text, "only in %s: ", in_a ? "A" : "B");
    put_name(&d->text, t->name);
    buf_text(&d->text, "\n");
}

static void put_pair_text(struct diff *d, const struct file_tensor *a, const struct file_tensor *b,
                          const struct compare *c)
{
    char left[160], right[160];

    if (c->same_bytes && !d->options->verbose)
        return;
    put_name(&d->text, a->name);
    if (c->same_bytes)
        buf_text(&d->text, ": equal");
    else
        buf_text(&d->text, ":");
    if (!c->same_dtype)
        buf_printf(&d->text, " type %s -> %s", dtype_name(a->t.dtype), dtype_name(b->t.dtype));
    if (!c->same_shape)
        buf_printf(&d->text, " shape %s -> %s", tensor_shape(&a->t, left, sizeof(left)),
                   tensor_shape(&b->t, right, sizeof(right)));
    if (!c->same_bytes && c->measured)
        buf_printf(&d->text, " %llu values differ, max %.6g at %lld, rmse %.6g, cosine %.9f",
                   (unsigned long long)c->differ, c->max_abs, (long long)c->max_at, c->rmse,
                   c->cosine);
    if (c->skipped)
        buf_printf(&d->text, ", %llu not finite", (unsigned long long)c->skipped);
    if (!c->same_bytes && !c->measured && c->same_shape)
        buf_text(&d->text, c->same_dtype ? " bytes differ" : " not measured");
    buf_text(&d->text, "\n");
}

static void put_two(struct buf *out, const char *key, const char *a, const char *b)
{
    json_key(out, key);
    buf_text(out, "[");
    json_value(out, a, strlen(a));
    buf_text(out, ",");
    json_value(out, b, strlen(b));
    buf_text(out, "]");
}

static void put_pair_json(struct buf *out, const struct file_tensor *a, const struct file_tensor *b,
                          const struct compare *c)
{
    char left[160], right[160];

    buf_text(out, out->size ? ",\n{" : "\n{");
    json_word(out, "name", a->name);
    put_two(out, "dtype", dtype_name(a->t.dtype), dtype_name(b->t.dtype));
    put_two(out, "shape", tensor_shape(&a->t, left, sizeof(left)),
            tensor_shape(&b->t, right, sizeof(right)));
    json_flag(out, "same_dtype", c->same_dtype);
    json_flag(out, "same_shape", c->same_shape);
    json_flag(out, "same_bytes", c->same_bytes);
    json_flag(out, "measured", c->measured);
    if (c->measured) {
        json_u64_put(out, "differ", c->differ);
        json_u64_put(out, "not_finite", c->skipped);
        json_f64_put(out, "max_abs", c->max_abs);
        json_i64_put(out, "max_at", c->max_at);
        json_f64_put(out, "rmse", c->rmse);
        json_f64_put(out, "cosine", c->cosine);
    }
    buf_text(out, "}");
}

/* ---- comparing ---------------------------------------------------------------------------- */

static bool compare_pair(struct diff *d, const struct file_tensor *a, const struct file_tensor *b,
                         struct err *err)
{
    const struct compare_side left = {d->a.file[a->file], a->offset, &a->t};
    const struct compare_side right = {d->b.file[b->file], b->offset, &b->t};
    struct compare c;

    if (!compare_tensors(&left, &right, &c, err))
        return err_in(err, "%s", a->name);
    d->pairs++;
    d->equal += c.same_bytes;
    if (d->options->json)
        put_pair_json(&d->text, a, b, &c);
    else
        put_pair_text(d, a, b, &c);
    return true;
}

/* A's tensors in A's order, then what only B has in B's. */
static bool compare_all(struct diff *d, struct err *err)
{
    bool *found = arena_array(d->arena, d->b.ntensor, sizeof(*found));
    struct map names = {0};
    bool ok = true;

    for (size_t i = 0; i < d->b.ntensor; i++)
        map_set(&names, d->b.tensor[i].name, strlen(d->b.tensor[i].name), i);
    for (size_t i = 0; ok && i < d->a.ntensor; i++) {
        const struct file_tensor *t = &d->a.tensor[i];
        uint64_t at;

        if (map_get(&names, t->name, strlen(t->name), &at)) {
            found[at] = true;
            ok = compare_pair(d, t, &d->b.tensor[at], err);
        } else {
            put_alone(d, t, true);
        }
    }
    for (size_t i = 0; ok && i < d->b.ntensor; i++)
        if (!found[i])
            put_alone(d, &d->b.tensor[i], false);
    map_finish(&names);
    return ok;
}

static void put_fact(struct diff *d, const char *key, const struct fact *a, const struct fact *b)
{
    struct buf *out = d->options->json ? &d->meta : &d->text;

    d->facts++;
    if (d->options->json) {
        buf_text(out, out->size ? ",\n{" : "\n{");
        json_word(out, "key", key);
        json_key(out, "a");
        buf_text(out, a ? a->json : "null");
        json_key(out, "b");
        buf_text(out, b ? b->json : "null");
        buf_text(out, "}");
        return;
    }
    buf_text(out, "metadata ");
    put_name(out, key);
    buf_text(out, ": ");
    if (a)
        put_name(out, a->text);
    buf_text(out, a && b ? " -> " : a ? " only in A" : "only in B: ");
    if (b)
        put_name(out, b->text);
    buf_text(out, "\n");
}

/* Key-values of two GGUF files; other formats keep theirs in files of their own. */
static bool compare_facts(struct diff *d, struct err *err)
{
    struct fact *a, *b;
    size_t na, nb;
    struct map keys = {0};
    uint64_t at;

    if (!d->a.kv || !d->b.kv)
        return true;
    if (!metadata_of(&d->a, d->arena, &a, &na, err) || !metadata_of(&d->b, d->arena, &b, &nb, err))
        return false;
    for (size_t i = 0; i < nb; i++)
        map_set(&keys, b[i].key, strlen(b[i].key), i);
    for (size_t i = 0; i < na; i++) {
        if (!map_get(&keys, a[i].key, strlen(a[i].key), &at))
            put_fact(d, a[i].key, &a[i], NULL);
        else if (strcmp(a[i].type, b[at].type) != 0 || a[i].size != b[at].size ||
                 memcmp(a[i].bytes, b[at].bytes, a[i].size) != 0)
            put_fact(d, a[i].key, &a[i], &b[at]);
    }
    map_finish(&keys);
    for (size_t i = 0; i < na; i++)
        map_set(&keys, a[i].key, strlen(a[i].key), i);
    for (size_t i = 0; i < nb; i++)
        if (!map_get(&keys, b[i].key, strlen(b[i].key), &at))
            put_fact(d, b[i].key, NULL, &b[i]);
    map_finish(&keys);
    return true;
}

/* ---- the command -------------------------------------------------------------------------- */

static bool is_equal(const struct diff *d)
{
    return d->equal == d->pairs && !d->alone_a && !d->alone_b && !d->facts;
}

static void put_list(struct buf *out, const char *key, const struct buf *elements)
{
    json_key(out, key);
    buf_text(out, "[");
    buf_put(out, elements->data, elements->size);
    buf_text(out, "]");
}

static bool show(struct diff *d, struct err *err)
{
    const uint64_t differ = d->pairs - d->equal;
    struct buf out = {0};

    if (!d->options->json) {
        buf_printf(&d->text,
                   "%llu tensors in both: %llu equal, %llu differ; %llu only in A, %llu only in B",
                   (unsigned long long)d->pairs, (unsigned long long)d->equal,
                   (unsigned long long)differ, (unsigned long long)d->alone_a,
                   (unsigned long long)d->alone_b);
        if (d->a.kv && d->b.kv)
            buf_printf(&d->text, "; %llu metadata values differ", (unsigned long long)d->facts);
        buf_text(&d->text, "\n");
        say_bytes(d->text.data, d->text.size);
        return true;
    }
    buf_text(&out, "{");
    json_u64_put(&out, "v", 1);
    json_word(&out, "a", d->a.path);
    json_word(&out, "b", d->b.path);
    json_flag(&out, "equal", is_equal(d));
    json_u64_put(&out, "tensors_equal", d->equal);
    json_u64_put(&out, "tensors_differ", differ);
    put_list(&out, "only_a", &d->only_a);
    put_list(&out, "only_b", &d->only_b);
    put_list(&out, "metadata", &d->meta);
    put_list(&out, "tensors", &d->text);
    buf_text(&out, "}\n");
    const bool ok = say_json(d->options->json, &out, err);

    buf_finish(&out);
    return ok;
}

static bool run(struct diff *d, struct err *err)
{
    const char *const *path = d->options->word;
    bool ok;

    if (d->options->nword != 2)
        return err_set(err, ERR_RECIPE, "vbuild diff needs two files or folders, A and B");
    if (!model_open(&d->a, path[0], d->arena, err))
        return false;
    ok = model_open(&d->b, path[1], d->arena, err);
    if (ok) {
        ok = compare_all(d, err) && compare_facts(d, err) && show(d, err);
        checkpoint_close(&d->b);
    }
    checkpoint_close(&d->a);
    return ok;
}

int cmd_diff(const struct options *options)
{
    struct diff d = {.arena = arena_new(), .options = options};
    struct err err;
    int code;

    if (options->quiet)
        say_nothing();
    if (run(&d, &err)) {
        code = is_equal(&d) ? 0 : DIFFERENT;
    } else {
        cmd_refuse(&err);
        code = 2;
    }
    buf_finish(&d.text);
    buf_finish(&d.only_a);
    buf_finish(&d.only_b);
    buf_finish(&d.meta);
    arena_free(d.arena);
    return code;
}
