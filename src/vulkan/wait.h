/* Waiting for the device, on behalf of a guest that may have chosen to wait for ever: in slices, so that the end of the context and
 * the loss of the device end it. Room-internal. */
#ifndef NEEP_VULKAN_WAIT_H
#define NEEP_VULKAN_WAIT_H

#include "vulkan/call.h"
#include "vulkan/device.h"

/* Keeps every object that the command names, also without the turn, until neep_vk_let_go(). */
void neep_vk_hold(struct neep_vk_call *call);
void neep_vk_let_go(struct neep_vk_call *call);

struct neep_vk_waiter;

/* Waits `timeout_ns`, 0 or more, for something of the device: VK_SUCCESS, VK_TIMEOUT, or an error. */
typedef VkResult (*neep_vk_wait_slice)(struct neep_vk_waiter *waiter, uint64_t timeout_ns);

/* Embedded in what knows what is waited for. */
struct neep_vk_waiter {
	struct neep_vk_context *context;
	struct neep_vk_device *device; // kept by the caller
	neep_vk_wait_slice slice;
};

/* Waits `timeout_ns` (UINT64_MAX: for ever). VK_ERROR_DEVICE_LOST when the device is lost or the context ends. The caller has
 * given up the turn. */
VkResult neep_vk_wait(struct neep_vk_waiter *waiter, uint64_t timeout_ns);

/* Remembers the loss of a device: from then on every result that goes through here tells it. */
VkResult neep_vk_device_told(struct neep_vk_device *device, VkResult result);

/* A command without a result has failed: the device counts as lost, as the guest was told that it had succeeded. */
void neep_vk_device_lose(struct neep_vk_device *device, const char *command, VkResult result);

/* For vkQueueWaitIdle and vkDeviceWaitIdle: waits until the `count` queues (NEEP_VK_QUEUE, of call->device) have done what they were given
 * up to now. Called with the turn, which it gives up. */
VkResult neep_vk_wait_queues(struct neep_vk_call *call, struct neep_vk_object *const *queues, uint32_t count);

/* Waits until the queue has nothing to do, or to neep_clock_ns() == deadline; false then. Nobody else uses its device. */
bool neep_vk_drain_queue(struct neep_vk_object *queue, int64_t deadline);

#endif
