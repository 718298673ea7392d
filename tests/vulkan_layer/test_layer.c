/* The layer for guests between a program and a driver that is made up. */
#include "support/cmocka.h"

#include <pthread.h>
#include <string.h>

#include "util/guest_layer.h"
#include "util/macros.h"
#include "vulkan_layer/fake.h"

VkResult vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *interface);

static VkInstance instance;

static int set_up(void **state) {
	(void)state;
	instance = fake_start();
	return 0;
}

static int tear_down(void **state) {
	(void)state;
	fake_stop(instance);
	return 0;
}

static void destroy(VkDevice device) {
	neep_layer_DestroyDevice(device, NULL);
}

static VkBuffer buffer(uintptr_t number) {
	return (VkBuffer)(number * 0x100);
}

/* ---- the way in ---- */

static void loader_of_old_interface_is_refused(void **state) {
	(void)state;
	VkNegotiateLayerInterface interface = { .loaderLayerInterfaceVersion = 1 };
	assert_int_equal(vkNegotiateLoaderLayerInterfaceVersion(&interface), VK_ERROR_INITIALIZATION_FAILED);
	interface.loaderLayerInterfaceVersion = 7;
	assert_int_equal(vkNegotiateLoaderLayerInterfaceVersion(&interface), VK_SUCCESS);
	assert_int_equal(interface.loaderLayerInterfaceVersion, 2);
	PFN_vkGetInstanceProcAddr get = interface.pfnGetInstanceProcAddr;
	assert_ptr_equal(get(VK_NULL_HANDLE, "vkCreateInstance"), neep_layer_CreateInstance);
	assert_null(get(VK_NULL_HANDLE, "vkCmdDraw"));
	assert_ptr_equal(get(instance, "vkGetDeviceProcAddr"), neep_layer_GetDeviceProcAddr);
	assert_non_null(get(instance, "vkGetPhysicalDeviceToolProperties"));
	/* Under the name that the driver has. */
	assert_ptr_equal(
		get(instance, "vkGetPhysicalDeviceProperties2"), neep_layer_GetPhysicalDeviceProperties2);
	assert_null(get(instance, "vkGetPhysicalDeviceProperties2KHR"));
	assert_null(get(instance, "vkNoSuch"));
}

static void instance_and_device_are_refused_without_the_loaders_links(void **state) {
	(void)state;
	VkInstance other;
	VkDevice device;
	assert_int_equal(neep_layer_CreateInstance(&(VkInstanceCreateInfo){ 0 }, NULL, &other),
		VK_ERROR_INITIALIZATION_FAILED);
	assert_int_equal(neep_layer_CreateDevice(fake_physical(), &(VkDeviceCreateInfo){ 0 }, NULL, &device),
		VK_ERROR_INITIALIZATION_FAILED);
	neep_layer_DestroyInstance(VK_NULL_HANDLE, NULL);
	neep_layer_DestroyDevice(VK_NULL_HANDLE, NULL);
}

/* ---- what is offered ---- */

static uint32_t list(const char *layer, uint32_t room, VkExtensionProperties *properties, VkResult expected) {
	uint32_t count = room;
	assert_int_equal(
		neep_layer_EnumerateDeviceExtensionProperties(fake_physical(), layer, &count, properties),
		expected);
	return count;
}

static void extension_is_listed_once_where_the_host_has_null_descriptors(void **state) {
	(void)state;
	VkExtensionProperties properties[4];
	assert_int_equal(list(NULL, 0, NULL, VK_SUCCESS), 2);
	assert_int_equal(list(NULL, 4, properties, VK_SUCCESS), 2);
	assert_string_equal(properties[1].extensionName, VK_EXT_ROBUSTNESS_2_EXTENSION_NAME);
	fake.lists_extension = true;
	assert_int_equal(list(NULL, 4, properties, VK_SUCCESS), 2);
	fake.lists_extension = false;
	fake.has_tool = false;
	assert_int_equal(list(NULL, 4, properties, VK_SUCCESS), 1);
}

