/* The virtio-gpu device: control and cursor queue, config space, scanouts, fences to the guest.
 * virtio 1.2 and later, "GPU Device".
 *
 * The device knows neither the transport (rings and memory are virtio's, the window and interrupts are behind struct
 * neep_device_host) nor the display (struct neep_sink), and reaches resources and contexts only through the rutabaga C
 * API, as a VMM would. One thread; nothing blocks: a command that must wait pauses the control queue at itself while the
 * cursor queue and everything else go on. The guest is not trusted: any command gets a reply, and nothing else. */
#ifndef NEEP_DEVICE_DEVICE_H
#define NEEP_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "display/display.h"
#include "util/error.h"
#include "util/loop.h"
#include "virtio/memory.h"
#include "virtio/vring.h"

struct neep_device;
struct neep_device_host;
struct rutabaga;
struct rutabaga_fence;

enum neep_device_queue {
	NEEP_DEVICE_CONTROLQ,
	NEEP_DEVICE_CURSORQ,
	NEEP_DEVICE_QUEUE_COUNT,
};

/* One change of the host-visible window; embedded in its owner, alive until done. */
struct neep_device_window_request {
	bool is_map;
	uint64_t offset; // bytes into the window
	uint64_t len;    // bytes, a page multiple
	int fd;          // map: borrowed until done
	/* Called once, not from inside host->change_window(): 0 once the guest (no longer) sees the memory, or a negative
	 * errno. */
	void (*done)(struct neep_device_window_request *request, int result);
	void *host_private;
};

/* What the device wants from its transport. */
struct neep_device_host_impl {
	/* Config space changed: interrupt the guest. */
	void (*config_changed)(struct neep_device_host *host);
	/* May be NULL: no window. */
	void (*change_window)(struct neep_device_host *host, struct neep_device_window_request *request);
	/* No call of done any more; what was asked of the front-end may still happen. NULL where change_window is. */
	void (*cancel_window)(struct neep_device_host *host, struct neep_device_window_request *request);
	/* neep_device_run_queue() of this queue returned false for a command that had to wait, and can go on now. */
	void (*resume_queue)(struct neep_device_host *host, enum neep_device_queue queue);
};
struct neep_device_host {
	const struct neep_device_host_impl *impl;
};

/* What a guest may use at most. A command beyond it is answered ERR_OUT_OF_MEMORY. The device hands the limits of
 * resources, contexts and memory down to rutabaga, which counts them. */
struct neep_device_quota {
	uint32_t resources;
	uint64_t resource_bytes; // host bytes of one 2D resource
	uint64_t bytes;          // host bytes of all 2D resources
	uint32_t contexts;
	uint32_t backing_entries;       // of one resource
	uint64_t total_backing_entries; // of all resources
	uint64_t submit_bytes;          // of one SUBMIT_3D
	uint32_t maps;                  // live mappings in the window
};
extern const struct neep_device_quota neep_device_default_quota;

struct neep_device_options {
	uint32_t max_outputs; // 1..16
	uint32_t xres, yres;  // preferred mode of output 0 (and of the others when enabled), pixels
	uint64_t hostmem;     // bytes of the host-visible window, 0: none
	/* What the size of a blob must be a multiple of; a power of two; 0: BLOB_ALIGNMENT is not offered. */
	uint32_t blob_alignment;
	struct neep_device_quota quota;
};

/* `rutabaga`, `sink` and `host` are borrowed and outlive the device. The caller of rutabaga_init() passes fences on to
 * neep_device_fence_done(). NULL with `error` set. */
struct neep_device *neep_device_create(const struct neep_device_options *options, struct rutabaga *rutabaga,
	struct neep_sink *sink, struct neep_device_host *host, struct neep_error *error);
void neep_device_destroy(struct neep_device *device);

/* Feature bits of the device itself (0..5); the transport adds its own. */
uint64_t neep_device_features(const struct neep_device *device);
void neep_device_set_features(struct neep_device *device, uint64_t features);

/* Config space, "Device configuration layout". Reads beyond its end give zeros. */
void neep_device_read_config(const struct neep_device *device, uint32_t offset, void *buf, size_t len);
void neep_device_write_config(struct neep_device *device, uint32_t offset, const void *buf, size_t len);

/* The ring of a queue starts, or (NULL) stops; `memory` is what its addresses mean and is listened to. */
void neep_device_set_queue(struct neep_device *device, enum neep_device_queue queue, struct neep_vring *ring);
void neep_device_set_memory(struct neep_device *device, struct neep_memory *memory);

/* Handles what waits on the queue, bounded per call, and notifies. Returns whether there was anything. */
bool neep_device_run_queue(struct neep_device *device, enum neep_device_queue queue);

/* Device reset, "Device Operation: Device reset": everything the driver made is gone, host configuration stays. */
void neep_device_reset(struct neep_device *device, bool window_is_empty);

/* A fence of rutabaga is complete. */
void neep_device_fence_done(struct neep_device *device, const struct rutabaga_fence *fence);

/* The host user resized, enabled or disabled an output: raises the display event. Returns 0, or -EINVAL for an output
 * out of range or a mode beyond 32..8192 (disabling: 0 x 0). */
int neep_device_set_output(struct neep_device *device, uint32_t scanout_id, uint32_t width, uint32_t height);

/* For the control socket. */
struct neep_device_stats {
	uint64_t commands;
	uint64_t errors;
	uint64_t fences;
	uint32_t resources;
	uint32_t contexts;
	uint32_t maps;
	uint64_t bytes;
	uint32_t pending; // commands that wait for their fence
};
void neep_device_get_stats(const struct neep_device *device, struct neep_device_stats *stats);

#endif
