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

/* The old files that stand as they were recorded, open; -1 for others. */
static int *open_old(const struct settling *s, uint32_t a, struct arena *arena)
{
    const struct artifact_record *record = s->record[a];
    int *fd = arena_array(arena, record->nfile, sizeof(*fd));

    for (uint32_t f = 0; f < record->nfile; f++) {
        const char *name = record->file[f].path;
        struct err err;

        fd[f] = -1;
        if (file_stands(s, a, f, arena) &&
            !file_open(name[0] ? path_join(arena, s->path[a], name) : s->path[a], &fd[f], &err))
            fd[f] = -1;
    }
    return fd;
}

/* The same bytes in the old artifact, or false. */
static bool find_piece(const struct settling *s, uint32_t a, const struct extent *x, const int *old,
                       struct piece *out)
{
    const struct artifact_entry *e = record_entry(s->record[a], x->name);
    const struct settled *n = &s->node[x->node.i];

    if (!e || !n->d_known || !digest_eq(e->d, n->d) || e->size != x->size ||
        e->form != extent_form(x) || old[e->file] < 0)
        return false;
    *out = (struct piece){e->offset, x->offset, x->size, e->file};
    return true;
}

uint32_t reuse_extents(const struct settling *s, uint32_t a, uint32_t f, int fd, bool *done,
                       uint64_t *bytes)
{
    const struct out_file *file = &s->artifact[a].file[f];
    struct piece run = {0}, next = {0};
    unsigned char boot[16];
    uint32_t first = 0, count = 0; /* extents of the run begin at FIRST */

    boot_id(boot);
    if (!s->record[a] || s->options->force || memcmp(boot, s->record[a]->boot, sizeof(boot)) != 0)
        return 0;
    struct arena *arena = arena_new();
    int *old = open_old(s, a, arena);

    for (uint32_t e = 0; e <= file->nextent; e++) {
        const bool found = e < file->nextent && find_piece(s, a, &file->extent[e], old, &next);

        if (found && joins(&run, &next)) {
            run.size = next.to + next.size - run.to;
            continue;
        }
        if (run.size && copy_piece(&run, old[run.file], fd))
            for (uint32_t k = first; k < e; k++) {
                done[k] = true;
                count++;
                *bytes += file->extent[k].size;
            }
        run = found ? next : (struct piece){0};
        first = e;
    }
    for (uint32_t i = 0; i < s->record[a]->nfile; i++)
        file_close(old[i]);
    arena_free(arena);
    return count;
}
