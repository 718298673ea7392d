/* Theory of operation
 *
 * To the host: bytes are gathered until the end of the loop's turn (outgoing.c). Commands have no answers; where the device
 * has flow control, a fence now and then says that they have gone on, and until then no more is taken.
 *
 * From the host: one POLL is outstanding. When its fence signals there is a message in the channel ring, which stays as it is
 * until the next POLL. A message of the stream is left there while the listener does not receive; one for a pipe is
 * taken all the same, since a client may read that first. So nothing is stored here, and a compositor that sends too
 * fast is held back by its own socket.
 *
 * After a mistake of the host, or its end, nothing is submitted any more and closed() is the last call. */
#include "wayland/host.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "util/fd.h"
#include "wayland/channel.h"
#include "wayland/incoming.h"
#include "wayland/outgoing.h"
#include "wayland/pump.h"
#include "wayland/virtgpu.h"
#include "wayland/virtgpu_memory.h"

/* What the channel ring has room for. Hosts without long messages use a page of it. */
#define CHANNEL_RING_SIZE ((size_t)64 << 10)

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
	struct neep_wl_outgoing outgoing;
	bool is_receiving;
	bool is_polling;  // a POLL is outstanding
	bool has_message; // in the channel ring
	bool has_failed;
	bool has_closed;  // closed() was called
	bool was_refused; // drained() is to be called
	struct neep_error error;
};

static const struct neep_wl_host_impl impl;

static struct host *from_base(struct neep_wl_host *base) {
	neep_assert(base->impl == &impl);
	return neep_container_of(base, struct host, base);
}

static void stop(struct host *host) {
	host->has_failed = true;
	neep_task_queue(host->loop, &host->task);
}

static void fail(struct host *host, int code, const char *what) {
	if (!host->has_failed) {
		neep_error_set(&host->error, code, "%s", what);
		stop(host);
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

static int host_send(struct neep_wl_host *base, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count) {
	struct host *host = from_base(base);
	if (neep_wl_outgoing_is_full(&host->outgoing)) {
		host->was_refused = true;
		return -EAGAIN;
	}
	int result = neep_wl_outgoing_add(&host->outgoing, bytes, len, attachments, count);
	if (result == 0) {
		neep_task_queue(host->loop, &host->task);
	} else if (result != -ENOTSUP) {
		fail(host, -result, "the virtio-gpu takes no commands");
	}
	return result;
}

static void flush(struct host *host) {
	int result = host->has_failed ? 0 : neep_wl_outgoing_flush(&host->outgoing);
	if (result < 0) {
		fail(host, -result, "the virtio-gpu takes no commands");
	}
}

/* ---- from the host ---- */

static void receive(struct host *host, const struct neep_wl_channel_message *message) {
	int fds[NEEP_WL_CHANNEL_IDS_MAX];
	if (message->id_count == 0 && message->len == 0) {
		stop(host); // the compositor has gone, which is no error
		return;
	}
	for (size_t i = 0; i < message->id_count; i++) {
		fds[i] = neep_wl_incoming_fd(host->gpu, &host->pumps, &message->ids[i]);
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

static int pump_write(void *data, const uint8_t *command, size_t len, uint32_t lane, int *fence_fd) {
	struct host *host = data;
	struct neep_wl_submit write = { .command = command, .len = len, .ring = NEEP_WL_RING_NONE };
	if ((host->gpu->extensions & NEEP_WL_EXTENSION_FLOW) != 0 && fence_fd != NULL) {
		write.ring = NEEP_WL_RING_PIPES + lane % (NEEP_WL_RING_COUNT - NEEP_WL_RING_PIPES);
		write.fence_fd = fence_fd;
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
	return neep_wl_virtgpu_is_host_memory(from_base(base)->gpu, fd);
}

/* ---- timelines ---- */

static int host_import_timeline(struct neep_wl_host *base, int fd, uint32_t *handle) {
	return neep_wl_virtgpu_syncobj_import(from_base(base)->gpu, fd, handle);
}

static void host_close_timeline(struct neep_wl_host *base, uint32_t handle) {
	neep_wl_virtgpu_syncobj_close(from_base(base)->gpu, handle);
}

static int host_signal_point(struct neep_wl_host *base, uint32_t handle, uint64_t point) {
	return neep_wl_virtgpu_syncobj_signal(from_base(base)->gpu, handle, point);
}

static int host_watch_point(struct neep_wl_host *base, uint32_t handle, uint64_t point, int eventfd) {
	return neep_wl_virtgpu_syncobj_watch(from_base(base)->gpu, handle, point, eventfd);
}

static const struct neep_wl_timelines_impl timelines_impl = {
	.import = host_import_timeline,
	.close = host_close_timeline,
	.signal = host_signal_point,
	.watch = host_watch_point,
};

static struct neep_wl_memory *host_import(struct neep_wl_host *base, int fd) {
	struct host *host = from_base(base);
	return host->has_failed ? NULL : neep_wl_allocator_import(&host->allocator, fd);
}

/* ---- life ---- */

static void host_destroy(struct neep_wl_host *base) {
	struct host *host = from_base(base);
	/* What a client said before it left, the compositor hears. */
	flush(host);
	neep_wl_pumps_drain(&host->pumps);
	neep_task_cancel(&host->task);
	neep_source_remove(&host->source);
	neep_wl_pumps_finish(&host->pumps);
	neep_wl_outgoing_finish(&host->outgoing);
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
	.import = host_import,
};

static void outgoing_drained(struct neep_wl_outgoing *outgoing) {
	struct host *host = neep_container_of(outgoing, struct host, outgoing);
	bool was_refused = host->was_refused && !host->has_failed;
	host->was_refused = false;
	if (was_refused) {
		host->base.listener->drained(host->base.listener_data);
	}
}

/* Connects. What becomes of it shows when the ring is polled. */
static int start(struct host *host) {
	uint8_t command[NEEP_WL_CHANNEL_COMMAND_MAX];
	struct neep_wl_submit init = {
		.command = command,
		.len = neep_wl_channel_init(command, host->allocator.ring.bo.resource_id,
			host->channel.bo.resource_id,
			(host->gpu->extensions & NEEP_WL_EXTENSION_LONG_MESSAGES) != 0),
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
	neep_wl_outgoing_init(&host->outgoing, host->loop, host->gpu, &host->pumps);
	host->outgoing.drained = outgoing_drained;
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

/* The dev_t of a node; 0: none. */
static uint64_t device_of(int fd) {
	struct stat stat;
	return fstat(fd, &stat) == 0 && S_ISCHR(stat.st_mode) ? stat.st_rdev : 0;
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
		.base = {
			.impl = &impl,
			.timelines = neep_wl_virtgpu_has_timelines(gpu) ? &timelines_impl : NULL,
			.listener = listener,
			.listener_data = listener_data,
			.render_device = device_of(gpu->fd),
			.takes_dmabufs = gpu->has_drivers,
			.blobs_are_memory = (gpu->extensions & NEEP_WL_EXTENSION_FILES) != 0,
			.sends_dmabufs = (gpu->extensions & NEEP_WL_EXTENSION_DMABUFS) != 0,
		},
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
