#include "cli/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fd.h"

#define CHILD_NS (10 * NEEP_NS_PER_S)

/* What it says itself about its trouble is not for the reader of our lines. */
_Noreturn static void be_child(int (*work)(void *data, FILE *out), void *data, int fd) {
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(null, STDERR_FILENO);
	dup2(fd, STDOUT_FILENO);
	int status = work(data, stdout);
	fflush(stdout);
	_exit(status);
}

/* Reads to the end, also what has no room. Returns false when the end does not come in time. */
static bool read_all(int fd, char *text, size_t size, int64_t deadline) {
	char rest[512];
	size_t len = 0;
	for (ssize_t got = 1; got > 0;) {
		struct pollfd poller = { .fd = fd, .events = POLLIN };
		int64_t left = deadline - neep_clock_ns();
		if (left <= 0 || poll(&poller, 1, (int)(left / NEEP_NS_PER_MS) + 1) < 0) {
			return false;
		}
		bool has_room = len + 1 < size;
		got = poller.revents == 0 ? 1
		      : has_room          ? read(fd, text + len, size - 1 - len)
					  : read(fd, rest, sizeof(rest));
		len += poller.revents != 0 && has_room && got > 0 ? (size_t)got : 0;
		text[len] = '\0';
	}
	return true;
}

int cli_trial_run(int (*work)(void *data, FILE *out), void *data, char *text, size_t size) {
	int64_t deadline = neep_clock_ns() + CHILD_NS;
	int pipe_fds[2];
	text[0] = '\0';
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		return -1;
	}
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		be_child(work, data, pipe_fds[1]);
	}
	neep_close_fd(&pipe_fds[1]);
	if (pid > 0 && !read_all(pipe_fds[0], text, size, deadline)) {
		kill(pid, SIGKILL);
	}
	neep_close_fd(&pipe_fds[0]);
	int status = -1;
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
