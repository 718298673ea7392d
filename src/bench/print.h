/* What the reports have in common: numbers, text, and the machine that they are about. */
#ifndef NEEP_BENCH_PRINT_H
#define NEEP_BENCH_PRINT_H

#include <stddef.h>
#include <stdio.h>
#include <sys/utsname.h>

/* The median of `count` > 0 values, which are sorted by the way. */
double bench_median(double *values, size_t count);

/* The value below which `percent` of `count` > 0 values lie; sorts them. */
double bench_percentile(double *values, size_t count, double percent);

struct bench_machine {
	char cpu[128];
	long cores;
	struct utsname system;
};
struct bench_machine bench_find_machine(void);

/* With about three digits that matter. */
void bench_format_value(char *out, size_t size, double value);

/* As a JSON string, with its quotes; control characters are left out. */
void bench_print_string(FILE *out, const char *text);

#endif
