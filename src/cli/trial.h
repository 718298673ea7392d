/* Things that are tried in a process of their own, with a time limit: other programs, and drivers and kernels that may crash or
 * hang. */
#ifndef NEEP_CLI_TRIAL_H
#define NEEP_CLI_TRIAL_H

#include <stddef.h>
#include <stdio.h>

/* Runs `work` with `data` in a child, ten seconds at most; its standard error goes nowhere. What it prints to `out`, or to
 * its standard output, comes back in `text`. Returns its exit status, or -1 when it was ended by a signal. */
int cli_trial_run(int (*work)(void *data, FILE *out), void *data, char *text, size_t size);

#endif
