#include "vhost_user/gpu_socket.h"

#include <errno.h>
#include <linux/virtio_gpu.h>
#include <stdlib.h>
#include <string.h>

#include "util/checked.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "vhost_user/gpu_protocol.h"
#include "vhost_user/gpu_update.h"

/* Theory of operation
 *
 * Outgoing messages stand in one list and are written in its order, each to its end before the next begins. The small
 * ones are copies; of an update only the head is, its pixels are read from the owner's rows while they are written, as
 * gpu_update.c says. There is one update at most.
 *
 * Until the front-end has answered GET_PROTOCOL_FEATURES, which it does when it is back in its main loop, nothing but that
 * request leaves the list.
 *
 * One query is asked at a time, but an answer that came too late for its time-out still arrives some day: `expected`
 * remembers what was sent and not answered, oldest first. Answers keep that order, so what stands before one that has
 * come never will.
 *
 * The owner hears everything from a task, never from inside its own calls. */

#define TOPIC           "gpu-socket"
#define SCANOUTS_MAX    16
#define SIZE_MAX_PIXELS 16384
#define QUERY_WAIT_NS   NEEP_NS_PER_S
#define EXPECTED_MAX    8
/* Written per turn of the loop: a front-end that reads as fast as we write must not keep the rings waiting. */
#define FLUSH_MAX ((size_t)4 << 20)
#define READS_MAX 16

struct message {
	struct neep_list link; // neep_gpu_socket.messages
	uint32_t request;      // enum neep_gpu_request
	uint32_t scanout_id;
	size_t len;      // bytes, pixels included
	size_t sent;     // bytes
	size_t head_len; // bytes
	uint8_t head[];
};

struct neep_gpu_socket {
	struct neep_loop *loop;
	struct neep_gpu_socket_owner *owner;
	struct neep_source source; // .fd is owned
	struct neep_task events;   // tells the owner
	bool is_ready;
	bool is_ready_told;
	bool is_lost; // the front-end closed its end
	bool is_lost_told;
	uint64_t features;
	struct neep_list messages;     // message.link
	struct message *update;        // in `messages`, NULL for none
	bool is_update_over;           // and the owner does not know yet
	struct neep_gpu_writer writer; // of its pixels
	bool is_on[SCANOUTS_MAX];
	struct neep_list queries; // neep_gpu_query.link, not asked yet
	struct neep_list asked;   // neep_gpu_query.link, one at most; empty when it was cancelled
	bool has_asked;
	bool is_asked_sent;
	struct neep_timer timer; // of the asked query
	uint32_t expected[EXPECTED_MAX];
	size_t expected_count;
	struct neep_gpu_header header;
	uint8_t reply[NEEP_GPU_EDID_SIZE]; // the longest
	size_t got;                        // bytes of header and reply
};

static void tell(struct neep_gpu_socket *socket) {
	neep_task_queue(socket->loop, &socket->events);
}

static struct message *message_create(
	uint32_t request, uint32_t scanout_id, const void *payload, size_t len, size_t pixels_len) {
	struct neep_gpu_header header = { .request = request, .size = (uint32_t)(len + pixels_len) };
	size_t head_len = sizeof(header) + len;
	struct message *message = malloc(sizeof(*message) + head_len);
	if (message == NULL) {
		return NULL;
	}
	*message = (struct message){ .request = request,
		.scanout_id = scanout_id,
		.len = head_len + pixels_len,
		.head_len = head_len };
	memcpy(message->head, &header, sizeof(header));
	if (len > 0) {
		memcpy(message->head + sizeof(header), payload, len);
	}
	return message;
}

/* Ends a message that is written or given up. */
static void message_finish(struct neep_gpu_socket *socket, struct message *message) {
	if (message == socket->update) {
		socket->update = NULL;
		socket->is_update_over = true;
		neep_gpu_writer_end(&socket->writer);
		tell(socket);
	}
	neep_list_remove(&message->link);
	free(message);
}

static void socket_lose(struct neep_gpu_socket *socket) {
	socket->is_lost = true;
	neep_source_remove(&socket->source);
	neep_list_for_each_safe (message, &socket->messages, struct message, link) {
		message_finish(socket, message);
	}
	tell(socket);
}

