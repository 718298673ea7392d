/* What neep-bench-vulkan and neep-bench-wayland have in common. They measure one thing per run and print lines "key value"; like
 * them this knows nothing of neep. */
#ifndef NEEP_GAUGE_GAUGE_H
#define NEEP_GAUGE_GAUGE_H

#include <stddef.h>
#include <stdint.h>

/* An option with a number. */
struct gauge_option {
	const char *name; // without "--"
	double *place;
	double min;
	double max;
};

/* Reads the command line "[OPTION]... LOAD", with 8 options at most, and returns the load. Ends the program after --help, and
 * with a message where something is wrong. */
const char *gauge_read_words(
	int argc, char **argv, const struct gauge_option *options, size_t count, void (*print_help)(void));

/* Ends the program: this word of the command line is wrong. */
_Noreturn void gauge_refuse(const char *word);

/* Sorts the `count` > 0 times, nanoseconds; prints "KEY_p50 V" and "KEY_p99 V" in microseconds. */
void gauge_print_percentiles(const char *key, int64_t *times, size_t count);

#endif
