/* A guest computes: from vkCreateInstance to the words that it reads in the blob it has mapped. */
#include "support/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include "scale.h"
#include "vulkan_room/guest_vulkan.h"

enum {
	OP_CREATE_SHADER_MODULE = 20059,
	OP_CREATE_COMPUTE_PIPELINES = 20066,
	OP_CREATE_PIPELINE_LAYOUT = 20068,
	OP_CREATE_SET_LAYOUT = 20072,
	OP_CREATE_DESCRIPTOR_POOL = 20074,
	OP_ALLOCATE_SETS = 20077,
	OP_UPDATE_SETS = 20079,
};

#define WORDS      4096
#define MAX_SETS   2
#define BLOCK_SIZE 8

static struct guest guest;
static struct gpu gpu;
static struct ring *ring;
static uint64_t set_layout, pipeline_layout, pipeline, descriptor_pool;
static struct memory source, target;

static const uint32_t binding_types[] = {
	VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
	VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
	VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK,
};
static const uint32_t binding_counts[] = { 1, 1, BLOCK_SIZE };

static uint64_t create_shader(void) {
	struct packet packet = packet_of(OP_CREATE_SHADER_MODULE, gpu.device);
	put_head(&packet, VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO);
	put_u32(&packet, 0);
	put_be64(&packet, sizeof(scale));
	put_bytes(&packet, scale, sizeof(scale));
	put_absent(&packet);
	put_u64(&packet, 0);
	return create(ring, &packet, NULL);
}

static uint64_t create_set_layout(void) {
	struct packet packet = packet_of(OP_CREATE_SET_LAYOUT, gpu.device);
	put_head(&packet, VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO);
	put_u32(&packet, 0);
	put_u32(&packet, 3);
	for (uint32_t i = 0; i < 3; i++) {
		put_u32(&packet, i);
		put_u32(&packet, binding_types[i]);
		put_u32(&packet, binding_counts[i]);
		put_u32(&packet, VK_SHADER_STAGE_COMPUTE_BIT);
		put_absent(&packet);
	}
	put_absent(&packet);
	put_u64(&packet, 0);
	return create(ring, &packet, NULL);
}

static uint64_t create_pipeline_layout(void) {
	struct packet packet = packet_of(OP_CREATE_PIPELINE_LAYOUT, gpu.device);
	put_head(&packet, VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO);
	put_u32(&packet, 0);
	put_u32(&packet, 1);
	put_u64(&packet, set_layout);
	put_u32(&packet, 0);
	put_absent(&packet);
	put_u64(&packet, 0);
	return create(ring, &packet, NULL);
}

static uint64_t create_pipeline(uint64_t shader) {
	struct packet packet = packet_of2(OP_CREATE_COMPUTE_PIPELINES, gpu.device, 0);
	put_u32(&packet, 1);
	put_head(&packet, VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO);
	put_u32(&packet, 0);
	put_head(&packet, VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO);
	put_u32(&packet, 0);
	put_u32(&packet, VK_SHADER_STAGE_COMPUTE_BIT);
	put_u64(&packet, shader);
	put_string(&packet, "main");
	put_absent(&packet);
	put_u64(&packet, pipeline_layout);
	put_u64(&packet, 0);
	put_u32(&packet, UINT32_MAX);
	put_absent(&packet);
	put_u64(&packet, 0);
	return create(ring, &packet, NULL);
}

static uint64_t create_descriptor_pool(void) {
	struct packet packet = packet_of(OP_CREATE_DESCRIPTOR_POOL, gpu.device);
	put_u32(&packet, VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO);
	put_link(&packet, VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_INLINE_UNIFORM_BLOCK_CREATE_INFO, 24);
	put_u32(&packet, MAX_SETS);
	put_u32(&packet, VK_DESCRIPTOR_POOL_CREATE_FREE_DESCRIPTOR_SET_BIT);
	put_u32(&packet, MAX_SETS);
	put_u32(&packet, 2);
	put_u32(&packet, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER);
	put_u32(&packet, 2 * MAX_SETS);
	put_u32(&packet, VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK);
	put_u32(&packet, BLOCK_SIZE * MAX_SETS);
	put_absent(&packet);
	put_u64(&packet, 0);
	return create(ring, &packet, NULL);
}

static uint64_t allocate_set(void) {
	struct packet packet = packet_of(OP_ALLOCATE_SETS, gpu.device);
	put_head(&packet, VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO);
	put_u64(&packet, descriptor_pool);
	put_u32(&packet, 1);
	put_u64(&packet, set_layout);
	put_u64(&packet, 0);
	return create(ring, &packet, NULL);
}

