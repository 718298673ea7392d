/* A driver that does nothing but count, and handlers of the same kind (weak: a test may bring its own). */
#ifndef NEEP_TESTS_VULKAN_ROOM_STUBS_H
#define NEEP_TESTS_VULKAN_ROOM_STUBS_H

#include "vulkan/decoder.h"
#include "vulkan/device.h"

struct neep_stub_log {
	uint64_t calls;
	uint64_t handles; // of the driver: the last one given out
	const char *last; // "vkXyz" of the driver, "neep_vk_Xyz" of a handler
	int32_t result;   // what everything returns
};
extern struct neep_stub_log neep_stub_log;

void neep_stub_instance_table(struct neep_vk_instance_table *table);
void neep_stub_device_table(struct neep_vk_device_table *table);

/* A decoder, and one object of each type. */
struct neep_stub_world {
	struct neep_vk_decoder decoder;
	struct neep_vk_table *table;
	uint64_t ids[NEEP_VK_TYPE_COUNT];
	struct neep_vk_object *objects[NEEP_VK_TYPE_COUNT];
	struct neep_vk_instance *instance;
	struct neep_vk_physical_device *physical;
	struct neep_vk_device *device;
};

/* The driver's handle of an object of that type. */
#define NEEP_STUB_HANDLE(type) (0x1000u + (type))

bool neep_stub_world_init(struct neep_stub_world *world);
/* Decodes recorded commands for the command buffer. Returns 0 or a negative errno. */
int neep_stub_record(struct neep_stub_world *world, const void *commands, size_t len);
void neep_stub_world_finish(struct neep_stub_world *world);

#endif
