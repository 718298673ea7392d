/* Sparse binding: a buffer whose memory is bound in pieces, in another order, and taken away; an image bound as a whole. */
#include <string.h>

#include "hash.h"

#define BLOCKS     4u
#define BLOCK      (256u << 10)
#define SIZE       (BLOCKS * BLOCK)
#define WORDS      (SIZE / 4)
#define PER_BLOCK  (WORDS / BLOCKS)
#define IMAGE_SIZE 256u

/* What memory an object is bound to, of its own; the host need not see it. */
static VkDeviceMemory allocate(const struct vk *vk, const VkMemoryRequirements *needs) {
	VkDeviceMemory memory;
	vk_ok(vkAllocateMemory(vk->device,
		&(VkMemoryAllocateInfo){
			.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
			.allocationSize = needs->size,
			.memoryTypeIndex = vk_find_memory(vk, needs->memoryTypeBits, 0),
		},
		NULL, &memory));
	return memory;
}

static void bind(const struct vk *vk, const VkBindSparseInfo *info) {
	VkFence fence = vk_fence_create(vk, NULL);
	vk_ok(vkQueueBindSparse(vk->queue, 1, info, fence));
	vk_ok(vkWaitForFences(vk->device, 1, &fence, VK_TRUE, UINT64_MAX));
	vkDestroyFence(vk->device, fence, NULL);
}

/* Block i of the buffer is block from[i] of the memory. */
static void bind_blocks(
	const struct vk *vk, VkBuffer buffer, VkDeviceMemory memory, const uint32_t from[BLOCKS]) {
	VkSparseMemoryBind blocks[BLOCKS];
	for (uint32_t i = 0; i < BLOCKS; i++) {
		blocks[i] = (VkSparseMemoryBind){
			.resourceOffset = (VkDeviceSize)i * BLOCK,
			.size = BLOCK,
			.memory = memory,
			.memoryOffset = (VkDeviceSize)from[i] * BLOCK,
		};
	}
	bind(vk, &(VkBindSparseInfo){
			 .sType = VK_STRUCTURE_TYPE_BIND_SPARSE_INFO,
			 .bufferBindCount = 1,
			 .pBufferBinds = &(VkSparseBufferMemoryBindInfo){ buffer, BLOCKS, blocks },
		 });
}

static void copy(const struct vk *vk, VkBuffer from, const struct vk_buffer *to) {
	VkCommandBuffer commands = vk_begin(vk);
	vk_barrier(commands);
	vkCmdCopyBuffer(commands, from, to->buffer, 1, &(VkBufferCopy){ .size = SIZE });
	vk_barrier(commands);
	vk_end(vk, commands);
}

/* Block i holds what the hash put into block from[i]. */
static void expect_blocks(const struct vk_buffer *words, const uint32_t from[BLOCKS], uint32_t seed) {
	const uint32_t *found = words->map;
	for (uint32_t i = 0; i < WORDS; i++) {
		expect(found[i] == hash_word(from[i / PER_BLOCK] * PER_BLOCK + i % PER_BLOCK, seed));
	}
}

static void create_buffer(const struct vk *vk, struct vk_buffer *buffer, VkBufferCreateFlags flags,
	VkMemoryRequirements *needs) {
	*buffer = (struct vk_buffer){ .size = SIZE };
	vk_ok(vkCreateBuffer(vk->device,
		&(VkBufferCreateInfo){
			.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
			.flags = flags,
			.size = SIZE,
			.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT,
		},
		NULL, &buffer->buffer));
	vkGetBufferMemoryRequirements(vk->device, buffer->buffer, needs);
	expect(needs->size == SIZE && BLOCK % needs->alignment == 0);
}

/* The shader writes with the blocks bound backwards; bound forwards, what it wrote is backwards. */
static void order(const struct vk *vk, const struct vk_buffer *result) {
	static const uint32_t forwards[] = { 0, 1, 2, 3 }, backwards[] = { 3, 2, 1, 0 };
	struct vk_buffer sparse;
	VkMemoryRequirements needs;
	create_buffer(vk, &sparse, VK_BUFFER_CREATE_SPARSE_BINDING_BIT, &needs);
	VkDeviceMemory memory = allocate(vk, &needs);
	bind_blocks(vk, sparse.buffer, memory, backwards);
	struct hash hash;
	hash_create(vk, &hash, &sparse);
	VkCommandBuffer commands = vk_begin(vk);
	hash_record(&hash, commands, 9, WORDS);
	vk_barrier(commands);
	vk_end(vk, commands);
	copy(vk, sparse.buffer, result);
	expect_blocks(result, forwards, 9);
	bind_blocks(vk, sparse.buffer, memory, forwards);
	copy(vk, sparse.buffer, result);
	expect_blocks(result, backwards, 9);
	hash_destroy(vk, &hash);
	vkDestroyBuffer(vk->device, sparse.buffer, NULL);
	vkFreeMemory(vk->device, memory, NULL);
}

