#include "graph/outputs.h"

#include "base/fault.h"
#include "base/msg.h"
#include "graph/adopt.h"
#include "graph/install.h"
#include "graph/manifest.h"
#include "graph/reuse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct output {
    bool open;         /* a temporary exists */
    bool failed;       /* an extent cannot be had */
    bool adopted;      /* the temporary was begun by a build that was killed */
    bool *kept;        /* of each file: adopted as it is */
    struct reuse *old; /* the artifact that stands, or NULL */
    char *temp;        /* file, or folder of a folder's or a set's files */
    const char **path; /* of each file, inside the temporary */
    int *fd;           /* of each file */
    bool **done;       /* of each file's extents */
    uint32_t waits;    /* extents not done yet */
};

struct outputs {
    struct settling *s;
    const struct build_events *events;
    struct build_report *report;
    struct output *out;
    pthread_mutex_t lock;
    uint64_t bytes;
    struct arena *arena;
};

static uint64_t size_of(const struct artifact *art)
{
    uint64_t bytes = 0;

    for (uint32_t f = 0; f < art->nfile; f++)
        bytes += art->file[f].size;
    return bytes;
}

/* A drop-in, which writes no manifest, is given its folder in other words. */
static const char *how_to_choose(const struct settling *s)
{
    return s->options->no_manifest ? "" : " with -o";
}

/* The disk must hold all that will be written, before the first byte is (exit 5). */
static bool check_room(const struct outputs *o, struct err *err)
{
    const struct settling *s = o->s;
    const uint64_t room = disk_free(s->options->out_dir);
    uint64_t want = 0;

    for (uint32_t a = 0; a < s->nartifact; a++)
        want += s->fresh[a] ? 0 : size_of(&s->artifact[a]);
    if (want > room)
        return err_set(err, ERR_SPACE,
                       "%s: %" PRIu64 " bytes are needed for the artifacts, %" PRIu64
                       " are free; make room or choose another folder%s",
                       s->options->out_dir, want, room, how_to_choose(s));
    return true;
}

/* A file of an adopted temporary that is as it must be is gone on with; any other is removed. */
static bool take_over(struct output *out, const struct out_file *file, uint32_t f, struct err *err)
{
    const int fd = open(out->path[f], O_RDWR | O_NOFOLLOW | O_CLOEXEC);

    out->kept[f] = fd >= 0 && adopt_file(fd, out->path[f], file);
    if (out->kept[f]) {
        out->fd[f] = fd;
        return true;
    }
    file_close(fd);
    return dir_remove(out->path[f], err);
}

static bool open_file(struct output *out, const struct out_file *file, uint32_t f, struct err *err)
{
    if (out->adopted && !take_over(out, file, f, err))
        return false;
    if (out->kept[f])
        return true;
    const int fd = open(out->path[f], O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);

    if (fd < 0)
        return err_sys(err, "%s", out->path[f]);
    out->fd[f] = fd;
    if (file->size) { /* an old file system may refuse to reserve: a hole serves then */
        const int code = posix_fallocate(fd, 0, (off_t)file->size);

        errno = code;
        if (code == ENOSPC || code == EDQUOT)
            return err_sys(err, "%s", out->path[f]);
        if (code && ftruncate(fd, (off_t)file->size) != 0)
            return err_sys(err, "%s", out->path[f]);
    }
    FAULT("artifact_head");
    return file_write_at(fd, out->path[f], file->head, file->head_size, 0, err);
}

/* Are the bytes of an extent in the adopted temporary already? */
static bool standing(const struct outputs *o, uint32_t a, uint32_t f, uint32_t e)
{
    const struct output *out = &o->out[a];

    return out->kept[f] &&
           adopt_extent(o->s, &o->s->artifact[a].file[f].extent[e], out->fd[f], out->path[f]);
}

