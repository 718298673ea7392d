#include <stdlib.h>
#include <string.h>

#include "vulkan/chain.h"
#include "vulkan/decoder.h"
#include "vulkan/device.h"
#include "vulkan/handlers_descriptor.h"
#include "vulkan/wait.h"

VkResult neep_vk_ResetDescriptorPool(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *descriptorPool, VkDescriptorPoolResetFlags flags) {
	(void)device;
	VkResult result = call->device->vk.ResetDescriptorPool(NEEP_VK_HANDLE(VkDevice, &call->device->base),
		NEEP_VK_HANDLE(VkDescriptorPool, descriptorPool), flags);
	if (result == VK_SUCCESS) {
		neep_vk_object_destroy_children(neep_vk_call_table(call), descriptorPool);
	}
	return neep_vk_device_told(call->device, result);
}

/* The driver's sets without an id stay in their pool until that is reset. */
static VkResult add_sets(struct neep_vk_call *call, struct neep_vk_object *pool, uint32_t count,
	const VkDescriptorSet *sets, uint64_t *ids) {
	VkResult result = VK_SUCCESS;
	for (uint32_t i = 0; i < count && result == VK_SUCCESS; i++) {
		struct neep_vk_object_params params = {
			.type = NEEP_VK_DESCRIPTOR_SET,
			.handle = NEEP_VK_RAW(sets[i]),
			.parent = pool,
		};
		result = neep_vk_call_add(call, &params, &ids[i]);
	}
	return result;
}

/* Drivers trust the counts of variable-sized bindings to be those of the sets. */
static void check_variable_counts(VkDescriptorSetAllocateInfo *info) {
	static const VkStructureType type =
		VK_STRUCTURE_TYPE_DESCRIPTOR_SET_VARIABLE_DESCRIPTOR_COUNT_ALLOCATE_INFO;
	const VkDescriptorSetVariableDescriptorCountAllocateInfo *counts = neep_vk_chain_find(info, type);
	if (counts != NULL && counts->descriptorSetCount != info->descriptorSetCount) {
		neep_vk_chain_remove(info, type);
	}
}

VkResult neep_vk_AllocateDescriptorSets(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkDescriptorSetAllocateInfo *pAllocateInfo, uint64_t *pDescriptorSets) {
	(void)device;
	VkDescriptorSetAllocateInfo info = *pAllocateInfo;
	struct neep_vk_object *pool =
		neep_vk_call_find(call, NEEP_VK_DESCRIPTOR_POOL, NEEP_VK_RAW(info.descriptorPool));
	VkDescriptorSet *sets = neep_vk_call_alloc(call, info.descriptorSetCount, sizeof(*sets));
	if (pool == NULL || sets == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	check_variable_counts(&info);
	VkResult result = call->device->vk.AllocateDescriptorSets(
		NEEP_VK_HANDLE(VkDevice, &call->device->base), &info, sets);
	if (result != VK_SUCCESS) {
		return neep_vk_device_told(call->device, result);
	}
	return add_sets(call, pool, info.descriptorSetCount, sets, pDescriptorSets);
}

/* Ends the ids of the sets of the pool and returns how many of the driver's are now in `handles`. */
static uint32_t take_out_sets(struct neep_vk_call *call, struct neep_vk_object *pool, uint32_t count,
	struct neep_vk_object *const *sets, VkDescriptorSet *handles) {
	struct neep_vk_table *table = neep_vk_call_table(call);
	uint32_t taken = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct neep_vk_object *set = sets[i];
		if (set != NULL && set->parent == pool &&
			neep_vk_object_find(table, set->id, NEEP_VK_DESCRIPTOR_SET) != NULL) {
			handles[taken++] = NEEP_VK_HANDLE(VkDescriptorSet, set);
			neep_vk_object_destroy(table, set);
		}
	}
	return taken;
}

VkResult neep_vk_FreeDescriptorSets(struct neep_vk_call *call, struct neep_vk_object *device,
	struct neep_vk_object *descriptorPool, uint32_t descriptorSetCount,
	struct neep_vk_object *const *pDescriptorSets) {
	(void)device;
	VkDescriptorSet *handles = neep_vk_call_alloc(call, descriptorSetCount, sizeof(*handles));
	if (handles == NULL || pDescriptorSets == NULL) {
		return handles == NULL ? VK_ERROR_OUT_OF_HOST_MEMORY : VK_SUCCESS;
	}
	/* The array may name one twice: all live until it has been walked. */
	neep_vk_hold(call);
	uint32_t count = take_out_sets(call, descriptorPool, descriptorSetCount, pDescriptorSets, handles);
	neep_vk_let_go(call);
	if (count == 0) {
		return VK_SUCCESS;
	}
	return call->device->vk.FreeDescriptorSets(NEEP_VK_HANDLE(VkDevice, &call->device->base),
		NEEP_VK_HANDLE(VkDescriptorPool, descriptorPool), count, handles);
}

