#include "cli/events_json.h"

#include "base/file.h"
#include "base/msg.h"
#include "cli/cmd.h"
#include "cli/text.h"
#include "kernel/kernel.h"

#include <string.h>

static void hear(void *self, bool error, const char *text)
{
    events_message(self, error ? "error" : "warning", text);
}

bool events_open(struct events_json *e, const char *path, struct err *err)
{
    *e = (struct events_json){.started_ns = clock_ns()};
    if (!path)
        return true;
    if (strcmp(path, "-") == 0) {
        e->to = stdout;
        say_elsewhere();
    } else {
        e->to = fopen(path, "we");
    }
    if (!e->to)
        return err_sys(err, "--json=%s", path);
    msg_listen(hear, e);
    return true;
}

bool events_close(struct events_json *e, struct err *err)
{
    FILE *to = e->to;
    bool ok = true;

    if (!to)
        return true;
    msg_listen(NULL, NULL);
    e->to = NULL;
    ok = fflush(to) == 0 && !ferror(to);
    if (to != stdout)
        ok = fclose(to) == 0 && ok;
    return ok || err_sys(err, "writing the JSON lines");
}

static void put_line(struct events_json *e, struct buf *line)
{
    if (e->to) {
        buf_text(line, "}\n");
        fwrite(line->data, 1, line->size, e->to);
        fflush(e->to); /* whoever follows the file sees each line when it happens */
    }
    buf_finish(line);
}

static void begin(struct events_json *e, struct buf *line, const char *event)
{
    buf_text(line, "{");
    json_u64_put(line, "v", 1);
    json_u64_put(line, "t", (uint64_t)(clock_ns() - e->started_ns) / 1000000);
    json_word(line, "e", event);
}

void events_start(struct events_json *e, const char *recipe, const struct build_options *options)
{
    struct buf line = {0};

    begin(e, &line, "start");
    json_word(&line, "version", VBUILD_VERSION);
    json_word(&line, "isa", kernel_isa());
    json_word(&line, "recipe", recipe);
    json_u64_put(&line, "jobs", options->jobs);
    json_u64_put(&line, "mem_bytes", options->mem_bytes);
    put_line(e, &line);
}

static void put_artifact(struct buf *line, const struct summary_artifact *a)
{
    json_word(line, "name", a->name);
    json_word(line, "path", a->path);
    json_u64_put(line, "bytes", a->size.file_bytes);
    json_f64_put(line, "bpw", a->size.bpw);
    json_digest(line, "digest", a->digest);
    json_u64_put(line, "tensor_bytes", a->size.tensor_bytes);
    json_f64_put(line, "bpw_quantized", a->size.bpw_quantized);
    if (a->shards > 1)
        json_u64_put(line, "shards", a->shards);
}

void events_artifact(struct events_json *e, const struct summary_artifact *artifact)
{
    struct buf line = {0};

    if (!e->to)
        return;
    begin(e, &line, "artifact");
    put_artifact(&line, artifact);
    json_word(&line, "kind", artifact->kind);
    json_word(&line, "variant", artifact->variant);
    json_flag(&line, "written", artifact->written);
    put_line(e, &line);
}

void events_message(struct events_json *e, const char *kind, const char *text)
{
    struct buf line = {0};

    begin(e, &line, kind);
    json_word(&line, "text", text);
    put_line(e, &line);
}

void events_end(struct events_json *e, const char *status, const struct summary *summary)
{
    static const struct summary nothing;
    const struct summary *r = summary ? summary : &nothing;
    struct buf line = {0};

    buf_text(&line, "{");
    json_u64_put(&line, "v", 1);
    json_word(&line, "e", "end");
    json_word(&line, "status", status);
    json_u64_put(&line, "nodes", r->nodes);
    json_u64_put(&line, "run", r->run);
    json_u64_put(&line, "hit", r->hit);
    json_u64_put(&line, "cutoff", r->cutoff);
    json_u64_put(&line, "alias", r->alias);
    json_u64_put(&line, "failed", r->failed);
    if (r->unknown) /* of a plan whose sources nobody hashed yet */
        json_u64_put(&line, "unknown", r->unknown);
    if (r->snapshot)
        json_flag(&line, "snapshot", true);
    json_u64_put(&line, "read_bytes", r->read_bytes);
    json_u64_put(&line, "written_bytes", r->written_bytes);
    json_u64_put(&line, "wall_ms", (uint64_t)(clock_ns() - e->started_ns) / 1000000);
    json_u64_put(&line, "cpu_ms", (uint64_t)cpu_ns() / 1000000);
    json_u64_put(&line, "peak_rss_bytes", peak_rss_bytes());
    json_key(&line, "artifacts");
    buf_text(&line, "[");
    for (uint32_t i = 0; i < r->nartifact; i++) {
        if (r->artifact[i].failed)
            continue;
        json_comma(&line);
        buf_text(&line, "{");
        put_artifact(&line, &r->artifact[i]);
        buf_text(&line, "}");
    }
    buf_text(&line, "]");
    put_line(e, &line);
}
