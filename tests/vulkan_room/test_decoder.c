/* The decoder: the packets of the guest that are known byte for byte, and those that no guest would send. */
#include "support/cmocka.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "neep_vk_commands.h"
#include "neep_vk_structs.h"
#include "vulkan/handlers_instance.h"
#include "vulkan/handlers_physical_device.h"
#include "vulkan_room/stubs.h"

static struct neep_stub_world world;

/* A packet on its way. */
static uint8_t packet[8192];
static size_t packet_len;

static int set_up(void **state) {
	(void)state;
	return !neep_stub_world_init(&world);
}

static int tear_down(void **state) {
	(void)state;
	neep_stub_world_finish(&world);
	return 0;
}

static void put(const void *data, size_t len) {
	assert_true(len <= sizeof(packet) - packet_len);
	memcpy(packet + packet_len, data, len);
	packet_len += len;
}

static void put32(uint32_t value) {
	put(&value, sizeof(value));
}

static void put_be32(uint32_t value) {
	put32(htobe32(value));
}

static void put64(uint64_t value) {
	put(&value, sizeof(value));
}

static void put_zeros(size_t len) {
	assert_true(len <= sizeof(packet) - packet_len);
	memset(packet + packet_len, 0, len);
	packet_len += len;
}

static void start(uint32_t opcode) {
	packet_len = 0;
	put32(opcode);
	put32(0);
	put32(1);
}

/* On a heap block of its own, so that ASan sees every byte too many. */
static int finish(void) {
	uint32_t len = (uint32_t)packet_len;
	memcpy(packet + NEEP_VK_PACKET_LEN, &len, sizeof(len));
	uint8_t *copy = malloc(packet_len);
	assert_non_null(copy);
	memcpy(copy, packet, packet_len);
	int rc = neep_vk_decode_packet(&world.decoder, copy, packet_len);
	free(copy);
	return rc;
}

static void assert_reply(const void *bytes, size_t len) {
	assert_int_equal(world.decoder.reply.len, len);
	assert_memory_equal(world.decoder.reply.buf, bytes, len);
}

static void assert_lost(const char *why) {
	assert_int_equal(finish(), -EPROTO);
	assert_true(world.decoder.call.is_failed);
	if (strstr(world.decoder.reason, why) == NULL) {
		fail_msg("not for this reason: %s", world.decoder.reason);
	}
}

static VkInstanceCreateInfo seen_instance;
static VkApplicationInfo seen_application;
static char seen_texts[2][64];

VkResult neep_vk_CreateInstance(
	struct neep_vk_call *call, const VkInstanceCreateInfo *pCreateInfo, uint64_t *pInstance) {
	(void)call;
	seen_instance = *pCreateInfo;
	seen_application = *pCreateInfo->pApplicationInfo;
	strcpy(seen_texts[0], seen_application.pApplicationName);
	strcpy(seen_texts[1], pCreateInfo->ppEnabledExtensionNames[0]);
	*pInstance = 0x1122334455667788;
	return VK_SUCCESS;
}

static void decoder_reads_the_known_create_instance(void **state) {
	(void)state;
	static const uint8_t body[] = { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x00, 0x7f, 0x12, 0x34,
		0x56, 0x78, 0x9a, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x00, 0x7f, 0x12, 0x34, 0x56, 0x78, 0xb0, 0,
		0, 0, 4, 'd', 'e', 'm', 'o', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x40, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x26 };
	start(20000);
	put(body, sizeof(body));
	put("VK_KHR_get_physical_device_properties2", 38);
	put_zeros(16);
	assert_int_equal(packet_len, 150);
	assert_int_equal(finish(), 0);
	assert_int_equal(seen_application.apiVersion, VK_API_VERSION_1_1);
	assert_int_equal(seen_application.applicationVersion, 1);
	assert_null(seen_application.pEngineName);
	assert_string_equal(seen_texts[0], "demo");
	assert_int_equal(seen_instance.enabledExtensionCount, 1);
	assert_string_equal(seen_texts[1], "VK_KHR_get_physical_device_properties2");
	static const uint8_t reply[] = { 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0 };
	assert_reply(reply, sizeof(reply));
}

static uint32_t devices_told;

