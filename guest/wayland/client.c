#include "wayland/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/fd.h"
#include "util/log.h"
#include "wayland/conn.h"
#include "wayland/offer.h"
#include "wayland/policy.h"
#include "wayland/queue.h"
#include "wayland/registry.h"
#include "wayland/shm.h"
#include "wayland/sync.h"
#include "wayland/wayland-protocol.h"

/* Theory of operation
 *
 * A turn of the loop reads what the client has sent, handles message after message, and gathers what goes to the compositor;
 * a task sends it at the end of the turn, so that a burst of requests is one piece on the way. A way that is full says
 * -EAGAIN: then the client's requests stay with the client until there is room. The other way round the client's socket is
 * the end that may be full: then the compositor's bytes stay there.
 *
 * A client ends in a task of its own, never below a handler. One that leaves with requests still on the way (is_leaving)
 * ends when they are sent: a native client's last requests reach the compositor, too. */

/* What gathers before it is sent within a turn. */
#define BATCH_LEN ((size_t)64 << 10)
/* Several times a batch: what a handler makes of one message fits above it. */
#define TO_HOST_MAX ((size_t)1 << 20)
/* A message that has not come whole, and what one piece from the host brings. */
#define FROM_HOST_MAX ((size_t)1 << 20)

struct relay {
	struct neep_wl_client client;
	struct neep_wl_queue to_host;
	struct neep_wl_queue from_host;
	struct neep_task flush_task;
	struct neep_task end_task;
	struct neep_task resume_task;
	struct neep_log_limit log_limit;
	bool is_stalled;  // the host takes nothing now
	bool is_full;     // so much waits that nothing more is read
	bool has_resumed; // kept requests are to be looked at
	bool is_leaving;  // the client has gone, its last requests have not
	struct neep_wl_client_ended_listener listener;
};

static struct relay *relay_of(struct neep_wl_client *client) {
	return neep_container_of(client, struct relay, client);
}

/* ---- ends ---- */

static void update_receiving(struct relay *relay) {
	neep_wl_conn_set_receiving(
		relay->client.conn, !relay->is_stalled && !relay->is_full && !relay->client.is_ended);
	neep_wl_conn_set_watching_end(relay->client.conn, relay->is_full && !relay->client.is_ended);
}

static void end(struct relay *relay) {
	relay->client.is_ended = true;
	update_receiving(relay);
	neep_task_queue(relay->client.loop, &relay->end_task);
}

static void end_run(struct neep_task *task) {
	struct relay *relay = neep_container_of(task, struct relay, end_task);
	relay->listener.ended(relay->listener.data, &relay->client);
}

static void send_error(struct neep_wl_client *client, uint32_t object_id, uint32_t code, const char *text) {
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, NEEP_WL_DISPLAY_ID, WL_DISPLAY_ERROR);
	neep_wl_writer_word(&writer, object_id);
	neep_wl_writer_word(&writer, code);
	neep_wl_writer_string(&writer, text);
	neep_wl_send_event(client, &writer, NULL, 0);
}

int neep_wl_client_fail(struct neep_wl_client *client, const struct neep_wl_object *object, uint32_t code,
	const char *format, ...) {
	if (client->is_ended) {
		return -EPROTO;
	}
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	bool has_object = object != NULL && object->client_id != 0;
	send_error(client, has_object ? object->client_id : NEEP_WL_DISPLAY_ID, code, text);
	neep_log_guest(&relay_of(client)->log_limit, "wayland", "%s: error %u: %s", client->name, code, text);
	end(relay_of(client));
	return -EPROTO;
}

/* What the compositor did wrong, or what this process cannot do. */
static void give_up(struct relay *relay, const char *why) {
	neep_wl_client_fail(&relay->client, NULL, WL_DISPLAY_ERROR_IMPLEMENTATION, "%s", why);
}

/* ---- to the host ---- */

static void release(const struct neep_wl_batch *batch) {
	for (size_t i = 0; i < batch->count; i++) {
		neep_wl_memory_unref(batch->attachments[i].memory);
	}
}

