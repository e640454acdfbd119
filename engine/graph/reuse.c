#include "graph/reuse.h"

#include "base/fault.h"

#include <string.h>
#include <unistd.h>

struct piece { /* of one old file, to one new one */
    uint64_t from, to, size;
    uint32_t file;
};

static bool copy_piece(const struct piece *p, int old, int fd)
{
    off_t from = (off_t)p->from, to = (off_t)p->to;

    FAULT("artifact_reuse");
    for (uint64_t left = p->size; left;) {
        const ssize_t n = copy_file_range(old, &from, fd, &to, left, 0);

        if (n <= 0)
            return false;
        left -= (uint64_t)n;
    }
    return true;
}

/* Does P go on where the run ends, in both files? Then they are one copy. */
static bool joins(const struct piece *run, const struct piece *p)
{
    return run->size && run->file == p->file && p->to == run->to + run->size &&
           p->from == run->from + run->size;
}

struct reuse {
    const struct settling *s;
    uint32_t a;
    struct arena *arena;
    int *fd; /* of the old files that stand as they were recorded; -1 for others */
};

struct reuse *reuse_open(const struct settling *s, uint32_t a)
{
    const struct artifact_record *record = s->record[a];
    unsigned char boot[16];

    boot_id(boot);
    if (!record || s->options->force || memcmp(boot, record->boot, sizeof(boot)) != 0)
        return NULL;
    struct arena *arena = arena_new();
    struct reuse *out = arena_alloc(arena, sizeof(*out));

    *out = (struct reuse){s, a, arena, arena_array(arena, record->nfile, sizeof(*out->fd))};
    for (uint32_t f = 0; f < record->nfile; f++) {
        struct err err;

        out->fd[f] = -1;
        if (file_stands(s, a, f, arena) &&
            !file_open(artifact_file(arena, s->path[a], record->file[f].path), &out->fd[f], &err))
            out->fd[f] = -1;
    }
    return out;
}

void reuse_close(struct reuse *reuse)
{
    if (!reuse)
        return;
    for (uint32_t f = 0; f < reuse->s->record[reuse->a]->nfile; f++)
        file_close(reuse->fd[f]);
    arena_free(reuse->arena);
}

/* The same bytes in the old artifact, or false. */
static bool find_piece(const struct reuse *reuse, const struct extent *x, struct piece *out)
{
    const struct artifact_entry *e = record_entry(reuse->s->record[reuse->a], x->name);
    const struct settled *n = &reuse->s->node[x->node.i];

    if (!e || !n->d_known || !digest_eq(e->d, n->d) || e->size != x->size ||
        e->form != extent_form(x) || reuse->fd[e->file] < 0)
        return false;
    *out = (struct piece){e->offset, x->offset, x->size, e->file};
    return true;
}

uint32_t reuse_extents(const struct reuse *reuse, uint32_t f, int fd, bool *done, uint64_t *bytes)
{
    struct piece run = {0}, next = {0};
    uint32_t first = 0, count = 0; /* extents of the run begin at FIRST */

    if (!reuse)
        return 0;
    const struct out_file *file = &reuse->s->artifact[reuse->a].file[f];

    for (uint32_t e = 0; e <= file->nextent; e++) {
        const bool found = e < file->nextent && find_piece(reuse, &file->extent[e], &next);

        if (found && joins(&run, &next)) {
            run.size = next.to + next.size - run.to;
            continue;
        }
        if (run.size && copy_piece(&run, reuse->fd[run.file], fd))
            for (uint32_t k = first; k < e; k++) {
                done[k] = true;
                count++;
                *bytes += file->extent[k].size;
            }
        run = found ? next : (struct piece){0};
        first = e;
    }
    return count;
}

bool reuse_extent(const struct reuse *reuse, uint32_t f, uint32_t e, int fd)
{
    struct piece piece;

    return reuse && find_piece(reuse, &reuse->s->artifact[reuse->a].file[f].extent[e], &piece) &&
           copy_piece(&piece, reuse->fd[piece.file], fd);
}
