#include "vulkan_room/guest_vulkan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include "util/macros.h"
#include "vulkan/google.h"

enum {
	OP_CREATE_INSTANCE = 20000,
	OP_DESTROY_INSTANCE = 20001,
	OP_ENUMERATE_PHYSICAL_DEVICES = 20002,
	OP_GET_MEMORY_PROPERTIES = 20008,
	OP_CREATE_DEVICE = 20011,
	OP_DESTROY_DEVICE = 20012,
	OP_GET_DEVICE_QUEUE = 20017,
	OP_ALLOCATE_MEMORY = 20021,
	OP_BIND_BUFFER_MEMORY = 20028,
	OP_GET_BLOB = 20341,
	OP_CREATE_BUFFER = 20326,
	OP_ALLOCATE_COMMAND_BUFFERS = 20088,
};

#define MEMORY_TYPES         32
#define MEMORY_HEAPS         16
#define REQUIREMENTS_BYTES   20
#define PROPERTIES_BYTES     (4 + MEMORY_TYPES * 8 + 4 + MEMORY_HEAPS * 12)
#define CREATE_BLOB_C_BYTES  32
#define TIMELINE_C_BYTES     48
#define SEMAPHORE_TYPE_BYTES 32

uint64_t create(struct ring *ring, struct packet *packet, int32_t *result) {
	packet_send(ring, packet);
	uint64_t id = get_u64(ring);
	int32_t told = get_result(ring);
	if (result != NULL) {
		*result = told;
	} else {
		neep_assert(told == VK_SUCCESS && id != 0);
	}
	return id;
}

int32_t call(struct ring *ring, struct packet *packet) {
	packet_send(ring, packet);
	return get_result(ring);
}

struct packet packet_of(uint32_t opcode, uint64_t handle) {
	struct packet packet = packet_begin(opcode);
	put_u64(&packet, handle);
	return packet;
}

struct packet packet_of2(uint32_t opcode, uint64_t handle, uint64_t second) {
	struct packet packet = packet_of(opcode, handle);
	put_u64(&packet, second);
	return packet;
}

static void put_out_handle(struct packet *packet) {
	put_u64(packet, 0xdeadbeef);
}

static uint64_t create_instance(struct ring *ring) {
	struct packet packet = packet_begin(OP_CREATE_INSTANCE);
	put_head(&packet, VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO);
	put_u32(&packet, 0);
	put_present(&packet);
	put_head(&packet, VK_STRUCTURE_TYPE_APPLICATION_INFO);
	put_present(&packet);
	put_string(&packet, "demo");
	put_u32(&packet, 1);
	put_absent(&packet);
	put_u32(&packet, 0);
	put_u32(&packet, VK_API_VERSION_1_3);
	put_u32(&packet, 0);
	put_be32(&packet, 0);
	put_u32(&packet, 0);
	put_be32(&packet, 0);
	put_absent(&packet);
	put_out_handle(&packet);
	int32_t result;
	return create(ring, &packet, &result);
}

/* 0 when there is none. */
static uint64_t find_physical(struct ring *ring, uint64_t instance) {
	struct packet packet = packet_of(OP_ENUMERATE_PHYSICAL_DEVICES, instance);
	put_present(&packet);
	put_u32(&packet, 1);
	put_present(&packet);
	put_out_handle(&packet);
	packet_send(ring, &packet);
	get_u64(ring);
	uint32_t count = get_u32(ring);
	get_u64(ring);
	uint64_t physical = count > 0 ? get_u64(ring) : 0;
	get_result(ring);
	return physical;
}

/* A link whose chain goes on: its members come behind those of all that follow. */
static void put_open_link(struct packet *packet, uint32_t s_type, uint32_t size) {
	put_be32(packet, size);
	put_u32(packet, s_type);
	put_u32(packet, s_type);
}

static void put_feature_chain(struct packet *packet) {
	put_open_link(packet, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES, 24);
	put_open_link(packet, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PRIVATE_DATA_FEATURES, 24);
	put_link(packet, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_INLINE_UNIFORM_BLOCK_FEATURES, 24);
	put_u32(packet, VK_TRUE);
	put_u32(packet, VK_FALSE);
	put_u32(packet, VK_TRUE);
	put_u32(packet, VK_TRUE);
}

