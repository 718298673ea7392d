#include "layer/layer.h"

// Drivers have 16 to 64 bindings: so many go below at once.
#define PIECE 32

// Copies handles with the null buffer's in place of nulls.
static void replace_nulls(
	const struct neep_layer_device *self, const VkBuffer *buffers, uint32_t count, VkBuffer *replaced) {
	for (uint32_t i = 0; i < count; i++) {
		replaced[i] = buffers[i] != VK_NULL_HANDLE ? buffers[i] : self->null_buffer;
	}
}

static uint32_t piece_of(uint32_t count, uint32_t done) {
	return count - done < PIECE ? count - done : PIECE;
}

VKAPI_ATTR void VKAPI_CALL neep_layer_CmdBindVertexBuffers(VkCommandBuffer commands, uint32_t first,
	uint32_t count, const VkBuffer *buffers, const VkDeviceSize *offsets) {
	const struct neep_layer_device *self = neep_layer_device_of(commands);
	for (uint32_t done = 0, piece; done < count; done += piece) {
		VkBuffer replaced[PIECE];
		piece = piece_of(count, done);
		replace_nulls(self, buffers + done, piece, replaced);
		self->bind_vertex_buffers(commands, first + done, piece, replaced, offsets + done);
	}
}

static const VkDeviceSize *from(const VkDeviceSize *values, uint32_t done) {
	return values != NULL ? values + done : NULL;
}

VKAPI_ATTR void VKAPI_CALL neep_layer_CmdBindVertexBuffers2(VkCommandBuffer commands, uint32_t first,
	uint32_t count, const VkBuffer *buffers, const VkDeviceSize *offsets, const VkDeviceSize *sizes,
	const VkDeviceSize *strides) {
	const struct neep_layer_device *self = neep_layer_device_of(commands);
	for (uint32_t done = 0, piece; done < count; done += piece) {
		VkBuffer replaced[PIECE];
		piece = piece_of(count, done);
		replace_nulls(self, buffers + done, piece, replaced);
		self->bind_vertex_buffers2(commands, first + done, piece, replaced, offsets + done,
			from(sizes, done), from(strides, done));
	}
}