/* Returns 0 (all sent, or stalled) or a negative errno. */
static int send_queued(struct relay *relay) {
	struct neep_wl_batch batch;
	while (!relay->is_stalled && neep_wl_queue_front(&relay->to_host, &batch)) {
		int result = neep_wl_host_send(
			relay->client.host, batch.data, batch.len, batch.attachments, batch.count);
		if (result == -EAGAIN) {
			relay->is_stalled = true;
			update_receiving(relay);
			return 0;
		}
		neep_wl_queue_pop(&relay->to_host, batch.len, batch.count);
		release(&batch);
		if (result < 0) {
			return result;
		}
	}
	return 0;
}

static void flush(struct relay *relay) {
	if (relay->client.is_ended) {
		return;
	}
	int result = send_queued(relay);
	if (result == -ENOTSUP) {
		give_up(relay, "a file descriptor of a kind that cannot be sent to the compositor");
	} else if (result == 0 && relay->is_leaving && !relay->is_stalled) {
		end(relay);
	}
	/* After other errors the host says that it is closed. */
}

static void flush_run(struct neep_task *task) {
	flush(neep_container_of(task, struct relay, flush_task));
}

int neep_wl_client_queue_request(struct neep_wl_client *client, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count) {
	struct relay *relay = relay_of(client);
	int result = neep_wl_queue_push(&relay->to_host, bytes, len, attachments, count);
	if (result < 0) {
		give_up(relay, "too much on the way to the compositor");
		return result;
	}
	neep_task_queue(relay->client.loop, &relay->flush_task);
	return 0;
}

int neep_wl_send_request(struct neep_wl_client *client, struct neep_wl_writer *writer,
	const struct neep_wl_attachment *attachments, size_t count) {
	int size = neep_wl_writer_end(writer);
	return neep_wl_client_queue_request(
		client, writer->data, size < 0 ? SIZE_MAX : (size_t)size, attachments, count);
}

/* ---- to the client ---- */

int neep_wl_client_queue_event(struct neep_wl_client *client, const uint8_t *bytes, size_t len,
	const int *owned_fds, size_t fd_count) {
	struct relay *relay = relay_of(client);
	int result = neep_wl_conn_send(relay->client.conn, bytes, len, owned_fds, fd_count);
	if (result < 0 && !relay->client.is_ended) {
		neep_log_guest(
			&relay->log_limit, "wayland", "%s: does not read its events", relay->client.name);
		end(relay);
	}
	return result;
}

int neep_wl_send_event(
	struct neep_wl_client *client, struct neep_wl_writer *writer, const int *owned_fds, size_t fd_count) {
	int size = neep_wl_writer_end(writer);
	return neep_wl_client_queue_event(
		client, writer->data, size < 0 ? SIZE_MAX : (size_t)size, owned_fds, fd_count);
}

/* Ids of the compositor's kind are free when the client says so. */
static void send_delete_id(struct neep_wl_client *client, const struct neep_wl_object *object) {
	if (object->client_id >= NEEP_WL_SERVER_IDS) {
		return;
	}
	struct neep_wl_writer writer;
	neep_wl_writer_begin(&writer, NEEP_WL_DISPLAY_ID, WL_DISPLAY_DELETE_ID);
	neep_wl_writer_word(&writer, object->client_id);
	neep_wl_send_event(client, &writer, NULL, 0);
}

void neep_wl_object_delete_local(struct neep_wl_client *client, struct neep_wl_object *object) {
	send_delete_id(client, object);
	neep_wl_object_destroy(client, object);
}

void neep_wl_object_keep_host(struct neep_wl_client *client, struct neep_wl_object *object) {
	send_delete_id(client, object);
	neep_wl_object_leave_client(client, object);
}

int neep_wl_on_destroy(struct neep_wl_call *call) {
	if (call->object->host_id != 0) {
		return NEEP_WL_FORWARD;
	}
	neep_wl_object_delete_local(call->client, call->object);
	return NEEP_WL_DONE;
}

