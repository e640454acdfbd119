#include "store/log.h"

#include "base/bytes.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 16, COPY_ROOM = 1 << 20 };
#define MAGIC 0x31524256u /* "VBR1" */

static const unsigned char head[HEAD] = "VBLOG1\0\0";

static uint64_t padded(uint64_t n)
{
    return (n + 7) & ~UINT64_C(7);
}

static bool verifies(const struct log *log, uint64_t at, uint32_t *n)
{
    const unsigned char *p = log->map + at;

    if (log->map_size - at < LOG_FRAME || bytes_le(p, 4) != MAGIC)
        return false;
    *n = (uint32_t)bytes_le(p + 4, 4);
    if (*n < LOG_PAYLOAD_MIN || *n > LOG_PAYLOAD_MAX || *n > log->map_size - at - LOG_FRAME)
        return false;
    return hash_u64(p + LOG_FRAME, *n, at) == bytes_le(p + 8, 8);
}

/* A record whose padding is cut off still counts: its end is then past the end of the file. */
static void walk(struct log *log, log_visit_fn visit, void *user)
{
    uint64_t at = HEAD, next = HEAD;
    uint32_t n = 0;

    log->bytes = 0;
    if (log->map_size >= HEAD && memcmp(log->map, head, HEAD) == 0)
        log->bytes = HEAD;
    else if (log->map_size)
        log->holes++; /* counts only if a record follows */
    while (next < log->map_size) {
        if (!verifies(log, next, &n)) {
            next += 8;
            continue;
        }
        log->holes += next != at;
        visit(user, log->map + next + LOG_FRAME, n);
        log->records++;
        at = next += LOG_FRAME + padded(n);
        log->bytes = at;
    }
    if (!log->records)
        log->holes = 0;
}

static bool map_file(struct log *log, int fd, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return err_sys(err, "%s", log->path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_CACHE, "%s: not a regular file; give another --cache", log->path);
    if (!st.st_size)
        return true;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);

    if (p == MAP_FAILED)
        return err_sys(err, "%s: mapping", log->path);
    log->map = p;
    log->map_size = (uint64_t)st.st_size;
    return true;
}

/* Leave a file that ends with a whole record (or holds the head alone). */
static bool trim(struct log *log, struct err *err)
{
    if (log->bytes != log->map_size && ftruncate(log->fd, (off_t)log->bytes) != 0)
        return err_sys(err, "%s: cutting its torn end", log->path);
    if (log->bytes)
        return true;
    if (!file_write_at(log->fd, log->path, head, HEAD, 0, err))
        return false;
    log->bytes = HEAD;
    return true;
}

bool log_open(struct log *log, char *path, bool write, log_visit_fn visit, void *user,
              struct err *err)
{
    struct err ignored;
    const int flags = write ? O_RDWR | O_CREAT : O_RDONLY | O_NONBLOCK;
    const int fd = open(path, flags | O_CLOEXEC, 0666);

    *log = (struct log){.path = path, .fd = -1};
    if (fd < 0)
        return write ? err_sys(err, "%s", path) : true;
    /* Only against a writer that cuts the tail while a reader walks it; where the file system
     * has no locks, that race is the smaller evil. */
    while (flock(fd, write ? LOCK_EX : LOCK_SH) != 0 && errno == EINTR)
        continue;
    bool ok = map_file(log, fd, write ? err : &ignored);

    if (ok)
        walk(log, visit, user);
    if (write && ok) {
        log->fd = fd;
        ok = trim(log, err);
    }
    flock(fd, LOCK_UN);
    if (!write || log->fd < 0)
        close(fd);
    return ok || !write;
}

void log_close(struct log *log)
{
    file_close(log->fd);
    if (log->map)
        munmap((void *)(uintptr_t)log->map, (size_t)log->map_size);
    *log = (struct log){.fd = -1};
}

bool log_may_be(const char *path)
{
    struct err ignored;
    unsigned char got[8];
    struct stamp stamp;
    int fd;

    if (!file_exists(path))
        return true;
    if (!file_open(path, &fd, &ignored))
        return false;
    bool ok = file_stamp_fd(fd, path, &stamp, &ignored);

    if (ok && stamp.size)
        ok = file_read_at(fd, path, got, sizeof(got), 0, &ignored) &&
             memcmp(got, head, sizeof(got)) == 0;
    close(fd);
    return ok;
}

