/* Two subpasses: the second reads what the first drew as an input attachment and inverts it. */
#include "scene.h"

#include "invert_fs.h"
#include "whole_vs.h"

struct objects {
	struct scene scene; // the first subpass draws with its pipeline
	struct vk_image images[2];
	VkRenderPass pass;
	VkFramebuffer framebuffer;
	struct vk_set set;
	VkPipelineLayout layout;
	VkPipeline first;
	VkPipeline second;
};

static VkAttachmentDescription attachment(VkImageLayout layout) {
	return (VkAttachmentDescription){
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR,
		.storeOp = VK_ATTACHMENT_STORE_OP_STORE,
		.finalLayout = layout,
	};
}

static void create_pass(const struct vk *vk, struct objects *objects) {
	const VkAttachmentDescription attachments[] = {
		attachment(VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL),
		attachment(VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL),
	};
	const VkAttachmentReference drawn[] = {
		{ 0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL },
		{ 1, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL },
	};
	const VkAttachmentReference read = { 0, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL };
	const VkSubpassDescription subpasses[] = {
		{ .colorAttachmentCount = 1, .pColorAttachments = &drawn[0] },
		{ .inputAttachmentCount = 1,
			.pInputAttachments = &read,
			.colorAttachmentCount = 1,
			.pColorAttachments = &drawn[1] },
	};
	const VkSubpassDependency dependencies[] = {
		{ 0, 1, VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT, VK_PIPELINE_STAGE_ALL_GRAPHICS_BIT,
			VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
			VK_ACCESS_INPUT_ATTACHMENT_READ_BIT | VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
			VK_DEPENDENCY_BY_REGION_BIT },
		{ 1, VK_SUBPASS_EXTERNAL, VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
			VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
			VK_ACCESS_TRANSFER_READ_BIT, 0 },
	};
	vk_ok(vkCreateRenderPass(vk->device,
		&(VkRenderPassCreateInfo){
			.sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO,
			.attachmentCount = 2,
			.pAttachments = attachments,
			.subpassCount = 2,
			.pSubpasses = subpasses,
			.dependencyCount = VK_COUNT(dependencies),
			.pDependencies = dependencies,
		},
		NULL, &objects->pass));
}

static void create_images(const struct vk *vk, struct objects *objects) {
	for (uint32_t i = 0; i < 2; i++) {
		objects->images[i] = (struct vk_image){
			.format = VK_FORMAT_R8G8B8A8_UNORM,
			.width = SCENE_SIZE,
			.height = SCENE_SIZE,
			.usage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT |
				 (i == 0 ? VK_IMAGE_USAGE_INPUT_ATTACHMENT_BIT
					 : VK_IMAGE_USAGE_TRANSFER_SRC_BIT),
		};
		vk_image_create(vk, &objects->images[i]);
	}
	vk_ok(vkCreateFramebuffer(vk->device,
		&(VkFramebufferCreateInfo){
			.sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO,
			.renderPass = objects->pass,
			.attachmentCount = 2,
			.pAttachments = (VkImageView[]){ objects->images[0].view, objects->images[1].view },
			.width = SCENE_SIZE,
			.height = SCENE_SIZE,
			.layers = 1,
		},
		NULL, &objects->framebuffer));
}

static void create_pipelines(const struct vk *vk, struct objects *objects) {
	const VkDescriptorSetLayoutBinding binding = { 0, VK_DESCRIPTOR_TYPE_INPUT_ATTACHMENT, 1,
		VK_SHADER_STAGE_FRAGMENT_BIT, NULL };
	vk_set_create(vk, &objects->set, &binding, 1);
	vk_set_image(vk, &objects->set, 0, VK_DESCRIPTOR_TYPE_INPUT_ATTACHMENT,
		&(VkDescriptorImageInfo){
			.imageView = objects->images[0].view,
			.imageLayout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
		});
	objects->layout = vk_pipeline_layout(vk, &objects->set, 0);
	struct vk_pipeline_info first = scene_pipeline_info(&objects->scene, false);
	first.pass = objects->pass;
	objects->first = vk_graphics_pipeline(vk, &first);
	objects->second = vk_graphics_pipeline(vk, &(struct vk_pipeline_info){
							   .layout = objects->layout,
							   .pass = objects->pass,
							   .subpass = 1,
							   .vertex = VK_SHADER(whole_vs),
							   .fragment = VK_SHADER(invert_fs),
							   .topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST,
						   });
}

static void draw(const struct vk *vk, const struct objects *objects) {
	VkCommandBuffer commands = vk_begin(vk);
	vkCmdBeginRenderPass(commands,
		&(VkRenderPassBeginInfo){
			.sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO,
			.renderPass = objects->pass,
			.framebuffer = objects->framebuffer,
			.renderArea = { { 0, 0 }, { SCENE_SIZE, SCENE_SIZE } },
			.clearValueCount = 2,
			.pClearValues = (VkClearValue[2]){ { .color = { { 0.2f, 0, 0, 1 } } } },
		},
		VK_SUBPASS_CONTENTS_INLINE);
	scene_bind(&objects->scene, commands);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, objects->first);
	vkCmdDraw(commands, SCENE_VERTICES / 2, 1, 0, 0);
	vkCmdNextSubpass(commands, VK_SUBPASS_CONTENTS_INLINE);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, objects->second);
	vkCmdBindDescriptorSets(
		commands, VK_PIPELINE_BIND_POINT_GRAPHICS, objects->layout, 0, 1, &objects->set.set, 0, NULL);
	vkCmdDraw(commands, 3, 1, 0, 0);
	vkCmdEndRenderPass(commands);
	vk_end(vk, commands);
	vk_save_image(vk, &objects->images[1], "inverted");
}

static void destroy(const struct vk *vk, struct objects *objects) {
	vkDestroyPipeline(vk->device, objects->first, NULL);
	vkDestroyPipeline(vk->device, objects->second, NULL);
	vkDestroyPipelineLayout(vk->device, objects->layout, NULL);
	vk_set_destroy(vk, &objects->set);
	vkDestroyFramebuffer(vk->device, objects->framebuffer, NULL);
	vkDestroyRenderPass(vk->device, objects->pass, NULL);
	vk_image_destroy(vk, &objects->images[0]);
	vk_image_destroy(vk, &objects->images[1]);
	scene_destroy(vk, &objects->scene);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	struct objects objects;
	scene_create(&vk, &objects.scene, false);
	create_pass(&vk, &objects);
	create_images(&vk, &objects);
	create_pipelines(&vk, &objects);
	draw(&vk, &objects);
	destroy(&vk, &objects);
	vk_close(&vk);
}
