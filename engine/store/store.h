/* store.h - content-addressed memory of past work: digests, keys and bytes, nothing else
 *
 * Layout of the folder (specs/build-engine.md section 3.3, with one log instead of three):
 *   FORMAT          "vbuild-cache 1\n"; a newer number is ERR_CACHE with what to do
 *   lock            held while a build runs; the next one waits with one line
 *   log             append-only records, each with its checksum; the last one of a key wins
 *   last/xx         snapshots: what a build that had nothing to do would find
 *   cas/xx/REST     blobs in stored form, mode 0444, named by the digest of their raw bytes
 *   tmp/            unfinished writes; those of dead processes are swept at start
 *   quarantine/     damaged blobs, kept for a look
 * A record that does not verify is skipped (a hole) or cut off (a torn tail): it costs a
 * rebuild, never a wrong result. A reader sees a whole blob or none. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"

struct store;

enum store_mode {
    STORE_WRITE, /* a build: takes the lock, makes the folder */
    STORE_READ,  /* plan, explain: writes nothing, and an absent folder is an empty store */
};

/* Sources and artifacts are known by their paths. A store inside the working directory keeps
 * relative ones as they are, so that a workspace may move; to any other, which several folders may
 * share, they are those below the working directory of this moment. */
bool store_open(struct store **out, const char *dir, enum store_mode mode,
                struct err *err) MUST_USE;
/* Write what is buffered and give the lock back; durable: fsync log and folder first. */
bool store_close(struct store *store, bool durable, struct err *err);
const char *store_dir(const struct store *store);

/* ---- actions: what a node once gave ---------------------------------------------------- */

struct action_input {
    struct digest q, d; /* deep key (of a source: its digest) and content */
    const char *label;  /* for explain: "FILE: TENSOR" of a source, "" of a node */
};

struct action {
    struct digest k, q, d; /* shallow key, deep key, digest of the output */
    uint64_t size;         /* raw bytes of the output */
    uint64_t cpu_us;       /* what it cost */
    uint64_t build;        /* build id of the program that made it (ruling 54) */
    const char *line;      /* recipe line, "" if none */
    const char *text;      /* the key walk as text: "field\0value\0" pairs */
    uint32_t text_size;
    uint32_t ninput;
    struct action_input *input;
};

/* The newest record of that key, or NULL. Valid until store_close. Thread-safe. */
const struct action *store_by_q(struct store *store, struct digest q);
const struct action *store_by_k(struct store *store, struct digest k);
/* No action was ever recorded: nothing can be a hit. */
bool store_empty(const struct store *store);
/* Append a record. A second record of one K with another D is ERR_VERIFY: the older one stays.
 * A known K under a new Q writes a short link record only. */
bool store_put_action(struct store *store, const struct action *action, struct err *err) MUST_USE;
/* Distrust what K gave (found wrong, or not repeatable): the next record of K counts. */
bool store_forget(struct store *store, struct digest k, struct err *err) MUST_USE;

/* ---- sources: the digests of tensors in files that are not ours -------------------------- */

struct source_digest {
    uint64_t offset, size;
    struct digest d;
};

enum source_trust {
    SOURCE_UNKNOWN, /* never seen */
    SOURCE_STALE,   /* seen, but the stamp moved: hash again before believing anything */
    SOURCE_KNOWN,   /* the stamp is the one that was hashed */
};

/* What the log knows of the file at PATH, whose stamp is now STAMP (the stat rule of
 * build-engine 3.5: equal stamps, and a clear margin between the last change and the hashing).
 * Digests sorted by offset; may be only some of the file's tensors. */
enum source_trust store_source(struct store *store, const char *path, struct stamp stamp,
                               const struct source_digest **digest, size_t *n);
/* Record digests of PATH under STAMP (taken before hashing began at STARTED, wall_ns); the
 * digests known under an equal stamp are kept. */
bool store_put_source(struct store *store, const char *path, struct stamp stamp, int64_t started,
                      const struct source_digest *digest, size_t n, struct err *err) MUST_USE;

/* Is there a clear margin between STAMP and STARTED (wall_ns), so that a change of the file since
 * STARTED has another stamp? For a store that may be written. */
bool store_clear(struct store *store, struct stamp stamp, int64_t started);

