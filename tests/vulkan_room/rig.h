/* A guest of the Vulkan room without a stream: calls handlers on the host's real driver, and plays the process around the context.
 *
 * Handlers get objects where the wire has ids, so the rig keeps those that every test needs. One thread. */
#ifndef NEEP_TESTS_VULKAN_ROOM_RIG_H
#define NEEP_TESTS_VULKAN_ROOM_RIG_H

#include "vulkan/call.h"
#include "vulkan/decoder.h"
#include "vulkan/device.h"
#include "vulkan/vulkan.h"
#include "vulkan_room/host.h"

#define RIG_MAX 8

struct rig {
	struct neep_vk_host host;
	struct neep_vk_context *context;
	struct neep_vk_decoder decoder;
	struct neep_vk_object *instance;
	struct neep_vk_object *physical;
	struct neep_vk_object *device; // NULL until rig_start_device()
	VkQueue queue;                 // the driver's
	int publish_error;             // what publish_blob returns; 0: it keeps the blob
	size_t blob_count;
	struct {
		uint64_t blob_id;
		uint64_t size;
		int fd;
	} blobs[RIG_MAX]; // published
	size_t resource_count;
	struct {
		uint32_t id;
		uint64_t size;
		int fd;
	} resources[RIG_MAX]; // that find_resource finds
};

/* A context with an instance and its physical device. */
void rig_create(struct rig *rig, const struct neep_vk_limits *limits);
void rig_destroy(struct rig *rig);

/* Makes a device with one queue of family 0. */
void rig_start_device(struct rig *rig);

/* A fresh call. */
struct neep_vk_call *rig_call(struct rig *rig);

/* The object of that id, which must exist. */
struct neep_vk_object *rig_find(struct rig *rig, uint64_t id, enum neep_vk_type type);

/* What find_resource finds from now on: `fd` is duplicated. */
void rig_add_resource(struct rig *rig, uint32_t id, int fd, uint64_t size);

/* The first host-visible memory type. */
uint32_t rig_host_visible_type(const struct rig *rig);

/* Allocates host-visible memory with a blob id through the handler, with `result` as the expected one; NULL when that is an error. */
struct neep_vk_object *rig_allocate_blob(struct rig *rig, uint64_t size, uint64_t blob_id, VkResult result);

/* Makes a buffer through the handler and binds it, whole, to the memory. */
VkBuffer rig_bind_buffer(struct rig *rig, struct neep_vk_object *memory, uint64_t size);

/* Records, submits and waits. */
typedef void (*rig_record)(const struct neep_vk_device_table *vk, VkCommandBuffer commands, void *data);
void rig_submit(struct rig *rig, rig_record record, void *data);

/* Lets the device fill the first `size` bytes of the buffer with a word. */
void rig_fill(struct rig *rig, VkBuffer buffer, uint64_t size, uint32_t word);

/* Whether all `size` bytes of the mapped file hold the word. */
bool rig_fd_holds(int fd, uint64_t size, uint32_t word);

#endif
