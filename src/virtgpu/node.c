/* The node's socket: connections, messages, answers. */
#include "virtgpu/node.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/clock.h"
#include "virtgpu/node_internal.h"

/* Messages of one connection per turn: others get theirs. */
#define MESSAGES_PER_TURN 16

#define BACKLOG 128

struct connection {
	struct neep_list link; // neep_virtgpu_node.connections
	struct neep_virtgpu_node *node;
	int fd;
	struct neep_source source;
	struct neep_virtgpu_debug_name program;
};

static void connection_destroy(struct connection *connection) {
	neep_source_remove(&connection->source);
	neep_close_fd(&connection->fd);
	neep_list_remove(&connection->link);
	connection->node->counts.connections--;
	free(connection);
}

/* ---- one message ---- */

static int merge(struct neep_node_call *call) {
	struct neep_node_fence *fences[2] = { 0 };
	struct neep_node_fence *merged = NULL;
	size_t count = 0;
	while (count < 2 && count < call->fds.count) {
		fences[count] = neep_node_fence_of_token(call->node, call->fds.fd[count]);
		if (fences[count] == NULL) {
			break;
		}
		count++;
	}
	if (count == 2) {
		merged = neep_node_fence_merge(call->node, fences, count);
	}
	int fd = merged != NULL ? neep_node_fence_token(merged) : -EINVAL;
	neep_node_fence_unref(merged);
	neep_node_fence_unref(fences[0]);
	neep_node_fence_unref(fences[1]);
	call->fd_out = fd;
	return fd < 0 ? fd : 0;
}

static int give_done(struct neep_node_call *call) {
	struct neep_node_fence *fence = neep_node_fence_create_done(call->node);
	call->fd_out = fence != NULL ? neep_node_fence_token(fence) : -ENOMEM;
	neep_node_fence_unref(fence);
	return call->fd_out < 0 ? call->fd_out : 0;
}

static int give_info(struct connection *connection, struct neep_node_call *call) {
	memcpy(&connection->program, call->data, sizeof(connection->program));
	connection->program.text[sizeof(connection->program.text) - 1] = '\0';
	call->fd_out = neep_fd_dup(call->node->info_fd);
	return call->fd_out < 0 ? call->fd_out : 0;
}

static int run(
	struct connection *connection, struct neep_node_call *call, const struct neep_virtgpu_call *header) {
	switch (header->op) {
	case NEEP_VIRTGPU_OP_INFO:
		return give_info(connection, call);
	case NEEP_VIRTGPU_OP_OPEN:
		call->fd_out = neep_node_file_open(call->node);
		return call->fd_out < 0 ? call->fd_out : 0;
	case NEEP_VIRTGPU_OP_MERGE:
		return merge(call);
	case NEEP_VIRTGPU_OP_DONE:
		return give_done(call);
	case NEEP_VIRTGPU_OP_IOCTL:
		return call->file != NULL ? neep_node_call_ioctl(call, header->nr, header->size) : -EBADF;
	case NEEP_VIRTGPU_OP_QUERY:
		return call->file != NULL ? neep_node_syncobj_query(call) : -EBADF;
	case NEEP_VIRTGPU_OP_MMAP:
		return call->file != NULL ? neep_node_bo_mmap(call) : -EBADF;
	default:
		return -EINVAL;
	}
}

static int answer(struct connection *connection, const struct neep_virtgpu_call *header,
	struct neep_node_call *call, int result) {
	struct {
		struct neep_virtgpu_answer header;
		uint8_t body[NEEP_VIRTGPU_STRUCT_MAX];
	} message = {
		.header = { .sequence = header->sequence,
			.result = result,
			.flags = call->flags_out,
			.size = result == 0 ? header->size : 0 },
	};
	memcpy(message.body, call->data, message.header.size);
	struct neep_send send = {
		.buf = &message,
		.len = sizeof(message.header) + message.header.size,
		.fds = &call->fd_out,
		.fd_count = call->fd_out >= 0 ? 1 : 0,
	};
	return neep_send_all(connection->fd, &send);
}

/* What follows the header: in the message, or in a memfd that another process may still write to, so it is copied. */
static int read_bulk(struct neep_node_call *call, uint8_t **owned) {
	struct stat st;
	neep_autoclose int fd = call->fds.count > 0 ? neep_fds_take(&call->fds, call->fds.count - 1) : -1;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		(uint64_t)st.st_size > NEEP_VIRTGPU_BULK_MAX) {
		return -EINVAL;
	}
	*owned = malloc((size_t)st.st_size + 1);
	if (*owned == NULL) {
		return -ENOMEM;
	}
	size_t done = 0;
	while (done < (size_t)st.st_size) {
		ssize_t got = pread(fd, *owned + done, (size_t)st.st_size - done, (off_t)done);
		if (got <= 0) {
			return -EINVAL;
		}
		done += (size_t)got;
	}
	call->arrays = *owned;
	call->arrays_len = done;
	return 0;
}

