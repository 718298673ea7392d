/* A program that this process starts and stands in for: signals go on to it, its exit status becomes ours. And the end of
 * processes beside it. */
#ifndef NEEP_UTIL_CHILD_H
#define NEEP_UTIL_CHILD_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"
#include "util/loop.h"

struct neep_child_params {
	const char *name; // of this process, for the line that says why the program cannot be run
	char **argv;      // ends with NULL
	/* may be NULL: runs in the child before the program, and sets its environment. Returns 0 or a negative errno. */
	int (*prepare)(void *data);
	void *data;
};

/* Starts the program with the signal mask and the limits that this process has (its own limit of open files is raised), SIGPIPE as
 * it is by default, and runs the loop until it ends. Returns its exit status as a shell has it: 128 and the number of the
 * signal that ended it; 126 or 127 when it cannot be run. Or a negative errno with `error` set. The signals stay blocked
 * afterwards: one that came for the program must not end the cleaning up behind it. */
int neep_child_run(struct neep_loop *loop, const struct neep_child_params *params, struct neep_error *error);

/* Holds back from now on the signals that neep_child_run() passes on, for what must not be cut off before it: one that comes
 * waits for the program. `*were` becomes the mask of before, for processes that are started meanwhile, and for `prepare` to set
 * in the program. */
void neep_child_hold_signals(sigset_t *were);

/* Waits for the end of the child `pid`, which ends by itself or was told to; kills it when that takes longer than
 * `patience_ns`. Nothing of it is left. */
void neep_child_end(pid_t pid, int64_t patience_ns);

#endif
