/* Subcommands that ask a question and print the answer. */
#include <getopt.h>
#include <stdio.h>

#include "cli/cli.h"

static int ask(int argc, char **argv, const char *line) {
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
			printf("Usage: neep %s --control PATH\n", argv[0]);
			return CLI_OK;
		default:
			return cli_bad_option(argv[0], value, argv);
		}
	}
	if (control == NULL) {
		return cli_usage(argv[0], "give --control PATH, the device's control socket");
	}
	if (optind < argc) {
		return cli_usage(argv[0], "\"%s\" is one word too many", argv[optind]);
	}
	char answer[CLI_ANSWER_MAX];
	struct neep_error error;
	if (cli_control(control, line, -1, answer, &error) < 0) {
		return cli_fail(argv[0], "%s", error.text);
	}
	puts(answer);
	return CLI_OK;
}

int cli_stats(int argc, char **argv) {
	return ask(argc, argv, "stats\n");
}

int cli_contexts(int argc, char **argv) {
	return ask(argc, argv, "contexts\n");
}

int cli_outputs(int argc, char **argv) {
	return ask(argc, argv, "outputs\n");
}
