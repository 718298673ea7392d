/* Indexed, indirect and counted draws and dispatches; each picture is that of the plain draw it stands for. */
#include <string.h>

#include "scene.h"

#define INDIRECT (VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT)

static struct vk_buffer buffer_of(
	const struct vk *vk, const void *data, size_t size, VkBufferUsageFlags usage) {
	struct vk_buffer buffer;
	vk_buffer_create(vk, &buffer, size, usage);
	memcpy(buffer.map, data, size);
	return buffer;
}

static void plain(const struct vk *vk, const struct scene *scene) {
	VkCommandBuffer commands = scene_begin(vk, scene);
	vkCmdDraw(commands, 96, 1, 0, 0);
	vkCmdDraw(commands, 48, 3, 192, 1);
	scene_end(vk, scene, commands, "plain");
}

/* The cells in reverse, with 16-bit indices and a vertex offset, then with 32-bit ones. */
static void indexed(const struct vk *vk, const struct scene *scene) {
	uint16_t small[96];
	uint32_t large[96];
	for (uint32_t i = 0; i < 96; i++) {
		small[i] = (uint16_t)(95 - i);
		large[i] = 191 - i;
	}
	struct vk_buffer buffers[] = {
		buffer_of(vk, small, sizeof(small), VK_BUFFER_USAGE_INDEX_BUFFER_BIT),
		buffer_of(vk, large, sizeof(large), VK_BUFFER_USAGE_INDEX_BUFFER_BIT),
	};
	VkCommandBuffer commands = scene_begin(vk, scene);
	vkCmdBindIndexBuffer(commands, buffers[0].buffer, 0, VK_INDEX_TYPE_UINT16);
	vkCmdDrawIndexed(commands, 48, 1, 0, 192, 0);
	vkCmdDrawIndexed(commands, 24, 2, 48, 0, 1);
	vkCmdBindIndexBuffer(commands, buffers[1].buffer, 48, VK_INDEX_TYPE_UINT32);
	vkCmdDrawIndexed(commands, 84, 1, 0, 0, 0);
	scene_end(vk, scene, commands, "indexed");
	vk_buffer_destroy(vk, &buffers[0]);
	vk_buffer_destroy(vk, &buffers[1]);
}

static void indirect(const struct vk *vk, const struct scene *scene) {
	const VkDrawIndirectCommand draws[] = { { 96, 1, 0, 0 }, { 48, 3, 192, 0 }, { 6, 1, 378, 0 } };
	struct vk_buffer buffer = buffer_of(vk, draws, sizeof(draws), INDIRECT);
	VkCommandBuffer commands = scene_begin(vk, scene);
	for (uint32_t i = 0; i < VK_COUNT(draws); i++) {
		vkCmdDrawIndirect(commands, buffer.buffer, i * sizeof(draws[0]), 1, sizeof(draws[0]));
	}
	scene_end(vk, scene, commands, "indirect");
	vk_buffer_destroy(vk, &buffer);
}

static void indexed_indirect(const struct vk *vk, const struct scene *scene) {
	uint16_t indices[48];
	for (uint32_t i = 0; i < VK_COUNT(indices); i++) {
		indices[i] = (uint16_t)(VK_COUNT(indices) - 1 - i);
	}
	const VkDrawIndexedIndirectCommand draws[] = { { 48, 1, 0, 96, 0 }, { 24, 2, 12, 240, 0 } };
	struct vk_buffer index = buffer_of(vk, indices, sizeof(indices), VK_BUFFER_USAGE_INDEX_BUFFER_BIT);
	struct vk_buffer buffer = buffer_of(vk, draws, sizeof(draws), INDIRECT);
	VkCommandBuffer commands = scene_begin(vk, scene);
	vkCmdBindIndexBuffer(commands, index.buffer, 0, VK_INDEX_TYPE_UINT16);
	vkCmdDrawIndexedIndirect(commands, buffer.buffer, 0, 1, sizeof(draws[0]));
	vkCmdDrawIndexedIndirect(commands, buffer.buffer, sizeof(draws[0]), 1, sizeof(draws[0]));
	scene_end(vk, scene, commands, "indexed-indirect");
	vk_buffer_destroy(vk, &index);
	vk_buffer_destroy(vk, &buffer);
}