/* One write of what is left of `message`. Returns the bytes taken or a negative errno. */
static int64_t message_write(struct neep_gpu_socket *socket, struct message *message) {
	struct iovec head = { 0 };
	if (message->sent < message->head_len) {
		head = (struct iovec){ .iov_base = message->head + message->sent,
			.iov_len = message->head_len - message->sent };
	}
	return message == socket->update ? neep_gpu_writer_write(&socket->writer, &head)
					 : neep_gpu_send(socket->source.fd, &head, 1);
}

/* The message to write next; NULL when there is none, or it must wait for the handshake. */
static struct message *message_next(const struct neep_gpu_socket *socket) {
	if (neep_list_is_empty(&socket->messages)) {
		return NULL;
	}
	struct message *first = neep_container_of(socket->messages.next, struct message, link);
	return socket->is_ready || first->request == NEEP_GPU_GET_PROTOCOL_FEATURES ? first : NULL;
}

static void socket_flush(struct neep_gpu_socket *socket) {
	struct message *message = message_next(socket);
	for (size_t written = 0; message != NULL && written < FLUSH_MAX; message = message_next(socket)) {
		int64_t sent = message_write(socket, message);
		if (sent == -EAGAIN) {
			break;
		}
		if (sent < 0) {
			socket_lose(socket);
			return;
		}
		written += (size_t)sent;
		message->sent += (size_t)sent;
		if (message->sent == message->len) {
			message_finish(socket, message);
		}
	}
	if (neep_source_set_events(&socket->source, EPOLLIN | (message != NULL ? EPOLLOUT : 0)) < 0) {
		socket_lose(socket);
	}
}

/* Appends `message` (NULL: there was no memory for it) and writes what can be. */
static void socket_post(struct neep_gpu_socket *socket, struct message *message) {
	if (message == NULL) {
		neep_log(TOPIC, NEEP_LOG_WARN, "no memory for a display message");
		return;
	}
	neep_list_append(&socket->messages, &message->link);
	socket_flush(socket);
}

/* The query that was asked is no longer; returns it, or NULL when it was cancelled. */
static struct neep_gpu_query *asked_take(struct neep_gpu_socket *socket) {
	socket->has_asked = false;
	neep_timer_cancel(&socket->timer);
	if (neep_list_is_empty(&socket->asked)) {
		return NULL;
	}
	struct neep_gpu_query *query = neep_container_of(socket->asked.next, struct neep_gpu_query, link);
	neep_list_remove(&query->link);
	return query;
}

static bool query_send(struct neep_gpu_socket *socket, const struct neep_gpu_query *query) {
	bool has_edid = (socket->features & (1u << NEEP_GPU_PROTOCOL_F_EDID)) != 0;
	if (socket->expected_count == EXPECTED_MAX || (query->is_edid && !has_edid)) {
		return false;
	}
	struct neep_gpu_edid_request edid = { .scanout_id = query->scanout_id };
	uint32_t request = query->is_edid ? NEEP_GPU_GET_EDID : NEEP_GPU_GET_DISPLAY_INFO;
	struct message *message =
		message_create(request, query->scanout_id, &edid, query->is_edid ? sizeof(edid) : 0, 0);
	if (message == NULL) {
		return false;
	}
	socket->expected[socket->expected_count++] = request;
	socket->is_asked_sent = true;
	socket_post(socket, message);
	return true;
}

/* Asks the next query when none is asked, as soon as it can be. */
static void queries_pump(struct neep_gpu_socket *socket) {
	if (!socket->has_asked) {
		if (neep_list_is_empty(&socket->queries)) {
			return;
		}
		struct neep_list *link = socket->queries.next;
		neep_list_remove(link);
		neep_list_append(&socket->asked, link);
		socket->has_asked = true;
		socket->is_asked_sent = false;
		neep_timer_arm(socket->loop, &socket->timer, socket->is_lost ? 0 : QUERY_WAIT_NS);
	}
	if (socket->is_asked_sent || !socket->is_ready || socket->is_lost ||
		neep_list_is_empty(&socket->asked)) {
		return;
	}
	if (!query_send(socket, neep_container_of(socket->asked.next, struct neep_gpu_query, link))) {
		neep_timer_arm(socket->loop, &socket->timer, 0);
	}
}

static void query_timed_out(struct neep_timer *timer) {
	struct neep_gpu_socket *socket = neep_container_of(timer, struct neep_gpu_socket, timer);
	struct neep_gpu_query *query = asked_take(socket);
	queries_pump(socket);
	if (query != NULL) {
		query->done(query, NULL, 0);
	}
}

