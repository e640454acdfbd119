#include "cli/snapshot.h"

#include "base/msg.h"
#include "cli/session.h"
#include "format/hub.h"

#include <string.h>
#include <unistd.h>

enum { HERE_BYTES = 4096, SAID_MAX = 512, BOOT_BYTES = 16 };
/* Another program may come to other artifacts: its rules and writers lie in it. */
static const char program[] = "/proc/self/exe";

/* ---- the words ------------------------------------------------------------------------------ */

static void put_word(struct buf *out, const char *text)
{
    buf_put(out, text, strlen(text) + 1);
}

static void put_merge(struct buf *out, const struct recipe_merge *m)
{
    buf_u8(out, m->strict);
    put_word(out, m->seed ? m->seed : "");
    put_word(out, m->model_dir ? m->model_dir : "");
}

static bool find_key(const struct session *s, struct digest *key)
{
    char here[HERE_BYTES];
    struct buf words = {0};

    if (!getcwd(here, sizeof(here)))
        return false;
    put_word(&words, "snapshot 2");
    buf_u64(&words, s->build.build_id);
    put_word(&words, here);
    put_word(&words, s->ws.recipe);
    put_word(&words, s->ws.out_dir);
    if (s->dropin)
        put_word(&words, s->dropin->text);
    for (uint32_t i = 0; s->dropin && i < s->dropin->nout; i++)
        put_word(&words, s->dropin->out[i].name);
    put_word(&words, hub_folder(s->arena));
    buf_u32(&words, s->options->ndefine);
    for (uint32_t i = 0; i < s->options->ndefine; i++)
        put_word(&words, s->options->define[i]);
    for (uint32_t i = 0; i < s->ws.nvariant; i++)
        put_word(&words, s->ws.variant[i]);
    put_merge(&words, &s->options->merge);
    *key = hash_bytes(words.data, words.size);
    buf_finish(&words);
    return true;
}

/* ---- as bytes ------------------------------------------------------------------------------- */

static void put_text(struct buf *out, const char *text)
{
    buf_u32(out, (uint32_t)strlen(text));
    put_word(out, text);
}

static bool get_text(struct bytes *in, const char **text)
{
    uint32_t n;
    const unsigned char *p;

    if (!bytes_u32(in, &n) || !(p = bytes_take(in, (uint64_t)n + 1)) || p[n] != 0)
        return false;
    *text = (const char *)p;
    return true;
}

static void put_sight(struct buf *out, const struct sight *sight)
{
    buf_u8(out, (uint8_t)sight->kind);
    buf_u64(out, sight->stamp.dev);
    buf_u64(out, sight->stamp.ino);
    buf_u64(out, sight->stamp.size);
    buf_u64(out, (uint64_t)sight->stamp.mtime_ns);
    buf_u64(out, (uint64_t)sight->stamp.ctime_ns);
    put_text(out, sight->path);
}

static bool get_sight(struct bytes *in, struct sight *out)
{
    uint64_t mtime, ctime;
    uint8_t kind;

    if (!bytes_u8(in, &kind) || kind >= SIGHT_KINDS || !bytes_u64(in, &out->stamp.dev) ||
        !bytes_u64(in, &out->stamp.ino) || !bytes_u64(in, &out->stamp.size) ||
        !bytes_u64(in, &mtime) || !bytes_u64(in, &ctime) || !get_text(in, &out->path))
        return false;
    out->kind = (enum sight_kind)kind;
    out->stamp.mtime_ns = (int64_t)mtime;
    out->stamp.ctime_ns = (int64_t)ctime;
    return true;
}

static void put_artifact(struct buf *out, const struct summary_artifact *a)
{
    put_text(out, a->name);
    put_text(out, a->path);
    put_text(out, a->kind);
    put_text(out, a->variant);
    buf_u64(out, a->size.file_bytes);
    buf_u64(out, a->size.tensor_bytes);
    buf_u32(out, a->size.tensors);
    buf_f64(out, a->size.bpw);
    buf_f64(out, a->size.bpw_quantized);
    buf_u32(out, a->shards);
    buf_put(out, a->digest.b, sizeof(a->digest.b));
}