static void list_is_incomplete_when_there_is_less_room(void **state) {
	(void)state;
	VkExtensionProperties properties[2];
	assert_int_equal(list(NULL, 0, properties, VK_INCOMPLETE), 0);
	assert_int_equal(list(NULL, 1, properties, VK_INCOMPLETE), 1);
	assert_int_equal(list(NULL, 2, properties, VK_SUCCESS), 2);
}

static void list_of_a_layer_is_that_layers(void **state) {
	(void)state;
	assert_int_equal(list(NEEP_GUEST_LAYER, 3, NULL, VK_SUCCESS), 0);
	list("VK_LAYER_other", 3, NULL, VK_ERROR_LAYER_NOT_PRESENT);
}

static VkPhysicalDeviceRobustness2FeaturesEXT features_told(void) {
	VkPhysicalDeviceRobustness2FeaturesEXT told = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT,
		.robustBufferAccess2 = 17,
		.robustImageAccess2 = 17,
		.nullDescriptor = VK_FALSE,
	};
	VkPhysicalDeviceFeatures2 features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = &told,
	};
	neep_layer_GetPhysicalDeviceFeatures2(fake_physical(), &features);
	assert_true(features.features.geometryShader);
	return told;
}

static void feature_is_told_whether_the_driver_answers_or_not(void **state) {
	(void)state;
	assert_true(features_told().nullDescriptor);
	assert_false(features_told().robustBufferAccess2);
	assert_false(features_told().robustImageAccess2);
	fake.answers_features = true;
	assert_true(features_told().nullDescriptor);
	assert_true(features_told().robustBufferAccess2);
	fake.answers_features = false;
	fake.has_tool = false;
	assert_false(features_told().nullDescriptor);
	assert_int_equal(features_told().robustBufferAccess2, 17);
}

static void alignments_are_told_whether_the_driver_answers_or_not(void **state) {
	(void)state;
	for (int answers = 0; answers < 2; answers++) {
		VkPhysicalDeviceRobustness2PropertiesEXT told = {
			.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_PROPERTIES_EXT,
		};
		VkPhysicalDeviceProperties2 properties = {
			.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
			.pNext = &told,
		};
		fake.answers_features = answers;
		neep_layer_GetPhysicalDeviceProperties2(fake_physical(), &properties);
		assert_int_equal(told.robustStorageBufferAccessSizeAlignment, answers ? 1 : 4);
		assert_int_equal(told.robustUniformBufferAccessSizeAlignment, answers ? 16 : 256);
	}
}

/* ---- devices ---- */

static const VkPhysicalDeviceRobustness2FeaturesEXT all_wanted = {
	.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT,
	.robustBufferAccess2 = VK_TRUE,
	.nullDescriptor = VK_TRUE,
};
static const VkPhysicalDeviceFeatures2 chain_wanted = {
	.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
	.pNext = (void *)&all_wanted,
};

static void device_is_asked_for_what_the_driver_knows(void **state) {
	(void)state;
	const char *const names[] = { "VK_KHR_first", VK_EXT_ROBUSTNESS_2_EXTENSION_NAME, "VK_KHR_last" };
	VkDeviceCreateInfo info = {
		.pNext = &chain_wanted,
		.enabledExtensionCount = 3,
		.ppEnabledExtensionNames = names,
	};
	VkDevice device;
	assert_int_equal(fake_create_device(&info, &device), VK_SUCCESS);
	assert_int_equal(fake.name_count, 2);
	assert_string_equal(fake.names[0], "VK_KHR_first");
	assert_string_equal(fake.names[1], "VK_KHR_last");
	assert_false(fake.wants_nulls);
	assert_true(fake.wants_robust);
	assert_int_equal(fake.buffer_count, 1);
	assert_int_equal(fake.buffer_size, 0);
	destroy(device);
	info.pNext = NULL;
	assert_int_equal(fake_create_device(&info, &device), VK_SUCCESS);
	assert_int_equal(fake.name_count, 2);
	assert_int_equal(fake.buffer_count, 0);
	destroy(device);
}

