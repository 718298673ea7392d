#include "bench/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/processes.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/macros.h"

#define OUTPUT_MAX   8192
#define WORDS_MAX    24
#define STOP_NS      (3 * NEEP_NS_PER_S)
#define STOP_POLL_US 100

struct bench_program {
	pid_t pid; // also its process group; 0: ended and waited for
	int status;
	int input; // -1: closed
	int output;
	FILE *errors;
	char text[OUTPUT_MAX]; // what it said, as a string
	size_t len;
};

char *bench_program_find(const char *name, const char *room) {
	static const char *const places[] = { "../libexec/", "", "../" };
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *path = NULL;
	for (size_t i = 0; len > 0 && i < NEEP_ARRAY_LEN(places); i++) {
		self[len] = '\0';
		int folder_len = (int)(strrchr(self, '/') + 1 - self);
		bool is_built = i == 2;
		if (asprintf(&path, "%.*s%s%s%s%s", folder_len, self, places[i], is_built ? room : "",
			    is_built ? "/" : "", name) < 0) {
			return NULL;
		}
		if (access(path, X_OK) == 0) {
			return path;
		}
		free(path);
	}
	return strdup(name);
}

char *bench_neep_prefix(const char *run_options) {
	char *prefix = NULL;
	char *neep = bench_program_find("neep", "cli");
	if (neep != NULL && asprintf(&prefix, "'%s' run %s%s--", neep, run_options,
				    run_options[0] != '\0' ? " " : "") < 0) {
		prefix = NULL;
	}
	free(neep);
	return prefix;
}

/* ---- starting ---- */

_Noreturn static void become(const struct bench_program_params *params, int input, int output, int errors) {
	const char *argv[WORDS_MAX + 5] = { "sh", "-c" };
	char *line;
	setpgid(0, 0);
	/* `neep run` and the like clean up when they are told to end. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	dup2(input, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(errors, STDERR_FILENO);
	if (asprintf(&line, "exec %s \"$@\"", params->prefix) < 0) {
		_exit(127);
	}
	argv[2] = line;
	argv[3] = "sh";
	for (size_t i = 0; i < WORDS_MAX && params->words[i] != NULL; i++) {
		argv[4 + i] = params->words[i];
	}
	execv("/bin/sh", (char *const *)(uintptr_t)argv);
	_exit(127);
}

static int start(struct bench_program *program, const struct bench_program_params *params) {
	neep_autoclose int child_input = -1;
	neep_autoclose int child_output = -1;
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0) {
		return -errno;
	}
	child_input = fds[0];
	program->input = fds[1];
	if (pipe2(fds, O_CLOEXEC) < 0) {
		return -errno;
	}
	program->output = fds[0];
	child_output = fds[1];
	program->errors = tmpfile();
	if (program->errors == NULL) {
		return -errno;
	}
	program->pid = fork();
	if (program->pid == 0) {
		become(params, child_input, child_output, fileno(program->errors));
	}
	return program->pid < 0 ? -errno : 0;
}

/* ---- what it says ---- */

static const char *find_line(const char *text, const char *start) {
	size_t len = strlen(start);
	while (text != NULL && *text != '\0') {
		if (strncmp(text, start, len) == 0) {
			return text;
		}
		text = strchr(text, '\n');
		text += text != NULL;
	}
	return NULL;
}

static bool has_said(const struct bench_program *program, const char *start) {
	const char *line = start != NULL ? find_line(program->text, start) : NULL;
	return line != NULL && strchr(line, '\n') != NULL;
}

/* Returns 1 at the end of its output, 0 to go on, or a negative errno. */
static int read_some(struct bench_program *program, int64_t deadline) {
	int64_t left = deadline - neep_clock_ns();
	struct pollfd poll_fd = { .fd = program->output, .events = POLLIN };
	if (left <= 0 || poll(&poll_fd, 1, (int)(left / NEEP_NS_PER_MS + 1)) == 0) {
		return -ETIMEDOUT;
	}
	char drain[512];
	size_t room = OUTPUT_MAX - 1 - program->len;
	/* What does not fit any more is read all the same, or the program would wait for us. */
	ssize_t got = read(program->output, room > 0 ? program->text + program->len : drain,
		room > 0 ? room : sizeof(drain));
	if (got < 0) {
		return errno == EINTR ? 0 : -errno;
	}
	program->len += room > 0 ? (size_t)got : 0;
	program->text[program->len] = '\0';
	return got == 0;
}

const char *bench_program_said(const struct bench_program *program, const char *key, char value[64]) {
	char start[64];
	snprintf(start, sizeof(start), "%s ", key);
	const char *line = find_line(program->text, start);
	if (line == NULL) {
		return NULL;
	}
	line += strlen(start);
	snprintf(value, 64, "%.*s", (int)strcspn(line, "\n"), line);
	return value;
}

static void read_last_error(const struct bench_program *program, char *text, size_t size) {
	char line[256];
	text[0] = '\0';
	rewind(program->errors);
	while (fgets(line, sizeof(line), program->errors) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '\0') {
			snprintf(text, size, "%s", line);
		}
	}
}

