#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <rutabaga_gfx/rutabaga_gfx_ffi.h>

#include "util/clock.h"
#include "worker/worker_internal.h"

/* How long a renderer may take to tear down its Vulkan objects. */
#define END_LIMIT_NS (2 * NEEP_NS_PER_S)

static void watch_room(struct neep_worker *worker) {
	neep_worker_pool_watch_room(worker->pool, &worker->channel, worker->token_link.id);
}

void neep_worker_break(struct neep_worker *worker, const char *format, ...) {
	if (worker->state != NEEP_WORKER_RUNNING) {
		return;
	}
	va_list args;
	va_start(args, format);
	vsnprintf(worker->reason, sizeof(worker->reason), format, args);
	va_end(args);
	worker->state = NEEP_WORKER_BROKEN;
	neep_list_append(&worker->pool->broken, &worker->link);
	neep_worker_pool_wake(worker->pool);
}

static void say_lost(struct neep_worker *worker, const char *reason) {
	if (worker->is_lost && !worker->is_quiet) {
		worker->is_lost = false;
		neep_worker_pool_say(worker->pool, NEEP_LOG_WARN, "context %u (%s) is lost: %s",
			worker->ctx_id, worker->name, reason);
	}
}

/* No more messages either way; the end is awaited. */
static void begin_end(struct neep_worker *worker) {
	struct neep_worker_pool *pool = worker->pool;
	neep_list_remove(&worker->link);
	neep_worker_channel_close(&worker->channel);
	worker->state = NEEP_WORKER_ENDING;
	worker->deadline_ns = neep_clock_ns() + END_LIMIT_NS;
	neep_list_append(&pool->ending, &worker->link);
	pool->ending_count++;
	neep_worker_pool_wake(pool);
}

static void tell_owner(struct neep_worker *worker) {
	if (worker->owner != NULL && !worker->is_told) {
		worker->is_told = true;
		worker->owner->impl->lost(worker->owner);
	}
}

void neep_worker_lose(struct neep_worker *worker) {
	worker->is_lost = true;
	begin_end(worker);
	if (worker->reason[0] != '\0') {
		say_lost(worker, worker->reason);
	}
	tell_owner(worker);
}

void neep_worker_close(struct neep_worker *worker) {
	worker->owner = NULL;
	if (worker->state != NEEP_WORKER_ENDING) {
		begin_end(worker);
	}
}

static void leave_ending(struct neep_worker *worker) {
	if (worker->state == NEEP_WORKER_ENDING && !neep_list_is_empty(&worker->link)) {
		worker->pool->ending_count--;
	}
	neep_list_remove(&worker->link);
}

void neep_worker_ended(struct neep_worker *worker, const char *how) {
	char reason[NEEP_WORKER_REASON_SIZE];
	snprintf(reason, sizeof(reason), "its renderer %s", how);
	worker->is_lost = worker->is_lost || worker->state != NEEP_WORKER_ENDING;
	say_lost(worker, worker->reason[0] != '\0' ? worker->reason : reason);
	tell_owner(worker);
	struct neep_worker_owner *owner = worker->owner;
	neep_worker_free(worker);
	if (owner != NULL) {
		owner->impl->ended(owner);
	}
}

void neep_worker_kill(struct neep_worker *worker) {
	struct neep_worker_pool *pool = worker->pool;
	struct neep_worker_kill kill = {
		.header = { NEEP_WORKER_KILL, sizeof(kill) },
		.token = worker->token_link.id,
	};
	say_lost(worker, "its renderer closed the connection");
	leave_ending(worker);
	neep_worker_pool_say(pool, NEEP_LOG_INFO, "the renderer of context %u (%s) takes long to end: killed",
		worker->ctx_id, worker->name);
	/* The last use of `worker`: where the spawner is gone, so is it then. */
	neep_worker_pool_send(pool, &kill, -1);
}

void neep_worker_free(struct neep_worker *worker) {
	leave_ending(worker);
	neep_worker_channel_close(&worker->channel);
	free(worker);
}

/* What the renderer says */

/* Memory that cannot shrink under whoever maps it, and of which there is as much as the message says. */
static bool is_sealed_memory(int fd, uint64_t size) {
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstat(fd, &st) == 0 && st.st_size >= 0 &&
	       (uint64_t)st.st_size >= size;
}

static int on_blob(
	struct neep_worker *worker, const union neep_worker_incoming *message, struct neep_fds *fds) {
	const struct neep_worker_blob *blob = &message->blob;
	neep_autoclose int fd = neep_fds_take(fds, 0);
	if (blob->size == 0 || !is_sealed_memory(fd, blob->size) ||
		blob->map_info < RUTABAGA_MAP_CACHE_CACHED || blob->map_info > RUTABAGA_MAP_CACHE_WC) {
		return -EPROTO;
	}
	return worker->owner->impl->blob(worker->owner, blob, neep_steal_fd(&fd));
}

static int on_sync_done(
	struct neep_worker *worker, const union neep_worker_incoming *message, struct neep_fds *fds) {
	(void)fds;
	return worker->owner->impl->sync_done(worker->owner, message->sync_done.sync_id);
}

