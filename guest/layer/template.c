#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "layer/layer.h"
#include "util/macros.h"

// Where buffers stand in the data of a template, in bytes.
struct buffers {
	size_t offset; // of the first, from neep_layer_template.begin
	size_t stride;
	uint32_t count;
};

struct neep_layer_template {
	struct neep_layer_entry entry; // key: the handle
	VkDescriptorUpdateTemplate handle;
	size_t begin; // of what the template reads of its data
	size_t size;
	uint32_t count;
	struct buffers buffers[];
};

static uint64_t key_of(VkDescriptorUpdateTemplate handle) {
	return (uint64_t)(uintptr_t)handle;
}

static bool is_of_buffers(VkDescriptorType type) {
	return type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER || type == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER ||
	       type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC ||
	       type == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC;
}

// Of one element in the data.
static size_t size_of(VkDescriptorType type) {
	if (is_of_buffers(type)) {
		return sizeof(VkDescriptorBufferInfo);
	}
	switch ((int)type) {
	case VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER:
	case VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER:
		return sizeof(VkBufferView);
	case VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK:
		return 1;
	default:
		return sizeof(VkDescriptorImageInfo);
	}
}

// Of inline uniform blocks, which count bytes, as of what is one behind the other, the driver takes no stride.
static size_t stride_of(const VkDescriptorUpdateTemplateEntry *entry) {
	bool is_dense =
		entry->stride == 0 || entry->descriptorType == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK;
	return is_dense ? size_of(entry->descriptorType) : entry->stride;
}

static size_t end_of(const VkDescriptorUpdateTemplateEntry *entry) {
	return entry->offset + (entry->descriptorCount - 1) * stride_of(entry) +
	       size_of(entry->descriptorType);
}

static void describe_data(
	struct neep_layer_template *template, const VkDescriptorUpdateTemplateCreateInfo *info) {
	size_t begin = SIZE_MAX, end = 0;
	for (uint32_t i = 0; i < info->descriptorUpdateEntryCount; i++) {
		const VkDescriptorUpdateTemplateEntry *entry = &info->pDescriptorUpdateEntries[i];
		if (entry->descriptorCount == 0) {
			continue;
		}
		begin = entry->offset < begin ? entry->offset : begin;
		end = end_of(entry) > end ? end_of(entry) : end;
	}
	template->begin = begin;
	template->size = end > begin ? end - begin : 0;
}

static void describe(struct neep_layer_template *template, const VkDescriptorUpdateTemplateCreateInfo *info) {
	describe_data(template, info);
	for (uint32_t i = 0; i < info->descriptorUpdateEntryCount; i++) {
		const VkDescriptorUpdateTemplateEntry *entry = &info->pDescriptorUpdateEntries[i];
		if (is_of_buffers(entry->descriptorType) && entry->descriptorCount > 0) {
			template->buffers[template->count++] = (struct buffers){
				.offset = entry->offset - template->begin,
				.stride = stride_of(entry),
				.count = entry->descriptorCount,
			};
		}
	}
}

void neep_layer_template_free(struct neep_layer_entry *entry) {
	free(neep_container_of(entry, struct neep_layer_template, entry));
}

VKAPI_ATTR VkResult VKAPI_CALL neep_layer_CreateDescriptorUpdateTemplate(VkDevice device,
	const VkDescriptorUpdateTemplateCreateInfo *info, const VkAllocationCallbacks *allocator,
	VkDescriptorUpdateTemplate *handle) {
	struct neep_layer_device *self = neep_layer_device_of(device);
	struct neep_layer_template *template = calloc(
		1, sizeof(*template) + info->descriptorUpdateEntryCount * sizeof(template->buffers[0]));
	if (template == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	describe(template, info);
	VkResult result = self->create_template(device, info, allocator, handle);
	if (result != VK_SUCCESS || template->count == 0) {
		free(template);
		return result;
	}
	template->handle = *handle;
	template->entry.key = key_of(*handle);
	neep_layer_map_add(&self->templates, &template->entry);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL neep_layer_DestroyDescriptorUpdateTemplate(
	VkDevice device, VkDescriptorUpdateTemplate handle, const VkAllocationCallbacks *allocator) {
	struct neep_layer_device *self = neep_layer_device_of(device);
	// Before the driver may give the handle to another.
	struct neep_layer_entry *entry = neep_layer_map_take(&self->templates, key_of(handle));
	if (entry != NULL) {
		neep_layer_template_free(entry);
	}
	self->destroy_template(device, handle, allocator);
}

// Where a handle lies in what the template reads of its data.
static size_t place_of(const struct buffers *buffers, uint32_t index) {
	return buffers->offset + index * buffers->stride + offsetof(VkDescriptorBufferInfo, buffer);
}

static bool is_null(const char *data, const struct buffers *buffers, uint32_t index) {
	VkBuffer buffer;
	memcpy(&buffer, data + place_of(buffers, index), sizeof(buffer));
	return buffer == VK_NULL_HANDLE;
}

// `data` is what the template reads, from its begin on.
static bool has_null(const struct neep_layer_template *template, const char *data) {
	for (uint32_t i = 0; i < template->count; i++) {
		for (uint32_t index = 0; index < template->buffers[i].count; index++) {
			if (is_null(data, &template->buffers[i], index)) {
				return true;
			}
		}
	}
	return false;
}

static void replace_nulls(char *data, const struct buffers *buffers, VkBuffer with) {
	for (uint32_t index = 0; index < buffers->count; index++) {
		if (is_null(data, buffers, index)) {
			memcpy(data + place_of(buffers, index), &with, sizeof(with));
		}
	}
}

static void update_with_nulls(const struct neep_layer_device *self, VkDescriptorSet set,
	const struct neep_layer_template *template, const char *data) {
	char *copy = malloc(template->size);
	if (copy == NULL) {
		return;
	}
	memcpy(copy, data, template->size);
	for (uint32_t i = 0; i < template->count; i++) {
		replace_nulls(copy, &template->buffers[i], self->null_buffer);
	}
	// The driver reads nothing before the begin.
	self->update_with_template(
		self->handle, set, template->handle, (const void *)((uintptr_t)copy - template->begin));
	free(copy);
}

VKAPI_ATTR void VKAPI_CALL neep_layer_UpdateDescriptorSetWithTemplate(
	VkDevice device, VkDescriptorSet set, VkDescriptorUpdateTemplate handle, const void *data) {
	struct neep_layer_device *self = neep_layer_device_of(device);
	const struct neep_layer_entry *entry = neep_layer_map_find(&self->templates, key_of(handle));
	const struct neep_layer_template *template =
		entry != NULL ? neep_container_of(entry, struct neep_layer_template, entry) : NULL;
	if (template != NULL && has_null(template, (const char *)data + template->begin)) {
		update_with_nulls(self, set, template, (const char *)data + template->begin);
	} else {
		self->update_with_template(device, set, handle, data);
	}
}
