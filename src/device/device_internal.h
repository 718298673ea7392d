/* What the files of this room share. Nothing outside src/device includes it. */
#ifndef NEEP_DEVICE_DEVICE_INTERNAL_H
#define NEEP_DEVICE_DEVICE_INTERNAL_H

#include <linux/virtio_gpu.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rutabaga_gfx/neep_rutabaga.h>

#include "device/device.h"
#include "util/idmap.h"
#include "util/list.h"
#include "util/log.h"

#define TOPIC "device"

/* Newer than the kernel headers of the oldest supported host. */
#define NEEP_VIRTIO_GPU_F_BLOB_ALIGNMENT 5

/* "Device Operation: controlq": the rings of a context are numbered 0..63. */
#define NEEP_RING_IDX_MAX 63

/* Of all formats of images, cursors and scanouts. */
#define NEEP_BYTES_PER_PIXEL 4

/* A handler's answer for a command that goes on later, by request_finish(). Not a value of the protocol. */
#define RESP_LATER 0u

struct neep_request;
struct neep_resource;

/* Every command, by the longest fixed part (SET_SCANOUT_BLOB and CTX_CREATE, 96 bytes). */
union neep_command {
	struct virtio_gpu_ctrl_hdr hdr;
	struct virtio_gpu_resource_create_2d create_2d;
	struct virtio_gpu_resource_unref unref;
	struct virtio_gpu_set_scanout set_scanout;
	struct virtio_gpu_resource_flush flush;
	struct virtio_gpu_transfer_to_host_2d transfer_2d;
	struct virtio_gpu_resource_attach_backing attach_backing;
	struct virtio_gpu_resource_detach_backing detach_backing;
	struct virtio_gpu_get_capset_info get_capset_info;
	struct virtio_gpu_get_capset get_capset;
	struct virtio_gpu_cmd_get_edid get_edid;
	struct virtio_gpu_resource_assign_uuid assign_uuid;
	struct virtio_gpu_resource_create_blob create_blob;
	struct virtio_gpu_set_scanout_blob set_scanout_blob;
	struct virtio_gpu_ctx_create ctx_create;
	struct virtio_gpu_ctx_resource ctx_resource;
	struct virtio_gpu_resource_create_3d create_3d;
	struct virtio_gpu_transfer_host_3d transfer_3d;
	struct virtio_gpu_cmd_submit submit;
	struct virtio_gpu_resource_map_blob map_blob;
	struct virtio_gpu_resource_unmap_blob unmap_blob;
	struct virtio_gpu_update_cursor cursor;
};

union neep_reply {
	struct virtio_gpu_ctrl_hdr hdr;
	struct virtio_gpu_resp_display_info display_info;
	struct virtio_gpu_resp_capset_info capset_info;
	struct virtio_gpu_resp_edid edid;
	struct virtio_gpu_resp_resource_uuid uuid;
	struct virtio_gpu_resp_map_info map_info;
};

/* One buffer of the guest on its way from pop to push. */
struct neep_request {
	struct neep_list link; // neep_device.free_requests or neep_timeline.requests
	struct neep_vring *ring;
	struct neep_vring_element *element;
	const struct neep_op *op; // NULL: the command was not understood
	union neep_command cmd;   // copied out of guest memory once
	union neep_reply reply;   // the first reply_size bytes are zero when the handler runs
	size_t reply_size;        // bytes of the OK reply
	uint8_t *long_reply;      // replaces `reply` when not NULL; owned
	uint32_t resp;            // what the handler answered
	bool is_fenced;
	bool is_done;   // may be pushed as soon as it is first on its timeline
	bool has_fence; // rutabaga will tell when it is done
};

typedef uint32_t (*neep_op_run)(struct neep_device *device, struct neep_request *request);

/* A row of the command table. */
struct neep_op {
	const char *name;
	uint64_t feature; // the mask that must have been negotiated, 0: none
	size_t cmd_size;  // fixed part
	size_t reply_size;
	neep_op_run run;
};

/* Fences of one timeline in the order of their commands. */
struct neep_timeline {
	struct neep_idmap_link
		link; // neep_device.timelines; the key of (ctx_id, ring_idx), or of the global one
	struct neep_list requests; // neep_request.link
};

enum neep_resource_kind {
	NEEP_RESOURCE_2D,
	NEEP_RESOURCE_3D,
	NEEP_RESOURCE_BLOB,
};

/* What a flush or a transfer looks at lies in the first cache line, and the struct begins on one: with many resources a
 * command costs one miss here. */
#define NEEP_RESOURCE_ALIGNMENT 64

struct neep_resource {
	struct neep_idmap_link link; // neep_device.resources
	enum neep_resource_kind kind;
	uint32_t scanouts;              // bit n: shown on scanout n
	uint32_t width, height, format; // pixels; 2D and 3D
	uint32_t blob_mem;
	struct neep_image *image; // 2D: the host image, once somebody looked at it
	uint64_t size;            // bytes; blobs
	uint32_t blob_flags;
	uint8_t uuid[16];
	bool has_uuid;
	struct neep_window_map *map; // NULL: not mapped in the window
};

