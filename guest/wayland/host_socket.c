/* The kind of host for a compositor on the same kernel: every fd travels as it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/checked.h"
#include "util/fd.h"
#include "wayland/host.h"
#include "wayland/queue.h"

/* What is read before somebody else has a turn. */
#define TURN_BYTES ((size_t)64 << 10)

struct socket_host {
	struct neep_wl_host base;
	struct neep_loop *loop;
	int fd;
	struct neep_source source;
	struct neep_wl_queue rest; // of a batch that the socket took in part; its fds are gone with the first
	bool is_receiving;
	bool is_blocked; // send() waits for room
	bool is_awaited; // somebody was told -EAGAIN
	bool has_ended;
};

struct socket_memory {
	struct neep_wl_memory base;
	int fd;
};

/* A batch of the users' at most; see neep_wl_queue. */
#define REST_MAX ((size_t)1 << 20)

static const struct neep_wl_host_impl socket_impl;

static struct socket_host *host_of(struct neep_wl_host *base) {
	neep_assert(base->impl == &socket_impl);
	return neep_container_of(base, struct socket_host, base);
}

/* ---- memory ---- */

static void memory_destroy(struct neep_wl_memory *base) {
	struct socket_memory *memory = neep_container_of(base, struct socket_memory, base);
	munmap(base->data, base->size);
	neep_close_fd(&memory->fd);
	free(memory);
}

static const struct neep_wl_memory_impl memory_impl = { .destroy = memory_destroy };

static struct neep_wl_memory *socket_allocate(struct neep_wl_host *base, size_t size) {
	(void)base;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t rounded;
	if (size == 0 || !neep_add(size, page - 1, &rounded)) {
		return NULL;
	}
	rounded -= rounded % page;
	neep_autoclose int fd = neep_memfd_create("neep-wayland", rounded);
	struct socket_memory *memory = fd < 0 ? NULL : calloc(1, sizeof(*memory));
	void *data =
		memory == NULL ? MAP_FAILED : mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED) {
		free(memory);
		return NULL;
	}
	*memory = (struct socket_memory){
		.base = { .impl = &memory_impl, .data = data, .size = rounded, .refs = 1 },
		.fd = neep_steal_fd(&fd),
	};
	return &memory->base;
}

static int fd_of(const struct neep_wl_attachment *attachment) {
	if (attachment->memory == NULL) {
		return attachment->owned_fd;
	}
	neep_assert(attachment->memory->impl == &memory_impl);
	return neep_container_of(attachment->memory, struct socket_memory, base)->fd;
}

/* ---- both ways ---- */

/* Without anything to wait for the source is taken out: an end that nobody may handle yet would wake the loop for ever. */
static void watch(struct socket_host *host) {
	uint32_t events = (host->is_receiving ? EPOLLIN : 0) | (host->is_blocked ? EPOLLOUT : 0);
	if (host->has_ended || events == 0) {
		neep_source_remove(&host->source);
	} else if (host->source.loop != NULL) {
		neep_source_set_events(&host->source, events);
	} else {
		neep_source_add(host->loop, &host->source, events);
	}
}

static void end(struct socket_host *host, int result) {
	struct neep_error error = { .code = 0 };
	if (result < 0 && result != -ECONNRESET) {
		neep_error_set(&error, -result, "the compositor's connection failed");
	}
	host->has_ended = true;
	watch(host);
	host->base.listener->closed(host->base.listener_data, error.code == 0 ? NULL : &error);
}

static int socket_send(struct neep_wl_host *base, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count) {
	struct socket_host *host = host_of(base);
	if (host->is_blocked) {
		host->is_awaited = true;
		return -EAGAIN;
	}
	int fds[NEEP_WL_FDS_MAX];
	for (size_t i = 0; i < count; i++) {
		fds[i] = fd_of(&attachments[i]);
	}
	int64_t sent = neep_wl_send_some(host->fd, bytes, len, fds, count);
	if (sent == -EAGAIN || (sent >= 0 && (size_t)sent < len)) {
		host->is_blocked = true;
		watch(host);
	}
	if (sent == -EAGAIN) {
		host->is_awaited = true;
		return -EAGAIN;
	}
	for (size_t i = 0; i < count; i++) {
		neep_wl_close_fds(&attachments[i].owned_fd, 1);
	}
	if (sent < 0) {
		/* What the compositor said last is still to be read; its end comes behind that. */
		return (int)sent;
	}
	return neep_wl_queue_push(&host->rest, bytes + sent, len - (size_t)sent, NULL, 0);
}

