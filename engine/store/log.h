/* log.h - the append-only file of records: framing, appending, walking, holes, torn tails, copies
 *
 * File: "VBLOG1\0\0", 8 zero bytes, then records, each at a multiple of 8:
 *     u32 magic | u32 n | u64 XXH3_64(payload, seed = offset of the record) | payload | zeros to 8
 * The offset in the seed makes a record valid at its own place only: a log kept inside a payload,
 * or old blocks that a power cut brings back, are never taken for records.
 * A record that does not verify is searched past in steps of 8: where another one verifies later
 * it was a hole; else everything from it on is a torn tail, which the next writer cuts off.
 * One record is one write under flock, so that a kill loses nothing that was appended.
 * (specs/build-engine.md section 3.3, "Log framing"). Not thread-safe: the store has a mutex. */
#ifndef STORE_LOG_H
#define STORE_LOG_H

#include "base/buf.h"
#include "base/err.h"

enum { LOG_FRAME = 16, LOG_PAYLOAD_MIN = 8, LOG_PAYLOAD_MAX = 64 << 20 };

struct log {
    char *path;               /* borrowed */
    int fd;                   /* for writing; negative in a reader */
    const unsigned char *map; /* what was there at the opening; it outlives a compaction */
    uint64_t map_size;
    uint64_t bytes;   /* of whole records and their head */
    uint64_t records; /* that verified at the opening, and those appended since */
    uint32_t holes;
};

/* PAYLOAD lies in the map, at least LOG_PAYLOAD_MIN bytes. */
typedef void (*log_visit_fn)(void *user, const unsigned char *payload, uint32_t n);

/* Visit all records that verify, in order. WRITE: make the file if absent, cut a torn tail. A
 * reader takes an absent, unreadable or foreign file for an empty log. */
bool log_open(struct log *log, char *path, bool write, log_visit_fn visit, void *user,
              struct err *err) MUST_USE;
void log_close(struct log *log); /* also of a zeroed log with fd -1 */
/* Is the file at PATH absent, empty, or one that begins as a log does? */
bool log_may_be(const char *path);

/* A record under construction: room for its frame, then whatever the caller puts. */
void log_begin(struct buf *record);
/* Frame RECORD and write it. On failure the log is as it was before. */
bool log_append(struct log *log, struct buf *record, struct err *err) MUST_USE;
bool log_sync(struct log *log, struct err *err) MUST_USE;

/* A new file with the records that are still wanted, at TEMP, that then takes the log's place. */
struct log_copy {
    const char *temp; /* borrowed */
    int fd;
    struct buf buf;
    uint64_t at, records; /* AT: where buf begins in the file */
};
bool log_copy_begin(struct log_copy *copy, const char *temp, struct err *err) MUST_USE;
bool log_copy_put(struct log_copy *copy, const unsigned char *payload, uint32_t n,
                  struct err *err) MUST_USE;
/* Sync and rename; the copy is finished in any case, and on failure the old log stays. */
bool log_copy_commit(struct log_copy *copy, struct log *log, struct err *err) MUST_USE;
void log_copy_abort(struct log_copy *copy);

#endif
