/* Images and buffers, as two guests share them, against the host's driver. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fd_check.h"
#include "util/fd.h"
#include "vulkan/context.h"
#include "vulkan/handlers_image.h"
#include "vulkan/handlers_memory.h"
#include "vulkan_room/rig.h"

#define WIDTH    50
#define HEIGHT   20
#define RESOURCE 9

static const uint64_t linear = 0;
static const uint64_t tiled = 1;

// The guest's chain and create info for an image that is shared.
struct wanted {
	VkExternalMemoryImageCreateInfo external;
	VkImageDrmFormatModifierListCreateInfoEXT list;
	VkImageDrmFormatModifierExplicitCreateInfoEXT layout;
	VkImageCreateInfo info;
};

static struct neep_vk_object *create(struct rig *rig, const VkImageCreateInfo *info, VkResult result) {
	uint64_t id = 0;
	VkMemoryRequirements requirements = { 0 };
	assert_int_equal(neep_vk_CreateImageWithRequirementsGOOGLE(
				 rig_call(rig), rig->device, info, &id, &requirements),
		result);
	if (result != VK_SUCCESS) {
		assert_int_equal(id, 0);
		assert_int_equal(requirements.size, 0);
		return NULL;
	}
	assert_true(requirements.size > 0);
	return rig_find(rig, id, NEEP_VK_IMAGE);
}

// A dma-buf image without modifiers.
static void want(struct wanted *wanted, VkImageTiling tiling) {
	*wanted = (struct wanted){
		.external = {
			.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_IMAGE_CREATE_INFO,
			.handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT,
		},
		.info = {
			.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
			.pNext = &wanted->external,
			.imageType = VK_IMAGE_TYPE_2D,
			.format = VK_FORMAT_B8G8R8A8_UNORM,
			.extent = { WIDTH, HEIGHT, 1 },
			.mipLevels = 1,
			.arrayLayers = 1,
			.samples = VK_SAMPLE_COUNT_1_BIT,
			.tiling = tiling,
			.usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT,
		},
	};
}

static void want_modifiers(struct wanted *wanted, const uint64_t *modifiers, uint32_t count) {
	want(wanted, VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT);
	wanted->list = (VkImageDrmFormatModifierListCreateInfoEXT){
		.sType = VK_STRUCTURE_TYPE_IMAGE_DRM_FORMAT_MODIFIER_LIST_CREATE_INFO_EXT,
		.drmFormatModifierCount = count,
		.pDrmFormatModifiers = modifiers,
	};
	wanted->external.pNext = &wanted->list;
}

static void want_layout(struct wanted *wanted, uint64_t modifier, const VkSubresourceLayout *layout) {
	want(wanted, VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT);
	wanted->layout = (VkImageDrmFormatModifierExplicitCreateInfoEXT){
		.sType = VK_STRUCTURE_TYPE_IMAGE_DRM_FORMAT_MODIFIER_EXPLICIT_CREATE_INFO_EXT,
		.drmFormatModifier = modifier,
		.drmFormatModifierPlaneCount = 1,
		.pPlaneLayouts = layout,
	};
	wanted->external.pNext = &wanted->layout;
}

static VkSubresourceLayout layout_of(
	struct rig *rig, struct neep_vk_object *image, VkImageAspectFlagBits aspect) {
	const VkImageSubresource subresource = { .aspectMask = (VkImageAspectFlags)aspect };
	VkSubresourceLayout layout;
	neep_vk_GetImageSubresourceLayout(rig_call(rig), rig->device, image, &subresource, &layout);
	assert_true(layout.rowPitch >= WIDTH * 4);
	return layout;
}

// Binds the image to the resource.
static void bind(struct rig *rig, struct neep_vk_object *image, uint64_t size) {
	VkImportColorBufferGOOGLE import = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_COLOR_BUFFER_GOOGLE,
		.colorBuffer = RESOURCE,
	};
	const VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.pNext = &import,
		.allocationSize = size,
	};
	uint64_t id = 0;
	assert_int_equal(neep_vk_AllocateMemory(rig_call(rig), rig->device, &info, &id), VK_SUCCESS);
	VkDeviceMemory memory = NEEP_VK_HANDLE(VkDeviceMemory, rig_find(rig, id, NEEP_VK_DEVICE_MEMORY));
	assert_int_equal(neep_vk_device_from(rig->device)
				 ->vk.BindImageMemory(NEEP_VK_HANDLE(VkDevice, rig->device),
					 NEEP_VK_HANDLE(VkImage, image), memory, 0),
		VK_SUCCESS);
}

static const VkImageSubresourceRange whole = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1 };

static void record_barrier(const struct neep_vk_device_table *vk, VkCommandBuffer commands, VkImage image) {
	const VkImageMemoryBarrier barrier = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
		.dstAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT,
		.newLayout = VK_IMAGE_LAYOUT_GENERAL,
		.srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.image = image,
		.subresourceRange = whole,
	};
	vk->CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0,
		0, NULL, 0, NULL, 1, &barrier);
}

// Clears to red, which is 0xffff0000 in the memory of B8G8R8A8.
static void record_clear(const struct neep_vk_device_table *vk, VkCommandBuffer commands, void *data) {
	VkImage image = *(VkImage *)data;
	const VkClearColorValue red = { .float32 = { 1, 0, 0, 1 } };
	record_barrier(vk, commands, image);
	vk->CmdClearColorImage(commands, image, VK_IMAGE_LAYOUT_GENERAL, &red, 1, &whole);
}

struct read_back {
	VkImage image;
	VkBuffer buffer;
};

static void record_read_back(const struct neep_vk_device_table *vk, VkCommandBuffer commands, void *data) {
	const struct read_back *read_back = data;
	const VkBufferImageCopy region = {
		.imageSubresource = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1 },
		.imageExtent = { WIDTH, HEIGHT, 1 },
	};
	vk->CmdCopyImageToBuffer(
		commands, read_back->image, VK_IMAGE_LAYOUT_GENERAL, read_back->buffer, 1, &region);
}

static bool pixels_are(const uint8_t *bytes, const VkSubresourceLayout *layout, uint32_t pixel) {
	for (uint32_t y = 0; y < HEIGHT; y++) {
		for (uint32_t x = 0; x < WIDTH; x++) {
			if (memcmp(bytes + layout->offset + y * layout->rowPitch + x * 4, &pixel, 4) != 0) {
				return false;
			}
		}
	}
	return true;
}

// What one guest draws into an image of the modifier, another sees in its own image of the same layout.
static void image_of_linear_modifier_is_shared_by_two_contexts(void **state) {
	(void)state;
	struct rig one, two;
	rig_create(&one, NULL);
	rig_start_device(&one);
	rig_create(&two, NULL);
	rig_start_device(&two);
	const uint64_t modifiers[] = { tiled, linear };
	struct wanted wanted;
	want_modifiers(&wanted, modifiers, 2);
	struct neep_vk_object *drawn = create(&one, &wanted.info, VK_SUCCESS);
	VkSubresourceLayout layout = layout_of(&one, drawn, VK_IMAGE_ASPECT_MEMORY_PLANE_0_BIT_EXT);
	uint64_t size = layout.offset + layout.size;
	int fd = neep_memfd_create("image", size);
	rig_add_resource(&one, RESOURCE, fd, size);
	rig_add_resource(&two, RESOURCE, fd, size);
	bind(&one, drawn, size);
	rig_submit(&one, record_clear, &(VkImage){ NEEP_VK_HANDLE(VkImage, drawn) });
	uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	assert_true(pixels_are(bytes, &layout, 0xffff0000));
	munmap(bytes, size);

	want_layout(&wanted, linear, &layout);
	struct neep_vk_object *seen = create(&two, &wanted.info, VK_SUCCESS);
	bind(&two, seen, size);
	struct neep_vk_object *memory = rig_allocate_blob(&two, WIDTH * HEIGHT * 4, 1, VK_SUCCESS);
	struct read_back read_back = {
		.image = NEEP_VK_HANDLE(VkImage, seen),
		.buffer = rig_bind_buffer(&two, memory, WIDTH * HEIGHT * 4),
	};
	rig_submit(&two, record_read_back, &read_back);
	const VkSubresourceLayout packed = { .rowPitch = WIDTH * 4 };
	assert_true(pixels_are(neep_vk_memory_from(memory)->ptr, &packed, 0xffff0000));
	close(fd);
	rig_destroy(&one);
	rig_destroy(&two);
}

static void image_has_the_linear_modifier(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	struct wanted wanted;
	want_modifiers(&wanted, &linear, 1);
	struct neep_vk_object *image = create(&rig, &wanted.info, VK_SUCCESS);
	VkImageDrmFormatModifierPropertiesEXT properties = { .drmFormatModifier = 77 };
	assert_int_equal(neep_vk_GetImageDrmFormatModifierPropertiesEXT(
				 rig_call(&rig), rig.device, image, &properties),
		VK_SUCCESS);
	assert_int_equal(properties.drmFormatModifier, linear);
	rig_destroy(&rig);
}

// The guest's driver asks a linear image of the same size for the layout that it tells the world.
static void image_for_dma_buf_lies_like_its_linear_peer(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	struct wanted wanted;
	want(&wanted, VK_IMAGE_TILING_OPTIMAL);
	struct neep_vk_object *image = create(&rig, &wanted.info, VK_SUCCESS);
	VkImageCreateInfo info = wanted.info;
	info.pNext = NULL;
	info.tiling = VK_IMAGE_TILING_LINEAR;
	uint64_t id = 0;
	assert_int_equal(neep_vk_CreateImage(rig_call(&rig), rig.device, &info, &id), VK_SUCCESS);
	struct neep_vk_object *peer = rig_find(&rig, id, NEEP_VK_IMAGE);
	VkSubresourceLayout layout = layout_of(&rig, peer, VK_IMAGE_ASPECT_MEMORY_PLANE_0_BIT_EXT);
	VkSubresourceLayout same = layout_of(&rig, peer, VK_IMAGE_ASPECT_COLOR_BIT);
	assert_memory_equal(&layout, &same, sizeof(layout));
	uint64_t size = layout.offset + layout.size;
	int fd = neep_memfd_create("image", size);
	rig_add_resource(&rig, RESOURCE, fd, size);
	bind(&rig, image, size);
	rig_submit(&rig, record_clear, &(VkImage){ NEEP_VK_HANDLE(VkImage, image) });
	uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	assert_true(pixels_are(bytes, &layout, 0xffff0000));
	munmap(bytes, size);
	close(fd);
	rig_destroy(&rig);
}

static void image_is_refused_when_modifiers_lack_linear(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	struct wanted wanted;
	want_modifiers(&wanted, &tiled, 1);
	create(&rig, &wanted.info, VK_ERROR_FORMAT_NOT_SUPPORTED);
	want_modifiers(&wanted, NULL, 0);
	create(&rig, &wanted.info, VK_ERROR_FORMAT_NOT_SUPPORTED);
	want(&wanted, VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT);
	create(&rig, &wanted.info, VK_ERROR_FORMAT_NOT_SUPPORTED);
	const VkSubresourceLayout layout = { .rowPitch = WIDTH * 4 };
	want_layout(&wanted, tiled, &layout);
	create(&rig, &wanted.info, VK_ERROR_FORMAT_NOT_SUPPORTED);
	rig_destroy(&rig);
}

static void image_is_refused_when_layout_is_not_the_drivers(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	struct wanted wanted;
	want_modifiers(&wanted, &linear, 1);
	VkSubresourceLayout layout = layout_of(
		&rig, create(&rig, &wanted.info, VK_SUCCESS), VK_IMAGE_ASPECT_MEMORY_PLANE_0_BIT_EXT);
	layout.rowPitch += 4096;
	want_layout(&wanted, linear, &layout);
	create(&rig, &wanted.info, VK_ERROR_INVALID_DRM_FORMAT_MODIFIER_PLANE_LAYOUT_EXT);
	layout.rowPitch -= 4096;
	layout.offset += 4096;
	want_layout(&wanted, linear, &layout);
	create(&rig, &wanted.info, VK_ERROR_INVALID_DRM_FORMAT_MODIFIER_PLANE_LAYOUT_EXT);
	layout.offset -= 4096;
	want_layout(&wanted, linear, &layout);
	wanted.layout.drmFormatModifierPlaneCount = 0;
	create(&rig, &wanted.info, VK_ERROR_INVALID_DRM_FORMAT_MODIFIER_PLANE_LAYOUT_EXT);
	rig_destroy(&rig);
}

static void image_requirements_are_those_of_the_image_that_would_be_made(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	if (neep_vk_device_from(rig.device)->vk.GetDeviceImageMemoryRequirements == NULL) {
		rig_destroy(&rig);
		skip();
	}
	struct wanted wanted;
	want_modifiers(&wanted, &linear, 1);
	uint64_t id = 0;
	VkMemoryRequirements made;
	assert_int_equal(neep_vk_CreateImageWithRequirementsGOOGLE(
				 rig_call(&rig), rig.device, &wanted.info, &id, &made),
		VK_SUCCESS);
	want_modifiers(&wanted, &linear, 1);
	const VkDeviceImageMemoryRequirements info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_IMAGE_MEMORY_REQUIREMENTS,
		.pCreateInfo = &wanted.info,
	};
	VkMemoryRequirements2 told = { .sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2 };
	neep_vk_GetDeviceImageMemoryRequirements(rig_call(&rig), rig.device, &info, &told);
	assert_int_equal(told.memoryRequirements.size, made.size);
	assert_int_equal(told.memoryRequirements.alignment, made.alignment);
	assert_int_equal(told.memoryRequirements.memoryTypeBits, made.memoryTypeBits);
	want_modifiers(&wanted, &tiled, 1);
	told.memoryRequirements = (VkMemoryRequirements){ 0 };
	neep_vk_GetDeviceImageMemoryRequirements(rig_call(&rig), rig.device, &info, &told);
	assert_int_equal(told.memoryRequirements.size, 0);
	rig_destroy(&rig);
}

static void buffer_of_shared_memory_is_made_and_asked_for_alike(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	VkExternalMemoryBufferCreateInfo external = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
		.handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT,
	};
	VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.pNext = &external,
		.size = 1000,
		.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT,
	};
	uint64_t id = 0;
	VkMemoryRequirements made;
	assert_int_equal(
		neep_vk_CreateBufferWithRequirementsGOOGLE(rig_call(&rig), rig.device, &info, &id, &made),
		VK_SUCCESS);
	rig_find(&rig, id, NEEP_VK_BUFFER);
	assert_true(made.size >= 1000);
	VkMemoryRequirements2 told = { .sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2 };
	const VkDeviceBufferMemoryRequirements query = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_BUFFER_MEMORY_REQUIREMENTS,
		.pCreateInfo = &info,
	};
	neep_vk_GetDeviceBufferMemoryRequirements(rig_call(&rig), rig.device, &query, &told);
	assert_int_equal(told.memoryRequirements.size, made.size);
	rig_destroy(&rig);
}

static void buffer_without_bytes_is_null_where_there_are_null_descriptors(void **state) {
	(void)state;
	struct rig rig;
	rig_create(&rig, NULL);
	rig_start_device(&rig);
	struct neep_vk_physical_device *physical = neep_vk_physical_device_from(rig.physical);
	bool has_nulls = physical->has_null_descriptors;
	const VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.usage = VK_BUFFER_USAGE_VERTEX_BUFFER_BIT,
	};
	uint64_t id = 0;
	VkMemoryRequirements requirements = { 0 };
	physical->has_null_descriptors = true;
	assert_int_equal(neep_vk_CreateBufferWithRequirementsGOOGLE(
				 rig_call(&rig), rig.device, &info, &id, &requirements),
		VK_SUCCESS);
	struct neep_vk_object *buffer = rig_find(&rig, id, NEEP_VK_BUFFER);
	assert_int_equal(buffer->handle, 0);
	assert_int_equal(requirements.size, 0);
	neep_vk_object_destroy(rig.context->table, buffer);
	physical->has_null_descriptors = false;
	assert_int_equal(neep_vk_CreateBufferWithRequirementsGOOGLE(
				 rig_call(&rig), rig.device, &info, &id, &requirements),
		VK_ERROR_FEATURE_NOT_PRESENT);
	physical->has_null_descriptors = has_nulls;
	rig_destroy(&rig);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		fd_checked_test(image_of_linear_modifier_is_shared_by_two_contexts),
		fd_checked_test(image_has_the_linear_modifier),
		fd_checked_test(image_for_dma_buf_lies_like_its_linear_peer),
		fd_checked_test(image_is_refused_when_modifiers_lack_linear),
		fd_checked_test(image_is_refused_when_layout_is_not_the_drivers),
		fd_checked_test(image_requirements_are_those_of_the_image_that_would_be_made),
		fd_checked_test(buffer_of_shared_memory_is_made_and_asked_for_alike),
		fd_checked_test(buffer_without_bytes_is_null_where_there_are_null_descriptors),
	};
	return host_has_vulkan() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
