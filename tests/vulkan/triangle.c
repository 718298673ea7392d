/* A triangle with a colour at each corner. */
#include "vk.h"

#include "color_fs.h"
#include "triangle_vs.h"

#define SIZE 256

static void expect_triangle(const struct vk *vk, const struct vk_target *target) {
	uint8_t *pixels = vk_read_image(vk, vk_target_picture(target));
	out_picture("triangle", pixels, SIZE, SIZE);
	const uint8_t *corner = pixels, *middle = pixels + (size_t)(SIZE / 2 * SIZE + SIZE / 2) * 4;
	expect(corner[0] == 26 && corner[1] == 26 && corner[2] == 51 && corner[3] == 255);
	expect(middle[0] > 60 && middle[1] > 60 && middle[2] > 60);
	free(pixels);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	struct vk_target target;
	vk_target_create(&vk, &target, &(struct vk_target_info){ .width = SIZE, .height = SIZE });
	VkPipelineLayout layout = vk_pipeline_layout(&vk, NULL, 0);
	VkPipeline pipeline =
		vk_graphics_pipeline(&vk, &(struct vk_pipeline_info){
						  .layout = layout,
						  .pass = target.pass,
						  .vertex = VK_SHADER(triangle_vs),
						  .fragment = VK_SHADER(color_fs),
						  .topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST,
					  });
	VkCommandBuffer commands = vk_begin(&vk);
	vk_target_begin(&target, commands, (float[]){ 26 / 255.0f, 26 / 255.0f, 0.2f, 1 },
		VK_SUBPASS_CONTENTS_INLINE);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline);
	vkCmdDraw(commands, 3, 1, 0, 0);
	vkCmdEndRenderPass(commands);
	vk_end(&vk, commands);
	expect_triangle(&vk, &target);
	vkDestroyPipeline(vk.device, pipeline, NULL);
	vkDestroyPipelineLayout(vk.device, layout, NULL);
	vk_target_destroy(&vk, &target);
	vk_close(&vk);
}