void log_begin(struct buf *record)
{
    record->size = 0;
    buf_fill(record, 0, LOG_FRAME);
}

static void put_le(unsigned char *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

static void frame(unsigned char *p, uint32_t n, uint64_t at)
{
    put_le(p, MAGIC, 4);
    put_le(p + 4, n, 4);
    put_le(p + 8, hash_u64(p + LOG_FRAME, n, at), 8);
}

static bool append_locked(struct log *log, struct buf *record, uint32_t n, struct err *err)
{
    struct stat st;

    if (fstat(log->fd, &st) != 0)
        return err_sys(err, "%s", log->path);
    const uint64_t at = padded((uint64_t)st.st_size);

    frame(record->data, n, at);
    FAULT("log_append");
    if (FAULT_FAILS("log_write"))
        return err_sys(err, "%s: appending", log->path);
    if (!file_write_at(log->fd, log->path, record->data, record->size, at, err)) {
        if (ftruncate(log->fd, st.st_size) != 0)
            return err_in(err, "%s: its last record is torn", log->path);
        return false;
    }
    FAULT("log_appended");
    log->bytes = at + record->size;
    log->records++;
    return true;
}

bool log_append(struct log *log, struct buf *record, struct err *err)
{
    const size_t n = record->size - LOG_FRAME;

    if (n > LOG_PAYLOAD_MAX)
        return err_set(err, ERR_LIMIT, "%s: a record of %zu bytes, at most %d are taken", log->path,
                       n, LOG_PAYLOAD_MAX);
    buf_fill(record, 0, (size_t)(padded(n) - n));
    while (flock(log->fd, LOCK_EX) != 0 && errno == EINTR)
        continue;
    const bool ok = append_locked(log, record, (uint32_t)n, err);

    flock(log->fd, LOCK_UN);
    record->size = LOG_FRAME + n;
    return ok;
}

bool log_sync(struct log *log, struct err *err)
{
    return fsync(log->fd) == 0 || err_sys(err, "%s: syncing", log->path);
}

bool log_copy_begin(struct log_copy *copy, const char *temp, struct err *err)
{
    *copy = (struct log_copy){.temp = temp};
    copy->fd = open(temp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (copy->fd < 0)
        return err_sys(err, "%s", temp);
    buf_put(&copy->buf, head, HEAD);
    return true;
}

static bool copy_flush(struct log_copy *copy, struct err *err)
{
    if (!copy->buf.size)
        return true;
    if (!file_write_at(copy->fd, copy->temp, copy->buf.data, copy->buf.size, copy->at, err))
        return false;
    copy->at += copy->buf.size;
    copy->buf.size = 0;
    return true;
}

bool log_copy_put(struct log_copy *copy, const unsigned char *payload, uint32_t n, struct err *err)
{
    const size_t begin = copy->buf.size;

    buf_fill(&copy->buf, 0, LOG_FRAME);
    buf_put(&copy->buf, payload, n);
    frame(copy->buf.data + begin, n, copy->at + begin);
    buf_fill(&copy->buf, 0, (size_t)(padded(n) - n));
    copy->records++;
    return copy->buf.size < COPY_ROOM || copy_flush(copy, err);
}

bool log_copy_commit(struct log_copy *copy, struct log *log, struct err *err)
{
    bool ok = copy_flush(copy, err);

    if (ok && fdatasync(copy->fd) != 0)
        ok = err_sys(err, "%s: syncing", copy->temp);
    FAULT("log_compact");
    if (ok && rename(copy->temp, log->path) != 0)
        ok = err_sys(err, "%s", log->path);
    FAULT("log_compacted");
    if (!ok) {
        log_copy_abort(copy);
        return false;
    }
    close(log->fd);
    log->fd = copy->fd;
    log->bytes = copy->at;
    log->records = copy->records;
    log->holes = 0;
    buf_finish(&copy->buf);
    return true;
}

void log_copy_abort(struct log_copy *copy)
{
    close(copy->fd);
    unlink(copy->temp);
    buf_finish(&copy->buf);
}
