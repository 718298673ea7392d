#include <string.h>

#include "vk.h"

VkCommandBuffer vk_allocate_commands(const struct vk *vk) {
	VkCommandBuffer commands;
	vk_ok(vkAllocateCommandBuffers(vk->device,
		&(VkCommandBufferAllocateInfo){
			.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
			.commandPool = vk->pool,
			.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
			.commandBufferCount = 1,
		},
		&commands));
	return commands;
}

void vk_begin_commands(VkCommandBuffer commands, VkCommandBufferUsageFlags usage) {
	vk_ok(vkBeginCommandBuffer(
		commands, &(VkCommandBufferBeginInfo){
				  .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, .flags = usage }));
}

VkCommandBuffer vk_begin(const struct vk *vk) {
	VkCommandBuffer commands = vk_allocate_commands(vk);
	vk_begin_commands(commands, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT);
	return commands;
}

void vk_submit(const struct vk *vk, VkCommandBuffer commands) {
	VkFence fence = vk_fence_create(vk, NULL);
	vk_ok(vkQueueSubmit(vk->queue, 1,
		&(VkSubmitInfo){
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
			.commandBufferCount = 1,
			.pCommandBuffers = &commands,
		},
		fence));
	vk_ok(vkWaitForFences(vk->device, 1, &fence, VK_TRUE, UINT64_MAX));
	vkDestroyFence(vk->device, fence, NULL);
}

void vk_end(const struct vk *vk, VkCommandBuffer commands) {
	vk_ok(vkEndCommandBuffer(commands));
	vk_submit(vk, commands);
	vkFreeCommandBuffers(vk->device, vk->pool, 1, &commands);
}

void vk_barrier(VkCommandBuffer commands) {
	vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
		VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
		&(VkMemoryBarrier){
			.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
			.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
			.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT |
					 VK_ACCESS_HOST_READ_BIT,
		},
		0, NULL, 0, NULL);
}

static void range_barrier(VkCommandBuffer commands, const struct vk_image *image,
	VkImageSubresourceRange range, const VkImageLayout layouts[2]) {
	vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
		0, 0, NULL, 0, NULL, 1,
		&(VkImageMemoryBarrier){
			.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
			.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
			.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT,
			.oldLayout = layouts[0],
			.newLayout = layouts[1],
			.srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
			.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
			.image = image->image,
			.subresourceRange = range,
		});
}

void vk_image_barrier(
	VkCommandBuffer commands, const struct vk_image *image, VkImageLayout from, VkImageLayout to) {
	range_barrier(commands, image,
		(VkImageSubresourceRange){ image->aspect, 0, image->levels, 0, image->layers },
		(VkImageLayout[]){ from, to });
}

void vk_level_barrier(VkCommandBuffer commands, const struct vk_image *image, uint32_t level,
	VkImageLayout from, VkImageLayout to) {
	range_barrier(commands, image, (VkImageSubresourceRange){ image->aspect, level, 1, 0, image->layers },
		(VkImageLayout[]){ from, to });
}

static VkBufferImageCopy whole_level(const struct vk_image *image, uint32_t level) {
	uint32_t width = image->width >> level, height = image->height >> level;
	return (VkBufferImageCopy){
		.imageSubresource = { image->aspect, level, 0, 1 },
		.imageExtent = { width != 0 ? width : 1, height != 0 ? height : 1, 1 },
	};
}

uint8_t *vk_read_level(const struct vk *vk, const struct vk_image *image, uint32_t level) {
	VkBufferImageCopy copy = whole_level(image, level);
	size_t size = (size_t)copy.imageExtent.width * copy.imageExtent.height * 4;
	struct vk_buffer buffer;
	vk_buffer_create(vk, &buffer, size, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	VkCommandBuffer commands = vk_begin(vk);
	vkCmdCopyImageToBuffer(
		commands, image->image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, buffer.buffer, 1, &copy);
	vk_barrier(commands);
	vk_end(vk, commands);
	uint8_t *pixels = out_alloc(size, 1);
	memcpy(pixels, buffer.map, size);
	vk_buffer_destroy(vk, &buffer);
	return pixels;
}

uint8_t *vk_read_image(const struct vk *vk, const struct vk_image *image) {
	return vk_read_level(vk, image, 0);
}

void vk_save_image(const struct vk *vk, const struct vk_image *image, const char *name) {
	uint8_t *pixels = vk_read_image(vk, image);
	out_picture(name, pixels, image->width, image->height);
	free(pixels);
}

void vk_fill_image(
	const struct vk *vk, const struct vk_image *image, const uint8_t *pixels, VkImageLayout layout) {
	struct vk_buffer buffer;
	vk_buffer_create(vk, &buffer, (VkDeviceSize)image->width * image->height * 4,
		VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
	memcpy(buffer.map, pixels, buffer.size);
	VkBufferImageCopy copy = whole_level(image, 0);
	VkCommandBuffer commands = vk_begin(vk);
	vk_image_barrier(commands, image, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL);
	vkCmdCopyBufferToImage(
		commands, buffer.buffer, image->image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &copy);
	vk_image_barrier(commands, image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, layout);
	vk_end(vk, commands);
	vk_buffer_destroy(vk, &buffer);
}
