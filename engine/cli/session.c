#include "cli/session.h"

#include "base/hash.h"
#include "base/msg.h"
#include "cli/cmd.h"
#include "cli/machine.h"
#include "cli/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the version and of everything that may change a result: the same program built anywhere
 * has one id, since a compiler may not change a byte (DESIGN section 2). */
static uint64_t build_id(void)
{
    struct buf text = {0};

    buf_text(&text, VBUILD_VERSION "\n");
    for (uint32_t i = 0; i < all_ops_count; i++)
        buf_printf(&text, "%s %u\n", all_ops[i]->name, all_ops[i]->version);
    for (int i = 0; i < DTYPE_COUNT; i++)
        buf_printf(&text, "%s %u\n", dtype_name((enum dtype)i), dtype_info((enum dtype)i)->version);
    const uint64_t id = hash_u64(text.data, text.size, 0);

    buf_finish(&text);
    return id;
}

/* Elements of a tile as VBUILD_TILE says, for tests: no byte may depend on it. 0: of the budget. */
static int64_t tile_elements(void)
{
    const char *text = getenv("VBUILD_TILE");

    return text ? (int64_t)strtoul(text, NULL, 10) & INT32_MAX : 0;
}

static struct build_options settings(const struct options *options, const struct workspace *ws,
                                     bool dropin)
{
    return (struct build_options){
        .jobs = options->jobs ? (uint32_t)options->jobs : machine_jobs(),
        .mem_bytes = options->mem_bytes ? options->mem_bytes : machine_memory(),
        .tile_elements = tile_elements(),
        .keep_going = options->keep_going,
        .force = options->force,
        .durable = options->durable,
        .out_dir = ws->out_dir,
        .no_manifest = dropin,
        .build_id = build_id(),
    };
}

/* A cache that cannot be used is exit 4 whatever the system said about it (ruling 37). */
static bool open_store(struct session *s, enum store_mode mode, struct err *err)
{
    if (store_open(&s->store, s->ws.cache, mode, err))
        return true;
    s->store = NULL;
    if (err->code == ERR_IO)
        err->code = ERR_CACHE;
    return false;
}

static bool open_dropin(struct session *s, struct err *err)
{
    s->ws = (struct workspace){.recipe = s->dropin->name, .out_dir = s->dropin->out_dir};
    return dropin_cache(s->options, s->arena, &s->ws.cache, err);
}

bool session_begin(struct session *s, const struct options *options, const struct dropin *dropin,
                   struct err *err)
{
    *s = (struct session){.options = options, .dropin = dropin, .arena = arena_new()};
    /* before the workspace: the path of --json is the working directory's */
    if (!events_open(&s->events, options->json, err))
        return false;
    if (!(dropin ? open_dropin(s, err) : workspace_open(&s->ws, options, s->arena, err)))
        return false;
    s->build = settings(options, &s->ws, dropin != NULL);
    events_start(&s->events, s->ws.recipe, &s->build);
    return true;
}

bool session_evaluate(struct session *s, struct err *err)
{
    if (!open_store(s, STORE_READ, err))
        return false;
    const struct recipe_options want = {
        .text = s->dropin ? s->dropin->text : NULL,
        .define = s->options->define,
        .ndefine = s->options->ndefine,
        .variant = s->ws.variant,
        .nvariant = s->ws.nvariant,
        .store = s->store,
        .merge = &s->options->merge,
    };

    snapshot_watch(s);
    s->evaluated = recipe_open(&s->recipe, s->ws.recipe, &want, err);
    for (uint32_t i = 0; s->evaluated && i < s->recipe.nnote; i++)
        msg_note("%s", s->recipe.note[i]);
    snapshot_watched(s);
    return s->evaluated && (!s->dropin || dropin_place(s->dropin, &s->recipe, err));
}

bool session_open(struct session *s, const struct options *options, struct err *err)
{
    return session_begin(s, options, NULL, err) && session_evaluate(s, err);
}

bool session_write(struct session *s, struct err *err)
{
    struct err ignored;

    store_close(s->store, false, &ignored); /* it was only read */
    s->store = NULL;
    return open_store(s, STORE_WRITE, err);
}

void session_reported(struct session *s)
{
    s->summary = summary_of(&s->recipe, &s->report);
}

int session_fail(struct session *s, const struct err *err, bool running)
{
    msg_error("%s", err->text);
    events_end(&s->events, err->code == ERR_STOPPED ? "interrupted" : "failed", &s->summary);
    return err_exit(err->code, running);
}

int session_finish(struct session *s, int code)
{
    struct err err;
    bool ok = true;

    if (s->evaluated)
        recipe_close(&s->recipe);
    if (s->store)
        ok = store_close(s->store, s->build.durable, &err);
    if (!ok) {
        msg_error("%s", err.text);
        code = code ? code : err_exit(err.code, true);
    }
    if (!events_close(&s->events, &err)) {
        msg_error("%s", err.text);
        code = code ? code : err_exit(err.code, true);
    }
    arena_free(s->arena);
    return code;
}

void put_bits(struct buf *out, const struct artifact_size *size)
{
    char text[32];

    if (size->bpw_quantized > 0)
        buf_printf(out, "%.3f bits per weight over quantized tensors, %.3f over all",
                   size->bpw_quantized, size->bpw);
    else
        buf_printf(out, "%.3f bits per weight", size->bpw);
    buf_printf(out, ", %s of tensors", size_text(size->tensor_bytes, text, sizeof(text)));
}