static inline uint32_t resource_id(const struct neep_resource *resource) {
	return (uint32_t)resource->link.id;
}

/* How pixels lie in a blob, "SET_SCANOUT_BLOB". */
struct neep_framebuffer {
	uint32_t width, height, format;
	uint32_t stride, offset; // bytes
};

struct neep_scanout {
	struct neep_resource *resource; // NULL: off. Borrowed; unref takes it off first
	struct neep_rect rect;          // the part of the resource or framebuffer that is shown
	struct neep_framebuffer fb;     // blobs
	struct neep_image *image;       // what the sink shows; a reference
	bool is_copied; // image is our copy of the pixels, filled at flush; else it is the resource's own
	bool needs_all; // the next flush copies everything
	struct neep_rutabaga_mapping *mapping; // pixels of a host blob; a reference
	struct neep_output_info output;
	struct neep_cursor cursor;
	uint32_t *cursor_pixels; // 64 x 64, allocated with the first cursor
};

/* A mapping in the host-visible window. */
struct neep_window_map {
	struct neep_list link; // neep_device.maps, by offset
	struct neep_device *device;
	struct neep_resource *resource; // NULL: the driver was reset, the far side unmaps on its own time
	struct neep_device_window_request change;
	bool is_changing;             // `change` was asked for and is not done
	struct neep_request *waiting; // the command that is answered when the change is done
	uint64_t offset, len;         // bytes
	int fd;                       // the memory, until the front-end has it
	uint32_t map_info;
};

struct neep_context {
	struct neep_idmap_link link; // neep_device.contexts
};

struct neep_device {
	struct neep_device_options options;
	struct rutabaga *rutabaga;
	struct neep_sink *sink;
	struct neep_device_host *host;
	struct neep_memory *memory; // NULL until the transport has one
	struct neep_memory_listener memory_listener;
	struct neep_vring *rings[NEEP_DEVICE_QUEUE_COUNT]; // NULL while stopped
	uint64_t features;                                 // negotiated

	struct neep_idmap resources; // neep_resource.link
	struct neep_idmap contexts;  // neep_context.link
	struct neep_idmap timelines; // neep_timeline.link
	struct neep_list maps;       // neep_window_map.link
	uint32_t map_count;

	struct neep_list free_requests; // neep_request.link
	struct neep_request *waiting;   // pauses the control queue; NULL: none
	bool is_in_batch;               // pushes are told to the guest at the end of the batch
	uint64_t turn_bytes;            // copied in this turn of a queue, about
	struct neep_sink_query query;   // of the waiting request
	uint32_t pending_fences;
	struct neep_list held_flushes; // neep_request.link; answered when the sink has caught up
	struct neep_sink_listener sink_listener;

	struct neep_scanout scanouts[NEEP_SCANOUTS_MAX];
	uint32_t scanout_count;
	uint32_t num_capsets;

	/* Config space. A change is lost-proof: an event that the guest clears after it asked for the state before the
	 * change is raised again. */
	uint32_t events_read;
	uint32_t display_generation;
	uint32_t reported_generation;

	struct neep_device_stats stats;
	struct neep_log_limit log_limit;
};

/* request.c: from pop to push */
struct neep_request *request_pop(struct neep_device *device, struct neep_vring *ring);
/* Answers with `resp`: at once, or in its turn on its timeline. The request is not the caller's any more. */
void request_finish(struct neep_device *device, struct neep_request *request, uint32_t resp);
void request_push(struct neep_device *device, struct neep_request *request);
/* Bytes behind the fixed part of the command. */
size_t request_payload_size(const struct neep_request *request);
/* Copies payload bytes out of guest memory; returns how many there were. */
size_t request_read_payload(const struct neep_request *request, size_t offset, void *out, size_t len);
/* A guest mistake: logs it within the limit and returns `resp`. */
uint32_t request_refuse(
	struct neep_device *device, const struct neep_request *request, uint32_t resp, const char *why);
/* The commonest of them. */
uint32_t request_refuse_resource(struct neep_device *device, const struct neep_request *request);
uint32_t request_refuse_scanout(struct neep_device *device, const struct neep_request *request);
/* The reply for a negative errno of the rutabaga API. */
uint32_t resp_from_errno(int ret);

/* Pauses the control queue until request_finish(); the handler returns RESP_LATER then. */
void request_wait(struct neep_device *device, struct neep_request *request);

/* fence.c: timelines */
void fence_queue(struct neep_device *device, struct neep_request *request);
/* Forgets the timelines of a context whose fences have all completed. */
void fence_drop_context(struct neep_device *device, uint32_t ctx_id);
/* Drops what waits; the elements go with their rings. */
void fence_drop_all(struct neep_device *device);

/* dispatch.c: the table of commands */
const struct neep_op *op_find_control(uint32_t type);
const struct neep_op *op_find_cursor(uint32_t type);

