#include <stdlib.h>

#include "vulkan_room/stubs.h"

static bool add(struct neep_stub_world *world, struct neep_vk_object *object, enum neep_vk_type type,
	struct neep_vk_object *parent) {
	struct neep_vk_object_params params = {
		.type = type, .handle = NEEP_STUB_HANDLE(type), .parent = parent
	};
	if (object == NULL || neep_vk_object_add(world->table, object, &params) < 0) {
		free(object);
		return false;
	}
	world->ids[type] = object->id;
	world->objects[type] = object;
	return true;
}

static bool add_roots(struct neep_stub_world *world) {
	world->instance = calloc(1, sizeof(*world->instance));
	world->physical = calloc(1, sizeof(*world->physical));
	world->device = calloc(1, sizeof(*world->device));
	neep_stub_instance_table(&world->instance->vk);
	neep_stub_device_table(&world->device->vk);
	world->physical->instance = world->instance;
	world->device->physical = world->physical;
	return add(world, &world->instance->base, NEEP_VK_INSTANCE, NULL) &&
	       add(world, &world->physical->base, NEEP_VK_PHYSICAL_DEVICE, &world->instance->base) &&
	       add(world, &world->device->base, NEEP_VK_DEVICE, &world->physical->base);
}

bool neep_stub_world_init(struct neep_stub_world *world) {
	*world = (struct neep_stub_world){ .table = neep_vk_table_create(100000) };
	neep_stub_log = (struct neep_stub_log){ .handles = 0x10000 };
	if (world->table == NULL || !add_roots(world)) {
		return false;
	}
	for (int type = NEEP_VK_QUEUE; type < NEEP_VK_TYPE_COUNT; type++) {
		/* Large enough for what any handler's type would hold. */
		if (!add(world, calloc(1, 1024), (enum neep_vk_type)type, &world->device->base)) {
			return false;
		}
	}
	struct neep_vk_decoder_params params = { .table = world->table, .arena_bytes = 64 << 20 };
	neep_vk_decoder_init(&world->decoder, &params);
	return true;
}

int neep_stub_record(struct neep_stub_world *world, const void *commands, size_t len) {
	struct neep_vk_commands all = { .bytes = commands, .len = len, .here = len };
	return neep_vk_decode_commands(&world->decoder, world->objects[NEEP_VK_COMMAND_BUFFER], &all);
}

void neep_stub_world_finish(struct neep_stub_world *world) {
	neep_vk_decoder_finish(&world->decoder);
	neep_vk_table_destroy(world->table);
}
