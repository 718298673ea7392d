#include "daemon/listener.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/fd.h"

#define BACKLOG 4

/* Whether a process holds the socket at `address`. A connect of another socket type tells without being noticed there:
 * EPROTOTYPE when somebody does, ECONNREFUSED when the file is left over. */
static bool is_in_use(const struct sockaddr_un *address) {
	neep_autoclose int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return probe < 0 || connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	       errno != ECONNREFUSED;
}

static int clear_path(const struct sockaddr_un *address, struct neep_error *error) {
	struct stat st;
	if (lstat(address->sun_path, &st) < 0) {
		return 0;
	}
	if (!S_ISSOCK(st.st_mode)) {
		return neep_error_set(error, 0, "%s is not a socket, and is left alone", address->sun_path);
	}
	if (is_in_use(address)) {
		return neep_error_set(error, 0,
			"%s belongs to a running process; end that, or take another path", address->sun_path);
	}
	if (unlink(address->sun_path) < 0) {
		return neep_error_set(error, errno, "cannot remove the stale socket %s", address->sun_path);
	}
	return 0;
}

static int listen_at(int fd, const struct sockaddr_un *address, struct stat *st, struct neep_error *error) {
	const char *path = address->sun_path;
	/* The file gets the mode of the socket: so there is no moment at which others may connect. */
	if (fchmod(fd, S_IRUSR | S_IWUSR) < 0 ||
		bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		return neep_error_set(error, errno, "cannot create the socket %s", path);
	}
	if (listen(fd, BACKLOG) < 0 || lstat(path, st) < 0) {
		int code = errno;
		unlink(path);
		return neep_error_set(error, code, "cannot listen at %s", path);
	}
	return 0;
}

int neep_listener_open(struct neep_listener *listener, const char *path, struct neep_error *error) {
	*listener = (struct neep_listener){ .fd = -1 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	if (len == 0 || len > NEEP_SOCKET_PATH_MAX) {
		return neep_error_set(error, 0, "a socket path has 1 to %d bytes", NEEP_SOCKET_PATH_MAX);
	}
	memcpy(address.sun_path, path, len);
	neep_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return neep_error_set(error, errno, "cannot create a socket");
	}
	struct stat st;
	int result = clear_path(&address, error);
	if (result == 0) {
		result = listen_at(fd, &address, &st, error);
	}
	if (result < 0) {
		return result;
	}
	listener->path = strdup(path);
	if (listener->path == NULL) {
		unlink(path);
		return neep_error_set(error, ENOMEM, "socket %s", path);
	}
	listener->fd = neep_steal_fd(&fd);
	listener->dev = st.st_dev;
	listener->ino = st.st_ino;
	return 0;
}

void neep_listener_close(struct neep_listener *listener) {
	if (listener->fd < 0) {
		return;
	}
	struct stat st;
	if (lstat(listener->path, &st) == 0 && st.st_dev == listener->dev && st.st_ino == listener->ino) {
		unlink(listener->path);
	}
	neep_close_fd(&listener->fd);
	free(listener->path);
	listener->path = NULL;
}
