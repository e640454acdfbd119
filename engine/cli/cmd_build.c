#include "base/file.h"
#include "base/msg.h"
#include "cli/account.h"
#include "cli/cmd.h"
#include "cli/machine.h"
#include "cli/progress.h"
#include "cli/text.h"

#include <signal.h>
#include <unistd.h>

/* Which signal asked the build to end; 0 while none did. */
static volatile sig_atomic_t stop_signal;
/* Set while there is something to end in order; before that a signal just ends the program. */
static volatile sig_atomic_t in_build;

static void on_signal(int number)
{
    if (!in_build || stop_signal)
        _exit(128 + number);
    stop_signal = number;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

struct watcher {
    struct session *session;
    struct progress progress;
};

static void on_progress(void *self, const struct build_progress *now)
{
    struct watcher *w = self;

    progress_show(&w->progress, now);
}

static void on_artifact(void *self, const struct artifact *a, const char *path, bool written)
{
    struct watcher *w = self;

    (void)a;
    progress_artifact(&w->progress, path, written);
}

/* Every artifact, once the digests are known. */
static void tell_artifacts(struct session *s)
{
    for (uint32_t i = 0; i < s->summary.nartifact; i++)
        if (!s->summary.artifact[i].failed)
            events_artifact(&s->events, &s->summary.artifact[i]);
}

static int end_build(struct session *s, bool ok, const struct err *err, int64_t wall_ns)
{
    struct buf text = {0};
    int code = 0;

    tell_artifacts(s);
    if (!ok && err->code == ERR_STOPPED)
        msg_error("interrupted; what was finished is kept, and the next build goes on from there");
    else if (!ok)
        msg_error("%s", err->text);
    if (s->options->explain)
        account_reasons(s, false, &text);
    account_put(s, wall_ns, &text);
    say_bytes(text.data, text.size);
    buf_finish(&text);
    if (!ok)
        code =
            err->code == ERR_STOPPED && stop_signal ? 128 + stop_signal : err_exit(err->code, true);
    events_end(&s->events,
               ok                         ? "ok"
               : err->code == ERR_STOPPED ? "interrupted"
                                          : "failed",
               &s->summary);
    return code;
}

static int run(struct session *s, struct err *err)
{
    struct watcher watcher = {.session = s};
    const struct build_events events = {&watcher, on_progress, on_artifact};
    const int64_t started = clock_ns();

    progress_init(&watcher.progress,
                  s->options->quiet ? PROGRESS_NONE
                                    : machine_progress((enum progress_mode)s->options->progress));
    s->build.stop = &stop_signal;
    in_build = true;
    const bool ok = build_run(s->recipe.graph, s->recipe.artifact, s->recipe.nartifact, s->store,
                              &s->build, &events, &s->report, err);

    in_build = false;
    progress_finish(&watcher.progress);
    session_reported(s);
    if (ok)
        snapshot_save(s);
    return end_build(s, ok, err, clock_ns() - started);
}

int build_of(const struct options *options, const struct dropin *dropin)
{
    struct session session;
    const int64_t started = clock_ns();
    struct err err;
    int code;

    if (options->quiet)
        say_nothing();
    catch_signals();
    const bool begun = session_begin(&session, options, dropin, &err);

    if (begun && snapshot_stands(&session))
        code = end_build(&session, true, &err, clock_ns() - started);
    else if (begun && session_evaluate(&session, &err) && session_write(&session, &err))
        code = run(&session, &err);
    else
        code = session_fail(&session, &err, false);
    return session_finish(&session, code);
}

int cmd_build(const struct options *options)
{
    return options->dry_run ? cmd_plan(options) : build_of(options, NULL);
}
