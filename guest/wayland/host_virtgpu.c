/* Theory of operation
 *
 * To the host: bytes are gathered into one SEND until the end of the loop's turn, or until it is full. What goes with them
 * is held until it is submitted: a handle may be closed afterwards, since commands keep their order, but not before.
 *
 * From the host: one POLL is outstanding. When its fence signals there is a message in the channel ring, which stays as it is
 * until the next POLL. A message of the stream is left there while the listener does not receive; one for a pipe is
 * taken all the same, since a client may read that first. So nothing is stored here, and a compositor that sends too
 * fast is held back by its own socket.
 *
 * After a mistake of the host, or its end, nothing is submitted any more and closed() is the last call. */
#include "wayland/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "wayland/channel.h"
#include "wayland/pump.h"
#include "wayland/virtgpu.h"
#include "wayland/virtgpu_memory.h"
#include "wayland/wire.h"

/* What the channel ring has room for. Hosts write what fits; those that count on a page write that much. */
#define CHANNEL_RING_SIZE ((size_t)64 << 10)

/* What goes with bytes, and is held until it was submitted. */
struct item {
	struct neep_wl_channel_id id;
	struct neep_wl_bo import;      // a hold, or nothing
	struct neep_wl_memory *memory; // a reference, or NULL
	int fd;                        // a pipe that has no id yet, or -1
};

/* A SEND under construction. */
struct batch {
	uint8_t command[NEEP_WL_CHANNEL_SEND_HEAD + NEEP_WL_CHANNEL_SEND_MAX];
	size_t len; // bytes of the stream
	size_t count;
	struct item items[NEEP_WL_CHANNEL_IDS_MAX];
};

struct host {
	struct neep_wl_host base;
	struct neep_loop *loop;
	struct neep_wl_virtgpu *gpu;
	struct neep_wl_allocator allocator;
	struct neep_wl_mapped channel;
	uint8_t *copy; // of a message of the channel ring
	struct neep_source source;
	struct neep_task task;
	struct neep_wl_pumps pumps;
	struct batch batch;
	bool is_receiving;
	bool is_polling;  // a POLL is outstanding
	bool has_message; // in the channel ring
	bool has_failed;
	bool has_closed; // closed() was called
	struct neep_error error;
};

static const struct neep_wl_host_impl impl;

static struct host *from_base(struct neep_wl_host *base) {
	neep_assert(base->impl == &impl);
	return neep_container_of(base, struct host, base);
}

static void fail(struct host *host, int code, const char *what) {
	if (!host->has_failed) {
		host->has_failed = true;
		neep_error_set(&host->error, code, "%s", what);
		neep_task_queue(host->loop, &host->task);
	}
}

static int submit(struct host *host, const struct neep_wl_submit *submit) {
	int result = host->has_failed ? -EPIPE : neep_wl_virtgpu_submit(host->gpu, submit);
	if (result < 0) {
		fail(host, -result, "the virtio-gpu takes no commands");
	}
	return result;
}

/* ---- to the host ---- */

static void release(struct host *host, struct item *items, size_t count) {
	for (size_t i = 0; i < count; i++) {
		neep_wl_virtgpu_release(host->gpu, &items[i].import);
		neep_wl_memory_unref(items[i].memory);
		neep_close_fd(&items[i].fd);
	}
}

/* Submits what was gathered; without a byte it waits for one. */
static int flush(struct host *host) {
	struct batch *batch = &host->batch;
	struct neep_wl_channel_id ids[NEEP_WL_CHANNEL_IDS_MAX];
	if (batch->len == 0) {
		return 0;
	}
	for (size_t i = 0; i < batch->count; i++) {
		ids[i] = batch->items[i].id;
	}
	struct neep_wl_submit command = {
		.command = batch->command,
		.len = neep_wl_channel_send(batch->command, ids, batch->count, batch->len) + batch->len,
		.ring = NEEP_WL_RING_NONE,
	};
	int result = submit(host, &command);
	release(host, batch->items, batch->count);
	batch->count = 0;
	batch->len = 0;
	return result;
}

