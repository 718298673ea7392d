#include "wayland/x11.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/child.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "util/number.h"

#define SATELLITE "xwayland-satellite"
#define SERVER    "Xwayland"
/* An X server and its window manager start meanwhile. */
#define START_MAX_NS (20 * NEEP_NS_PER_S)
#define STOP_MAX_NS  (2 * NEEP_NS_PER_S)
#define LOOK_MS      20
#define DISPLAYS_MAX 256
#define HELP_MAX     32768
#define HELP_MAX_S   5
#define WORDS_MAX    8

/* What is started, and how it says that its display is served: by the socket of a display that we chose, or by the number of
 * the one that it chose, written to ready_fd. */
struct launch {
	const struct neep_wl_x11_params *params;
	const char *program;
	char *words[WORDS_MAX];
	int number;
	int ready_fd; // -1: the socket tells
	int child_fd; // the server's end of it
	char said[16];
	size_t said_len;
	char end_text[16];  // words: the display or the fd,
	char size_text[32]; // and the size
};

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

/* ---- displays and what they leave in /tmp ---- */

static const char *socket_path(int number, char path[64]) {
	snprintf(path, 64, "/tmp/.X11-unix/X%d", number);
	return path;
}

static bool has_socket(int number) {
	char path[64];
	return access(socket_path(number, path), F_OK) == 0;
}

static int first_free(void) {
	char lock[64];
	for (int number = 0; number < DISPLAYS_MAX; number++) {
		snprintf(lock, sizeof(lock), "/tmp/.X%d-lock", number);
		if (!has_socket(number) && access(lock, F_OK) < 0) {
			return number;
		}
	}
	return -EADDRINUSE;
}

/* A server that was killed leaves its socket behind, which may be another one's by now. */
static void remove_leftover(const struct neep_wl_x11 *x11) {
	struct stat st;
	char path[64];
	if (x11->display[0] != '\0' && stat(socket_path(x11->number, path), &st) == 0 &&
		st.st_ino == x11->socket_inode) {
		unlink(path);
	}
}

static void set_display(struct neep_wl_x11 *x11, int number) {
	struct stat st;
	char path[64];
	x11->number = number;
	x11->socket_inode = stat(socket_path(number, path), &st) == 0 ? st.st_ino : 0;
	snprintf(x11->display, sizeof(x11->display), ":%d", number);
}

/* ---- the process ---- */

static void forget(struct neep_wl_x11 *x11) {
	neep_source_remove(&x11->end);
	neep_close_fd(&x11->end.fd);
	remove_leftover(x11);
	x11->pid = 0;
}

static bool has_ended(struct neep_wl_x11 *x11) {
	if (waitpid(x11->pid, NULL, WNOHANG) == 0) {
		return false;
	}
	forget(x11);
	return true;
}

static void server_ended(struct neep_source *source, uint32_t events) {
	(void)events;
	struct neep_wl_x11 *x11 = neep_container_of(source, struct neep_wl_x11, end);
	if (has_ended(x11) && x11->display[0] != '\0') {
		neep_log("wayland", NEEP_LOG_WARN, "the X server of %s has ended", x11->display);
	}
}

_Noreturn static void become(const struct launch *launch) {
	sigset_t none;
	sigemptyset(&none);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	unsetenv("DISPLAY");
	unsetenv("WAYLAND_SOCKET");
	if (launch->child_fd >= 0) {
		fcntl(launch->child_fd, F_SETFD, 0);
	}
	if (setenv("WAYLAND_DISPLAY", launch->params->wayland_display, 1) == 0) {
		execvp(launch->program, launch->words);
	}
	_exit(EXIT_FAILURE);
}

static int start(struct neep_wl_x11 *x11, struct neep_loop *loop, struct launch *launch) {
	x11->pid = fork();
	if (x11->pid == 0) {
		become(launch);
	}
	if (x11->pid < 0) {
		x11->pid = 0;
		return -errno;
	}
	neep_close_fd(&launch->child_fd);
	x11->end.fd = (int)syscall(SYS_pidfd_open, x11->pid, 0);
	x11->end.ready = server_ended;
	return x11->end.fd < 0 ? -errno : neep_source_add(loop, &x11->end, EPOLLIN);
}

/* ---- xwayland-satellite ---- */

static int plan_satellite(struct launch *launch, struct neep_error *error) {
	launch->number = first_free();
	if (launch->number < 0) {
		return neep_error_set(error, -launch->number, "--x11: no X display is free");
	}
	snprintf(launch->end_text, sizeof(launch->end_text), ":%d", launch->number);
	launch->program = SATELLITE;
	launch->words[0] = (char *)(uintptr_t)SATELLITE;
	launch->words[1] = launch->end_text;
	return 0;
}

/* ---- Xwayland alone ---- */

_Noreturn static void say_help(int fd) {
	alarm(HELP_MAX_S);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	execlp(SERVER, SERVER, "-help", (char *)NULL);
	_exit(EXIT_FAILURE);
}

