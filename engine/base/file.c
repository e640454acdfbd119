#include "base/file.h"

#include "base/witness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

bool stamp_eq(struct stamp a, struct stamp b)
{
    return a.dev == b.dev && a.ino == b.ino && a.size == b.size && a.mtime_ns == b.mtime_ns &&
           a.ctime_ns == b.ctime_ns;
}

static int64_t in_ns(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct stamp stamp_of(const struct stat *st)
{
    return (struct stamp){(uint64_t)st->st_dev, (uint64_t)st->st_ino, (uint64_t)st->st_size,
                          in_ns(st->st_mtim), in_ns(st->st_ctim)};
}

bool file_stamp(const char *path, struct stamp *out, struct err *err)
{
    struct stat st;

    witness_tell(path, false);
    if (stat(path, &st) != 0)
        return err_sys(err, "%s", path);
    *out = stamp_of(&st);
    return true;
}

bool file_stamp_fd(int fd, const char *path, struct stamp *out, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return err_sys(err, "%s", path);
    *out = stamp_of(&st);
    return true;
}

bool file_exists(const char *path)
{
    witness_tell(path, false);
    return access(path, F_OK) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat st;

    witness_tell(path, false);
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool file_open(const char *path, int *fd, struct err *err)
{
    struct stat st;

    witness_tell(path, false);
    const int got = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (got < 0)
        return err_sys(err, "%s", path);
    if (fstat(got, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(got);
        return err_set(err, ERR_IO, "%s: not a regular file", path);
    }
    *fd = got;
    return true;
}

void file_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

bool file_read_at(int fd, const char *path, void *to, size_t n, uint64_t offset, struct err *err)
{
    for (size_t done = 0; done < n;) {
        const ssize_t got = pread(fd, (char *)to + done, n - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, "%s: reading at byte %llu", path,
                           (unsigned long long)(offset + done));
        if (got == 0)
            return err_set(err, ERR_CHANGED,
                           "%s: ends at byte %llu while bytes up to %llu were being read; "
                           "the file changed, build again",
                           path, (unsigned long long)(offset + done),
                           (unsigned long long)(offset + n));
        done += (size_t)got;
    }
    return true;
}

bool file_write_at(int fd, const char *path, const void *from, size_t n, uint64_t offset,
                   struct err *err)
{
    for (size_t done = 0; done < n;) {
        const ssize_t put = pwrite(fd, (const char *)from + done, n - done, (off_t)(offset + done));

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return err_sys(err, "%s: writing", path);
        done += (size_t)put;
    }
    return true;
}

bool file_read(const char *path, uint64_t limit, struct arena *arena, char **text, size_t *size,
               struct err *err)
{
    struct stamp stamp;
    int fd;

    if (!file_open(path, &fd, err))
        return false;
    bool ok = file_stamp_fd(fd, path, &stamp, err);

    if (ok && stamp.size > limit)
        ok = err_set(err, ERR_LIMIT, "%s: %llu bytes, at most %llu are expected", path,
                     (unsigned long long)stamp.size, (unsigned long long)limit);
    if (ok) {
        char *got = arena_alloc(arena, (size_t)stamp.size + 1);

        ok = file_read_at(fd, path, got, (size_t)stamp.size, 0, err);
        if (ok) {
            *text = got;
            *size = (size_t)stamp.size;
        }
    }
    close(fd);
    return ok;
}

bool file_replace(const char *path, const void *bytes, size_t n, struct err *err)
{
    struct arena *arena = arena_new();
    char *temp = temp_name(arena, path);
    const int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok = fd >= 0 ? file_write_at(fd, temp, bytes, n, 0, err) : err_sys(err, "%s", temp);

    if (fd >= 0 && close(fd) != 0 && ok)
        ok = err_sys(err, "%s", temp);
    if (ok && rename(temp, path) != 0)
        ok = err_sys(err, "%s", path);
    if (!ok && fd >= 0)
        unlink(temp);
    arena_free(arena);
    return ok;
}

bool filemap_open_head(struct filemap *map, const char *path, uint64_t head, struct err *err)
{
    static const unsigned char empty[1];
    struct stamp stamp;
    int fd;

    if (!file_open(path, &fd, err))
        return false;
    if (!file_stamp_fd(fd, path, &stamp, err)) {
        close(fd);
        return false;
    }
    const uint64_t n = stamp.size < head ? stamp.size : head;
    void *p = n ? mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;

    close(fd);
    if (n && p == MAP_FAILED)
        return err_sys(err, "%s: mapping", path);
    *map = (struct filemap){n ? p : empty, stamp.size, n < stamp.size ? n : 0};
    return true;
}

bool filemap_open(struct filemap *map, const char *path, struct err *err)
{
    return filemap_open_head(map, path, UINT64_MAX, err);
}

uint64_t filemap_bytes(const struct filemap *map)
{
    return map->head ? map->head : map->size;
}

void filemap_close(struct filemap *map)
{
    if (map->data && map->size)
        munmap((void *)(uintptr_t)map->data, filemap_bytes(map));
    *map = (struct filemap){0};
}

bool dir_make(const char *path, struct err *err)
{
    char *copy = strdup(path);
    bool ok = copy != NULL;

    for (char *slash = ok ? strchr(copy + 1, '/') : NULL; ok; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = 0;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST && !(errno == EROFS && file_is_dir(copy)))
            ok = err_sys(err, "%s", copy);
        if (!slash)
            break;
        *slash = '/';
    }
    if (ok && !file_is_dir(copy))
        ok = err_set(err, ERR_IO, "%s: is not a folder", path);
    free(copy);
    return ok;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool dir_list(const char *path, struct arena *arena, char ***names, size_t *count, struct err *err)
{
    char **list = NULL;
    size_t n = 0;

    witness_tell(path, true);
    DIR *dir = opendir(path);

    if (!dir)
        return err_sys(err, "%s", path);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if ((n & (n - 1)) == 0)
            list = mem_grow(list, (n ? 2 * n : 1) * sizeof(*list));
        list[n++] = arena_strdup(arena, entry->d_name);
    }
    closedir(dir);
    *names = arena_array(arena, n, sizeof(**names));
    if (n) {
        memcpy(*names, list, n * sizeof(*list));
        qsort(*names, n, sizeof(**names), by_bytes);
    }
    mem_free(list);
    *count = n;
    return true;
}

bool dir_remove(const char *path, struct err *err)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? true : err_sys(err, "%s", path);
    if (!S_ISDIR(st.st_mode))
        return unlink(path) == 0 || errno == ENOENT ? true : err_sys(err, "%s", path);
    struct arena *arena = arena_new();
    char **names;
    size_t n;
    bool ok = dir_list(path, arena, &names, &n, err);

    for (size_t i = 0; ok && i < n; i++)
        ok = dir_remove(path_join(arena, path, names[i]), err);
    if (ok && rmdir(path) != 0 && errno != ENOENT)
        ok = err_sys(err, "%s", path);
    arena_free(arena);
    return ok;
}

char *path_join(struct arena *arena, const char *dir, const char *name)
{
    const size_t n = strlen(dir);

    if (name[0] == '/' || n == 0 || strcmp(dir, ".") == 0)
        return arena_strdup(arena, name);
    return arena_printf(arena, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

char *path_dir(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return arena_strdup(arena, ".");
    return slash == path ? arena_strdup(arena, "/")
                         : arena_strndup(arena, path, (size_t)(slash - path));
}

bool file_lock(const char *path, int *fd, bool *busy, struct err *err)
{
    const int got = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    int rc;

    if (got < 0)
        return err_sys(err, "%s", path);
    if (busy)
        *busy = false;
    do
        rc = flock(got, busy ? LOCK_EX | LOCK_NB : LOCK_EX);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && busy && errno == EWOULDBLOCK) {
        *busy = true;
        close(got);
        return true;
    }
    if (rc != 0) {
        close(got);
        return err_sys(err, "%s: locking", path);
    }
    *fd = got;
    return true;
}

uint64_t disk_free(const char *path)
{
    struct statvfs fs;

    return statvfs(path, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

void boot_id(unsigned char id[16])
{
    char text[64] = {0};
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    size_t nibble = 0;

    memset(id, 0, 16);
    if (fd < 0)
        return;
    if (read(fd, text, sizeof(text) - 1) > 0)
        for (const char *c = text; *c && nibble < 32; c++) {
            const int v = *c >= '0' && *c <= '9'   ? *c - '0'
                          : *c >= 'a' && *c <= 'f' ? *c - 'a' + 10
                                                   : -1;

            if (v >= 0) {
                id[nibble / 2] = (unsigned char)(id[nibble / 2] << 4 | v);
                nibble++;
            }
        }
    close(fd);
}

static int64_t read_clock(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return in_ns(t);
}

int64_t clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

/* The high water mark of this program's own memory: rusage would count that of the process which
 * started it, too, as it was before exec. */
uint64_t peak_rss_bytes(void)
{
    static const char key[] = "\nVmHWM:";
    char text[4096];
    struct rusage usage;
    const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    file_close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *at = strstr(text, key);

    if (at)
        return (uint64_t)strtoull(at + sizeof(key) - 1, NULL, 10) * 1024;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}
