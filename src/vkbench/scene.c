/* What the scenes have in common: the list, life and death, the result. */
#include <stdio.h>
#include <string.h>

#include "scenes.h"

static const struct vkb_scene_impl *const scenes[] = {
	&vkb_scene_clear,
	&vkb_scene_mesh,
	&vkb_scene_textured,
	&vkb_scene_draws,
	&vkb_scene_compute,
};
#define SCENE_COUNT (sizeof(scenes) / sizeof(*scenes))

const struct vkb_scene_impl *vkb_scene_find(const char *name) {
	for (size_t i = 0; i < SCENE_COUNT; i++) {
		if (strcmp(scenes[i]->name, name) == 0) {
			return scenes[i];
		}
	}
	return NULL;
}

void vkb_scene_print_list(void) {
	for (size_t i = 0; i < SCENE_COUNT; i++) {
		printf("  %-10s  %s\n", scenes[i]->name, scenes[i]->summary);
	}
}

static VkDeviceSize result_size(const struct vkb_scene *scene) {
	return scene->values.size != 0 ? scene->values.size : 4 * VKB_TARGET_SIZE * VKB_TARGET_SIZE;
}

void vkb_scene_create(struct vkb *vkb, const struct vkb_scene_impl *impl, struct vkb_scene *scene) {
	*scene = (struct vkb_scene){ .vkb = vkb, .impl = impl, .work = 1 };
	impl->setup(scene);
	struct vkb_buffer_params params = {
		.size = result_size(scene),
		.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT,
		.is_host_visible = true,
	};
	vkb_buffer_create(vkb, &params, &scene->result);
}

void vkb_scene_destroy(struct vkb_scene *scene) {
	VkDevice device = scene->vkb->device;
	vkDestroyPipeline(device, scene->pipeline, NULL);
	vkDestroyPipelineLayout(device, scene->layout, NULL);
	vkDestroyDescriptorPool(device, scene->set_pool, NULL);
	vkDestroyDescriptorSetLayout(device, scene->set_layout, NULL);
	vkDestroyFramebuffer(device, scene->framebuffer, NULL);
	vkDestroyRenderPass(device, scene->pass, NULL);
	vkDestroySampler(device, scene->sampler, NULL);
	vkb_image_destroy(scene->vkb, &scene->colour);
	vkb_image_destroy(scene->vkb, &scene->depth);
	vkb_image_destroy(scene->vkb, &scene->texture);
	vkb_buffer_destroy(scene->vkb, &scene->vertices);
	vkb_buffer_destroy(scene->vkb, &scene->indices);
	vkb_buffer_destroy(scene->vkb, &scene->uniforms);
	vkb_buffer_destroy(scene->vkb, &scene->values);
	vkb_buffer_destroy(scene->vkb, &scene->result);
}

void vkb_scene_begin_pass(const struct vkb_scene *scene, VkCommandBuffer commands, uint32_t frame) {
	const VkClearValue clear[2] = {
		{ .color.float32 = { (float)(frame % 64) / 64, 0.25F, 0.5F, 1 } },
		{ .depthStencil.depth = 1 },
	};
	VkRenderPassBeginInfo begin = {
		.sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO,
		.renderPass = scene->pass,
		.framebuffer = scene->framebuffer,
		.renderArea.extent = { VKB_TARGET_SIZE, VKB_TARGET_SIZE },
		.clearValueCount = scene->depth.image != VK_NULL_HANDLE ? 2 : 1,
		.pClearValues = clear,
	};
	vkCmdBeginRenderPass(commands, &begin, VK_SUBPASS_CONTENTS_INLINE);
	if (scene->pipeline != VK_NULL_HANDLE) {
		VkViewport viewport = { 0, 0, VKB_TARGET_SIZE, VKB_TARGET_SIZE, 0, 1 };
		vkCmdSetViewport(commands, 0, 1, &viewport);
		vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, scene->pipeline);
	}
	if (scene->set != VK_NULL_HANDLE) {
		vkCmdBindDescriptorSets(
			commands, VK_PIPELINE_BIND_POINT_GRAPHICS, scene->layout, 0, 1, &scene->set, 0, NULL);
	}
}

/* ---- the result ---- */

static void record_values_copy(const struct vkb_scene *scene, VkCommandBuffer commands) {
	VkMemoryBarrier barrier = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT,
	};
	VkBufferCopy copy = { .size = scene->values.size };
	vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
		0, 1, &barrier, 0, NULL, 0, NULL);
	vkCmdCopyBuffer(commands, scene->values.buffer, scene->result.buffer, 1, &copy);
}

static void record_image_copy(const struct vkb_scene *scene, VkCommandBuffer commands) {
	VkBufferImageCopy copy = {
		.imageSubresource = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1 },
		.imageExtent = { VKB_TARGET_SIZE, VKB_TARGET_SIZE, 1 },
	};
	vkCmdCopyImageToBuffer(commands, scene->colour.image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
		scene->result.buffer, 1, &copy);
}

static void record_result(const struct vkb_scene *scene, VkCommandBuffer commands) {
	VkMemoryBarrier barrier = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_HOST_READ_BIT,
	};
	if (scene->values.size != 0) {
		record_values_copy(scene, commands);
	} else {
		record_image_copy(scene, commands);
	}
	vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
		&barrier, 0, NULL, 0, NULL);
}

uint64_t vkb_scene_checksum(struct vkb_scene *scene) {
	VkCommandBuffer commands = vkb_once_begin(scene->vkb);
	scene->impl->record(scene, commands, 0);
	record_result(scene, commands);
	vkb_once_end(scene->vkb, commands);
	return vkb_checksum(scene->result.ptr, scene->result.size);
}