static void queries_fail(struct neep_gpu_socket *socket) {
	struct neep_gpu_query *asked = asked_take(socket);
	struct neep_list failed;
	neep_list_init(&failed);
	while (!neep_list_is_empty(&socket->queries)) {
		struct neep_list *link = socket->queries.next;
		neep_list_remove(link);
		neep_list_append(&failed, link);
	}
	if (asked != NULL) {
		asked->done(asked, NULL, 0);
	}
	while (!neep_list_is_empty(&failed)) {
		struct neep_gpu_query *query = neep_container_of(failed.next, struct neep_gpu_query, link);
		neep_list_remove(&query->link);
		query->done(query, NULL, 0);
	}
}

static void handshake_finish(struct neep_gpu_socket *socket) {
	uint64_t offered = 0;
	if (socket->header.size == sizeof(offered)) {
		memcpy(&offered, socket->reply, sizeof(offered));
	}
	socket->features = offered & (1u << NEEP_GPU_PROTOCOL_F_EDID);
	struct message *message = message_create(
		NEEP_GPU_SET_PROTOCOL_FEATURES, 0, &socket->features, sizeof(socket->features), 0);
	if (message == NULL) {
		socket_lose(socket);
		return;
	}
	neep_list_insert(&socket->messages, &message->link);
	socket->is_ready = true;
	socket_flush(socket);
	tell(socket);
}

/* Takes `request` and what was sent before it off the list. Returns whether it is the query that was asked last. */
static bool expected_take(struct neep_gpu_socket *socket, uint32_t request) {
	size_t i = 0;
	while (i < socket->expected_count && socket->expected[i] != request) {
		i++;
	}
	if (i == socket->expected_count) {
		return false;
	}
	bool is_last = ++i == socket->expected_count;
	socket->expected_count -= i;
	memmove(socket->expected, socket->expected + i, socket->expected_count * sizeof(socket->expected[0]));
	return is_last && socket->has_asked && socket->is_asked_sent;
}

/* Whether the reply is the virtio-gpu response that belongs to `request`, as a whole. */
static bool reply_is_valid(const struct neep_gpu_socket *socket) {
	struct virtio_gpu_ctrl_hdr response;
	memcpy(&response, socket->reply, sizeof(response));
	if (socket->header.request == NEEP_GPU_GET_EDID) {
		return socket->header.size == NEEP_GPU_EDID_SIZE && response.type == VIRTIO_GPU_RESP_OK_EDID;
	}
	return socket->header.size == NEEP_GPU_DISPLAY_INFO_SIZE &&
	       response.type == VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
}

/* A whole message is in header and reply (which holds only the tail of one that is too long). */
static void reply_handle(struct neep_gpu_socket *socket) {
	uint32_t request = socket->header.request;
	if ((socket->header.flags & NEEP_GPU_FLAG_REPLY) == 0) {
		return;
	}
	if (request == NEEP_GPU_GET_PROTOCOL_FEATURES && !socket->is_ready) {
		handshake_finish(socket);
		queries_pump(socket);
		return;
	}
	if (!expected_take(socket, request)) {
		return;
	}
	bool is_valid = reply_is_valid(socket);
	struct neep_gpu_query *query = asked_take(socket);
	queries_pump(socket);
	if (query != NULL) {
		query->done(query, is_valid ? socket->reply : NULL, is_valid ? socket->header.size : 0);
	}
}

/* Reads what is there of one message. Returns 1 when it is whole, 0 when more must come, -1 when the peer is gone. */
static int reply_read(struct neep_gpu_socket *socket) {
	for (;;) {
		const size_t header_len = sizeof(socket->header);
		bool in_header = socket->got < header_len;
		size_t end = in_header ? header_len : header_len + socket->header.size;
		if (socket->got == end) {
			return 1;
		}
		uint8_t *to = in_header ? (uint8_t *)&socket->header + socket->got : socket->reply;
		size_t len = end - socket->got;
		if (!in_header && socket->header.size <= sizeof(socket->reply)) {
			to += socket->got - header_len;
		} else if (!in_header && len > sizeof(socket->reply)) {
			len = sizeof(socket->reply);
		}
		struct neep_fds fds = { 0 };
		int64_t got = neep_recv(socket->source.fd, to, len, &fds);
		neep_fds_finish(&fds);
		if (got == -EAGAIN) {
			return 0;
		}
		if (got <= 0) {
			return -1;
		}
		socket->got += (size_t)got;
	}
}

