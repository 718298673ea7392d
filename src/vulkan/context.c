#include "vulkan/context.h"

#include <errno.h>
#include <stdlib.h>

#include "util/clock.h"
#include "util/log.h"
#include "vulkan/wait.h"

/* How long the work of a guest that is gone may keep its objects. */
#define DRAIN_NS (2 * NEEP_NS_PER_S)

const struct neep_vk_limits neep_vk_default_limits = {
	.packet_bytes = 256u << 20,
	.arena_bytes = 512u << 20,
	.objects = 4u << 20,
	.memory_bytes = UINT64_MAX,
	.mapped_bytes = UINT64_MAX,
	.late_bytes = 32u << 10,
};

struct neep_vk_context *neep_vk_context_create(
	struct neep_vk_host *host, const struct neep_vk_limits *limits, struct neep_error *error) {
	struct neep_vk_context *context = calloc(1, sizeof(*context));
	if (context == NULL) {
		goto err_memory;
	}
	context->host = host;
	context->limits = *limits;
	context->table = neep_vk_table_create(limits->objects);
	if (context->table == NULL) {
		goto err_context;
	}
	neep_vk_sequence_init(&context->sequence, 0);
	neep_vk_recordings_init(&context->recordings);
	neep_vk_late_init(&context->late);
	return context;

err_context:
	free(context);
err_memory:
	neep_error_set(error, ENOMEM, "cannot make a Vulkan context");
	return NULL;
}

void neep_vk_context_refuse_all(struct neep_vk_context *context) {
	context->refuses_all = true;
}

void neep_vk_context_stop(struct neep_vk_context *context) {
	atomic_store(&context->is_ending, true);
	neep_vk_sequence_stop(&context->sequence);
}

void neep_vk_context_lose(struct neep_vk_context *context, const char *reason) {
	bool was_lost = atomic_exchange(&context->is_lost, true);
	neep_vk_context_stop(context);
	if (!was_lost) {
		context->host->impl->lost(context->host, reason);
	}
}

/* Whether all that the guest has submitted has ended. */
static bool drain(struct neep_vk_context *context) {
	int64_t deadline = neep_clock_ns() + DRAIN_NS;
	struct neep_vk_object *queue = NULL;
	while ((queue = neep_vk_table_next(context->table, queue, NEEP_VK_QUEUE)) != NULL) {
		if (!neep_vk_drain_queue(queue, deadline)) {
			return false;
		}
	}
	return true;
}

void neep_vk_context_destroy(struct neep_vk_context *context) {
	if (context == NULL) {
		return;
	}
	neep_vk_context_stop(context);
	if (drain(context)) {
		neep_vk_table_destroy(context->table);
	} else {
		/* Destroying what the device still uses would be worse than leaving it to the end of the process. */
		neep_log("vulkan", NEEP_LOG_WARN,
			"the device is still busy with a context that ended: its objects stay");
	}
	neep_vk_late_finish(&context->late);
	neep_vk_recordings_finish(&context->recordings);
	free(context);
}
