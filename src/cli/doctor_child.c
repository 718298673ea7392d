#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "util/fd.h"

#define CHILD_SECONDS 10

/* What it says itself about its trouble is not for the reader of our lines. */
_Noreturn static void be_child(int (*work)(FILE *out), int fd) {
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(null, STDERR_FILENO);
	dup2(fd, STDOUT_FILENO);
	alarm(CHILD_SECONDS);
	int status = work(stdout);
	fflush(stdout);
	_exit(status);
}

int doctor_in_child(int (*work)(FILE *out), char *text, size_t size) {
	int pipe_fds[2];
	text[0] = '\0';
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		return -1;
	}
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		be_child(work, pipe_fds[1]);
	}
	neep_close_fd(&pipe_fds[1]);
	size_t len = 0;
	char rest[512];
	for (ssize_t got = 1; got > 0;) {
		/* Read to the end, also what has no room. */
		bool has_room = len + 1 < size;
		got = has_room ? read(pipe_fds[0], text + len, size - 1 - len)
			       : read(pipe_fds[0], rest, sizeof(rest));
		len += has_room && got > 0 ? (size_t)got : 0;
	}
	text[len] = '\0';
	neep_close_fd(&pipe_fds[0]);
	int status = -1;
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