static int32_t free_sets(uint32_t count, const uint64_t *sets) {
	struct packet packet = packet_of2(OP_FREE_DESCRIPTOR_SETS, gpu.device, descriptor_pool);
	put_u32(&packet, count);
	put_present(&packet);
	put_bytes(&packet, sets, count * sizeof(*sets));
	return call(ring, &packet);
}

static uint64_t create_template(uint32_t type) {
	struct packet packet = packet_of(OP_CREATE_UPDATE_TEMPLATE, gpu.device);
	put_head(&packet, VK_STRUCTURE_TYPE_DESCRIPTOR_UPDATE_TEMPLATE_CREATE_INFO);
	put_u32(&packet, 0);
	put_u32(&packet, 3);
	for (uint32_t i = 0; i < 3; i++) {
		put_u32(&packet, i);
		put_u32(&packet, 0);
		put_u32(&packet, binding_counts[i]);
		put_u32(&packet, binding_types[i]);
		put_be64(&packet, i * 100);
		put_be64(&packet, 0);
	}
	put_u32(&packet, type);
	put_u64(&packet, type == 0 ? set_layout : 0);
	put_u32(&packet, 0);
	put_u64(&packet, type == 0 ? 0 : pipeline_layout);
	put_u32(&packet, 0);
	put_absent(&packet);
	put_u64(&packet, 0);
	int32_t result;
	return create(ring, &packet, &result);
}

static void put_buffer_info(struct packet *packet, const struct memory *memory) {
	put_u64(packet, memory->buffer);
	put_u64(packet, 0);
	put_u64(packet, UINT64_MAX);
}

/* What a program gives for a template: the source, the target, and the block; buffers' entries are `entries`. */
static void update_with_template(uint64_t set, uint64_t template, const uint32_t entries[2],
	const uint32_t block[2], uint32_t block_bytes) {
	struct packet packet = packet_of2(OP_UPDATE_WITH_TEMPLATE, gpu.device, set);
	put_u64(&packet, template);
	put_u32(&packet, 0);
	put_u32(&packet, 2);
	put_u32(&packet, 0);
	put_u32(&packet, block_bytes);
	put_absent(&packet);
	put_present(&packet);
	put_bytes(&packet, entries, 2 * sizeof(uint32_t));
	put_absent(&packet);
	put_absent(&packet);
	put_present(&packet);
	put_buffer_info(&packet, &source);
	put_buffer_info(&packet, &target);
	put_absent(&packet);
	put_present(&packet);
	put_bytes(&packet, block, block_bytes);
	packet_send(ring, &packet);
}

static void put_write(struct packet *packet, uint64_t set, uint32_t binding, const struct memory *memory) {
	put_head(packet, VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET);
	put_u64(packet, set);
	put_u32(packet, binding);
	put_u32(packet, 0);
	put_u32(packet, 1);
	put_u32(packet, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER);
	put_present(packet);
	put_present(packet);
	put_buffer_info(packet, memory);
	put_present(packet);
}

static void update_buffers(uint64_t set, const struct memory *from, const struct memory *to) {
	struct packet packet = packet_of(OP_UPDATE_SETS, gpu.device);
	put_u32(&packet, 2);
	put_write(&packet, set, 0, from);
	put_write(&packet, set, 1, to);
	put_u32(&packet, 0);
	packet_send(ring, &packet);
}

static void dispatch(uint64_t set) {
	uint64_t pool = command_pool(&gpu, ring), buffer = command_buffer(&gpu, ring, pool, 0);
	struct packet payload = record_begin(0);
	command_begin(&payload, OP_CMD_BIND_PIPELINE);
	put_u32(&payload, VK_PIPELINE_BIND_POINT_COMPUTE);
	put_u64(&payload, pipeline);
	command_end(&payload);
	command_begin(&payload, OP_CMD_BIND_DESCRIPTOR_SETS);
	put_u32(&payload, VK_PIPELINE_BIND_POINT_COMPUTE);
	put_u64(&payload, pipeline_layout);
	put_u32(&payload, 0);
	put_u32(&payload, 1);
	put_u64(&payload, set);
	put_u32(&payload, 0);
	command_end(&payload);
	command_begin(&payload, OP_CMD_DISPATCH);
	put_u32(&payload, WORDS / 64);
	put_u32(&payload, 1);
	put_u32(&payload, 1);
	command_end(&payload);
	record_send(&gpu, ring, &payload, buffer);
	struct submit what = { .command_buffer = buffer };
	submit(&gpu, ring, &what);
	struct packet idle = packet_of(OP_DEVICE_WAIT_IDLE, gpu.device);
	assert_int_equal(call(ring, &idle), VK_SUCCESS);
}

