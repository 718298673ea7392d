#include "bench/words.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/macros.h"

#define OPTION_HELP 1000 // the others are indices of the table

int bench_words_refuse(const char *command, const char *format, const char *value) {
	fprintf(stderr, "%s: ", command);
	fprintf(stderr, format, value);
	fprintf(stderr, "; %s --help lists the options\n", command);
	return -EINVAL;
}

static int parse_loads(const struct bench_words *words, const char *list, uint64_t *loads) {
	*loads = 0;
	while (*list != '\0') {
		size_t len = strcspn(list, ",");
		size_t i = 0;
		while (i < words->load_count && (strlen(words->load_name(i)) != len ||
							strncmp(words->load_name(i), list, len) != 0)) {
			i++;
		}
		if (len == 0 || i == words->load_count) {
			return -EINVAL;
		}
		*loads |= UINT64_C(1) << i;
		list += len;
		list += *list == ',';
	}
	return *loads != 0 ? 0 : -EINVAL;
}

static int parse_number(const struct bench_word *word, const char *text, double *value) {
	char *end;
	*value = strtod(text, &end);
	bool is_good = end != text && *end == '\0' && *value >= word->min && *value <= word->max &&
		       (word->count == NULL || *value == floor(*value));
	return is_good ? 0 : -EINVAL;
}

static int set_number(const struct bench_words *words, const struct bench_word *word, const char *text) {
	double value;
	char format[128];
	if (parse_number(word, text, &value) < 0) {
		snprintf(format, sizeof(format), "--%s: \"%%s\" is not a %snumber from %g to %g", word->name,
			word->count != NULL ? "whole " : "", word->min, word->max);
		return bench_words_refuse(words->command, format, text);
	}
	if (word->count != NULL) {
		*word->count = (uint32_t)value;
	} else {
		*word->number = value;
	}
	return 0;
}

static int set(const struct bench_words *words, const struct bench_word *word, const char *text) {
	if (word->flag != NULL) {
		*word->flag = true;
		return 0;
	}
	if (word->text != NULL) {
		*word->text = text;
		return 0;
	}
	if (word->loads != NULL) {
		return parse_loads(words, text, word->loads) == 0
			       ? 0
			       : bench_words_refuse(words->command, "\"%s\" is no list of loads", text);
	}
	return set_number(words, word, text);
}

int bench_words_read(const struct bench_words *words, int argc, char **argv) {
	struct option known[BENCH_WORDS_MAX + 2] = { { "help", no_argument, NULL, OPTION_HELP } };
	neep_assert(words->count <= BENCH_WORDS_MAX);
	for (size_t i = 0; i < words->count; i++) {
		known[i + 1] = (struct option){
			.name = words->words[i].name,
			.has_arg = words->words[i].flag != NULL ? no_argument : required_argument,
			.val = (int)i,
		};
	}
	optind = 1;
	for (int option; (option = getopt_long(argc, argv, ":", known, NULL)) != -1;) {
		if (option == OPTION_HELP) {
			words->print_help();
			return 1;
		}
		if (option == '?' || option == ':') {
			return bench_words_refuse(words->command,
				"%s is not an option here, or wants a value", argv[optind - 1]);
		}
		int result = set(words, &words->words[option], optarg);
		if (result < 0) {
			return result;
		}
	}
	return optind == argc ? 0 : bench_words_refuse(words->command, "\"%s\" is too much", argv[optind]);
}