static uint64_t create_device(struct ring *ring, uint64_t physical) {
	struct packet packet = packet_of(OP_CREATE_DEVICE, physical);
	put_u32(&packet, VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO);
	put_feature_chain(&packet);
	put_u32(&packet, 0);
	put_u32(&packet, 1);
	put_head(&packet, VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO);
	put_u32(&packet, 0);
	put_u32(&packet, 0);
	put_u32(&packet, 1);
	put_f32(&packet, 1.0f);
	put_u32(&packet, 0);
	put_be32(&packet, 0);
	put_u32(&packet, 0);
	put_be32(&packet, 0);
	put_absent(&packet);
	put_absent(&packet);
	put_out_handle(&packet);
	return create(ring, &packet, NULL);
}

static uint64_t get_queue(struct ring *ring, uint64_t device) {
	struct packet packet = packet_of(OP_GET_DEVICE_QUEUE, device);
	put_u32(&packet, 0);
	put_u32(&packet, 0);
	put_out_handle(&packet);
	packet_send(ring, &packet);
	return get_u64(ring);
}

static uint32_t find_memory_type(struct ring *ring, uint64_t physical) {
	static const uint32_t wanted =
		VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
	struct packet packet = packet_of(OP_GET_MEMORY_PROPERTIES, physical);
	uint8_t properties[PROPERTIES_BYTES] = { 0 };
	put_bytes(&packet, properties, sizeof(properties));
	packet_send(ring, &packet);
	guest_read(ring, properties, sizeof(properties));
	for (uint32_t i = 0; i < MEMORY_TYPES; i++) {
		uint32_t flags;
		memcpy(&flags, properties + 4 + i * 8, sizeof(flags));
		if ((flags & wanted) == wanted) {
			return i;
		}
	}
	neep_assert(!"no host-visible memory");
	return 0;
}

bool gpu_open(struct gpu *gpu, struct ring *ring) {
	*gpu = (struct gpu){ .ring = ring, .instance = create_instance(ring), .next_blob_id = 1 };
	gpu->physical = gpu->instance != 0 ? find_physical(ring, gpu->instance) : 0;
	if (gpu->physical == 0) {
		return false;
	}
	gpu->memory_type = find_memory_type(ring, gpu->physical);
	gpu->device = create_device(ring, gpu->physical);
	gpu->queue = get_queue(ring, gpu->device);
	neep_assert(gpu->queue != 0 && gpu->queue == get_queue(ring, gpu->device));
	return true;
}

void gpu_close(struct gpu *gpu) {
	struct packet device = packet_of2(OP_DESTROY_DEVICE, gpu->device, 0);
	struct packet instance = packet_of2(OP_DESTROY_INSTANCE, gpu->instance, 0);
	packet_send(gpu->ring, &device);
	packet_send(gpu->ring, &instance);
}