static bool get_f64(struct bytes *in, double *out)
{
    uint64_t bits;

    if (!bytes_u64(in, &bits))
        return false;
    memcpy(out, &bits, sizeof(*out));
    return true;
}

static bool get_artifact(struct bytes *in, struct summary_artifact *a)
{
    const unsigned char *digest;

    if (!get_text(in, &a->name) || !get_text(in, &a->path) || !get_text(in, &a->kind) ||
        !get_text(in, &a->variant) || !bytes_u64(in, &a->size.file_bytes) ||
        !bytes_u64(in, &a->size.tensor_bytes) || !bytes_u32(in, &a->size.tensors) ||
        !get_f64(in, &a->size.bpw) || !get_f64(in, &a->size.bpw_quantized) ||
        !bytes_u32(in, &a->shards) || !(digest = bytes_take(in, sizeof(a->digest.b))))
        return false;
    memcpy(a->digest.b, digest, sizeof(a->digest.b));
    return true;
}

/* ---- asking --------------------------------------------------------------------------------- */

static bool all_stand(struct bytes *in)
{
    unsigned char boot[BOOT_BYTES];
    const unsigned char *then = bytes_take(in, BOOT_BYTES);
    struct sight sight;
    uint32_t n;

    boot_id(boot);
    if (!then || memcmp(then, boot, BOOT_BYTES) != 0 || !bytes_u32(in, &n))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!get_sight(in, &sight) || !sight_stands(&sight))
            return false;
    return true;
}

/* The count N of things that take a byte each at least. */
static bool get_count(struct bytes *in, uint32_t *n)
{
    return bytes_u32(in, n) && *n <= bytes_left(in);
}

static bool get_summary(struct bytes *in, struct arena *arena, struct summary *out)
{
    *out = (struct summary){.snapshot = true};
    if (!bytes_u32(in, &out->hit) || !bytes_u32(in, &out->alias) || !get_count(in, &out->nartifact))
        return false;
    out->nodes = out->hit + out->alias;
    out->artifact = arena_array(arena, out->nartifact, sizeof(*out->artifact));
    for (uint32_t i = 0; i < out->nartifact; i++)
        if (!get_artifact(in, &out->artifact[i]))
            return false;
    return true;
}

static bool get_said(struct bytes *in, struct arena *arena, struct said **said, uint32_t *n)
{
    if (!get_count(in, n))
        return false;
    *said = arena_array(arena, *n, sizeof(**said));
    for (uint32_t i = 0; i < *n; i++) {
        uint8_t warning;

        if (!bytes_u8(in, &warning) || !get_text(in, &(*said)[i].text))
            return false;
        (*said)[i].warning = warning;
    }
    return true;
}

bool snapshot_stands(struct session *s)
{
    const struct options *o = s->options;
    struct summary summary;
    struct said *said;
    struct bytes in;
    uint32_t n;

    s->snapshot = (struct snapshot){.arena = s->arena};
    s->snapshot.wanted = !o->no_snapshot && find_key(s, &s->snapshot.key);
    if (!s->snapshot.wanted || o->force || o->explain || o->verbose || o->durable)
        return false;
    if (!store_last(s->ws.cache, s->snapshot.key, s->arena, &in) || !all_stand(&in) ||
        !get_summary(&in, s->arena, &summary) || !get_said(&in, s->arena, &said, &n))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (said[i].warning)
            msg_warn("%s", said[i].text);
        else
            msg_note("%s", said[i].text);
    }
    s->summary = summary;
    return true;
}

/* ---- leaving one ---------------------------------------------------------------------------- */

static void keep(void *self, bool warning, const char *text)
{
    struct snapshot *snapshot = self;

    if (snapshot->nsaid == SAID_MAX) { /* too much to say again: run the recipe */
        snapshot->wanted = false;
        return;
    }
    snapshot->said[snapshot->nsaid++] = (struct said){warning, arena_strdup(snapshot->arena, text)};
}

void snapshot_watch(struct session *s)
{
    struct snapshot *snapshot = &s->snapshot;

    if (!snapshot->wanted)
        return;
    snapshot->said = arena_array(s->arena, SAID_MAX, sizeof(*snapshot->said));
    snapshot->started = wall_ns();
    snapshot->witness = witness_begin(s->arena);
    msg_keep(keep, snapshot);
}

