#include "vk.h"

#define COLOR_FORMAT VK_FORMAT_R8G8B8A8_UNORM

static VkAttachmentDescription attachment(const struct vk_image *image, VkImageLayout layout, bool stored) {
	return (VkAttachmentDescription){
		.format = image->format,
		.samples = image->samples,
		.loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR,
		.storeOp = stored ? VK_ATTACHMENT_STORE_OP_STORE : VK_ATTACHMENT_STORE_OP_DONT_CARE,
		.stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE,
		.stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE,
		.finalLayout = layout,
	};
}

/* What the pass reads or writes is done before what follows reads it, and the other way round. */
static const VkSubpassDependency dependencies[] = {
	{
		.srcSubpass = VK_SUBPASS_EXTERNAL,
		.dstSubpass = 0,
		.srcStageMask = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
		.dstStageMask = VK_PIPELINE_STAGE_ALL_GRAPHICS_BIT,
		.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT,
	},
	{
		.srcSubpass = 0,
		.dstSubpass = VK_SUBPASS_EXTERNAL,
		.srcStageMask = VK_PIPELINE_STAGE_ALL_GRAPHICS_BIT,
		.dstStageMask = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
		.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT,
	},
};

/* The attachments in the order of the framebuffer: colour, then depth and the resolved picture where there are any. */
struct attachments {
	VkAttachmentDescription descriptions[3];
	VkImageView views[3];
	uint32_t count;
	uint32_t depth;
	uint32_t resolved;
};

static uint32_t add(
	struct attachments *all, const struct vk_image *image, VkImageLayout layout, bool stored) {
	if (image->image == VK_NULL_HANDLE) {
		return VK_ATTACHMENT_UNUSED;
	}
	all->descriptions[all->count] = attachment(image, layout, stored);
	all->views[all->count] = image->view;
	return all->count++;
}

static void create_pass(const struct vk *vk, struct vk_target *target, const struct attachments *all) {
	const VkAttachmentReference color = { 0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL };
	const VkAttachmentReference depth = { all->depth, VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL };
	const VkAttachmentReference resolved = { all->resolved, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL };
	vk_ok(vkCreateRenderPass(vk->device,
		&(VkRenderPassCreateInfo){
			.sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO,
			.attachmentCount = all->count,
			.pAttachments = all->descriptions,
			.subpassCount = 1,
			.pSubpasses =
				&(VkSubpassDescription){
					.colorAttachmentCount = 1,
					.pColorAttachments = &color,
					.pResolveAttachments =
						all->resolved != VK_ATTACHMENT_UNUSED ? &resolved : NULL,
					.pDepthStencilAttachment = &depth,
				},
			.dependencyCount = VK_COUNT(dependencies),
			.pDependencies = dependencies,
		},
		NULL, &target->pass));
}

static void create_images(const struct vk *vk, struct vk_target *target, const struct vk_target_info *info) {
	bool resolves = info->samples > VK_SAMPLE_COUNT_1_BIT;
	const struct vk_image picture = {
		.format = COLOR_FORMAT,
		.width = info->width,
		.height = info->height,
		.usage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT,
	};
	target->color = picture;
	target->color.samples = info->samples;
	if (resolves) {
		target->color.usage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT;
		target->resolved = picture;
		vk_image_create(vk, &target->resolved);
	}
	vk_image_create(vk, &target->color);
	if (info->depth_format != VK_FORMAT_UNDEFINED) {
		target->depth = picture;
		target->depth.format = info->depth_format;
		target->depth.samples = info->samples;
		target->depth.usage = VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT;
		vk_image_create(vk, &target->depth);
	}
}

void vk_target_create(const struct vk *vk, struct vk_target *target, const struct vk_target_info *info) {
	*target = (struct vk_target){ 0 };
	create_images(vk, target, info);
	bool resolves = target->resolved.image != VK_NULL_HANDLE;
	struct attachments all = { 0 };
	add(&all, &target->color,
		resolves ? VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL : VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
		!resolves);
	all.depth = add(&all, &target->depth, VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL, false);
	all.resolved = add(&all, &target->resolved, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, true);
	create_pass(vk, target, &all);
	vk_ok(vkCreateFramebuffer(vk->device,
		&(VkFramebufferCreateInfo){
			.sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO,
			.renderPass = target->pass,
			.attachmentCount = all.count,
			.pAttachments = all.views,
			.width = info->width,
			.height = info->height,
			.layers = 1,
		},
		NULL, &target->framebuffer));
}

void vk_target_destroy(const struct vk *vk, struct vk_target *target) {
	vkDestroyFramebuffer(vk->device, target->framebuffer, NULL);
	vkDestroyRenderPass(vk->device, target->pass, NULL);
	vk_image_destroy(vk, &target->resolved);
	vk_image_destroy(vk, &target->depth);
	vk_image_destroy(vk, &target->color);
}

const struct vk_image *vk_target_picture(const struct vk_target *target) {
	return target->resolved.image != VK_NULL_HANDLE ? &target->resolved : &target->color;
}

void vk_set_viewport(VkCommandBuffer commands, uint32_t width, uint32_t height) {
	vkCmdSetViewport(commands, 0, 1, &(VkViewport){ 0, 0, (float)width, (float)height, 0, 1 });
	vkCmdSetScissor(commands, 0, 1, &(VkRect2D){ { 0, 0 }, { width, height } });
}

void vk_target_begin(const struct vk_target *target, VkCommandBuffer commands, const float clear[4],
	VkSubpassContents contents) {
	VkClearValue values[3] = { 0 };
	values[0].color = (VkClearColorValue){ { clear[0], clear[1], clear[2], clear[3] } };
	values[1].depthStencil.depth = 1;
	vkCmdBeginRenderPass(commands,
		&(VkRenderPassBeginInfo){
			.sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO,
			.renderPass = target->pass,
			.framebuffer = target->framebuffer,
			.renderArea = { { 0, 0 }, { target->color.width, target->color.height } },
			.clearValueCount = 3,
			.pClearValues = values,
		},
		contents);
	if (contents == VK_SUBPASS_CONTENTS_INLINE) {
		vk_set_viewport(commands, target->color.width, target->color.height);
	}
}