/* Only the last block has memory. */
static void residency(const struct vk *vk, const struct vk_buffer *result) {
	struct vk_buffer sparse;
	VkMemoryRequirements needs;
	create_buffer(vk, &sparse,
		VK_BUFFER_CREATE_SPARSE_BINDING_BIT | VK_BUFFER_CREATE_SPARSE_RESIDENCY_BIT, &needs);
	VkDeviceMemory memory = allocate(vk, &needs);
	const VkSparseMemoryBind last = { .resourceOffset = SIZE - BLOCK, .size = BLOCK, .memory = memory };
	bind(vk, &(VkBindSparseInfo){
			 .sType = VK_STRUCTURE_TYPE_BIND_SPARSE_INFO,
			 .bufferBindCount = 1,
			 .pBufferBinds = &(VkSparseBufferMemoryBindInfo){ sparse.buffer, 1, &last },
		 });
	struct hash hash;
	hash_create(vk, &hash, &sparse);
	VkCommandBuffer commands = vk_begin(vk);
	hash_record(&hash, commands, 10, WORDS);
	vk_barrier(commands);
	vk_end(vk, commands);
	copy(vk, sparse.buffer, result);
	const uint32_t *found = result->map;
	for (uint32_t i = WORDS - PER_BLOCK; i < WORDS; i++) {
		expect(found[i] == hash_word(i, 10));
	}
	bool is_strict = vk->properties.sparseProperties.residencyNonResidentStrict;
	for (uint32_t i = 0; is_strict && i < WORDS - PER_BLOCK; i++) {
		expect(found[i] == 0);
	}
	hash_destroy(vk, &hash);
	vkDestroyBuffer(vk->device, sparse.buffer, NULL);
	vkFreeMemory(vk->device, memory, NULL);
}

static void image(const struct vk *vk) {
	struct vk_image sparse = {
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.aspect = VK_IMAGE_ASPECT_COLOR_BIT,
		.width = IMAGE_SIZE,
		.height = IMAGE_SIZE,
		.levels = 1,
		.layers = 1,
	};
	vk_ok(vkCreateImage(vk->device,
		&(VkImageCreateInfo){
			.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
			.flags = VK_IMAGE_CREATE_SPARSE_BINDING_BIT,
			.imageType = VK_IMAGE_TYPE_2D,
			.format = sparse.format,
			.extent = { IMAGE_SIZE, IMAGE_SIZE, 1 },
			.mipLevels = 1,
			.arrayLayers = 1,
			.samples = VK_SAMPLE_COUNT_1_BIT,
			.usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT,
		},
		NULL, &sparse.image));
	VkMemoryRequirements needs;
	vkGetImageMemoryRequirements(vk->device, sparse.image, &needs);
	VkDeviceMemory memory = allocate(vk, &needs);
	const VkSparseMemoryBind all = { .size = needs.size, .memory = memory };
	bind(vk, &(VkBindSparseInfo){
			 .sType = VK_STRUCTURE_TYPE_BIND_SPARSE_INFO,
			 .imageOpaqueBindCount = 1,
			 .pImageOpaqueBinds = &(VkSparseImageOpaqueMemoryBindInfo){ sparse.image, 1, &all },
		 });
	uint32_t *pixels = out_alloc(IMAGE_SIZE * IMAGE_SIZE, 4);
	for (uint32_t i = 0; i < IMAGE_SIZE * IMAGE_SIZE; i++) {
		pixels[i] = hash_word(i, 11);
	}
	vk_fill_image(vk, &sparse, (const uint8_t *)pixels, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL);
	uint8_t *found = vk_read_image(vk, &sparse);
	expect(memcmp(found, pixels, (size_t)IMAGE_SIZE * IMAGE_SIZE * 4) == 0);
	free(found);
	free(pixels);
	vkDestroyImage(vk->device, sparse.image, NULL);
	vkFreeMemory(vk->device, memory, NULL);
}

static bool can_bind(const struct vk *vk) {
	VkQueueFamilyProperties families[16];
	uint32_t count = VK_COUNT(families);
	vkGetPhysicalDeviceQueueFamilyProperties(vk->physical, &count, families);
	return (families[vk->queue_family].queueFlags & VK_QUEUE_SPARSE_BINDING_BIT) != 0;
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open_instance(&vk);
	VkPhysicalDeviceFeatures offered;
	vkGetPhysicalDeviceFeatures(vk.physical, &offered);
	if (!offered.sparseBinding || !can_bind(&vk)) {
		out_skip_all("sparse binding is not offered");
	}
	vk_open_device(&vk, &(struct vk_wants){
				    .features =
					    &(VkPhysicalDeviceFeatures2){
						    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
						    .features = {
							    .sparseBinding = VK_TRUE,
							    .sparseResidencyBuffer = offered.sparseResidencyBuffer,
						    },
					    },
			    });
	struct vk_buffer result;
	vk_buffer_create(&vk, &result, SIZE, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	order(&vk, &result);
	if (offered.sparseResidencyBuffer) {
		residency(&vk, &result);
	} else {
		out_skip("residency", "buffers with holes are not offered");
	}
	image(&vk);
	vk_buffer_destroy(&vk, &result);
	vk_close(&vk);
}
