#include <getopt.h>
#include <stdio.h>

#include "cli/cli.h"

/* The line that goes to the device holds both words. */
#define WORD_MAX 64

int cli_resize(int argc, char **argv) {
	static const struct option options[] = {
		{ "control", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *control = NULL;
	opterr = 0;
	for (int value; (value = getopt_long(argc, argv, ":", options, NULL)) >= 0;) {
		switch (value) {
		case 'c':
			control = optarg;
			break;
		case 'h':
			puts("Usage: neep resize --control PATH SCANOUT WIDTHxHEIGHT\n"
			     "0x0 turns the output off.");
			return CLI_OK;
		default:
			return cli_bad_option(argv[0], value, argv);
		}
	}
	if (control == NULL) {
		return cli_usage(argv[0], "give --control PATH, the device's control socket");
	}
	if (argc - optind != 2) {
		return cli_usage(argv[0], "give the number of a scanout and WIDTHxHEIGHT");
	}
	char line[2 * WORD_MAX + 16];
	char answer[CLI_ANSWER_MAX];
	struct neep_error error;
	snprintf(
		line, sizeof(line), "resize %.*s %.*s\n", WORD_MAX, argv[optind], WORD_MAX, argv[optind + 1]);
	if (cli_control(control, line, -1, answer, &error) < 0) {
		return cli_fail(argv[0], "%s", error.text);
	}
	return CLI_OK;
}
