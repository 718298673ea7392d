#ifndef NEEP_TESTS_VULKAN_VK_H
#define NEEP_TESTS_VULKAN_VK_H

#include <stdbool.h>
#include <vulkan/vulkan.h>

#include "out.h"

/*
 * What every test program needs of Vulkan, and nothing that knows below which driver it runs. Whatever is not the subject
 * of a test ends the program when it fails. Objects belong to whoever called the function that made them.
 */

#define VK_COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

/* Ends the program when a call fails. */
#define vk_ok(call) vk_check((call), #call, __FILE__, __LINE__)
void vk_check(VkResult result, const char *call, const char *file, int line);

/* The name of a result ("VK_TIMEOUT"). */
const char *vk_result_name(VkResult result);

/* A device with one queue that can draw, compute and copy. */
struct vk {
	VkInstance instance;
	VkPhysicalDevice physical;
	VkPhysicalDeviceProperties properties;
	VkPhysicalDeviceMemoryProperties memory;
	VkDevice device;
	uint32_t queue_family;
	VkQueue queue;
	VkCommandPool pool; // of command buffers that can be reset
};

/* What a program asks of its device; all of it may be absent. */
struct vk_wants {
	const void *features; // a chain that begins with VkPhysicalDeviceFeatures2
	const char *const *extensions;
	uint32_t extension_count;
};

/* Makes the instance (of API version 1.3) and finds the device; vk_open_device() does the rest. For programs that ask what
 * is offered before they want it. */
void vk_open_instance(struct vk *vk);
void vk_open_instance_with(struct vk *vk, const char *const *extensions, uint32_t count);
void vk_open_device(struct vk *vk, const struct vk_wants *wants);

/* Both. */
void vk_open(struct vk *vk, const struct vk_wants *wants);

/* Ends everything that vk_open() made; the device must be idle and its other objects destroyed. */
void vk_close_device(struct vk *vk);
void vk_close(struct vk *vk);

bool vk_has_extension(const struct vk *vk, const char *name);

/* The index of a memory type with these properties that type_bits allows, or UINT32_MAX. */
uint32_t vk_find_memory(const struct vk *vk, uint32_t type_bits, VkMemoryPropertyFlags properties);

/* A buffer in host-visible, coherent memory, or in memory of the device where `map` is NULL. */
struct vk_buffer {
	VkBuffer buffer;
	VkDeviceMemory memory;
	VkDeviceSize size;
	void *map;
};

void vk_buffer_create(
	const struct vk *vk, struct vk_buffer *buffer, VkDeviceSize size, VkBufferUsageFlags usage);
void vk_buffer_create_local(
	const struct vk *vk, struct vk_buffer *buffer, VkDeviceSize size, VkBufferUsageFlags usage);
void vk_buffer_destroy(const struct vk *vk, struct vk_buffer *buffer);

/* A two-dimensional image with a view of all of it. */
struct vk_image {
	VkImage image;
	VkDeviceMemory memory;
	VkImageView view; // VK_NULL_HANDLE for a use that allows no view
	VkFormat format;
	VkImageAspectFlags aspect;
	uint32_t width;
	uint32_t height;
	uint32_t levels;               // 0 counts as 1 in vk_image_create()
	uint32_t layers;               // likewise
	VkSampleCountFlagBits samples; // likewise
	VkImageUsageFlags usage;
};

/* Reads what to make from the fields of `image` (format, size, levels, layers, samples, usage) and fills in the others. */
void vk_image_create(const struct vk *vk, struct vk_image *image);
void vk_image_destroy(const struct vk *vk, struct vk_image *image);

/* Command buffers for one use: vk_end() submits, waits and frees. */
VkCommandBuffer vk_begin(const struct vk *vk);
void vk_end(const struct vk *vk, VkCommandBuffer commands);

/* Submits recorded commands and waits for them. */
void vk_submit(const struct vk *vk, VkCommandBuffer commands);

/* Allocates a primary command buffer of the pool of the device. */
VkCommandBuffer vk_allocate_commands(const struct vk *vk);
void vk_begin_commands(VkCommandBuffer commands, VkCommandBufferUsageFlags usage);

/* Everything before is done, and visible to everything after, the host included. */
void vk_barrier(VkCommandBuffer commands);
/* The same, and all of the image (or `count` levels from `level` on) changes its layout. */
void vk_image_barrier(
	VkCommandBuffer commands, const struct vk_image *image, VkImageLayout from, VkImageLayout to);
void vk_level_barrier(VkCommandBuffer commands, const struct vk_image *image, uint32_t level,
	VkImageLayout from, VkImageLayout to);

