/* neep-bench-vulkan: a plain Vulkan program that measures one thing per run. `neep bench vulkan` runs it natively and through
 * neep; it knows nothing of neep.
 *
 * Results are lines "key value" on stdout. Whatever Vulkan refuses ends the program with exit code 1 and a line on stderr: a
 * figure of a half-failed run is worth nothing. One thread, but where it says otherwise. */
#ifndef NEEP_VKBENCH_VKB_H
#define NEEP_VKBENCH_VKB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#define VKB_TARGET_SIZE 256 // pixels, width and height

/* Ends the program with a message. */
_Noreturn void vkb_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the program when `result` is an error. */
void vkb_check(VkResult result, const char *what);

/* CLOCK_MONOTONIC, nanoseconds. */
int64_t vkb_now(void);

/* FNV-1a of the bytes. */
uint64_t vkb_checksum(const void *data, size_t size);

/* ---- vkb.c: device, memory, commands ---- */

struct vkb {
	VkInstance instance;
	VkPhysicalDevice physical;
	VkPhysicalDeviceProperties properties;
	VkPhysicalDeviceMemoryProperties memory;
	VkDevice device;
	uint32_t queue_family;
	VkQueue queue;
	VkCommandPool pool;
};

/* The first device with a queue for graphics and compute. */
void vkb_open(struct vkb *vkb);
void vkb_close(struct vkb *vkb);

struct vkb_buffer {
	VkBuffer buffer;
	VkDeviceMemory memory;
	VkDeviceSize size; // bytes
	void *ptr;         // mapped, when host-visible
};

struct vkb_buffer_params {
	VkDeviceSize size;
	VkBufferUsageFlags usage;
	bool is_host_visible;
};

void vkb_buffer_create(struct vkb *vkb, const struct vkb_buffer_params *params, struct vkb_buffer *buffer);
void vkb_buffer_destroy(struct vkb *vkb, struct vkb_buffer *buffer);

/* A host-visible buffer that holds `data`. */
void vkb_buffer_create_with(
	struct vkb *vkb, VkBufferUsageFlags usage, const void *data, size_t size, struct vkb_buffer *buffer);

struct vkb_image {
	VkImage image;
	VkDeviceMemory memory;
	VkImageView view;
};

/* 2D, VKB_TARGET_SIZE squared, device-local, one mip level. */
void vkb_image_create(struct vkb *vkb, VkFormat format, VkImageUsageFlags usage, struct vkb_image *image);
void vkb_image_destroy(struct vkb *vkb, struct vkb_image *image);

VkCommandBuffer vkb_commands_allocate(struct vkb *vkb, VkCommandPool pool);
void vkb_commands_begin(VkCommandBuffer commands);
void vkb_commands_end(VkCommandBuffer commands);

VkCommandPool vkb_pool_create(struct vkb *vkb);
VkFence vkb_fence_create(struct vkb *vkb, bool is_signaled);
void vkb_fence_wait(struct vkb *vkb, VkFence fence);

/* `commands` may be VK_NULL_HANDLE: an empty submission. */
void vkb_submit(struct vkb *vkb, VkCommandBuffer commands, VkFence fence);

/* Commands to be submitted once; end waits until they have been executed and frees the command buffer. */
VkCommandBuffer vkb_once_begin(struct vkb *vkb);
void vkb_once_end(struct vkb *vkb, VkCommandBuffer commands);

/* ---- scene.c ---- */

struct vkb_scene;

struct vkb_scene_impl {
	const char *name;
	const char *summary;
	void (*setup)(struct vkb_scene *scene);
	/* Records frame number `frame`, of `scene->work` units; frames of one number are all alike. Any thread. */
	void (*record)(const struct vkb_scene *scene, VkCommandBuffer commands, uint32_t frame);
};

/* What a scene draws into, or computes, and with what. Those that it has not got are null. */
struct vkb_scene {
	struct vkb *vkb;
	const struct vkb_scene_impl *impl;
	uint32_t work; // 1 or more
	struct vkb_image colour;
	struct vkb_image depth;
	VkRenderPass pass;
	VkFramebuffer framebuffer;
	VkDescriptorSetLayout set_layout;
	VkDescriptorPool set_pool;
	VkDescriptorSet set;
	VkPipelineLayout layout;
	VkPipeline pipeline;
	struct vkb_image texture;
	VkSampler sampler;
	struct vkb_buffer vertices;
	struct vkb_buffer indices;
	struct vkb_buffer uniforms;
	struct vkb_buffer values; // what a compute scene computes
	struct vkb_buffer result; // host-visible: what the last frame gave
};

/* NULL for no such scene. */
const struct vkb_scene_impl *vkb_scene_find(const char *name);
void vkb_scene_print_list(void);

void vkb_scene_create(struct vkb *vkb, const struct vkb_scene_impl *impl, struct vkb_scene *scene);
void vkb_scene_destroy(struct vkb_scene *scene);

/* Renders frame 0 alone and returns a checksum (FNV-1a) of what came of it. */
uint64_t vkb_scene_checksum(struct vkb_scene *scene);

/* Begins the scene's render pass, on a background of a colour that depends on `frame`. */
void vkb_scene_begin_pass(const struct vkb_scene *scene, VkCommandBuffer commands, uint32_t frame);

/* ---- pipeline.c: what scenes are set up with ---- */

struct vkb_shader {
	const uint32_t *code;
	size_t size; // bytes
};

struct vkb_graphics_params {
	struct vkb_shader vertex;
	struct vkb_shader fragment;
	uint32_t push_size;
	bool has_vertices; // position and normal, interleaved
	bool has_depth;
	bool has_blend;
};

/* Colour and depth images, render pass and framebuffer. */
void vkb_setup_target(struct vkb_scene *scene, bool has_depth);

/* One descriptor at binding 0, for all stages: fill scene's texture, uniforms or values before. */
void vkb_setup_set(struct vkb_scene *scene, VkDescriptorType type);

/* After the target and the set. */
void vkb_setup_graphics(struct vkb_scene *scene, const struct vkb_graphics_params *params);
void vkb_setup_compute(struct vkb_scene *scene, struct vkb_shader shader, uint32_t push_size);

/* A texture of VKB_TARGET_SIZE squared, and its sampler. */
void vkb_setup_texture(struct vkb_scene *scene);

/* ---- loads ---- */

struct vkb_options {
	const char *load;
	double seconds;
	uint32_t work;
	uint32_t mib;
	uint32_t calibrate_us; // 0: no calibration
};

void vkb_run_scene(struct vkb *vkb, const struct vkb_scene_impl *impl, const struct vkb_options *options);
void vkb_run_info(struct vkb *vkb, const struct vkb_options *options);
void vkb_run_reply(struct vkb *vkb, const struct vkb_options *options);
void vkb_run_submit(struct vkb *vkb, const struct vkb_options *options);
void vkb_run_record(struct vkb *vkb, const struct vkb_options *options);
void vkb_run_threads(struct vkb *vkb, const struct vkb_options *options);
void vkb_run_upload(struct vkb *vkb, const struct vkb_options *options);

/* Opens a device of its own, to see what that costs. */
void vkb_run_memory(const struct vkb_options *options);

#endif
