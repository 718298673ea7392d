#include "driver/frontend.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "driver/frontend_internal.h"
#include "util/clock.h"
#include "util/log.h"

#define TOPIC               "driver"
#define CONNECT_RETRY_NS    (5 * NEEP_NS_PER_MS)
#define CHANNEL_PAYLOAD_MAX 256

static int try_connect(const struct sockaddr_un *address) {
	neep_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)(const void *)address, sizeof(*address)) < 0) {
		return -errno;
	}
	return neep_steal_fd(&fd);
}

int neep_frontend_connect(const char *socket_path, int64_t timeout_ns, struct neep_error *error) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(socket_path) >= sizeof(address.sun_path)) {
		return neep_error_set(error, ENAMETOOLONG, "socket path %s", socket_path);
	}
	strcpy(address.sun_path, socket_path);
	int64_t deadline = neep_clock_ns() + timeout_ns;
	int fd = try_connect(&address);
	while ((fd == -ENOENT || fd == -ECONNREFUSED) && neep_clock_ns() < deadline) {
		struct timespec pause = { .tv_nsec = CONNECT_RETRY_NS };
		nanosleep(&pause, NULL);
		fd = try_connect(&address);
	}
	return fd < 0 ? neep_error_set(error, -fd, "cannot connect to %s", socket_path) : fd;
}