enum kind {
	KIND_NONE,
	KIND_IMAGE,
	KIND_BUFFER,
	KIND_TEXEL_BUFFER,
	KIND_INLINE_UNIFORM_BLOCK,
};

/* Which member of VkWriteDescriptorSet a type uses. */
static enum kind kind_of(VkDescriptorType type) {
	switch ((int)type) {
	case VK_DESCRIPTOR_TYPE_SAMPLER:
	case VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER:
	case VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE:
	case VK_DESCRIPTOR_TYPE_STORAGE_IMAGE:
	case VK_DESCRIPTOR_TYPE_INPUT_ATTACHMENT:
		return KIND_IMAGE;
	case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER:
	case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER:
	case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC:
	case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC:
		return KIND_BUFFER;
	case VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER:
	case VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER:
		return KIND_TEXEL_BUFFER;
	case VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK:
		return KIND_INLINE_UNIFORM_BLOCK;
	default:
		return KIND_NONE;
	}
}

struct update_template {
	struct neep_vk_object base; // its handle stands for no object of the driver's
	uint32_t count;
	VkDescriptorUpdateTemplateEntry entries[];
};

VkResult neep_vk_CreateDescriptorUpdateTemplate(struct neep_vk_call *call, struct neep_vk_object *device,
	const VkDescriptorUpdateTemplateCreateInfo *pCreateInfo, uint64_t *pDescriptorUpdateTemplate) {
	if (pCreateInfo->templateType != VK_DESCRIPTOR_UPDATE_TEMPLATE_TYPE_DESCRIPTOR_SET) {
		return VK_ERROR_FEATURE_NOT_PRESENT;
	}
	uint32_t count = pCreateInfo->descriptorUpdateEntryCount;
	struct update_template *template =
		calloc(1, sizeof(*template) + count * sizeof(template->entries[0]));
	if (template == NULL) {
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	template->count = count;
	if (count > 0) {
		memcpy(template->entries, pCreateInfo->pDescriptorUpdateEntries,
			count * sizeof(template->entries[0]));
	}
	struct neep_vk_object_params params = {
		.type = NEEP_VK_DESCRIPTOR_UPDATE_TEMPLATE,
		.handle = (uint64_t)(uintptr_t) template,
		.parent = device,
	};
	if (neep_vk_object_add(neep_vk_call_table(call), &template->base, &params) < 0) {
		free(template);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	*pDescriptorUpdateTemplate = template->base.id;
	return VK_SUCCESS;
}

/* An update on its way: at most one write for each entry and kind. */
struct update {
	struct neep_vk_call *call;
	const struct update_template *template;
	VkDescriptorSet set;
	VkWriteDescriptorSet *writes;
	uint32_t count;
};

static VkWriteDescriptorSet *add_write(
	struct update *update, const VkDescriptorUpdateTemplateEntry *entry, uint32_t count) {
	VkWriteDescriptorSet *write = &update->writes[update->count++];
	*write = (VkWriteDescriptorSet){
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstSet = update->set,
		.dstBinding = entry->dstBinding,
		.dstArrayElement = entry->dstArrayElement,
		.descriptorCount = count,
		.descriptorType = entry->descriptorType,
	};
	return write;
}

/* Elements of one kind. */
struct elements {
	enum kind kind;
	uint32_t count;
	const uint32_t *entries; // of each
	uint32_t next;
};

/* Starts the write of the next run of elements, which are those of one entry; `*first` is the first of them. NULL at the end, and when
 * the call failed. */
static VkWriteDescriptorSet *next_write(struct update *update, struct elements *elements, uint32_t *first) {
	uint32_t begin = elements->next;
	if (begin >= elements->count) {
		return NULL;
	}
	uint32_t index = elements->entries[begin];
	uint32_t end = begin;
	while (end < elements->count && elements->entries[end] == index) {
		end++;
	}
	bool is_in_order = begin == 0 || elements->entries[begin - 1] < index;
	if (index >= update->template->count || !is_in_order) {
		neep_vk_call_fail(update->call, "an element of entry %u", index);
		return NULL;
	}
	const VkDescriptorUpdateTemplateEntry *entry = &update->template->entries[index];
	if (kind_of(entry->descriptorType) != elements->kind || end - begin > entry->descriptorCount) {
		neep_vk_call_fail(update->call, "entry %u cannot have %u such elements", index, end - begin);
		return NULL;
	}
	elements->next = end;
	*first = begin;
	return add_write(update, entry, end - begin);
}

static bool check_elements(struct update *update, const struct elements *elements, const void *values) {
	if (elements->count > 0 && (elements->entries == NULL || values == NULL)) {
		neep_vk_call_fail(update->call, "elements without data");
		return false;
	}
	return true;
}

static void add_images(struct update *update, struct elements *elements, const VkDescriptorImageInfo *infos) {
	VkWriteDescriptorSet *write;
	uint32_t first;
	elements->kind = KIND_IMAGE;
	while (check_elements(update, elements, infos) &&
		(write = next_write(update, elements, &first)) != NULL) {
		write->pImageInfo = infos + first;
	}
}

static void add_buffers(
	struct update *update, struct elements *elements, const VkDescriptorBufferInfo *infos) {
	VkWriteDescriptorSet *write;
	uint32_t first;
	elements->kind = KIND_BUFFER;
	while (check_elements(update, elements, infos) &&
		(write = next_write(update, elements, &first)) != NULL) {
		write->pBufferInfo = infos + first;
	}
}

static const VkBufferView *view_handles(
	struct neep_vk_call *call, uint32_t count, struct neep_vk_object *const *views) {
	VkBufferView *handles = neep_vk_call_alloc(call, count, sizeof(*handles));
	for (uint32_t i = 0; handles != NULL && views != NULL && i < count; i++) {
		handles[i] = NEEP_VK_HANDLE(VkBufferView, views[i]);
	}
	return views != NULL ? handles : NULL;
}

static void add_texel_buffers(
	struct update *update, struct elements *elements, struct neep_vk_object *const *views) {
	const VkBufferView *handles = view_handles(update->call, elements->count, views);
	VkWriteDescriptorSet *write;
	uint32_t first;
	elements->kind = KIND_TEXEL_BUFFER;
	while (check_elements(update, elements, handles) &&
		(write = next_write(update, elements, &first)) != NULL) {
		write->pTexelBufferView = handles + first;
	}
}

/* Entries of inline uniform blocks count bytes. */
static void add_inline_uniform_blocks(struct update *update, const uint8_t *data, uint32_t size) {
	for (uint32_t i = 0; i < update->template->count && size > 0; i++) {
		const VkDescriptorUpdateTemplateEntry *entry = &update->template->entries[i];
		if (kind_of(entry->descriptorType) != KIND_INLINE_UNIFORM_BLOCK) {
			continue;
		}
		VkWriteDescriptorSetInlineUniformBlock *block =
			neep_vk_call_alloc(update->call, 1, sizeof(*block));
		if (block == NULL || data == NULL || entry->descriptorCount > size) {
			neep_vk_call_fail(update->call, "the bytes of entry %u are missing", i);
			return;
		}
		*block = (VkWriteDescriptorSetInlineUniformBlock){
			.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET_INLINE_UNIFORM_BLOCK,
			.dataSize = entry->descriptorCount,
			.pData = data,
		};
		add_write(update, entry, entry->descriptorCount)->pNext = block;
		data += entry->descriptorCount;
		size -= entry->descriptorCount;
	}
}

void neep_vk_UpdateDescriptorSetWithTemplateSized2GOOGLE(struct neep_vk_call *call,
	struct neep_vk_object *device, struct neep_vk_object *descriptorSet,
	struct neep_vk_object *descriptorUpdateTemplate, uint32_t imageInfoCount, uint32_t bufferInfoCount,
	uint32_t bufferViewCount, uint32_t inlineUniformBlockCount, const uint32_t *pImageInfoEntryIndices,
	const uint32_t *pBufferInfoEntryIndices, const uint32_t *pBufferViewEntryIndices,
	const VkDescriptorImageInfo *pImageInfos, const VkDescriptorBufferInfo *pBufferInfos,
	struct neep_vk_object *const *pBufferViews, const uint8_t *pInlineUniformBlockData) {
	(void)device;
	const struct update_template *template =
		neep_container_of(descriptorUpdateTemplate, struct update_template, base);
	struct elements images = { .count = imageInfoCount, .entries = pImageInfoEntryIndices };
	struct elements buffers = { .count = bufferInfoCount, .entries = pBufferInfoEntryIndices };
	struct elements views = { .count = bufferViewCount, .entries = pBufferViewEntryIndices };
	struct update update = {
		.call = call,
		.template = template,
		.set = NEEP_VK_HANDLE(VkDescriptorSet, descriptorSet),
		.writes = neep_vk_call_alloc(call, template->count, sizeof(VkWriteDescriptorSet)),
	};
	if (update.writes == NULL) {
		return;
	}
	add_images(&update, &images, pImageInfos);
	add_buffers(&update, &buffers, pBufferInfos);
	add_texel_buffers(&update, &views, pBufferViews);
	add_inline_uniform_blocks(&update, pInlineUniformBlockData, inlineUniformBlockCount);
	if (!call->is_failed && update.count > 0) {
		call->device->vk.UpdateDescriptorSets(
			NEEP_VK_HANDLE(VkDevice, &call->device->base), update.count, update.writes, 0, NULL);
	}
}
