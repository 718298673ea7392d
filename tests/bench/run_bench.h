/* Runs `neep bench` in this process. */
#ifndef NEEP_TESTS_BENCH_RUN_BENCH_H
#define NEEP_TESTS_BENCH_RUN_BENCH_H

#include "util/macros.h"

struct run {
	int exit_code;
	char out[32768];
};

/* Its output goes into `run`; the TAP stream stays clean. */
void run_bench(struct run *run, int argc, const char **argv);

/* Puts scripts into a folder of their own, which comes first in PATH: the program, whose path is returned, and one that is both
 * `neep` and `neep-wayland`. */
const char *bench_scripts_make(const char *program, const char *neep);
void bench_scripts_remove(void);

#define BENCH(run, ...)                                                  \
	do {                                                             \
		const char *words[] = { "bench", __VA_ARGS__, NULL };    \
		run_bench((run), (int)NEEP_ARRAY_LEN(words) - 1, words); \
	} while (0)

#endif
