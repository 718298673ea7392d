/* dma-bufs: the memfd behind a buffer, in a description of its own.
 *
 * Theory of operation
 *
 * Whoever holds an exported fd keeps the buffer, also after every handle is closed; so the node must learn when the last
 * copy of it is gone: dups, copies in flight and mappings included. It exports a description that is opened anew from
 * /proc/self/fd, and watches the file for IN_CLOSE, which comes with the end of such a description. Since inotify
 * merges events, the event only asks the question. The answer is a write lease on another description of the node's own:
 * the kernel grants it exactly when no other one is open. The descriptions of the device and of the renderers
 * are those of memfd_create() itself, which the kernel does not count.
 *
 * The kernel tells of the end first and takes the description away then (__fput()); who closes it may lose the processor in
 * between. So a question with the answer no is asked again, ever more rarely, for a while.
 *
 * An imported fd is known by its inode; import.c has what is not exported by us. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"
#include "virtgpu/node_internal.h"

struct neep_node_export {
	struct neep_list link;   // neep_virtgpu_node.exports
	struct neep_node_bo *bo; // a reference while is_held
	bool is_held;
	bool is_asked; // the answer was no, and may have come too early
	int lease_fd;
	int watch;
	dev_t dev;
	ino_t ino;
};

/* With no more rights than `fd` has: /proc would give those of the file. */
static int reopen(int fd, bool wants_write) {
	char path[32];
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0) {
		return -errno;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	bool may_write = wants_write && (flags & O_ACCMODE) == O_RDWR;
	int access = may_write ? O_RDWR : O_RDONLY;
	/* A program may have a lease, too, and would be waited for. */
	int again = open(path, access | O_CLOEXEC | O_NONBLOCK);
	if (again < 0) {
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	}
	fcntl(again, F_SETFL, access);
	return again;
}

static void export_destroy(struct neep_node_export *export) {
	struct neep_virtgpu_node *node = export->bo->node;
	export->bo->export = NULL;
	neep_list_remove(&export->link);
	if (export->watch >= 0) {
		inotify_rm_watch(node->inotify_fd, export->watch);
	}
	neep_close_fd(&export->lease_fd);
	free(export);
}

/* Nobody else has it open: the buffer is as if it had never been exported. */
static void export_release(struct neep_node_export *export) {
	struct neep_node_bo *bo = export->bo;
	bool was_held = export->is_held;
	bo->node->counts.exports -= was_held ? 1 : 0;
	export_destroy(export);
	if (was_held) {
		neep_node_bo_unref(bo);
	}
}

/* Whoever opens the file meanwhile breaks the lease: the kernel tells the holder, by a signal that may end it. The end of a lease
 * forgets which one it is to be. */
static bool is_open_elsewhere(const struct neep_node_export *export) {
	fcntl(export->lease_fd, F_SETSIG, SIGURG);
	if (fcntl(export->lease_fd, F_SETLEASE, F_WRLCK) < 0) {
		return true;
	}
	fcntl(export->lease_fd, F_SETLEASE, F_UNLCK);
	return false;
}

#define ASK_AGAIN_NS     (2 * NEEP_NS_PER_MS)
#define ASK_NO_LONGER_NS (10 * NEEP_NS_PER_S)

/* Returns whether it is still open. */
static bool ask(struct neep_node_export *export) {
	export->is_asked = is_open_elsewhere(export);
	if (!export->is_asked) {
		export_release(export);
		return false;
	}
	return true;
}

/* Each pause is twice the one before. */
static void ask_again(struct neep_timer *timer) {
	struct neep_virtgpu_node *node = neep_container_of(timer, struct neep_virtgpu_node, ask_timer);
	bool is_needed = false;
	neep_list_for_each_safe (export, &node->exports, struct neep_node_export, link) {
		if (export->is_asked) {
			is_needed |= ask(export);
		}
	}
	node->ask_pause_ns *= 2;
	if (is_needed && node->ask_pause_ns < ASK_NO_LONGER_NS) {
		neep_timer_arm(node->loop, &node->ask_timer, node->ask_pause_ns);
	}
}

/* Looks at the one that the watch belongs to; at all where the kernel lost count. */
static void look(struct neep_virtgpu_node *node, const struct inotify_event *event) {
	bool is_lost = (event->mask & IN_Q_OVERFLOW) != 0;
	neep_list_for_each_safe (export, &node->exports, struct neep_node_export, link) {
		if (is_lost || export->watch == event->wd) {
			ask(export);
		}
	}
}