/* ---- what the client sends ---- */

static void handle_request(struct relay *relay, uint8_t *data, uint32_t size, size_t fd_count) {
	int fds[NEEP_WL_ARGS_MAX];
	struct neep_wl_call call;
	call.client = &relay->client;
	if (neep_wl_call_read_request(&call, data, size, fd_count) < 0) {
		return;
	}
	neep_wl_conn_consume(call.client->conn, 0, fds, call.message.fd_count);
	call.message.fds = fds;
	bool is_kept = !neep_wl_holds_is_idle(&call.client->holds) && neep_wl_hold_covers(&call);
	if (is_kept || neep_wl_call_handle_request(&call) == NEEP_WL_WAIT) {
		neep_wl_hold_keep(&call);
	}
}

/* Returns whether a message was there and the next may follow. */
static bool take_request(struct relay *relay) {
	size_t len, fd_count;
	uint32_t object_id, opcode;
	uint8_t *data = neep_wl_conn_peek(relay->client.conn, &len, &fd_count);
	int size = neep_wl_message_size(data, len, &object_id, &opcode);
	if (size < 0) {
		neep_wl_client_fail(&relay->client, NULL, WL_DISPLAY_ERROR_INVALID_METHOD,
			"the length of a message is wrong");
		return false;
	}
	if (size == 0 || len < (size_t)size) {
		return false;
	}
	handle_request(relay, data, (uint32_t)size, fd_count);
	neep_wl_conn_consume(relay->client.conn, (size_t)size, NULL, 0);
	return true;
}

/* Whether another request can be handled; what this one has made is sent before when there is much of it. */
static bool can_go_on(struct relay *relay) {
	if (relay->to_host.len >= BATCH_LEN) {
		flush(relay);
	}
	return !relay->client.is_ended && !relay->is_stalled;
}

/* What one of the requests that are kept waits for may be there. */
static void retry_kept(struct relay *relay) {
	struct neep_wl_holds *holds = &relay->client.holds;
	neep_wl_holds_begin(holds);
	neep_list_for_each_safe (kept, &holds->requests, struct neep_wl_kept, link) {
		if (!can_go_on(relay)) {
			return;
		}
		neep_wl_hold_retry(&relay->client, kept);
	}
	relay->has_resumed = false;
}

static void take_requests(struct relay *relay) {
	if (relay->has_resumed && can_go_on(relay)) {
		retry_kept(relay);
	}
	while (can_go_on(relay) && !neep_wl_holds_is_full(&relay->client.holds) && take_request(relay)) {
	}
	if (relay->is_full != neep_wl_holds_is_full(&relay->client.holds)) {
		relay->is_full = !relay->is_full;
		update_receiving(relay);
	}
}

static void resume_run(struct neep_task *task) {
	struct relay *relay = neep_container_of(task, struct relay, resume_task);
	relay->has_resumed = true;
	take_requests(relay);
}

void neep_wl_client_resume(struct neep_wl_client *client) {
	neep_task_queue(client->loop, &relay_of(client)->resume_task);
}

/* ---- what the compositor sends ---- */

static void handle_event(struct relay *relay, uint8_t *data, uint32_t size) {
	struct neep_wl_call call = { .client = &relay->client };
	uint32_t object_id = 0, opcode = 0;
	int fds[NEEP_WL_ARGS_MAX];
	neep_wl_message_size(data, size, &object_id, &opcode);
	call.object = neep_wl_objects_by_host(&relay->client.objects, object_id);
	if (call.object == NULL) {
		/* Sent before the compositor knew that the object is gone. */
		return;
	}
	const struct wl_interface *interface = call.object->interface;
	const struct wl_message *type =
		opcode < (uint32_t)interface->event_count ? &interface->events[opcode] : NULL;
	if (type == NULL || neep_wl_message_parse(&call.message, type, data, size) < 0 ||
		call.message.fd_count > relay->from_host.attachment_count) {
		neep_wl_client_fail(&relay->client, NULL, WL_DISPLAY_ERROR_IMPLEMENTATION,
			"the compositor sent a bad event: %s, number %u", interface->name, opcode);
		return;
	}
	neep_wl_queue_take_fds(&relay->from_host, fds, call.message.fd_count);
	call.message.fds = fds;
	neep_wl_call_dispatch(&call);
}

