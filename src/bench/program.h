/* Programs that measure something and print it: finding them, running them, looking at their memory. */
#ifndef NEEP_BENCH_PROGRAM_H
#define NEEP_BENCH_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

/* The path of a program of ours: where it is installed, or built in the room of that name, as seen from this program; else just
 * its name. To be freed; NULL for want of memory. */
char *bench_program_find(const char *name, const char *room);

/* The shell words that run a program through `neep run` with these options, to be freed; NULL for want of memory. */
char *bench_neep_prefix(const char *run_options);

struct bench_program_params {
	const char *prefix; // shell words before the program, "" for none
	const char **words; // the program and its arguments, NULL at the end
	int64_t timeout_ns; // then it is ended
	const char *
		until; // stop when it prints a line that begins so, and leave it running; NULL: read to its end
};

struct bench_program;

/* Runs it in a process group of its own, its standard input a pipe that stays open until it is ended. NULL with `error` set when
 * it cannot be started, does not print `until`, fails, or takes too long; the error ends with the last line of its stderr. */
struct bench_program *bench_program_run(const struct bench_program_params *params, struct neep_error *error);

/* Closes its standard input, waits for it a while, ends it; frees. NULL is fine. */
void bench_program_end(struct bench_program *program);

/* What it said in the line "key value", or NULL; good until the end. */
const char *bench_program_said(const struct bench_program *program, const char *key, char value[64]);

/* As bench_family_largest(), of the program and its descendants. */
uint64_t bench_program_rss(const struct bench_program *program, const char *name);

#endif
