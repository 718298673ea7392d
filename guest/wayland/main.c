/* neep-wayland: the windows of this machine on its host's compositor.
 *
 * One process, one thread, one loop. Each client has a connection to the compositor of its own; what happens to one does not
 * touch the others. With a program to run, this process stands in for it as `neep run` does. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>

#include "util/child.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/loop.h"
#include "wayland/options.h"
#include "wayland/server.h"

static int set_environment(void *data) {
	const struct neep_wl_server *server = data;
	unsetenv("WAYLAND_SOCKET");
	return setenv("WAYLAND_DISPLAY", neep_wl_server_display(server), 1) < 0 ? -errno : 0;
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

static int run(struct neep_loop *loop, const struct neep_wl_options *options, struct neep_error *error) {
	struct neep_wl_server *server = neep_wl_server_create(loop, options, error);
	if (server == NULL) {
		return -EIO;
	}
	int result;
	if (options->program != NULL) {
		struct neep_child_params params = {
			.name = "neep-wayland",
			.argv = options->program,
			.prepare = set_environment,
			.data = server,
		};
		result = neep_child_run(loop, &params, error);
	} else {
		neep_log("wayland", NEEP_LOG_INFO, "WAYLAND_DISPLAY=%s", neep_wl_server_display(server));
		result = serve(loop, error);
	}
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
