#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "cli/cli.h"
#include "config.h"
#include "util/fd.h"

static const struct command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "bench", "measure a back-end, alone or beside another", neep_bench_main },
	{ "contexts", "print the contexts of a running device, and their renderers", cli_contexts },
	{ "doctor", "say what this host can carry, and what it lacks", cli_doctor },
	{ "outputs", "print what the scanouts of a running device show", cli_outputs },
	{ "resize", "change the size of an output of a running device", cli_resize },
	{ "run", "run a program with a GPU of its own, without a virtual machine", cli_run },
	{ "screenshot", "write what a scanout shows as PNG", cli_screenshot },
	{ "stats", "print the counters of a running device", cli_stats },
	{ "vm", "start a virtual machine with our device", cli_vm },
};

static void print_message(const char *command, const char *format, va_list args) {
	fprintf(stderr, "neep %s: ", command);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

int cli_usage(const char *command, const char *format, ...) {
	va_list args;
	va_start(args, format);
	print_message(command, format, args);
	va_end(args);
	return CLI_USAGE;
}

int cli_fail(const char *command, const char *format, ...) {
	va_list args;
	va_start(args, format);
	print_message(command, format, args);
	va_end(args);
	return CLI_FAILURE;
}

int cli_bad_option(const char *command, int value, char *const *argv) {
	const char *word = argv[optind - 1];
	if (value == ':') {
		return cli_usage(command, "%s needs a value", word);
	}
	return cli_usage(command, "%s is not an option here; neep %s --help lists them", word, command);
}

static void print_help(FILE *out) {
	fputs("Usage: neep COMMAND [OPTION]...\n\n", out);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(commands); i++) {
		fprintf(out, "  %-12s%s\n", commands[i].name, commands[i].summary);
	}
	fputs("\nneep COMMAND --help tells more.\n", out);
}

static int unknown_command(const char *name) {
	fprintf(stderr, "neep: \"%s\" is not a command; there are:", name);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(commands); i++) {
		fprintf(stderr, " %s", commands[i].name);
	}
	fputc('\n', stderr);
	return CLI_USAGE;
}

/* A socket of ours at the place of a stream that was closed would be taken for it, here and by what is started. */
static void fill_standard_streams(void) {
	int fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO) {
		fd = open("/dev/null", O_RDWR);
	}
	neep_close_fd(&fd);
}

int main(int argc, char **argv) {
	fill_standard_streams();
	const char *name = argc > 1 ? argv[1] : NULL;
	if (name == NULL) {
		print_help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
		print_help(stdout);
		return CLI_OK;
	}
	if (strcmp(name, "--version") == 0) {
		puts("neep " NEEP_VERSION);
		return CLI_OK;
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(commands); i++) {
		if (strcmp(name, commands[i].name) == 0) {
			return commands[i].run(argc - 1, argv + 1);
		}
	}
	return unknown_command(name);
}
