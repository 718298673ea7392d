/* Buffer device addresses: a list that goes back and forth between two buffers. */
#include "vk.h"

#include "address_cs.h"

#define NODES 64

struct node {
	VkDeviceAddress next;
	uint32_t value;
	uint32_t place;
};

struct list {
	struct vk_buffer buffers[2];
	VkDeviceAddress addresses[2];
};

/* A buffer's memory must be told that addresses are asked of it. */
static void create_buffer(const struct vk *vk, struct vk_buffer *buffer) {
	buffer->size = NODES / 2 * sizeof(struct node);
	vk_ok(vkCreateBuffer(vk->device,
		&(VkBufferCreateInfo){
			.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
			.size = buffer->size,
			.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
				 VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT,
		},
		NULL, &buffer->buffer));
	VkMemoryRequirements needs;
	vkGetBufferMemoryRequirements(vk->device, buffer->buffer, &needs);
	vk_ok(vkAllocateMemory(vk->device,
		&(VkMemoryAllocateInfo){
			.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
			.pNext =
				&(VkMemoryAllocateFlagsInfo){
					.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
					.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT,
				},
			.allocationSize = needs.size,
			.memoryTypeIndex = vk_find_memory(vk, needs.memoryTypeBits,
				VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT),
		},
		NULL, &buffer->memory));
	vk_ok(vkBindBufferMemory(vk->device, buffer->buffer, buffer->memory, 0));
	vk_ok(vkMapMemory(vk->device, buffer->memory, 0, VK_WHOLE_SIZE, 0, &buffer->map));
}

static struct node *node_at(const struct list *list, uint32_t i) {
	return (struct node *)list->buffers[i % 2].map + i / 2;
}

static void create(const struct vk *vk, struct list *list) {
	for (uint32_t i = 0; i < 2; i++) {
		create_buffer(vk, &list->buffers[i]);
		list->addresses[i] = vkGetBufferDeviceAddress(
			vk->device, &(VkBufferDeviceAddressInfo){
					    .sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
					    .buffer = list->buffers[i].buffer,
				    });
		expect(list->addresses[i] != 0);
	}
	for (uint32_t i = 0; i < NODES; i++) {
		uint32_t next = (i + 1) % NODES;
		*node_at(list, i) = (struct node){
			.next = list->addresses[next % 2] + next / 2 * sizeof(struct node),
			.value = 1000 + i,
		};
	}
}

static void run(const struct vk *vk, const struct list *list) {
	const struct {
		VkDeviceAddress first;
		uint32_t count;
		uint32_t padding;
	} push = { list->addresses[0], NODES, 0 };
	VkPipelineLayout layout = vk_pipeline_layout(vk, NULL, sizeof(push));
	VkPipeline pipeline = vk_compute_pipeline(vk, layout, VK_SHADER(address_cs), NULL);
	VkCommandBuffer commands = vk_begin(vk);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	vkCmdPushConstants(commands, layout, VK_SHADER_STAGE_ALL, 0, sizeof(push), &push);
	vkCmdDispatch(commands, 1, 1, 1);
	vk_barrier(commands);
	vk_end(vk, commands);
	for (uint32_t i = 0; i < NODES; i++) {
		expect(node_at(list, i)->value == (1000 + i) * 2 + i && node_at(list, i)->place == i);
	}
	vkDestroyPipeline(vk->device, pipeline, NULL);
	vkDestroyPipelineLayout(vk->device, layout, NULL);
}

int main(int argc, char **argv) {
	out_begin(argc, argv);
	struct vk vk;
	vk_open_instance(&vk);
	VkPhysicalDeviceBufferDeviceAddressFeatures address = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES,
	};
	vkGetPhysicalDeviceFeatures2(vk.physical,
		&(VkPhysicalDeviceFeatures2){
			.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &address });
	if (!address.bufferDeviceAddress) {
		out_skip_all("bufferDeviceAddress is not offered");
	}
	address.bufferDeviceAddressCaptureReplay = VK_FALSE;
	address.bufferDeviceAddressMultiDevice = VK_FALSE;
	vk_open_device(&vk, &(struct vk_wants){ .features = &address });
	struct list list;
	create(&vk, &list);
	run(&vk, &list);
	vk_buffer_destroy(&vk, &list.buffers[0]);
	vk_buffer_destroy(&vk, &list.buffers[1]);
	vk_close(&vk);
}