/* cmd_resource.c */
uint32_t cmd_create_2d(struct neep_device *device, struct neep_request *request);
uint32_t cmd_unref(struct neep_device *device, struct neep_request *request);
uint32_t cmd_transfer_2d(struct neep_device *device, struct neep_request *request);
uint32_t cmd_attach_backing(struct neep_device *device, struct neep_request *request);
uint32_t cmd_detach_backing(struct neep_device *device, struct neep_request *request);
uint32_t cmd_assign_uuid(struct neep_device *device, struct neep_request *request);
uint32_t cmd_create_blob(struct neep_device *device, struct neep_request *request);

/* cmd_display.c */
uint32_t cmd_get_display_info(struct neep_device *device, struct neep_request *request);
uint32_t cmd_get_edid(struct neep_device *device, struct neep_request *request);

/* scanout.c, cursor.c */
uint32_t cmd_set_scanout(struct neep_device *device, struct neep_request *request);
uint32_t cmd_set_scanout_blob(struct neep_device *device, struct neep_request *request);
uint32_t cmd_flush(struct neep_device *device, struct neep_request *request);
uint32_t cmd_cursor(struct neep_device *device, struct neep_request *request);
/* Answers the flushes that were held back. */
void flush_release(struct neep_device *device);
void scanout_disable(struct neep_device *device, uint32_t scanout_id);
/* Takes the resource off every scanout that shows it. */
void scanout_drop_resource(struct neep_device *device, struct neep_resource *resource);
void cursor_reset(struct neep_device *device);

/* cmd_3d.c: contexts, capsets, command streams, 3D resources */
uint32_t cmd_get_capset_info(struct neep_device *device, struct neep_request *request);
uint32_t cmd_get_capset(struct neep_device *device, struct neep_request *request);
uint32_t cmd_ctx_create(struct neep_device *device, struct neep_request *request);
uint32_t cmd_ctx_destroy(struct neep_device *device, struct neep_request *request);
uint32_t cmd_ctx_attach(struct neep_device *device, struct neep_request *request);
uint32_t cmd_ctx_detach(struct neep_device *device, struct neep_request *request);
uint32_t cmd_create_3d(struct neep_device *device, struct neep_request *request);
uint32_t cmd_transfer_to_3d(struct neep_device *device, struct neep_request *request);
uint32_t cmd_transfer_from_3d(struct neep_device *device, struct neep_request *request);
uint32_t cmd_submit_3d(struct neep_device *device, struct neep_request *request);

bool context_exists(const struct neep_device *device, uint32_t ctx_id);
void context_remove_all(struct neep_device *device);

/* window.c */
uint32_t cmd_map_blob(struct neep_device *device, struct neep_request *request);
uint32_t cmd_unmap_blob(struct neep_device *device, struct neep_request *request);
/* Unmaps and answers `request` (an UNREF) through unref_finish() when the guest no longer sees the memory. */
uint32_t window_unmap_for(
	struct neep_device *device, struct neep_resource *resource, struct neep_request *request);
/* The driver is gone: answers what waits and, unless the front-end emptied the window, unmaps what is left. */
void window_reset(struct neep_device *device, bool window_is_empty);
/* The session is over: forgets every mapping. */
void window_finish(struct neep_device *device);

/* resource.c */
struct neep_resource *resource_find(struct neep_device *device, uint32_t id);
/* OK_NODATA when a resource can be created under `id`, else the refusal. */
uint32_t resource_check_new(struct neep_device *device, const struct neep_request *request, uint32_t id);
/* The same for the bytes of its image on the host. */
uint32_t resource_check_bytes(struct neep_device *device, const struct neep_request *request, uint64_t bytes);
/* A new entry of the table; NULL: no memory. The id must be free. */
struct neep_resource *resource_add(struct neep_device *device, uint32_t id, enum neep_resource_kind kind);
/* Takes the resource off scanouts, out of the table and out of rutabaga. It must not be mapped. */
void resource_remove(struct neep_device *device, struct neep_resource *resource);
void resource_remove_all(struct neep_device *device);
/* The host image of a 2D resource, or NULL. Borrowed. */
struct neep_image *resource_image(struct neep_device *device, struct neep_resource *resource);
/* Memory goes away: no backing may point into it afterwards. */
void resource_drop_backing_in(struct neep_device *device, const void *host, size_t size);

/* backing.c: the list of memory entries behind a command. Fills *iovecs (owned by the caller, free()) with host
 * addresses. Returns OK_NODATA or the error reply. */
struct neep_backing {
	struct iovec *iovecs;
	size_t count;
	uint64_t size; // bytes, the sum
};
uint32_t backing_read(struct neep_device *device, struct neep_request *request, uint32_t nr_entries,
	struct neep_backing *backing);

/* edid.c: fills `edid` for an output and returns the valid bytes, a multiple of 128. */
#define NEEP_EDID_MAX 1024
size_t neep_edid_generate(
	uint32_t scanout_id, uint32_t width, uint32_t height, uint8_t edid[static NEEP_EDID_MAX]);

/* config.c */
void config_raise_display_event(struct neep_device *device);

#endif