static void create_buffer(struct gpu *gpu, struct memory *memory) {
	struct packet packet = packet_of(OP_CREATE_BUFFER, gpu->device);
	uint8_t requirements[REQUIREMENTS_BYTES] = { 0 };
	put_head(&packet, VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO);
	put_u32(&packet, 0);
	put_u64(&packet, memory->size);
	put_u32(&packet, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
				 VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
	put_u32(&packet, 0);
	put_u32(&packet, 0);
	put_absent(&packet);
	put_absent(&packet);
	put_out_handle(&packet);
	put_bytes(&packet, requirements, sizeof(requirements));
	packet_send(gpu->ring, &packet);
	memory->buffer = get_u64(gpu->ring);
	guest_read(gpu->ring, requirements, sizeof(requirements));
	neep_assert(get_result(gpu->ring) == VK_SUCCESS);
}

static void allocate(struct gpu *gpu, struct memory *memory, uint64_t blob_id) {
	struct packet packet = packet_of(OP_ALLOCATE_MEMORY, gpu->device);
	put_u32(&packet, VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO);
	put_link(&packet, VK_STRUCTURE_TYPE_CREATE_BLOB_GOOGLE, CREATE_BLOB_C_BYTES);
	put_u32(&packet, 2);
	put_u32(&packet, 0);
	put_u64(&packet, blob_id);
	put_u64(&packet, memory->size);
	put_u32(&packet, gpu->memory_type);
	put_absent(&packet);
	put_out_handle(&packet);
	memory->memory = create(gpu->ring, &packet, NULL);
}

void memory_create(struct gpu *gpu, struct memory *memory, uint64_t size) {
	uint64_t blob_id = gpu->next_blob_id++;
	*memory = (struct memory){ .size = (size + 4095) & ~UINT64_C(4095) };
	create_buffer(gpu, memory);
	allocate(gpu, memory, blob_id);
	struct packet bind = packet_of2(OP_BIND_BUFFER_MEMORY, gpu->device, memory->buffer);
	put_u64(&bind, memory->memory);
	put_u64(&bind, 0);
	neep_assert(call(gpu->ring, &bind) == VK_SUCCESS);
	struct packet get_blob = packet_of2(OP_GET_BLOB, gpu->device, memory->memory);
	neep_assert(call(gpu->ring, &get_blob) == VK_SUCCESS);
	memory->words = guest_map_blob(gpu->ring->guest, blob_id, memory->size);
	neep_assert(memory->words != NULL);
}

void memory_destroy(struct gpu *gpu, struct memory *memory) {
	struct packet buffer = packet_of2(OP_DESTROY_BUFFER, gpu->device, memory->buffer);
	struct packet free_memory = packet_of2(OP_FREE_MEMORY_SYNC, gpu->device, memory->memory);
	put_absent(&buffer);
	put_absent(&free_memory);
	packet_send(gpu->ring, &buffer);
	neep_assert(call(gpu->ring, &free_memory) == VK_SUCCESS);
	munmap(memory->words, memory->size);
}

uint64_t command_pool(struct gpu *gpu, struct ring *ring) {
	struct packet packet = packet_of(OP_CREATE_COMMAND_POOL, gpu->device);
	put_head(&packet, VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO);
	put_u32(&packet, 0);
	put_u32(&packet, 0);
	put_absent(&packet);
	put_out_handle(&packet);
	return create(ring, &packet, NULL);
}

uint64_t command_buffer(struct gpu *gpu, struct ring *ring, uint64_t pool, uint32_t level) {
	struct packet packet = packet_of(OP_ALLOCATE_COMMAND_BUFFERS, gpu->device);
	put_head(&packet, VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO);
	put_u64(&packet, pool);
	put_u32(&packet, level);
	put_u32(&packet, 1);
	put_out_handle(&packet);
	return create(ring, &packet, NULL);
}

struct packet record_begin(uint32_t level) {
	struct packet payload = { 0 };
	command_begin(&payload, OP_BEGIN_COMMAND_BUFFER);
	put_head(&payload, VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO);
	put_u32(&payload, VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT);
	if (level == 0) {
		put_absent(&payload);
	} else {
		static const uint8_t nothing[2 * 8 + 4 * 4];
		put_present(&payload);
		put_head(&payload, VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO);
		put_bytes(&payload, nothing, sizeof(nothing));
	}
	command_end(&payload);
	return payload;
}

void record_fill(struct packet *payload, const struct memory *memory, uint32_t value) {
	command_begin(payload, OP_CMD_FILL_BUFFER);
	put_u64(payload, memory->buffer);
	put_u64(payload, 0);
	put_u64(payload, memory->size);
	put_u32(payload, value);
	command_end(payload);
}

struct packet record_end(struct gpu *gpu, struct packet *payload, uint64_t command_buffer) {
	command_begin(payload, OP_END_COMMAND_BUFFER);
	command_end(payload);
	struct packet packet = packet_of2(OP_FLUSH_COMMANDS, gpu->queue, command_buffer);
	put_u64(&packet, payload->len);
	put_bytes(&packet, payload->buf, payload->len);
	free(payload->buf);
	return packet;
}

void record_send(struct gpu *gpu, struct ring *ring, struct packet *payload, uint64_t command_buffer) {
	struct packet packet = record_end(gpu, payload, command_buffer);
	packet_send(ring, &packet);
}

void record_fill_only(struct gpu *gpu, struct ring *ring, uint64_t command_buffer,
	const struct memory *memory, uint32_t value) {
	struct packet payload = record_begin(0);
	record_fill(&payload, memory, value);
	record_send(gpu, ring, &payload, command_buffer);
}

uint64_t fence(struct gpu *gpu, struct ring *ring) {
	struct packet packet = packet_of(OP_CREATE_FENCE, gpu->device);
	put_u32(&packet, VK_STRUCTURE_TYPE_FENCE_CREATE_INFO);
	/* As the guest of a program that wants to export it. */
	put_link(&packet, VK_STRUCTURE_TYPE_EXPORT_FENCE_CREATE_INFO, 24);
	put_u32(&packet, VK_EXTERNAL_FENCE_HANDLE_TYPE_SYNC_FD_BIT);
	put_u32(&packet, 0);
	put_absent(&packet);
	put_out_handle(&packet);
	return create(ring, &packet, NULL);
}

int32_t fence_wait(struct gpu *gpu, struct ring *ring, uint64_t fence, uint64_t timeout_ns) {
	struct packet packet = packet_of(OP_WAIT_FOR_FENCES, gpu->device);
	put_u32(&packet, 1);
	put_u64(&packet, fence);
	put_u32(&packet, 1);
	put_u64(&packet, timeout_ns);
	return call(ring, &packet);
}

int32_t fence_status(struct gpu *gpu, struct ring *ring, uint64_t fence) {
	struct packet packet = packet_of2(OP_GET_FENCE_STATUS, gpu->device, fence);
	return call(ring, &packet);
}

int32_t fence_reset(struct gpu *gpu, struct ring *ring, uint64_t fence) {
	struct packet packet = packet_of(OP_RESET_FENCES, gpu->device);
	put_u32(&packet, 1);
	put_u64(&packet, fence);
	return call(ring, &packet);
}

uint64_t semaphore(struct gpu *gpu, struct ring *ring, bool timeline) {
	struct packet packet = packet_of(OP_CREATE_SEMAPHORE, gpu->device);
	put_u32(&packet, VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO);
	put_link(&packet, VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO, SEMAPHORE_TYPE_BYTES);
	put_u32(&packet, timeline ? VK_SEMAPHORE_TYPE_TIMELINE : VK_SEMAPHORE_TYPE_BINARY);
	put_u64(&packet, 0);
	put_u32(&packet, 0);
	put_absent(&packet);
	put_out_handle(&packet);
	return create(ring, &packet, NULL);
}

uint64_t semaphore_value(struct gpu *gpu, struct ring *ring, uint64_t semaphore) {
	struct packet packet = packet_of2(OP_GET_SEMAPHORE_COUNTER_VALUE, gpu->device, semaphore);
	put_u64(&packet, 0);
	packet_send(ring, &packet);
	uint64_t value = get_u64(ring);
	neep_assert(get_result(ring) == VK_SUCCESS);
	return value;
}

static void put_handles(struct packet *packet, uint64_t handle) {
	put_u32(packet, handle != 0);
	if (handle != 0) {
		put_u64(packet, handle);
	}
}

static void put_values(struct packet *packet, uint64_t handle, uint64_t value) {
	put_u32(packet, handle != 0);
	put_present(packet);
	if (handle != 0) {
		put_u64(packet, value);
	}
}

void submit(struct gpu *gpu, struct ring *ring, const struct submit *what) {
	struct packet packet = packet_of(OP_QUEUE_SUBMIT, gpu->queue);
	put_u32(&packet, 1);
	if (what->is_timeline) {
		put_u32(&packet, VK_STRUCTURE_TYPE_SUBMIT_INFO);
		put_link(&packet, VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO, TIMELINE_C_BYTES);
		put_values(&packet, what->wait, what->wait_value);
		put_values(&packet, what->signal, what->signal_value);
	} else {
		put_head(&packet, VK_STRUCTURE_TYPE_SUBMIT_INFO);
	}
	put_handles(&packet, what->wait);
	if (what->wait != 0) {
		put_u32(&packet, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
	}
	put_handles(&packet, what->command_buffer);
	put_handles(&packet, what->signal);
	put_u64(&packet, what->fence);
	packet_send(ring, &packet);
}