/* Another process's words: printable, and an end to them. */
static int on_lost(
	struct neep_worker *worker, const union neep_worker_incoming *message, struct neep_fds *fds) {
	(void)fds;
	char reason[NEEP_WORKER_REASON_SIZE];
	memcpy(reason, message->lost.reason, sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	for (char *c = reason; *c != '\0'; c++) {
		*c = *c >= ' ' && *c <= '~' ? *c : '?';
	}
	neep_worker_break(worker, "%s", reason[0] != '\0' ? reason : "its renderer gave up");
	return 0;
}

static const struct incoming {
	uint32_t type;
	uint32_t size;
	size_t fd_count;
	int (*run)(
		struct neep_worker *worker, const union neep_worker_incoming *message, struct neep_fds *fds);
} incoming[] = {
	{ NEEP_WORKER_BLOB, sizeof(struct neep_worker_blob), 1, on_blob },
	{ NEEP_WORKER_SYNC_DONE, sizeof(struct neep_worker_sync_done), 0, on_sync_done },
	{ NEEP_WORKER_LOST, sizeof(struct neep_worker_lost), 0, on_lost },
};

static int run_message(
	struct neep_worker *worker, const union neep_worker_incoming *message, struct neep_fds *fds) {
	for (size_t i = 0; i < NEEP_ARRAY_LEN(incoming); i++) {
		if (incoming[i].type == message->header.type) {
			bool fits = incoming[i].size == message->header.size &&
				    incoming[i].fd_count == fds->count;
			return fits ? incoming[i].run(worker, message, fds) : -EPROTO;
		}
	}
	return -EPROTO;
}

/* Returns whether there may be more. */
static bool read_message(struct neep_worker *worker) {
	struct neep_fds fds = { .count = 0 };
	union neep_worker_incoming message;
	int rc = neep_worker_channel_receive(&worker->channel, &message, &fds);
	bool is_message = rc > 0;
	if (is_message) {
		rc = run_message(worker, &message, &fds);
	}
	neep_fds_finish(&fds);
	if (rc == -EPIPE) {
		neep_worker_break(worker, "%s", "");
	} else if (rc == -ENOSPC) {
		neep_worker_break(worker, "too many blobs that were never created");
	} else if (rc < 0) {
		neep_worker_break(worker, "its renderer broke the rules of its protocol");
	}
	return is_message;
}

/* A flood ends soon: blobs at their owner's quota, and of answers there are as many as there were questions. */
void neep_worker_drain(struct neep_worker *worker) {
	while (worker->state == NEEP_WORKER_RUNNING && read_message(worker)) {
	}
}

void neep_worker_ready(struct neep_worker *worker, uint32_t events) {
	if (worker->state != NEEP_WORKER_RUNNING) {
		return;
	}
	if ((events & EPOLLOUT) != 0 && neep_worker_channel_flush(&worker->channel) < 0) {
		/* What it said last is still to be read. */
		neep_worker_drain(worker);
		neep_worker_break(worker, "%s", "");
		return;
	}
	watch_room(worker);
	neep_worker_drain(worker);
}

/* What is said to it */

static void send_message(struct neep_worker *worker, const void *message, const int *fds, size_t fd_count) {
	if (worker->state != NEEP_WORKER_RUNNING) {
		return;
	}
	int rc = neep_worker_channel_send(&worker->channel, message, fds, fd_count);
	if (rc == 0) {
		watch_room(worker);
		return;
	}
	if (rc == -ENOBUFS) {
		neep_worker_break(worker, "its renderer does not read its messages");
		return;
	}
	neep_worker_drain(worker);
	neep_worker_break(worker, "%s", rc == -EPIPE || rc == -ECONNRESET ? "" : strerror(-rc));
}

void neep_worker_ring_add(struct neep_worker *worker, const struct neep_worker_memory *memory) {
	struct neep_worker_ring_add message = {
		.header = { NEEP_WORKER_RING_ADD, sizeof(message) },
		.resource_id = memory->resource_id,
		.size = memory->size,
	};
	send_message(worker, &message, &memory->fd, 1);
}

void neep_worker_resource_add(struct neep_worker *worker, const struct neep_worker_memory *memory) {
	struct neep_worker_resource_add message = {
		.header = { NEEP_WORKER_RESOURCE_ADD, sizeof(message) },
		.resource_id = memory->resource_id,
		.size = memory->size,
	};
	send_message(worker, &message, &memory->fd, 1);
}

static void send_id(struct neep_worker *worker, uint32_t type, uint32_t resource_id) {
	struct neep_worker_resource_id message = {
		.header = { type, sizeof(message) },
		.resource_id = resource_id,
	};
	send_message(worker, &message, NULL, 0);
}

void neep_worker_ring_remove(struct neep_worker *worker, uint32_t resource_id) {
	send_id(worker, NEEP_WORKER_RING_REMOVE, resource_id);
}

void neep_worker_resource_remove(struct neep_worker *worker, uint32_t resource_id) {
	send_id(worker, NEEP_WORKER_RESOURCE_REMOVE, resource_id);
}

void neep_worker_sync(struct neep_worker *worker, uint64_t sync_id, uint64_t device, uint64_t fence) {
	struct neep_worker_sync message = {
		.header = { NEEP_WORKER_SYNC, sizeof(message) },
		.sync_id = sync_id,
		.device = device,
		.fence = fence,
	};
	send_message(worker, &message, NULL, 0);
}