static void programs_chain_is_as_it_was_when_a_struct_is_not_known(void **state) {
	(void)state;
	VkPhysicalDeviceRobustness2FeaturesEXT wanted = all_wanted;
	VkBaseOutStructure future = { .sType = (VkStructureType)1999999000, .pNext = (void *)&wanted };
	VkDevice device;
	assert_int_equal(fake_create_device(&(VkDeviceCreateInfo){ .pNext = &future }, &device), VK_SUCCESS);
	assert_false(fake.wants_nulls);
	assert_true(wanted.nullDescriptor);
	assert_ptr_equal(future.pNext, &wanted);
	destroy(device);
}

static void device_of_other_drivers_is_left_alone(void **state) {
	(void)state;
	const char *const names[] = { VK_EXT_ROBUSTNESS_2_EXTENSION_NAME };
	const VkDeviceCreateInfo info = {
		.pNext = &chain_wanted,
		.enabledExtensionCount = 1,
		.ppEnabledExtensionNames = names,
	};
	VkDevice device;
	fake.lists_extension = true;
	assert_int_equal(fake_create_device(&info, &device), VK_SUCCESS);
	assert_int_equal(fake.name_count, 1);
	assert_true(fake.wants_nulls);
	assert_int_equal(fake.buffer_count, 0);
	assert_ptr_not_equal(fake_get(device, "vkCmdBindVertexBuffers"), neep_layer_CmdBindVertexBuffers);
	destroy(device);
}

static void device_fails_without_a_trace(void **state) {
	(void)state;
	const VkDeviceCreateInfo info = { .pNext = &all_wanted };
	VkDevice device = VK_NULL_HANDLE;
	fake.create_result = VK_ERROR_TOO_MANY_OBJECTS;
	assert_int_equal(fake_create_device(&info, &device), VK_ERROR_TOO_MANY_OBJECTS);
	fake.create_result = VK_SUCCESS;
	fake.buffer_result = VK_ERROR_FEATURE_NOT_PRESENT;
	assert_int_equal(fake_create_device(&info, &device), VK_ERROR_FEATURE_NOT_PRESENT);
	assert_int_equal(fake.destroyed_count, 1);
	assert_null(neep_layer_device_of(device));
}

static void functions_are_the_drivers_where_nothing_is_null(void **state) {
	(void)state;
	VkDevice without, with = fake_device();
	assert_int_equal(fake_create_device(&(VkDeviceCreateInfo){ 0 }, &without), VK_SUCCESS);
	assert_ptr_equal(fake_get(with, "vkCmdBindVertexBuffers"), neep_layer_CmdBindVertexBuffers);
	assert_ptr_equal(fake_get(with, "vkCmdBindVertexBuffers2EXT"), neep_layer_CmdBindVertexBuffers2);
	/* What the driver does not have, the layer does not, either. */
	assert_null(fake_get(with, "vkCmdBindVertexBuffers2"));
	assert_ptr_not_equal(fake_get(without, "vkCmdBindVertexBuffers"), neep_layer_CmdBindVertexBuffers);
	assert_non_null(fake_get(without, "vkCmdBindVertexBuffers"));
	assert_ptr_equal(fake_get(without, "vkDestroyDevice"), neep_layer_DestroyDevice);
	destroy(with);
	destroy(without);
}

/* ---- vertex buffers ---- */

static void null_vertex_buffers_are_replaced(void **state) {
	(void)state;
	VkDevice device = fake_device();
	const VkBuffer buffers[] = { buffer(1), VK_NULL_HANDLE, buffer(3) };
	const VkDeviceSize offsets[] = { 10, 0, 30 };
	neep_layer_CmdBindVertexBuffers((VkCommandBuffer)(void *)device, 2, 3, buffers, offsets);
	assert_int_equal(fake.bound_count, 5);
	assert_ptr_equal(fake.bound[2], buffer(1));
	assert_ptr_equal(fake.bound[3], FAKE_NULL_BUFFER);
	assert_ptr_equal(fake.bound[4], buffer(3));
	assert_int_equal(fake.offsets[4], 30);
	neep_layer_CmdBindVertexBuffers((VkCommandBuffer)(void *)device, 0, 0, NULL, NULL);
	assert_int_equal(fake.bind_count, 1);
	destroy(device);
}

