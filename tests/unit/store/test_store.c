#include "scratch.h"

#include <time.h>

/* ---- actions ---------------------------------------------------------------------------- */

/* False: what a build recorded is not what the next one finds, in the same process or later. */
TEST(actions_come_back_by_both_keys)
{
    const char *dir = scratch();
    struct store *store = open_in(dir, STORE_WRITE);

    CHECK(strcmp(store_dir(store), dir) == 0);
    put_actions(store, 0, 300);
    CHECK(count_actions(store, 400) == 300);
    done(store);
    for (int mode = 0; mode < 2; mode++) {
        store = open_in(dir, mode ? STORE_WRITE : STORE_READ);
        CHECK(count_actions(store, 400) == 300);
        const struct action one = action_of(7), *found = store_by_k(store, one.k);

        CHECK(found && found == store_by_k(store, one.k)); /* decoded once */
        done(store);
    }
}

/* False: an action that another Q leads to is written whole again, or that Q does not find it. */
TEST(known_action_under_a_new_q_is_a_link)
{
    const char *dir = scratch(), *log = in(dir, "log");
    struct store *store = open_in(dir, STORE_WRITE);

    put_actions(store, 0, 5);
    const size_t before = file_size(log);
    struct action a = action_of(3);
    const struct digest old_q = a.q;

    CHECK(store_put_action(store, &a, &err) && file_size(log) == before);
    a.q = digest_of("other", 3);
    CHECK(store_put_action(store, &a, &err) && file_size(log) == before + 16 + 40);
    CHECK(store_put_action(store, &a, &err) && file_size(log) == before + 16 + 40);
    CHECK(store_by_q(store, a.q) && store_by_q(store, a.q) == store_by_q(store, old_q));
    done(store);
    store = open_in(dir, STORE_READ);
    CHECK(store_by_q(store, a.q) && store_by_q(store, a.q) == store_by_k(store, a.k));
    CHECK(count_actions(store, 5) == 5);
    done(store);
}

/* False: a result that contradicts an earlier one of the same key is accepted in silence. */
TEST(two_results_for_one_key_are_refused)
{
    const char *dir = scratch();
    struct store *store = open_in(dir, STORE_WRITE);
    char hex[DIGEST_HEX + 1];

    put_actions(store, 0, 3);
    struct action a = action_of(1);

    a.d = digest_of("other", 1);
    CHECK(!store_put_action(store, &a, &err) && err.code == ERR_VERIFY);
    CHECK_IN(strstr(err.text, digest_hex(a.d, hex)), "%s", err.text);
    CHECK_IN(strstr(err.text, digest_hex(action_of(1).d, hex)), "%s", err.text);
    CHECK(count_actions(store, 3) == 3);
    CHECK(store_forget(store, a.k, &err));
    CHECK(!store_by_k(store, a.k) && !store_by_q(store, a.q));
    CHECK(store_put_action(store, &a, &err));
    done(store);
    store = open_in(dir, STORE_READ);
    CHECK(same_action(store_by_k(store, a.k), &a) && same_action(store_by_q(store, a.q), &a));
    done(store);
}

