#include "wayland/outgoing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "util/fd.h"
#include "wayland/virtgpu_memory.h"
#include "wayland/wire.h"

void neep_wl_outgoing_init(
	struct neep_wl_outgoing *outgoing, struct neep_wl_virtgpu *gpu, struct neep_wl_pumps *pumps) {
	*outgoing = (struct neep_wl_outgoing){ .gpu = gpu, .pumps = pumps };
}

static void release(struct neep_wl_outgoing *outgoing, struct neep_wl_outgoing_item *items, size_t count) {
	for (size_t i = 0; i < count; i++) {
		neep_wl_virtgpu_release(outgoing->gpu, &items[i].import);
		neep_wl_memory_unref(items[i].memory);
		neep_close_fd(&items[i].fd);
	}
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
	int result = neep_wl_virtgpu_submit(outgoing->gpu, &command);
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
}
