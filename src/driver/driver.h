/* A user-space virtio-gpu driver over vhost-user, front-end side: it plays both the guest kernel and the VMM.
 *
 * The driver owns guest memory (memfd regions), both rings, the front-end's half of the vhost-user connection, the
 * host-visible window and, when asked for, the far end of the vhost-user-gpu display socket. Requests are submitted in
 * batches and complete in any order; neep_driver_call() is the blocking form and gpu.h has one typed call per command.
 *
 * Threads. Any thread may call anything here. One lock guards the rings, guest memory and the connection; it is never
 * held over a sleep for a completion. Of the threads that wait, one at a time "pumps": it sleeps on the interrupt
 * eventfds and on the back-end's own requests (SHMEM_MAP, config changes), handles what comes and hands out completions;
 * the others sleep on a condition variable and take over when the pump leaves. So a single-threaded caller needs no
 * other thread. While nobody waits nobody pumps: a program that submits and does not wait calls
 * neep_driver_dispatch() when neep_driver_fd() is readable, or starts the service thread.
 *
 * Every wait has an end: the death of the back-end ends all waits with -EPIPE, and nothing waits longer than
 * options.timeout_ns.
 *
 *	struct neep_driver_options options = neep_driver_default_options;
 *	struct neep_driver *driver = neep_driver_open("/run/gpu.sock", &options, &error);
 *	int response = neep_cmd_create_2d(driver, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 640, 480);
 *	neep_driver_destroy(driver);
 *
 * Hostile tests reach below: neep_driver_queue() and queue.h write any descriptor, neep_driver_frontend() and
 * frontend.h send any message. */
#ifndef NEEP_DRIVER_DRIVER_H
#define NEEP_DRIVER_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "driver/memory.h"
#include "util/error.h"

struct neep_display_peer;
struct neep_driver;
struct neep_driver_pending;
struct neep_frontend;
struct neep_queue;

enum neep_driver_queue {
	NEEP_DRIVER_CONTROLQ,
	NEEP_DRIVER_CURSORQ,
	NEEP_DRIVER_QUEUE_COUNT,
};

struct neep_driver_options {
	uint64_t features;          // virtio features wanted; what the back-end offers of them is negotiated
	uint64_t protocol_features; // vhost-user protocol features wanted
	struct neep_guest_layout memory;
	uint32_t queue_size[NEEP_DRIVER_QUEUE_COUNT];
	bool has_display;       // give the back-end a GPU socket, served by a display peer on its own thread
	uint32_t display_width; // what the display peer answers as the mode of output 0, pixels
	uint32_t display_height;
	bool echo_maps;     // tell the back-end of its own window maps as memory regions, as QEMU does
	int64_t spin_ns;    // look at the rings this long before sleeping, 0: sleep at once
	int64_t timeout_ns; // the longest wait for the back-end
};

/* All of virtio-gpu 0..4, INDIRECT, EVENT_IDX, VERSION_1; every protocol feature that the driver knows but
 * INFLIGHT_SHMFD, which QEMU does not use here; split rings of 256 and 16; 1 GiB of memory in one region (it is sparse);
 * no display; echoes maps; no spin; 10 s. Copy it and change what matters. */
extern const struct neep_driver_options neep_driver_default_options;

/* Negotiates over the connected stream socket owned_fd, which is consumed in every case. The rings are not running yet:
 * neep_driver_start(). Returns NULL with `error` set. */
struct neep_driver *neep_driver_create(
	int owned_fd, const struct neep_driver_options *options, struct neep_error *error);

/* Connects to a socket that may take up to options->timeout_ns to appear (a back-end that is just being started),
 * creates and starts. Returns NULL with `error` set. */
struct neep_driver *neep_driver_open(
	const char *socket_path, const struct neep_driver_options *options, struct neep_error *error);

/* Fails what is outstanding with -ECANCELED, stops the threads of the driver and closes the connection. No other thread
 * may be inside a call. NULL is fine. */
void neep_driver_destroy(struct neep_driver *driver);

