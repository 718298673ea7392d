/* Vulkan for one guest process: its command streams in, calls of the host's driver out, replies back.
 *
 * A context holds all instances, devices and objects of one guest process; a stream is one ring of it, served by one thread. The
 * packets of all streams carry a common sequence number and are executed one at a time in that order ("turn"); waits give their
 * turn up first. The guest is not trusted: what it sends is decoded with bounds, its handles are looked up with type and
 * owner, and a packet that cannot be right loses the context: from then on every stream ends. What the driver itself
 * does with legal but wrong commands may still take the process down: it is one context's.
 *
 * Source: Mesa's gfxstream guest driver; the Vulkan specification. */
#ifndef NEEP_VULKAN_VULKAN_H
#define NEEP_VULKAN_VULKAN_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct neep_vk_context;
struct neep_vk_host;

/* Memory of a virtio-gpu resource. */
struct neep_vk_resource {
	int owned_fd; // the receiver's
	uint64_t size;
};

/* What a context wants from the process around it. Embedded in the caller's own struct. Any thread. */
struct neep_vk_host_impl {
	/* The guest will ask for `fd` (borrowed; sealed memory of `size` bytes) as blob `blob_id`. Returns 0 or a negative
	 * errno. */
	int (*publish_blob)(struct neep_vk_host *host, uint64_t blob_id, uint64_t size, int fd);
	/* Finds the memory of a resource that is attached to this context, waiting a bounded time for one that is on its way.
	 * Returns 0 or -ENOENT. */
	int (*find_resource)(
		struct neep_vk_host *host, uint32_t resource_id, struct neep_vk_resource *resource);
	/* The context is lost, told once; `reason` is for people. */
	void (*lost)(struct neep_vk_host *host, const char *reason);
};

struct neep_vk_host {
	const struct neep_vk_host_impl *impl;
};

/* Caps on what a guest may make the process hold. */
struct neep_vk_limits {
	uint32_t packet_bytes; // the longest packet
	uint32_t arena_bytes;  // decoded form of one packet
	uint32_t objects;
	uint64_t memory_bytes; // of VkDeviceMemory; UINT64_MAX: what the driver gives
	/* What a guest can map; UINT64_MAX: everything. Only told, in the sizes of memory heaps: who maps more gets its error
	 * elsewhere. */
	uint64_t mapped_bytes;
	uint32_t
		late_bytes; // command buffers from this length on get a thread to themselves; UINT32_MAX: none
};
extern const struct neep_vk_limits neep_vk_default_limits; // 256 MiB, 512 MiB, 4 Mi, UINT64_MAX twice, 32 KiB

/* Loads the host's Vulkan loader (libvulkan.so.1), which a context needs. Once per process, before it locks itself up.
 * Returns 0 or a negative errno with `error` set: what is missing and which package brings it. */
int neep_vk_load(struct neep_error *error);

/* An empty context. `host` is borrowed and outlives it. NULL with `error` set. */
struct neep_vk_context *neep_vk_context_create(
	struct neep_vk_host *host, const struct neep_vk_limits *limits, struct neep_error *error);

/* Nothing is executed from now on: what has a reply is answered that the Vulkan device is lost, with counts of 0. Streams may begin
 * anywhere, with or without their first four bytes, and with any sequence number. For a context whose process died; needs no
 * neep_vk_load(). Before the first stream is served. */
void neep_vk_context_refuse_all(struct neep_vk_context *context);

/* Makes every stream and wait of the context return soon. Any thread. */
void neep_vk_context_stop(struct neep_vk_context *context);

/* Destroys all objects of the guest, after waiting a bounded time for its devices. No thread is inside neep_vk_serve() or
 * neep_vk_wait_fence(). NULL is fine. */
void neep_vk_context_destroy(struct neep_vk_context *context);

/* Bytes of one ring. */
struct neep_vk_transport;
struct neep_vk_transport_impl {
	/* At least one and at most len bytes; their number, or a negative errno: then the stream ends. */
	int64_t (*read)(struct neep_vk_transport *transport, void *buf, size_t len);
	/* All of buf, or a negative errno. */
	int (*write)(struct neep_vk_transport *transport, const void *buf, size_t len);
};
struct neep_vk_transport {
	const struct neep_vk_transport_impl *impl;
};

/* Executes what comes over the transport, on the calling thread, until the transport or the context ends. Returns 0 at the
 * transport's end (-ECANCELED), or a negative errno: the context is lost. */
int neep_vk_serve(struct neep_vk_context *context, struct neep_vk_transport *transport);

/* Waits until the fence of that name, of the device of that name, is signalled; returns at once for what is no such fence, when the
 * device is lost, and when the context stops. Any thread. */
void neep_vk_wait_fence(struct neep_vk_context *context, uint64_t device_id, uint64_t fence_id);

#endif
