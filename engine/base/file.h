/* file.h - files, folders and names: whole reads, temporaries, locks, stamps
 *
 * Every write goes to a temporary beside the final name and becomes visible by rename. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/arena.h"
#include "base/err.h"

/* What says that a file is the one seen before (specs/build-engine.md section 3.5). */
struct stamp {
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns;
};

bool stamp_eq(struct stamp a, struct stamp b);
struct stat;
struct stamp stamp_of(const struct stat *st);
bool file_stamp(const char *path, struct stamp *out, struct err *err) MUST_USE; /* follows links */
bool file_stamp_fd(int fd, const char *path, struct stamp *out, struct err *err) MUST_USE;

bool file_exists(const char *path);
bool file_is_dir(const char *path);

/* Open a regular file for reading; *fd is the caller's. */
bool file_open(const char *path, int *fd, struct err *err) MUST_USE;
void file_close(int fd); /* negative is fine */
/* Exactly N bytes at OFFSET; a short file is ERR_CHANGED ("ends at ... while bytes ... were read").
 */
bool file_read_at(int fd, const char *path, void *to, size_t n, uint64_t offset,
                  struct err *err) MUST_USE;
bool file_write_at(int fd, const char *path, const void *from, size_t n, uint64_t offset,
                   struct err *err) MUST_USE;
/* The whole of a file of at most LIMIT bytes, in ARENA, with a NUL after it. */
bool file_read(const char *path, uint64_t limit, struct arena *arena, char **text, size_t *size,
               struct err *err) MUST_USE;
/* Write TEXT to PATH through a temporary beside it. */
bool file_replace(const char *path, const void *bytes, size_t n, struct err *err) MUST_USE;

/* A read-only map of a regular file; size 0 maps nothing (data not NULL, size 0). */
struct filemap {
    const unsigned char *data;
    uint64_t size; /* of the file */
    uint64_t head; /* how many of its bytes are mapped; 0: all */
};
bool filemap_open(struct filemap *map, const char *path, struct err *err) MUST_USE;
/* Its first HEAD bytes alone, where it is larger: a map takes addresses, which may be limited. */
bool filemap_open_head(struct filemap *map, const char *path, uint64_t head,
                       struct err *err) MUST_USE;
uint64_t filemap_bytes(const struct filemap *map); /* that are mapped */
void filemap_close(struct filemap *map);

bool dir_make(const char *path, struct err *err) MUST_USE; /* with its parents; fine if there */
/* Names in a folder without . and .., sorted by bytes; an arena array. */
bool dir_list(const char *path, struct arena *arena, char ***names, size_t *count,
              struct err *err) MUST_USE;
bool dir_remove(const char *path, struct err *err) MUST_USE; /* a file or a tree; fine if absent */

/* "DIR/NAME", or NAME alone if it is absolute or DIR is "" or ".". */
char *path_join(struct arena *arena, const char *dir, const char *name);
const char *path_base(const char *path);               /* after the last slash */
char *path_dir(struct arena *arena, const char *path); /* before it; "." if there is none */

/* A temporary beside PATH: ".NAME.vbtmp.PID", the form that sweep_temps knows. */
char *temp_name(struct arena *arena, const char *path);
/* Remove the temporaries in DIR whose process is gone; returns how many. */
size_t temp_sweep(const char *dir);
/* Give one of PATH whose process is gone the name TEMP. False: there is none. */
bool temp_adopt(const char *path, const char *temp);

/* An advisory lock on PATH (made if absent). BUSY, if not NULL, is set instead of waiting. */
bool file_lock(const char *path, int *fd, bool *busy, struct err *err) MUST_USE;

/* Bytes free for this user in the file system of PATH (a file or folder that exists). */
uint64_t disk_free(const char *path);
/* The kernel's boot id (16 bytes, zero when there is none) and clocks. */
void boot_id(unsigned char id[16]);
int64_t clock_ns(void);        /* monotonic: durations only, never in output bytes */
int64_t wall_ns(void);         /* wall clock: compared with stamps only */
int64_t cpu_ns(void);          /* of this process */
uint64_t peak_rss_bytes(void); /* of this program, not of what started it */

#endif
