/* adopt.h - the temporary that a killed build left, taken over by the next. Private to graph.
 *
 * What such a build finished lies in it, and the log knows the digests. Nothing of it is
 * believed: a file counts when its header is the planned one, a tensor when its bytes hash to
 * the digest that the plan wants there. */
#ifndef GRAPH_ADOPT_H
#define GRAPH_ADOPT_H

#include "graph/settle.h"

/* Is the file behind FD, of an adopted temporary, laid out as FILE? Then what lies between header
 * and extents is made zeros again. */
bool adopt_file(int fd, const char *path, const struct out_file *file);
/* Does the extent stand behind FD with the bytes that are wanted there? */
bool adopt_extent(const struct settling *s, const struct extent *extent, int fd, const char *path);
/* Remove from the folder TEMP what the artifact does not have. */
void adopt_clean(const struct artifact *artifact, const char *temp);

#endif
