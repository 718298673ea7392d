#include "vhost_user/server.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/checked.h"
#include "vhost_user/vhost_user_internal.h"

/* Theory of operation
 *
 * The socket is read without blocking into server->message: the header, then exactly its payload. A whole message is
 * looked up in `requests`, whose row says everything that can be checked without knowing the message; its handler does
 * the rest. What the handler did not answer itself is answered here: an ack where one was asked for, and for a request
 * that always has a reply an empty one, which front-ends report as an error instead of waiting for ever.
 * A reply that the socket does not take is kept, and nothing is read until it is gone. */

/* Requests handled before the loop looks at its other sources. */
#define MESSAGES_PER_TURN 32

/* Accepting these would promise what the rings do not do. IN_ORDER: commands complete when their fence does. */
#define UNSERVED_FEATURES (VU_BIT(VIRTIO_F_ACCESS_PLATFORM) | VU_BIT(VIRTIO_F_IN_ORDER))

struct request_op {
	const char *name;
	neep_vhost_user_handler handle;
	uint16_t size_min, size_max; // bytes of payload
	uint8_t fds_min, fds_max;
	bool has_reply;   // always, not just an ack on demand
	bool is_optional; // only with `feature` negotiated
	uint8_t feature;  // enum neep_vhost_user_protocol_feature
};

static int get_features(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	(void)message;
	struct neep_vhost_user_u64 reply = {
		.value = server->device->impl->features(server->device) |
			 VU_BIT(NEEP_VHOST_USER_F_PROTOCOL_FEATURES),
	};
	neep_vhost_user_answer(server, &reply, sizeof(reply), -1);
	return 0;
}

static int set_features(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	uint64_t features = message->payload.number.value;
	if ((features & UNSERVED_FEATURES) != 0) {
		neep_log(VU_TOPIC, NEEP_LOG_ERROR,
			"the driver took virtio features 0x%llx that are not served (iommu_platform, "
			"in_order): "
			"switch them off for this device; ending the session",
			(unsigned long long)(features & UNSERVED_FEATURES));
		server->is_ended = true;
		return -ENOTSUP;
	}
	server->has_features = true;
	server->features = features;
	server->device->impl->set_features(
		server->device, features & ~VU_BIT(NEEP_VHOST_USER_F_PROTOCOL_FEATURES));
	/* Whether rings must be enabled depends on them. */
	neep_vhost_user_rings_retry(server);
	return 0;
}