static bool open_artifact(struct outputs *o, uint32_t a, struct err *err)
{
    const struct artifact *art = &o->s->artifact[a];
    struct output *out = &o->out[a];

    out->open = true;
    out->path = arena_array(o->arena, art->nfile, sizeof(*out->path));
    out->fd = arena_array(o->arena, art->nfile, sizeof(*out->fd));
    out->done = arena_array(o->arena, art->nfile, sizeof(*out->done));
    for (uint32_t f = 0; f < art->nfile; f++)
        out->fd[f] = -1;
    const bool in_folder = art->folder || artifact_is_set(art);

    out->adopted = out->adopted && file_is_dir(out->temp) == in_folder;
    if (!out->adopted && !dir_remove(out->temp, err))
        return false;
    if (in_folder && !dir_make(out->temp, err))
        return false;
    if (in_folder && out->adopted)
        adopt_clean(art, out->temp);
    FAULT("artifact_open");
    out->kept = arena_array(o->arena, art->nfile, sizeof(*out->kept));
    out->old = reuse_open(o->s, a);
    for (uint32_t f = 0; f < art->nfile; f++) {
        const char *path = artifact_file(o->arena, o->s->path[a], art->file[f].path);

        out->path[f] = in_folder ? path_join(o->arena, out->temp, path_base(path)) : out->temp;
        if (!open_file(out, &art->file[f], f, err))
            return false;
        out->waits += art->file[f].nextent;
        out->done[f] = arena_array(o->arena, art->file[f].nextent, sizeof(bool));
    }
    uint64_t copied = 0;

    for (uint32_t f = 0; f < art->nfile; f++) {
        out->waits -= reuse_extents(out->old, f, out->fd[f], out->done[f], &copied);
        for (uint32_t e = 0; out->kept[f] && e < art->file[f].nextent; e++)
            if (!out->done[f][e] && standing(o, a, f, e)) {
                out->done[f][e] = true;
                out->waits--;
                copied += art->file[f].extent[e].size;
            }
    }
    o->bytes += copied;
    return true;
}

/* Where the system refused, say what to do about it. */
static void cannot_open(const struct settling *s, struct err *err)
{
    const struct err why = *err;

    if (why.code == ERR_IO)
        err_set(err, ERR_IO,
                "%s cannot be written (%s); make it writable or choose another folder%s",
                s->options->out_dir, why.text, how_to_choose(s));
}

/* Before hours of work: is there an output that nothing may be put in the place of? With
 * keep_going the others are built all the same. */
static bool places_are_free(const struct settling *s, struct err *err)
{
    for (uint32_t a = 0; a < s->nartifact && !s->options->keep_going; a++)
        if (!s->fresh[a] && !install_may(&s->artifact[a], s->record[a], s->path[a], err))
            return false;
    return true;
}

bool outputs_open(struct outputs **result, struct settling *s, const struct build_events *events,
                  struct build_report *report, struct err *err)
{
    if (!places_are_free(s, err))
        return false;
    struct arena *arena = arena_new();
    struct outputs *o = arena_alloc(arena, sizeof(*o));
    bool any = false;

    *o = (struct outputs){.s = s, .events = events, .report = report, .arena = arena};
    pthread_mutex_init(&o->lock, NULL);
    o->out = arena_array(arena, s->nartifact, sizeof(*o->out));
    for (uint32_t a = 0; a < s->nartifact; a++)
        any |= !s->fresh[a];
    bool ok = !any || dir_make(s->options->out_dir, err);

    for (uint32_t a = 0; ok && a < s->nartifact; a++) {
        o->out[a].temp = temp_name(arena, s->path[a]);
        o->out[a].adopted =
            !s->fresh[a] && !s->options->force && temp_adopt(s->path[a], o->out[a].temp);
    }
    if (ok && any)
        temp_sweep(s->options->out_dir);
    ok = ok && (!any || check_room(o, err));
    for (uint32_t a = 0; ok && a < s->nartifact; a++)
        ok = s->fresh[a] || open_artifact(o, a, err);
    if (!ok) {
        cannot_open(s, err);
        outputs_close(o, false);
        return false;
    }
    *result = o;
    return true;
}

bool outputs_wants(const struct outputs *o, struct use use)
{
    const struct output *out = &o->out[use.artifact];

    return out->open && !out->failed && !out->done[use.file][use.extent];
}