/* ---- artifacts: what was written where --------------------------------------------------- */

struct artifact_entry {
    const char *name;      /* of the tensor, in the artifact */
    struct digest k, q, d; /* k is zero for a source tensor taken unchanged; its q is d */
    uint32_t file;         /* index into artifact_record.file */
    uint64_t offset, size;
    uint64_t form; /* how the bytes lie there (a row map), in the caller's own numbers */
};

struct artifact_file {
    const char *path; /* as out_file.path of graph/artifact.h: "NAME", "", "../NAME" */
    struct stamp stamp;
};

struct artifact_record {
    const char *path;     /* as given to the build: the identity of the artifact */
    struct digest digest; /* of header and entries (ruling 35) */
    unsigned char boot[16];
    struct artifact_file *file;
    uint32_t nfile;
    struct artifact_entry *entry; /* sorted by name */
    uint32_t nentry;
};

const struct artifact_record *store_artifact(struct store *store, const char *path); /* or NULL */
bool store_put_artifact(struct store *store, const struct artifact_record *record,
                        struct err *err) MUST_USE;

/* ---- facts: small derived values (a parsed tokenizer), by a key of the caller's ----------- */

bool store_fact(struct store *store, struct digest key, struct arena *arena, char **bytes,
                size_t *n); /* false: not there */
bool store_put_fact(struct store *store, struct digest key, const void *bytes, size_t n,
                    struct err *err) MUST_USE;

/* ---- snapshots: bytes by a key of the caller's, found without walking the log ------------- */

/* What was put under KEY in the cache DIR, in ARENA. False when it is not there or damaged, and
 * when DIR is no cache of this version. Takes no lock. A later key may take a key's place. */
bool store_last(const char *dir, struct digest key, struct arena *arena, struct bytes *out);
bool store_put_last(struct store *store, struct digest key, const void *bytes, size_t n,
                    struct err *err) MUST_USE;
/* The path of the log: whoever trusts a snapshot must find it as it was. */
const char *store_log(const struct store *store);

/* ---- scratch: what does not fit the memory there is ---------------------------------------- */

/* SIZE bytes that lie on the disk of the folder, in a file without a name, which ends with the
 * process. Given back with bulk_free. All of it is taken at once: a full disk is ERR_SPACE, here
 * and not later. Thread-safe. */
bool store_scratch(struct store *store, uint64_t size, void **out, struct err *err) MUST_USE;

/* ---- blobs ------------------------------------------------------------------------------- */

enum codec {
#define CODEC(number, name) CODEC_##name = number,
#include "store/codec.def"
#undef CODEC
};

/* Is there a blob of that digest and raw size? (a stat and its stored header; not verified) */
bool blob_have(struct store *store, struct digest d, uint64_t size);

struct blob_writer;
/* Begin a blob of SIZE raw bytes; ELEMENT is the bytes of one element for CODEC_planes. */
bool blob_begin(struct store *store, uint64_t size, enum codec codec, uint32_t element,
                struct blob_writer **out, struct err *err) MUST_USE;
bool blob_put(struct blob_writer *w, const void *bytes, size_t n, struct err *err) MUST_USE;
/* All SIZE bytes were put and their digest is D: give it its name. Frees W in any case. */
bool blob_commit(struct blob_writer *w, struct digest d, bool durable, struct err *err) MUST_USE;
void blob_abort(struct blob_writer *w); /* NULL is fine */

struct blob_reader;
/* ERR_IO when it is not there. Reads are thread-safe and at any offset; what they give is only
 * as good as the disk: whoever uses bytes hashes them (ruling 1). A stored form that cannot be
 * decoded is ERR_CACHE. */
bool blob_open(struct store *store, struct digest d, uint64_t size, struct blob_reader **out,
               struct err *err) MUST_USE;
bool blob_read(struct blob_reader *r, void *to, uint64_t offset, size_t n,
               struct err *err) MUST_USE;
void blob_close(struct blob_reader *r); /* NULL is fine */
/* Can it be opened? One whose stored form is damaged is quarantined. */
bool blob_keep(struct store *store, struct digest d, uint64_t size);
/* Its bytes were not those of its name: move it aside (with a warning); it is gone then. */
void blob_quarantine(struct store *store, struct digest d);

#endif
