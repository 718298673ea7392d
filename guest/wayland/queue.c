#include "wayland/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/fd.h"

#define CAPACITY_MIN    4096
#define ATTACHMENTS_MIN 8

void neep_wl_close_fds(const int *owned_fds, size_t count) {
	for (size_t i = 0; i < count; i++) {
		int fd = owned_fds[i];
		neep_close_fd(&fd);
	}
}

static void drop(const struct neep_wl_attachment *attachment) {
	neep_wl_memory_unref(attachment->memory);
	neep_wl_close_fds(&attachment->owned_fd, 1);
}

void neep_wl_queue_finish(struct neep_wl_queue *queue) {
	for (size_t i = 0; i < queue->attachment_count; i++) {
		drop(&queue->attachments[i].attachment);
	}
	free(queue->attachments);
	free(queue->data);
	*queue = (struct neep_wl_queue){ .max_len = queue->max_len };
}

static int reserve_bytes(struct neep_wl_queue *queue, size_t len) {
	if (len > queue->max_len - queue->len) {
		return -ENOBUFS;
	}
	if (len <= queue->capacity - queue->start - queue->len) {
		return 0;
	}
	if (queue->start > 0) {
		memmove(queue->data, queue->data + queue->start, queue->len);
		queue->start = 0;
	}
	size_t capacity = queue->capacity < CAPACITY_MIN ? CAPACITY_MIN : queue->capacity;
	while (capacity < queue->len + len) {
		capacity *= 2;
	}
	if (capacity == queue->capacity) {
		return 0;
	}
	uint8_t *bigger = realloc(queue->data, capacity);
	if (bigger == NULL) {
		return -ENOBUFS;
	}
	queue->data = bigger;
	queue->capacity = capacity;
	return 0;
}

static int reserve_attachments(struct neep_wl_queue *queue, size_t count) {
	size_t needed = queue->attachment_count + count;
	size_t capacity =
		queue->attachment_capacity < ATTACHMENTS_MIN ? ATTACHMENTS_MIN : queue->attachment_capacity;
	if (count > NEEP_WL_QUEUE_ATTACHMENTS_MAX || needed > NEEP_WL_QUEUE_ATTACHMENTS_MAX) {
		return -ENOBUFS;
	}
	while (capacity < needed) {
		capacity *= 2;
	}
	if (count == 0 || capacity == queue->attachment_capacity) {
		return 0;
	}
	struct neep_wl_queued *bigger = realloc(queue->attachments, capacity * sizeof(*bigger));
	if (bigger == NULL) {
		return -ENOBUFS;
	}
	queue->attachments = bigger;
	queue->attachment_capacity = capacity;
	return 0;
}

int neep_wl_queue_push(struct neep_wl_queue *queue, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count) {
	if (reserve_bytes(queue, len) < 0 || reserve_attachments(queue, count) < 0) {
		for (size_t i = 0; i < count; i++) {
			neep_wl_close_fds(&attachments[i].owned_fd, 1);
		}
		return -ENOBUFS;
	}
	for (size_t i = 0; i < count; i++) {
		if (attachments[i].memory != NULL) {
			neep_wl_memory_ref(attachments[i].memory);
		}
		queue->attachments[queue->attachment_count++] = (struct neep_wl_queued){
			.attachment = attachments[i],
			.at = queue->popped + queue->len,
		};
	}
	if (len > 0) {
		memcpy(queue->data + queue->start + queue->len, bytes, len);
		queue->len += len;
	}
	return 0;
}

int neep_wl_queue_push_fds(
	struct neep_wl_queue *queue, const uint8_t *bytes, size_t len, const int *owned_fds, size_t count) {
	struct neep_wl_attachment attachments[NEEP_FDS_MAX];
	if (count > NEEP_FDS_MAX) {
		neep_wl_close_fds(owned_fds, count);
		return -ENOBUFS;
	}
	for (size_t i = 0; i < count; i++) {
		attachments[i] = (struct neep_wl_attachment){ .owned_fd = owned_fds[i] };
	}
	return neep_wl_queue_push(queue, bytes, len, attachments, count);
}

bool neep_wl_queue_front(const struct neep_wl_queue *queue, struct neep_wl_batch *batch) {
	if (queue->len == 0) {
		return false;
	}
	batch->data = neep_wl_queue_data(queue);
	batch->len = queue->len;
	batch->count = queue->attachment_count;
	if (batch->count > NEEP_WL_FDS_MAX) {
		/* The message that the first one too many belongs to waits for it. */
		batch->count = NEEP_WL_FDS_MAX;
		batch->len = (size_t)(queue->attachments[NEEP_WL_FDS_MAX].at - queue->popped);
	}
	for (size_t i = 0; i < batch->count; i++) {
		batch->attachments[i] = queue->attachments[i].attachment;
	}
	return true;
}

void neep_wl_queue_pop(struct neep_wl_queue *queue, size_t len, size_t attachment_count) {
	queue->start += len;
	queue->len -= len;
	queue->popped += len;
	if (queue->len == 0) {
		queue->start = 0;
	}
	queue->attachment_count -= attachment_count;
	if (attachment_count > 0 && queue->attachment_count > 0) {
		memmove(queue->attachments, queue->attachments + attachment_count,
			queue->attachment_count * sizeof(*queue->attachments));
	}
}

void neep_wl_queue_take_fds(struct neep_wl_queue *queue, int *owned_fds, size_t count) {
	for (size_t i = 0; i < count; i++) {
		owned_fds[i] = queue->attachments[i].attachment.owned_fd;
	}
	neep_wl_queue_pop(queue, 0, count);
}

int64_t neep_wl_send_some(int socket, const uint8_t *bytes, size_t len, const int *fds, size_t fd_count) {
	union {
		char buf[CMSG_SPACE(NEEP_WL_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (fd_count > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, fd_count * sizeof(int));
	}
	ssize_t sent;
	do {
		sent = sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}