bool outputs_write(struct outputs *o, struct use use, int64_t first, int64_t n, const void *bytes,
                   struct err *err)
{
    const struct extent *x = &o->s->artifact[use.artifact].file[use.file].extent[use.extent];
    const struct tensor *t = graph_tensor(o->s->graph, x->node);
    const struct output *out = &o->out[use.artifact];
    const size_t size = (size_t)tensor_span(t, n);
    const uint64_t at = x->offset + tensor_span(t, first);
    bool ok;

    if (!size)
        return true;
    FAULT("artifact_write");
    if (x->map.kind == ROWMAP_NONE) {
        ok = file_write_at(out->fd[use.file], out->path[use.file], bytes, size, at, err);
    } else { /* the range is whole heads: its rows stay inside it */
        const size_t row = (size_t)tensor_span(t, tensor_slab(t));
        void *rows = mem_grow(NULL, size);

        rowmap_apply(x->map, bytes, rows, n / tensor_slab(t), row);
        ok = file_write_at(out->fd[use.file], out->path[use.file], rows, size, at, err);
        mem_free(rows);
    }
    if (ok)
        __atomic_add_fetch(&o->bytes, size, __ATOMIC_RELAXED);
    return ok;
}

/* No source may have changed since its header was read: what was built would be a mixture. */
static bool sources_stand(const struct settling *s, struct err *err)
{
    for (uint32_t f = 0; f < graph_files(s->graph); f++) {
        const struct graph_file *file = graph_file(s->graph, f);
        struct stamp now;

        if (!file_stamp(file->path, &now, err))
            return false;
        if (!stamp_eq(now, file->stamp))
            return err_set(err, ERR_CHANGED,
                           "%s: the source changed while it was used; build again", file->shown);
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct artifact_entry *)a)->name,
                  ((const struct artifact_entry *)b)->name);
}

/* The record by which the next build knows the artifact and explains changes to it. */
static bool put_record(struct outputs *o, uint32_t a, struct digest digest, struct err *err)
{
    const struct settling *s = o->s;
    const struct artifact *art = &s->artifact[a];
    struct arena *arena = arena_new();
    struct artifact_record record = {.path = s->path[a], .digest = digest, .nfile = art->nfile};
    bool ok = true;

    boot_id(record.boot);
    record.file = arena_array(arena, art->nfile, sizeof(*record.file));
    for (uint32_t f = 0; f < art->nfile; f++)
        record.nentry += art->file[f].nextent;
    record.entry = arena_array(arena, record.nentry, sizeof(*record.entry));
    record.nentry = 0;
    for (uint32_t f = 0; ok && f < art->nfile; f++) {
        const struct out_file *file = &art->file[f];
        const char *path = artifact_file(arena, s->path[a], file->path);

        record.file[f].path = file->path;
        ok = file_stamp(path, &record.file[f].stamp, err);
        for (uint32_t e = 0; e < file->nextent; e++) {
            const struct extent *x = &file->extent[e];
            const struct settled *n = &s->node[x->node.i];

            record.entry[record.nentry++] = (struct artifact_entry){
                x->name,       node_shallow(s, x->node.i), n->q, n->d, f, x->offset, x->size,
                extent_form(x)};
        }
    }
    qsort(record.entry, record.nentry, sizeof(*record.entry), by_name);
    FAULT("artifact_record");
    ok = ok && (store_put_artifact(s->store, &record, err) || cache_failed(err));
    arena_free(arena);
    return ok;
}

static bool put_manifest(struct outputs *o, uint32_t a, struct digest digest, struct err *err)
{
    struct buf text = {0};
    char *path = arena_printf(o->arena, "%s.manifest.json", o->s->path[a]);

    if (o->s->options->no_manifest && !file_exists(path))
        return true;
    manifest_text(o->s, a, digest, &text);
    FAULT("manifest");
    const bool ok = file_replace(path, text.data, text.size, err);

    buf_finish(&text);
    return ok;
}

