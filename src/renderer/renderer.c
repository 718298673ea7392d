#include "renderer/renderer.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "renderer/renderer_internal.h"
#include "renderer/sandbox.h"

/* A process that has lost its context ends with this. */
#define EXIT_LOST 3

/* How long the end of a context may take. The device process kills what takes longer. */
#define END_SECONDS 3

/* Heaps of the C library. One for every ring thread would cost 500 idle ones a good part of what they cost. */
#define HEAPS_MAX 8

void neep_renderer_lose(struct neep_renderer *renderer, const char *reason) {
	pthread_mutex_lock(&renderer->lock);
	if (!renderer->is_lost) {
		renderer->is_lost = true;
		snprintf(renderer->reason, sizeof(renderer->reason), "%s", reason);
	}
	pthread_mutex_unlock(&renderer->lock);
	neep_eventfd_signal(renderer->events.fd);
}

/* A socket that is closed with something unread gives its peer an error before what was sent to it. */
static void leave_nothing_unread(int socket) {
	struct neep_fds fds = { 0 };
	uint8_t buf[NEEP_WORKER_REASON_SIZE + 64];
	bool is_shut = shutdown(socket, SHUT_RD) == 0;
	while (is_shut && neep_recv(socket, buf, sizeof(buf), &fds) > 0) {
		neep_fds_finish(&fds);
	}
}

static void tell_lost(int socket, const char *reason) {
	struct neep_worker_lost lost = { .header = { .type = NEEP_WORKER_LOST, .size = sizeof(lost) } };
	for (size_t i = 0; i < sizeof(lost.reason) - 1 && reason[i] != '\0'; i++) {
		lost.reason[i] = (char)(isprint((unsigned char)reason[i]) ? reason[i] : '?');
	}
	struct neep_send send = { .buf = &lost, .len = sizeof(lost) };
	neep_send_all(socket, &send);
	leave_nothing_unread(socket);
}

/* Threads may be anywhere, also in a driver that never returns: the kernel cleans up. */
static _Noreturn void end_lost(struct neep_renderer *renderer) {
	tell_lost(renderer->socket.fd, renderer->reason);
	_exit(EXIT_LOST);
}

static bool is_lost(struct neep_renderer *renderer) {
	pthread_mutex_lock(&renderer->lock);
	bool lost = renderer->is_lost;
	pthread_mutex_unlock(&renderer->lock);
	return lost;
}

static void events_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct neep_renderer *renderer = neep_container_of(source, struct neep_renderer, events);
	neep_eventfd_drain(source->fd);
	if (is_lost(renderer) && !renderer->is_ending) {
		end_lost(renderer);
	}
	neep_renderer_rings_reap(renderer);
	if (renderer->is_ending && renderer->ring_count == 0) {
		neep_loop_stop(renderer->loop);
	}
}

static void end_late(int signal) {
	(void)signal;
	_exit(EXIT_SUCCESS);
}

/* The context is over: everything ends, within bounds. */
static void begin_end(struct neep_renderer *renderer) {
	struct sigaction action = { .sa_handler = end_late };
	sigaction(SIGALRM, &action, NULL);
	alarm(END_SECONDS);
	renderer->is_ending = true;
	neep_source_remove(&renderer->socket);
	neep_vk_context_stop(renderer->vk);
	neep_renderer_resources_stop(&renderer->resources);
	neep_renderer_rings_stop(renderer);
	/* There may be none to end. */
	neep_eventfd_signal(renderer->events.fd);
}

union message {
	struct neep_worker_header header;
	struct neep_worker_ring_add ring_add;
	struct neep_worker_resource_id id;
	struct neep_worker_resource_add resource_add;
	struct neep_worker_sync sync;
};

static void handle_ring_add(
	struct neep_renderer *renderer, const union message *message, struct neep_fds *fds) {
	neep_renderer_ring_add(renderer, &message->ring_add, neep_fds_take(fds, 0));
}

static void handle_ring_remove(
	struct neep_renderer *renderer, const union message *message, struct neep_fds *fds) {
	(void)fds;
	neep_renderer_ring_remove(renderer, message->id.resource_id);
}

static void handle_resource_add(
	struct neep_renderer *renderer, const union message *message, struct neep_fds *fds) {
	const struct neep_worker_resource_add *add = &message->resource_add;
	if (neep_renderer_resources_add(
		    &renderer->resources, add->resource_id, neep_fds_take(fds, 0), add->size) < 0) {
		neep_renderer_lose(renderer, "out of memory for the names of resources");
	}
}

static void handle_resource_remove(
	struct neep_renderer *renderer, const union message *message, struct neep_fds *fds) {
	(void)fds;
	neep_renderer_resources_remove(&renderer->resources, message->id.resource_id);
}

static void handle_sync(struct neep_renderer *renderer, const union message *message, struct neep_fds *fds) {
	(void)fds;
	if (neep_renderer_syncs_add(&renderer->syncs, &message->sync) < 0) {
		neep_renderer_lose(renderer, "out of memory or threads for fences");
	}
}

static const struct {
	uint32_t type;
	uint32_t size;
	uint32_t fd_count;
	void (*handle)(struct neep_renderer *renderer, const union message *message, struct neep_fds *fds);
} messages[] = {
	{ NEEP_WORKER_RING_ADD, sizeof(struct neep_worker_ring_add), 1, handle_ring_add },
	{ NEEP_WORKER_RING_REMOVE, sizeof(struct neep_worker_resource_id), 0, handle_ring_remove },
	{ NEEP_WORKER_RESOURCE_ADD, sizeof(struct neep_worker_resource_add), 1, handle_resource_add },
	{ NEEP_WORKER_RESOURCE_REMOVE, sizeof(struct neep_worker_resource_id), 0, handle_resource_remove },
	{ NEEP_WORKER_SYNC, sizeof(struct neep_worker_sync), 0, handle_sync },
};

