/* The way to the compositor: a byte stream with fds both ways, and memory that both ends see.
 *
 * Two kinds: "virtgpu", a cross-domain context of a virtio-gpu (one DRM file per host connection), and "socket", a
 * compositor on the same kernel, for tests and as a filter. One thread, that of the loop. A host is the compositor's side:
 * not trusted.
 *
 * Whoever uses a host embeds nothing: it gives callbacks. No callback is called from within a call of this header, but
 * from the loop; and none destroys the host, but a task may. */
#ifndef NEEP_WAYLAND_HOST_H
#define NEEP_WAYLAND_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/loop.h"

struct neep_wl_host;
struct neep_wl_memory;

/* What travels to the compositor in place of an fd. */
struct neep_wl_attachment {
	int owned_fd;                  // a pipe, a dma-buf, ...; or -1 and
	struct neep_wl_memory *memory; // ... this, borrowed
	bool is_dmabuf;                // is to arrive as a dma-buf: neep_wl_host.sends_dmabufs
};

struct neep_wl_host_listener {
	/* Bytes and fds came, in order; at least one of either. The fds are the listener's from then on: for memory (keymaps,
	 * tables) one that can be mapped read-only and private, for pipes one that can be written. */
	void (*received)(void *data, const uint8_t *bytes, size_t len, const int *owned_fds, size_t fd_count);
	/* There is room again after neep_wl_host_send() said -EAGAIN. */
	void (*drained)(void *data);
	/* The compositor has gone, or `error` says what went wrong. Nothing comes after it; the host is still to be destroyed. */
	void (*closed)(void *data, const struct neep_error *error);
};

/* Memory that the compositor can be given as the fd of a wl_shm pool. Counted: transfers in flight hold one each. */
struct neep_wl_memory {
	const struct neep_wl_memory_impl *impl;
	uint8_t *data; // mapped, readable and writable; NULL: a client's
	size_t size;   // bytes, a multiple of the page; 0: a client's
	uint32_t refs;
};
struct neep_wl_memory *neep_wl_memory_ref(struct neep_wl_memory *memory);
/* NULL is fine. */
void neep_wl_memory_unref(struct neep_wl_memory *memory);

struct neep_wl_memory_impl {
	void (*destroy)(struct neep_wl_memory *memory);
};

struct neep_wl_host_impl {
	const char *name;
	void (*destroy)(struct neep_wl_host *host);
	int (*send)(struct neep_wl_host *host, const uint8_t *bytes, size_t len,
		const struct neep_wl_attachment *attachments, size_t count);
	void (*set_receiving)(struct neep_wl_host *host, bool is_receiving);
	struct neep_wl_memory *(*allocate)(struct neep_wl_host *host, size_t size);
	bool (*can_pass)(struct neep_wl_host *host, int fd);
	struct neep_wl_memory *(*import)(struct neep_wl_host *host, int fd); // may be NULL
};

/* Timelines of the DRM node that clients have, by handle. */
struct neep_wl_timelines_impl {
	/* Of a syncobj's fd, which is borrowed. Returns 0, or a negative errno: it is none. */
	int (*import)(struct neep_wl_host *host, int fd, uint32_t *handle);
	void (*close)(struct neep_wl_host *host, uint32_t handle);
	/* Returns 0 or a negative errno, as does the next. */
	int (*signal)(struct neep_wl_host *host, uint32_t handle, uint64_t point);
	/* Signals `eventfd`, borrowed, when the point has signalled, be it at once. */
	int (*watch)(struct neep_wl_host *host, uint32_t handle, uint64_t point, int eventfd);
};

struct neep_wl_host {
	const struct neep_wl_host_impl *impl;
	const struct neep_wl_timelines_impl *timelines; // NULL: there are none
	const struct neep_wl_host_listener *listener;
	void *listener_data;
	uint64_t
		render_device; // dev_t of the DRM node that clients' buffers come from; 0: the compositor's own
	bool takes_dmabufs;    // whether clients can have dma-bufs that may be sent
	bool blobs_are_memory; // what can be passed is memory for wl_shm, and no dma-buf to the compositor
	bool sends_dmabufs;    // it can be sent as a dma-buf to the compositor all the same
	bool copies_all;       // nothing can be passed: for tests
};

/* All the same for every host. */

/* Sends bytes, and what goes with their first byte; the attachments' fds are consumed in every case. Whole messages are not
 * needed: it is a stream. Returns 0; -EAGAIN: nothing was sent (and no fd consumed in this one case), try again after
 * drained; -ENOTSUP: an fd of a kind that cannot travel; another negative errno: closed() will come. `count` is at most
 * NEEP_WL_FDS_MAX. */
int neep_wl_host_send(struct neep_wl_host *host, const uint8_t *bytes, size_t len,
	const struct neep_wl_attachment *attachments, size_t count);

/* Whether received() may be called: turned off while the client does not read, which holds the compositor's bytes back.
 * On at first. */
void neep_wl_host_set_receiving(struct neep_wl_host *host, bool is_receiving);

/* Memory of at least `size` bytes, zeroed, or NULL. */
struct neep_wl_memory *neep_wl_host_allocate(struct neep_wl_host *host, size_t size);

/* Whether `fd`, which a client sent as memory, can be sent to the compositor as it is: then no copy is needed. */
bool neep_wl_host_can_pass(struct neep_wl_host *host, int fd);

/* The file `fd`, borrowed, which a client sent as memory, as memory that can be sent in its place: the compositor gets
 * the client's own file. It is not mapped here. NULL: there is no way, and what is in it has to be copied. */
struct neep_wl_memory *neep_wl_host_import(struct neep_wl_host *host, int fd);

void neep_wl_host_destroy(struct neep_wl_host *host); // NULL is fine

/* ---- the kinds ---- */

/* host_socket.c: connects to the unix socket at `path`. NULL with `error` set. */
struct neep_wl_host *neep_wl_host_socket_create(struct neep_loop *loop, const char *path,
	const struct neep_wl_host_listener *listener, void *listener_data, struct neep_error *error);

/* host_virtgpu.c: a cross-domain context of the DRM render node at `path` (NULL: the first virtio_gpu one that offers
 * capset 5), with a channel of this type (1: Wayland). NULL with `error` set: which step failed and the remedy. */
struct neep_wl_host *neep_wl_host_virtgpu_create(struct neep_loop *loop, const char *path,
	const struct neep_wl_host_listener *listener, void *listener_data, struct neep_error *error);

#endif