static int read_struct(struct neep_node_call *call, const struct neep_virtgpu_call *header) {
	if (header->size > sizeof(call->data) || header->size > call->arrays_len) {
		return -EINVAL;
	}
	memcpy(call->data, call->arrays, header->size);
	call->arrays += header->size;
	call->arrays_len -= header->size;
	return 0;
}

static int handle(struct connection *connection, struct neep_node_call *call, size_t len) {
	struct neep_virtgpu_node *node = connection->node;
	struct neep_virtgpu_call header;
	if (len < sizeof(header)) {
		return -EPROTO;
	}
	memcpy(&header, node->message, sizeof(header));
	call->arrays = node->message + sizeof(header);
	call->arrays_len = len - sizeof(header);
	uint8_t *bulk = NULL;
	int result = call->has_lost_fds ? -EMFILE : 0;
	if (result == 0 && (header.flags & NEEP_VIRTGPU_CALL_BULK) != 0) {
		result = read_bulk(call, &bulk);
	}
	if (result == 0) {
		result = read_struct(call, &header);
	}
	if (result == 0) {
		call->file = header.file_id != 0 ? neep_node_file_find(node, header.file_id) : NULL;
		result = node->is_dead ? -ENODEV : run(connection, call, &header);
	}
	free(bulk);
	if (result < 0) {
		neep_close_fd(&call->fd_out);
	}
	if ((header.flags & NEEP_VIRTGPU_CALL_SILENT) == 0) {
		result = answer(connection, &header, call, result);
	} else {
		result = 0;
	}
	return result;
}

/* Returns whether there was a message. */
static bool serve_one(struct connection *connection) {
	struct neep_virtgpu_node *node = connection->node;
	struct neep_node_call call = { .node = node, .program = &connection->program, .fd_out = -1 };
	int64_t len = neep_recv_in_part(
		connection->fd, node->message, sizeof(node->message), &call.fds, &call.has_lost_fds);
	if (len == -EAGAIN) {
		return false;
	}
	int result = len > 0 ? handle(connection, &call, (size_t)len) : -EPIPE;
	neep_close_fd(&call.fd_out);
	neep_fds_finish(&call.fds);
	if (result < 0) {
		connection_destroy(connection);
	}
	return result == 0;
}

static void connection_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct connection *connection = neep_container_of(source, struct connection, source);
	struct neep_virtgpu_node *node = connection->node;
	for (int i = 0; i < MESSAGES_PER_TURN && serve_one(connection); i++) {
	}
	if (!neep_list_is_empty(&node->submitted)) {
		neep_task_queue(node->loop, &node->sweep);
	}
}

/* ---- the listener ---- */

/* The name is for all users to see. */
static bool is_own_user(int fd) {
	struct ucred peer;
	socklen_t len = sizeof(peer);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static void accepted(struct neep_acceptor *acceptor, int owned_fd) {
	struct neep_virtgpu_node *node = neep_container_of(acceptor, struct neep_virtgpu_node, acceptor);
	neep_autoclose int fd = owned_fd;
	struct connection *connection = is_own_user(fd) ? calloc(1, sizeof(*connection)) : NULL;
	if (connection == NULL) {
		return;
	}
	*connection = (struct connection){ .node = node, .fd = fd };
	connection->source = (struct neep_source){ .fd = fd, .ready = connection_ready };
	neep_list_append(&node->connections, &connection->link);
	node->counts.connections++;
	neep_steal_fd(&fd);
	if (neep_source_add(node->loop, &connection->source, EPOLLIN) < 0) {
		connection_destroy(connection);
	}
}

static int listen_at_name(struct neep_virtgpu_node *node) {
	snprintf(node->name, sizeof(node->name), NEEP_VIRTGPU_NAME_PREFIX "%016" PRIx64, neep_node_random());
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	memcpy(address.sun_path + 1, node->name, NEEP_VIRTGPU_NAME_LEN);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + NEEP_VIRTGPU_NAME_LEN);
	node->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (node->listener < 0 ||
		bind(node->listener, (const struct sockaddr *)(const void *)&address, len) < 0 ||
		listen(node->listener, BACKLOG) < 0) {
		return -errno;
	}
	return neep_acceptor_start(node->loop, &node->acceptor, node->listener);
}

static void close_door(struct neep_virtgpu_node *node) {
	neep_acceptor_stop(&node->acceptor);
	neep_close_fd(&node->listener);
	neep_list_for_each_safe (connection, &node->connections, struct connection, link) {
		connection_destroy(connection);
	}
}

