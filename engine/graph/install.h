/* install.h - put a finished temporary under its final name. Private to graph. */
#ifndef GRAPH_INSTALL_H
#define GRAPH_INSTALL_H

#include "graph/artifact.h"
#include "store/store.h"

/* Would install at PATH be refused for what stands there now? Asked before anything runs. */
bool install_may(const struct artifact *art, const struct artifact_record *record, const char *path,
                 struct err *err) MUST_USE;

/* A file replaces what is at PATH; files of a set what stands under their names, the first last
 * and with no old first meanwhile. A folder is swapped with what is there when all of that is
 * ours (RECORD, may be NULL, says what vbuild wrote there); otherwise its files are renamed in
 * one by one, config and index last, and files that are not ours are never touched. Weights of
 * another merge that would stay behind are ERR_IO, named. */
bool install(const struct artifact *art, const struct artifact_record *record, const char *temp,
             const char *path, bool durable, struct err *err) MUST_USE;

#endif
