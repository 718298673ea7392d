/* The vhost-user protocol, back-end side: one connection to one front-end (QEMU's docs/interop/vhost-user).
 *
 * The server owns the guest memory table, the rings and their kick and call fds, and the back-end channel. The device
 * behind it is a struct of functions and knows no message. Everything runs on the loop's thread and nothing blocks on
 * the front-end: a handler answers at once, and what must wait (SHMEM maps) completes by callback.
 * Malformed messages are refused (an ack of non-zero where one is asked for); framing that is lost ends the session,
 * never the process. */
#ifndef NEEP_VHOST_USER_SERVER_H
#define NEEP_VHOST_USER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/list.h"
#include "util/loop.h"
#include "virtio/memory.h"
#include "virtio/vring.h"

struct neep_vhost_user;
struct neep_vhost_user_device;

/* What the server wants from the device; all mandatory unless marked. Called on the loop's thread, never from inside a
 * call into the server except where said. */
struct neep_vhost_user_device_impl {
	/* Virtio feature bits to offer (device bits and transport bits); the server adds bit 30 itself. */
	uint64_t (*features)(struct neep_vhost_user_device *device);
	/* What the driver accepted, which is the truth even where it holds bits that were not offered. */
	void (*set_features)(struct neep_vhost_user_device *device, uint64_t features);
	/* Fills [buf, buf + len) from config space at `offset`, zeros beyond its end. */
	void (*read_config)(struct neep_vhost_user_device *device, uint32_t offset, void *buf, size_t len);
	void (*write_config)(
		struct neep_vhost_user_device *device, uint32_t offset, const void *buf, size_t len);
	/* Buffers may be waiting on queue `index`: handle them, or as many as make one turn, and notify. Returns whether
	 * any was handled (the server calls again in the next turn then). Only while the ring is running and enabled. */
	bool (*run_queue)(struct neep_vhost_user_device *device, uint32_t index);
	/* Ring `index` is running (ring != NULL, valid until the call with NULL), or is about to stop: after that call the
	 * device pops nothing; it may push later (vring.h says what becomes of that). */
	void (*set_queue)(struct neep_vhost_user_device *device, uint32_t index, struct neep_vring *ring);
	/* The driver was reset: drop everything of its life. set_features() follows with what is known to be accepted, for
	 * not every front-end repeats that. Changes of the window that were pending have failed. The rings are stopped; mappings in the shared memory window
	 * are gone already when `window_is_empty`, else the device unmaps what it had mapped. */
	void (*reset)(struct neep_vhost_user_device *device, bool window_is_empty);
	/* GPU_SET_SOCKET; owned_fd is consumed. May be NULL. */
	void (*set_gpu_socket)(struct neep_vhost_user_device *device, int owned_fd);
	/* The session is over: the front-end went away or lost framing. The server may be destroyed from here on, but not
	 * inside this call. */
	void (*closed)(struct neep_vhost_user_device *device);
};

struct neep_vhost_user_device {
	const struct neep_vhost_user_device_impl *impl;
};

struct neep_vhost_user_options {
	uint32_t queue_count;    // 1..NEEP_VHOST_USER_QUEUES_MAX
	uint8_t shmem_id;        // virtio shared memory id of the window
	uint64_t shmem_size;     // bytes, 0: no window; a power of two and a page multiple
	bool has_mem_slots;      // offer CONFIGURE_MEM_SLOTS (default on: see the map limit in docs)
	uint32_t shmem_maps_max; // most live maps; the front-end's region limit counts RAM regions too
	int64_t echo_wait_ns; // what a front-end is given to echo a change of the window; 0: ten milliseconds
};
#define NEEP_VHOST_USER_QUEUES_MAX 8

/* Serves the connected stream socket owned_fd, which is consumed in every case. `device` and `loop` are borrowed.
 * Returns NULL with `error` set. */
struct neep_vhost_user *neep_vhost_user_create(struct neep_loop *loop, int owned_fd,
	struct neep_vhost_user_device *device, const struct neep_vhost_user_options *options,
	struct neep_error *error);

/* Ends the session: stops the rings, fails what is pending with -ECANCELED, unmaps guest memory. The device is told, so it
 * must still be there. NULL is fine. */
void neep_vhost_user_destroy(struct neep_vhost_user *server);

/* The guest memory of the session; borrowed. */
struct neep_memory *neep_vhost_user_memory(struct neep_vhost_user *server);

/* Tells the guest that config space changed. Dropped while the device is not running, because stock QEMU crashes on it
 * then, and sent once it is. */
void neep_vhost_user_config_changed(struct neep_vhost_user *server);

/* The device can take buffers of queue `index` again, after a run_queue() that left some waiting and returned false: the
 * server does not look at the ring again, nor hear its kicks, until this call or a new kick. */
void neep_vhost_user_queue_resume(struct neep_vhost_user *server, uint32_t index);

/* One change of the shared memory window, embedded in its owner and alive until `done`. */
struct neep_vhost_user_shmem {
	struct neep_list link; // neep_vhost_user.shmem_queue
	bool is_map;
	uint64_t shm_offset; // bytes into the window, page aligned
	uint64_t len;        // bytes, a page multiple
	int fd;              // map: borrowed until done; must be open for reading and writing
	uint64_t fd_offset;  // map: page aligned
	/* Called once, never from inside neep_vhost_user_shmem(): 0 when the guest sees (or no longer sees) the memory, or a
	 * negative errno: -ECANCELED when the driver was reset or the session ended, -ENOSPC beyond shmem_maps_max, -EIO
	 * when the front-end refused or takes no such changes, -EINVAL and -EEXIST (maps that overlap) and -ENOENT (not
	 * mapped so) for what it would refuse. A pause only delays it. */
	void (*done)(struct neep_vhost_user_shmem *shmem, int result);
};

/* Queues a change; they are sent one at a time, in order, only while all rings run. */
void neep_vhost_user_shmem(struct neep_vhost_user *server, struct neep_vhost_user_shmem *shmem);

/* Forgets `shmem` with no call of done. One that was sent already is waited for by the server itself, which unmaps again
 * what it mapped. */
void neep_vhost_user_shmem_cancel(struct neep_vhost_user *server, struct neep_vhost_user_shmem *shmem);

#endif
