/* Command pools and buffers, and who is recording. Room-internal.
 *
 * The guest sends what it has recorded when it submits (vkQueueFlushCommandsGOOGLE), so that several threads that submit record here at
 * the same time, without the turn. Vulkan wants only one thread at a time in a pool and its buffers: the pool's lock. A submission that
 * has its turn while one of its command buffers is still being recorded waits for the end of the recording.
 *
 * A large one is recorded by a thread of the stream (recorder.h).
 *
 * Secondary command buffers are recorded with the turn: so they are complete when a primary that executes them is recorded. */
#ifndef NEEP_VULKAN_COMMAND_BUFFER_H
#define NEEP_VULKAN_COMMAND_BUFFER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include "util/list.h"
#include "vulkan/object.h"

struct neep_vk_call;
struct neep_vk_commands;
struct neep_vk_decoder;

struct neep_vk_command_pool {
	struct neep_vk_object base;
	pthread_mutex_t lock; // held while anything of the pool is recorded, allocated or reset
};

struct neep_vk_command_buffer {
	struct neep_vk_object base; // a child of its pool
	VkCommandBufferLevel level;
};

/* One that goes on without the turn. */
struct neep_vk_recording {
	struct neep_list link;
	VkCommandBuffer command_buffer; // the driver's
	uint32_t seqno;                 // of the packet
};

struct neep_vk_recordings {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	struct neep_list running; // neep_vk_recording.link; guarded by lock
	atomic_uint count;        // of running; written under lock
};

void neep_vk_recordings_init(struct neep_vk_recordings *recordings);
void neep_vk_recordings_finish(struct neep_vk_recordings *recordings);

/* The command buffer is being recorded from now on by the packet of that number, which has the turn, until _end() of the same
 * recording, which lives as long. */
void neep_vk_recordings_begin(struct neep_vk_recordings *recordings, struct neep_vk_recording *recording,
	const struct neep_vk_object *command_buffer, uint32_t seqno);
void neep_vk_recordings_end(struct neep_vk_recordings *recordings, struct neep_vk_recording *recording);

/* Records the commands, a payload of vkQueueFlushCommandsGOOGLE, with the lock of the pool. The caller has the turn or is in the table.
 * Wrong ones fail the decoder's call. */
void neep_vk_record(struct neep_vk_decoder *decoder, struct neep_vk_object *command_buffer,
	struct neep_vk_commands *commands);

/* What a packet of vkQueueFlushCommandsGOOGLE has before its payload. */
#define NEEP_VK_FLUSH_HEADER (NEEP_VK_PACKET_HEADER + 24)

/* The command buffer of such a packet of `len` bytes, of which that much has come, when it is a primary one and nothing is wrong so
 * far; else NULL. The caller has the turn. */
struct neep_vk_object *neep_vk_flush_target(struct neep_vk_table *table, const uint8_t *packet, uint32_t len);

/* Waits until the command buffer (the driver's) is not being recorded by a packet that had its turn before that of the call, which
 * submits it. */
void neep_vk_recordings_settle(struct neep_vk_call *call, VkCommandBuffer command_buffer);

#endif
