/* neep-wayland: the windows of this machine on its host's compositor.
 *
 * One process, one thread, one loop. Each client has a connection to the compositor of its own; what happens to one does not
 * touch the others. With a program to run, this process stands in for it as `neep run` does. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>

#include "util/child.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/loop.h"
#include "util/number.h"
#include "wayland/options.h"
#include "wayland/server.h"
#include "wayland/x11.h"

struct displays {
	const char *wayland;
	struct neep_wl_x11 x11;
};

/* A connection to a compositor past the proxy is not for the program. */
static void hide_compositor(void) {
	const char *text = getenv("WAYLAND_SOCKET");
	uint64_t fd;
	if (text != NULL && neep_number_parse(text, &fd) && fd <= INT_MAX) {
		fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	}
	unsetenv("WAYLAND_SOCKET");
}

static int set_environment(void *data) {
	const struct displays *displays = data;
	hide_compositor();
	int result = setenv("WAYLAND_DISPLAY", displays->wayland, 1);
	if (displays->x11.pid > 0) {
		result |= setenv("DISPLAY", displays->x11.display, 1);
	}
	return result < 0 ? -errno : 0;
}

/* ---- without a program: until a signal ---- */

struct service {
	struct neep_loop *loop;
	struct neep_source signals;
};

static void stop(struct neep_source *source, uint32_t events) {
	(void)events;
	neep_loop_stop(neep_container_of(source, struct service, signals)->loop);
}

static int serve(struct neep_loop *loop, struct neep_error *error) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	neep_autoclose int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	struct service service = { .loop = loop, .signals = { .fd = fd, .ready = stop } };
	int result = fd < 0 ? -errno : neep_source_add(loop, &service.signals, EPOLLIN);
	if (result == 0) {
		neep_fd_raise_limit();
		result = neep_loop_run(loop);
	}
	neep_source_remove(&service.signals);
	return result < 0 ? neep_error_set(error, -result, "event loop") : 0;
}

/* ---- both ---- */

static int run_displays(struct neep_loop *loop, const struct neep_wl_options *options,
	struct displays *displays, struct neep_error *error) {
	struct neep_child_params params = {
		.name = "neep-wayland",
		.argv = options->program,
		.prepare = set_environment,
		.data = displays,
	};
	struct neep_wl_x11_params x11 = {
		.wayland_display = displays->wayland,
		.width = options->x11_width,
		.height = options->x11_height,
	};
	if (options->has_x11 && neep_wl_x11_start(&displays->x11, loop, &x11, error) < 0) {
		return -EIO;
	}
	if (options->program != NULL) {
		return neep_child_run(loop, &params, error);
	}
	neep_log("wayland", NEEP_LOG_INFO, "WAYLAND_DISPLAY=%s DISPLAY=%s", displays->wayland,
		displays->x11.display);
	return serve(loop, error);
}

static int run(struct neep_loop *loop, const struct neep_wl_options *options, struct neep_error *error) {
	struct neep_wl_server *server = neep_wl_server_create(loop, options, error);
	if (server == NULL) {
		return -EIO;
	}
	struct displays displays = { .wayland = neep_wl_server_display(server) };
	int result = run_displays(loop, options, &displays, error);
	neep_wl_server_drain(server);
	neep_wl_x11_stop(&displays.x11);
	neep_wl_server_destroy(server);
	return result;
}

int main(int argc, char **argv) {
	struct neep_wl_options options;
	int code = neep_wl_options_parse(&options, argc, argv);
	if (code >= 0) {
		return code;
	}
	neep_log_set_level(options.log_level);
	signal(SIGPIPE, SIG_IGN);
	struct neep_error error = { .code = 0 };
	struct neep_loop *loop = neep_loop_create();
	int result =
		loop == NULL ? neep_error_set(&error, ENOMEM, "event loop") : run(loop, &options, &error);
	neep_loop_destroy(loop);
	if (result < 0) {
		fprintf(stderr, "neep-wayland: %s\n", error.text);
		return EXIT_FAILURE;
	}
	return result;
}