/* False: the folder of a store that was only read is changed, or must be there at all. */
TEST(reading_writes_nothing)
{
    const char *dir = scratch(), *none = in(dir, "none");
    struct store *store = open_in(none, STORE_READ);
    const struct action a = action_of(0);
    struct blob_writer *w;
    const struct source_digest *digest;
    size_t n;

    CHECK(!file_exists(none));
    CHECK(!store_by_q(store, a.q) && !store_artifact(store, "x") && !blob_have(store, a.d, 1));
    CHECK(store_source(store, "x", (struct stamp){0}, &digest, &n) == SOURCE_UNKNOWN);
    CHECK(!store_put_action(store, &a, &err) && err.code == ERR_CACHE);
    CHECK(!blob_begin(store, 1, CODEC_raw, 1, &w, &err));
    done(store);
    CHECK(!file_exists(none));

    store = open_in(none, STORE_WRITE);
    put_actions(store, 0, 20);
    done(store);
    spill(in(none, "tmp/.1.vbtmp.99999999"), "x", 1);
    const char *log = in(none, "log");

    CHECK(truncate(log, (off_t)file_size(log) - 5) == 0); /* a torn tail */
    const size_t size = file_size(log);

    store = open_in(none, STORE_READ);
    CHECK(count_actions(store, 20) >= 19);
    done(store);
    CHECK(file_size(log) == size && file_exists(in(none, "tmp/.1.vbtmp.99999999")));
    store = open_in(none, STORE_WRITE);
    CHECK(file_size(log) % 8 == 0 && !file_exists(in(none, "tmp/.1.vbtmp.99999999")));
    done(store);
}

static void check_refused(const char *dir, enum store_mode mode, enum err_code code,
                          const char *text)
{
    struct store *store;

    if (store_open(&store, dir, mode, &err)) {
        CHECK_IN(false, "%s was not refused: %s", dir, text);
        done(store);
        return;
    }
    CHECK_IN(err.code == code && strstr(err.text, text), "%s", err.text);
}

/* False: a cache of a newer vbuild, or a folder that is no cache, is written into. */
TEST(other_formats_are_left_alone)
{
    static const char *const bad[] = {
        "vbuild-cache\n",
        "vbuild-cache 1",
        "vbuild-cache 0\n",
        "bazel 1\n",
        "vbuild-cache -1\n",
        "vbuild-cache 1\n\n",
        "vbuild-cache 99999999999999999999\n",
        "vbuild-cache 1\n, and far more than a FORMAT ever holds, from something else"};
    const char *dir = scratch(), *format = in(dir, "FORMAT");

    spill(format, "vbuild-cache 2\n", 15);
    for (int mode = 0; mode < 2; mode++)
        check_refused(dir, mode ? STORE_WRITE : STORE_READ, ERR_CACHE,
                      "was written by a newer vbuild (format 2, this one knows 1); use that vbuild "
                      "or another --cache");
    CHECK(!file_exists(in(dir, "log")) && !file_exists(in(dir, "lock")));
    for (size_t i = 0; i < countof(bad); i++) {
        spill(format, bad[i], strlen(bad[i]));
        check_refused(dir, STORE_WRITE, ERR_CACHE, "");
        CHECK_IN(strstr(err.text, "FORMAT"), "%s", err.text);
    }
    CHECK(unlink(format) == 0);
    spill(in(dir, "log"), "a log of something else", 23);
    check_refused(dir, STORE_WRITE, ERR_CACHE, "is not a cache");
    CHECK(file_size(in(dir, "log")) == 23 && !file_exists(in(dir, "lock")));
    done(open_in(dir, STORE_READ)); /* another folder is an empty store to who only reads */

    CHECK(unlink(in(dir, "log")) == 0);
    struct store *store = open_in(dir, STORE_WRITE);

    put_actions(store, 0, 4);
    done(store);
    spill(format, "", 0); /* as a power cut may leave it */
    store = open_in(dir, STORE_WRITE);
    CHECK(count_actions(store, 4) == 4);
    done(store);
    CHECK(file_size(format) == 15);
}

