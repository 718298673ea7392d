/* Runs the programs under test. The environment says where they are: NEEP_DAEMON and NEEP_CLI. */
#ifndef NEEP_TESTS_DAEMON_PROCESS_H
#define NEEP_TESTS_DAEMON_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#define PROCESS_WORDS_MAX  16
#define PROCESS_OUTPUT_MAX 16384

/* What a program said, and how it ended. */
struct process_result {
	int code; // exit code; -1: it was killed
	char out[PROCESS_OUTPUT_MAX];
	char err[PROCESS_OUTPUT_MAX];
};

/* Runs `program` with `words` (split at spaces; "" is an empty word) to its end. */
void process_run(const char *program, const char *words, struct process_result *result);

/* Runs it with words that are wrong: it must say nothing but `line`, on stderr, and end with status 2. */
void process_run_mistake(const char *program, const char *words, const char *line);

/* Starts it with its messages thrown away; the child dies with the test. */
pid_t process_start(const char *program, const char *words);

/* Waits for its end and returns the exit code; -1 when it was killed, as it is when patience ends (support/await.h). */
int process_wait(pid_t pid);

/* The programs. */
const char *daemon_program(void);
const char *cli_program(void);

/* A new folder, and the current one; removed by folder_leave() with the files in it. */
void folder_enter(void);
void folder_leave(void);

bool file_exists(const char *path);

/* Waits until there is something at `path`. */
void file_await(const char *path);

/* A blocking connection, once somebody listens at the file that is there, or a negative errno. */
int socket_connect(const char *path);

/* Asks the control socket `fd` one line and reads the answer; both end in a newline that is not shown. */
const char *control_ask(int fd, const char *line);

#endif
