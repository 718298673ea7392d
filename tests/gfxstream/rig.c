#include "rig.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/await.h"
#include "support/fd_check.h"
#include "support/process_table.h"

struct rutabaga_builder rig_builder(struct rig *rig) {
	return rig_callbacks(rig, RUTABAGA_CAPSET_GFXSTREAM_VULKAN);
}

int rig_setup_thread(void **state) {
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rutabaga_builder builder = rig_builder(rig);
	fd_check_setup(state);
	rig_open(rig, &builder);
	*state = rig;
	return 0;
}

int rig_setup(void **state) {
	rig_setup_thread(state);
	return rig_take_turns(*state);
}

int rig_teardown(void **state) {
	struct rig *rig = *state;
	int rc = rig_close(rig);
	assert_int_equal(rig_processes(), 0);
	free(rig);
	return rc != 0 ? rc : fd_check_teardown(state);
}

size_t rig_processes(void) {
	return process_descendants(getpid());
}

void rig_await_no_renderers(struct rig *rig) {
	await_turning(rig_processes() <= 1, rig_idle(rig, 10));
}

int rig_context(struct rig *rig, uint32_t ctx_id, const char *name) {
	return rutabaga_context_create(
		rig->rutabaga, ctx_id, RUTABAGA_CAPSET_GFXSTREAM_VULKAN, name, (uint32_t)strlen(name));
}

int rig_blob(struct rig *rig, uint32_t ctx_id, uint32_t resource_id, uint64_t blob_id, uint64_t size) {
	struct rutabaga_create_blob create = {
		.blob_mem = RUTABAGA_BLOB_MEM_HOST3D,
		.blob_flags = RUTABAGA_BLOB_FLAG_USE_MAPPABLE,
		.blob_id = blob_id,
		.size = size,
	};
	return rutabaga_resource_create_blob(rig->rutabaga, ctx_id, resource_id, &create, NULL, NULL);
}

int rig_submit(struct rig *rig, uint32_t ctx_id, const uint32_t *words, size_t count) {
	struct rutabaga_command command = {
		.ctx_id = ctx_id,
		.cmd = (uint8_t *)(uintptr_t)words,
		.cmd_size = (uint32_t)(count * sizeof(*words)),
	};
	return rutabaga_submit_command(rig->rutabaga, &command);
}

int rig_ring(struct rig *rig, uint32_t ctx_id, uint32_t resource_id) {
	assert_int_equal(rig_blob(rig, ctx_id, resource_id, 0, RIG_RING_SIZE), 0);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, ctx_id, resource_id), 0);
	return rig_submit(rig, ctx_id, (const uint32_t[]){ 0x1001, resource_id }, 2);
}

int rig_ping(struct rig *rig, uint32_t ctx_id, uint32_t resource_id) {
	return rig_submit(rig, ctx_id, (const uint32_t[]){ 0x1002, resource_id }, 2);
}

int rig_order(struct rig *rig, uint32_t ctx_id, enum script_order order, uint64_t operand) {
	const uint32_t words[] = { 0xa000, (uint32_t)operand, (uint32_t)(operand >> 32), order, 0 };
	return rig_submit(rig, ctx_id, words, 5);
}

int rig_announce(struct rig *rig, uint32_t ctx_id, uint64_t blob_id) {
	const uint32_t words[14] = { 0xa003, 2, 67, 2, 64,
		64, [12] = (uint32_t)blob_id, [13] = (uint32_t)(blob_id >> 32) };
	return rig_submit(rig, ctx_id, words, 14);
}

volatile uint32_t *rig_words(struct rig *rig, uint32_t resource_id) {
	struct neep_rutabaga_mapping *mapping;
	if (neep_rutabaga_resource_mapping(rig->rutabaga, resource_id, &mapping) < 0) {
		struct rutabaga_mapping unused;
		assert_int_equal(rutabaga_resource_map(rig->rutabaga, resource_id, &unused), 0);
		assert_int_equal(neep_rutabaga_resource_mapping(rig->rutabaga, resource_id, &mapping), 0);
	}
	volatile uint32_t *words = mapping->ptr;
	neep_rutabaga_mapping_unref(mapping);
	return words;
}

void rig_await_word(struct rig *rig, volatile uint32_t *word, uint32_t value) {
	await_turning(*word == value, rig_turn(rig, 1));
}