static void assert_scaled(
	const struct memory *from, const struct memory *to, uint32_t factor, uint32_t addend) {
	for (uint32_t i = 0; i < WORDS; i++) {
		assert_int_equal(to->words[i], from->words[i] * factor + addend);
	}
}

static int set_up(void **state) {
	(void)state;
	guest_start(&guest, &neep_vk_default_limits);
	ring = guest_ring(&guest);
	if (!gpu_open(&gpu, ring)) {
		return -1;
	}
	set_layout = create_set_layout();
	pipeline_layout = create_pipeline_layout();
	pipeline = create_pipeline(create_shader());
	descriptor_pool = create_descriptor_pool();
	memory_create(&gpu, &source, WORDS * 4);
	memory_create(&gpu, &target, WORDS * 4);
	for (uint32_t i = 0; i < WORDS; i++) {
		source.words[i] = i * 2654435761u;
	}
	return 0;
}

static int tear_down(void **state) {
	(void)state;
	guest_stop(&guest);
	return 0;
}

static const uint32_t in_order[] = { 0, 1 };

static void result_is_in_the_mapped_blob(void **state) {
	(void)state;
	uint64_t template = create_template(0), set = allocate_set();
	static const uint32_t block[] = { 3, 17 }, other[] = { 5, 0 };
	update_with_template(set, template, in_order, block, sizeof(block));
	dispatch(set);
	assert_scaled(&source, &target, 3, 17);
	update_buffers(set, &target, &source);
	memset(source.words, 0, source.size);
	dispatch(set);
	assert_scaled(&target, &source, 3, 17);
	update_with_template(set, template, in_order, other, sizeof(other));
	dispatch(set);
	assert_scaled(&source, &target, 5, 0);
	memory_destroy(&gpu, &source);
	memory_destroy(&gpu, &target);
	gpu_close(&gpu);
	assert_int_equal(guest_end_ring(ring), 0);
	assert_int_equal(guest.lost_count, 0);
}

static void sets_are_freed_once_and_end_with_a_reset(void **state) {
	(void)state;
	uint64_t sets[] = { allocate_set(), allocate_set(), 0, 4711 };
	uint64_t twice[] = { sets[0], sets[0], 0, 4711 };
	assert_int_equal(free_sets(4, twice), VK_SUCCESS);
	sets[2] = allocate_set();
	assert_true(sets[2] != sets[0]);
	update_buffers(sets[0], &source, &target);
	struct packet reset = packet_of2(OP_RESET_DESCRIPTOR_POOL, gpu.device, descriptor_pool);
	put_u32(&reset, 0);
	assert_int_equal(call(ring, &reset), VK_SUCCESS);
	assert_int_equal(free_sets(2, sets + 1), VK_SUCCESS);
	for (unsigned i = 0; i < MAX_SETS; i++) {
		allocate_set();
	}
	assert_int_equal(guest.lost_count, 0);
}

static void push_templates_are_refused(void **state) {
	(void)state;
	assert_int_equal(create_template(1), 0);
}

static void context_is_lost_when_template_data_do_not_fit(void **state) {
	static const uint32_t wrong[][2] = { { 0, 2 }, { 1, 0 }, { 0, 0 }, { 0, 3 }, { UINT32_MAX, 1 } };
	static const uint32_t block[] = { 1, 1, 1 };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]) + 1; i++) {
		uint64_t template = create_template(0), set = allocate_set();
		if (i < sizeof(wrong) / sizeof(wrong[0])) {
			update_with_template(set, template, wrong[i], block, 8);
		} else {
			update_with_template(set, template, in_order, block, 4);
		}
		assert_true(guest_wait_lost(&guest));
		assert_non_null(strstr(guest.reason, "vkUpdateDescriptorSetWithTemplateSized2GOOGLE"));
		tear_down(state);
		assert_int_equal(set_up(state), 0);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
	static const struct CMUnitTest tests[] = {
		CASE(result_is_in_the_mapped_blob),
		CASE(sets_are_freed_once_and_end_with_a_reset),
		CASE(push_templates_are_refused),
		CASE(context_is_lost_when_template_data_do_not_fit),
	};
	if (!host_has_vulkan()) {
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
