/* A program that this process starts and stands in for: signals go on to it, its exit status becomes ours. */
#ifndef NEEP_UTIL_CHILD_H
#define NEEP_UTIL_CHILD_H

#include "util/error.h"
#include "util/loop.h"

struct neep_child_params {
	const char *name; // of this process, for the line that says why the program cannot be run
	char **argv;      // ends with NULL
	/* may be NULL: runs in the child before the program, and sets its environment. Returns 0 or a negative errno. */
	int (*prepare)(void *data);
	void *data;
};

/* Starts the program with the signal mask, the dispositions and the limits that this process was started with (its limit of open
 * files is raised), and runs the loop until it ends. Returns its exit status as a shell has it: 128 and the number of the
 * signal that ended it; 126 or 127 when it cannot be run. Or a negative errno with `error` set. The signals stay blocked
 * afterwards: one that came for the program must not end the cleaning up behind it. */
int neep_child_run(struct neep_loop *loop, const struct neep_child_params *params, struct neep_error *error);

#endif
