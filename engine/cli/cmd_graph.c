#include "cli/cmd.h"
#include "cli/session.h"
#include "cli/text.h"

static void put_shape(struct buf *out, const struct tensor *t)
{
    json_key(out, "shape");
    buf_text(out, "[");
    for (uint32_t i = 0; i < t->rank; i++) {
        json_comma(out);
        buf_printf(out, "%lld", (long long)t->dim[i]);
    }
    buf_text(out, "]");
}

static void put_argument(struct buf *out, const struct param *param, const union op_arg *arg)
{
    char hex[DIGEST_HEX + 1];

    switch (param->type) {
    case PARAM_F64:
        json_f64_put(out, param->name, arg->f64);
        return;
    case PARAM_I64:
        json_i64_put(out, param->name, arg->i64);
        return;
    case PARAM_BOOL:
        json_flag(out, param->name, arg->flag);
        return;
    case PARAM_WORD:
    case PARAM_TEXT:
        json_word(out, param->name, arg->word ? arg->word : "");
        return;
    case PARAM_DTYPE:
        json_word(out, param->name, dtype_name(arg->dtype));
        return;
    case PARAM_F32S:
        json_word(out, param->name, arg->f32s ? digest_hex(arg->f32s->digest, hex) : "none");
        return;
    case PARAM_F64S:
    case PARAM_I64S:
        break;
    }
    json_key(out, param->name);
    buf_text(out, "[");
    const uint32_t n = param->type == PARAM_F64S ? arg->f64s.n : arg->i64s.n;

    for (uint32_t i = 0; i < n; i++) {
        json_comma(out);
        if (param->type == PARAM_F64S)
            buf_printf(out, "%.17g", arg->f64s.v[i]);
        else
            buf_printf(out, "%lld", (long long)arg->i64s.v[i]);
    }
    buf_text(out, "]");
}

static void put_op(struct buf *out, const struct node *node)
{
    const struct op *op = node->call.op;

    json_word(out, "op", op->name);
    json_u64_put(out, "version", op->version);
    json_key(out, "args");
    buf_text(out, "{");
    for (uint32_t i = 0; i < op->nparam; i++)
        put_argument(out, &op->param[i], &node->call.arg[i]);
    buf_text(out, "}");
    json_key(out, "in");
    buf_text(out, "[");
    for (uint32_t i = 0; i < node->call.nin; i++) {
        json_comma(out);
        buf_printf(out, "%u", node->in[i].i);
    }
    buf_text(out, "]");
}

static void put_node(struct buf *out, const struct graph *graph, uint32_t i)
{
    const struct node *node = graph_node(graph, (struct node_id){i});
    const struct tensor *t = &node->call.out;

    json_comma(out);
    buf_text(out, "\n{");
    json_u64_put(out, "id", i);
    if (node->call.op) {
        put_op(out, node);
    } else {
        json_u64_put(out, "file", node->file);
        json_word(out, "name", node->name);
        json_u64_put(out, "offset", node->offset);
    }
    json_word(out, "dtype", dtype_name(t->dtype));
    put_shape(out, t);
    json_u64_put(out, "bytes", tensor_bytes(t));
    if (node->line && node->line[0])
        json_word(out, "line", node->line);
    buf_text(out, "}");
}

static void put_file(struct buf *out, const struct out_file *file)
{
    static const char *const maps[] = {
        [ROWMAP_NONE] = NULL, [ROWMAP_TO_GGUF] = "to_gguf", [ROWMAP_TO_HF] = "to_hf"};

    json_comma(out);
    buf_text(out, "{");
    json_word(out, "path", file->path);
    json_u64_put(out, "bytes", file->size);
    json_u64_put(out, "head_bytes", file->head_size);
    json_key(out, "tensors");
    buf_text(out, "[");
    for (uint32_t i = 0; i < file->nextent; i++) {
        const struct extent *extent = &file->extent[i];

        json_comma(out);
        buf_text(out, "\n{");
        json_word(out, "name", extent->name);
        json_u64_put(out, "node", extent->node.i);
        json_u64_put(out, "offset", extent->offset);
        json_u64_put(out, "bytes", extent->size);
        if (maps[extent->map.kind])
            json_word(out, "rows", maps[extent->map.kind]);
        buf_text(out, "}");
    }
    buf_text(out, "]}");
}

static void put_artifact(struct buf *out, const struct artifact *a)
{
    json_comma(out);
    buf_text(out, "\n{");
    json_word(out, "variant", a->variant ? a->variant : "");
    json_word(out, "name", a->name);
    json_word(out, "kind", a->kind);
    json_word(out, "line", a->line ? a->line : "");
    json_flag(out, "folder", a->folder);
    json_key(out, "files");
    buf_text(out, "[");
    for (uint32_t i = 0; i < a->nfile; i++)
        put_file(out, &a->file[i]);
    buf_text(out, "]}");
}

/* A list under KEY: from here on elements follow, each after json_comma. */
static void put_list(struct buf *out, const char *key)
{
    json_key(out, key);
    buf_text(out, "[");
}

static void put_graph(struct buf *out, const struct recipe *recipe)
{
    const struct graph *graph = recipe->graph;

    buf_text(out, "{");
    json_u64_put(out, "v", 1);
    put_list(out, "files");
    for (uint32_t i = 0; i < graph_files(graph); i++) {
        const struct graph_file *file = graph_file(graph, i);

        json_comma(out);
        buf_text(out, "\n{");
        json_word(out, "path", file->shown ? file->shown : file->path);
        json_u64_put(out, "bytes", file->stamp.size);
        json_u64_put(out, "tensors", file->ntensor);
        buf_text(out, "}");
    }
    buf_text(out, "]");
    put_list(out, "nodes");
    for (uint32_t i = 0; i < graph_nodes(graph); i++)
        put_node(out, graph, i);
    buf_text(out, "]");
    put_list(out, "artifacts");
    for (uint32_t i = 0; i < recipe->nartifact; i++)
        put_artifact(out, &recipe->artifact[i]);
    buf_text(out, "]}\n");
}

int cmd_graph(const struct options *options)
{
    /* the graph is the JSON here: there are no event lines around it */
    struct options quiet = *options;
    struct session s;
    struct buf text = {0};
    struct err err;
    int code = 0;

    quiet.json = NULL;
    if (session_open(&s, &quiet, &err)) {
        put_graph(&text, &s.recipe);
        if (!say_json(options->json ? options->json : "-", &text, &err))
            code = session_fail(&s, &err, true);
    } else {
        code = session_fail(&s, &err, false);
    }
    buf_finish(&text);
    return session_finish(&s, code);
}
