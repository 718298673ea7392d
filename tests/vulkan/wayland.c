/*
 * A client of a Wayland compositor: WAYLAND [FOLDER] presents a number of pictures in a window, writes the last one
 * out, says "shown", and keeps it there until its standard input ends.
 */
#include <unistd.h>

#define VK_USE_PLATFORM_WAYLAND_KHR
#include "scene.h"

#include "wlb.h"
#include <vulkan/vulkan_wayland.h>

#define WIDTH      384
#define HEIGHT     256
#define FRAMES     20
#define MAX_IMAGES 8

#define SRC VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL
#define DST VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL

struct chain {
	VkSurfaceKHR surface;
	VkSwapchainKHR swapchain;
	VkImage images[MAX_IMAGES];
	uint32_t count;
};

static void open_instance(struct vk *vk) {
	static const char *const extensions[] = { "VK_KHR_surface", "VK_KHR_wayland_surface" };
	vk_open_instance_with(vk, extensions, VK_COUNT(extensions));
}

static void create_chain(const struct vk *vk, const struct wlb_client *client,
	const struct wlb_window *window, struct chain *chain) {
	vk_ok(vkCreateWaylandSurfaceKHR(vk->instance,
		&(VkWaylandSurfaceCreateInfoKHR){
			.sType = VK_STRUCTURE_TYPE_WAYLAND_SURFACE_CREATE_INFO_KHR,
			.display = client->display,
			.surface = window->surface,
		},
		NULL, &chain->surface));
	VkBool32 presents = VK_FALSE;
	vk_ok(vkGetPhysicalDeviceSurfaceSupportKHR(
		vk->physical, vk->queue_family, chain->surface, &presents));
	expect(presents);
	VkSurfaceCapabilitiesKHR can;
	vk_ok(vkGetPhysicalDeviceSurfaceCapabilitiesKHR(vk->physical, chain->surface, &can));
	expect((can.supportedUsageFlags & VK_IMAGE_USAGE_TRANSFER_DST_BIT) != 0);
	vk_ok(vkCreateSwapchainKHR(vk->device,
		&(VkSwapchainCreateInfoKHR){
			.sType = VK_STRUCTURE_TYPE_SWAPCHAIN_CREATE_INFO_KHR,
			.surface = chain->surface,
			.minImageCount = can.minImageCount,
			.imageFormat = VK_FORMAT_B8G8R8A8_UNORM,
			.imageColorSpace = VK_COLOR_SPACE_SRGB_NONLINEAR_KHR,
			.imageExtent = { WIDTH, HEIGHT },
			.imageArrayLayers = 1,
			.imageUsage = VK_IMAGE_USAGE_TRANSFER_DST_BIT,
			.preTransform = VK_SURFACE_TRANSFORM_IDENTITY_BIT_KHR,
			.compositeAlpha = VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR,
			.presentMode = VK_PRESENT_MODE_FIFO_KHR,
			.clipped = VK_TRUE,
		},
		NULL, &chain->swapchain));
	chain->count = MAX_IMAGES;
	vk_ok(vkGetSwapchainImagesKHR(vk->device, chain->swapchain, &chain->count, chain->images));
}

/* The scene, wandering: each frame differs from the one before. */
static void draw(const struct vk *vk, const struct scene *scene, uint32_t frame) {
	VkCommandBuffer commands = vk_begin(vk);
	vk_target_begin(&scene->target, commands, (float[]){ 0.1f, 0.02f * (float)frame, 0.3f, 1 },
		VK_SUBPASS_CONTENTS_INLINE);
	scene_bind(scene, commands);
	scene_push(scene, commands, (float[]){ 0.05f * (float)frame, 0, 0.5f }, 1);
	vkCmdDraw(commands, SCENE_VERTICES / 2, 1, 0, 0);
	vkCmdEndRenderPass(commands);
	vk_end(vk, commands);
}

