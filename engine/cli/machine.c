#include "cli/machine.h"

#include "base/file.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MEM_DEFAULT = 256 << 20, MEM_LEAST = 16 << 20, TEXT_BYTES = 8192, PATH_BYTES = 4096 };

/* A file of /proc or /sys, whose size the system does not tell; "" when it is not there. */
static const char *system_text(const char *path, char *text, size_t room)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, text, room - 1);

    file_close(fd);
    text[n > 0 ? n : 0] = 0;
    return text;
}

/* The cgroup of this process in the hierarchy HEAD ("0::" is version 2, "4:memory:" is of 1):
 * its path without a slash at the end. */
static bool cgroup_path(const char *head, char *path, size_t room)
{
    char text[TEXT_BYTES];

    system_text("/proc/self/cgroup", text, sizeof(text));
    for (char *line = text; line && *line;) {
        char *end = strchr(line, '\n');

        if (end)
            *end = 0;
        const char *at = strstr(line, head);

        if (at && (at == line || head[0] == ':')) {
            snprintf(path, room, "%s", at + strlen(head));
            if (path[0] && path[strlen(path) - 1] == '/')
                path[strlen(path) - 1] = 0;
            return true;
        }
        line = end ? end + 1 : NULL;
    }
    return false;
}

typedef void (*limit_fn)(const char *folder, void *least);

/* Call LIMIT for the group's folder and for each above it, up to ROOT. */
static void each_group(const char *root, const char *head, limit_fn limit, void *least)
{
    char path[PATH_BYTES], folder[2 * PATH_BYTES];

    if (!cgroup_path(head, path, sizeof(path)))
        return;
    for (;;) {
        char *slash = strrchr(path, '/');

        snprintf(folder, sizeof(folder), "%s%s", root, path);
        limit(folder, least);
        if (!slash)
            return;
        *slash = 0;
    }
}

static void memory_limit(const char *folder, void *least)
{
    static const char *const names[] = {"memory.max", "memory.limit_in_bytes"};
    uint64_t *bytes = least;

    for (size_t i = 0; i < countof(names); i++) {
        char path[3 * PATH_BYTES], text[64];

        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        const unsigned long long limit = strtoull(system_text(path, text, sizeof(text)), NULL, 10);

        if (limit && limit < *bytes) /* "max" reads as 0 */
            *bytes = limit;
    }
}

static void processor_limit(const char *folder, void *least)
{
    char path[3 * PATH_BYTES], text[64];
    double *processors = least;
    long long quota = 0, period = 0;

    snprintf(path, sizeof(path), "%s/cpu.max", folder);
    system_text(path, text, sizeof(text));
    if (text[0]) {
        char *end;

        quota = strtoll(text, &end, 10);
        period = strtoll(end, NULL, 10);
    } else {
        snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", folder);
        quota = strtoll(system_text(path, text, sizeof(text)), NULL, 10);
        snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", folder);
        period = strtoll(system_text(path, text, sizeof(text)), NULL, 10);
    }
    if (quota > 0 && period > 0 && (double)quota / (double)period < *processors)
        *processors = (double)quota / (double)period;
}

uint32_t machine_jobs(void)
{
    cpu_set_t set;
    double processors = 1;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        processors = CPU_COUNT(&set);
    else if (sysconf(_SC_NPROCESSORS_ONLN) > 0)
        processors = (double)sysconf(_SC_NPROCESSORS_ONLN);
    each_group("/sys/fs/cgroup", "0::", processor_limit, &processors);
    each_group("/sys/fs/cgroup/cpu", ":cpu:", processor_limit, &processors);
    each_group("/sys/fs/cgroup/cpu,cpuacct", ":cpu,cpuacct:", processor_limit, &processors);
    return processors < 1 ? 1 : processors > 1024 ? 1024 : (uint32_t)processors;
}

static uint64_t memory_available(void)
{
    char text[TEXT_BYTES];
    const char *at = strstr(system_text("/proc/meminfo", text, sizeof(text)), "MemAvailable:");

    return at ? strtoull(at + strlen("MemAvailable:"), NULL, 10) * 1024 : 0;
}

uint64_t machine_memory(void)
{
    const uint64_t available = memory_available();
    uint64_t group = UINT64_MAX, bytes = MEM_DEFAULT;
    struct rlimit addresses;

    each_group("/sys/fs/cgroup", "0::", memory_limit, &group);
    each_group("/sys/fs/cgroup/memory", ":memory:", memory_limit, &group);
    if (available && available / 100 * 70 < bytes)
        bytes = available / 100 * 70;
    if (group / 100 * 85 < bytes)
        bytes = group / 100 * 85;
    if (getrlimit(RLIMIT_AS, &addresses) == 0 && addresses.rlim_cur / 4 < bytes)
        bytes = addresses.rlim_cur / 4; /* stacks and the program itself take of them, too */
    return bytes > MEM_LEAST ? bytes : MEM_LEAST;
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value && value[0];
}

static bool is_dumb(void)
{
    const char *term = getenv("TERM");

    return term && strcmp(term, "dumb") == 0;
}

bool machine_color(enum when when)
{
    const char *force = getenv("CLICOLOR_FORCE");

    if (when != WHEN_AUTO)
        return when == WHEN_ALWAYS;
    if (is_set("NO_COLOR"))
        return false;
    if (force && force[0] && strcmp(force, "0") != 0)
        return true;
    return isatty(STDERR_FILENO) && !is_dumb();
}

enum progress_mode machine_progress(enum progress_mode mode)
{
    if (mode != PROGRESS_AUTO)
        return mode;
    return isatty(STDERR_FILENO) && !is_dumb() && !is_set("CI") ? PROGRESS_BAR : PROGRESS_AUTO;
}

uint32_t machine_columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        return size.ws_col;
    return 80;
}
