#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "config.h"
#include "daemon/daemon.h"
#include "daemon/options.h"
#include "daemon/sandbox.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"

enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_FAILURE = 1,
	EXIT_CODE_USAGE = 2,
};

/* SIGTERM and SIGINT as events of the loop. */
struct signals {
	struct neep_source source;
	struct neep_loop *loop;
	int fd;
};

static void signals_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct signals *signals = neep_container_of(source, struct signals, source);
	struct signalfd_siginfo info;
	if (read(signals->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		neep_log("daemon", NEEP_LOG_INFO, "ended by signal %u", info.ssi_signo);
		neep_loop_stop(signals->loop);
	}
}

/* Before there is a socket file: a signal must not leave one behind. */
static void block_signals(sigset_t *set) {
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigprocmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int signals_init(
	struct signals *signals, const sigset_t *set, struct neep_loop *loop, struct neep_error *error) {
	signals->loop = loop;
	signals->fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals->fd < 0) {
		return neep_error_set(error, errno, "cannot watch for signals");
	}
	signals->source = (struct neep_source){ .fd = signals->fd, .ready = signals_ready };
	int result = neep_source_add(loop, &signals->source, EPOLLIN);
	return result < 0 ? neep_error_set(error, -result, "cannot watch for signals") : 0;
}

static void signals_finish(struct signals *signals) {
	neep_source_remove(&signals->source);
	neep_close_fd(&signals->fd);
}

static int say(const struct neep_error *error, enum exit_code code) {
	fprintf(stderr, "vhost-user-neep: %s\n", error->text);
	return (int)code;
}

static int serve(const struct neep_options *options) {
	struct neep_error error;
	struct signals signals = { .fd = -1 };
	sigset_t set;
	block_signals(&set);
	/* Blobs and rings are fds, and a guest's programs have thousands. */
	neep_fd_raise_limit();
	struct neep_daemon *daemon = neep_daemon_create(options, &error);
	if (daemon == NULL) {
		return say(&error, EXIT_CODE_FAILURE);
	}
	int result = signals_init(&signals, &set, neep_daemon_loop(daemon), &error);
	if (result == 0 && options->has_sandbox) {
		result = neep_sandbox_enter(&error);
	}
	if (result == 0) {
		result = neep_daemon_run(daemon);
		if (result < 0) {
			neep_error_set(&error, -result, "ended");
		}
	}
	signals_finish(&signals);
	neep_daemon_destroy(daemon);
	return result < 0 ? say(&error, EXIT_CODE_FAILURE) : EXIT_CODE_OK;
}

int main(int argc, char **argv) {
	struct neep_options options;
	struct neep_error error;
	if (neep_options_parse(&options, argc, argv, &error) < 0) {
		return say(&error, EXIT_CODE_USAGE);
	}
	switch (options.action) {
	case NEEP_OPTIONS_HELP:
		neep_options_print_help(stdout);
		return EXIT_CODE_OK;
	case NEEP_OPTIONS_VERSION:
		puts("vhost-user-neep " NEEP_VERSION);
		return EXIT_CODE_OK;
	case NEEP_OPTIONS_CAPABILITIES:
		/* "virgl" and "render-node" are the words that libvirt knows; neither is true of this build. */
		puts("{\"type\": \"gpu\", \"features\": []}");
		return EXIT_CODE_OK;
	case NEEP_OPTIONS_RUN:
		break;
	}
	neep_log_set_level(options.log_level);
	return serve(&options);
}
