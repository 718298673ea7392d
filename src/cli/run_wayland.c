/* The compositor of this machine, and the proxy that leads the program to it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/run.h"
#include "util/fd.h"
#include "util/number.h"

#define REMEDY "start one, or name its socket with --wayland-socket-path"

/* ---- where it is: libwayland's rules, without a connection that was handed over (WAYLAND_SOCKET) ---- */

/* Behind `folder`, if there is one. The device may run in another folder. */
static int take_path(
	const char *folder, const char *name, struct run_places *places, struct neep_error *error) {
	const char *slash = folder[0] != '\0' ? "/" : "";
	int len = snprintf(places->compositor, sizeof(places->compositor), "%s%s%s", folder, slash, name);
	if (len >= (int)sizeof(places->compositor)) {
		return neep_error_set(
			error, ENAMETOOLONG, "the compositor's socket %s%s%s", folder, slash, name);
	}
	return 0;
}

static int take_named(const char *path, struct run_places *places, struct neep_error *error) {
	char folder[PATH_MAX] = "";
	if (path[0] != '/' && getcwd(folder, sizeof(folder)) == NULL) {
		return neep_error_set(error, errno, "--wayland-socket-path: %s", path);
	}
	return take_path(folder, path, places, error);
}

static int take_default(struct run_places *places, struct neep_error *error) {
	const char *name = getenv("WAYLAND_DISPLAY");
	const char *folder = getenv("XDG_RUNTIME_DIR");
	name = name != NULL ? name : "wayland-0";
	if (name[0] == '/') {
		return take_path("", name, places, error);
	}
	if (folder == NULL || folder[0] != '/') {
		return neep_error_set(
			error, 0, "no Wayland compositor is known here: XDG_RUNTIME_DIR is not set; " REMEDY);
	}
	return take_path(folder, name, places, error);
}

/* ---- whether it is there ---- */

/* Connects, as a socket may be left of one that died. */
static int check_compositor(const struct run_places *places, struct neep_error *error) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", places->compositor);
	neep_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return neep_error_set(error, errno, "cannot look for a compositor");
	}
	/* One with many guests at its door is there. */
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN) {
		return 0;
	}
	return neep_error_set(
		error, 0, "no Wayland compositor at %s: %s; " REMEDY, places->compositor, strerror(errno));
}

int run_find_compositor(
	const struct run_options *options, struct run_places *places, struct neep_error *error) {
	if (!options->has_wayland && options->wayland_socket == NULL) {
		return 0;
	}
	int result = options->wayland_socket != NULL ? take_named(options->wayland_socket, places, error)
						     : take_default(places, error);
	return result < 0 ? result : check_compositor(places, error);
}

/* ---- the program ---- */

void run_wayland_hide_socket(void) {
	const char *text = getenv("WAYLAND_SOCKET");
	uint64_t fd;
	if (text != NULL && neep_number_parse(text, &fd) && fd <= INT_MAX) {
		fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	}
	unsetenv("WAYLAND_SOCKET");
}

char **run_wayland_words(const struct run_options *options, const struct run_places *places) {
	size_t count = 0;
	while (options->program[count] != NULL) {
		count++;
	}
	char **words = calloc(count + 4, sizeof(*words)), **word = words;
	if (words != NULL) {
		*word++ = (char *)(uintptr_t)places->proxy;
		if (options->x11[0] != '\0') {
			*word++ = (char *)(uintptr_t)options->x11;
		}
		*word++ = (char *)(uintptr_t) "--";
		memcpy(word, options->program, count * sizeof(*words));
	}
	return words;
}