/* Hands over memory, display socket and rings, and enables them: DRIVER_OK. Returns 0 or a negative errno with `error`
 * set. */
int neep_driver_start(struct neep_driver *driver, struct neep_error *error);

/* Stops both rings as for a pause: what is outstanding stays so and goes on at the next start. Returns 0 or a negative
 * errno. */
int neep_driver_stop(struct neep_driver *driver);

/* Stops, resets the device (RESET_DEVICE where negotiated), fails what is outstanding with -ECANCELED and empties the
 * window; the next start begins with fresh rings. Returns 0 or a negative errno. */
int neep_driver_reset(struct neep_driver *driver);

/* The back-end died and owned_fd leads to its successor: negotiates again (the same features or it fails), gives it the
 * inflight area, memory and rings where they were, and enables them. What was outstanding is completed by the new
 * back-end when INFLIGHT_SHMFD is negotiated; otherwise it fails with -EPIPE and the rings begin anew. Consumes owned_fd
 * in every case.
 * Returns 0 or a negative errno with `error` set. */
int neep_driver_reconnect(struct neep_driver *driver, int owned_fd, struct neep_error *error);

/* Negotiated bits. */
uint64_t neep_driver_features(const struct neep_driver *driver);
uint64_t neep_driver_protocol_features(const struct neep_driver *driver);

/* Whether the back-end is gone (its end of the connection is closed, or it broke the protocol). */
bool neep_driver_is_dead(struct neep_driver *driver);

/* ---- requests ---- */

/* One request; the caller's, unmoved from submit until it is done. Bytes are copied into guest memory by submit and the
 * reply is copied out when it completes; cmd and payload may go away after submit. Bytes of the reply that the device did
 * not write keep what they held at submit. */
struct neep_driver_request {
	enum neep_driver_queue queue;
	const void *cmd; // first device-readable piece
	size_t cmd_len;
	const void *payload; // second device-readable piece, NULL for none
	size_t payload_len;
	void *reply; // device-writable piece, NULL for none
	size_t reply_len;

	/* Set when the request completes. */
	bool is_done;      // guarded by the lock: ask neep_driver_poll()
	int result;        // 0 or a negative errno; the fields below count when 0
	uint32_t used_len; // bytes that the device says it wrote
	uint64_t sequence; // 1, 2, 3... in the order of completion, over both queues

	struct neep_driver_pending *pending; // private
};

/* Submits `count` requests in order with one kick at the end. Waits for room where the ring is full. Returns 0 or a
 * negative errno; those before the one that failed are submitted, and only they complete. */
int neep_driver_submit(struct neep_driver *driver, struct neep_driver_request *requests, size_t count);

/* Whether `request` is done; collects completions but never sleeps. */
bool neep_driver_poll(struct neep_driver *driver, struct neep_driver_request *request);

/* From now on waits look at the rings for `spin_ns` before they sleep (options.spin_ns). */
void neep_driver_set_spin(struct neep_driver *driver, int64_t spin_ns);

/* Sleeps until `request` is done. Returns request->result, or -ETIMEDOUT or -EPIPE (the back-end is gone), after which
 * the request is still outstanding: wait again (for -EPIPE after neep_driver_reconnect()) or abandon it. */
int neep_driver_wait(struct neep_driver *driver, struct neep_driver_request *request);

/* As neep_driver_wait() with a time limit of its own, nanoseconds. */
int neep_driver_wait_for(struct neep_driver *driver, struct neep_driver_request *request, int64_t timeout_ns);

/* Submits one control request and waits. Returns the used length, or a negative errno. A call that times out leaves
 * nothing behind that points into the caller's memory. */
int64_t neep_driver_call(
	struct neep_driver *driver, const void *cmd, size_t cmd_len, void *reply, size_t reply_len);

/* Submits any one request and waits, as neep_driver_call(). */
int64_t neep_driver_run(struct neep_driver *driver, struct neep_driver_request *request);

/* Gives up on a request: it is done (-ECANCELED) for the caller, while its guest memory and ring slots
 * stay the device's until that returns them. */
void neep_driver_abandon(struct neep_driver *driver, struct neep_driver_request *request);