static bool take_event(struct relay *relay) {
	uint32_t object_id, opcode;
	size_t len = relay->from_host.len;
	uint8_t *data = neep_wl_queue_data(&relay->from_host);
	int size = neep_wl_message_size(data, len, &object_id, &opcode);
	if (size < 0) {
		give_up(relay, "the compositor sent a message of a wrong length");
		return false;
	}
	if (size == 0 || len < (size_t)size) {
		return false;
	}
	handle_event(relay, data, (uint32_t)size);
	neep_wl_queue_pop(&relay->from_host, (size_t)size, 0);
	return true;
}

static void host_received(
	void *data, const uint8_t *bytes, size_t len, const int *owned_fds, size_t fd_count) {
	struct relay *relay = data;
	if (relay->client.is_ended || relay->is_leaving) {
		neep_wl_close_fds(owned_fds, fd_count);
		return;
	}
	if (neep_wl_queue_push_fds(&relay->from_host, bytes, len, owned_fds, fd_count) < 0) {
		give_up(relay, "the compositor sent too much at once");
		return;
	}
	while (!relay->client.is_ended && take_event(relay)) {
	}
	if (neep_wl_conn_is_full(relay->client.conn)) {
		neep_wl_host_set_receiving(relay->client.host, false);
	}
}

static void host_drained(void *data) {
	struct relay *relay = data;
	relay->is_stalled = false;
	flush(relay);
	if (relay->is_stalled || relay->client.is_ended) {
		return;
	}
	update_receiving(relay);
	take_requests(relay);
}

static void host_closed(void *data, const struct neep_error *error) {
	struct relay *relay = data;
	if (relay->client.is_ended) {
		return;
	}
	if (error != NULL && error->code != 0) {
		give_up(relay, error->text);
	} else {
		neep_log("wayland", NEEP_LOG_INFO, "%s: the compositor closed its connection",
			relay->client.name);
		end(relay);
	}
}

static const struct neep_wl_host_listener host_listener = {
	.received = host_received,
	.drained = host_drained,
	.closed = host_closed,
};

/* ---- what the client's socket says ---- */

static void conn_readable(void *data) {
	take_requests(data);
}

static void conn_drained(void *data) {
	struct relay *relay = data;
	if (!relay->client.is_ended) {
		neep_wl_host_set_receiving(relay->client.host, true);
	}
}

static void conn_closed(void *data, int result) {
	struct relay *relay = data;
	if (relay->client.is_ended) {
		return;
	}
	if (result < 0) {
		neep_log_guest(&relay->log_limit, "wayland", "%s: %s", relay->client.name, strerror(-result));
	}
	/* Events are for nobody now; a compositor that waits for somebody to read them must not. */
	relay->is_leaving = true;
	neep_wl_host_set_receiving(relay->client.host, true);
	neep_task_queue(relay->client.loop, &relay->flush_task);
}

static const struct neep_wl_conn_listener conn_listener = {
	.readable = conn_readable,
	.drained = conn_drained,
	.closed = conn_closed,
};

/* ---- life ---- */

static void read_name(struct neep_wl_client *client, int fd) {
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);
	char path[64], comm[20] = "?";
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)peer.pid);
	FILE *file = fopen(path, "re");
	if (file != NULL) {
		if (fgets(comm, sizeof(comm), file) != NULL) {
			comm[strcspn(comm, "\n")] = '\0';
		}
		fclose(file);
	}
	/* Programs choose their names. */
	for (char *letter = comm; *letter != '\0'; letter++) {
		*letter = *letter < ' ' || *letter > '~' ? '?' : *letter;
	}
	snprintf(client->name, sizeof(client->name), "pid %d (%s)", (int)peer.pid, comm);
}