static void send_rest(struct socket_host *host) {
	struct neep_wl_batch batch;
	host->is_blocked = false;
	while (!host->is_blocked && neep_wl_queue_front(&host->rest, &batch)) {
		int64_t sent = neep_wl_send_some(host->fd, batch.data, batch.len, NULL, 0);
		host->is_blocked = sent == -EAGAIN;
		/* A failure shows when it is read. */
		neep_wl_queue_pop(&host->rest, sent == -EAGAIN ? 0 : sent < 0 ? batch.len : (size_t)sent, 0);
	}
	watch(host);
	if (!host->is_blocked && host->is_awaited) {
		host->is_awaited = false;
		host->base.listener->drained(host->base.listener_data);
	}
}

static void receive(struct socket_host *host) {
	uint8_t buf[16384];
	for (size_t total = 0; host->is_receiving && total < TURN_BYTES;) {
		struct neep_fds fds = { .count = 0 };
		int64_t got = neep_recv(host->fd, buf, sizeof(buf), &fds);
		if (got == -EAGAIN) {
			return;
		}
		if (got <= 0) {
			neep_fds_finish(&fds);
			end(host, (int)got);
			return;
		}
		total += (size_t)got;
		host->base.listener->received(host->base.listener_data, buf, (size_t)got, fds.fd, fds.count);
	}
}

static void ready(struct neep_source *source, uint32_t events) {
	struct socket_host *host = neep_container_of(source, struct socket_host, source);
	if (host->is_blocked && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
		send_rest(host);
	}
	if (host->is_receiving && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
		receive(host);
	}
}

static void socket_set_receiving(struct neep_wl_host *base, bool is_receiving) {
	struct socket_host *host = host_of(base);
	host->is_receiving = is_receiving;
	watch(host);
}

static bool socket_can_pass(struct neep_wl_host *base, int fd) {
	(void)base;
	(void)fd;
	return true;
}

/* ---- life ---- */

static void socket_destroy(struct neep_wl_host *base) {
	struct socket_host *host = host_of(base);
	neep_source_remove(&host->source);
	neep_wl_queue_finish(&host->rest);
	neep_close_fd(&host->fd);
	free(host);
}

static const struct neep_wl_host_impl socket_impl = {
	.name = "socket",
	.destroy = socket_destroy,
	.send = socket_send,
	.set_receiving = socket_set_receiving,
	.allocate = socket_allocate,
	.can_pass = socket_can_pass,
};

/* Returns the fd or a negative errno with `error` set. */
static int connect_to(const char *path, struct neep_error *error) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path) + 1;
	if (len > sizeof(address.sun_path)) {
		return neep_error_set(error, ENAMETOOLONG, "%s", path);
	}
	memcpy(address.sun_path, path, len);
	neep_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		return neep_error_set(error, errno, "no compositor answers at %s: is it running?", path);
	}
	return neep_steal_fd(&fd);
}

struct neep_wl_host *neep_wl_host_socket_create(struct neep_loop *loop, const char *path,
	const struct neep_wl_host_listener *listener, void *listener_data, struct neep_error *error) {
	neep_autoclose int fd = connect_to(path, error);
	if (fd < 0) {
		return NULL;
	}
	struct socket_host *host = calloc(1, sizeof(*host));
	if (host == NULL) {
		neep_error_set(error, ENOMEM, "a connection to %s", path);
		return NULL;
	}
	*host = (struct socket_host){
		.base = {
			.impl = &socket_impl,
			.listener = listener,
			.listener_data = listener_data,
			.takes_dmabufs = true,
		},
		.loop = loop,
		.fd = fd,
		.source = { .fd = fd, .ready = ready },
		.rest = { .max_len = REST_MAX },
		.is_receiving = true,
	};
	int result = neep_source_add(loop, &host->source, EPOLLIN);
	if (result < 0) {
		free(host);
		neep_error_set(error, -result, "a connection to %s", path);
		return NULL;
	}
	neep_steal_fd(&fd);
	return &host->base;
}
