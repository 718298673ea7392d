/* The command lines of the benches: a table of options, each with the place of its value. */
#ifndef NEEP_BENCH_WORDS_H
#define NEEP_BENCH_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_WORDS_MAX 16

struct bench_word {
	const char *name; // of the option, without "--"
	/* Where its value goes: one of these. A flag becomes true, and has no value. */
	bool *flag;
	const char **text; // borrowed from argv
	uint32_t *count;
	double *number;
	uint64_t *loads; // names of loads with commas between; a bit for each
	double min;      // of count and number
	double max;
};

/* The name of a load, of those there are; "" is none. */
typedef const char *(*bench_load_name)(size_t index);

struct bench_words {
	const char *command; // "neep bench"
	const struct bench_word *words;
	size_t count; // at most BENCH_WORDS_MAX
	bench_load_name load_name;
	size_t load_count; // at most 64
	void (*print_help)(void);
};

/* Reads argv[1] and what follows into the places; --help is an option of its own. Returns 0 to go on, 1 when --help was answered,
 * or -EINVAL when something is wrong, which is told on stderr. */
int bench_words_read(const struct bench_words *words, int argc, char **argv);

/* Tells on stderr that `value` is wrong, by the one %s of `format`, and where the options are. Returns -EINVAL. */
int bench_words_refuse(const char *command, const char *format, const char *value);

#endif
