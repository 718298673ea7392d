/* Figures: values of several rounds, what stands for them, and what they are held against. */
#ifndef NEEP_BENCH_FIGURES_H
#define NEEP_BENCH_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The median of `count` > 0 values, which are sorted by the way. */
double bench_median(double *values, size_t count);

/* The value below which `percent` of `count` > 0 values lie; sorts them. */
double bench_percentile(double *values, size_t count, double percent);

#define BENCH_ROUNDS_MAX 15

/* One figure of one peer: the values of the rounds that gave one. */
struct bench_series {
	double values[BENCH_ROUNDS_MAX];
	uint32_t count;
};

/* The value of a round, of BENCH_ROUNDS_MAX at most; NAN: it gave none. */
void bench_series_add(struct bench_series *series, double value);

/* NAN when there is no value; sorts them. */
double bench_series_median(struct bench_series *series);

/* What a figure is held against. */
enum bench_target {
	BENCH_ANY,
	BENCH_SHARE,    // at least so much of the native figure
	BENCH_AT_LEAST, // whatever the native figure is
	BENCH_AT_MOST,
	BENCH_ABOVE, // at most so much above the native figure
};

bool bench_target_is_met(enum bench_target target, double limit, double native, double value);

/* ">= 0.90x" and the like; empty for BENCH_ANY. */
void bench_target_format(enum bench_target target, double limit, char out[32]);

#endif
