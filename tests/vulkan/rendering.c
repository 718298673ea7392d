/* Vulkan 1.3: rendering without passes, and the second form of barriers and submissions. */
#include "scene.h"

static void barrier2(VkCommandBuffer commands, VkImage image, VkImageLayout from, VkImageLayout to) {
	vkCmdPipelineBarrier2(commands,
		&(VkDependencyInfo){
			.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO,
			.imageMemoryBarrierCount = 1,
			.pImageMemoryBarriers =
				&(VkImageMemoryBarrier2){
					.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER_2,
					.srcStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,
					.srcAccessMask = VK_ACCESS_2_MEMORY_WRITE_BIT,
					.dstStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,
					.dstAccessMask =
						VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT,
					.oldLayout = from,
					.newLayout = to,
					.srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
					.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
					.image = image,
					.subresourceRange = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1 },
				},
		});
}

static VkPipeline create_pipeline(const struct vk *vk, const struct scene *scene) {
	const VkFormat format = VK_FORMAT_R8G8B8A8_UNORM;
	const VkPipelineRenderingCreateInfo rendering = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RENDERING_CREATE_INFO,
		.colorAttachmentCount = 1,
		.pColorAttachmentFormats = &format,
	};
	struct vk_pipeline_info info = scene_pipeline_info(scene, false);
	info.pass = VK_NULL_HANDLE;
	info.next = &rendering;
	return vk_graphics_pipeline(vk, &info);
}

static void record(VkCommandBuffer commands, const struct scene *scene, VkPipeline pipeline) {
	VkImage image = scene->target.color.image;
	barrier2(commands, image, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL);
	vkCmdBeginRendering(
		commands, &(VkRenderingInfo){
				  .sType = VK_STRUCTURE_TYPE_RENDERING_INFO,
				  .renderArea = { { 0, 0 }, { SCENE_SIZE, SCENE_SIZE } },
				  .layerCount = 1,
				  .colorAttachmentCount = 1,
				  .pColorAttachments =
					  &(VkRenderingAttachmentInfo){
						  .sType = VK_STRUCTURE_TYPE_RENDERING_ATTACHMENT_INFO,
						  .imageView = scene->target.color.view,
						  .imageLayout = VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL,
						  .loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR,
						  .storeOp = VK_ATTACHMENT_STORE_OP_STORE,
						  .clearValue.color = { { 0, 0.3f, 0.3f, 1 } },
					  },
			  });
	scene_bind(scene, commands);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline);
	vkCmdDraw(commands, SCENE_VERTICES / 2, 1, SCENE_VERTICES / 4, 0);
	vkCmdEndRendering(commands);
	barrier2(commands, image, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL,
		VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL);
}

static void submit2(const struct vk *vk, VkCommandBuffer commands) {
	VkFence fence = vk_fence_create(vk, NULL);
	VkSemaphore semaphore = vk_semaphore_create(vk, NULL);
	const VkCommandBufferSubmitInfo command = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO,
		.commandBuffer = commands,
	};
	const VkSemaphoreSubmitInfo between = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
		.semaphore = semaphore,
		.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,
	};
	const VkSubmitInfo2 submits[] = {
		{
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
			.commandBufferInfoCount = 1,
			.pCommandBufferInfos = &command,
			.signalSemaphoreInfoCount = 1,
			.pSignalSemaphoreInfos = &between,
		},
		{
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
			.waitSemaphoreInfoCount = 1,
			.pWaitSemaphoreInfos = &between,
		},
	};
	vk_ok(vkQueueSubmit2(vk->queue, VK_COUNT(submits), submits, fence));
	vk_ok(vkWaitForFences(vk->device, 1, &fence, VK_TRUE, UINT64_MAX));
	vkDestroySemaphore(vk->device, semaphore, NULL);
	vkDestroyFence(vk->device, fence, NULL);
}

/* The second form of copies and events, on a buffer. */
static void copies2(const struct vk *vk) {
	struct vk_buffer from, to;
	vk_buffer_create(
		vk, &from, 4096, VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	vk_buffer_create(vk, &to, 4096, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	VkEvent event;
	vk_ok(vkCreateEvent(vk->device,
		&(VkEventCreateInfo){
			.sType = VK_STRUCTURE_TYPE_EVENT_CREATE_INFO,
			.flags = VK_EVENT_CREATE_DEVICE_ONLY_BIT,
		},
		NULL, &event));
	const VkDependencyInfo after = {
		.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO,
		.memoryBarrierCount = 1,
		.pMemoryBarriers =
			&(VkMemoryBarrier2){
				.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
				.srcStageMask = VK_PIPELINE_STAGE_2_CLEAR_BIT,
				.srcAccessMask = VK_ACCESS_2_TRANSFER_WRITE_BIT,
				.dstStageMask = VK_PIPELINE_STAGE_2_COPY_BIT,
				.dstAccessMask = VK_ACCESS_2_TRANSFER_READ_BIT,
			},
	};
	VkCommandBuffer commands = vk_begin(vk);
	vkCmdFillBuffer(commands, from.buffer, 0, VK_WHOLE_SIZE, 0xabcdef01);
	vkCmdSetEvent2(commands, event, &after);
	vkCmdWaitEvents2(commands, 1, &event, &after);
	vkCmdCopyBuffer2(commands,
		&(VkCopyBufferInfo2){
			.sType = VK_STRUCTURE_TYPE_COPY_BUFFER_INFO_2,
			.srcBuffer = from.buffer,
			.dstBuffer = to.buffer,
			.regionCount = 1,
			.pRegions =
				&(VkBufferCopy2){ .sType = VK_STRUCTURE_TYPE_BUFFER_COPY_2, .size = 4096 },
		});
	vk_barrier(commands);
	vk_end(vk, commands);
	expect(((uint32_t *)to.map)[1023] == 0xabcdef01);
	vkDestroyEvent(vk->device, event, NULL);
	vk_buffer_destroy(vk, &from);
	vk_buffer_destroy(vk, &to);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open_instance(&vk);
	if (vk.properties.apiVersion < VK_API_VERSION_1_3) {
		out_skip_all("Vulkan 1.3 is not offered");
	}
	VkPhysicalDeviceVulkan13Features features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES,
		.dynamicRendering = VK_TRUE,
		.synchronization2 = VK_TRUE,
	};
	vk_open_device(&vk, &(struct vk_wants){ .features = &features });
	struct scene scene;
	scene_create(&vk, &scene, false);
	VkPipeline pipeline = create_pipeline(&vk, &scene);
	VkCommandBuffer commands = vk_begin(&vk);
	record(commands, &scene, pipeline);
	vk_ok(vkEndCommandBuffer(commands));
	submit2(&vk, commands);
	vk_save_image(&vk, &scene.target.color, "rendering");
	copies2(&vk);
	vkFreeCommandBuffers(vk.device, vk.pool, 1, &commands);
	vkDestroyPipeline(vk.device, pipeline, NULL);
	scene_destroy(&vk, &scene);
	vk_close(&vk);
}