/* A back-end that does not read must not hold us for ever either. */
static void limit_sends(int socket, int64_t timeout_ns) {
	struct timeval limit = {
		.tv_sec = timeout_ns / NEEP_NS_PER_S,
		.tv_usec = timeout_ns % NEEP_NS_PER_S / NEEP_NS_PER_US,
	};
	setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

struct neep_frontend *neep_frontend_create(
	int owned_fd, const struct neep_frontend_options *options, struct neep_error *error) {
	neep_autoclose int fd = owned_fd;
	struct neep_frontend *frontend = calloc(1, sizeof(*frontend));
	if (frontend == NULL) {
		neep_error_set(error, ENOMEM, "vhost-user front-end");
		return NULL;
	}
	*frontend = (struct neep_frontend){
		.options = *options,
		.socket = neep_steal_fd(&fd),
		.channel = -1,
		.channel_peer = -1,
		.inflight_fd = -1,
	};
	limit_sends(frontend->socket, options->timeout_ns);
	neep_window_init(&frontend->window);
	return frontend;
}

static void close_sockets(struct neep_frontend *frontend) {
	neep_close_fd(&frontend->socket);
	neep_close_fd(&frontend->channel);
	neep_close_fd(&frontend->channel_peer);
}

void neep_frontend_destroy(struct neep_frontend *frontend) {
	if (frontend == NULL) {
		return;
	}
	close_sockets(frontend);
	neep_close_fd(&frontend->inflight_fd);
	neep_window_finish(&frontend->window);
	free(frontend);
}

void neep_frontend_replace_socket(struct neep_frontend *frontend, int owned_fd) {
	close_sockets(frontend);
	frontend->socket = owned_fd;
	limit_sends(owned_fd, frontend->options.timeout_ns);
	frontend->is_dead = false;
	frontend->knows_memory = false;
	neep_window_forget_echoes(&frontend->window);
}

bool neep_frontend_is_dead(const struct neep_frontend *frontend) {
	return frontend->is_dead;
}

int neep_frontend_socket(const struct neep_frontend *frontend) {
	return frontend->socket;
}

int neep_frontend_channel(const struct neep_frontend *frontend) {
	return frontend->channel;
}

uint64_t neep_frontend_config_changes(const struct neep_frontend *frontend) {
	return frontend->config_changes;
}

struct neep_window *neep_frontend_window(struct neep_frontend *frontend) {
	return &frontend->window;
}

/* Marks the back-end dead and passes the reason on. */
static int fail(struct neep_frontend *frontend, int result, const char *what) {
	if (!frontend->is_dead) {
		neep_log(TOPIC, NEEP_LOG_DEBUG, "back-end lost: %s: %s", what, strerror(-result));
	}
	frontend->is_dead = true;
	return result;
}

static int remaining_ms(int64_t deadline) {
	int64_t left = deadline - neep_clock_ns();
	return left <= 0 ? 0 : (int)((left + NEEP_NS_PER_MS - 1) / NEEP_NS_PER_MS);
}

/* Reads exactly `len` bytes of a message that has begun. One whose fd had no room in this process is read all the same: its
 * handler finds none. */
static int read_exactly(int socket, void *buf, size_t len, struct neep_fds *fds, int64_t deadline) {
	size_t done = 0;
	while (done < len) {
		struct pollfd poller = { .fd = socket, .events = POLLIN };
		int ready = poll(&poller, 1, remaining_ms(deadline));
		if (ready == 0) {
			return -ETIMEDOUT;
		}
		if (ready < 0) {
			continue;
		}
		bool has_lost_fds;
		int64_t got = neep_recv_in_part(socket, (char *)buf + done, len - done, fds, &has_lost_fds);
		if (got <= 0) {
			return got == 0 || got == -ECONNRESET ? -EPIPE : (int)got;
		}
		done += (size_t)got;
	}
	return 0;
}

static int send_message(int socket, const struct neep_vhost_user_header *header, const void *payload,
	const struct neep_frontend_message *message) {
	char buf[sizeof(*header) + NEEP_VHOST_USER_PAYLOAD_MAX];
	if (header->size > NEEP_VHOST_USER_PAYLOAD_MAX || message->fd_count > NEEP_FDS_MAX) {
		return -E2BIG;
	}
	memcpy(buf, header, sizeof(*header));
	if (header->size > 0) {
		memcpy(buf + sizeof(*header), payload, header->size);
	}
	struct neep_send send = {
		.buf = buf,
		.len = sizeof(*header) + header->size,
		.fds = message->fds,
		.fd_count = message->fd_count,
	};
	return neep_send_all(socket, &send);
}

int neep_frontend_send(struct neep_frontend *frontend, const struct neep_frontend_message *message) {
	if (frontend->is_dead) {
		return -EPIPE;
	}
	struct neep_vhost_user_header header = {
		.request = message->request,
		.flags = NEEP_VHOST_USER_VERSION | message->flags,
		.size = (uint32_t)message->payload_len,
	};
	int result = send_message(frontend->socket, &header, message->payload, message);
	return result < 0 && result != -E2BIG ? fail(frontend, -EPIPE, "send") : result;
}

int neep_frontend_send_raw(struct neep_frontend *frontend, const void *buf, size_t len) {
	struct neep_send send = { .buf = buf, .len = len };
	int result = neep_send_all(frontend->socket, &send);
	return result < 0 ? fail(frontend, -EPIPE, "send") : 0;
}

/* ---- the back-end channel ---- */

struct channel_request {
	struct neep_vhost_user_header header;
	struct neep_fds fds;
	union {
		struct neep_vhost_user_shmem_map shmem;
		char bytes[CHANNEL_PAYLOAD_MAX];
	} payload;
};

static int handle_shmem(struct neep_frontend *frontend, struct channel_request *request) {
	if (request->header.size != sizeof(request->payload.shmem)) {
		return -EPROTO;
	}
	if (request->header.request == NEEP_VHOST_USER_BACKEND_SHMEM_UNMAP) {
		return neep_window_unmap(&frontend->window, &request->payload.shmem);
	}
	return neep_window_map(&frontend->window, &request->payload.shmem, neep_fds_take(&request->fds, 0));
}

static int handle_channel_request(struct neep_frontend *frontend, struct channel_request *request) {
	switch (request->header.request) {
	case NEEP_VHOST_USER_BACKEND_CONFIG_CHANGE:
		frontend->config_changes++;
		return 0;
	case NEEP_VHOST_USER_BACKEND_SHMEM_MAP:
	case NEEP_VHOST_USER_BACKEND_SHMEM_UNMAP:
		return handle_shmem(frontend, request);
	default:
		/* Also how QEMU answers SHARED_OBJECT_REMOVE of an object it does not have. */
		return -EOPNOTSUPP;
	}
}

static int answer(struct neep_frontend *frontend, const struct neep_vhost_user_header *request, int result) {
	if ((request->flags & NEEP_VHOST_USER_NEED_REPLY) == 0) {
		return 0;
	}
	struct neep_vhost_user_u64 ack = { .value = result == 0 ? 0 : 1 };
	struct neep_vhost_user_header header = {
		.request = request->request,
		.flags = NEEP_VHOST_USER_VERSION | NEEP_VHOST_USER_REPLY,
		.size = sizeof(ack),
	};
	struct neep_frontend_message no_fds = { 0 };
	return send_message(frontend->channel, &header, &ack, &no_fds);
}

static int serve_request(struct neep_frontend *frontend, struct channel_request *request) {
	int64_t deadline = neep_clock_ns() + frontend->options.timeout_ns;
	int result = read_exactly(
		frontend->channel, &request->header, sizeof(request->header), &request->fds, deadline);
	if (result < 0) {
		return result;
	}
	if (request->header.size > sizeof(request->payload)) {
		return -EPROTO;
	}
	result = read_exactly(
		frontend->channel, &request->payload, request->header.size, &request->fds, deadline);
	if (result < 0) {
		return result;
	}
	int outcome = handle_channel_request(frontend, request);
	if (outcome < 0) {
		neep_log(TOPIC, NEEP_LOG_DEBUG, "back-end request %u refused: %s", request->header.request,
			strerror(-outcome));
	}
	return answer(frontend, &request->header, outcome);
}

static bool is_readable(int fd) {
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	return fd >= 0 && poll(&poller, 1, 0) > 0;
}

/* Everything that waits on the channel. Losing the channel is no death: the main socket tells that. */
static void serve_channel(struct neep_frontend *frontend) {
	while (is_readable(frontend->channel)) {
		struct channel_request request = { 0 };
		int result = serve_request(frontend, &request);
		neep_fds_finish(&request.fds);
		if (result < 0) {
			neep_log(TOPIC, NEEP_LOG_DEBUG, "back-end channel closed: %s", strerror(-result));
			neep_close_fd(&frontend->channel);
		}
	}
}

int neep_frontend_serve(struct neep_frontend *frontend) {
	serve_channel(frontend);
	/* Nothing comes unasked on the main socket: readable means closed, or a back-end that talks out of turn. */
	if (!frontend->is_dead && is_readable(frontend->socket)) {
		fail(frontend, -EPIPE, "main socket");
	}
	if (!frontend->is_dead) {
		neep_frontend_flush_echoes(frontend);
	}
	return frontend->is_dead ? -EPIPE : 0;
}

/* ---- exchanges on the main socket ---- */

/* Sleeps until the main socket has something, serving the channel meanwhile. */
static int await_reply(struct neep_frontend *frontend, int64_t deadline) {
	for (;;) {
		struct pollfd pollers[] = {
			{ .fd = frontend->socket, .events = POLLIN },
			{ .fd = frontend->channel, .events = POLLIN },
		};
		int ready = poll(pollers, 2, remaining_ms(deadline));
		if (ready == 0) {
			return -ETIMEDOUT;
		}
		if (ready > 0 && pollers[1].revents != 0) {
			serve_channel(frontend);
		}
		if (ready > 0 && pollers[0].revents != 0) {
			return 0;
		}
	}
}

static int check_reply(
	const struct neep_vhost_user_header *header, const struct neep_frontend_message *message) {
	bool is_ours = header->request == message->request &&
		       header->flags == (NEEP_VHOST_USER_VERSION | NEEP_VHOST_USER_REPLY) &&
		       header->size <= message->reply_size;
	return is_ours ? 0 : -EPROTO;
}

static int read_reply(
	struct neep_frontend *frontend, struct neep_frontend_message *message, int64_t deadline) {
	struct neep_vhost_user_header header;
	int result = read_exactly(frontend->socket, &header, sizeof(header), &message->fds_in, deadline);
	if (result < 0) {
		return result;
	}
	result = check_reply(&header, message);
	if (result < 0) {
		return result;
	}
	message->reply_len = header.size;
	return read_exactly(frontend->socket, message->reply, header.size, &message->fds_in, deadline);
}

int neep_frontend_receive(struct neep_frontend *frontend, struct neep_frontend_message *message) {
	message->reply_len = 0;
	message->fds_in = (struct neep_fds){ 0 };
	if (frontend->is_dead) {
		return -EPIPE;
	}
	int64_t deadline = neep_clock_ns() + frontend->options.timeout_ns;
	bool was_exchanging = frontend->is_exchanging;
	frontend->is_exchanging = true;
	int result = await_reply(frontend, deadline);
	if (result == 0) {
		result = read_reply(frontend, message, deadline);
	}
	frontend->is_exchanging = was_exchanging;
	if (result < 0) {
		neep_fds_finish(&message->fds_in);
		return fail(frontend, result, "reply");
	}
	/* A back-end that refuses an echo has not refused this. */
	neep_frontend_flush_echoes(frontend);
	return frontend->is_dead ? -EPIPE : 0;
}

int neep_frontend_ask(struct neep_frontend *frontend, struct neep_frontend_message *message) {
	int result = neep_frontend_send(frontend, message);
	return result < 0 ? result : neep_frontend_receive(frontend, message);
}

int neep_frontend_tell(struct neep_frontend *frontend, const struct neep_frontend_message *message) {
	struct neep_vhost_user_u64 ack = { 0 };
	struct neep_frontend_message copy = *message;
	if (!neep_frontend_has_protocol(frontend, NEEP_VHOST_USER_PROTOCOL_F_REPLY_ACK)) {
		return neep_frontend_send(frontend, &copy);
	}
	copy.flags |= NEEP_VHOST_USER_NEED_REPLY;
	copy.reply = &ack;
	copy.reply_size = sizeof(ack);
	int result = neep_frontend_ask(frontend, &copy);
	neep_fds_finish(&copy.fds_in);
	if (result < 0) {
		return result;
	}
	return copy.reply_len == sizeof(ack) && ack.value == 0 ? 0 : -EIO;
}