VkResult neep_vk_EnumeratePhysicalDevices(struct neep_vk_call *call, struct neep_vk_object *instance,
	uint32_t *pPhysicalDeviceCount, uint64_t *pPhysicalDevices) {
	(void)call;
	(void)instance;
	*pPhysicalDeviceCount = devices_told;
	if (pPhysicalDevices != NULL) {
		pPhysicalDevices[0] = 0x42;
	}
	return VK_SUCCESS;
}

static void decoder_answers_the_known_enumeration(void **state) {
	(void)state;
	devices_told = 1;
	start(20002);
	put64(world.ids[NEEP_VK_INSTANCE]);
	put64(htobe64(99));
	put32(0);
	put64(0);
	assert_int_equal(packet_len, 40);
	assert_int_equal(finish(), 0);
	static const uint8_t count[] = { 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0 };
	assert_reply(count, sizeof(count));

	/* More than there is room for is never told. */
	devices_told = 7;
	start(20002);
	put64(world.ids[NEEP_VK_INSTANCE]);
	put64(htobe64(99));
	put32(1);
	put64(htobe64(98));
	put64(0xdead);
	assert_int_equal(packet_len, 48);
	assert_int_equal(finish(), 0);
	static const uint8_t devices[] = { 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x42,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	assert_reply(devices, sizeof(devices));
}

static void put_event_head(void) {
	start(20042); // vkCreateEvent
	put64(world.ids[NEEP_VK_DEVICE]);
	put32(VK_STRUCTURE_TYPE_EVENT_CREATE_INFO);
}

static void put_event_tail(void) {
	put_be32(0);
	put_zeros(4 + 8 + 8);
}

static void put_link(uint32_t s_type) {
	put_be32(24);
	put32(s_type);
	put32(s_type);
}

static void decoder_wraps_what_the_driver_makes(void **state) {
	(void)state;
	put_event_head();
	put_event_tail();
	assert_int_equal(finish(), 0);
	assert_string_equal(neep_stub_log.last, "vkCreateEvent");
	assert_int_equal(world.decoder.reply.len, 12);
	uint64_t id;
	memcpy(&id, world.decoder.reply.buf, sizeof(id));
	struct neep_vk_object *event = neep_vk_object_find(world.table, id, NEEP_VK_EVENT);
	assert_non_null(event);
	assert_int_equal(event->handle, neep_stub_log.handles);
	assert_ptr_equal(event->parent, &world.device->base);

	start(20043); // vkDestroyEvent
	put64(world.ids[NEEP_VK_DEVICE]);
	put64(id);
	put64(0);
	assert_int_equal(finish(), 0);
	assert_string_equal(neep_stub_log.last, "vkDestroyEvent");
	assert_int_equal(world.decoder.reply.len, 0);
	assert_null(neep_vk_object_find(world.table, id, NEEP_VK_EVENT));
}

static void reply_is_zeros_and_the_result_when_the_driver_fails(void **state) {
	(void)state;
	uint32_t before = neep_vk_table_count(world.table);
	neep_stub_log.result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
	put_event_head();
	put_event_tail();
	assert_int_equal(finish(), 0);
	int32_t result;
	assert_int_equal(world.decoder.reply.len, 12);
	memcpy(&result, world.decoder.reply.buf + 8, sizeof(result));
	assert_int_equal(result, VK_ERROR_OUT_OF_DEVICE_MEMORY);
	assert_int_equal(neep_vk_table_count(world.table), before);
}

static void command_is_refused_when_the_driver_lacks_it(void **state) {
	(void)state;
	world.device->vk.CreateEvent = NULL;
	put_event_head();
	put_event_tail();
	assert_int_equal(finish(), 0);
	static const uint8_t reply[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0xf9, 0xff, 0xff, 0xff };
	assert_reply(reply, sizeof(reply));
	assert_int_equal(neep_stub_log.calls, 0);
}

static void command_is_not_executed_when_the_device_is_lost(void **state) {
	(void)state;
	neep_stub_log.result = VK_ERROR_DEVICE_LOST;
	for (int i = 0; i < 2; i++) {
		start(20044); // vkGetEventStatus
		put64(world.ids[NEEP_VK_DEVICE]);
		put64(world.ids[NEEP_VK_EVENT]);
		assert_int_equal(finish(), 0);
		static const uint8_t reply[] = { 0xfc, 0xff, 0xff, 0xff };
		assert_reply(reply, sizeof(reply));
	}
	assert_int_equal(neep_stub_log.calls, 1);
}

static void get_event_status(uint64_t device, uint64_t event) {
	start(20044);
	put64(device);
	put64(event);
	assert_int_equal(finish(), 0);
	assert_int_equal(world.decoder.reply.len, 4);
	assert_true(world.decoder.refusal < 0);
	assert_int_equal(neep_stub_log.calls, 0);
}

static void command_is_refused_when_a_handle_is_wrong(void **state) {
	(void)state;
	uint64_t device = world.ids[NEEP_VK_DEVICE];
	get_event_status(device, 0);
	get_event_status(device, 12345);
	get_event_status(device, world.ids[NEEP_VK_FENCE]);
	get_event_status(world.ids[NEEP_VK_QUEUE], world.ids[NEEP_VK_EVENT]);
	get_event_status(0, world.ids[NEEP_VK_EVENT]);
}

static void command_is_refused_when_a_handle_is_another_devices(void **state) {
	(void)state;
	struct neep_vk_device *other = calloc(1, sizeof(*other));
	assert_non_null(other);
	struct neep_vk_object_params params = {
		.type = NEEP_VK_DEVICE, .handle = 1, .parent = &world.physical->base
	};
	assert_int_equal(neep_vk_object_add(world.table, &other->base, &params), 0);
	get_event_status(other->base.id, world.ids[NEEP_VK_EVENT]);
}

static void command_is_refused_when_an_enum_is_of_the_future(void **state) {
	(void)state;
	start(20004); // vkGetPhysicalDeviceFormatProperties
	put64(world.ids[NEEP_VK_PHYSICAL_DEVICE]);
	put32(0x7ffffff0);
	put_zeros(12);
	assert_int_equal(finish(), 0);
	static const uint8_t zeros[12];
	assert_reply(zeros, sizeof(zeros));
	assert_int_equal(neep_stub_log.calls, 0);
}

static void context_is_lost_when_a_struct_is_unknown(void **state) {
	(void)state;
	put_event_head();
	put_link(1234567890);
	put_event_tail();
	assert_lost("struct 1234567890");
}

static void context_is_lost_when_a_struct_comes_twice(void **state) {
	(void)state;
	put_event_head();
	put_link(VK_STRUCTURE_TYPE_EXPORT_FENCE_CREATE_INFO);
	put_link(VK_STRUCTURE_TYPE_EXPORT_FENCE_CREATE_INFO);
	put_event_tail();
	assert_lost("VkExportFenceCreateInfo comes twice");
}

static void context_is_lost_when_a_chain_has_no_end(void **state) {
	(void)state;
	put_event_head();
	for (int i = 0; i < 500; i++) {
		/* The one that may repeat. */
		put_link(VK_STRUCTURE_TYPE_DEVICE_PRIVATE_DATA_CREATE_INFO);
	}
	put_event_tail();
	assert_lost("64 structs");
}

static void context_is_lost_when_chains_nest_without_end(void **state) {
	(void)state;
	put_event_head();
	for (int i = 0; i < 100; i++) {
		put_link(VK_STRUCTURE_TYPE_FRAMEBUFFER_ATTACHMENTS_CREATE_INFO);
		put_be32(0);
		put32(1);
		put32(VK_STRUCTURE_TYPE_FRAMEBUFFER_ATTACHMENT_IMAGE_INFO);
	}
	put_zeros(1000);
	assert_lost("chains within chains");
}

static void context_is_lost_when_a_count_cannot_be(void **state) {
	(void)state;
	static const uint32_t counts[] = { 3, 0x10000000, 0xffffffff };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(counts); i++) {
		world.decoder.call.is_failed = false;
		start(20064); // vkMergePipelineCaches
		put64(world.ids[NEEP_VK_DEVICE]);
		put64(world.ids[NEEP_VK_PIPELINE_CACHE]);
		put32(counts[i]);
		put64(world.ids[NEEP_VK_PIPELINE_CACHE]);
		put64(world.ids[NEEP_VK_PIPELINE_CACHE]);
		assert_lost("elements in 16 bytes");
	}
}