static void dispatch(
	struct neep_renderer *renderer, const union message *message, size_t size, struct neep_fds *fds) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(messages); i++) {
		if (messages[i].type == message->header.type && messages[i].size == size &&
			message->header.size == size && messages[i].fd_count == fds->count) {
			messages[i].handle(renderer, message, fds);
			return;
		}
	}
	neep_renderer_lose(renderer, "the device process said what this renderer does not understand");
}

static void socket_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct neep_renderer *renderer = neep_container_of(source, struct neep_renderer, socket);
	union message message = { 0 };
	struct neep_fds fds = { 0 };
	int64_t got = neep_recv(source->fd, &message, sizeof(message), &fds);
	if (got > 0) {
		dispatch(renderer, &message, (size_t)got, &fds);
	} else if (got == -EPROTO) {
		neep_renderer_lose(renderer, "too many open files");
	} else {
		begin_end(renderer);
	}
	neep_fds_finish(&fds);
}

/* With fewer, a thread that records takes from the guest, its ring and the driver what it gives them. */
#define LATE_PROCESSORS 4

static struct neep_vk_limits choose_limits(const struct neep_renderer_options *options) {
	struct neep_vk_limits limits = neep_vk_default_limits;
	if (options->max_memory > 0) {
		limits.memory_bytes = options->max_memory;
	}
	if (options->max_mapped > 0) {
		limits.mapped_bytes = options->max_mapped;
	}
	if (sysconf(_SC_NPROCESSORS_ONLN) < LATE_PROCESSORS) {
		limits.late_bytes = UINT32_MAX;
	}
	return limits;
}

/* The parts that need no undoing when the rest fails: the process ends then. */
static int renderer_init(struct neep_renderer *renderer, struct neep_error *error) {
	struct neep_vk_limits limits = choose_limits(renderer->options);
	renderer->vk = neep_vk_context_create(&renderer->host, &limits, error);
	if (renderer->vk == NULL) {
		return -EINVAL;
	}
	if (renderer->options->is_lost) {
		neep_vk_context_refuse_all(renderer->vk);
	}
	neep_renderer_syncs_init(&renderer->syncs, renderer->vk, renderer->socket.fd);
	renderer->loop = neep_loop_create();
	int event_fd = neep_eventfd_create();
	if (renderer->loop == NULL || event_fd < 0 || neep_idmap_init(&renderer->rings) < 0 ||
		neep_renderer_resources_init(&renderer->resources) < 0) {
		return neep_error_set(error, ENOMEM, "cannot serve a context");
	}
	renderer->events = (struct neep_source){ .fd = event_fd, .ready = events_ready };
	neep_list_init(&renderer->ended_rings);
	pthread_mutex_init(&renderer->lock, NULL);
	int result = neep_source_add(renderer->loop, &renderer->events, EPOLLIN);
	if (result == 0) {
		result = neep_source_add(renderer->loop, &renderer->socket, EPOLLIN);
	}
	return result < 0 ? neep_error_set(error, -result, "cannot serve a context") : 0;
}

static void renderer_finish(struct neep_renderer *renderer) {
	neep_renderer_syncs_finish(&renderer->syncs);
	neep_vk_context_destroy(renderer->vk);
	neep_renderer_resources_finish(&renderer->resources);
	neep_idmap_finish(&renderer->rings);
	pthread_mutex_destroy(&renderer->lock);
	neep_source_remove(&renderer->events);
	neep_close_fd(&renderer->events.fd);
	neep_loop_destroy(renderer->loop);
}

/* Lines of all contexts meet in one log. */
static void log_line(void *data, enum neep_log_level level, const char *topic, const char *line) {
	const struct neep_renderer_options *options = data;
	fprintf(stderr, "neep: %s: %s: context %u (%s): %s\n", neep_log_level_name(level), topic,
		options->ctx_id, options->name, line);
}

static int lock_up(const struct neep_renderer_options *options, struct neep_error *error) {
	neep_renderer_sandbox_prepare(options);
	int result = options->is_lost ? 0 : neep_vk_load(error);
	return result < 0 ? result : neep_renderer_sandbox_close(options, error);
}

static int set_blocking(int fd) {
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

int neep_renderer_run(const struct neep_renderer_options *options, struct neep_error *error) {
	struct neep_renderer renderer = {
		.host = { .impl = &neep_renderer_host_impl },
		.options = options,
		.socket = { .fd = NEEP_WORKER_SPAWNER_FD, .ready = socket_ready },
	};
	neep_log_set_handler(log_line, (void *)(uintptr_t)options);
	signal(SIGPIPE, SIG_IGN);
	mallopt(M_ARENA_MAX, HEAPS_MAX);
	int result = set_blocking(renderer.socket.fd);
	if (result < 0) {
		return neep_error_set(
			error, -result, "descriptor %d is no context socket", renderer.socket.fd);
	}
	result = lock_up(options, error);
	if (result == 0) {
		result = renderer_init(&renderer, error);
	}
	if (result < 0) {
		tell_lost(renderer.socket.fd, error->text);
		return result;
	}
	result = neep_loop_run(renderer.loop);
	if (result < 0) {
		return neep_error_set(error, -result, "a renderer failed");
	}
	renderer_finish(&renderer);
	return 0;
}
