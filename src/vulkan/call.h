/* One command of the guest, on its way through decoding, execution and reply.
 *
 * For every command of the wire the generated code decodes the parameters into the arena, calls a function, and encodes the
 * reply. Most functions are generated too: they call the driver with the decoded parameters and wrap new handles. The
 * others ("handlers", listed in codegen/handlers.txt) are written by hand. The rule for a handler's prototype, for vkXyz:
 *
 *	RET neep_vk_Xyz(struct neep_vk_call *call, PARAMETERS)
 *
 * with RET and the parameters as in the C prototype of vkXyz, but
 *	- pAllocator is left out;
 *	- a handle is a `struct neep_vk_object *`, found, of the right type and of the same device (or instance) as the first
 *	  one; NULL only when the guest said VK_NULL_HANDLE;
 *	- an array of handles is a `struct neep_vk_object *const *`, which may hold NULLs;
 *	- a place for new handles is a `uint64_t *` (zeroed) for ids of objects that the handler has added;
 *	- structs hold the driver's handles already; output structs hold sType, pNext and input counts, the rest is zero.
 *	  pNext chains hold only structs that the registry allows there and the headers of the build know.
 *
 * All decoded memory lives until the command ends. The reply has its exact length whatever the handler returns. */
#ifndef NEEP_VULKAN_CALL_H
#define NEEP_VULKAN_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/macros.h"
#include "vulkan/object.h"

struct neep_vk_context;
struct neep_vk_device;
struct neep_vk_stream;

struct neep_vk_call {
	struct neep_vk_context *context;
	struct neep_vk_stream *stream;
	struct neep_vk_device
		*device;     // of the first handle; NULL for commands of instances and physical devices
	const char *command; // "vkXyz"
	bool has_turn;       // false once the turn was given up
	bool is_failed;      // sticky
};

/* The packet cannot be right: the context is lost after this command, and `format` says why. Sticky; the first reason stays. */
void neep_vk_call_fail(struct neep_vk_call *call, const char *format, ...) NEEP_PRINTF(2, 3);

/* Zeroed memory for `count` elements of `size` bytes that lives until the command ends; NULL, with the call failed, when the arena
 * is at its cap; never NULL for a count of 0. */
void *neep_vk_call_alloc(struct neep_vk_call *call, size_t count, size_t size);

/* Gives up the turn so that commands of other streams go on: before anything that may wait. After it, objects are good only by
 * reference. Idempotent. */
void neep_vk_call_end_turn(struct neep_vk_call *call);

/* The table of the call's context. */
struct neep_vk_table *neep_vk_call_table(const struct neep_vk_call *call);

/* Adds a bare object and stores its id; on failure the driver's object is released and VK_ERROR_OUT_OF_HOST_MEMORY (a negative
 * VkResult) is returned, else 0. */
int32_t neep_vk_call_add(struct neep_vk_call *call, const struct neep_vk_object_params *params, uint64_t *id);

#endif
