/* scratch.c - memory that lies in the folder: of one process, gone with it */
#include "store/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* All of SIZE is taken now: a map of a file that cannot grow would end the process. */
static bool take_room(int fd, uint64_t size)
{
    int failed;

    do
        failed = posix_fallocate(fd, 0, (off_t)size);
    while (failed == EINTR);
    errno = failed == EFBIG ? ENOSPC : failed;
    return failed == 0;
}

bool store_scratch(struct store *store, uint64_t size, void **out, struct err *err)
{
    const uint64_t room = disk_free(store->dir), most = PTRDIFF_MAX;
    char name[TEMP_NAME];

    if (!store_writable(store, err))
        return false;
    if (size > room || size > most)
        return err_set(err, ERR_SPACE,
                       "%s: room for %llu bytes of unfinished work is needed, and %llu are free",
                       store->dir, (unsigned long long)size, (unsigned long long)room);
    store_temp(store, name);
    const int fd = openat(store->root, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_sys(err, "%s/%s", store->dir, name);
    void *p = MAP_FAILED;

    if (unlinkat(store->root, name, 0) == 0 && take_room(fd, size ? size : 1))
        p = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    const bool ok = p != MAP_FAILED || err_sys(err, "%s: %llu bytes for unfinished work",
                                               store->dir, (unsigned long long)size);

    close(fd);
    if (ok)
        *out = p;
    return ok;
}
