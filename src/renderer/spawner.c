#include "renderer/spawner.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "renderer/start.h"
#include "util/fd.h"
#include "util/list.h"
#include "util/loop.h"
#include "worker/protocol.h"

struct child {
	struct neep_list link; // spawner.children
	uint64_t token;
	pid_t pid;
};

struct spawner {
	const struct neep_renderer_options *options;
	struct neep_loop *loop;
	struct neep_source socket;  // the device process
	struct neep_source signals; // SIGCHLD, SIGTERM, SIGINT
	struct neep_list children;  // child.link
};

union message {
	struct neep_worker_header header;
	struct neep_worker_spawn spawn;
	struct neep_worker_kill kill;
};

static void tell_exited(struct spawner *spawner, uint64_t token, int error, int wait_status) {
	struct neep_worker_exited exited = {
		.header = { .type = NEEP_WORKER_EXITED, .size = sizeof(exited) },
		.token = token,
		.error = error,
		.wait_status = wait_status,
	};
	struct neep_send send = { .buf = &exited, .len = sizeof(exited) };
	/* A device process that is gone is seen at its socket. */
	neep_send_all(spawner->socket.fd, &send);
}

static void handle_spawn(struct spawner *spawner, struct neep_worker_spawn *spawn, struct neep_fds *fds) {
	neep_autoclose int socket = neep_fds_take(fds, 0);
	struct child *child = calloc(1, sizeof(*child));
	spawn->name[NEEP_WORKER_NAME_SIZE - 1] = '\0';
	struct neep_renderer_start start = {
		.options = spawner->options,
		.ctx_id = spawn->ctx_id,
		.name = spawn->name,
		.is_lost = spawn->is_lost != 0,
		.socket = socket,
	};
	pid_t pid = child == NULL ? -ENOMEM : socket < 0 ? -EBADF : neep_renderer_start(&start);
	if (pid < 0) {
		free(child);
		tell_exited(spawner, spawn->token, -pid, 0);
		return;
	}
	child->token = spawn->token;
	child->pid = pid;
	neep_list_append(&spawner->children, &child->link);
}

static void handle_kill(struct spawner *spawner, uint64_t token) {
	neep_list_for_each (child, &spawner->children, struct child, link) {
		if (child->token == token) {
			kill(child->pid, SIGKILL);
		}
	}
}

static void handle(struct spawner *spawner, union message *message, size_t size, struct neep_fds *fds) {
	if (size == sizeof(message->spawn) && message->header.type == NEEP_WORKER_SPAWN) {
		handle_spawn(spawner, &message->spawn, fds);
	} else if (size == sizeof(message->kill) && message->header.type == NEEP_WORKER_KILL) {
		handle_kill(spawner, message->kill.token);
	} else {
		neep_log("renderer", NEEP_LOG_WARN, "an unknown message of %zu bytes for the spawner", size);
	}
}

static void socket_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct spawner *spawner = neep_container_of(source, struct spawner, socket);
	union message message;
	struct neep_fds fds = { 0 };
	int64_t got = neep_recv(source->fd, &message, sizeof(message), &fds);
	if (got > 0 && (size_t)got >= sizeof(message.header) && message.header.size == (uint64_t)got) {
		handle(spawner, &message, (size_t)got, &fds);
	} else if (got != -EAGAIN) {
		neep_loop_stop(spawner->loop);
	}
	neep_fds_finish(&fds);
}

static struct child *find_child(struct spawner *spawner, pid_t pid) {
	neep_list_for_each (child, &spawner->children, struct child, link) {
		if (child->pid == pid) {
			return child;
		}
	}
	return NULL;
}

/* Takes note of a child's end. Returns whether there was one; waits for it if `waits`. */
static bool reap(struct spawner *spawner, bool waits) {
	int status;
	pid_t pid = waitpid(-1, &status, waits ? 0 : WNOHANG);
	if (pid <= 0) {
		return false;
	}
	struct child *child = find_child(spawner, pid);
	if (child != NULL) {
		tell_exited(spawner, child->token, 0, status);
		neep_list_remove(&child->link);
		free(child);
	}
	return true;
}

static void signals_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct spawner *spawner = neep_container_of(source, struct spawner, signals);
	struct signalfd_siginfo info;
	if (read(source->fd, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
		return;
	}
	if (info.ssi_signo != SIGCHLD) {
		neep_loop_stop(spawner->loop);
		return;
	}
	while (reap(spawner, false)) {
	}
}

static void kill_all(struct spawner *spawner) {
	neep_list_for_each (child, &spawner->children, struct child, link) {
		kill(child->pid, SIGKILL);
	}
	while (!neep_list_is_empty(&spawner->children) && reap(spawner, true)) {
	}
}

static int check_socket(struct neep_error *error) {
	int type = 0;
	socklen_t len = sizeof(type);
	if (getsockopt(NEEP_WORKER_SPAWNER_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
		type != SOCK_SEQPACKET) {
		return neep_error_set(error, 0,
			"descriptor %d is not a socket of vhost-user-neep, which starts this program; --help "
			"says more",
			NEEP_WORKER_SPAWNER_FD);
	}
	return 0;
}

static int open_signals(void) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int watch(struct spawner *spawner) {
	int result = neep_source_add(spawner->loop, &spawner->socket, EPOLLIN);
	return result < 0 ? result : neep_source_add(spawner->loop, &spawner->signals, EPOLLIN);
}

static int serve(struct spawner *spawner) {
	spawner->loop = neep_loop_create();
	if (spawner->loop == NULL) {
		return -ENOMEM;
	}
	int result = watch(spawner);
	if (result == 0) {
		result = neep_loop_run(spawner->loop);
	}
	kill_all(spawner);
	neep_source_remove(&spawner->signals);
	neep_source_remove(&spawner->socket);
	neep_loop_destroy(spawner->loop);
	return result;
}

int neep_spawner_run(const struct neep_renderer_options *options, struct neep_error *error) {
	if (check_socket(error) < 0) {
		return -EINVAL;
	}
	neep_autoclose int signals = open_signals();
	if (signals < 0) {
		return neep_error_set(error, -signals, "cannot watch for signals");
	}
	if (!options->has_sandbox) {
		neep_log("renderer", NEEP_LOG_WARN, "--no-sandbox: guests run with all rights of this user");
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	struct spawner spawner = {
		.options = options,
		.socket = { .fd = NEEP_WORKER_SPAWNER_FD, .ready = socket_ready },
		.signals = { .fd = signals, .ready = signals_ready },
	};
	neep_list_init(&spawner.children);
	int result = serve(&spawner);
	return result < 0 ? neep_error_set(error, -result, "the spawner of renderers failed") : 0;
}