static void blit(VkCommandBuffer commands, const struct scene *scene, VkImage to) {
	const VkImageSubresourceLayers base = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1 };
	const VkImageBlit region = { base, { { 0, 0, 0 }, { SCENE_SIZE, SCENE_SIZE, 1 } }, base,
		{ { 0, 0, 0 }, { WIDTH, HEIGHT, 1 } } };
	vkCmdBlitImage(commands, scene->target.color.image, SRC, to, DST, 1, &region, VK_FILTER_NEAREST);
}

static void present(const struct vk *vk, const struct scene *scene, const struct chain *chain) {
	VkFence acquired = vk_fence_create(vk, NULL);
	uint32_t index;
	VkResult result = vkAcquireNextImageKHR(
		vk->device, chain->swapchain, UINT64_MAX, VK_NULL_HANDLE, acquired, &index);
	expect(result == VK_SUCCESS || result == VK_SUBOPTIMAL_KHR);
	vk_ok(vkWaitForFences(vk->device, 1, &acquired, VK_TRUE, UINT64_MAX));
	vkDestroyFence(vk->device, acquired, NULL);
	const struct vk_image image = {
		.image = chain->images[index],
		.aspect = VK_IMAGE_ASPECT_COLOR_BIT,
		.levels = 1,
		.layers = 1,
	};
	VkCommandBuffer commands = vk_begin(vk);
	vk_image_barrier(commands, &image, VK_IMAGE_LAYOUT_UNDEFINED, DST);
	blit(commands, scene, image.image);
	vk_image_barrier(commands, &image, DST, VK_IMAGE_LAYOUT_PRESENT_SRC_KHR);
	vk_end(vk, commands);
	result = vkQueuePresentKHR(vk->queue, &(VkPresentInfoKHR){
						      .sType = VK_STRUCTURE_TYPE_PRESENT_INFO_KHR,
						      .swapchainCount = 1,
						      .pSwapchains = &chain->swapchain,
						      .pImageIndices = &index,
					      });
	expect(result == VK_SUCCESS || result == VK_SUBOPTIMAL_KHR);
}

/* The same blit to an image that can be read. */
static void save(const struct vk *vk, const struct scene *scene) {
	struct vk_image image = {
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.width = WIDTH,
		.height = HEIGHT,
		.usage = VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT,
	};
	vk_image_create(vk, &image);
	VkCommandBuffer commands = vk_begin(vk);
	vk_image_barrier(commands, &image, VK_IMAGE_LAYOUT_UNDEFINED, DST);
	blit(commands, scene, image.image);
	vk_image_barrier(commands, &image, DST, SRC);
	vk_end(vk, commands);
	uint8_t *pixels = vk_read_image(vk, &image);
	out_picture("window", pixels, image.width, image.height);
	out_bytes("window", pixels, (size_t)image.width * image.height * 4);
	out_text("%u %u", image.width, image.height);
	free(pixels);
	vk_image_destroy(vk, &image);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct wlb_client client;
	struct wlb_window window;
	wlb_client_open(&client);
	wlb_window_open(&client, "neep-test", &window);
	struct vk vk;
	open_instance(&vk);
	static const char *const extension = "VK_KHR_swapchain";
	vk_open_device(&vk, &(struct vk_wants){ .extensions = &extension, .extension_count = 1 });
	struct chain chain;
	create_chain(&vk, &client, &window, &chain);
	struct scene scene;
	scene_create(&vk, &scene, false);
	for (uint32_t i = 0; i < FRAMES; i++) {
		draw(&vk, &scene, i);
		present(&vk, &scene, &chain);
	}
	save(&vk, &scene);
	printf("shown\n");
	wlb_dispatch_until(&client, STDIN_FILENO, -1);
	vk_ok(vkDeviceWaitIdle(vk.device));
	scene_destroy(&vk, &scene);
	vkDestroySwapchainKHR(vk.device, chain.swapchain, NULL);
	vkDestroySurfaceKHR(vk.instance, chain.surface, NULL);
	vk_close(&vk);
	wlb_window_close(&window);
	wlb_client_close(&client);
}
