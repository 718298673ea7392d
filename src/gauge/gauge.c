#include "gauge.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define OPTIONS_MAX 8
#define OPTION_HELP OPTIONS_MAX // the others are indices
#define EXIT_USAGE  2

void gauge_refuse(const char *word) {
	fprintf(stderr, "%s: \"%s\" is wrong here; --help tells more\n", program_invocation_short_name, word);
	exit(EXIT_USAGE);
}

static double read_number(const struct gauge_option *option, const char *text) {
	char *end;
	double value = strtod(text, &end);
	if (end == text || *end != '\0' || !(value >= option->min && value <= option->max)) {
		gauge_refuse(text);
	}
	return value;
}

const char *gauge_read_words(
	int argc, char **argv, const struct gauge_option *options, size_t count, void (*print_help)(void)) {
	struct option known[OPTIONS_MAX + 2] = { { "help", no_argument, NULL, OPTION_HELP } };
	for (size_t i = 0; i < count && i < OPTIONS_MAX; i++) {
		known[i + 1] = (struct option){ options[i].name, required_argument, NULL, (int)i };
	}
	for (int index; (index = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (index == OPTION_HELP) {
			print_help();
			exit(0);
		}
		if (index == '?') {
			exit(EXIT_USAGE);
		}
		*options[index].place = read_number(&options[index], optarg);
	}
	if (optind + 1 != argc) {
		gauge_refuse(optind < argc ? argv[optind + 1] : "no load");
	}
	return argv[optind];
}

static int compare_times(const void *a, const void *b) {
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

void gauge_print_percentiles(const char *key, int64_t *times, size_t count) {
	qsort(times, count, sizeof(*times), compare_times);
	printf("%s_p50 %.3f\n", key, (double)times[count / 2] / 1e3);
	printf("%s_p99 %.3f\n", key, (double)times[count - 1 - count / 100] / 1e3);
}