static void socket_event(struct neep_source *source, uint32_t events) {
	struct neep_gpu_socket *socket = neep_container_of(source, struct neep_gpu_socket, source);
	(void)events;
	for (unsigned i = 0; i < READS_MAX && !socket->is_lost; i++) {
		int ret = reply_read(socket);
		if (ret == 0) {
			break;
		}
		if (ret < 0) {
			socket_lose(socket);
			return;
		}
		socket->got = 0;
		reply_handle(socket);
	}
	if (!socket->is_lost) {
		socket_flush(socket);
	}
}

static void events_run(struct neep_task *task) {
	struct neep_gpu_socket *socket = neep_container_of(task, struct neep_gpu_socket, events);
	const struct neep_gpu_socket_impl *impl = socket->owner->impl;
	if (socket->is_ready && !socket->is_ready_told && !socket->is_lost) {
		socket->is_ready_told = true;
		impl->ready(socket->owner);
	}
	if (socket->is_update_over) {
		socket->is_update_over = false;
		impl->update_done(socket->owner);
	}
	if (socket->is_lost && !socket->is_lost_told) {
		socket->is_lost_told = true;
		queries_fail(socket);
		impl->closed(socket->owner);
	}
}

struct neep_gpu_socket *neep_gpu_socket_create(
	struct neep_loop *loop, int owned_fd, struct neep_gpu_socket_owner *owner) {
	neep_autoclose int fd = owned_fd;
	struct neep_gpu_socket *socket = calloc(1, sizeof(*socket));
	struct message *hello = message_create(NEEP_GPU_GET_PROTOCOL_FEATURES, 0, NULL, 0, 0);
	if (socket == NULL || hello == NULL || neep_fd_set_nonblocking(fd) < 0) {
		goto err;
	}
	socket->loop = loop;
	socket->owner = owner;
	socket->source = (struct neep_source){ .fd = fd, .ready = socket_event };
	socket->events.run = events_run;
	socket->timer.fire = query_timed_out;
	neep_gpu_writer_init(&socket->writer, fd);
	neep_list_init(&socket->messages);
	neep_list_init(&socket->queries);
	neep_list_init(&socket->asked);
	if (neep_source_add(loop, &socket->source, EPOLLIN) < 0) {
		goto err;
	}
	(void)neep_steal_fd(&fd);
	socket_post(socket, hello);
	return socket;

err:
	free(hello);
	free(socket);
	return NULL;
}

void neep_gpu_socket_destroy(struct neep_gpu_socket *socket) {
	if (socket == NULL) {
		return;
	}
	queries_fail(socket);
	neep_source_remove(&socket->source);
	neep_list_for_each_safe (message, &socket->messages, struct message, link) {
		message_finish(socket, message);
	}
	neep_task_cancel(&socket->events);
	neep_timer_cancel(&socket->timer);
	neep_gpu_writer_finish(&socket->writer);
	neep_close_fd(&socket->source.fd);
	free(socket);
}

bool neep_gpu_socket_is_ready(const struct neep_gpu_socket *socket) {
	return socket->is_ready && !socket->is_lost;
}

void neep_gpu_socket_query(struct neep_gpu_socket *socket, struct neep_gpu_query *query) {
	neep_list_append(&socket->queries, &query->link);
	queries_pump(socket);
}

void neep_gpu_query_cancel(struct neep_gpu_query *query) {
	neep_list_remove(&query->link);
}

/* A message of this kind and scanout that stands in the list, has not begun, and comes after the update when
 * `after_update`; NULL when there is none. */
static struct message *message_find(
	struct neep_gpu_socket *socket, uint32_t request, uint32_t scanout_id, bool after_update) {
	struct message *found = NULL;
	neep_list_for_each (message, &socket->messages, struct message, link) {
		if (message == socket->update && after_update) {
			found = NULL;
		} else if (message->request == request && message->scanout_id == scanout_id &&
			   message->sent == 0) {
			found = message;
		}
	}
	return found;
}

