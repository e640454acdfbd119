#include "base/file.h"
#include "cli/cmd.h"
#include "cli/inspect_types.h"
#include "cli/metadata.h"
#include "cli/text.h"

#include <string.h>

enum { NAME_SHOWN = 200, VALUE_SHOWN = 300 };

struct inspect {
    struct checkpoint ckpt;
    struct arena *arena;
    struct fact *fact;
    size_t nfact;
};

struct total {
    uint64_t tensors, elements, bytes;
};

/* Of each type (DTYPE_COUNT of them), and of all at the end. */
static struct total *totals(const struct inspect *in)
{
    struct total *total = arena_array(in->arena, DTYPE_COUNT + 1, sizeof(*total));

    for (size_t i = 0; i < in->ckpt.ntensor; i++) {
        const struct tensor *t = &in->ckpt.tensor[i].t;
        struct total *of[] = {&total[t->dtype], &total[DTYPE_COUNT]};

        for (size_t k = 0; k < countof(of); k++) {
            of[k]->tensors++;
            of[k]->elements += (uint64_t)tensor_elements(t);
            of[k]->bytes += tensor_bytes(t);
        }
    }
    return total;
}

static double bits_each(const struct total *total)
{
    return total->elements ? 8.0 * (double)total->bytes / (double)total->elements : 0;
}

static uint64_t file_bytes(const struct inspect *in)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < in->ckpt.nfile; i++)
        bytes += in->ckpt.map[i].size;
    return bytes;
}

/* ---- for people --------------------------------------------------------------------------- */

static void put_facts(const struct inspect *in, struct buf *out)
{
    if (in->nfact)
        buf_text(out, "\nmetadata\n");
    for (size_t i = 0; i < in->nfact; i++) {
        const struct fact *fact = &in->fact[i];

        buf_text(out, "  ");
        put_safe(out, fact->key, strlen(fact->key), NAME_SHOWN);
        buf_text(out, " = ");
        put_safe(out, fact->text, strlen(fact->text), VALUE_SHOWN);
        buf_text(out, "\n");
    }
}

static void put_tensors(const struct inspect *in, struct buf *out)
{
    size_t width = 4;

    for (size_t i = 0; i < in->ckpt.ntensor; i++) {
        const size_t n = strlen(in->ckpt.tensor[i].name);

        if (n > width)
            width = n < 60 ? n : 60;
    }
    buf_printf(out, "\n%-*s  %-8s %-22s %14s %8s\n", (int)width, "tensor", "type", "shape", "bytes",
               "bits");
    for (size_t i = 0; i < in->ckpt.ntensor; i++) {
        const struct file_tensor *t = &in->ckpt.tensor[i];
        char shape[160];
        struct buf name = {0};

        put_safe(&name, t->name, strlen(t->name), NAME_SHOWN);
        buf_printf(out, "%-*s  %-8s %-22s %14llu %8.3f\n", (int)width, buf_cstr(&name),
                   dtype_name(t->t.dtype), tensor_shape(&t->t, shape, sizeof(shape)),
                   (unsigned long long)tensor_bytes(&t->t), dtype_bits(t->t.dtype));
        buf_finish(&name);
    }
}

static void put_total(const char *name, const struct total *total, struct buf *out)
{
    char text[32];

    buf_printf(out, "  %-8s %8llu %16llu %14s %8.3f\n", name, (unsigned long long)total->tensors,
               (unsigned long long)total->elements, size_text(total->bytes, text, sizeof(text)),
               bits_each(total));
}

