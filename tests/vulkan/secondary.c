/* Secondary command buffers: inside a pass, outside of it, and one of them executed by two primary ones. */
#include <string.h>

#include "scene.h"

#define PARTS 4

static VkCommandBuffer begin_secondary(const struct vk *vk, const struct scene *scene) {
	VkCommandBuffer commands;
	vk_ok(vkAllocateCommandBuffers(vk->device,
		&(VkCommandBufferAllocateInfo){
			.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
			.commandPool = vk->pool,
			.level = VK_COMMAND_BUFFER_LEVEL_SECONDARY,
			.commandBufferCount = 1,
		},
		&commands));
	const VkCommandBufferInheritanceInfo inherited = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO,
		.renderPass = scene != NULL ? scene->target.pass : VK_NULL_HANDLE,
		.framebuffer = scene != NULL ? scene->target.framebuffer : VK_NULL_HANDLE,
	};
	VkCommandBufferUsageFlags usage = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;
	usage |= scene != NULL ? VK_COMMAND_BUFFER_USAGE_RENDER_PASS_CONTINUE_BIT : 0;
	vk_ok(vkBeginCommandBuffer(commands, &(VkCommandBufferBeginInfo){
						     .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
						     .flags = usage,
						     .pInheritanceInfo = &inherited,
					     }));
	return commands;
}

static void draw_with(const struct vk *vk, const struct scene *scene, const VkCommandBuffer *parts,
	uint32_t count, const char *name) {
	VkCommandBuffer commands = vk_begin(vk);
	vk_target_begin(&scene->target, commands, (float[]){ 0, 0, 0, 1 },
		VK_SUBPASS_CONTENTS_SECONDARY_COMMAND_BUFFERS);
	vkCmdExecuteCommands(commands, count, parts);
	scene_end(vk, scene, commands, name);
}

static void in_a_pass(const struct vk *vk, const struct scene *scene) {
	VkCommandBuffer parts[PARTS];
	for (uint32_t i = 0; i < PARTS; i++) {
		parts[i] = begin_secondary(vk, scene);
		scene_bind(scene, parts[i]);
		scene_push(scene, parts[i], (float[]){ 0, 0, 0.5f }, 1 - 0.2f * (float)i);
		vkCmdDraw(parts[i], SCENE_VERTICES / PARTS, 1, i * SCENE_VERTICES / PARTS, 0);
		vk_ok(vkEndCommandBuffer(parts[i]));
	}
	draw_with(vk, scene, parts, PARTS, "all");
	draw_with(vk, scene, parts + 1, 2, "middle");
	vkFreeCommandBuffers(vk->device, vk->pool, PARTS, parts);
}

static void outside_of_one(const struct vk *vk) {
	struct vk_buffer buffer;
	vk_buffer_create(vk, &buffer, 4096, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	VkCommandBuffer fill = begin_secondary(vk, NULL);
	vkCmdFillBuffer(fill, buffer.buffer, 0, 2048, 0x11223344);
	vkCmdUpdateBuffer(fill, buffer.buffer, 2048, 16, (uint32_t[]){ 1, 2, 3, 4 });
	vkCmdFillBuffer(fill, buffer.buffer, 2064, VK_WHOLE_SIZE, 0x55667788);
	vk_ok(vkEndCommandBuffer(fill));
	for (uint32_t i = 0; i < 2; i++) {
		memset(buffer.map, 0, buffer.size);
		VkCommandBuffer commands = vk_begin(vk);
		vkCmdExecuteCommands(commands, 1, &fill);
		vk_barrier(commands);
		vk_end(vk, commands);
		const uint32_t *words = buffer.map;
		expect(words[0] == 0x11223344 && words[511] == 0x11223344 && words[514] == 3 &&
			words[516] == 0x55667788 && words[1023] == 0x55667788);
	}
	vkFreeCommandBuffers(vk->device, vk->pool, 1, &fill);
	vk_buffer_destroy(vk, &buffer);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	struct scene scene;
	scene_create(&vk, &scene, false);
	in_a_pass(&vk, &scene);
	outside_of_one(&vk);
	scene_destroy(&vk, &scene);
	vk_close(&vk);
}
