#include "wayland/x11.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/macros.h"

#define SATELLITE "xwayland-satellite"
/* An X server and its window manager start meanwhile. */
#define START_MAX_NS (20 * NEEP_NS_PER_S)
#define STOP_MAX_MS  2000
#define LOOK_MS      20
#define DISPLAYS_MAX 256

static bool is_in_path(const char *program) {
	const char *folder = getenv("PATH");
	char path[PATH_MAX];
	while (folder != NULL) {
		size_t len = strcspn(folder, ":");
		int written = snprintf(path, sizeof(path), "%.*s/%s", (int)len, folder, program);
		if (written < (int)sizeof(path) && access(path, X_OK) == 0) {
			return true;
		}
		folder = folder[len] == ':' ? folder + len + 1 : NULL;
	}
	return false;
}

static bool exists(const char *format, int number) {
	char path[64];
	snprintf(path, sizeof(path), format, number);
	return access(path, F_OK) == 0;
}

static bool has_socket(int number) {
	return exists("/tmp/.X11-unix/X%d", number);
}

static int first_free(void) {
	for (int number = 0; number < DISPLAYS_MAX; number++) {
		if (!has_socket(number) && !exists("/tmp/.X%d-lock", number)) {
			return number;
		}
	}
	return -EADDRINUSE;
}

_Noreturn static void become(const struct neep_wl_x11 *x11, const char *wayland_display) {
	sigset_t none;
	sigemptyset(&none);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	unsetenv("DISPLAY");
	unsetenv("WAYLAND_SOCKET");
	if (setenv("WAYLAND_DISPLAY", wayland_display, 1) == 0) {
		execlp(SATELLITE, SATELLITE, x11->display, (char *)NULL);
	}
	_exit(EXIT_FAILURE);
}

static bool has_ended(struct neep_wl_x11 *x11) {
	if (waitpid(x11->pid, NULL, WNOHANG) == 0) {
		return false;
	}
	x11->pid = 0;
	return true;
}

/* The satellite is a client: it needs the loop to run while it starts. */
static int await_display(
	struct neep_wl_x11 *x11, struct neep_loop *loop, int number, struct neep_error *error) {
	int64_t deadline = neep_clock_ns() + START_MAX_NS;
	while (!has_socket(number)) {
		int result = neep_loop_step(loop, LOOK_MS);
		if (result < 0) {
			return neep_error_set(error, -result, "event loop");
		}
		if (has_ended(x11)) {
			return neep_error_set(error, 0, "--x11: " SATELLITE " ended before it served %s: %s",
				x11->display, "is Xwayland installed?");
		}
		if (neep_clock_ns() > deadline) {
			return neep_error_set(
				error, ETIMEDOUT, "--x11: " SATELLITE " does not serve %s", x11->display);
		}
	}
	return 0;
}

int neep_wl_x11_start(struct neep_wl_x11 *x11, struct neep_loop *loop, const char *wayland_display,
	struct neep_error *error) {
	*x11 = (struct neep_wl_x11){ .pid = 0 };
	if (!is_in_path(SATELLITE)) {
		return neep_error_set(error, 0,
			"--x11: there is no " SATELLITE " in PATH: install the package " SATELLITE
			" (and xwayland), or its program from its project");
	}
	int number = first_free();
	if (number < 0) {
		return neep_error_set(error, -number, "--x11: no X display is free");
	}
	snprintf(x11->display, sizeof(x11->display), ":%d", number);
	x11->pid = fork();
	if (x11->pid == 0) {
		become(x11, wayland_display);
	}
	if (x11->pid < 0) {
		x11->pid = 0;
		return neep_error_set(error, errno, "--x11: cannot start " SATELLITE);
	}
	int result = await_display(x11, loop, number, error);
	if (result < 0) {
		neep_wl_x11_stop(x11);
	}
	return result;
}

void neep_wl_x11_stop(struct neep_wl_x11 *x11) {
	if (x11->pid <= 0) {
		return;
	}
	kill(x11->pid, SIGTERM);
	for (int waited = 0; waited < STOP_MAX_MS && !has_ended(x11); waited += LOOK_MS) {
		usleep(LOOK_MS * 1000);
	}
	if (x11->pid > 0) {
		kill(x11->pid, SIGKILL);
		waitpid(x11->pid, NULL, 0);
		x11->pid = 0;
	}
}
