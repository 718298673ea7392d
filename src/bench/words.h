/* What the words of a command line mean, for both benches. */
#ifndef NEEP_BENCH_WORDS_H
#define NEEP_BENCH_WORDS_H

#include <stddef.h>
#include <stdint.h>

/* The name of a load, of those there are. */
typedef const char *(*bench_load_name)(size_t index);

/* Sets a bit of *loads for each name in `list`, which commas separate; there are `count` names, at most 64. Returns 0, or -EINVAL
 * for another name or none. */
int bench_parse_loads(const char *list, bench_load_name name_of, size_t count, uint64_t *loads);

/* A number of min..max and nothing behind it. Returns 0 or -EINVAL. */
int bench_parse_number(const char *text, double min, double max, double *value);

#endif
