/* machine.h - what this machine offers: threads, memory, terminal
 *
 * None of it may reach an output byte; it decides speed and looks only. */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include "cli/options.h"

/* Processors this process may use, and the cgroup's quota of them if that is less. */
uint32_t machine_jobs(void);
/* min(0.70 of what is available, 0.85 of the cgroup's limit, 0.25 of the addresses that a limit
 * leaves, 256 MiB). */
uint64_t machine_memory(void);

/* Colors in messages: NO_COLOR and CLICOLOR_FORCE decide before the terminal does. */
bool machine_color(enum when when);
/* What auto means here: a bar on a terminal, plain under CI, TERM=dumb, or in a file. */
enum progress_mode machine_progress(enum progress_mode mode);
uint32_t machine_columns(void); /* of the terminal at standard error; 80 if unknown */

#endif