/* ---- the device ---- */

static void sweep_run(struct neep_task *task) {
	neep_node_sweep(neep_container_of(task, struct neep_virtgpu_node, sweep));
}

static void driver_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct neep_virtgpu_node *node = neep_container_of(source, struct neep_virtgpu_node, driver_source);
	int result = neep_driver_dispatch(node->driver);
	neep_node_sweep(node);
	if (result < 0) {
		/* Tokens end without their message; programs see a device that is lost. */
		neep_node_result(node, result);
		neep_source_remove(&node->driver_source);
	}
}

/* Programs that wait for something that is no answer of ours learn it from their connections and files. */
static void end_run(struct neep_task *task) {
	struct neep_virtgpu_node *node = neep_container_of(task, struct neep_virtgpu_node, end);
	close_door(node);
	neep_node_events_end(node);
}

static int watch_driver(struct neep_virtgpu_node *node) {
	node->driver_source =
		(struct neep_source){ .fd = neep_driver_fd(node->driver), .ready = driver_ready };
	return neep_source_add(node->loop, &node->driver_source, EPOLLIN);
}

/* ---- life ---- */

/* A program may have this many submits on their way before the next one waits. */
#define QUEUE_SIZE 1024

/* The device gives way at once or is stuck. */
#define PATIENCE_NS (30 * NEEP_NS_PER_S)

/* The window is only ours to look at: the device need not hear of its own maps again, as memory regions, of which there are
 * so many only: they are for what programs import. */
struct neep_driver_options neep_virtgpu_driver_options(void) {
	struct neep_driver_options options = neep_driver_default_options;
	options.echo_maps = false;
	options.queue_size[NEEP_DRIVER_CONTROLQ] = QUEUE_SIZE;
	options.timeout_ns = PATIENCE_NS;
	return options;
}

static int init(struct neep_virtgpu_node *node, struct neep_error *error) {
	int result = neep_node_info_init(node, error);
	if (result < 0) {
		return result;
	}
	if (neep_idmap_init(&node->files_by_id) < 0 || neep_idmap_init(&node->bos) < 0 ||
		neep_idmap_init(&node->fences) < 0 || neep_idmap_init(&node->syncobjs) < 0) {
		return neep_error_set(error, ENOMEM, "render node");
	}
	result = neep_node_events_init(node);
	if (result == 0) {
		result = neep_node_prime_init(node);
	}
	if (result == 0) {
		result = listen_at_name(node);
	}
	if (result == 0) {
		result = watch_driver(node);
	}
	return result < 0 ? neep_error_set(error, -result, "cannot serve a render node") : 0;
}

struct neep_virtgpu_node *neep_virtgpu_node_create(
	struct neep_loop *loop, struct neep_driver *driver, struct neep_error *error) {
	struct neep_virtgpu_node *node = calloc(1, sizeof(*node));
	if (node == NULL) {
		neep_error_set(error, ENOMEM, "render node");
		return NULL;
	}
	node->loop = loop;
	node->driver = driver;
	node->listener = -1;
	node->info_fd = -1;
	node->inotify_fd = -1;
	node->sweep.run = sweep_run;
	node->end.run = end_run;
	node->acceptor.accepted = accepted;
	neep_list_init(&node->connections);
	neep_list_init(&node->files);
	neep_list_init(&node->submitted);
	neep_list_init(&node->signalled);
	neep_list_init(&node->exports);
	neep_list_init(&node->imports);
	if (init(node, error) < 0) {
		neep_virtgpu_node_destroy(node);
		return NULL;
	}
	return node;
}

void neep_virtgpu_node_destroy(struct neep_virtgpu_node *node) {
	if (node == NULL) {
		return;
	}
	close_door(node);
	neep_list_for_each_safe (file, &node->files, struct neep_node_file, link) {
		neep_node_file_destroy(file);
	}
	neep_node_prime_finish(node);
	neep_node_drop_jobs(node);
	neep_source_remove(&node->driver_source);
	neep_task_cancel(&node->sweep);
	neep_task_cancel(&node->end);
	neep_close_fd(&node->info_fd);
	neep_idmap_finish(&node->files_by_id);
	neep_idmap_finish(&node->bos);
	neep_idmap_finish(&node->fences);
	neep_node_syncobj_tokens_finish(node);
	free(node);
}

const char *neep_virtgpu_node_name(const struct neep_virtgpu_node *node) {
	return node->name;
}

struct neep_virtgpu_counts neep_virtgpu_node_counts(const struct neep_virtgpu_node *node) {
	return node->counts;
}