/* ---- without a waiting thread ---- */

/* An fd that polls readable when neep_driver_dispatch() has something to do. Borrowed. */
int neep_driver_fd(const struct neep_driver *driver);

/* Handles completions and back-end requests that are there; never sleeps. Returns 0, or -EPIPE when the back-end is
 * gone. */
int neep_driver_dispatch(struct neep_driver *driver);

/* Starts a thread that pumps while nobody else does, until destroy. Returns 0 or a negative errno. */
int neep_driver_start_service(struct neep_driver *driver);

/* ---- device ---- */

/* Config space; `len` up to 256. Return 0 or a negative errno. */
int neep_driver_read_config(struct neep_driver *driver, uint32_t offset, void *buf, size_t len);
int neep_driver_write_config(struct neep_driver *driver, uint32_t offset, const void *buf, size_t len);

/* How many config-change interrupts came so far. */
uint64_t neep_driver_config_changes(struct neep_driver *driver);

/* Sleeps until there have been more than `seen`. Returns 0, -ETIMEDOUT or -EPIPE. */
int neep_driver_wait_config_change(struct neep_driver *driver, uint64_t seen, int64_t timeout_ns);

/* The host-visible window: reserved address space of *size bytes into which the back-end's maps are placed, at fixed
 * offsets. Touching what is not mapped faults. NULL (and 0) when there is none. Valid until destroy. */
void *neep_driver_window(struct neep_driver *driver, uint64_t *size);

/* How many maps are live in the window. */
size_t neep_driver_window_maps(struct neep_driver *driver);

/* The file behind the live map that begins at `offset`: an fd of its own, which the caller owns and which outlives the map,
 * and where in it the map begins. Returns it, or a negative errno (-ENOENT: no map begins there). */
int neep_driver_window_fd(struct neep_driver *driver, uint64_t offset, uint64_t *fd_offset);

/* ---- guest memory ---- */

/* As neep_guest_alloc() and the others of memory.h, under the driver's lock. */
int neep_driver_alloc(struct neep_driver *driver, uint64_t size, struct neep_guest_buffer *buffer);
int neep_driver_alloc_scattered(struct neep_driver *driver, uint64_t size, struct neep_guest_buffer *buffer);
void neep_driver_free(struct neep_driver *driver, struct neep_guest_buffer *buffer);

/* The file behind a contiguous buffer: an fd of its own, which the caller owns, and where in it the buffer begins. What has
 * it has all of guest memory. Returns it or a negative errno. */
int neep_driver_memory_fd(
	struct neep_driver *driver, const struct neep_guest_buffer *buffer, uint64_t *fd_offset);

/* Makes the first `size` bytes of a file memory of the guest, in a region of its own. `fd` is borrowed. Nothing here
 * touches the memory, and buffer->first.host is NULL; neep_driver_free() ends it, which the device must not use any more.
 * Returns 0; -EOPNOTSUPP: the back-end takes no single regions; -ENOSPC: there are NEEP_DRIVER_IMPORTS_MAX; -EINVAL: it is
 * empty or larger than NEEP_DRIVER_IMPORT_SIZE_MAX; or another negative errno. */
int neep_driver_import(struct neep_driver *driver, int fd, uint64_t size, struct neep_guest_buffer *buffer);

/* Half of what back-ends have slots for; each is an open file or two there. */
#define NEEP_DRIVER_IMPORTS_MAX     256
#define NEEP_DRIVER_IMPORT_SIZE_MAX (UINT64_C(1) << 31)

/* ---- the layers below, for tests and tools ---- */

/* Not locked: only while no other thread uses the driver. Borrowed. */
struct neep_guest_memory *neep_driver_memory(struct neep_driver *driver);
struct neep_queue *neep_driver_queue(struct neep_driver *driver, enum neep_driver_queue queue);
struct neep_frontend *neep_driver_frontend(struct neep_driver *driver);

/* The display peer, safe from any thread (display_peer.h); NULL without has_display. Borrowed. */
struct neep_display_peer *neep_driver_display(struct neep_driver *driver);

#endif