static uint64_t offered_protocol_features(const struct neep_vhost_user *server) {
	uint64_t features =
		VU_BIT(NEEP_VHOST_USER_PROTOCOL_F_MQ) | VU_BIT(NEEP_VHOST_USER_PROTOCOL_F_REPLY_ACK) |
		VU_BIT(NEEP_VHOST_USER_PROTOCOL_F_BACKEND_REQ) | VU_BIT(NEEP_VHOST_USER_PROTOCOL_F_CONFIG) |
		VU_BIT(NEEP_VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD) |
		VU_BIT(NEEP_VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) |
		VU_BIT(NEEP_VHOST_USER_PROTOCOL_F_RESET_DEVICE);
	if (server->options.has_mem_slots) {
		features |= VU_BIT(NEEP_VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
	}
	if (server->options.shmem_size > 0) {
		/* SHARED_OBJECT for nothing but the barrier of backend_channel.c. */
		features |= VU_BIT(NEEP_VHOST_USER_PROTOCOL_F_SHMEM) |
			    VU_BIT(NEEP_VHOST_USER_PROTOCOL_F_SHARED_OBJECT);
	}
	return features;
}

static int get_protocol_features(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	(void)message;
	struct neep_vhost_user_u64 reply = { .value = offered_protocol_features(server) };
	neep_vhost_user_answer(server, &reply, sizeof(reply), -1);
	return 0;
}

static int set_protocol_features(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	uint64_t features = message->payload.number.value;
	uint64_t offered = offered_protocol_features(server);
	server->protocol_features = features & offered;
	return (features & ~offered) != 0 ? -ENOTSUP : 0;
}

/* SET_OWNER, and RESET_OWNER, which is deprecated. */
static int ignore(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	(void)server;
	(void)message;
	return 0;
}

static int get_queue_num(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	(void)message;
	struct neep_vhost_user_u64 reply = { .value = server->options.queue_count };
	neep_vhost_user_answer(server, &reply, sizeof(reply), -1);
	return 0;
}

/* Dirty logging is not offered, but with a log fd the front-end waits for a reply whether it asked for one or not. */
static int set_log_base(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	if (message->fds.count > 0) {
		neep_vhost_user_answer(server, NULL, 0, -1);
	}
	return -ENOTSUP;
}

static bool config_is_valid(const struct neep_vhost_user_message *message) {
	const struct neep_vhost_user_config *config = &message->payload.config;
	return config->size == message->header.size - NEEP_VHOST_USER_CONFIG_HEADER_SIZE &&
	       neep_range_within(config->offset, config->size, NEEP_VHOST_USER_CONFIG_SIZE_MAX);
}

static int get_config(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	if (!config_is_valid(message)) {
		return -EINVAL;
	}
	server->is_config_read = true;
	struct neep_vhost_user_config reply = message->payload.config;
	server->device->impl->read_config(server->device, reply.offset, reply.data, reply.size);
	neep_vhost_user_answer(server, &reply, message->header.size, -1);
	return 0;
}

static int set_config(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	const struct neep_vhost_user_config *config = &message->payload.config;
	if (!config_is_valid(message)) {
		return -EINVAL;
	}
	server->device->impl->write_config(server->device, config->offset, config->data, config->size);
	return 0;
}

static int gpu_set_socket(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	if (server->device->impl->set_gpu_socket == NULL) {
		return -ENOTSUP;
	}
	server->device->impl->set_gpu_socket(server->device, neep_fds_take(&message->fds, 0));
	return 0;
}

static int reset_device(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	(void)message;
	neep_vhost_user_rings_stop(server, true);
	neep_vhost_user_reset(server);
	return 0;
}

/* Nothing is ever shared that way. */
static int get_shared_object(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	(void)server;
	(void)message;
	return -ENOENT;
}

static int get_shmem_config(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	(void)message;
	struct neep_vhost_user_shmem_config reply = { .region_count = server->options.shmem_size > 0 };
	reply.sizes[server->options.shmem_id] = server->options.shmem_size;
	neep_vhost_user_answer(server, &reply, sizeof(reply), -1);
	return 0;
}

#define OP(name_, handle_, min_, max_, ...)                                                              \
	[NEEP_VHOST_USER_##name_] = {                                                                    \
		.name = #name_, .handle = (handle_), .size_min = (min_), .size_max = (max_), __VA_ARGS__ \
	}
#define FIXED(name_, handle_, type_, ...) OP(name_, handle_, sizeof(type_), sizeof(type_), __VA_ARGS__)
#define EMPTY(name_, handle_, ...)        OP(name_, handle_, 0, 0, __VA_ARGS__)
#define FDS(min_, max_)                   .fds_min = (min_), .fds_max = (max_)
#define NO_FDS                            FDS(0, 0)
#define REPLY                             .has_reply = true
#define NEEDS(feature_)                   .is_optional = true, .feature = NEEP_VHOST_USER_PROTOCOL_F_##feature_
#define TABLE_MIN                         offsetof(struct neep_vhost_user_mem_table, regions)
#define CONFIG_MIN                        NEEP_VHOST_USER_CONFIG_HEADER_SIZE

static const struct request_op requests[NEEP_VHOST_USER_REQUEST_COUNT] = {
	EMPTY(GET_FEATURES, get_features, REPLY),
	FIXED(SET_FEATURES, set_features, struct neep_vhost_user_u64, NO_FDS),
	EMPTY(SET_OWNER, ignore, NO_FDS),
	EMPTY(RESET_OWNER, ignore, NO_FDS),
	OP(SET_MEM_TABLE, neep_vhost_user_set_mem_table, TABLE_MIN, sizeof(struct neep_vhost_user_mem_table),
		FDS(0, NEEP_VHOST_USER_TABLE_REGIONS_MAX)),
	FIXED(SET_LOG_BASE, set_log_base, struct neep_vhost_user_log, FDS(0, 1)),
	FIXED(SET_VRING_NUM, neep_vhost_user_set_vring_num, struct neep_vhost_user_vring_state, NO_FDS),
	FIXED(SET_VRING_ADDR, neep_vhost_user_set_vring_addr, struct neep_vhost_user_vring_addr, NO_FDS),
	FIXED(SET_VRING_BASE, neep_vhost_user_set_vring_base, struct neep_vhost_user_vring_state, NO_FDS),
	FIXED(GET_VRING_BASE, neep_vhost_user_get_vring_base, struct neep_vhost_user_vring_state, REPLY),
	FIXED(SET_VRING_KICK, neep_vhost_user_set_vring_kick, struct neep_vhost_user_u64, FDS(0, 1)),
	FIXED(SET_VRING_CALL, neep_vhost_user_set_vring_call, struct neep_vhost_user_u64, FDS(0, 1)),
	FIXED(SET_VRING_ERR, neep_vhost_user_set_vring_err, struct neep_vhost_user_u64, FDS(0, 1)),
	EMPTY(GET_PROTOCOL_FEATURES, get_protocol_features, REPLY),
	FIXED(SET_PROTOCOL_FEATURES, set_protocol_features, struct neep_vhost_user_u64, NO_FDS),
	EMPTY(GET_QUEUE_NUM, get_queue_num, REPLY, NEEDS(MQ)),
	FIXED(SET_VRING_ENABLE, neep_vhost_user_set_vring_enable, struct neep_vhost_user_vring_state, NO_FDS),
	EMPTY(SET_BACKEND_REQ_FD, neep_vhost_user_set_backend_req_fd, FDS(1, 1), NEEDS(BACKEND_REQ)),
	OP(GET_CONFIG, get_config, CONFIG_MIN, sizeof(struct neep_vhost_user_config), REPLY, NEEDS(CONFIG)),
	OP(SET_CONFIG, set_config, CONFIG_MIN, sizeof(struct neep_vhost_user_config), NEEDS(CONFIG)),
	FIXED(GET_INFLIGHT_FD, neep_vhost_user_get_inflight_fd, struct neep_vhost_user_inflight, REPLY,
		NEEDS(INFLIGHT_SHMFD)),
	FIXED(SET_INFLIGHT_FD, neep_vhost_user_set_inflight_fd, struct neep_vhost_user_inflight, FDS(1, 1),
		NEEDS(INFLIGHT_SHMFD)),
	EMPTY(GPU_SET_SOCKET, gpu_set_socket, FDS(1, 1)),
	EMPTY(RESET_DEVICE, reset_device, NEEDS(RESET_DEVICE)),
	EMPTY(GET_MAX_MEM_SLOTS, neep_vhost_user_get_max_mem_slots, REPLY, NEEDS(CONFIGURE_MEM_SLOTS)),
	FIXED(ADD_MEM_REG, neep_vhost_user_add_mem_reg, struct neep_vhost_user_mem_region, FDS(1, 1),
		NEEDS(CONFIGURE_MEM_SLOTS)),
	/* Some front-ends send the fd along; it is of no use. */
	FIXED(REM_MEM_REG, neep_vhost_user_rem_mem_reg, struct neep_vhost_user_mem_region, FDS(0, 1),
		NEEDS(CONFIGURE_MEM_SLOTS)),
	FIXED(GET_SHARED_OBJECT, get_shared_object, struct neep_vhost_user_shared_object, REPLY,
		NEEDS(SHARED_OBJECT)),
	EMPTY(GET_SHMEM_CONFIG, get_shmem_config, REPLY, NEEDS(SHMEM)),
};

int64_t neep_vhost_user_send(int socket, const void *buf, size_t len, int fd) {
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	ssize_t sent;
	do {
		sent = sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static void reply_flush(struct neep_vhost_user *server) {
	struct neep_vhost_user_reply *reply = &server->reply;
	while (reply->sent < reply->len) {
		int fd = reply->sent == 0 ? reply->fd : -1;
		int64_t sent = neep_vhost_user_send(
			server->source.fd, reply->buf + reply->sent, reply->len - reply->sent, fd);
		if (sent == -EAGAIN) {
			break;
		}
		if (sent < 0) {
			server->is_ended = true;
			return;
		}
		reply->sent += (size_t)sent;
	}
	bool is_pending = reply->sent < reply->len;
	if (!is_pending) {
		neep_close_fd(&reply->fd);
	}
	if (neep_source_set_events(&server->source, is_pending ? EPOLLOUT : EPOLLIN) < 0) {
		server->is_ended = true;
	}
}

static bool reply_is_pending(const struct neep_vhost_user *server) {
	return server->reply.sent < server->reply.len;
}

void neep_vhost_user_answer(struct neep_vhost_user *server, const void *payload, size_t len, int owned_fd) {
	struct neep_vhost_user_reply *reply = &server->reply;
	struct neep_vhost_user_header header = {
		.request = server->message.header.request,
		.flags = NEEP_VHOST_USER_VERSION | NEEP_VHOST_USER_REPLY,
		.size = (uint32_t)len,
	};
	neep_assert(!reply_is_pending(server) && len <= sizeof(reply->buf) - sizeof(header));
	memcpy(reply->buf, &header, sizeof(header));
	if (len > 0) {
		memcpy(reply->buf + sizeof(header), payload, len);
	}
	reply->len = sizeof(header) + len;
	reply->sent = 0;
	reply->fd = owned_fd;
	server->message.is_replied = true;
	reply_flush(server);
}

static const struct request_op *request_find(const struct neep_vhost_user *server, uint32_t request) {
	if (request >= NEEP_ARRAY_LEN(requests) || requests[request].handle == NULL) {
		return NULL;
	}
	const struct request_op *op = &requests[request];
	return op->is_optional && !neep_vhost_user_has_protocol(server, op->feature) ? NULL : op;
}

static int request_check(const struct request_op *op, const struct neep_vhost_user_message *message) {
	if (message->header.size < op->size_min || message->header.size > op->size_max) {
		return -EMSGSIZE;
	}
	return message->fds.count < op->fds_min || message->fds.count > op->fds_max ? -EBADMSG : 0;
}

static void message_answer_rest(struct neep_vhost_user *server, const struct request_op *op,
	const struct neep_vhost_user_message *message, int ret) {
	if (message->is_replied || server->is_ended) {
		return;
	}
	if (op != NULL && op->has_reply) {
		neep_vhost_user_answer(server, NULL, 0, -1);
		return;
	}
	if ((message->header.flags & NEEP_VHOST_USER_NEED_REPLY) != 0 &&
		neep_vhost_user_has_protocol(server, NEEP_VHOST_USER_PROTOCOL_F_REPLY_ACK)) {
		struct neep_vhost_user_u64 ack = { .value = ret == 0 ? 0 : 1 };
		neep_vhost_user_answer(server, &ack, sizeof(ack), -1);
	}
}

static void message_handle(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	const struct request_op *op = request_find(server, message->header.request);
	int ret = op == NULL ? -EOPNOTSUPP : request_check(op, message);
	if (ret == 0) {
		ret = op->handle(server, message);
	}
	if (ret < 0) {
		neep_log_guest(&server->log_limit, VU_TOPIC, "refused request %u (%s, %u bytes, %zu fds): %s",
			message->header.request, op == NULL ? "unknown" : op->name, message->header.size,
			message->fds.count, strerror(-ret));
	}
	message_answer_rest(server, op, message, ret);
	neep_fds_finish(&message->fds);
	message->got = 0;
	message->is_replied = false;
}

/* Framing: what follows a header that fails here cannot be found. */
static bool header_is_valid(const struct neep_vhost_user_header *header) {
	const uint32_t mask = NEEP_VHOST_USER_VERSION_MASK | NEEP_VHOST_USER_REPLY;
	return (header->flags & mask) == NEEP_VHOST_USER_VERSION &&
	       header->size <= NEEP_VHOST_USER_PAYLOAD_MAX;
}

/* Reads what is there of the current message. Returns 1 when it is whole, 0 when more must come, or a negative errno
 * when the session is over (-ECONNRESET for a front-end that left). */
static int message_read(struct neep_vhost_user *server, struct neep_vhost_user_message *message) {
	const size_t header_len = sizeof(message->header);
	for (;;) {
		bool in_header = message->got < header_len;
		size_t end = in_header ? header_len : header_len + message->header.size;
		if (message->got == end) {
			return 1;
		}
		uint8_t *to = in_header ? (uint8_t *)&message->header + message->got
					: message->payload.bytes + (message->got - header_len);
		int64_t got = neep_recv(server->source.fd, to, end - message->got, &message->fds);
		if (got == -EAGAIN) {
			return 0;
		}
		if (got <= 0) {
			return got == 0 ? -ECONNRESET : (int)got;
		}
		message->got += (size_t)got;
		if (message->got == header_len && !header_is_valid(&message->header)) {
			return -EPROTO;
		}
	}
}

static void requests_run(struct neep_vhost_user *server) {
	for (unsigned i = 0; i < MESSAGES_PER_TURN && !reply_is_pending(server) && !server->is_ended; i++) {
		int ret = message_read(server, &server->message);
		if (ret == 0) {
			return;
		}
		if (ret < 0) {
			if (ret != -ECONNRESET || server->message.got > 0) {
				neep_log(VU_TOPIC, NEEP_LOG_ERROR, "lost the front-end: %s", strerror(-ret));
			}
			server->is_ended = true;
			return;
		}
		message_handle(server, &server->message);
	}
}

/* Leaves nothing behind that calls into the device. */
static void session_end(struct neep_vhost_user *server) {
	neep_source_remove(&server->source);
	neep_vhost_user_rings_stop(server, true);
	neep_vhost_user_channel_finish(server);
}

static void socket_ready(struct neep_source *source, uint32_t events) {
	struct neep_vhost_user *server = neep_container_of(source, struct neep_vhost_user, source);
	(void)events;
	if (reply_is_pending(server)) {
		reply_flush(server);
	}
	requests_run(server);
	if (server->is_ended) {
		session_end(server);
		server->device->impl->closed(server->device);
	}
}

void neep_vhost_user_reset(struct neep_vhost_user *server) {
	bool window_is_empty = neep_vhost_user_channel_reset(server);
	for (uint32_t i = 0; i < server->options.queue_count; i++) {
		neep_vring_reset(server->rings[i].vring);
		server->rings[i].has_last = false;
	}
	server->has_life = false;
	server->device->impl->reset(server->device, window_is_empty);
	/* Not every front-end sends features again that stayed the same. */
	if (server->has_features) {
		server->device->impl->set_features(
			server->device, server->features & ~VU_BIT(NEEP_VHOST_USER_F_PROTOCOL_FEATURES));
	}
}

static int options_check(const struct neep_vhost_user_options *options, struct neep_error *error) {
	if (options->queue_count == 0 || options->queue_count > NEEP_VHOST_USER_QUEUES_MAX) {
		return neep_error_set(error, EINVAL, "%u queues: must be 1 to %d", options->queue_count,
			NEEP_VHOST_USER_QUEUES_MAX);
	}
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	if (options->shmem_size > 0 &&
		(!neep_is_power_of_two(options->shmem_size) || options->shmem_size < page)) {
		return neep_error_set(error, EINVAL,
			"a shared memory window of %llu bytes: must be a power of two and at least a page",
			(unsigned long long)options->shmem_size);
	}
	return 0;
}

static int session_start(struct neep_vhost_user *server, struct neep_error *error) {
	server->memory = neep_memory_create();
	if (server->memory == NULL || neep_vhost_user_rings_init(server) < 0) {
		return neep_error_set(error, ENOMEM, "cannot create the rings");
	}
	int ret = neep_fd_set_nonblocking(server->source.fd);
	if (ret == 0) {
		ret = neep_source_add(server->loop, &server->source, EPOLLIN);
	}
	return ret == 0 ? 0 : neep_error_set(error, -ret, "cannot watch the vhost-user socket");
}

struct neep_vhost_user *neep_vhost_user_create(struct neep_loop *loop, int owned_fd,
	struct neep_vhost_user_device *device, const struct neep_vhost_user_options *options,
	struct neep_error *error) {
	neep_autoclose int fd = owned_fd;
	if (options_check(options, error) < 0) {
		return NULL;
	}
	struct neep_vhost_user *server = calloc(1, sizeof(*server));
	if (server == NULL) {
		neep_error_set(error, ENOMEM, "cannot create the vhost-user session");
		return NULL;
	}
	server->loop = loop;
	server->device = device;
	server->options = *options;
	server->reply.fd = -1;
	server->source = (struct neep_source){ .fd = neep_steal_fd(&fd), .ready = socket_ready };
	neep_vhost_user_channel_init(server);
	if (session_start(server, error) < 0) {
		neep_vhost_user_destroy(server);
		return NULL;
	}
	return server;
}

void neep_vhost_user_destroy(struct neep_vhost_user *server) {
	if (server == NULL) {
		return;
	}
	session_end(server);
	neep_vhost_user_rings_finish(server);
	neep_vhost_user_inflight_destroy(server->inflight);
	neep_memory_destroy(server->memory);
	neep_fds_finish(&server->message.fds);
	neep_close_fd(&server->reply.fd);
	neep_close_fd(&server->source.fd);
	free(server);
}

struct neep_memory *neep_vhost_user_memory(struct neep_vhost_user *server) {
	return server->memory;
}
