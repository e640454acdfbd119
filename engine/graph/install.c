#include "graph/install.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool sync_dir(const char *path, struct err *err)
{
    struct arena *arena = arena_new();
    const int fd = open(path_dir(arena, path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (!ok)
        err_sys(err, "%s: fsync of its folder", path);
    file_close(fd);
    arena_free(arena);
    return ok;
}

static bool in_artifact(const struct artifact *art, const char *name)
{
    for (uint32_t f = 0; f < art->nfile; f++)
        if (strcmp(art->file[f].path, name) == 0)
            return true;
    return false;
}

static bool in_record(const struct artifact_record *record, const char *name)
{
    for (uint32_t f = 0; record && f < record->nfile; f++)
        if (strcmp(record->file[f].path, name) == 0)
            return true;
    return false;
}

static bool is_weights(const char *name)
{
    const size_t n = strlen(name), ext = strlen(".safetensors");

    return n > ext && strcmp(name + n - ext, ".safetensors") == 0;
}

/* *FOREIGN: there are files in PATH that vbuild did not write. */
static bool look_at_folder(const struct artifact *art, const struct artifact_record *record,
                           const char *path, bool *foreign, struct err *err)
{
    struct arena *arena = arena_new();
    char **name;
    size_t n;
    bool ok = dir_list(path, arena, &name, &n, err);

    *foreign = false;
    for (size_t i = 0; ok && i < n; i++) {
        if (in_record(record, name[i]))
            continue;
        *foreign = true;
        if (is_weights(name[i]) && !in_artifact(art, name[i]))
            ok = err_set(err, ERR_IO,
                         "%s: holds weights that are not of this build (%s); move them away or "
                         "choose another name",
                         path, name[i]);
    }
    arena_free(arena);
    return ok;
}

static bool rename_in(const char *from_dir, const char *to_dir, const char *name, struct err *err)
{
    struct arena *arena = arena_new();
    const char *to = path_join(arena, to_dir, name);
    const bool ok = rename(path_join(arena, from_dir, name), to) == 0 || err_sys(err, "%s", to);

    arena_free(arena);
    return ok;
}

/* Weights first, what names them (config, index) last: a reader never sees new names for old
 * bytes. Then what an earlier build of this artifact left and this one does not have. */
static bool rename_each(const struct artifact *art, const struct artifact_record *record,
                        const char *temp, const char *path, struct err *err)
{
    struct arena *arena = arena_new();
    bool ok = true;

    for (int last = 0; last <= 1; last++)
        for (uint32_t f = 0; ok && f < art->nfile; f++)
            if (is_weights(art->file[f].path) != last)
                ok = rename_in(temp, path, art->file[f].path, err);
    for (uint32_t f = 0; ok && record && f < record->nfile; f++)
        if (!in_artifact(art, record->file[f].path))
            ok = dir_remove(path_join(arena, path, record->file[f].path), err);
    arena_free(arena);
    return ok;
}

static bool swap(const char *temp, const char *path, struct err *err)
{
    FAULT("artifact_swap");
    if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return err_sys(err, "%s", path);
    /* No exchange here: two renames; the old folder becomes a temporary of ours. */
    struct arena *arena = arena_new();
    const char *old = arena_printf(arena, "%s.old", temp);
    bool ok = rename(path, old) == 0 && rename(temp, path) == 0;

    ok = ok ? dir_remove(old, err) : err_sys(err, "%s", path);
    arena_free(arena);
    return ok;
}

static bool install_folder(const struct artifact *art, const struct artifact_record *record,
                           const char *temp, const char *path, struct err *err)
{
    struct stat st;
    bool foreign;

    if (lstat(path, &st) != 0) {
        if (errno != ENOENT)
            return err_sys(err, "%s", path);
        return rename(temp, path) == 0 || err_sys(err, "%s", path);
    }
    if (!file_is_dir(path))
        return err_set(err, ERR_IO, "%s: a file stands where the folder is to be", path);
    if (!look_at_folder(art, record, path, &foreign, err))
        return false;
    if (foreign || S_ISLNK(st.st_mode))
        return rename_each(art, record, temp, path, err);
    return swap(temp, path, err);
}

static bool is_free(const char *path, struct err *err)
{
    return !file_is_dir(path) ||
           err_set(err, ERR_IO, "%s: a folder stands where the file is to be", path);
}

/* From the last to the first. The old first goes before: it opens the whole set, and must never
 * be found beside files of another build. */
static bool install_set(const struct artifact *art, const char *temp, const char *path,
                        struct err *err)
{
    struct arena *arena = arena_new();
    bool ok = true;

    for (uint32_t f = 0; ok && f < art->nfile; f++)
        ok = is_free(artifact_file(arena, path, art->file[f].path), err);
    ok = ok && dir_remove(path, err);
    for (uint32_t f = art->nfile; ok && f-- > 0;) {
        const char *to = artifact_file(arena, path, art->file[f].path);

        FAULT("artifact_swap");
        ok = rename(path_join(arena, temp, path_base(to)), to) == 0 || err_sys(err, "%s", to);
    }
    arena_free(arena);
    return ok;
}

bool install_may(const struct artifact *art, const struct artifact_record *record, const char *path,
                 struct err *err)
{
    struct arena *arena = arena_new();
    bool foreign, ok = true;

    if (!art->folder)
        for (uint32_t f = 0; ok && f < art->nfile; f++)
            ok = is_free(artifact_file(arena, path, art->file[f].path), err);
    else if (file_is_dir(path))
        ok = look_at_folder(art, record, path, &foreign, err);
    else if (file_exists(path))
        ok = err_set(err, ERR_IO, "%s: a file stands where the folder is to be", path);
    arena_free(arena);
    return ok;
}

bool install(const struct artifact *art, const struct artifact_record *record, const char *temp,
             const char *path, bool durable, struct err *err)
{
    bool ok;

    if (art->folder)
        ok = install_folder(art, record, temp, path, err);
    else if (artifact_is_set(art))
        ok = install_set(art, temp, path, err);
    else
        ok = is_free(path, err) && (rename(temp, path) == 0 || err_sys(err, "%s", path));
    return ok && (!durable || sync_dir(path, err));
}