static bool is_writable_pipe(int fd) {
	struct stat st;
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && fstat(fd, &st) == 0 &&
	       (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* What the host can make of an attachment, whose fd is consumed. */
static int prepare(struct host *host, const struct neep_wl_attachment *attachment, struct item *item) {
	neep_autoclose int fd = attachment->owned_fd;
	*item = (struct item){ .id.type = NEEP_WL_ID_BLOB, .fd = -1 };
	if (attachment->memory != NULL) {
		const struct neep_wl_bo *bo = neep_wl_memory_bo(attachment->memory);
		if (bo == NULL) {
			return -ENOTSUP;
		}
		item->id.id = bo->resource_id;
		item->memory = neep_wl_memory_ref(attachment->memory);
		return 0;
	}
	if (is_writable_pipe(fd)) {
		item->id.type = NEEP_WL_ID_READ_PIPE;
		item->fd = neep_steal_fd(&fd);
		return 0;
	}
	int result = neep_wl_virtgpu_import(host->gpu, fd, &item->import);
	item->id.id = item->import.resource_id;
	return result;
}

/* All or none: then all fds are closed. */
static int prepare_all(
	struct host *host, const struct neep_wl_attachment *attachments, size_t count, struct item *items) {
	for (size_t i = 0; i < count; i++) {
		int result = prepare(host, &attachments[i], &items[i]);
		if (result < 0) {
			release(host, items, i);
			while (++i < count) {
				int fd = attachments[i].owned_fd;
				neep_close_fd(&fd);
			}
			return result;
		}
	}
	return 0;
}

/* Adds what was prepared to the batch, in whose order ids of pipes are guessed. */
static int attach(struct host *host, struct item *items, size_t count) {
	struct batch *batch = &host->batch;
	int result = batch->count + count > NEEP_WL_CHANNEL_IDS_MAX ? flush(host) : 0;
	if (result == 0 && batch->count + count > NEEP_WL_CHANNEL_IDS_MAX) {
		result = -E2BIG;
	}
	for (size_t i = 0; i < count && result == 0; i++) {
		if (items[i].fd >= 0) {
			result = neep_wl_pumps_add_to_client(
				&host->pumps, neep_steal_fd(&items[i].fd), &items[i].id.id);
		}
	}
	if (result < 0) {
		release(host, items, count);
		fail(host, -result, "cannot send fds");
		return result;
	}
	memcpy(batch->items + batch->count, items, count * sizeof(*items));
	batch->count += count;
	return 0;
}

static int append(struct host *host, const uint8_t *bytes, size_t len) {
	struct batch *batch = &host->batch;
	int result = 0;
	while (len > 0 && result == 0) {
		size_t room = NEEP_WL_CHANNEL_SEND_MAX - batch->len;
		size_t part = len < room ? len : room;
		memcpy(batch->command + NEEP_WL_CHANNEL_SEND_HEAD + batch->len, bytes, part);
		batch->len += part;
		bytes += part;
		len -= part;
		if (part == room) {
			result = flush(host);
		}
	}
	return result;
}

static int host_send(struct neep_wl_host *base, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count) {
	struct host *host = from_base(base);
	struct item items[NEEP_WL_FDS_MAX];
	int result = prepare_all(host, attachments, count, items);
	if (result == 0 && count > 0) {
		result = attach(host, items, count);
	}
	if (result == 0) {
		result = append(host, bytes, len);
	}
	neep_task_queue(host->loop, &host->task);
	return result;
}

/* ---- from the host ---- */

/* For what a client would not know what to do with, and the host should not have sent: a pipe that nobody reads. */
static int dead_pipe(void) {
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0) {
		return -errno;
	}
	neep_close_fd(&ends[0]);
	return ends[1];
}

static int fd_of_blob(struct host *host, const struct neep_wl_channel_id *id) {
	struct neep_wl_bo bo;
	/* What has no size cannot be a buffer: devices, which stand for "nothing". */
	if (id->size == 0) {
		return neep_memfd_create("wayland-empty", 0);
	}
	int result =
		neep_wl_virtgpu_create(host->gpu, id->id, neep_wl_virtgpu_round(host->gpu, id->size), &bo);
	if (result == 0) {
		result = neep_wl_virtgpu_export(host->gpu, &bo);
		neep_wl_virtgpu_release(host->gpu, &bo);
	}
	return result;
}

/* What the client gets for an id. An fd, or a negative errno. */
static int fd_of(struct host *host, const struct neep_wl_channel_id *id) {
	switch (id->type) {
	case NEEP_WL_ID_BLOB:
		return fd_of_blob(host, id);
	case NEEP_WL_ID_WRITE_PIPE:
		return neep_wl_pumps_add_to_host(&host->pumps, id->id);
	default:
		return dead_pipe();
	}
}

static void receive(struct host *host, const struct neep_wl_channel_message *message) {
	int fds[NEEP_WL_CHANNEL_IDS_MAX];
	if (message->id_count == 0 && message->len == 0) {
		fail(host, 0, "the compositor has closed the connection");
		return;
	}
	for (size_t i = 0; i < message->id_count; i++) {
		fds[i] = fd_of(host, &message->ids[i]);
		if (fds[i] < 0) {
			fail(host, -fds[i], "cannot make an fd of what the compositor sent");
			while (i > 0) {
				neep_close_fd(&fds[--i]);
			}
			return;
		}
	}
	host->base.listener->received(
		host->base.listener_data, message->bytes, message->len, fds, message->id_count);
}

static void read_pipe(struct host *host, const struct neep_wl_channel_message *message) {
	struct neep_wl_pump_read read = {
		.id = message->pipe_id,
		.bytes = message->bytes,
		.len = message->len,
		.hang_up = message->hang_up,
	};
	neep_wl_pumps_read(&host->pumps, &read);
}

/* Takes the message out of the ring unless it has to wait. */
static void take_message(struct host *host) {
	struct neep_wl_channel_message message;
	bool must_wait = !host->is_receiving && neep_wl_channel_peek(host->channel.data) == NEEP_WL_RECEIVE;
	if (!host->has_message || host->has_failed || must_wait) {
		return;
	}
	host->has_message = false;
	if (neep_wl_channel_take(host->channel.data, host->channel.size, host->copy, &message) < 0) {
		fail(host, EPROTO, "the host sent no message of cross-domain");
	} else if (message.kind == NEEP_WL_READ) {
		read_pipe(host, &message);
	} else {
		receive(host, &message);
	}
}

static void poll_host(struct host *host) {
	uint8_t command[NEEP_WL_CHANNEL_COMMAND_MAX];
	if (host->is_polling || host->has_message || host->has_failed ||
		neep_wl_pumps_is_full(&host->pumps)) {
		return;
	}
	struct neep_wl_submit poll = {
		.command = command,
		.len = neep_wl_channel_poll(command),
		.ring = NEEP_WL_RING_CHANNEL,
	};
	host->is_polling = submit(host, &poll) == 0;
}

static void source_ready(struct neep_source *source, uint32_t events) {
	struct host *host = neep_container_of(source, struct host, source);
	int result = (events & EPOLLIN) != 0 ? neep_wl_virtgpu_read_events(host->gpu) : -ENODEV;
	if (result < 0) {
		neep_source_remove(source);
		fail(host, -result, "the virtio-gpu is gone");
	} else if (result > 0 && host->is_polling) {
		host->is_polling = false;
		host->has_message = true;
		take_message(host);
		neep_task_queue(host->loop, &host->task);
	}
}

/* The rest of a turn: what was gathered goes out, and more is asked for. */
static void run(struct neep_task *task) {
	struct host *host = neep_container_of(task, struct host, task);
	take_message(host);
	flush(host);
	poll_host(host);
	if (host->has_failed && !host->has_closed) {
		host->has_closed = true;
		neep_source_remove(&host->source);
		host->base.listener->closed(host->base.listener_data, &host->error);
	}
}

static void host_set_receiving(struct neep_wl_host *base, bool is_receiving) {
	struct host *host = from_base(base);
	host->is_receiving = is_receiving;
	if (is_receiving && host->has_message) {
		neep_task_queue(host->loop, &host->task);
	}
}

/* ---- pipes ---- */

static int pump_write(void *data, const uint8_t *command, size_t len, int *fence_fd) {
	struct host *host = data;
	struct neep_wl_submit write = { .command = command, .len = len, .ring = NEEP_WL_RING_NONE };
	if (fence_fd != NULL) {
		*fence_fd = -1;
	}
	return submit(host, &write);
}

static void pump_changed(void *data) {
	struct host *host = data;
	neep_task_queue(host->loop, &host->task);
}

static const struct neep_wl_pumps_listener pumps_listener = { .write = pump_write, .changed = pump_changed };

/* ---- memory ---- */

static struct neep_wl_memory *host_allocate(struct neep_wl_host *base, size_t size) {
	struct host *host = from_base(base);
	return host->has_failed ? NULL : neep_wl_allocator_get(&host->allocator, size);
}

static bool host_can_pass(struct neep_wl_host *base, int fd) {
	struct host *host = from_base(base);
	struct neep_wl_bo bo;
	int result = neep_wl_virtgpu_import(host->gpu, fd, &bo);
	neep_wl_virtgpu_release(host->gpu, &bo);
	return result == 0;
}

/* ---- life ---- */

static void host_destroy(struct neep_wl_host *base) {
	struct host *host = from_base(base);
	/* What a client said before it left, the compositor hears. */
	flush(host);
	neep_task_cancel(&host->task);
	neep_source_remove(&host->source);
	neep_wl_pumps_finish(&host->pumps);
	release(host, host->batch.items, host->batch.count);
	neep_wl_allocator_finish(&host->allocator);
	neep_wl_mapped_destroy(host->gpu, &host->channel);
	neep_wl_virtgpu_unref(host->gpu);
	free(host->copy);
	free(host);
}

static const struct neep_wl_host_impl impl = {
	.name = "virtgpu",
	.destroy = host_destroy,
	.send = host_send,
	.set_receiving = host_set_receiving,
	.allocate = host_allocate,
	.can_pass = host_can_pass,
};

/* Connects. What becomes of it shows when the ring is polled. */
static int start(struct host *host) {
	uint8_t command[NEEP_WL_CHANNEL_COMMAND_MAX];
	struct neep_wl_submit init = {
		.command = command,
		.len = neep_wl_channel_init(
			command, host->allocator.ring.bo.resource_id, host->channel.bo.resource_id),
		.ring = NEEP_WL_RING_NONE,
	};
	int result = neep_wl_virtgpu_submit(host->gpu, &init);
	if (result == 0) {
		result = neep_source_add(host->loop, &host->source, EPOLLIN);
	}
	if (result == 0) {
		neep_task_queue(host->loop, &host->task);
	}
	return result;
}

static int set_up(struct host *host) {
	int result = neep_wl_pumps_init(&host->pumps, host->loop, &pumps_listener, host);
	if (result == 0) {
		result = neep_wl_allocator_init(&host->allocator, host->gpu);
	}
	if (result == 0) {
		size_t size = neep_wl_virtgpu_round(host->gpu, CHANNEL_RING_SIZE);
		result = neep_wl_mapped_create(host->gpu, 0, size, &host->channel);
		host->copy = malloc(size);
	}
	if (result == 0 && host->copy == NULL) {
		result = -ENOMEM;
	}
	return result < 0 ? result : start(host);
}

struct neep_wl_host *neep_wl_host_virtgpu_create(struct neep_loop *loop, const char *path,
	const struct neep_wl_host_listener *listener, void *listener_data, struct neep_error *error) {
	struct neep_wl_virtgpu *gpu = neep_wl_virtgpu_open(path, error);
	struct host *host = gpu == NULL ? NULL : calloc(1, sizeof(*host));
	if (host == NULL) {
		if (gpu != NULL) {
			neep_error_set(error, ENOMEM, "cross-domain");
		}
		neep_wl_virtgpu_unref(gpu);
		return NULL;
	}
	*host = (struct host){
		.base = { &impl, listener, listener_data },
		.loop = loop,
		.gpu = gpu,
		.source = { .fd = gpu->fd, .ready = source_ready },
		.task = { .run = run },
		.is_receiving = true,
	};
	int result = set_up(host);
	if (result < 0) {
		neep_error_set(error, -result, "cannot set up the channel to the host");
		host_destroy(&host->base);
		return NULL;
	}
	return &host->base;
}
