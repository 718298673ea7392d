#include "bench/figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/macros.h"

static int compare_doubles(const void *a, const void *b) {
	double x = *(const double *)a;
	double y = *(const double *)b;
	return (x > y) - (x < y);
}

double bench_percentile(double *values, size_t count, double percent) {
	qsort(values, count, sizeof(*values), compare_doubles);
	size_t index = (size_t)((double)(count - 1) * percent / 100 + 0.5);
	return values[index];
}

double bench_median(double *values, size_t count) {
	qsort(values, count, sizeof(*values), compare_doubles);
	return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

void bench_series_add(struct bench_series *series, double value) {
	if (!isnan(value)) {
		neep_assert(series->count < BENCH_ROUNDS_MAX);
		series->values[series->count++] = value;
	}
}

double bench_series_median(struct bench_series *series) {
	return series->count > 0 ? bench_median(series->values, series->count) : NAN;
}

bool bench_target_is_met(enum bench_target target, double limit, double native, double value) {
	switch (target) {
	case BENCH_SHARE:
		return value >= limit * native;
	case BENCH_AT_LEAST:
		return value >= limit;
	case BENCH_AT_MOST:
		return value <= limit;
	case BENCH_ABOVE:
		return value <= native + limit;
	case BENCH_ANY:
	default:
		return true;
	}
}

void bench_target_format(enum bench_target target, double limit, char out[32]) {
	switch (target) {
	case BENCH_SHARE:
		snprintf(out, 32, ">= %.2fx", limit);
		break;
	case BENCH_AT_LEAST:
		snprintf(out, 32, ">= %g", limit);
		break;
	case BENCH_AT_MOST:
		snprintf(out, 32, "<= %g", limit);
		break;
	case BENCH_ABOVE:
		snprintf(out, 32, "<= +%g", limit);
		break;
	case BENCH_ANY:
	default:
		out[0] = '\0';
	}
}
