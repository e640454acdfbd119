/* inner.h - what the files of store/ share: the open store and its records in memory
 *
 * Every record begins with 8 bytes (type, flags, zeros); then, by type:
 *
 * ACTION     Q 16, K 16, D 16; size, cpu_us, build (u64 each); line; text; ninput u32; and for
 *            each input q 16, d 16, label
 *
 * LINK       Q 16, K 16
 *
 * TOMBSTONE  zeros 16, K 16
 *
 * FACT       key 16, bytes to the end
 *
 * SOURCE     stamp (5 u64), started u64, n u32, zero u32; n times offset, size (u64), D 16; path
 *
 * ARTIFACT   digest 16, boot 16, path, nfile u32, nentry u32, files, entries
 *
 * A text is u32 n, n bytes, NUL: decoded structs point into the record. A record that is whole
 * but senseless (another program's) is ignored. */
#ifndef STORE_INNER_H
#define STORE_INNER_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/map.h"
#include "store/index.h"
#include "store/log.h"
#include "store/store.h"

#include <pthread.h>

enum record_type {
    RECORD_ACTION = 1,
    RECORD_LINK,
    RECORD_SOURCE,
    RECORD_ARTIFACT,
    RECORD_FACT,
    RECORD_TOMBSTONE,
};
enum { RECORD_HEAD = 8, RECORD_Q = 8, RECORD_K = 24, RECORD_FACT_KEY = 8 };

struct record {
    const unsigned char *payload; /* in the map, or in the arena when appended since */
    uint32_t n;
    bool bad;      /* was looked at and made no sense */
    void *decoded; /* struct action or artifact_record, once asked for */
};

struct store {
    char *dir, *log_path;
    const char *place; /* what relative paths of sources and artifacts are relative to, or NULL */
    enum store_mode mode;
    bool opened; /* records that come now are this process's own */
    int root;    /* the folder, so that a change of working directory does no harm; or -1 */
    int lock_fd; /* or -1 */
    struct arena *arena;
    pthread_mutex_t mutex; /* over all that follows */
    struct log log;
    struct record *record;
    uint32_t nrecord, record_room;
    uint64_t dead, dead_bytes; /* records that a later one replaced, about */
    struct index by_q, by_k, by_fact;
    struct map by_artifact, by_source; /* path -> record; path -> index of source */
    struct source **source;            /* record_source.c */
    uint32_t nsource;
    uint64_t temps;                                /* names given to temporaries (atomic) */
    enum { FINE_UNKNOWN, FINE_YES, FINE_NO } fine; /* do stamps of close writes differ here? */
    uint64_t fine_dev;                             /* on this device */
};

/* store.c: PATH as records name it; in ARENA, or PATH. */
const char *store_named(const struct store *store, const char *path, struct arena *arena);

/* store.c: what FORMAT says: "vbuild-cache N\n" and nothing else is N; else 0. */
enum { FORMAT_NUMBER = 1, FORMAT_LIMIT = 64 };
uint32_t format_number(const char *text, size_t n);

/* store.c: begin a record of TYPE in REC (reused), append it and index it. Under the mutex. */
void record_begin(struct buf *rec, enum record_type type, uint8_t flags);
bool record_append(struct store *store, struct buf *rec, struct err *err) MUST_USE;
void record_replaced(struct store *store, uint32_t number);
bool store_writable(const struct store *store, struct err *err) MUST_USE;
/* A path in the folder for a temporary of this process, in the sweepable form: "tmp/.N.vbtmp.P". */
enum { TEMP_NAME = 64 };
void store_temp(struct store *store, char name[TEMP_NAME]);

void record_put_text(struct buf *rec, const char *text, uint32_t n);
bool record_text(struct bytes *b, const char **text, uint32_t *n);
bool record_digest(struct bytes *b, struct digest *d);

/* Index a record that was just read or appended, as record NUMBER. */
void action_index(struct store *store, uint32_t number);
void link_index(struct store *store, uint32_t number);
void tombstone_index(struct store *store, uint32_t number);
void fact_index(struct store *store, uint32_t number);
void artifact_index(struct store *store, uint32_t number);
void source_index(struct store *store, uint32_t number);
void source_finish(struct store *store);

/* compact.c: rewrite the log if much of it is dead or some of it is damaged. Failing is no harm. */
void store_compact(struct store *store);
/* Is this record still what its key means? (sources are not: source_save writes them merged) */
bool record_live(const struct store *store, uint32_t number);
bool source_save(struct store *store, struct log_copy *copy, struct err *err) MUST_USE;

#endif