static int create_display(struct neep_wl_client *client) {
	struct neep_wl_object_params params = {
		.interface = &wl_display_interface,
		.version = 1,
		.client_id = NEEP_WL_DISPLAY_ID,
		.has_host = true,
	};
	return neep_wl_object_create(client, &params) == NULL ? -ENOMEM : 0;
}

/* Returns 0 or a negative errno; what was made is for neep_wl_client_destroy() in every case. */
static int start(struct relay *relay, int owned_fd, const struct neep_wl_client_params *params,
	struct neep_error *error) {
	struct neep_wl_client *client = &relay->client;
	client->conn = neep_wl_conn_create(params->loop, owned_fd, &conn_listener, relay);
	if (client->conn == NULL || create_display(client) < 0) {
		return neep_error_set(error, ENOMEM, "%s", client->name);
	}
	client->host = params->make_host(params->make_host_data, &host_listener, relay, error);
	if (client->host == NULL) {
		send_error(client, NEEP_WL_DISPLAY_ID, WL_DISPLAY_ERROR_IMPLEMENTATION, error->text);
		return -EIO;
	}
	return 0;
}

struct neep_wl_client *neep_wl_client_create(
	int owned_fd, const struct neep_wl_client_params *params, struct neep_error *error) {
	neep_autoclose int fd = owned_fd;
	struct relay *relay = calloc(1, sizeof(*relay));
	if (relay == NULL || neep_wl_objects_init(&relay->client.objects) < 0) {
		free(relay);
		neep_error_set(error, ENOMEM, "a client");
		return NULL;
	}
	relay->client.loop = params->loop;
	relay->client.policy = params->policy;
	relay->listener = params->ended;
	relay->to_host.max_len = TO_HOST_MAX;
	relay->from_host.max_len = FROM_HOST_MAX;
	relay->flush_task.run = flush_run;
	relay->end_task.run = end_run;
	relay->resume_task.run = resume_run;
	neep_list_init(&relay->client.link);
	neep_list_init(&relay->client.globals);
	neep_wl_holds_init(&relay->client.holds);
	read_name(&relay->client, fd);
	if (start(relay, neep_steal_fd(&fd), params, error) < 0) {
		neep_wl_client_destroy(&relay->client);
		return NULL;
	}
	return &relay->client;
}

static void destroy_objects(struct neep_wl_client *client) {
	struct neep_wl_objects *objects = &client->objects;
	for (struct neep_idmap_link *link = neep_idmap_next(&objects->by_client, NULL), *next; link != NULL;
		link = next) {
		next = neep_idmap_next(&objects->by_client, link);
		neep_wl_object_destroy(client, neep_container_of(link, struct neep_wl_object, client_link));
	}
	for (struct neep_idmap_link *link = neep_idmap_next(&objects->by_host, NULL), *next; link != NULL;
		link = next) {
		next = neep_idmap_next(&objects->by_host, link);
		neep_wl_object_destroy(client, neep_container_of(link, struct neep_wl_object, host_link));
	}
	neep_wl_objects_finish(objects);
}

void neep_wl_client_destroy(struct neep_wl_client *client) {
	if (client == NULL) {
		return;
	}
	struct relay *relay = relay_of(client);
	client->is_ended = true;
	neep_list_remove(&client->link);
	neep_task_cancel(&relay->flush_task);
	neep_task_cancel(&relay->end_task);
	destroy_objects(client);
	neep_task_cancel(&relay->resume_task);
	neep_wl_holds_finish(&client->holds);
	neep_wl_offer_destroy(client->offer);
	neep_wl_sync_destroy(client->sync);
	neep_wl_shm_destroy(client->shm);
	neep_wl_globals_finish(client);
	neep_wl_queue_finish(&relay->to_host);
	neep_wl_queue_finish(&relay->from_host);
	neep_wl_conn_destroy(client->conn);
	neep_wl_host_destroy(client->host);
	free(relay);
}