static void many_vertex_buffers_go_in_pieces(void **state) {
	(void)state;
	VkDevice device = fake_device();
	VkBuffer buffers[70];
	VkDeviceSize offsets[70], sizes[70];
	for (uint32_t i = 0; i < NEEP_ARRAY_LEN(buffers); i++) {
		buffers[i] = i % 3 == 0 ? VK_NULL_HANDLE : buffer(i);
		offsets[i] = i * 2;
		sizes[i] = 1001 + i;
	}
	neep_layer_CmdBindVertexBuffers2(
		(VkCommandBuffer)(void *)device, 1, NEEP_ARRAY_LEN(buffers), buffers, offsets, sizes, NULL);
	assert_int_equal(fake.bound_count, 71);
	for (uint32_t i = 0; i < NEEP_ARRAY_LEN(buffers); i++) {
		assert_ptr_equal(fake.bound[1 + i], i % 3 == 0 ? FAKE_NULL_BUFFER : buffer(i));
		assert_int_equal(fake.offsets[1 + i], i * 2);
	}
	destroy(device);
}

/* ---- templates ---- */

/* As a program keeps it, with something before and between. */
struct data {
	uint64_t before;
	struct {
		VkDescriptorBufferInfo info;
		uint32_t tag;
	} blocks[3];
	VkDescriptorImageInfo image;
	VkBufferView view;
	uint8_t bytes[12];
	VkDescriptorBufferInfo last;
};

static const VkDescriptorUpdateTemplateEntry entries[] = {
	{ 0, 0, 3, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, offsetof(struct data, blocks),
		sizeof(((struct data *)0)->blocks[0]) },
	{ 1, 0, 1, VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE, offsetof(struct data, image), 0 },
	{ 2, 0, 1, VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, offsetof(struct data, view), 0 },
	{ 3, 0, 12, VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK, offsetof(struct data, bytes), 500 },
	{ 4, 0, 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC, offsetof(struct data, last), 9999 },
	{ 5, 0, 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1u << 30, 0 },
};
static const VkDescriptorUpdateTemplateCreateInfo template_info = {
	.descriptorUpdateEntryCount = NEEP_ARRAY_LEN(entries),
	.pDescriptorUpdateEntries = entries,
};

static VkDescriptorUpdateTemplate create_template(
	VkDevice device, const VkDescriptorUpdateTemplateCreateInfo *info) {
	VkDescriptorUpdateTemplate handle = VK_NULL_HANDLE;
	assert_int_equal(neep_layer_CreateDescriptorUpdateTemplate(device, info, NULL, &handle), VK_SUCCESS);
	return handle;
}

static void fill(struct data *data) {
	*data = (struct data){ .before = 1, .image.imageLayout = 5, .bytes = "eleven byte" };
	for (uint32_t i = 0; i < 3; i++) {
		data->blocks[i].info = (VkDescriptorBufferInfo){ buffer(i + 1), i, 16 };
		data->blocks[i].tag = 0xabc + i;
	}
	data->last.buffer = buffer(9);
}

static void null_buffers_of_a_template_are_replaced_in_a_copy(void **state) {
	(void)state;
	VkDevice device = fake_device();
	VkDescriptorUpdateTemplate template = create_template(device, &template_info);
	struct data data, before, seen;
	fill(&data);
	data.blocks[1].info.buffer = VK_NULL_HANDLE;
	data.last.buffer = VK_NULL_HANDLE;
	before = data;
	fake.update_begin = offsetof(struct data, blocks);
	fake.update_size = sizeof(data) - fake.update_begin;
	neep_layer_UpdateDescriptorSetWithTemplate(device, VK_NULL_HANDLE, template, &data);
	assert_ptr_not_equal(fake.update_data, &data);
	assert_memory_equal(&data, &before, sizeof(data));
	memcpy((char *)&seen + fake.update_begin, fake.updated, fake.update_size);
	assert_ptr_equal(seen.blocks[0].info.buffer, buffer(1));
	assert_ptr_equal(seen.blocks[1].info.buffer, FAKE_NULL_BUFFER);
	assert_int_equal(seen.blocks[1].info.offset, 1);
	assert_int_equal(seen.blocks[2].tag, 0xabe);
	assert_ptr_equal(seen.last.buffer, FAKE_NULL_BUFFER);
	/* Other nulls are the driver's. */
	assert_null(seen.view);
	assert_null(seen.image.imageView);
	assert_int_equal(seen.image.imageLayout, 5);
	assert_memory_equal(seen.bytes, data.bytes, sizeof(data.bytes));
	neep_layer_DestroyDescriptorUpdateTemplate(device, template, NULL);
	destroy(device);
}