/* What its options are depends on its version and on how it was built. */
static void read_help(char help[HELP_MAX]) {
	help[0] = '\0';
	neep_autoclose int fd = memfd_create("help", MFD_CLOEXEC);
	pid_t pid = fd < 0 ? -1 : fork();
	if (pid == 0) {
		say_help(fd);
	}
	if (pid > 0) {
		waitpid(pid, NULL, 0);
		ssize_t len = pread(fd, help, HELP_MAX - 1, 0);
		help[len > 0 ? len : 0] = '\0';
	}
}

static int plan_server(struct launch *launch, struct neep_error *error) {
	int ends[2];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
		return neep_error_set(error, errno, "--x11");
	}
	static char help[HELP_MAX];
	char **word = launch->words;
	launch->ready_fd = ends[0];
	launch->child_fd = ends[1];
	read_help(help);
	snprintf(launch->end_text, sizeof(launch->end_text), "%d", ends[1]);
	snprintf(launch->size_text, sizeof(launch->size_text), "%ux%u", launch->params->width,
		launch->params->height);
	launch->program = SERVER;
	*word++ = (char *)(uintptr_t)SERVER;
	*word++ = (char *)(uintptr_t) "-displayfd";
	*word++ = launch->end_text;
	*word++ = (char *)(uintptr_t) "-noreset";
	if (strstr(help, "\n-geometry ") != NULL) {
		*word++ = (char *)(uintptr_t) "-geometry";
		*word++ = launch->size_text;
	}
	if (strstr(help, "\n-decorate ") != NULL) {
		*word++ = (char *)(uintptr_t) "-decorate";
	}
	neep_log("wayland", NEEP_LOG_WARN,
		"--x11: no " SATELLITE " is installed: X11 programs share one window of " SERVER
		", without a window manager but one that is started in it");
	return 0;
}

/* ---- both ---- */

/* The line with the number of the display, as far as it has come. -EAGAIN: not all of it. */
static int read_number(struct launch *launch) {
	size_t room = sizeof(launch->said) - launch->said_len;
	ssize_t len = read(launch->ready_fd, launch->said + launch->said_len, room);
	launch->said_len += len > 0 ? (size_t)len : 0;
	char *end = memchr(launch->said, '\n', launch->said_len);
	uint64_t number;
	if (end == NULL) {
		return -EAGAIN;
	}
	*end = '\0';
	return neep_number_parse(launch->said, &number) && number <= INT_MAX ? (int)number : -EAGAIN;
}

static bool serves(struct neep_wl_x11 *x11, struct launch *launch) {
	int number = launch->number;
	if (launch->ready_fd >= 0) {
		number = read_number(launch);
	} else if (!has_socket(number)) {
		number = -EAGAIN;
	}
	if (number >= 0) {
		set_display(x11, number);
	}
	return number >= 0;
}

/* The server is a client: it needs the loop to run while it starts. */
static int await_display(
	struct neep_wl_x11 *x11, struct neep_loop *loop, struct launch *launch, struct neep_error *error) {
	int64_t deadline = neep_clock_ns() + START_MAX_NS;
	while (!serves(x11, launch)) {
		int result = neep_loop_step(loop, LOOK_MS);
		if (result < 0) {
			return neep_error_set(error, -result, "event loop");
		}
		if (x11->pid == 0) {
			return neep_error_set(error, 0, "--x11: %s ended before it served a display%s",
				launch->program, launch->ready_fd < 0 ? ": is Xwayland installed?" : "");
		}
		if (neep_clock_ns() > deadline) {
			return neep_error_set(
				error, ETIMEDOUT, "--x11: %s does not serve a display", launch->program);
		}
	}
	return 0;
}

static int plan(struct launch *launch, struct neep_error *error) {
	if (is_in_path(SATELLITE)) {
		return plan_satellite(launch, error);
	}
	if (is_in_path(SERVER)) {
		return plan_server(launch, error);
	}
	return neep_error_set(error, 0,
		"--x11: there is neither " SATELLITE " nor " SERVER " in PATH: install the package xwayland");
}

int neep_wl_x11_start(struct neep_wl_x11 *x11, struct neep_loop *loop,
	const struct neep_wl_x11_params *params, struct neep_error *error) {
	struct launch launch = { .params = params, .ready_fd = -1, .child_fd = -1 };
	*x11 = (struct neep_wl_x11){ .end.fd = -1 };
	int result = plan(&launch, error);
	if (result == 0) {
		result = start(x11, loop, &launch);
		result = result < 0 ? neep_error_set(error, -result, "--x11: cannot start %s", launch.program)
				    : await_display(x11, loop, &launch, error);
	}
	neep_close_fd(&launch.ready_fd);
	neep_close_fd(&launch.child_fd);
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
	neep_child_end(x11->pid, STOP_MAX_NS);
	forget(x11);
}