/* Reads level 0, layer 0 of an image in TRANSFER_SRC_OPTIMAL with 4 bytes a pixel. The caller frees the result. */
uint8_t *vk_read_image(const struct vk *vk, const struct vk_image *image);
uint8_t *vk_read_level(const struct vk *vk, const struct vk_image *image, uint32_t level);

/* Reads it and writes it out as a picture. */
void vk_save_image(const struct vk *vk, const struct vk_image *image, const char *name);

/* Fills level 0 with 4 bytes a pixel; the image is in `layout` afterwards. */
void vk_fill_image(
	const struct vk *vk, const struct vk_image *image, const uint8_t *pixels, VkImageLayout layout);

/* SPIR-V as meson embeds it. */
struct vk_shader {
	const void *words;
	size_t size;
};
#define VK_SHADER(array) ((struct vk_shader){ (array), sizeof(array) })

VkShaderModule vk_shader_module(const struct vk *vk, struct vk_shader shader);

/* One descriptor set, its layout and its pool. */
struct vk_set {
	VkDescriptorSetLayout layout;
	VkDescriptorPool pool;
	VkDescriptorSet set;
};

void vk_set_create(const struct vk *vk, struct vk_set *set, const VkDescriptorSetLayoutBinding *bindings,
	uint32_t count);
void vk_set_destroy(const struct vk *vk, struct vk_set *set);
/* All of the buffer. */
void vk_set_buffer(const struct vk *vk, const struct vk_set *set, uint32_t binding, VkDescriptorType type,
	const struct vk_buffer *buffer);
void vk_set_image(const struct vk *vk, const struct vk_set *set, uint32_t binding, VkDescriptorType type,
	const VkDescriptorImageInfo *info);

/* A layout with one set, or none (NULL), and push constants of `push_size` bytes, or none (0), for every stage. */
/* By an update template, which is made for this. */
void vk_set_by_template(const struct vk *vk, const struct vk_set *set,
	const VkDescriptorUpdateTemplateEntry *entries, uint32_t count, const void *data);

VkPipelineLayout vk_pipeline_layout(const struct vk *vk, const struct vk_set *set, uint32_t push_size);

VkPipeline vk_compute_pipeline(const struct vk *vk, VkPipelineLayout layout, struct vk_shader shader,
	const VkSpecializationInfo *special);

/* A colour target, with depth where `depth_format` is set, and with a resolve target where `samples` is above 1. */
struct vk_target {
	struct vk_image color; // has the samples
	struct vk_image depth;
	struct vk_image resolved; // only with more than one sample
	VkRenderPass pass;
	VkFramebuffer framebuffer;
};

struct vk_target_info {
	uint32_t width;
	uint32_t height;
	VkFormat depth_format;         // VK_FORMAT_UNDEFINED: no depth
	VkSampleCountFlagBits samples; // 0 counts as 1
};

/* The pictures are R8G8B8A8_UNORM and end in TRANSFER_SRC_OPTIMAL. */
void vk_target_create(const struct vk *vk, struct vk_target *target, const struct vk_target_info *info);
void vk_target_destroy(const struct vk *vk, struct vk_target *target);
/* The image to read. */
const struct vk_image *vk_target_picture(const struct vk_target *target);
/* Begins the pass with a cleared target and sets viewport and scissor to all of it. */
void vk_target_begin(const struct vk_target *target, VkCommandBuffer commands, const float clear[4],
	VkSubpassContents contents);
void vk_set_viewport(VkCommandBuffer commands, uint32_t width, uint32_t height);

/* What differs between the graphics pipelines of the tests; viewport and scissor are dynamic. */
struct vk_pipeline_info {
	VkPipelineLayout layout;
	VkRenderPass pass; // VK_NULL_HANDLE with `next`: dynamic rendering
	uint32_t subpass;
	struct vk_shader vertex;
	struct vk_shader fragment;
	const VkSpecializationInfo *special; // of the fragment shader
	VkPrimitiveTopology topology;
	const VkVertexInputAttributeDescription *attributes; // all of binding 0
	uint32_t attribute_count;
	uint32_t stride;               // 0: no vertex buffer
	VkSampleCountFlagBits samples; // 0 counts as 1
	bool depth;                    // test and write, LESS
	bool blend;                    // add what is drawn to what is there
	VkCullModeFlags cull;
	VkPipelineCache cache;
	const void *next; // of VkGraphicsPipelineCreateInfo
};

VkPipeline vk_graphics_pipeline(const struct vk *vk, const struct vk_pipeline_info *info);

VkSemaphore vk_semaphore_create(const struct vk *vk, const void *next);
VkFence vk_fence_create(const struct vk *vk, const void *next);

#endif