/* ---- ending ---- */

static bool reap(struct bench_program *program) {
	if (program->pid > 0 && waitpid(program->pid, &program->status, WNOHANG) == program->pid) {
		program->pid = 0;
	}
	return program->pid == 0;
}

static bool wait_for_end(struct bench_program *program, int64_t deadline) {
	while (!reap(program)) {
		if (neep_clock_ns() >= deadline) {
			return false;
		}
		usleep(STOP_POLL_US);
	}
	return true;
}

void bench_program_end(struct bench_program *program) {
	if (program == NULL) {
		return;
	}
	neep_close_fd(&program->input);
	pid_t group = program->pid;
	if (group > 0) {
		if (!wait_for_end(program, neep_clock_ns() + STOP_NS)) {
			kill(-group, SIGTERM);
			wait_for_end(program, neep_clock_ns() + STOP_NS);
		}
		kill(-group, SIGKILL);
		wait_for_end(program, INT64_MAX);
	}
	neep_close_fd(&program->output);
	if (program->errors != NULL) {
		fclose(program->errors);
	}
	free(program);
}

/* ---- running ---- */

static int read_output(struct bench_program *program, const struct bench_program_params *params) {
	int64_t deadline = neep_clock_ns() + params->timeout_ns;
	int result = 0;
	while (result == 0 && !has_said(program, params->until)) {
		result = read_some(program, deadline);
	}
	if (result < 0) {
		return result;
	}
	if (params->until != NULL) {
		return result == 0 ? 0 : -EPIPE;
	}
	/* Its output may end before it does. */
	return wait_for_end(program, deadline) ? 0 : -ETIMEDOUT;
}

static int judge(struct bench_program *program, int result, struct neep_error *error) {
	char last[256];
	bool is_over = program->pid == 0;
	if (result == 0 && (!is_over || (WIFEXITED(program->status) && WEXITSTATUS(program->status) == 0))) {
		return 0;
	}
	read_last_error(program, last, sizeof(last));
	if (result == -ETIMEDOUT) {
		return neep_error_set(error, 0, "took too long; its last words: %s", last);
	}
	if (is_over && WIFSIGNALED(program->status)) {
		return neep_error_set(error, 0, "%s: %s", strsignal(WTERMSIG(program->status)), last);
	}
	return neep_error_set(error, 0, "failed: %s", last);
}

struct bench_program *bench_program_run(const struct bench_program_params *params, struct neep_error *error) {
	struct bench_program *program = calloc(1, sizeof(*program));
	if (program == NULL) {
		neep_error_set(error, ENOMEM, "program");
		return NULL;
	}
	*program = (struct bench_program){ .input = -1, .output = -1 };
	int result = start(program, params);
	if (result == 0) {
		result = judge(program, read_output(program, params), error);
	} else {
		neep_error_set(error, -result, "cannot start a process");
	}
	if (result < 0) {
		bench_program_end(program);
		return NULL;
	}
	return program;
}

uint64_t bench_program_rss(const struct bench_program *program, const char *name) {
	return bench_family_largest(program->pid, name);
}
