#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/fd.h"

/* A picture of the largest scanout takes seconds. */
#define TIMEOUT_S 60

static int control_connect(const char *path, struct neep_error *error) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	if (len == 0 || len >= sizeof(address.sun_path)) {
		return neep_error_set(error, 0, "\"%s\" cannot be the path of a socket", path);
	}
	memcpy(address.sun_path, path, len);
	neep_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval timeout = { .tv_sec = TIMEOUT_S };
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
		connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		return neep_error_set(error, errno, "cannot reach a device at %s", path);
	}
	return neep_steal_fd(&fd);
}

/* Reads up to the end of the line, which is cut off. */
static int read_line(int fd, char line[CLI_ANSWER_MAX], struct neep_error *error) {
	size_t used = 0;
	while (used < CLI_ANSWER_MAX) {
		ssize_t got = read(fd, line + used, CLI_ANSWER_MAX - used);
		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got <= 0) {
			return neep_error_set(error, got < 0 ? errno : EPIPE, "the device gave no answer");
		}
		char *end = memchr(line + used, '\n', (size_t)got);
		if (end != NULL) {
			*end = '\0';
			return 0;
		}
		used += (size_t)got;
	}
	return neep_error_set(error, EPROTO, "the device's answer is too long");
}

int cli_control(
	const char *path, const char *line, int fd, char answer[CLI_ANSWER_MAX], struct neep_error *error) {
	neep_autoclose int control = control_connect(path, error);
	if (control < 0) {
		return control;
	}
	struct neep_send send = { .buf = line, .len = strlen(line), .fds = &fd, .fd_count = fd >= 0 ? 1 : 0 };
	int result = neep_send_all(control, &send);
	if (result < 0) {
		return neep_error_set(error, -result, "cannot ask the device at %s", path);
	}
	result = read_line(control, answer, error);
	if (result < 0) {
		return result;
	}
	if (strncmp(answer, "error ", strlen("error ")) == 0) {
		return neep_error_set(error, 0, "%s", answer + strlen("error "));
	}
	size_t skip = strncmp(answer, "ok ", strlen("ok ")) == 0 ? strlen("ok ") : strlen("ok");
	if (strncmp(answer, "ok", strlen("ok")) != 0) {
		return neep_error_set(error, EPROTO, "%s is not a device's control socket", path);
	}
	memmove(answer, answer + skip, strlen(answer + skip) + 1);
	return 0;
}