void neep_gpu_socket_scanout(
	struct neep_gpu_socket *socket, uint32_t scanout_id, uint32_t width, uint32_t height) {
	if (socket->is_lost || scanout_id >= SCANOUTS_MAX || width > SIZE_MAX_PIXELS ||
		height > SIZE_MAX_PIXELS) {
		return;
	}
	bool is_on = width > 0 && height > 0;
	struct neep_gpu_scanout payload = {
		.scanout_id = scanout_id, .width = is_on ? width : 0, .height = is_on ? height : 0
	};
	struct message *message = message_create(NEEP_GPU_SCANOUT, scanout_id, &payload, sizeof(payload), 0);
	/* A size that could not be told must not be updated. */
	socket->is_on[scanout_id] = is_on && message != NULL;
	struct message *old = message_find(socket, NEEP_GPU_SCANOUT, scanout_id, true);
	if (old != NULL && message != NULL) {
		message_finish(socket, old);
	}
	socket_post(socket, message);
}

bool neep_gpu_socket_can_update(const struct neep_gpu_socket *socket) {
	return neep_gpu_socket_is_ready(socket) && socket->update == NULL && !socket->is_update_over;
}

void neep_gpu_socket_update(struct neep_gpu_socket *socket, const struct neep_gpu_update *update) {
	neep_assert(neep_gpu_socket_can_update(socket));
	struct neep_gpu_update_header payload = {
		.scanout_id = update->scanout_id,
		.x = update->x,
		.y = update->y,
		.width = update->width,
		.height = update->height,
	};
	bool can_send = update->scanout_id < SCANOUTS_MAX && socket->is_on[update->scanout_id] &&
			update->width > 0 && update->height > 0 && update->width <= SIZE_MAX_PIXELS &&
			update->height <= SIZE_MAX_PIXELS;
	size_t pixels_len = can_send ? (size_t)update->width * update->height * 4 : 0;
	struct message *message = !can_send ? NULL
					    : message_create(NEEP_GPU_UPDATE, update->scanout_id, &payload,
						      sizeof(payload), pixels_len);
	if (message == NULL) {
		socket->is_update_over = true;
		tell(socket);
		return;
	}
	neep_gpu_writer_begin(&socket->writer, update);
	socket->update = message;
	socket_post(socket, message);
}

void neep_gpu_socket_settle(struct neep_gpu_socket *socket) {
	neep_gpu_writer_settle(&socket->writer);
}

/* Posts a cursor message in place of what waits there for the same scanout. */
static void cursor_post(struct neep_gpu_socket *socket, struct message *message, uint32_t scanout_id) {
	static const uint32_t positions[] = { NEEP_GPU_CURSOR_POS, NEEP_GPU_CURSOR_POS_HIDE };
	for (size_t i = 0; message != NULL && i < NEEP_ARRAY_LEN(positions); i++) {
		struct message *old = message_find(socket, positions[i], scanout_id, false);
		if (old != NULL) {
			message_finish(socket, old);
		}
	}
	socket_post(socket, message);
}

void neep_gpu_socket_cursor_update(
	struct neep_gpu_socket *socket, const struct neep_gpu_cursor *cursor, const uint32_t *argb) {
	if (socket->is_lost || cursor->scanout_id >= SCANOUTS_MAX) {
		return;
	}
	struct neep_gpu_cursor_update payload = {
		.pos = { .scanout_id = cursor->scanout_id, .x = cursor->x, .y = cursor->y },
		.hot_x = cursor->hot_x,
		.hot_y = cursor->hot_y,
	};
	memcpy(payload.argb, argb, sizeof(payload.argb));
	struct message *message =
		message_create(NEEP_GPU_CURSOR_UPDATE, cursor->scanout_id, &payload, sizeof(payload), 0);
	struct message *old = message_find(socket, NEEP_GPU_CURSOR_UPDATE, cursor->scanout_id, false);
	if (old != NULL && message != NULL) {
		message_finish(socket, old);
	}
	cursor_post(socket, message, cursor->scanout_id);
}

void neep_gpu_socket_cursor_move(
	struct neep_gpu_socket *socket, const struct neep_gpu_cursor *cursor, bool is_visible) {
	if (socket->is_lost || cursor->scanout_id >= SCANOUTS_MAX) {
		return;
	}
	struct neep_gpu_cursor_pos payload = {
		.scanout_id = cursor->scanout_id, .x = cursor->x, .y = cursor->y
	};
	uint32_t request = is_visible ? NEEP_GPU_CURSOR_POS : NEEP_GPU_CURSOR_POS_HIDE;
	cursor_post(socket, message_create(request, cursor->scanout_id, &payload, sizeof(payload), 0),
		cursor->scanout_id);
}