/* False: a cache that cannot be written ends in anything but one message that says so. */
TEST(unwritable_folder_is_named)
{
    const char *dir = scratch(), *closed = in(dir, "closed");
    int status;

    spill(in(dir, "file"), "x", 1);
    check_refused(in(dir, "file/cache"), STORE_WRITE, ERR_IO, "cannot be written");
    CHECK(mkdir(closed, 0555) == 0);
    const pid_t child = fork();

    if (child == 0) {
        struct store *store;

        if (geteuid() == 0 && seteuid(65534) != 0)
            _exit(2);
        _exit(!store_open(&store, closed, STORE_WRITE, &err) && err.code == ERR_IO &&
                      strstr(err.text, "cannot be written") && strstr(err.text, "--cache")
                  ? 0
                  : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* False: damage to the log crashes the next build, makes a wrong record, or costs far more than
 * what was hit. */
TEST(flipped_bits_make_no_wrong_record)
{
    const char *dir = scratch(), *log = in(dir, "log");
    struct store *store = open_in(dir, STORE_WRITE);
    const struct source_digest source[2] = {{0, 8, digest_of("s", 0)}, {8, 9, digest_of("s", 1)}};
    const struct stamp stamp = {1, 2, 3, 4, 5};

    put_actions(store, 0, 60);
    CHECK(store_put_source(store, "a", stamp, INT64_MAX, source, 2, &err));
    CHECK(store_put_fact(store, digest_of("f", 0), "fact", 4, &err));
    done(store);
    size_t size;
    char *bytes = slurp(log, &size);

    for (uint64_t i = 0; i < 1000; i++) {
        const size_t at = (size_t)(mix(i) % size);
        const char bit = (char)(1 << (mix(i) >> 32) % 8);
        const struct source_digest *digest;
        char *fact;
        size_t n;

        bytes[at] = (char)(bytes[at] ^ bit);
        spill(log, bytes, size);
        store = open_in(dir, STORE_READ);
        CHECK_IN(count_actions(store, 60) >= 59, "byte %zu", at);
        if (store_source(store, "a", stamp, &digest, &n) == SOURCE_KNOWN)
            CHECK(n == 2 && memcmp(digest, source, sizeof(source)) == 0);
        if (store_fact(store, digest_of("f", 0), scratch_arena, &fact, &n))
            CHECK(n == 4 && memcmp(fact, "fact", 5) == 0);
        done(store);
        bytes[at] = (char)(bytes[at] ^ bit);
    }
    bytes[size / 3] ^= 4; /* in an action */
    spill(log, bytes, size);
    const uint32_t warned = msg_warnings();

    const int kept = hush();

    store = open_in(dir, STORE_WRITE); /* warns, and writes the log anew */
    unhush(kept);
    CHECK(msg_warnings() == warned + 1 && count_actions(store, 60) == 59);
    put_actions(store, 0, 60);
    done(store);
    store = open_in(dir, STORE_WRITE);
    CHECK(msg_warnings() == warned + 1 && count_actions(store, 60) == 60);
    done(store);
}

/* ---- facts, artifacts ------------------------------------------------------------------- */

/* False: a fact changes on its way, or an old one wins over a new one. */
TEST(newest_fact_wins)
{
    const char *dir = scratch();
    struct store *store = open_in(dir, STORE_WRITE);
    char *bytes;
    size_t n = 0;

    CHECK(!store_fact(store, digest_of("f", 1), scratch_arena, &bytes, &n));
    CHECK(store_put_fact(store, digest_of("f", 1), "old", 3, &err));
    CHECK(store_put_fact(store, digest_of("f", 1), "n\0w", 3, &err));
    CHECK(store_put_fact(store, digest_of("f", 2), NULL, 0, &err));
    const size_t size = file_size(in(dir, "log"));

    CHECK(store_put_fact(store, digest_of("f", 1), "n\0w", 3, &err));
    CHECK(file_size(in(dir, "log")) == size); /* known: not written again */
    for (int i = 0; i < 2; i++) {
        CHECK(store_fact(store, digest_of("f", 1), scratch_arena, &bytes, &n));
        CHECK(n == 3 && memcmp(bytes, "n\0w", 4) == 0);
        CHECK(store_fact(store, digest_of("f", 2), scratch_arena, &bytes, &n) && n == 0);
        done(store);
        store = open_in(dir, STORE_READ);
    }
    done(store);
}

static bool same_artifact(const struct artifact_record *a, const struct artifact_record *b)
{
    bool same = a && strcmp(a->path, b->path) == 0 && digest_eq(a->digest, b->digest) &&
                memcmp(a->boot, b->boot, 16) == 0 && a->nfile == b->nfile && a->nentry == b->nentry;

    for (uint32_t i = 0; same && i < a->nfile; i++)
        same = strcmp(a->file[i].path, b->file[i].path) == 0 &&
               stamp_eq(a->file[i].stamp, b->file[i].stamp);
    for (uint32_t i = 0; same && i < a->nentry; i++) {
        const struct artifact_entry *x = &a->entry[i], *y = &b->entry[i];

        same = strcmp(x->name, y->name) == 0 && digest_eq(x->k, y->k) && digest_eq(x->q, y->q) &&
               digest_eq(x->d, y->d) && x->file == y->file && x->offset == y->offset &&
               x->size == y->size && x->form == y->form;
    }
    return same;
}

/* False: the record of an artifact is not what was put, or every build makes the log grow. */
TEST(artifact_records_come_back)
{
    const char *dir = scratch();
    struct store *store = open_in(dir, STORE_WRITE);
    struct artifact_record first, second, empty = {.path = "empty"};

    make_artifact(&first, 500, 1);
    make_artifact(&second, 400, 2);
    CHECK(store_put_artifact(store, &first, &err));
    CHECK(same_artifact(store_artifact(store, first.path), &first));
    CHECK(store_put_artifact(store, &second, &err) && store_put_artifact(store, &empty, &err));
    const size_t size = file_size(in(dir, "log"));

    CHECK(store_put_artifact(store, &second, &err) && file_size(in(dir, "log")) == size);
    for (int i = 0; i < 2; i++) {
        CHECK(same_artifact(store_artifact(store, second.path), &second));
        CHECK(same_artifact(store_artifact(store, "empty"), &empty));
        CHECK(!store_artifact(store, "out/x.ggu") && !store_artifact(store, ""));
        done(store);
        store = open_in(dir, STORE_READ);
    }
    done(store);
}

/* ---- sources ---------------------------------------------------------------------------- */

static enum source_trust ask(struct store *store, struct stamp stamp, size_t *n)
{
    const struct source_digest *digest;

    return store_source(store, "m.gguf", stamp, &digest, n);
}

/* False: digests put in parts are lost, unsorted or doubled; a newer one of a place loses. */
TEST(source_digests_are_gathered)
{
    const char *dir = scratch();
    struct store *store = open_in(dir, STORE_WRITE);
    const struct stamp stamp = {1, 2, 1 << 20, 100, 200};
    const struct source_digest *digest;
    size_t n = 0;

    for (uint64_t i = 0; i < 50; i++) { /* two places a time, in a scattered order, some again */
        const uint64_t a = mix(i) % 40, b = mix(i + 1000) % 40;
        const struct source_digest two[2] = {{a * 10, 10, digest_of("t", a + 100 * i)},
                                             {b * 10, 10, digest_of("t", b + 100 * i)}};

        CHECK(store_put_source(store, "m.gguf", stamp, INT64_MAX, two, 1 + (a != b), &err));
    }
    for (int pass = 0; pass < 2; pass++) {
        CHECK(store_source(store, "m.gguf", stamp, &digest, &n) == SOURCE_KNOWN);
        size_t expect = 0;

        for (uint64_t place = 0; place < 40; place++) {
            uint64_t newest = UINT64_MAX;

            for (uint64_t i = 0; i < 50; i++)
                if (mix(i) % 40 == place || mix(i + 1000) % 40 == place)
                    newest = i;
            if (newest == UINT64_MAX)
                continue;
            CHECK(expect < n && digest[expect].offset == place * 10 &&
                  digest_eq(digest[expect].d, digest_of("t", place + 100 * newest)));
            expect++;
        }
        CHECK(expect == n);
        done(store);
        store = open_in(dir, STORE_READ);
    }
    done(store);
}

/* False: a record that was hashed too close to a change is believed by a later build, or a clear
 * one is not, or a moved stamp is not seen. */
TEST(source_trust_follows_stamp_and_margin)
{
    const char *dir = scratch();
    struct store *store = open_in(dir, STORE_WRITE);
    const int64_t second = 1000000000;
    struct stamp other = {.dev = UINT64_MAX, .ino = 5, .size = 9, .mtime_ns = second};
    const struct source_digest one = {0, 4, digest_of("t", 1)}, two = {4, 5, digest_of("t", 2)};
    size_t n = 0;

    other.ctime_ns = 10 * second; /* on another device: margin 2 s */
    CHECK(ask(store, other, &n) == SOURCE_UNKNOWN);
    CHECK(store_put_source(store, "m.gguf", other, 12 * second, &one, 1, &err));
    CHECK(ask(store, other, &n) == SOURCE_KNOWN && n == 1); /* holds for this build */
    done(store);
    store = open_in(dir, STORE_WRITE);
    CHECK(ask(store, other, &n) == SOURCE_STALE && n == 0); /* and for no other */
    CHECK(store_put_source(store, "m.gguf", other, 12 * second + 1, &two, 1, &err));
    CHECK(ask(store, other, &n) == SOURCE_KNOWN && n == 1);
    done(store);
    store = open_in(dir, STORE_WRITE);
    CHECK(ask(store, other, &n) == SOURCE_KNOWN && n == 1); /* TWO alone */
    CHECK(store_put_source(store, "m.gguf", other, 20 * second, &one, 1, &err));
    CHECK(ask(store, other, &n) == SOURCE_KNOWN && n == 2);
    done(store);
    store = open_in(dir, STORE_READ);
    CHECK(ask(store, other, &n) == SOURCE_KNOWN && n == 2);
    struct stamp moved[5] = {other, other, other, other, other};

    moved[0].dev--, moved[1].ino++, moved[2].size++, moved[3].mtime_ns--, moved[4].ctime_ns++;
    for (int i = 0; i < 5; i++)
        CHECK_IN(ask(store, moved[i], &n) == SOURCE_STALE, "field %d", i);
    done(store);
}

/* False: a file that was overwritten with as many other bytes, and whose mtime was put back, is
 * taken for the one that was hashed. */
TEST(overwrite_with_old_mtime_is_seen)
{
    const char *dir = scratch(), *path = in(dir, "m.gguf");
    const struct source_digest one = {0, 4, digest_of("t", 1)};
    struct stamp before, after;
    size_t n;
    int missed = 0;

    for (int i = 0; i < 20; i++) {
        struct store *store = open_in(in(dir, "cache"), STORE_WRITE);
        const int fd = open(path, O_WRONLY | O_CREAT, 0666);

        CHECK(write(fd, "old!", 4) == 4 && file_stamp(path, &before, &err));
        CHECK(store_put_source(store, "m.gguf", before, wall_ns(), &one, 1, &err));
        const struct timespec times[2] = {
            {before.mtime_ns / 1000000000, before.mtime_ns % 1000000000},
            {before.mtime_ns / 1000000000, before.mtime_ns % 1000000000}};

        CHECK(pwrite(fd, "new!", 4, 0) == 4 && close(fd) == 0);
        CHECK(utimensat(AT_FDCWD, path, times, 0) == 0 && file_stamp(path, &after, &err));
        CHECK(after.size == before.size && after.mtime_ns == before.mtime_ns);
        done(store);
        store = open_in(in(dir, "cache"), STORE_READ);
        missed += ask(store, after, &n) == SOURCE_KNOWN; /* stale by ctime, or by the margin */
        done(store);
        CHECK(unlink(path) == 0);
    }
    CHECK_IN(missed == 0, "%d of 20", missed);
}

/* ---- compaction ------------------------------------------------------------------------- */

/* False: compaction loses what is newest, brings back what was forgotten, or does not shrink. */
TEST(compaction_keeps_the_newest)
{
    const char *dir = scratch(), *log = in(dir, "log");
    struct store *store = open_in(dir, STORE_WRITE);
    const struct stamp clear = {9, 9, 9, 9, 9}, racy = {9, 9, 9, INT64_MAX, 9};
    const struct source_digest one = {0, 4, digest_of("t", 1)}, two = {4, 5, digest_of("t", 2)};
    struct artifact_record first, second;
    struct action other = action_of(11);

    put_actions(store, 0, 100);
    make_artifact(&first, 50, 1);
    make_artifact(&second, 60, 2);
    CHECK(store_put_artifact(store, &first, &err) && store_put_artifact(store, &second, &err));
    CHECK(store_put_source(store, "clear", clear, INT64_MAX, &one, 1, &err));
    CHECK(store_put_source(store, "clear", clear, INT64_MAX, &two, 1, &err));
    CHECK(store_put_source(store, "racy", racy, 1, &one, 1, &err));
    CHECK(store_forget(store, action_of(10).k, &err) && store_forget(store, other.k, &err));
    other.d = digest_of("second thought", 11);
    CHECK(store_put_action(store, &other, &err));
    struct action linked = action_of(12);

    linked.q = digest_of("link", 12);
    CHECK(store_put_action(store, &linked, &err));
    for (uint32_t i = 0; i < 12000; i++)
        CHECK(store_put_fact(store, digest_of("f", i % 10), &i, sizeof(i), &err));
    done(store);
    const size_t before = file_size(log);

    done(open_in(dir, STORE_READ));
    CHECK(file_size(log) == before);
    store = open_in(dir, STORE_WRITE);
    CHECK_IN(file_size(log) < before / 5, "%zu of %zu bytes", file_size(log), before);
    put_actions(store, 100, 110); /* goes to the new file */
    for (int pass = 0; pass < 3; pass++) {
        const struct source_digest *digest;
        char *bytes;
        size_t n;

        for (uint64_t i = 0; i < 110; i++) {
            const struct action a = action_of(i);

            if (i == 10)
                CHECK(!store_by_k(store, a.k) && !store_by_q(store, a.q));
            else if (i == 11)
                CHECK(store_by_q(store, a.q) && digest_eq(store_by_q(store, a.q)->d, other.d));
            else
                CHECK(same_action(store_by_k(store, a.k), &a) && store_by_q(store, a.q));
        }
        CHECK(store_by_q(store, linked.q) == store_by_k(store, linked.k));
        CHECK(same_artifact(store_artifact(store, "out/x.gguf"), &second));
        CHECK(store_source(store, "clear", clear, &digest, &n) == SOURCE_KNOWN && n == 2);
        CHECK(store_source(store, "racy", racy, &digest, &n) != SOURCE_KNOWN);
        for (uint32_t i = 0; i < 10; i++) {
            const uint32_t expect = 11990 + i;

            CHECK(store_fact(store, digest_of("f", i), scratch_arena, &bytes, &n) && n == 4 &&
                  memcmp(bytes, &expect, 4) == 0);
        }
        done(store);
        store = open_in(dir, pass ? STORE_READ : STORE_WRITE);
    }
    done(store);
}

TEST_MAIN(RUN(actions_come_back_by_both_keys) RUN(known_action_under_a_new_q_is_a_link)
              RUN(two_results_for_one_key_are_refused) RUN(reading_writes_nothing)
                  RUN(other_formats_are_left_alone) RUN(unwritable_folder_is_named)
                      RUN(flipped_bits_make_no_wrong_record) RUN(newest_fact_wins)
                          RUN(artifact_records_come_back) RUN(source_digests_are_gathered)
                              RUN(source_trust_follows_stamp_and_margin)
                                  RUN(overwrite_with_old_mtime_is_seen)
                                      RUN(compaction_keeps_the_newest) scratch_done();)