static void put_text(const struct inspect *in, struct buf *out)
{
    const struct total *total = totals(in), *all = &total[DTYPE_COUNT];
    char files[32], tensors[32];

    put_safe(out, in->ckpt.path, strlen(in->ckpt.path), 4096);
    buf_printf(out, ": %s, %u file%s, %s; %zu tensor%s, %s, %.3f bits per weight\n",
               in->ckpt.format->name, in->ckpt.nfile, in->ckpt.nfile == 1 ? "" : "s",
               size_text(file_bytes(in), files, sizeof(files)), in->ckpt.ntensor,
               in->ckpt.ntensor == 1 ? "" : "s", size_text(all->bytes, tensors, sizeof(tensors)),
               bits_each(all));
    put_facts(in, out);
    if (in->ckpt.ntensor)
        put_tensors(in, out);
    buf_printf(out, "\n  %-8s %8s %16s %14s %8s\n", "type", "tensors", "weights", "size", "bits");
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (total[i].tensors)
            put_total(dtype_name((enum dtype)i), &total[i], out);
    put_total("all", all, out);
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void put_total_json(const struct total *total, struct buf *out)
{
    json_u64_put(out, "tensors", total->tensors);
    json_u64_put(out, "weights", total->elements);
    json_u64_put(out, "bytes", total->bytes);
    json_f64_put(out, "bpw", bits_each(total));
}

static void put_tensor_json(const struct inspect *in, const struct file_tensor *t, struct buf *out)
{
    json_comma(out);
    buf_text(out, "\n{");
    json_word(out, "name", t->name);
    json_word(out, "dtype", dtype_name(t->t.dtype));
    json_key(out, "shape");
    buf_text(out, "[");
    for (uint32_t i = 0; i < t->t.rank; i++)
        buf_printf(out, "%s%lld", i ? "," : "", (long long)t->t.dim[i]);
    buf_text(out, "]");
    json_u64_put(out, "bytes", tensor_bytes(&t->t));
    json_f64_put(out, "bpw", dtype_bits(t->t.dtype));
    json_word(out, "file", path_base(in->ckpt.file[t->file]));
    json_u64_put(out, "offset", t->offset);
    buf_text(out, "}");
}

/* A list or an object under KEY; what closes it is the caller's. */
static void put_open(struct buf *out, const char *key, const char *bracket)
{
    json_key(out, key);
    buf_text(out, bracket);
}

static void put_json(const struct inspect *in, struct buf *out)
{
    const struct total *total = totals(in);

    buf_text(out, "{");
    json_u64_put(out, "v", 1);
    json_word(out, "path", in->ckpt.path);
    json_word(out, "format", in->ckpt.format->name);
    json_u64_put(out, "files", in->ckpt.nfile);
    json_u64_put(out, "file_bytes", file_bytes(in));
    put_open(out, "metadata", "{");
    for (size_t i = 0; i < in->nfact; i++) {
        json_key(out, in->fact[i].key);
        buf_text(out, in->fact[i].json);
    }
    buf_text(out, "}");
    put_open(out, "tensors", "[");
    for (size_t i = 0; i < in->ckpt.ntensor; i++)
        put_tensor_json(in, &in->ckpt.tensor[i], out);
    buf_text(out, "]");
    put_open(out, "types", "{");
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if (!total[i].tensors)
            continue;
        put_open(out, dtype_name((enum dtype)i), "{");
        put_total_json(&total[i], out);
        buf_text(out, "}");
    }
    buf_text(out, "}");
    put_open(out, "total", "{");
    put_total_json(&total[DTYPE_COUNT], out);
    buf_text(out, "}}\n");
}

/* ---- the command -------------------------------------------------------------------------- */

static int inspect_all(const struct options *options)
{
    struct inspect in = {.arena = arena_new()};
    struct buf text = {0};
    struct err err;
    int code = 0;
    bool ok;

    if (options->nword != 1 || options->against || options->imatrix) {
        err_set(&err, ERR_RECIPE,
                options->nword != 1 ? "vbuild inspect needs one file or folder"
                                    : "--against and --imatrix belong to inspect --types");
        arena_free(in.arena);
        return cmd_refuse(&err);
    }
    ok = model_open(&in.ckpt, options->word[0], in.arena, &err);
    if (ok) {
        ok = metadata_of(&in.ckpt, in.arena, &in.fact, &in.nfact, &err);
        if (ok && options->json) {
            put_json(&in, &text);
            ok = say_json(options->json, &text, &err);
        } else if (ok) {
            put_text(&in, &text);
            say_bytes(text.data, text.size);
        }
        checkpoint_close(&in.ckpt);
    }
    if (!ok)
        code = cmd_refuse(&err);
    buf_finish(&text);
    arena_free(in.arena);
    return code;
}

int cmd_inspect(const struct options *options)
{
    return options->types ? inspect_types(options) : inspect_all(options);
}
