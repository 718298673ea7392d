#include "wayland/outgoing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "util/fd.h"
#include "wayland/virtgpu_memory.h"
#include "wayland/wire.h"

/* On its way to the compositor before the host must say that it has gone on. An fd counts like some bytes: hosts hold fewer of
 * them. */
#define WINDOW   ((size_t)256 << 10)
#define FD_COUNT ((size_t)1024)

static void fence_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct neep_wl_outgoing *outgoing = neep_container_of(source, struct neep_wl_outgoing, fence_source);
	neep_source_remove(source);
	neep_close_fd(&outgoing->fence_fd);
	outgoing->drained(outgoing);
}

void neep_wl_outgoing_init(struct neep_wl_outgoing *outgoing, struct neep_loop *loop,
	struct neep_wl_virtgpu *gpu, struct neep_wl_pumps *pumps) {
	*outgoing = (struct neep_wl_outgoing){ .loop = loop, .gpu = gpu, .pumps = pumps, .fence_fd = -1 };
	outgoing->fence_source = (struct neep_source){ .fd = -1, .ready = fence_ready };
}

static void release(struct neep_wl_outgoing *outgoing, struct neep_wl_outgoing_item *items, size_t count) {
	for (size_t i = 0; i < count; i++) {
		neep_wl_virtgpu_release(outgoing->gpu, &items[i].import);
		neep_wl_memory_unref(items[i].memory);
		neep_close_fd(&items[i].fd);
	}
}

/* A window full of SENDs asks for a fence. While that is outstanding the rest of a long add() may follow, but no more. */
static int submit(struct neep_wl_outgoing *outgoing, struct neep_wl_submit *command) {
	bool has_flow = (outgoing->gpu->extensions & NEEP_WL_EXTENSION_FLOW) != 0;
	outgoing->unfenced += command->len + outgoing->count * FD_COUNT;
	if (outgoing->unfenced < WINDOW || outgoing->fence_fd >= 0 || !has_flow) {
		return neep_wl_virtgpu_submit(outgoing->gpu, command);
	}
	command->ring = NEEP_WL_RING_STREAM;
	command->fence_fd = &outgoing->fence_fd;
	int result = neep_wl_virtgpu_submit(outgoing->gpu, command);
	outgoing->unfenced = 0;
	outgoing->fence_source.fd = outgoing->fence_fd;
	return result < 0 ? result : neep_source_add(outgoing->loop, &outgoing->fence_source, EPOLLIN);
}

/* Submits what was gathered; without a byte it waits for one. */
int neep_wl_outgoing_flush(struct neep_wl_outgoing *outgoing) {
	struct neep_wl_channel_id ids[NEEP_WL_CHANNEL_IDS_MAX];
	if (outgoing->len == 0) {
		return 0;
	}
	for (size_t i = 0; i < outgoing->count; i++) {
		ids[i] = outgoing->items[i].id;
	}
	struct neep_wl_submit command = {
		.command = outgoing->command,
		.len = neep_wl_channel_send(outgoing->command, ids, outgoing->count, outgoing->len) +
		       outgoing->len,
		.ring = NEEP_WL_RING_NONE,
	};
	int result = submit(outgoing, &command);
	release(outgoing, outgoing->items, outgoing->count);
	outgoing->count = 0;
	outgoing->len = 0;
	return result;
}

static bool is_writable_pipe(int fd) {
	struct stat st;
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && fstat(fd, &st) == 0 &&
	       (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* What the host can make of an attachment, whose fd is consumed. */
static int prepare(struct neep_wl_outgoing *outgoing, const struct neep_wl_attachment *attachment,
	struct neep_wl_outgoing_item *item) {
	neep_autoclose int fd = attachment->owned_fd;
	*item = (struct neep_wl_outgoing_item){ .id.type = NEEP_WL_ID_BLOB, .fd = -1 };
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
	if (attachment->is_dmabuf) {
		item->id.type = NEEP_WL_ID_DMABUF;
	}
	int result = neep_wl_virtgpu_import(outgoing->gpu, fd, &item->import);
	item->id.id = item->import.resource_id;
	return result;
}

/* All or none: then all fds are closed. */
static int prepare_all(struct neep_wl_outgoing *outgoing, const struct neep_wl_attachment *attachments,
	size_t count, struct neep_wl_outgoing_item *items) {
	for (size_t i = 0; i < count; i++) {
		int result = prepare(outgoing, &attachments[i], &items[i]);
		if (result < 0) {
			release(outgoing, items, i);
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
static int attach(struct neep_wl_outgoing *outgoing, struct neep_wl_outgoing_item *items, size_t count) {
	int result = outgoing->count + count > NEEP_WL_CHANNEL_IDS_MAX ? neep_wl_outgoing_flush(outgoing) : 0;
	if (result == 0 && outgoing->count + count > NEEP_WL_CHANNEL_IDS_MAX) {
		result = -E2BIG;
	}
	for (size_t i = 0; i < count && result == 0; i++) {
		if (items[i].fd >= 0) {
			result = neep_wl_pumps_add_to_client(
				outgoing->pumps, neep_steal_fd(&items[i].fd), &items[i].id.id);
		}
	}
	if (result < 0) {
		release(outgoing, items, count);
		return result;
	}
	memcpy(outgoing->items + outgoing->count, items, count * sizeof(*items));
	outgoing->count += count;
	return 0;
}

static int append(struct neep_wl_outgoing *outgoing, const uint8_t *bytes, size_t len) {
	int result = 0;
	while (len > 0 && result == 0) {
		size_t room = NEEP_WL_CHANNEL_SEND_MAX - outgoing->len;
		size_t part = len < room ? len : room;
		memcpy(outgoing->command + NEEP_WL_CHANNEL_SEND_HEAD + outgoing->len, bytes, part);
		outgoing->len += part;
		bytes += part;
		len -= part;
		if (part == room) {
			result = neep_wl_outgoing_flush(outgoing);
		}
	}
	return result;
}

int neep_wl_outgoing_add(struct neep_wl_outgoing *outgoing, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count) {
	struct neep_wl_outgoing_item items[NEEP_WL_FDS_MAX];
	int result = prepare_all(outgoing, attachments, count, items);
	if (result == 0 && count > 0) {
		result = attach(outgoing, items, count);
	}
	return result < 0 ? result : append(outgoing, bytes, len);
}

void neep_wl_outgoing_finish(struct neep_wl_outgoing *outgoing) {
	release(outgoing, outgoing->items, outgoing->count);
	outgoing->count = 0;
	outgoing->len = 0;
	neep_source_remove(&outgoing->fence_source);
	neep_close_fd(&outgoing->fence_fd);
}