/* Several draws of one call, with space between them, and a count in memory that is below the maximum. */
static void counted(const struct vk *vk, const struct scene *scene) {
	struct {
		VkDrawIndirectCommand draw;
		uint32_t between[2];
	} draws[4] = { { { 96, 1, 0, 0 }, { 0 } }, { { 48, 1, 192, 0 }, { 0 } }, { { 6, 1, 378, 0 }, { 0 } },
		{ { 300, 1, 0, 0 }, { 0 } } };
	struct {
		VkDrawIndexedIndirectCommand draw;
		uint32_t between[1];
	} indexed_draws[2] = { { { 6, 1, 0, 150, 0 }, { 0 } }, { { 6, 1, 0, 156, 0 }, { 0 } } };
	const uint32_t counts[] = { 3, 1 };
	const uint16_t indices[] = { 5, 4, 3, 2, 1, 0 };
	struct vk_buffer buffers[] = {
		buffer_of(vk, draws, sizeof(draws), INDIRECT),
		buffer_of(vk, counts, sizeof(counts), INDIRECT),
		buffer_of(vk, indexed_draws, sizeof(indexed_draws), INDIRECT),
		buffer_of(vk, indices, sizeof(indices), VK_BUFFER_USAGE_INDEX_BUFFER_BIT),
	};
	VkCommandBuffer commands = scene_begin(vk, scene);
	vkCmdDrawIndirectCount(commands, buffers[0].buffer, 0, buffers[1].buffer, 0, 4, sizeof(draws[0]));
	vkCmdBindIndexBuffer(commands, buffers[3].buffer, 0, VK_INDEX_TYPE_UINT16);
	vkCmdDrawIndexedIndirectCount(
		commands, buffers[2].buffer, 0, buffers[1].buffer, 4, 2, sizeof(indexed_draws[0]));
	scene_end(vk, scene, commands, "counted");
	for (uint32_t i = 0; i < VK_COUNT(buffers); i++) {
		vk_buffer_destroy(vk, &buffers[i]);
	}
}

static void multi(const struct vk *vk, const struct scene *scene) {
	const VkDrawIndirectCommand draws[] = { { 60, 1, 0, 0 }, { 60, 1, 120, 0 }, { 60, 2, 240, 0 } };
	struct vk_buffer buffer = buffer_of(vk, draws, sizeof(draws), INDIRECT);
	VkCommandBuffer commands = scene_begin(vk, scene);
	vkCmdDrawIndirect(commands, buffer.buffer, 0, VK_COUNT(draws), sizeof(draws[0]));
	scene_end(vk, scene, commands, "multi");
	vk_buffer_destroy(vk, &buffer);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open_instance(&vk);
	VkPhysicalDeviceVulkan12Features offered12 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES
	};
	VkPhysicalDeviceFeatures2 offered = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = &offered12,
	};
	vkGetPhysicalDeviceFeatures2(vk.physical, &offered);
	VkPhysicalDeviceVulkan12Features wanted12 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
		.drawIndirectCount = offered12.drawIndirectCount,
	};
	vk_open_device(
		&vk, &(struct vk_wants){
			     .features =
				     &(VkPhysicalDeviceFeatures2){
					     .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
					     .pNext = &wanted12,
					     .features.multiDrawIndirect = offered.features.multiDrawIndirect,
				     },
		     });
	struct scene scene;
	scene_create(&vk, &scene, false);
	plain(&vk, &scene);
	indexed(&vk, &scene);
	indirect(&vk, &scene);
	indexed_indirect(&vk, &scene);
	if (offered.features.multiDrawIndirect) {
		multi(&vk, &scene);
	} else {
		out_skip("multi", "multiDrawIndirect is not offered");
	}
	if (offered12.drawIndirectCount) {
		counted(&vk, &scene);
	} else {
		out_skip("counted", "drawIndirectCount is not offered");
	}
	scene_destroy(&vk, &scene);
	vk_close(&vk);
}