static void context_is_lost_when_an_allocator_comes(void **state) {
	(void)state;
	start(20043);
	put64(world.ids[NEEP_VK_DEVICE]);
	put64(0);
	put64(1);
	assert_lost("allocator");
}

static void context_is_lost_when_the_opcode_is_wrong(void **state) {
	(void)state;
	start(12345);
	assert_lost("opcode 12345");
	world.decoder.call.is_failed = false;
	start(20106); // vkCmdDraw
	put_zeros(16);
	assert_lost("vkCmdDraw does not belong here");
	packet_len = 11;
	world.decoder.call.is_failed = false;
	assert_lost("a packet of 11 bytes");
}

static void context_stays_lost(void **state) {
	(void)state;
	start(12345);
	assert_lost("opcode 12345");
	put_event_head();
	put_event_tail();
	assert_lost("opcode 12345");
}

static bool had_features;

void neep_vk_GetPhysicalDeviceFeatures2(struct neep_vk_call *call, struct neep_vk_object *physicalDevice,
	VkPhysicalDeviceFeatures2 *pFeatures) {
	(void)call;
	(void)physicalDevice;
	had_features = false;
	for (VkBaseOutStructure *s = (void *)pFeatures; s != NULL; s = s->pNext) {
		if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MULTIVIEW_FEATURES) {
			((VkPhysicalDeviceMultiviewFeatures *)(void *)s)->multiviewTessellationShader =
				VK_TRUE;
			had_features = true;
		}
		/* Does not extend features. */
		assert_true(s->sType != VK_STRUCTURE_TYPE_EXPORT_FENCE_CREATE_INFO);
	}
	pFeatures->features.wideLines = VK_TRUE;
	/* What a handler unlinks is in the reply all the same. */
	pFeatures->pNext = NULL;
}

