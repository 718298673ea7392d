#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/run.h"
#include "util/fd.h"
#include "util/loop.h"
#include "virtgpu/protocol.h"

/* What a shell returns for a program that cannot be started, and adds to the number of the signal that ended one. */
enum shell_status {
	SHELL_CANNOT_RUN = 126,
	SHELL_NOT_FOUND = 127,
	SHELL_SIGNAL = 128,
};

struct program {
	struct neep_loop *loop;
	pid_t pid;
	int pidfd;
	struct neep_source end_source;
	sigset_t signals;     // that are forwarded
	sigset_t signals_was; // the mask for the program
	int signal_fd;
	struct neep_source signal_source;
	struct rlimit files_was;
};

/* ---- in the child ---- */

static int put_first(const char *variable, const char *value) {
	const char *old = getenv(variable);
	char *both = NULL;
	if (old == NULL || old[0] == '\0') {
		return setenv(variable, value, 1);
	}
	int result = asprintf(&both, "%s:%s", value, old) < 0 ? -1 : setenv(variable, both, 1);
	free(both);
	return result;
}

static int set_environment(const struct run_places *places, const char *node_name) {
	int result = put_first("LD_PRELOAD", places->preload);
	result |= setenv(NEEP_VIRTGPU_ENV_SOCKET, node_name, 1);
	result |= setenv(NEEP_VIRTGPU_ENV_TREE, places->tree, 1);
	if (places->icd[0] != '\0') {
		/* The second is what loaders before 1.3.207 know. */
		result |= setenv("VK_DRIVER_FILES", places->icd, 1);
		result |= setenv("VK_ICD_FILENAMES", places->icd, 1);
	}
	return result;
}

_Noreturn static void become(const struct program *program, const struct run_options *options,
	const struct run_places *places, const char *node_name) {
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setrlimit(RLIMIT_NOFILE, &program->files_was);
	sigprocmask(SIG_SETMASK, &program->signals_was, NULL);
	if (set_environment(places, node_name) == 0) {
		execvp(options->program[0], options->program);
	}
	int status = errno == ENOENT ? SHELL_NOT_FOUND : SHELL_CANNOT_RUN;
	fprintf(stderr, "neep run: cannot run %s: %s\n", options->program[0], strerror(errno));
	_exit(status);
}

/* ---- signals ---- */

/* What the terminal sends goes to the program as well, since both are in its foreground group; what somebody sent to this
 * process is passed on. */
static bool is_for_group(const struct signalfd_siginfo *info) {
	return info->ssi_code > 0;
}

static void handle_signal(struct program *program, const struct signalfd_siginfo *info) {
	int number = (int)info->ssi_signo;
	if (!is_for_group(info)) {
		kill(program->pid, number);
	}
	if (number == SIGTSTP) {
		/* Stopped as a job the shell knows of; SIGCONT wakes us. */
		raise(SIGSTOP);
	}
}

static void signals_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct program *program = neep_container_of(source, struct program, signal_source);
	struct signalfd_siginfo info;
	while (read(source->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		handle_signal(program, &info);
	}
}

static int watch_signals(struct program *program) {
	static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH,
		SIGALRM, SIGTSTP, SIGCONT };
	sigemptyset(&program->signals);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(forwarded); i++) {
		sigaddset(&program->signals, forwarded[i]);
	}
	sigprocmask(SIG_BLOCK, &program->signals, &program->signals_was);
	program->signal_fd = signalfd(-1, &program->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (program->signal_fd < 0) {
		return -errno;
	}
	program->signal_source = (struct neep_source){ .fd = program->signal_fd, .ready = signals_ready };
	return neep_source_add(program->loop, &program->signal_source, EPOLLIN);
}

/* ---- start and end ---- */

static void program_ended(struct neep_source *source, uint32_t events) {
	(void)events;
	neep_loop_stop(neep_container_of(source, struct program, end_source)->loop);
}

/* Each file and fence of the program is one here, too. */
static void raise_file_limit(struct program *program) {
	getrlimit(RLIMIT_NOFILE, &program->files_was);
	struct rlimit limit = program->files_was;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int watch_end(struct program *program) {
	program->pidfd = (int)syscall(SYS_pidfd_open, program->pid, 0);
	if (program->pidfd < 0) {
		return -errno;
	}
	program->end_source = (struct neep_source){ .fd = program->pidfd, .ready = program_ended };
	return neep_source_add(program->loop, &program->end_source, EPOLLIN);
}

static int await_end(struct program *program) {
	int result = watch_end(program);
	if (result == 0) {
		result = neep_loop_run(program->loop);
	}
	if (result < 0) {
		kill(program->pid, SIGKILL);
	}
	int status = 0;
	while (waitpid(program->pid, &status, 0) < 0 && errno == EINTR) {
	}
	if (result < 0) {
		return result;
	}
	return WIFSIGNALED(status) ? SHELL_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

static void finish(struct program *program) {
	neep_source_remove(&program->end_source);
	neep_source_remove(&program->signal_source);
	neep_close_fd(&program->pidfd);
	neep_close_fd(&program->signal_fd);
}

int run_program(struct neep_loop *loop, const struct run_options *options, const struct run_places *places,
	const char *node_name, struct neep_error *error) {
	struct program program = { .loop = loop, .pidfd = -1, .signal_fd = -1 };
	int result = watch_signals(&program);
	if (result == 0) {
		raise_file_limit(&program);
		program.pid = fork();
		if (program.pid == 0) {
			become(&program, options, places, node_name);
		}
		result = program.pid < 0 ? -errno : await_end(&program);
	}
	finish(&program);
	return result < 0 ? neep_error_set(error, -result, "cannot run %s", options->program[0]) : result;
}