static bool close_files(struct outputs *o, uint32_t a, struct err *err)
{
    struct output *out = &o->out[a];
    bool ok = true;

    for (uint32_t f = 0; f < o->s->artifact[a].nfile; f++) {
        if (out->fd[f] >= 0 && o->s->options->durable && ok && fsync(out->fd[f]) != 0)
            ok = err_sys(err, "%s", out->path[f]);
        if (out->fd[f] >= 0 && close(out->fd[f]) != 0 && ok)
            ok = err_sys(err, "%s", out->path[f]);
        out->fd[f] = -1;
    }
    return ok;
}

/* Every extent is in the temporary: give it its name, unless what stands there is the same. */
static bool finish(struct outputs *o, uint32_t a, struct err *err)
{
    struct settling *s = o->s;
    struct build_artifact *report = &o->report->artifact[a];
    const struct digest digest = artifact_digest(s, a);
    bool ok = close_files(o, a, err) && sources_stand(s, err);

    if (ok)
        settling_keep(s, a);
    report->written = ok && !s->fresh[a];
    if (report->written) {
        FAULT("artifact_rename");
        ok = install(&s->artifact[a], s->record[a], o->out[a].temp, s->path[a], s->options->durable,
                     err) &&
             put_manifest(o, a, digest, err) && put_record(o, a, digest, err);
    }
    o->out[a].open = false;
    o->out[a].failed = !ok;
    reuse_close(o->out[a].old);
    o->out[a].old = NULL;
    struct err ignored;

    if (!dir_remove(o->out[a].temp, &ignored))
        msg_warn("%s: could not be removed: %s", o->out[a].temp, ignored.text);
    report->failed = !ok;
    if (!ok)
        return false;
    report->digest = digest;
    if (o->events && o->events->artifact)
        o->events->artifact(o->events->self, &s->artifact[a], s->path[a], report->written);
    return true;
}

bool outputs_reuse(struct outputs *o, struct use use, struct err *err)
{
    const struct output *out = &o->out[use.artifact];
    const struct extent *x = &o->s->artifact[use.artifact].file[use.file].extent[use.extent];

    if (!standing(o, use.artifact, use.file, use.extent) &&
        !reuse_extent(out->old, use.file, use.extent, out->fd[use.file]))
        return true;
    __atomic_add_fetch(&o->bytes, x->size, __ATOMIC_RELAXED);
    return outputs_done(o, use, err);
}

bool outputs_done(struct outputs *o, struct use use, struct err *err)
{
    struct output *out = &o->out[use.artifact];
    bool ok = true;

    pthread_mutex_lock(&o->lock);
    out->done[use.file][use.extent] = true;
    if (--out->waits == 0 && out->open && !out->failed)
        ok = finish(o, use.artifact, err);
    pthread_mutex_unlock(&o->lock);
    return ok;
}

void outputs_fail(struct outputs *o, struct use use)
{
    pthread_mutex_lock(&o->lock);
    o->out[use.artifact].failed = true;
    o->report->artifact[use.artifact].failed = true;
    pthread_mutex_unlock(&o->lock);
}

bool outputs_settle(struct outputs *o, struct err *err)
{
    for (uint32_t a = 0; a < o->s->nartifact; a++)
        if (o->out[a].open && !o->out[a].failed && !o->out[a].waits && !finish(o, a, err))
            return false;
    return true;
}

bool outputs_finished(const struct outputs *o, uint32_t a)
{
    return !o->out[a].open && !o->out[a].failed;
}

uint64_t outputs_bytes(const struct outputs *o)
{
    return __atomic_load_n(&o->bytes, __ATOMIC_RELAXED);
}

void outputs_close(struct outputs *o, bool keep)
{
    struct err err;

    if (!o)
        return;
    for (uint32_t a = 0; a < o->s->nartifact; a++) {
        struct output *out = &o->out[a];

        reuse_close(out->old);
        if (!out->open)
            continue;
        o->report->artifact[a].failed = true;
        for (uint32_t f = 0; out->fd && f < o->s->artifact[a].nfile; f++)
            file_close(out->fd[f]);
        if (!keep && !dir_remove(out->temp, &err))
            msg_warn("%s: could not be removed: %s", out->temp, err.text);
    }
    pthread_mutex_destroy(&o->lock);
    arena_free(o->arena);
}
