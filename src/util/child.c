#include "util/child.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fd.h"
#include "util/macros.h"

/* What a shell returns for a program that cannot be started, and adds to the number of the signal that ended one. */
enum shell_status {
	SHELL_CANNOT_RUN = 126,
	SHELL_NOT_FOUND = 127,
	SHELL_SIGNAL = 128,
};

struct child {
	struct neep_loop *loop;
	pid_t pid;
	int pidfd;
	struct neep_source end_source;
	sigset_t signals_was; // the mask for the program
	int signal_fd;
	struct neep_source signal_source;
	struct rlimit files_was;
	bool has_ended;
};

_Noreturn static void become(
	const struct child *child, const struct neep_child_params *params, pid_t parent) {
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent) {
		/* It has died before. */
		_exit(SHELL_CANNOT_RUN);
	}
	setrlimit(RLIMIT_NOFILE, &child->files_was);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &child->signals_was, NULL);
	int result = params->prepare == NULL ? 0 : params->prepare(params->data);
	if (result == 0) {
		execvp(params->argv[0], params->argv);
		result = -errno;
	}
	fprintf(stderr, "%s: cannot run %s: %s\n", params->name, params->argv[0], strerror(-result));
	_exit(result == -ENOENT ? SHELL_NOT_FOUND : SHELL_CANNOT_RUN);
}

/* From before: the program began so, too. */
static bool is_ignored(int number) {
	struct sigaction action;
	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* What the terminal sends goes to the program as well, since both are in its foreground group; what somebody sent to this
 * process is passed on. */
static void handle_signal(const struct child *child, const struct signalfd_siginfo *info) {
	int number = (int)info->ssi_signo;
	bool is_for_group = info->ssi_code > 0;
	if (!is_for_group) {
		kill(child->pid, number);
	}
	if (number == SIGTSTP && !is_ignored(number)) {
		/* Stopped as a job the shell knows of; SIGCONT wakes us. */
		raise(SIGSTOP);
	}
}

static void signals_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct child *child = neep_container_of(source, struct child, signal_source);
	struct signalfd_siginfo info;
	while (read(source->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		handle_signal(child, &info);
	}
}

static sigset_t forwarded_signals(void) {
	static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH,
		SIGALRM, SIGTSTP, SIGCONT };
	sigset_t signals;
	sigemptyset(&signals);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(forwarded); i++) {
		sigaddset(&signals, forwarded[i]);
	}
	return signals;
}

void neep_child_hold_signals(sigset_t *were) {
	sigset_t signals = forwarded_signals();
	sigprocmask(SIG_BLOCK, &signals, were);
}

static int watch_signals(struct child *child) {
	sigset_t signals = forwarded_signals();
	neep_child_hold_signals(&child->signals_was);
	child->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (child->signal_fd < 0) {
		return -errno;
	}
	child->signal_source = (struct neep_source){ .fd = child->signal_fd, .ready = signals_ready };
	return neep_source_add(child->loop, &child->signal_source, EPOLLIN);
}

static void child_ended(struct neep_source *source, uint32_t events) {
	(void)events;
	neep_container_of(source, struct child, end_source)->has_ended = true;
}

static int open_pid(pid_t pid) {
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int reap(pid_t pid) {
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	return status;
}

static int watch_end(struct child *child) {
	child->pidfd = open_pid(child->pid);
	if (child->pidfd < 0) {
		return -errno;
	}
	child->end_source = (struct neep_source){ .fd = child->pidfd, .ready = child_ended };
	return neep_source_add(child->loop, &child->end_source, EPOLLIN);
}

static int await_end(struct child *child) {
	int result = watch_end(child);
	while (result == 0 && !child->has_ended) {
		result = neep_loop_step(child->loop, -1);
	}
	if (result < 0) {
		kill(child->pid, SIGKILL);
	}
	int status = reap(child->pid);
	if (result < 0) {
		return result;
	}
	return WIFSIGNALED(status) ? SHELL_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

static void finish(struct child *child) {
	neep_source_remove(&child->end_source);
	neep_source_remove(&child->signal_source);
	neep_close_fd(&child->pidfd);
	neep_close_fd(&child->signal_fd);
}

int neep_child_run(struct neep_loop *loop, const struct neep_child_params *params, struct neep_error *error) {
	struct child child = { .loop = loop, .pidfd = -1, .signal_fd = -1 };
	int result = watch_signals(&child);
	if (result == 0) {
		getrlimit(RLIMIT_NOFILE, &child.files_was);
		neep_fd_raise_limit();
		pid_t parent = getpid();
		child.pid = fork();
		if (child.pid == 0) {
			become(&child, params, parent);
		}
		result = child.pid < 0 ? -errno : await_end(&child);
	}
	finish(&child);
	return result < 0 ? neep_error_set(error, -result, "cannot run %s", params->argv[0]) : result;
}

void neep_child_end(pid_t pid, int64_t patience_ns) {
	neep_autoclose int pidfd = open_pid(pid);
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	int64_t deadline = neep_clock_ns() + patience_ns;
	int64_t left = patience_ns;
	while (left > 0 && poll(&end, 1, (int)(left / NEEP_NS_PER_MS) + 1) <= 0) {
		left = deadline - neep_clock_ns();
	}
	if (left <= 0) {
		kill(pid, SIGKILL);
	}
	reap(pid);
}