static void reply_has_the_chain_of_the_request(void **state) {
	(void)state;
	start(20147); // vkGetPhysicalDeviceFeatures2
	put64(world.ids[NEEP_VK_PHYSICAL_DEVICE]);
	put32(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
	put_link(1000470000); // VkPhysicalDeviceMaintenance5Features: the driver's headers may not have it
	put_link(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MULTIVIEW_FEATURES);
	put_be32(0);
	put_zeros(12);
	memset(packet + packet_len, 0xff, 4 + 220);
	packet_len += 4 + 220;
	assert_int_equal(finish(), 0);
	assert_true(had_features);
	const uint8_t *reply = world.decoder.reply.buf;
	assert_int_equal(world.decoder.reply.len, 4 + 12 + 12 + 4 + 12 + 4 + 220);
	uint32_t words[14];
	memcpy(words, reply, sizeof(words));
	assert_int_equal(words[0], VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
	assert_true(words[1] != 0);
	assert_int_equal(words[2], 1000470000);
	assert_int_equal(words[5], VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MULTIVIEW_FEATURES);
	assert_int_equal(words[7], 0);
	/* Members come last link first. */
	assert_int_equal(words[10], VK_TRUE);
	assert_int_equal(words[11], 0);
}

static void recorded_commands_reach_the_driver(void **state) {
	(void)state;
	static const uint8_t draw[] = { 0x8a, 0x4e, 0, 0, 0x18, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0 };
	uint8_t twice[2 * sizeof(draw)];
	memcpy(twice, draw, sizeof(draw));
	memcpy(twice + sizeof(draw), draw, sizeof(draw));
	assert_int_equal(neep_stub_record(&world, twice, sizeof(twice)), 0);
	assert_int_equal(neep_stub_log.calls, 2);
	assert_string_equal(neep_stub_log.last, "vkCmdDraw");
	assert_null(world.decoder.command_buffer);
	assert_int_equal(neep_stub_record(&world, twice, sizeof(twice) - 1), -EPROTO);
}

static uint64_t calls_of_bound(uint64_t buffer) {
	uint32_t words[8] = { 20105, sizeof(words), 0, 1, (uint32_t)buffer, (uint32_t)(buffer >> 32) };
	uint64_t before = neep_stub_log.calls;
	assert_int_equal(neep_stub_record(&world, words, sizeof(words)), 0);
	return neep_stub_log.calls - before;
}

static void vertex_buffers_may_be_null_only_where_there_are_null_descriptors(void **state) {
	(void)state;
	assert_int_equal(calls_of_bound(world.ids[NEEP_VK_BUFFER]), 1);
	assert_int_equal(calls_of_bound(0), 0);
	world.physical->has_null_descriptors = true;
	assert_int_equal(calls_of_bound(0), 1);
	assert_int_equal(calls_of_bound(0x1234567), 0);
}

static void null_buffer_is_refused_where_one_is_needed(void **state) {
	(void)state;
	world.physical->has_null_descriptors = true;
	world.objects[NEEP_VK_BUFFER]->handle = 0;
	uint64_t buffer = world.ids[NEEP_VK_BUFFER];
	assert_int_equal(calls_of_bound(buffer), 1);
	uint32_t fill[9] = { 20118, sizeof(fill), (uint32_t)buffer, (uint32_t)(buffer >> 32), 0, 0, 4, 0, 7 };
	uint64_t before = neep_stub_log.calls;
	assert_int_equal(neep_stub_record(&world, fill, sizeof(fill)), 0);
	assert_int_equal(neep_stub_log.calls, before);
}

static void recorded_commands_fail_when_their_lengths_are_wrong(void **state) {
	(void)state;
	static const uint32_t lens[] = { 0, 7, 25, 0xffffffff };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(lens); i++) {
		uint32_t words[6] = { 20106, lens[i], 3, 1, 0, 0 };
		world.decoder.call.is_failed = false;
		assert_int_equal(neep_stub_record(&world, words, sizeof(words)), -EPROTO);
	}
}

static void recorded_commands_fail_when_they_are_unknown(void **state) {
	(void)state;
	/* Behind a vkCmdDraw: an opcode of nothing, and vkCreateInstance. */
	static const struct {
		uint32_t opcode;
		const char *reason;
	} cases[] = {
		{ 20023, "packet at byte 0: opcode 20023 is not known" },
		{ 20000, "packet at byte 0: vkCreateInstance does not belong here" },
	};
	for (size_t i = 0; i < NEEP_ARRAY_LEN(cases); i++) {
		uint32_t words[12] = { 20106, 24, 3, 1, 0, 0, cases[i].opcode, 24 };
		world.decoder.call.is_failed = false;
		assert_int_equal(neep_stub_record(&world, words, sizeof(words)), -EPROTO);
		assert_string_equal(world.decoder.reason, cases[i].reason);
	}
}

static void opcodes_are_found_by_number(void **state) {
	(void)state;
	assert_string_equal(neep_vk_command_find(20000)->name, "vkCreateInstance");
	assert_string_equal(neep_vk_command_find(294618673)->name, "vkCmdBeginRendering");
	assert_int_equal(neep_vk_command_find(294618673)->flags, NEEP_VK_IS_RECORDED);
	assert_int_equal(neep_vk_command_find(20039)->flags, NEEP_VK_IS_RELAXED | NEEP_VK_PASSES);
	assert_string_equal(neep_vk_command_find(286553566)->name, "vkTraceAsyncGOOGLE");
	/* An old name runs the core command. */
	assert_ptr_equal(neep_vk_command_find(20198)->run, neep_vk_command_find(20147)->run);
	static const uint32_t none[] = { 0, 19999, 20023, 20343, 29999, 200000000, 299999999, 0xffffffff };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(none); i++) {
		assert_null(neep_vk_command_find(none[i]));
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
	neep_log_set_level(NEEP_LOG_ERROR);
	const struct CMUnitTest tests[] = {
		CASE(decoder_reads_the_known_create_instance),
		CASE(decoder_answers_the_known_enumeration),
		CASE(decoder_wraps_what_the_driver_makes),
		CASE(reply_is_zeros_and_the_result_when_the_driver_fails),
		CASE(command_is_refused_when_the_driver_lacks_it),
		CASE(command_is_not_executed_when_the_device_is_lost),
		CASE(command_is_refused_when_a_handle_is_wrong),
		CASE(command_is_refused_when_a_handle_is_another_devices),
		CASE(command_is_refused_when_an_enum_is_of_the_future),
		CASE(context_is_lost_when_a_struct_is_unknown),
		CASE(context_is_lost_when_a_struct_comes_twice),
		CASE(context_is_lost_when_a_chain_has_no_end),
		CASE(context_is_lost_when_chains_nest_without_end),
		CASE(context_is_lost_when_a_count_cannot_be),
		CASE(context_is_lost_when_an_allocator_comes),
		CASE(context_is_lost_when_the_opcode_is_wrong),
		CASE(context_stays_lost),
		CASE(reply_has_the_chain_of_the_request),
		CASE(recorded_commands_reach_the_driver),
		CASE(vertex_buffers_may_be_null_only_where_there_are_null_descriptors),
		CASE(null_buffer_is_refused_where_one_is_needed),
		CASE(recorded_commands_fail_when_their_lengths_are_wrong),
		CASE(recorded_commands_fail_when_they_are_unknown),
		CASE(opcodes_are_found_by_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
