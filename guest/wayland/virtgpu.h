/* A DRM file of a virtio-gpu with a cross-domain context: what is needed of the kernel's interface.
 *
 * Counted, since memory that was allocated may outlive the connection. One thread. The device is trusted with memory, as
 * every guest trusts its devices; what it writes is not trusted.
 *
 * A handle is one per buffer and file, however often the buffer comes: so each holder has a hold, and the handle is
 * closed with the last one. Commands that name a buffer are submitted before its hold is released; the device sees them in
 * this order. */
#ifndef NEEP_WAYLAND_VIRTGPU_H
#define NEEP_WAYLAND_VIRTGPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/* Rings of the context. */
enum neep_wl_ring {
	NEEP_WL_RING_NONE = -1, // no fence where the kernel needs none
	NEEP_WL_RING_QUERY = 0,
	NEEP_WL_RING_CHANNEL = 1, // its fences become events
	/* Where there is flow control: fences of one ring wait for each other, so the stream has one and pipes share the
	 * others. */
	NEEP_WL_RING_STREAM = 2,
	NEEP_WL_RING_PIPES = 3,
	NEEP_WL_RING_COUNT = 64, // the most there are
};

struct neep_wl_virtgpu {
	int fd;
	size_t page_size;
	uint32_t extensions; // enum neep_wl_extension
	bool has_drivers;    // it offers capsets beside cross-domain: programs may have buffers of theirs
	uint32_t refs;
	uint32_t *holds; // by handle
	uint32_t handles_max;
};

struct neep_wl_bo {
	uint32_t handle; // 0: none
	uint32_t resource_id;
};

/* Opens the render node at `path`, or (NULL) the first virtio-gpu that offers cross-domain, and creates the context. NULL
 * with `error` set: what is missing and the remedy. */
struct neep_wl_virtgpu *neep_wl_virtgpu_open(const char *path, struct neep_error *error);
struct neep_wl_virtgpu *neep_wl_virtgpu_ref(struct neep_wl_virtgpu *gpu);
void neep_wl_virtgpu_unref(struct neep_wl_virtgpu *gpu); // NULL is fine

/* Reads from the node until a whole number of events was read; whether a fence of a polled ring is among them. The fd must be
 * readable. Returns 1, 0, or a negative errno: the device is gone. */
int neep_wl_virtgpu_read_events(struct neep_wl_virtgpu *gpu);

/* `size` up to whole pages; 0 when that is no size. */
size_t neep_wl_virtgpu_round(const struct neep_wl_virtgpu *gpu, uint64_t size);

/* A buffer of `size` bytes, whole pages: of the guest's memory (`blob_id` 0), or what the host knows by `blob_id`. Whether the
 * host could is seen when it is mapped. Returns 0 or a negative errno. */
int neep_wl_virtgpu_create(struct neep_wl_virtgpu *gpu, uint64_t blob_id, size_t size, struct neep_wl_bo *bo);

/* Releases a hold. A `bo` without a handle is fine. */
void neep_wl_virtgpu_release(struct neep_wl_virtgpu *gpu, struct neep_wl_bo *bo);

/* A buffer and its mapping. */
struct neep_wl_mapped {
	struct neep_wl_bo bo;
	uint8_t *data; // NULL: none
	size_t size;
};
/* Both at once, as neep_wl_virtgpu_create() does. Returns 0 or a negative errno; then nothing is left of it. */
int neep_wl_mapped_create(
	struct neep_wl_virtgpu *gpu, uint64_t blob_id, size_t size, struct neep_wl_mapped *mapped);
void neep_wl_mapped_destroy(struct neep_wl_virtgpu *gpu, struct neep_wl_mapped *mapped); // all zeros is fine

/* A dma-buf; an fd or a negative errno. */
int neep_wl_virtgpu_export(struct neep_wl_virtgpu *gpu, const struct neep_wl_bo *bo);

/* Whether a dma-buf is memory that the host has made, all of which is there. */
bool neep_wl_virtgpu_is_host_memory(struct neep_wl_virtgpu *gpu, int fd);

/* The buffer behind a dma-buf, with a hold. -ENOTSUP: it is none that the host knows. Or another negative errno. */
int neep_wl_virtgpu_import(struct neep_wl_virtgpu *gpu, int fd, struct neep_wl_bo *bo);

/* A buffer made of a memory file of a program's (NEEP_WL_EXTENSION_GUEST_FILES), with a hold: the kernel must take such a
 * file, which `neep run` does and Linux does not. There, /dev/udmabuf could make a dma-buf of it, once Linux imports those
 * into a virtio-gpu that has contexts. Returns 0 or a negative errno. */
int neep_wl_virtgpu_import_file(struct neep_wl_virtgpu *gpu, int fd, struct neep_wl_bo *bo);

struct neep_wl_submit {
	const void *command;
	size_t len;
	enum neep_wl_ring ring;
	uint32_t handle; // 0: none; else neep_wl_virtgpu_wait() waits for the command
	int *fence_fd;   // NULL: not wanted; the caller's, readable when the command is done
};
/* Blocks while the device takes no commands. Success says nothing of what became of the command. Returns 0 or a negative
 * errno. */
int neep_wl_virtgpu_submit(struct neep_wl_virtgpu *gpu, const struct neep_wl_submit *submit);

/* Waits for commands that were submitted with this buffer. Returns 0 or a negative errno. */
int neep_wl_virtgpu_wait(struct neep_wl_virtgpu *gpu, const struct neep_wl_bo *bo);

/* ---- timelines: syncobjs of the DRM file, by handle (virtgpu_syncobj.c) ---- */

/* Whether there are any, and eventfds for their points: Linux 6.6 and later. */
bool neep_wl_virtgpu_has_timelines(struct neep_wl_virtgpu *gpu);

/* The syncobj behind an fd, which stays the caller's. Each import is a handle of its own. Returns 0 or a negative errno. */
int neep_wl_virtgpu_syncobj_import(struct neep_wl_virtgpu *gpu, int fd, uint32_t *handle);
void neep_wl_virtgpu_syncobj_close(struct neep_wl_virtgpu *gpu, uint32_t handle);

/* Signals a point, and with it all before it. Returns 0 or a negative errno. */
int neep_wl_virtgpu_syncobj_signal(struct neep_wl_virtgpu *gpu, uint32_t handle, uint64_t point);

/* Signals `eventfd`, borrowed, when the point has signalled: at once where it has; also one that nobody has yet promised to signal.
 * Returns 0 or a negative errno. */
int neep_wl_virtgpu_syncobj_watch(struct neep_wl_virtgpu *gpu, uint32_t handle, uint64_t point, int eventfd);

/* The other files of this header need it: an ioctl, again while a signal interrupts it. Returns 0 or a negative errno. */
int neep_wl_virtgpu_ioctl(int fd, unsigned long request, void *arg);

#endif
