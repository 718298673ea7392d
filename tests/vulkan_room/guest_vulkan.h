/* What the tests do with Vulkan, in packets: each function is a command and its reply, on one ring. */
#ifndef NEEP_TESTS_VULKAN_GUEST_VULKAN_H
#define NEEP_TESTS_VULKAN_GUEST_VULKAN_H

#include "vulkan_room/guest.h"
#include "vulkan_room/host.h"

/* Opcodes that the tests use themselves. */
enum {
	OP_QUEUE_WAIT_IDLE = 20019,
	OP_DEVICE_WAIT_IDLE = 20020,
	OP_FREE_MEMORY_SYNC = 20328,
	OP_CREATE_FENCE = 20035,
	OP_DESTROY_FENCE = 20036,
	OP_RESET_FENCES = 20037,
	OP_GET_FENCE_STATUS = 20038,
	OP_WAIT_FOR_FENCES = 20039,
	OP_CREATE_EVENT = 20042,
	OP_SET_EVENT = 20045,
	OP_DESTROY_BUFFER = 20051,
	OP_CREATE_QUERY_POOL = 20047,
	OP_GET_QUERY_POOL_RESULTS = 20049,
	OP_CMD_BEGIN_QUERY = 20127,
	OP_CMD_END_QUERY = 20128,
	OP_CMD_RESET_QUERY_POOL = 20129,
	OP_CREATE_COMMAND_POOL = 20085,
	OP_DESTROY_COMMAND_POOL = 20086,
	OP_RESET_COMMAND_POOL = 20087,
	OP_FREE_COMMAND_BUFFERS = 20089,
	OP_RESET_DESCRIPTOR_POOL = 20076,
	OP_FREE_DESCRIPTOR_SETS = 20078,
	OP_CREATE_UPDATE_TEMPLATE = 20158,
	OP_UPDATE_WITH_TEMPLATE = 244782974,
	OP_CMD_BIND_PIPELINE = 20093,
	OP_CMD_BIND_DESCRIPTOR_SETS = 20103,
	OP_CMD_DISPATCH = 20110,
	OP_CMD_FILL_BUFFER = 20118,
	OP_CMD_WAIT_EVENTS = 20125,
	OP_CMD_EXECUTE_COMMANDS = 20136,
	OP_FLUSH_COMMANDS = 20340,
	OP_BEGIN_COMMAND_BUFFER = 20321,
	OP_END_COMMAND_BUFFER = 20322,
	OP_QUEUE_SUBMIT = 20330,
	OP_QUEUE_SUBMIT_2 = 292092830,
	OP_QUEUE_BIND_SPARSE = 20034,
	OP_CREATE_SEMAPHORE = 20040,
	OP_DESTROY_SEMAPHORE = 20041,
	OP_WAIT_SEMAPHORES = 224777382,
	OP_SIGNAL_SEMAPHORE = 271024127,
	OP_GET_SEMAPHORE_COUNTER_VALUE = 267066974,
	OP_GET_SEMAPHORE_FD = 20219,
	OP_IMPORT_SEMAPHORE_FD = 20218,
	OP_CREATE_PRIVATE_DATA_SLOT = 262776916,
	OP_SET_PRIVATE_DATA = 242146991,
	OP_GET_PRIVATE_DATA = 237052348,
};

/* An instance, the device, its one queue. */
struct gpu {
	struct ring *ring;
	uint64_t instance, physical, device, queue;
	uint32_t memory_type; // host-visible and coherent
	uint64_t next_blob_id;
};

/* False when this machine has no Vulkan driver. */
bool gpu_open(struct gpu *gpu, struct ring *ring);
/* vkDestroyDevice and vkDestroyInstance. */
void gpu_close(struct gpu *gpu);

/* The id of the reply of a create command, whose result is stored if it is wanted. Sends the packet. */
uint64_t create(struct ring *ring, struct packet *packet, int32_t *result);
/* Sends the packet of a command that replies with a VkResult only. */
int32_t call(struct ring *ring, struct packet *packet);
/* A packet that starts with one handle, or two. */
struct packet packet_of(uint32_t opcode, uint64_t handle);
struct packet packet_of2(uint32_t opcode, uint64_t handle, uint64_t second);

/* A buffer of host memory that both sides see. */
struct memory {
	uint64_t buffer, memory, size;
	uint32_t *words; // mapped
};
void memory_create(struct gpu *gpu, struct memory *memory, uint64_t size);
void memory_destroy(struct gpu *gpu, struct memory *memory);

uint64_t command_pool(struct gpu *gpu, struct ring *ring);
/* `level`: 0 primary, 1 secondary. */
uint64_t command_buffer(struct gpu *gpu, struct ring *ring, uint64_t pool, uint32_t level);

/* A payload that begins the command buffer; then commands; then send. */
struct packet record_begin(uint32_t level);
void record_fill(struct packet *payload, const struct memory *memory, uint32_t value);
/* The packet that brings the payload, which is consumed. */
struct packet record_end(struct gpu *gpu, struct packet *payload, uint64_t command_buffer);
void record_send(struct gpu *gpu, struct ring *ring, struct packet *payload, uint64_t command_buffer);
/* All of it, for one command. */
void record_fill_only(struct gpu *gpu, struct ring *ring, uint64_t command_buffer,
	const struct memory *memory, uint32_t value);

uint64_t fence(struct gpu *gpu, struct ring *ring);
int32_t fence_wait(struct gpu *gpu, struct ring *ring, uint64_t fence, uint64_t timeout_ns);
int32_t fence_status(struct gpu *gpu, struct ring *ring, uint64_t fence);
int32_t fence_reset(struct gpu *gpu, struct ring *ring, uint64_t fence);
/* A timeline semaphore if `timeline`. */
uint64_t semaphore(struct gpu *gpu, struct ring *ring, bool timeline);
uint64_t semaphore_value(struct gpu *gpu, struct ring *ring, uint64_t semaphore);

/* One VkSubmitInfo; 0 for what is not wanted. Values are sent when the semaphores are timelines. */
struct submit {
	uint64_t command_buffer, fence, wait, signal;
	uint64_t wait_value, signal_value;
	bool is_timeline;
};
void submit(struct gpu *gpu, struct ring *ring, const struct submit *what);

#endif
