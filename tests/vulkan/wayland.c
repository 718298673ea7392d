/*
 * A client of a Wayland compositor: WAYLAND [FOLDER] presents a number of pictures in a window, writes the last one
 * out, says "shown", and keeps it there until its standard input ends.
 */
#include <poll.h>
#include <string.h>
#include <wayland-client.h>

#define VK_USE_PLATFORM_WAYLAND_KHR
#include "scene.h"

#include "xdg-shell-client.h"
#include <vulkan/vulkan_wayland.h>

#define WIDTH      384
#define HEIGHT     256
#define FRAMES     20
#define MAX_IMAGES 8

#define SRC VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL
#define DST VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL

struct window {
	struct wl_display *display;
	struct wl_compositor *compositor;
	struct xdg_wm_base *shell;
	struct wl_surface *surface;
	struct xdg_surface *shell_surface;
	struct xdg_toplevel *toplevel;
	bool is_configured;
};

struct chain {
	VkSurfaceKHR surface;
	VkSwapchainKHR swapchain;
	VkImage images[MAX_IMAGES];
	uint32_t count;
};

static void ping(void *data, struct xdg_wm_base *shell, uint32_t serial) {
	(void)data;
	xdg_wm_base_pong(shell, serial);
}

static const struct xdg_wm_base_listener shell_listener = { .ping = ping };

static void add_global(
	void *data, struct wl_registry *registry, uint32_t name, const char *interface, uint32_t version) {
	struct window *window = data;
	if (strcmp(interface, wl_compositor_interface.name) == 0) {
		window->compositor =
			wl_registry_bind(registry, name, &wl_compositor_interface, version < 4 ? version : 4);
	} else if (strcmp(interface, xdg_wm_base_interface.name) == 0) {
		window->shell = wl_registry_bind(registry, name, &xdg_wm_base_interface, 1);
		xdg_wm_base_add_listener(window->shell, &shell_listener, window);
	}
}

static void remove_global(void *data, struct wl_registry *registry, uint32_t name) {
	(void)data;
	(void)registry;
	(void)name;
}

static const struct wl_registry_listener registry_listener = { add_global, remove_global };

static void configure_surface(void *data, struct xdg_surface *surface, uint32_t serial) {
	struct window *window = data;
	xdg_surface_ack_configure(surface, serial);
	window->is_configured = true;
}

static const struct xdg_surface_listener surface_listener = { .configure = configure_surface };

/* The window keeps its size, whatever the compositor wishes. */
static void configure_toplevel(
	void *data, struct xdg_toplevel *toplevel, int32_t width, int32_t height, struct wl_array *states) {
	(void)data;
	(void)toplevel;
	(void)width;
	(void)height;
	(void)states;
}

static void close_toplevel(void *data, struct xdg_toplevel *toplevel) {
	(void)data;
	(void)toplevel;
}

static const struct xdg_toplevel_listener toplevel_listener = {
	.configure = configure_toplevel,
	.close = close_toplevel,
};

static void open_window(struct window *window) {
	*window = (struct window){ 0 };
	window->display = wl_display_connect(NULL);
	expect(window->display != NULL);
	struct wl_registry *registry = wl_display_get_registry(window->display);
	wl_registry_add_listener(registry, &registry_listener, window);
	wl_display_roundtrip(window->display);
	expect(window->compositor != NULL && window->shell != NULL);
	window->surface = wl_compositor_create_surface(window->compositor);
	window->shell_surface = xdg_wm_base_get_xdg_surface(window->shell, window->surface);
	xdg_surface_add_listener(window->shell_surface, &surface_listener, window);
	window->toplevel = xdg_surface_get_toplevel(window->shell_surface);
	xdg_toplevel_add_listener(window->toplevel, &toplevel_listener, window);
	xdg_toplevel_set_app_id(window->toplevel, "neep-test");
	wl_surface_commit(window->surface);
	while (!window->is_configured) {
		expect(wl_display_dispatch(window->display) >= 0);
	}
	wl_registry_destroy(registry);
}

static void close_window(struct window *window) {
	xdg_toplevel_destroy(window->toplevel);
	xdg_surface_destroy(window->shell_surface);
	wl_surface_destroy(window->surface);
	xdg_wm_base_destroy(window->shell);
	wl_compositor_destroy(window->compositor);
	wl_display_disconnect(window->display);
}

static void open_instance(struct vk *vk) {
	static const char *const extensions[] = { "VK_KHR_surface", "VK_KHR_wayland_surface" };
	vk_open_instance_with(vk, extensions, VK_COUNT(extensions));
}

static void create_chain(const struct vk *vk, const struct window *window, struct chain *chain) {
	vk_ok(vkCreateWaylandSurfaceKHR(vk->instance,
		&(VkWaylandSurfaceCreateInfoKHR){
			.sType = VK_STRUCTURE_TYPE_WAYLAND_SURFACE_CREATE_INFO_KHR,
			.display = window->display,
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

/* Answers the compositor until the standard input ends. */
static void stay(const struct window *window) {
	struct pollfd fds[] = { { .fd = 0, .events = POLLIN },
		{ .fd = wl_display_get_fd(window->display), .events = POLLIN } };
	while (true) {
		wl_display_flush(window->display);
		expect(poll(fds, 2, -1) > 0);
		if (fds[0].revents != 0) {
			return;
		}
		expect(wl_display_dispatch(window->display) >= 0);
	}
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct window window;
	open_window(&window);
	struct vk vk;
	open_instance(&vk);
	static const char *const extension = "VK_KHR_swapchain";
	vk_open_device(&vk, &(struct vk_wants){ .extensions = &extension, .extension_count = 1 });
	struct chain chain;
	create_chain(&vk, &window, &chain);
	struct scene scene;
	scene_create(&vk, &scene, false);
	for (uint32_t i = 0; i < FRAMES; i++) {
		draw(&vk, &scene, i);
		present(&vk, &scene, &chain);
	}
	save(&vk, &scene);
	printf("shown\n");
	stay(&window);
	vk_ok(vkDeviceWaitIdle(vk.device));
	scene_destroy(&vk, &scene);
	vkDestroySwapchainKHR(vk.device, chain.swapchain, NULL);
	vkDestroySurfaceKHR(vk.instance, chain.surface, NULL);
	vk_close(&vk);
	close_window(&window);
}