static void inotify_ready(struct neep_source *source, uint32_t events) {
	(void)events;
	struct neep_virtgpu_node *node = neep_container_of(source, struct neep_virtgpu_node, inotify_source);
	char buf[4096] __attribute__((aligned(8)));
	ssize_t got;
	node->ask_pause_ns = ASK_AGAIN_NS;
	neep_timer_arm(node->loop, &node->ask_timer, node->ask_pause_ns);
	while ((got = read(source->fd, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < got;) {
			struct inotify_event event;
			memcpy(&event, buf + at, sizeof(event));
			look(node, &event);
			at += (ssize_t)(sizeof(event) + event.len);
		}
	}
}

int neep_node_prime_init(struct neep_virtgpu_node *node) {
	neep_list_init(&node->exports);
	node->ask_timer.fire = ask_again;
	node->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (node->inotify_fd < 0) {
		return -errno;
	}
	node->inotify_source = (struct neep_source){ .fd = node->inotify_fd, .ready = inotify_ready };
	return neep_source_add(node->loop, &node->inotify_source, EPOLLIN);
}

void neep_node_prime_finish(struct neep_virtgpu_node *node) {
	neep_list_for_each_safe (export, &node->exports, struct neep_node_export, link) {
		export_release(export);
	}
	neep_source_remove(&node->inotify_source);
	neep_timer_cancel(&node->ask_timer);
	neep_close_fd(&node->inotify_fd);
}

/* The file that is this buffer, all of it from its start on. Memory of the guest is part of a larger one. */
static int export_memory(struct neep_node_bo *bo) {
	uint64_t fd_offset = 0;
	bool is_host = bo->blob_mem == NEEP_DRM_BLOB_MEM_HOST3D;
	neep_autoclose int fd = is_host ? neep_node_bo_memory(bo, &fd_offset) : -EOPNOTSUPP;
	if (fd >= 0 && fd_offset == 0) {
		return neep_steal_fd(&fd);
	}
	neep_log_guest(&bo->node->log_limit, TOPIC, "resource %u cannot be shared as a dma-buf: %s",
		neep_node_bo_resource_id(bo),
		is_host ? "the device does not give its memory" : "it is memory of the guest");
	return fd == -ENODEV ? -ENODEV : -EOPNOTSUPP;
}

static int export_watch(struct neep_node_export *export, int fd) {
	struct neep_virtgpu_node *node = export->bo->node;
	char path[32];
	struct stat st;
	export->lease_fd = reopen(fd, true);
	if (export->lease_fd < 0 || fstat(export->lease_fd, &st) < 0) {
		return export->lease_fd < 0 ? export->lease_fd : -errno;
	}
	export->dev = st.st_dev;
	export->ino = st.st_ino;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", export->lease_fd);
	export->watch = inotify_add_watch(node->inotify_fd, path, IN_CLOSE);
	return export->watch < 0 ? -errno : 0;
}

static int export_create(struct neep_node_bo *bo) {
	neep_autoclose int fd = export_memory(bo);
	struct neep_node_export *export = fd < 0 ? NULL : calloc(1, sizeof(*export));
	if (export == NULL) {
		return fd < 0 ? fd : -ENOMEM;
	}
	*export = (struct neep_node_export){ .bo = bo, .lease_fd = -1, .watch = -1 };
	bo->export = export;
	neep_list_append(&bo->node->exports, &export->link);
	int result = export_watch(export, fd);
	if (result < 0) {
		export_destroy(export);
	}
	return result;
}

/* No program has got one. */
static void drop_unheld(struct neep_node_bo *bo) {
	if (bo->export != NULL && !bo->export->is_held) {
		export_destroy(bo->export);
	}
}

int neep_node_prime_export(struct neep_node_call *call) {
	struct drm_prime_handle prime;
	memcpy(&prime, call->data, sizeof(prime));
	if ((prime.flags & ~(uint32_t)(DRM_CLOEXEC | DRM_RDWR)) != 0) {
		return -EINVAL;
	}
	struct neep_node_bo *bo = neep_node_bo_find(call->file, prime.handle);
	if (bo == NULL) {
		return -ENOENT;
	}
	int result = bo->export == NULL ? export_create(bo) : 0;
	int fd = result == 0 ? reopen(bo->export->lease_fd, (prime.flags & DRM_RDWR) != 0) : result;
	if (fd < 0) {
		drop_unheld(bo);
		return fd;
	}
	if (!bo->export->is_held) {
		bo->export->is_held = true;
		bo->refs++;
		call->node->counts.exports++;
	}
	call->fd_out = fd;
	return 0;
}

/* A reference to the buffer that was exported as this file, or NULL. */
static struct neep_node_bo *find_exported(struct neep_virtgpu_node *node, const struct stat *st) {
	neep_list_for_each (export, &node->exports, struct neep_node_export, link) {
		if (export->ino == st->st_ino && export->dev == st->st_dev) {
			export->bo->refs++;
			return export->bo;
		}
	}
	return NULL;
}

int neep_node_prime_import(struct neep_node_call *call) {
	struct drm_prime_handle prime;
	struct stat st;
	memcpy(&prime, call->data, sizeof(prime));
	neep_autoclose int fd = neep_fds_take(&call->fds, 0);
	if (fd < 0 || fstat(fd, &st) < 0) {
		return -EBADF;
	}
	int result = 0;
	struct neep_node_bo *bo = find_exported(call->node, &st);
	if (bo == NULL) {
		bo = neep_node_import(call->node, fd, &result);
	}
	if (bo == NULL) {
		return result;
	}
	/* What context it is to be, the program may say later. */
	if (neep_node_has(call->node, NEEP_DRM_PARAM_3D_FEATURES) &&
		!neep_node_has(call->node, NEEP_DRM_PARAM_CONTEXT_INIT)) {
		result = neep_node_file_need_context(call->file, call->program);
	}
	if (result == 0) {
		result = neep_node_handle_create(call->file, bo, &prime.handle);
	}
	neep_node_bo_unref(bo);
	memcpy(call->data, &prime, sizeof(prime));
	return result;
}
