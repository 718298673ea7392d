/* What the reports have in common: numbers, text, and the machine that they are about. */
#ifndef NEEP_BENCH_PRINT_H
#define NEEP_BENCH_PRINT_H

#include <stddef.h>
#include <stdio.h>

#include "bench/figures.h"

/* The machine that was measured: a line of text, or three members of a JSON object. */
void bench_print_machine(FILE *out);
void bench_print_machine_json(FILE *out);

/* With about three digits that matter; "-" for NAN. */
void bench_format_value(char *out, size_t size, double value);

/* As a JSON string, with its quotes; control characters are left out. */
void bench_print_string(FILE *out, const char *text);

/* As a JSON object: how it went, and the values. */
void bench_print_series_json(FILE *out, const char *outcome, const struct bench_series *series);

#endif
