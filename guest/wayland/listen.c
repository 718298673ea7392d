#include "wayland/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/number.h"

#define BACKLOG 128
/* wayland-0 is what clients without WAYLAND_DISPLAY try: only by --socket. */
#define FIRST_NUMBER 1
#define LAST_NUMBER  32

/* ---- from systemd: sd_listen_fds(3) ---- */

#define LISTEN_FDS_START 3

static uint64_t number_of(const char *variable) {
	const char *text = getenv(variable);
	uint64_t number = 0;
	return text != NULL && neep_number_parse(text, &number) ? number : 0;
}

static bool is_listening(int fd) {
	int is = 0;
	socklen_t len = sizeof(is);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is, &len) == 0 && is != 0;
}

/* The place of "wayland" in the names; 0 when it is not there. */
static int index_of_name(void) {
	const char *names = getenv("LISTEN_FDNAMES");
	for (int index = 0; names != NULL; index++) {
		size_t len = strcspn(names, ":");
		if (len == strlen("wayland") && memcmp(names, "wayland", len) == 0) {
			return index;
		}
		names = names[len] == ':' ? names + len + 1 : NULL;
	}
	return 0;
}

/* Returns the socket, or -1: none was passed. */
static int take_passed(void) {
	uint64_t count = number_of("LISTEN_PID") == (uint64_t)getpid() ? number_of("LISTEN_FDS") : 0;
	int index = index_of_name();
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	int fd = LISTEN_FDS_START + index;
	if ((uint64_t)index >= count || !is_listening(fd)) {
		return -1;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

static int use_passed(struct neep_wl_listen *listen, struct neep_error *error) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(address);
	if (getsockname(listen->fd, (struct sockaddr *)&address, &len) < 0 || address.sun_family != AF_UNIX ||
		address.sun_path[0] != '/') {
		return neep_error_set(error, EINVAL, "the socket from systemd is no unix socket with a path");
	}
	snprintf(listen->display, sizeof(listen->display), "%.*s", (int)sizeof(address.sun_path),
		address.sun_path);
	return neep_fd_set_nonblocking(listen->fd);
}

/* ---- of our own ---- */

/* The lock is libwayland's: whoever holds it owns the socket of the name. Returns 0 or a negative errno. */
static int lock(struct neep_wl_listen *listen) {
	char path[PATH_MAX + 8];
	snprintf(path, sizeof(path), "%s.lock", listen->path);
	neep_autoclose int fd = open(path, O_CREAT | O_CLOEXEC | O_RDWR, 0660);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		return -errno;
	}
	struct stat st;
	if (lstat(listen->path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		/* Of a process that has not cleaned up. */
		unlink(listen->path);
	}
	listen->lock_fd = neep_steal_fd(&fd);
	return 0;
}

static void unlock(struct neep_wl_listen *listen) {
	char path[PATH_MAX + 8];
	if (listen->lock_fd >= 0) {
		snprintf(path, sizeof(path), "%s.lock", listen->path);
		unlink(path);
		neep_close_fd(&listen->lock_fd);
	}
}

/* Returns 0 or a negative errno; -EWOULDBLOCK: the name is taken. */
static int bind_to(struct neep_wl_listen *listen) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(listen->path) + 1;
	if (len > sizeof(address.sun_path)) {
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, listen->path, len);
	neep_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int result = fd < 0 ? -errno : lock(listen);
	if (result < 0) {
		return result;
	}
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		result = -errno;
		unlock(listen);
		return result;
	}
	listen->fd = neep_steal_fd(&fd);
	return 0;
}

/* Returns 0 or a negative errno; the path is empty then. */
static int make(struct neep_wl_listen *listen, const char *folder, const char *name) {
	int len = folder == NULL ? snprintf(listen->path, sizeof(listen->path), "%s", name)
				 : snprintf(listen->path, sizeof(listen->path), "%s/%s", folder, name);
	int result = len >= (int)sizeof(listen->path) ? -ENAMETOOLONG : bind_to(listen);
	if (result < 0) {
		listen->path[0] = '\0';
	}
	return result;
}

static int make_first_free(struct neep_wl_listen *listen, const char *folder, struct neep_error *error) {
	char name[32];
	int result = -EADDRINUSE;
	for (int number = FIRST_NUMBER; number <= LAST_NUMBER && result < 0; number++) {
		snprintf(name, sizeof(name), "wayland-%d", number);
		result = make(listen, folder, name);
	}
	if (result < 0) {
		return neep_error_set(error, -result, "cannot make a socket wayland-N in %s", folder);
	}
	snprintf(listen->display, sizeof(listen->display), "%s", name);
	return 0;
}

/* The name alone would mean nothing to the program: it gets the whole path. */
static int make_private(struct neep_wl_listen *listen, struct neep_error *error) {
	char folder[] = "/tmp/neep-wayland-XXXXXX";
	if (mkdtemp(folder) == NULL) {
		return neep_error_set(
			error, errno, "cannot make a folder for the socket; set XDG_RUNTIME_DIR");
	}
	snprintf(listen->folder, sizeof(listen->folder), "%s", folder);
	int result = make_first_free(listen, folder, error);
	memcpy(listen->display, listen->path, sizeof(listen->display));
	return result;
}

static int make_named(
	struct neep_wl_listen *listen, const char *folder, const char *socket, struct neep_error *error) {
	bool is_path = strchr(socket, '/') != NULL;
	if (!is_path && folder == NULL) {
		return neep_error_set(
			error, EINVAL, "--socket %s: without XDG_RUNTIME_DIR give a path", socket);
	}
	int result = make(listen, is_path ? NULL : folder, socket);
	if (result == -EWOULDBLOCK) {
		return neep_error_set(
			error, EADDRINUSE, "--socket %s: belongs to a running compositor", socket);
	}
	if (result < 0) {
		return neep_error_set(error, -result, "--socket %s", socket);
	}
	if (!is_path || realpath(socket, listen->display) == NULL) {
		snprintf(listen->display, sizeof(listen->display), "%s", socket);
	}
	return 0;
}

static int make_own(struct neep_wl_listen *listen, const char *socket, struct neep_error *error) {
	const char *folder = getenv("XDG_RUNTIME_DIR");
	if (folder != NULL && folder[0] != '/') {
		folder = NULL;
	}
	if (socket != NULL) {
		return make_named(listen, folder, socket, error);
	}
	return folder != NULL ? make_first_free(listen, folder, error) : make_private(listen, error);
}

int neep_wl_listen_start(struct neep_wl_listen *listener, const char *socket, struct neep_error *error) {
	*listener = (struct neep_wl_listen){ .fd = take_passed(), .lock_fd = -1 };
	int result = listener->fd >= 0 ? use_passed(listener, error) : make_own(listener, socket, error);
	if (result == 0 && listen(listener->fd, BACKLOG) < 0) {
		result = neep_error_set(error, errno, "cannot listen at %s", listener->display);
	}
	if (result < 0) {
		neep_wl_listen_finish(listener);
	}
	return result;
}

void neep_wl_listen_finish(struct neep_wl_listen *listen) {
	neep_close_fd(&listen->fd);
	if (listen->path[0] != '\0') {
		unlink(listen->path);
		unlock(listen);
	}
	if (listen->folder[0] != '\0') {
		rmdir(listen->folder);
	}
}
