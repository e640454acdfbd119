/* events_json.h - a build as JSON lines (DESIGN section 5): start, artifact, warning, error, end
 *
 * Every line is one object with "v":1 and "e"; fields are only ever added within version 1. The
 * end line is written whatever happened: ok, failed, interrupted, planned. */
#ifndef CLI_EVENTS_JSON_H
#define CLI_EVENTS_JSON_H

#include "cli/summary.h"

#include <stdio.h>

struct events_json {
    FILE *to; /* NULL: nobody wants them */
    int64_t started_ns;
};

/* PATH NULL: no events. "-": standard output, and what else is said there goes to standard
 * error. ERR_IO when it cannot be written. */
bool events_open(struct events_json *e, const char *path, struct err *err) MUST_USE;
/* False, once, when a line could not be written. */
bool events_close(struct events_json *e, struct err *err) MUST_USE;

void events_start(struct events_json *e, const char *recipe, const struct build_options *options);
void events_artifact(struct events_json *e, const struct summary_artifact *artifact);
void events_message(struct events_json *e, const char *kind, const char *text);
/* SUMMARY is NULL when it ended before there was one. */
void events_end(struct events_json *e, const char *status, const struct summary *summary);

#endif
