/* Eventfds that are told when a point of a syncobj has a fence, or when that has signalled. Linux, drm_syncobj.c. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "virtgpu/syncobj_internal.h"

/* Goes with its syncobj while there is no fence, and with the fence after that. */
struct watch {
	struct neep_list link; // neep_node_syncobj.eventfds, while there is no fence
	struct neep_node_waiter waiter;
	struct neep_node_fence *fence; // a reference; NULL: none yet
	uint64_t point;
	uint32_t flags;
	int fd;
};

static void watch_destroy(struct watch *watch) {
	neep_list_remove(&watch->link);
	neep_node_fence_unref(watch->fence);
	neep_close_fd(&watch->fd);
	free(watch);
}

/* The program may have made it one that blocks: a full one, which cannot say more than it does, is left alone. */
static void tell(struct watch *watch) {
	struct pollfd poller = { .fd = watch->fd, .events = POLLOUT };
	if (poll(&poller, 1, 0) == 1 && (poller.revents & POLLOUT) != 0) {
		neep_eventfd_signal(watch->fd);
	}
	watch_destroy(watch);
}

static void fence_signalled(struct neep_node_waiter *waiter) {
	tell(neep_container_of(waiter, struct watch, waiter));
}

/* There may be a fence now: then the watch leaves its list, and is perhaps no more. */
static void look(struct watch *watch, struct neep_node_syncobj *syncobj) {
	watch->fence = neep_node_syncobj_fence(syncobj, watch->point);
	if (watch->fence == NULL) {
		return;
	}
	neep_list_remove(&watch->link);
	if ((watch->flags & DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE) != 0) {
		tell(watch);
	} else {
		neep_node_fence_wait(watch->fence, &watch->waiter);
	}
}

void neep_node_syncobj_tell_eventfds(struct neep_node_syncobj *syncobj) {
	neep_list_for_each_safe (watch, &syncobj->eventfds, struct watch, link) {
		look(watch, syncobj);
	}
}

void neep_node_syncobj_drop_eventfds(struct neep_node_syncobj *syncobj) {
	neep_list_for_each_safe (watch, &syncobj->eventfds, struct watch, link) {
		watch_destroy(watch);
	}
}

static bool is_eventfd(int fd) {
	static const char expected[] = "anon_inode:[eventfd]";
	char path[32], name[sizeof(expected)];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, name, sizeof(name)) == (ssize_t)sizeof(expected) - 1 &&
	       memcmp(name, expected, sizeof(expected) - 1) == 0;
}

int neep_node_syncobj_eventfd(struct neep_node_call *call) {
	struct neep_drm_syncobj_eventfd eventfd;
	memcpy(&eventfd, call->data, sizeof(eventfd));
	neep_autoclose int fd = neep_fds_take(&call->fds, 0);
	if ((eventfd.flags & ~(uint32_t)DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE) != 0 || eventfd.pad != 0) {
		return -EINVAL;
	}
	struct neep_node_syncobj *syncobj = neep_node_syncobj_find(call->file, eventfd.handle);
	if (syncobj == NULL) {
		return -ENOENT;
	}
	if (!is_eventfd(fd)) {
		return -EINVAL;
	}
	struct watch *watch = calloc(1, sizeof(*watch));
	if (watch == NULL) {
		return -ENOMEM;
	}
	*watch = (struct watch){
		.waiter.signalled = fence_signalled,
		.point = eventfd.point,
		.flags = eventfd.flags,
		.fd = neep_steal_fd(&fd),
	};
	neep_list_append(&syncobj->eventfds, &watch->link);
	look(watch, syncobj);
	return 0;
}
