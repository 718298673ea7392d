/* The neep command: what its subcommands share.
 *
 * Exit codes: 0 done, 1 it failed, 2 the command line was wrong; of `neep run`: that of its program. */
#ifndef NEEP_CLI_CLI_H
#define NEEP_CLI_CLI_H

#include "util/error.h"
#include "util/macros.h"

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILURE = 1,
	CLI_USAGE = 2,
};

/* Subcommands: argv[0] is the subcommand's name. Each returns an exit code. */
int cli_screenshot(int argc, char **argv);
int cli_resize(int argc, char **argv);
int cli_stats(int argc, char **argv);
int cli_contexts(int argc, char **argv);
int cli_outputs(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_run(int argc, char **argv);
int cli_vm(int argc, char **argv);

/* Print "neep COMMAND: message", and return CLI_USAGE or CLI_FAILURE. */
int cli_usage(const char *command, const char *format, ...) NEEP_PRINTF(2, 3);
int cli_fail(const char *command, const char *format, ...) NEEP_PRINTF(2, 3);

/* What getopt_long() says when `value` is neither an option's nor the end: after that the command ends with CLI_USAGE. */
int cli_bad_option(const char *command, int value, char *const *argv);

/* Sends one line to a device's control socket, with `fd` (-1: none), and waits for its answer. `answer` gets what stands
 * behind "ok". Returns 0 or a negative errno with `error` set, also when the device refuses. */
#define CLI_ANSWER_MAX 16384
int cli_control(
	const char *path, const char *line, int fd, char answer[CLI_ANSWER_MAX], struct neep_error *error);

#endif