void snapshot_watched(struct session *s)
{
    struct snapshot *snapshot = &s->snapshot;

    if (!snapshot->witness)
        return;
    msg_keep(NULL, NULL);
    snapshot->seen = witness_end(snapshot->witness, &snapshot->nseen);
    snapshot->witness = NULL;
}

/* What was looked at, if no change of it since then can hide; the program and the log. */
static bool put_inputs(struct session *s, struct buf *out, uint32_t *n)
{
    const struct snapshot *snapshot = &s->snapshot;
    const struct sight self = sight_take(program, false);
    const struct sight log = sight_take(store_log(s->store), false);

    for (uint32_t i = 0; i < snapshot->nseen; i++) {
        const struct sight *sight = &snapshot->seen[i];
        const bool stamped = sight->kind == SIGHT_FILE || sight->kind == SIGHT_LISTED;

        if (stamped && !store_clear(s->store, sight->stamp, snapshot->started))
            return false;
        put_sight(out, sight);
    }
    put_sight(out, &self);
    put_sight(out, &log);
    *n += snapshot->nseen + 2;
    return self.kind == SIGHT_FILE && log.kind == SIGHT_FILE;
}

/* The files of the artifacts, with the stamps that the log vouches for. */
static bool put_outputs(struct session *s, struct buf *out, uint32_t *n)
{
    unsigned char boot[BOOT_BYTES];

    boot_id(boot);
    for (uint32_t a = 0; a < s->summary.nartifact; a++) {
        const char *path = s->summary.artifact[a].path;
        const struct artifact_record *record = store_artifact(s->store, path);

        if (!record || memcmp(record->boot, boot, BOOT_BYTES) != 0)
            return false;
        for (uint32_t f = 0; f < record->nfile; f++, ++*n) {
            const char *file = artifact_file(s->arena, path, record->file[f].path);
            const struct sight sight = {file, SIGHT_FILE, record->file[f].stamp};

            put_sight(out, &sight);
        }
    }
    return true;
}

/* What a build with nothing to do counts: the tensors of the artifacts, each once. */
static void put_counts(const struct session *s, struct buf *out)
{
    const struct recipe *r = &s->recipe;
    bool *seen = arena_array(s->arena, graph_nodes(r->graph), sizeof(*seen));
    uint32_t hit = 0, alias = 0;

    for (uint32_t a = 0; a < r->nartifact; a++)
        for (uint32_t f = 0; f < r->artifact[a].nfile; f++)
            for (uint32_t e = 0; e < r->artifact[a].file[f].nextent; e++) {
                const struct node_id id = r->artifact[a].file[f].extent[e].node;
                const bool source = !graph_node(r->graph, id)->call.op;

                alias += !seen[id.i] && source;
                hit += !seen[id.i] && !source;
                seen[id.i] = true;
            }
    buf_u32(out, hit);
    buf_u32(out, alias);
}

static void put_rest(const struct session *s, struct buf *out)
{
    put_counts(s, out);
    buf_u32(out, s->summary.nartifact);
    for (uint32_t a = 0; a < s->summary.nartifact; a++)
        put_artifact(out, &s->summary.artifact[a]);
    buf_u32(out, s->snapshot.nsaid);
    for (uint32_t i = 0; i < s->snapshot.nsaid; i++) {
        buf_u8(out, s->snapshot.said[i].warning);
        put_text(out, s->snapshot.said[i].text);
    }
}

void snapshot_save(struct session *s)
{
    struct buf sights = {0}, bytes = {0};
    unsigned char boot[BOOT_BYTES];
    uint32_t n = 0;
    struct err err;

    if (s->snapshot.wanted && put_inputs(s, &sights, &n) && put_outputs(s, &sights, &n)) {
        boot_id(boot);
        buf_put(&bytes, boot, BOOT_BYTES);
        buf_u32(&bytes, n);
        buf_put(&bytes, sights.data, sights.size);
        put_rest(s, &bytes);
        if (!store_put_last(s->store, s->snapshot.key, bytes.data, bytes.size, &err))
            msg_verbose("no snapshot is kept: %s", err.text); /* the next build evaluates */
    }
    buf_finish(&sights);
    buf_finish(&bytes);
}
