#include "base/fault.h"
#include "store/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file: head, key 16, digest of the bytes 16, the bytes. It stands in for all that a build would
 * look up, so nothing of it is believed unless all of it verifies. Its name is the key's first
 * byte: few files, however many recipes and options were tried. */
enum { HEAD = 8, FIXED = HEAD + 2 * 16, SNAPSHOT_MAX = 64 << 20 };
static const unsigned char head[HEAD] = "VBLAST1";

static bool right_format(const char *dir, struct arena *arena)
{
    struct err ignored;
    char *text;
    size_t n;

    return file_read(path_join(arena, dir, "FORMAT"), FORMAT_LIMIT, arena, &text, &n, &ignored) &&
           format_number(text, n) == FORMAT_NUMBER;
}

bool store_last(const char *dir, struct digest key, struct arena *arena, struct bytes *out)
{
    struct digest said;
    struct err ignored;
    char *got;
    size_t n;

    if (!file_read(path_join(arena, dir, arena_printf(arena, "last/%02x", key.b[0])), SNAPSHOT_MAX,
                   arena, &got, &n, &ignored) ||
        !right_format(dir, arena) || n < FIXED || memcmp(got, head, HEAD) != 0 ||
        memcmp(got + HEAD, key.b, sizeof(key.b)) != 0)
        return false;
    memcpy(said.b, got + HEAD + sizeof(key.b), sizeof(said.b));
    *out = (struct bytes){(const unsigned char *)got + FIXED, n - FIXED, 0};
    return digest_eq(said, hash_bytes(out->data, out->size));
}

/* In tmp/ first, where the next build sweeps what a kill leaves. */
static bool put_file(struct store *store, const char *name, const struct buf *file, struct err *err)
{
    char temp[TEMP_NAME];

    store_temp(store, temp);
    const int fd = openat(store->root, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return err_sys(err, "cache '%s': %s", store->dir, temp);
    bool ok = file_write_at(fd, temp, file->data, file->size, 0, err);

    if (close(fd) != 0 && ok)
        ok = err_sys(err, "%s", temp);
    FAULT("snapshot");
    if (ok && renameat(store->root, temp, store->root, name) != 0)
        ok = err_sys(err, "cache '%s': %s", store->dir, name);
    if (!ok)
        unlinkat(store->root, temp, 0);
    return ok;
}

bool store_put_last(struct store *store, struct digest key, const void *bytes, size_t n,
                    struct err *err)
{
    const struct digest d = hash_bytes(bytes, n);
    struct buf file = {0};
    char name[16];

    if (!store_writable(store, err))
        return false;
    if (mkdirat(store->root, "last", 0777) != 0 && errno != EEXIST)
        return err_sys(err, "cache '%s': last", store->dir);
    snprintf(name, sizeof(name), "last/%02x", key.b[0]);
    buf_put(&file, head, HEAD);
    buf_put(&file, key.b, sizeof(key.b));
    buf_put(&file, d.b, sizeof(d.b));
    buf_put(&file, bytes, n);
    const bool ok = put_file(store, name, &file, err);

    buf_finish(&file);
    return ok;
}
