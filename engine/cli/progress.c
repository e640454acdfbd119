#include "cli/progress.h"

#include "base/file.h"
#include "base/msg.h"
#include "cli/machine.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

enum { BAR_CELLS = 20, SILENT_SECONDS = 5, HEARTBEAT_SECONDS = 30, LEFT_AFTER_SECONDS = 3 };
static const int64_t second_ns = 1000000000;

void progress_init(struct progress *p, enum progress_mode mode)
{
    const int64_t now = clock_ns();

    *p = (struct progress){.mode = mode, .started_ns = now, .spoke_ns = now, .sample_ns = now};
}

/* Bytes per second: of the last second, mixed with what was known. */
static void sample_rate(struct progress *p, uint64_t bytes, int64_t now)
{
    const double seconds = (double)(now - p->sample_ns) / 1e9;

    if (seconds < 1 || bytes < p->sample_bytes)
        return;
    const double rate = (double)(bytes - p->sample_bytes) / seconds;

    p->rate = p->rate > 0 ? 0.7 * p->rate + 0.3 * rate : rate;
    p->sample_ns = now;
    p->sample_bytes = bytes;
}

/* Where the work stands, from 0 to 1: by bytes where bytes must move, else by nodes. */
static double part_done(const struct build_progress *now)
{
    double part = 1;

    if (now->bytes_all)
        part = (double)now->bytes / (double)now->bytes_all;
    else if (now->total)
        part = (double)now->done / (double)now->total;
    return part > 1 ? 1 : part;
}

/* "3/10 nodes, 1.2 of 9.0 GiB, 400.0 MiB/s, 0:37 left" */
static void put_figures(char *text, size_t room, const struct build_progress *now, double seconds,
                        double rate)
{
    const double gib = 0x1p30, mib = 0x1p20;
    const bool large = (double)now->bytes_all >= gib;
    int n = snprintf(text, room, "%u/%u nodes, %.1f of %.1f %s", now->done, now->total,
                     (double)now->bytes / (large ? gib : mib),
                     (double)now->bytes_all / (large ? gib : mib), large ? "GiB" : "MiB");

    if (rate > 0)
        n += snprintf(text + n, room - (size_t)n, ", %.1f MiB/s", rate / mib);
    if (rate > 0 && seconds >= LEFT_AFTER_SECONDS && part_done(now) >= 0.05 &&
        now->bytes_all >= now->bytes) {
        const double left = (double)(now->bytes_all - now->bytes) / rate;

        if (left < 360000)
            snprintf(text + n, room - (size_t)n, ", %d:%02d left", (int)left / 60, (int)left % 60);
    }
}

void progress_line(char *text, size_t room, uint32_t columns, const struct build_progress *now,
                   double seconds, double rate)
{
    const int cells = (int)(part_done(now) * BAR_CELLS);
    char figures[160];
    size_t n = 0;

    put_figures(figures, sizeof(figures), now, seconds, rate);
    /* a terminal that has no room for the bar gets the figures, cut */
    if (columns > BAR_CELLS + 3 + strlen(figures))
        n = (size_t)snprintf(text, room, "[%.*s%.*s] ", cells,
                             "====================", BAR_CELLS - cells, "--------------------");
    snprintf(text + n, room - n, "%s", figures);
    if (columns && strlen(text) >= columns)
        text[columns - 1] = 0;
}

void progress_show(struct progress *p, const struct build_progress *now)
{
    const int64_t clock = clock_ns();
    const double seconds = (double)(clock - p->started_ns) / 1e9;
    char text[240];

    sample_rate(p, now->bytes, clock);
    if (p->mode == PROGRESS_BAR) {
        progress_line(text, sizeof(text), machine_columns(), now, seconds, p->rate);
        msg_status(text);
    } else if (p->mode != PROGRESS_NONE && clock - p->spoke_ns >= HEARTBEAT_SECONDS * second_ns) {
        put_figures(text, sizeof(text), now, seconds, p->rate);
        msg_note("%s", text);
        p->spoke_ns = clock;
    }
}

void progress_artifact(struct progress *p, const char *path, bool written)
{
    const int64_t clock = clock_ns();
    const bool soon = clock - p->started_ns < SILENT_SECONDS * second_ns;

    if (!written || (p->mode != PROGRESS_PLAIN && (p->mode != PROGRESS_AUTO || soon)))
        return;
    msg_note("wrote %s", path);
    p->spoke_ns = clock;
}

void progress_finish(struct progress *p)
{
    if (p->mode == PROGRESS_BAR)
        msg_status("");
}
