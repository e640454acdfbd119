#include "scratch.h"
#include "store/log.h"

#include <fcntl.h>
#include <signal.h>

enum { MANY = 40 };

static uint32_t seen, wrong;

/* Record I of these tests: 8 + i % 50 bytes, all of them i. */
static void visit(void *user, const unsigned char *payload, uint32_t n)
{
    (void)user;
    seen++;
    for (uint32_t k = 0; k < n; k++)
        wrong += payload[k] != payload[0];
    wrong += n != 8u + payload[0] % 50u;
}

static uint32_t walk(const char *path, bool write)
{
    struct log log;
    char copy[512];

    seen = wrong = 0;
    snprintf(copy, sizeof(copy), "%s", path);
    CHECK_IN(log_open(&log, copy, write, visit, NULL, &err), "%s", err.text);
    CHECK(log.records == seen);
    log_close(&log);
    CHECK_IN(wrong == 0, "%u wrong bytes", wrong);
    return seen;
}

static void write_log(const char *path, int count)
{
    struct log log;
    struct buf rec = {0};
    char copy[512];

    snprintf(copy, sizeof(copy), "%s", path);
    CHECK(log_open(&log, copy, true, visit, NULL, &err));
    for (int i = 0; i < count; i++) {
        log_begin(&rec);
        buf_fill(&rec, i, (size_t)(8 + i % 50));
        CHECK_IN(log_append(&log, &rec, &err), "%s", err.text);
    }
    log_close(&log);
    buf_finish(&rec);
}

/* False: what was appended is not what is read, or reading changes the file. */
TEST(records_come_back_in_order)
{
    const char *path = in(scratch(), "log");

    CHECK(walk(path, false) == 0 && !file_exists(path));
    write_log(path, MANY);
    const size_t size = file_size(path);

    CHECK(size % 8 == 0);
    CHECK(walk(path, false) == MANY);
    CHECK(walk(path, true) == MANY);
    CHECK(file_size(path) == size);
}

/* False: a log cut at some byte of its last records loses an earlier one, or gives a wrong one,
 * or cannot be appended to afterwards. */
TEST(torn_tail_costs_the_torn_record_only)
{
    const char *path = in(scratch(), "log");

    write_log(path, MANY);
    size_t size;
    const char *bytes = slurp(path, &size);
    size_t from = size;

    for (int i = MANY - 3; i < MANY; i++)
        from -= (size_t)(LOG_FRAME + (8 + i % 50 + 7) / 8 * 8);
    for (size_t cut = from; cut < size; cut++) {
        spill(path, bytes, cut);
        const uint32_t whole = walk(path, false);

        CHECK_IN(whole >= MANY - 3 && whole < MANY + (cut > size - 8), "cut at %zu: %u", cut,
                 whole);
        CHECK(file_size(path) == cut);
        CHECK(walk(path, true) == whole);
        CHECK_IN(file_size(path) % 8 == 0 && file_size(path) <= (cut + 7) / 8 * 8, "cut at %zu",
                 cut);
        write_log(path, 1);
        CHECK_IN(walk(path, false) == whole + 1, "cut at %zu", cut);
    }
    for (size_t cut = 0; cut <= 24; cut++) { /* within the head and the first frame */
        spill(path, bytes, cut);
        CHECK(walk(path, true) == 0);
        write_log(path, 2);
        CHECK_IN(walk(path, false) == 2, "cut at %zu", cut);
    }
}

/* False: a flipped bit makes a wrong record, or costs more than the record it is in. */
TEST(flipped_bit_costs_one_record)
{
    const char *path = in(scratch(), "log");

    write_log(path, MANY);
    size_t size;
    char *bytes = slurp(path, &size);

    for (uint64_t i = 0; i < 1000; i++) {
        const size_t at = (size_t)(mix(i) % size);
        const char bit = (char)(1 << (mix(i) >> 32) % 8);

        bytes[at] = (char)(bytes[at] ^ bit);
        spill(path, bytes, size);
        const uint32_t whole = walk(path, false);

        CHECK_IN(whole >= MANY - 1 && whole <= MANY, "byte %zu: %u", at, whole);
        bytes[at] = (char)(bytes[at] ^ bit);
    }
}

/* False: a log inside a record, or at another place, is taken for records once the frame around
 * it is damaged: a stranger's bytes would become a cache hit. */
TEST(record_inside_a_record_is_none)
{
    const char *dir = scratch();
    char *path = in(dir, "log"), *inner = in(dir, "inner");
    struct log log;
    struct buf rec = {0};

    write_log(inner, 5);
    size_t n;
    const char *bytes = slurp(inner, &n);

    CHECK(log_open(&log, path, true, visit, NULL, &err));
    log_begin(&rec);
    buf_put(&rec, bytes, n);
    CHECK(log_append(&log, &rec, &err));
    log_close(&log);
    buf_finish(&rec);
    char *outer = slurp(path, &n);

    outer[16] ^= 1; /* the magic of the outer record */
    spill(path, outer, n);
    CHECK(walk(path, false) == 0);
}

/* False: a size that a stranger chose is believed. */
TEST(hostile_sizes_are_refused)
{
    static const uint32_t sizes[] = {0, 7, 9, LOG_PAYLOAD_MAX, LOG_PAYLOAD_MAX + 1, UINT32_MAX};
    const char *path = in(scratch(), "log");

    for (size_t i = 0; i < countof(sizes); i++) {
        write_log(path, 1);
        size_t n;
        char *bytes = slurp(path, &n);

        memcpy(bytes + 20, &sizes[i], 4);
        spill(path, bytes, n);
        CHECK_IN(walk(path, false) == 0, "size %u", sizes[i]);
        CHECK(unlink(path) == 0);
    }
    struct log log;
    struct buf rec = {0};

    CHECK(log_open(&log, in(scratch(), "log"), true, visit, NULL, &err));
    const uint64_t before = log.bytes;

    log_begin(&rec);
    buf_fill(&rec, 0, LOG_PAYLOAD_MAX + 1);
    CHECK(!log_append(&log, &rec, &err) && err.code == ERR_LIMIT);
    CHECK(log.bytes == before);
    log_close(&log);
    buf_finish(&rec);
}

/* False: an append that fails leaves half a record in the way of the next. */
TEST(failed_append_leaves_the_log_as_it_was)
{
    const char *path = in(scratch(), "log");
    struct log log;
    struct buf rec = {0};

    if (!faults)
        return;
    write_log(path, 3);
    CHECK(log_open(&log, in("", path), true, visit, NULL, &err));
    const pid_t child = fork();

    if (child == 0) {
        setenv("VBUILD_FAULT", "fail:log_write:1", 1);
        log_begin(&rec);
        buf_fill(&rec, 3, 11);
        const bool failed = !log_append(&log, &rec, &err) && err.code == ERR_IO;

        _exit(failed && log_append(&log, &rec, &err) ? 0 : 1);
    }
    int status;

    CHECK(waitpid(child, &status, 0) == child && status == 0);
    log_close(&log);
    CHECK(walk(path, false) == 4);
}

TEST_MAIN(RUN(records_come_back_in_order) RUN(torn_tail_costs_the_torn_record_only)
              RUN(flipped_bit_costs_one_record) RUN(record_inside_a_record_is_none)
                  RUN(hostile_sizes_are_refused) RUN(failed_append_leaves_the_log_as_it_was)
                      scratch_done();)
