/* What must fail must say so, and what comes after must work. */
#include <string.h>

#include "hash.h"

/* Some drivers promise memory that nobody has: then that is no error, and not to be compared. */
static void too_much_memory(const struct vk *vk) {
	for (uint32_t i = 0; i < vk->memory.memoryTypeCount; i++) {
		VkDeviceMemory memory = VK_NULL_HANDLE;
		VkResult result = vkAllocateMemory(vk->device,
			&(VkMemoryAllocateInfo){
				.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
				.allocationSize = (VkDeviceSize)1 << 60,
				.memoryTypeIndex = i,
			},
			NULL, &memory);
		expect(result == VK_SUCCESS || result == VK_ERROR_OUT_OF_DEVICE_MEMORY ||
			result == VK_ERROR_OUT_OF_HOST_MEMORY);
		vkFreeMemory(vk->device, result == VK_SUCCESS ? memory : VK_NULL_HANDLE, NULL);
	}
}

static void pool_exhausted(const struct vk *vk) {
	const VkDescriptorSetLayoutBinding binding = { 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1,
		VK_SHADER_STAGE_COMPUTE_BIT, NULL };
	struct vk_set set;
	vk_set_create(vk, &set, &binding, 1);
	VkDescriptorSet second = VK_NULL_HANDLE;
	VkDescriptorSetAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = set.pool,
		.descriptorSetCount = 1,
		.pSetLayouts = &set.layout,
	};
	out_text("a set of an empty pool: %s",
		vk_result_name(vkAllocateDescriptorSets(vk->device, &info, &second)));
	vk_ok(vkResetDescriptorPool(vk->device, set.pool, 0));
	vk_ok(vkAllocateDescriptorSets(vk->device, &info, &second));
	vk_set_destroy(vk, &set);
}

static VkResult create_device(
	const struct vk *vk, const char *extension, const VkPhysicalDeviceFeatures *features) {
	VkDevice device = VK_NULL_HANDLE;
	VkResult result = vkCreateDevice(vk->physical,
		&(VkDeviceCreateInfo){
			.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
			.queueCreateInfoCount = 1,
			.pQueueCreateInfos =
				&(VkDeviceQueueCreateInfo){
					.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
					.queueFamilyIndex = vk->queue_family,
					.queueCount = 1,
					.pQueuePriorities = &(float){ 1 },
				},
			.enabledExtensionCount = extension != NULL,
			.ppEnabledExtensionNames = &extension,
			.pEnabledFeatures = features,
		},
		NULL, &device);
	if (result == VK_SUCCESS) {
		vkDestroyDevice(device, NULL);
	}
	return result;
}

/* The first feature that is not offered, if there is one, is refused. */
static void unknown_features(const struct vk *vk) {
	VkPhysicalDeviceFeatures offered, wanted = { 0 };
	vkGetPhysicalDeviceFeatures(vk->physical, &offered);
	const VkBool32 *have = (const VkBool32 *)&offered;
	VkBool32 *want = (VkBool32 *)&wanted;
	for (size_t i = 0; i < sizeof(offered) / sizeof(*have); i++) {
		if (!have[i]) {
			want[i] = VK_TRUE;
			out_text("feature %zu, which is not offered: %s", i,
				vk_result_name(create_device(vk, NULL, &wanted)));
			return;
		}
	}
}

static void formats(const struct vk *vk) {
	VkImageFormatProperties properties;
	VkResult result = vkGetPhysicalDeviceImageFormatProperties(vk->physical,
		VK_FORMAT_R64G64B64A64_SFLOAT, VK_IMAGE_TYPE_2D, VK_IMAGE_TILING_OPTIMAL,
		VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT, 0, &properties);
	out_text("a target of four doubles: %s", vk_result_name(result));
	result = vkGetPhysicalDeviceImageFormatProperties(vk->physical, VK_FORMAT_R8G8B8A8_UNORM,
		VK_IMAGE_TYPE_2D, VK_IMAGE_TILING_OPTIMAL, VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT, 0,
		&properties);
	out_text("a target of four bytes: %s, up to %u x %u", vk_result_name(result),
		properties.maxExtent.width, properties.maxExtent.height);
}

static void short_arrays(const struct vk *vk) {
	uint32_t count = 1;
	VkExtensionProperties extension;
	VkResult result = vkEnumerateDeviceExtensionProperties(vk->physical, NULL, &count, &extension);
	out_text("one device extension of several: %s, %u", vk_result_name(result), count);
	count = 0;
	VkQueueFamilyProperties family;
	vkGetPhysicalDeviceQueueFamilyProperties(vk->physical, &count, &family);
	expect(count == 0);
}

/* Data of another driver is not an error: such a cache is empty. */
static void foreign_cache(const struct vk *vk) {
	uint32_t data[64] = { 32, VK_PIPELINE_CACHE_HEADER_VERSION_ONE, 0x1234, 0x5678 };
	memset(data + 8, 0xff, sizeof(data) - 32);
	VkPipelineCache cache;
	vk_ok(vkCreatePipelineCache(vk->device,
		&(VkPipelineCacheCreateInfo){
			.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
			.initialDataSize = sizeof(data),
			.pInitialData = data,
		},
		NULL, &cache));
	vkDestroyPipelineCache(vk->device, cache, NULL);
}

static void destroying_nothing(const struct vk *vk) {
	vkDestroyBuffer(vk->device, VK_NULL_HANDLE, NULL);
	vkDestroyImage(vk->device, VK_NULL_HANDLE, NULL);
	vkDestroyImageView(vk->device, VK_NULL_HANDLE, NULL);
	vkDestroySampler(vk->device, VK_NULL_HANDLE, NULL);
	vkDestroyPipeline(vk->device, VK_NULL_HANDLE, NULL);
	vkDestroyPipelineLayout(vk->device, VK_NULL_HANDLE, NULL);
	vkDestroyDescriptorPool(vk->device, VK_NULL_HANDLE, NULL);
	vkDestroyCommandPool(vk->device, VK_NULL_HANDLE, NULL);
	vkDestroyRenderPass(vk->device, VK_NULL_HANDLE, NULL);
	vkDestroyFence(vk->device, VK_NULL_HANDLE, NULL);
	vkDestroySemaphore(vk->device, VK_NULL_HANDLE, NULL);
	vkFreeMemory(vk->device, VK_NULL_HANDLE, NULL);
	vkFreeCommandBuffers(vk->device, vk->pool, 1, &(VkCommandBuffer){ VK_NULL_HANDLE });
	vkUpdateDescriptorSets(vk->device, 0, NULL, 0, NULL);
	vk_ok(vkQueueSubmit(vk->queue, 0, NULL, VK_NULL_HANDLE));
}

static void still_works(const struct vk *vk) {
	struct vk_buffer words;
	vk_buffer_create(vk, &words, 4096 * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	struct hash hash;
	hash_create(vk, &hash, &words);
	VkCommandBuffer commands = vk_begin(vk);
	hash_record(&hash, commands, 77, 4096);
	vk_barrier(commands);
	vk_end(vk, commands);
	hash_expect(words.map, 77, 4096);
	hash_destroy(vk, &hash);
	vk_buffer_destroy(vk, &words);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open(&vk, NULL);
	too_much_memory(&vk);
	pool_exhausted(&vk);
	out_text("an extension that nobody has: %s",
		vk_result_name(create_device(&vk, "VK_NEEP_nothing", NULL)));
	unknown_features(&vk);
	formats(&vk);
	short_arrays(&vk);
	foreign_cache(&vk);
	destroying_nothing(&vk);
	still_works(&vk);
	vk_close(&vk);
}
