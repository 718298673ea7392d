/*
 * Descriptor indexing: an array of a size chosen per set, filled in part, written after it was bound, and indexed by each
 * thread on its own.
 */
#include "vk.h"

#include "indexing_cs.h"

#define COUNT 64
#define ARRAY 1000

static void wanted_or_skip(const struct vk *vk, VkPhysicalDeviceDescriptorIndexingFeatures *wanted) {
	VkPhysicalDeviceDescriptorIndexingFeatures offered = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DESCRIPTOR_INDEXING_FEATURES,
	};
	vkGetPhysicalDeviceFeatures2(vk->physical,
		&(VkPhysicalDeviceFeatures2){
			.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &offered });
	if (!offered.shaderStorageBufferArrayNonUniformIndexing || !offered.descriptorBindingPartiallyBound ||
		!offered.descriptorBindingStorageBufferUpdateAfterBind || !offered.runtimeDescriptorArray ||
		!offered.descriptorBindingVariableDescriptorCount) {
		out_skip_all("descriptor indexing is not offered");
	}
	*wanted = (VkPhysicalDeviceDescriptorIndexingFeatures){
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DESCRIPTOR_INDEXING_FEATURES,
		.shaderStorageBufferArrayNonUniformIndexing = VK_TRUE,
		.descriptorBindingPartiallyBound = VK_TRUE,
		.descriptorBindingStorageBufferUpdateAfterBind = VK_TRUE,
		.descriptorBindingVariableDescriptorCount = VK_TRUE,
		.runtimeDescriptorArray = VK_TRUE,
	};
}

static void create_layout(const struct vk *vk, struct vk_set *set) {
	const VkDescriptorSetLayoutBinding bindings[] = {
		{ 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
		{ 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 4 * ARRAY, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	};
	const VkDescriptorBindingFlags flags[] = {
		0,
		VK_DESCRIPTOR_BINDING_PARTIALLY_BOUND_BIT | VK_DESCRIPTOR_BINDING_UPDATE_AFTER_BIND_BIT |
			VK_DESCRIPTOR_BINDING_VARIABLE_DESCRIPTOR_COUNT_BIT,
	};
	vk_ok(vkCreateDescriptorSetLayout(vk->device,
		&(VkDescriptorSetLayoutCreateInfo){
			.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
			.pNext =
				&(VkDescriptorSetLayoutBindingFlagsCreateInfo){
					.sType =
						VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_BINDING_FLAGS_CREATE_INFO,
					.bindingCount = VK_COUNT(flags),
					.pBindingFlags = flags,
				},
			.flags = VK_DESCRIPTOR_SET_LAYOUT_CREATE_UPDATE_AFTER_BIND_POOL_BIT,
			.bindingCount = VK_COUNT(bindings),
			.pBindings = bindings,
		},
		NULL, &set->layout));
}

static void create_set(const struct vk *vk, struct vk_set *set) {
	create_layout(vk, set);
	vk_ok(vkCreateDescriptorPool(vk->device,
		&(VkDescriptorPoolCreateInfo){
			.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
			.flags = VK_DESCRIPTOR_POOL_CREATE_UPDATE_AFTER_BIND_BIT,
			.maxSets = 1,
			.poolSizeCount = 1,
			.pPoolSizes = &(VkDescriptorPoolSize){ VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, ARRAY + 1 },
		},
		NULL, &set->pool));
	vk_ok(vkAllocateDescriptorSets(vk->device,
		&(VkDescriptorSetAllocateInfo){
			.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
			.pNext =
				&(VkDescriptorSetVariableDescriptorCountAllocateInfo){
					.sType =
						VK_STRUCTURE_TYPE_DESCRIPTOR_SET_VARIABLE_DESCRIPTOR_COUNT_ALLOCATE_INFO,
					.descriptorSetCount = 1,
					.pDescriptorCounts = &(uint32_t){ ARRAY },
				},
			.descriptorPool = set->pool,
			.descriptorSetCount = 1,
			.pSetLayouts = &set->layout,
		},
		&set->set));
}

/* Every buffer holds its own numbers. */
static void write_array(const struct vk *vk, const struct vk_set *set, struct vk_buffer *buffers) {
	for (uint32_t i = 0; i < COUNT; i++) {
		vk_buffer_create(vk, &buffers[i], COUNT * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
		for (uint32_t k = 0; k < COUNT; k++) {
			((uint32_t *)buffers[i].map)[k] = i * 1000 + k;
		}
		vkUpdateDescriptorSets(vk->device, 1,
			&(VkWriteDescriptorSet){
				.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
				.dstSet = set->set,
				.dstBinding = 1,
				.dstArrayElement = i * 3,
				.descriptorCount = 1,
				.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
				.pBufferInfo =
					&(VkDescriptorBufferInfo){ buffers[i].buffer, 0, VK_WHOLE_SIZE },
			},
			0, NULL);
	}
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open_instance(&vk);
	VkPhysicalDeviceDescriptorIndexingFeatures wanted;
	wanted_or_skip(&vk, &wanted);
	vk_open_device(&vk, &(struct vk_wants){ .features = &wanted });
	struct vk_set set;
	create_set(&vk, &set);
	struct vk_buffer result, buffers[COUNT];
	vk_buffer_create(&vk, &result, COUNT * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	vk_set_buffer(&vk, &set, 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, &result);
	VkPipelineLayout layout = vk_pipeline_layout(&vk, &set, 0);
	VkPipeline pipeline = vk_compute_pipeline(&vk, layout, VK_SHADER(indexing_cs), NULL);
	VkCommandBuffer commands = vk_begin(&vk);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set.set, 0, NULL);
	write_array(&vk, &set, buffers);
	vkCmdDispatch(commands, 1, 1, 1);
	vk_barrier(commands);
	vk_end(&vk, commands);
	for (uint32_t i = 0; i < COUNT; i++) {
		expect(((uint32_t *)result.map)[i] == i * 1001);
		vk_buffer_destroy(&vk, &buffers[i]);
	}
	vkDestroyPipeline(vk.device, pipeline, NULL);
	vkDestroyPipelineLayout(vk.device, layout, NULL);
	vk_set_destroy(&vk, &set);
	vk_buffer_destroy(&vk, &result);
	vk_close(&vk);
}