static void data_passes_where_no_buffer_is_null(void **state) {
	(void)state;
	static const VkDescriptorUpdateTemplateCreateInfo images_only = {
		.descriptorUpdateEntryCount = 1,
		.pDescriptorUpdateEntries = &entries[1],
	};
	static const VkDescriptorUpdateTemplateCreateInfo nothing = { 0 };
	VkDevice device = fake_device();
	VkDescriptorUpdateTemplate templates[] = {
		create_template(device, &template_info),
		create_template(device, &images_only),
		create_template(device, &nothing),
	};
	struct data data;
	fill(&data);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(templates); i++) {
		fake.update_data = NULL;
		neep_layer_UpdateDescriptorSetWithTemplate(device, VK_NULL_HANDLE, templates[i], &data);
		assert_ptr_equal(fake.update_data, &data);
	}
	/* What a program forgets to destroy goes with the device. */
	destroy(device);
}

static void devices_have_templates_of_their_own(void **state) {
	(void)state;
	VkDevice first = fake_device(), second = fake_device();
	VkDescriptorUpdateTemplate template = create_template(first, &template_info);
	struct data data = { 0 };
	fake.update_size = 0;
	/* The same number means nothing to the other. */
	neep_layer_UpdateDescriptorSetWithTemplate(second, VK_NULL_HANDLE, template, &data);
	assert_ptr_equal(fake.update_data, &data);
	neep_layer_DestroyDescriptorUpdateTemplate(second, template, NULL);
	neep_layer_UpdateDescriptorSetWithTemplate(first, VK_NULL_HANDLE, template, &data);
	assert_ptr_not_equal(fake.update_data, &data);
	destroy(second);
	destroy(first);
}

/* ---- threads ---- */

static void *make_templates(void *data) {
	VkDevice device = data;
	for (int i = 0; i < 2000; i++) {
		VkDescriptorUpdateTemplateCreateInfo info = template_info;
		VkDescriptorUpdateTemplate template = VK_NULL_HANDLE;
		if (neep_layer_CreateDescriptorUpdateTemplate(device, &info, NULL, &template) != VK_SUCCESS) {
			return data;
		}
		neep_layer_GetDeviceProcAddr(device, "vkCmdDraw");
		neep_layer_DestroyDescriptorUpdateTemplate(device, template, NULL);
	}
	return NULL;
}

static void templates_come_and_go_in_threads(void **state) {
	(void)state;
	VkDevice device = fake_device();
	pthread_t threads[4];
	for (size_t i = 0; i < NEEP_ARRAY_LEN(threads); i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, make_templates, device), 0);
	}
	for (size_t i = 0; i < NEEP_ARRAY_LEN(threads); i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	destroy(device);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
	const struct CMUnitTest tests[] = {
		CASE(loader_of_old_interface_is_refused),
		CASE(instance_and_device_are_refused_without_the_loaders_links),
		CASE(extension_is_listed_once_where_the_host_has_null_descriptors),
		CASE(list_is_incomplete_when_there_is_less_room),
		CASE(list_of_a_layer_is_that_layers),
		CASE(feature_is_told_whether_the_driver_answers_or_not),
		CASE(alignments_are_told_whether_the_driver_answers_or_not),
		CASE(device_is_asked_for_what_the_driver_knows),
		CASE(programs_chain_is_as_it_was_when_a_struct_is_not_known),
		CASE(device_of_other_drivers_is_left_alone),
		CASE(device_fails_without_a_trace),
		CASE(functions_are_the_drivers_where_nothing_is_null),
		CASE(null_vertex_buffers_are_replaced),
		CASE(many_vertex_buffers_go_in_pieces),
		CASE(null_buffers_of_a_template_are_replaced_in_a_copy),
		CASE(data_passes_where_no_buffer_is_null),
		CASE(devices_have_templates_of_their_own),
		CASE(templates_come_and_go_in_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
