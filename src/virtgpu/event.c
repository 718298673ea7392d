/* Events: what a program reads from its render fd when a fence of a polled ring signals.
 *
 * They travel as messages over the file's token. As in Linux a file has room for so many of them and no more, those that
 * wait for their fence and those that nobody has read together; a submit that would need another one fails. So the
 * socket always takes what is sent, and a program that does not read stalls nobody. What is unread is asked of the
 * kernel: it counts the memory of the messages, of which all are alike. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "virtgpu/node_internal.h"

struct neep_node_event {
	struct neep_list link; // neep_node_file.events
	struct neep_node_file *file;
	struct neep_node_waiter waiter;
	struct neep_node_fence *fence; // a reference; NULL: not submitted yet
};

static int send_event(int near) {
	const struct drm_event event = { .type = NEEP_DRM_EVENT_FENCE_SIGNALED, .length = sizeof(event) };
	return send(near, &event, sizeof(event), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* Bytes of memory that unread messages hold. */
static int unread(int near, size_t *bytes) {
	int value = 0;
	if (ioctl(near, SIOCOUTQ, &value) < 0) {
		return -errno;
	}
	*bytes = (size_t)value;
	return 0;
}

/* ---- the space of a file ---- */

static void make_room(const struct neep_virtgpu_node *node, int near) {
	int room = (int)(NEEP_VIRTGPU_EVENTS_MAX * node->event_cost);
	setsockopt(near, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
}

/* The administrator may allow a socket less than that. */
static size_t room_of(const struct neep_virtgpu_node *node, int near) {
	int room = 0;
	socklen_t len = sizeof(room);
	getsockopt(near, SOL_SOCKET, SO_SNDBUF, &room, &len);
	size_t count = (size_t)room / node->event_cost;
	return count < NEEP_VIRTGPU_EVENTS_MAX ? count : NEEP_VIRTGPU_EVENTS_MAX;
}

int neep_node_events_init(struct neep_virtgpu_node *node) {
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		return -errno;
	}
	int result = send_event(pair[0]);
	if (result == 0) {
		result = unread(pair[0], &node->event_cost);
	}
	if (result == 0) {
		make_room(node, pair[0]);
		node->event_max = room_of(node, pair[0]);
	}
	neep_close_fd(&pair[0]);
	neep_close_fd(&pair[1]);
	return result;
}

void neep_node_file_events_init(struct neep_node_file *file) {
	neep_list_init(&file->events);
	make_room(file->node, file->token);
}

static bool has_space(const struct neep_node_file *file) {
	const struct neep_virtgpu_node *node = file->node;
	size_t bytes = 0;
	return unread(file->token, &bytes) == 0 &&
	       file->event_count + bytes / node->event_cost < node->event_max;
}

/* ---- life ---- */

static void event_destroy(struct neep_node_event *event) {
	neep_list_remove(&event->link);
	event->file->event_count--;
	if (event->fence != NULL) {
		neep_list_remove(&event->waiter.link);
		neep_node_fence_unref(event->fence);
	}
	free(event);
}

static void event_signalled(struct neep_node_waiter *waiter) {
	struct neep_node_event *event = neep_container_of(waiter, struct neep_node_event, waiter);
	struct neep_node_file *file = event->file;
	event_destroy(event);
	/* A device that died has done nothing of what it was told. */
	if (!neep_driver_is_dead(file->node->driver)) {
		/* There is room; and nobody left to read it is fine. */
		send_event(file->token);
	}
}

struct neep_node_event *neep_node_event_reserve(struct neep_node_file *file) {
	struct neep_node_event *event = has_space(file) ? calloc(1, sizeof(*event)) : NULL;
	if (event != NULL) {
		event->file = file;
		event->waiter.signalled = event_signalled;
		neep_list_append(&file->events, &event->link);
		file->event_count++;
	}
	return event;
}

void neep_node_event_submit(struct neep_node_event *event, struct neep_node_fence *fence) {
	if (event == NULL) {
		return;
	}
	if (fence == NULL) {
		event_destroy(event);
		return;
	}
	event->fence = neep_node_fence_ref(fence);
	neep_node_fence_wait(fence, &event->waiter);
}

void neep_node_file_events_finish(struct neep_node_file *file) {
	neep_list_for_each_safe (event, &file->events, struct neep_node_event, link) {
		event_destroy(event);
	}
}

void neep_node_events_end(struct neep_virtgpu_node *node) {
	neep_list_for_each (file, &node->files, struct neep_node_file, link) {
		shutdown(file->token, SHUT_WR);
	}
}
