#include "graph/adopt.h"

#include <string.h>
#include <sys/stat.h>

enum { CHUNK = 1 << 20 };

/* Zeros from byte AT to byte TO. */
static bool clear(int fd, const char *path, uint64_t at, uint64_t to)
{
    static const unsigned char zeros[4096];
    struct err err;

    for (; at < to; at += sizeof(zeros))
        if (!file_write_at(fd, path, zeros, to - at < sizeof(zeros) ? to - at : sizeof(zeros), at,
                           &err))
            return false;
    return true;
}

bool adopt_file(int fd, const char *path, const struct out_file *file)
{
    struct stat st;
    struct err err;
    /* one of ours has no second name */
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
              (uint64_t)st.st_size == file->size;
    unsigned char *head = mem_grow(NULL, file->head_size + 1);

    ok = ok && file_read_at(fd, path, head, file->head_size, 0, &err) &&
         (!file->head_size || memcmp(head, file->head, file->head_size) == 0);
    mem_free(head);
    uint64_t at = file->head_size;

    for (uint32_t e = 0; ok && e < file->nextent; e++) {
        ok = clear(fd, path, at, file->extent[e].offset);
        at = file->extent[e].offset + file->extent[e].size;
    }
    return ok && clear(fd, path, at, file->size);
}

bool adopt_extent(const struct settling *s, const struct extent *extent, int fd, const char *path)
{
    const struct settled *n = &s->node[extent->node.i];

    /* a digest is of rows in the node's own order */
    if (!n->d_known || extent->map.kind != ROWMAP_NONE)
        return false;
    unsigned char *chunk = mem_grow(NULL, CHUNK);
    struct hasher *h = hasher_new();
    struct err err;
    bool ok = true;

    for (uint64_t at = 0; ok && at < extent->size;) {
        const size_t size = (size_t)(extent->size - at < CHUNK ? extent->size - at : CHUNK);

        ok = file_read_at(fd, path, chunk, size, extent->offset + at, &err);
        hasher_put(h, chunk, ok ? size : 0);
        at += size;
    }
    ok = digest_eq(hasher_digest(h), n->d) && ok;
    hasher_free(h);
    mem_free(chunk);
    return ok;
}

void adopt_clean(const struct artifact *artifact, const char *temp)
{
    struct arena *arena = arena_new();
    struct err err;
    char **name;
    size_t n;

    if (dir_list(temp, arena, &name, &n, &err))
        for (size_t i = 0; i < n; i++) {
            bool ours = false;

            for (uint32_t f = 0; f < artifact->nfile; f++) {
                const char *path = artifact_file(arena, artifact->name, artifact->file[f].path);

                ours |= strcmp(path_base(path), name[i]) == 0;
            }
            if (!ours && !dir_remove(path_join(arena, temp, name[i]), &err))
                break; /* whoever writes there will say what is wrong */
        }
    arena_free(arena);
}
