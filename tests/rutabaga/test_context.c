#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder.h"
#include "support/cmocka.h"

static int create(struct recorder *r, uint32_t ctx_id, uint32_t context_init) {
	return rutabaga_context_create(r->rutabaga, ctx_id, context_init, NULL, 0);
}

static void create_checks_ids_and_context_init(void **state) {
	struct recorder *r = *state;
	assert_int_equal(create(r, 0, 0), -EINVAL);
	assert_int_equal(create(r, 1, 0x100 | NEEP_FAKE_CAPSET), -EINVAL);
	assert_int_equal(create(r, 1, UINT32_MAX), -EINVAL);
	assert_int_equal(create(r, 1, 4), -ENOTSUP);
	assert_int_equal(create(r, 1, 0xff), -ENOTSUP);
	assert_int_equal(create(r, 1, NEEP_FAKE_CAPSET), 0);
	assert_int_equal(create(r, 1, NEEP_FAKE_CAPSET), -EEXIST);
	assert_int_equal(create(r, UINT32_MAX, NEEP_FAKE_SHORT_CAPSET), 0);
	assert_int_equal(create(r, 2, 0), 0); // no virgl: any
	assert_int_equal(neep_fake_get_counts(r->fake).contexts, 3);
	assert_int_equal(rutabaga_context_destroy(r->rutabaga, 3), -ESRCH);
	assert_int_equal(rutabaga_context_destroy(r->rutabaga, 1), 0);
	assert_int_equal(rutabaga_context_destroy(r->rutabaga, 1), -ESRCH);
}

static void create_replaces_what_a_published_caller_forgot(void **state) {
	struct recorder *r = *state;
	struct rutabaga_fence fence = ring_fence(1, 4, 7);
	struct neep_fake_stream hold = { .count = 0 };
	assert_int_equal(create(r, 1, NEEP_FAKE_CAPSET), 0);
	neep_fake_stream_op(&hold, NEEP_FAKE_OP_HOLD, (uint32_t[]){ 1, 4, 1 }, 3);
	assert_int_equal(submit_stream(r, 1, &hold), 0);
	assert_int_equal(rutabaga_create_fence(r->rutabaga, &fence), 0);
	assert_int_equal(create_host_blob(r, 1, 5, 1, 4096), 0);
	assert_int_equal(rutabaga_context_attach_resource(r->rutabaga, 1, 5), 0);
	assert_int_equal(r->fence_count, 0);
	/* A bad request ends nothing. */
	assert_int_equal(create(r, 1, 4), -ENOTSUP);
	assert_int_equal(neep_fake_get_counts(r->fake).attached, 1);
	assert_int_equal(create(r, 1, NEEP_FAKE_SHORT_CAPSET), 0);
	assert_true(recorder_wait(r, 1));
	assert_int_equal(r->fences[0].fence_id, 7);
	assert_int_equal(neep_fake_get_counts(r->fake).contexts, 1);
	assert_int_equal(neep_fake_get_counts(r->fake).attached, 0);
	assert_int_equal(rutabaga_context_destroy(r->rutabaga, 1), 0);
	assert_int_equal(rutabaga_context_destroy(r->rutabaga, 1), -ESRCH);
}

static void create_is_refused_by_a_2d_instance(void **state) {
	struct recorder *r = *state;
	assert_int_equal(create(r, 1, 0), -ENOTSUP);
	assert_int_equal(create(r, 1, 6), -ENOTSUP);
}

static void create_reads_no_more_of_the_name_than_64_bytes(void **state) {
	struct recorder *r = *state;
	/* On the heap by itself, so that a sanitizer sees a byte too many; the length is a guest's word. */
	char *name = malloc(64);
	memset(name, 'n', 64);
	assert_int_equal(rutabaga_context_create(r->rutabaga, 1, 0, name, UINT32_MAX), 0);
	assert_int_equal(rutabaga_context_create(r->rutabaga, 2, 0, name, 64), 0);
	assert_int_equal(rutabaga_context_create(r->rutabaga, 3, 0, NULL, 64), 0);
	memcpy(name, "\x01\xff%s%n", 7);
	assert_int_equal(rutabaga_context_create(r->rutabaga, 4, 0, name, 7), 0);
	free(name);
}

static void create_passes_on_refusals_and_limits(void **state) {
	struct recorder *r = *state;
	neep_fake_refuse(r->fake, NEEP_FAKE_CALL_CREATE_CONTEXT, EIO, 1);
	assert_int_equal(create(r, 1, 0), -EIO);
	assert_int_equal(rutabaga_context_destroy(r->rutabaga, 1), -ESRCH);
	struct neep_rutabaga_limits limits;
	neep_rutabaga_get_limits(r->rutabaga, &limits);
	limits.contexts = 1;
	neep_rutabaga_set_limits(r->rutabaga, &limits);
	assert_int_equal(create(r, 1, 0), 0);
	assert_int_equal(create(r, 2, 0), -ENOMEM);
	assert_int_equal(rutabaga_context_destroy(r->rutabaga, 1), 0);
	assert_int_equal(create(r, 2, 0), 0);
}

static void make_resource(struct recorder *r, uint32_t resource_id) {
	struct rutabaga_create_3d args = create_2d_args(1, 4, 4);
	assert_int_equal(rutabaga_resource_create_3d(r->rutabaga, resource_id, &args), 0);
}

static uint32_t attached(struct recorder *r) {
	return neep_fake_get_counts(r->fake).attached;
}

static void attach_and_detach_are_idempotent(void **state) {
	struct recorder *r = *state;
	create(r, 1, 0);
	make_resource(r, 5);
	assert_int_equal(rutabaga_context_attach_resource(r->rutabaga, 2, 5), -ESRCH);
	assert_int_equal(rutabaga_context_attach_resource(r->rutabaga, 1, 6), -ENOENT);
	assert_int_equal(rutabaga_context_detach_resource(r->rutabaga, 2, 5), -ESRCH);
	assert_int_equal(rutabaga_context_detach_resource(r->rutabaga, 1, 6), -ENOENT);
	assert_int_equal(rutabaga_context_detach_resource(r->rutabaga, 1, 5), 0);
	assert_int_equal(rutabaga_context_attach_resource(r->rutabaga, 1, 5), 0);
	assert_int_equal(rutabaga_context_attach_resource(r->rutabaga, 1, 5), 0);
	assert_int_equal(attached(r), 1);
	assert_int_equal(rutabaga_context_detach_resource(r->rutabaga, 1, 5), 0);
	assert_int_equal(attached(r), 0);
	neep_fake_refuse(r->fake, NEEP_FAKE_CALL_ATTACH, ENOMEM, 1);
	assert_int_equal(rutabaga_context_attach_resource(r->rutabaga, 1, 5), -ENOMEM);
	assert_int_equal(rutabaga_context_attach_resource(r->rutabaga, 1, 5), 0);
}

static void attachments_are_limited(void **state) {
	enum { RESOURCES = 4, CONTEXTS = 16 };
	struct recorder *r = *state;
	struct neep_rutabaga_limits limits;
	neep_rutabaga_get_limits(r->rutabaga, &limits);
	limits.resources = RESOURCES;
	neep_rutabaga_set_limits(r->rutabaga, &limits);
	for (uint32_t ctx_id = 1; ctx_id <= CONTEXTS + 1; ctx_id++) {
		assert_int_equal(create(r, ctx_id, NEEP_FAKE_CAPSET), 0);
	}
	for (uint32_t id = 1; id <= RESOURCES; id++) {
		assert_int_equal(create_host_blob(r, 1, id, id, 4096), 0);
		for (uint32_t ctx_id = 1; ctx_id <= CONTEXTS; ctx_id++) {
			assert_int_equal(rutabaga_context_attach_resource(r->rutabaga, ctx_id, id), 0);
		}
	}
	assert_int_equal(rutabaga_context_attach_resource(r->rutabaga, CONTEXTS + 1, 1), -ENOMEM);
	assert_int_equal(rutabaga_context_attach_resource(r->rutabaga, 1, 1), 0);
	assert_int_equal(rutabaga_context_destroy(r->rutabaga, 2), 0);
	assert_int_equal(rutabaga_context_attach_resource(r->rutabaga, CONTEXTS + 1, 1), 0);
}

static void unref_and_destroy_detach(void **state) {
	struct recorder *r = *state;
	for (uint32_t c = 1; c <= 3; c++) {
		create(r, c, 0);
		make_resource(r, c);
	}
	for (uint32_t c = 1; c <= 3; c++) {
		for (uint32_t id = 1; id <= 3; id++) {
			assert_int_equal(rutabaga_context_attach_resource(r->rutabaga, c, id), 0);
		}
	}
	assert_int_equal(attached(r), 9);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 2), 0);
	assert_int_equal(attached(r), 6);
	assert_int_equal(rutabaga_context_destroy(r->rutabaga, 1), 0);
	assert_int_equal(attached(r), 4);
	assert_int_equal(rutabaga_resource_unref(r->rutabaga, 1), 0);
	assert_int_equal(attached(r), 2);
	assert_int_equal(neep_rutabaga_reset(r->rutabaga), 0);
	assert_int_equal(attached(r), 0);
	assert_int_equal(neep_fake_get_counts(r->fake).contexts, 0);
	assert_int_equal(create(r, 1, 0), 0);
}

static int submit(struct recorder *r, uint32_t ctx_id, void *cmd, uint32_t size) {
	struct rutabaga_command command = { .ctx_id = ctx_id, .cmd_size = size, .cmd = cmd };
	return rutabaga_submit_command(r->rutabaga, &command);
}

static void submit_checks_context_and_size(void **state) {
	struct recorder *r = *state;
	uint32_t nop = NEEP_FAKE_OP_NOP;
	assert_int_equal(submit(r, 1, &nop, 4), -ESRCH);
	create(r, 1, 0);
	assert_int_equal(submit(r, 1, &nop, 4), 0);
	assert_int_equal(submit(r, 1, NULL, 0), 0);
	assert_int_equal(submit(r, 2, NULL, 0), -ESRCH);
	assert_int_equal(submit(r, 1, NULL, 4), -EINVAL);
	assert_int_equal(submit(r, 1, &nop, UINT32_MAX), -ENOMEM);
	assert_int_equal(submit(r, 1, &nop, 3), -EINVAL);
	assert_int_equal(neep_fake_get_counts(r->fake).submits, 2);
	assert_int_equal(neep_fake_get_counts(r->fake).submitted_bytes, 7);
}

static void submit_reaches_what_is_attached(void **state) {
	struct recorder *r = *state;
	create(r, 1, 0);
	assert_int_equal(create_host_blob(r, 1, 5, 1, 4096), 0);
	struct neep_fake_stream poke = { .count = 0 };
	neep_fake_stream_word(&poke, NEEP_FAKE_OP_POKE);
	neep_fake_stream_word(&poke, 5);
	neep_fake_stream_u64(&poke, 4092);
	neep_fake_stream_word(&poke, 0x12345678);
	assert_int_equal(submit_stream(r, 1, &poke), -ENOENT);
	assert_int_equal(rutabaga_context_attach_resource(r->rutabaga, 1, 5), 0);
	assert_int_equal(submit_stream(r, 1, &poke), 0);
	struct rutabaga_mapping mapping;
	assert_int_equal(rutabaga_resource_map(r->rutabaga, 5, &mapping), 0);
	uint32_t value;
	memcpy(&value, (uint8_t *)mapping.ptr + 4092, 4);
	assert_int_equal(value, 0x12345678);
	poke.words[0] = NEEP_FAKE_OP_CHECK;
	assert_int_equal(submit_stream(r, 1, &poke), 0);
	poke.words[4] = 0;
	assert_int_equal(submit_stream(r, 1, &poke), -EIO);
	poke.words[2] = 4093;
	assert_int_equal(submit_stream(r, 1, &poke), -EINVAL);
}

static void fake_decodes_every_stream_totally(void **state) {
	struct recorder *r = *state;
	create(r, 1, 0);
	uint32_t words[8] = { 0 };
	for (uint32_t op = 0; op < 16; op++) {
		for (uint32_t size = 0; size <= sizeof(words); size++) {
			words[0] = op;
			words[1] = 0;
			words[2] = size % 3 == 0 ? UINT32_MAX : size;
			(void)submit(r, 1, words, size);
			neep_rutabaga_dispatch(r->rutabaga);
		}
	}
	neep_fake_refuse(r->fake, NEEP_FAKE_CALL_SUBMIT, 0, 0);
	struct neep_fake_stream stream = { .count = 0 };
	neep_fake_stream_op(&stream, NEEP_FAKE_OP_REFUSE, (uint32_t[]){ NEEP_FAKE_CALL_SUBMIT, EIO, 1 }, 3);
	neep_fake_stream_op(&stream, NEEP_FAKE_OP_FAIL, (uint32_t[]){ EPROTO }, 1);
	assert_int_equal(submit_stream(r, 1, &stream), -EPROTO);
	assert_int_equal(submit_stream(r, 1, &stream), -EIO);
}

static void fake_is_driven_by_streams_alone(void **state) {
	struct recorder *r = *state;
	create(r, 1, 0);
	create(r, 2, 0);
	struct neep_fake_stream hold = { .count = 0 }, done = { .count = 0 };
	neep_fake_stream_op(&hold, NEEP_FAKE_OP_HOLD, (uint32_t[]){ 2, 4, 1 }, 3);
	neep_fake_stream_op(&hold, NEEP_FAKE_OP_HOLD, (uint32_t[]){ 0, NEEP_FAKE_GLOBAL, 1 }, 3);
	assert_int_equal(submit_stream(r, 1, &hold), 0);
	struct rutabaga_fence ring = ring_fence(2, 4, 1), global = global_fence(2);
	assert_int_equal(rutabaga_create_fence(r->rutabaga, &ring), 0);
	assert_int_equal(rutabaga_create_fence(r->rutabaga, &global), 0);
	assert_int_equal(r->fence_count, 0);
	neep_fake_stream_op(&done, NEEP_FAKE_OP_COMPLETE, (uint32_t[]){ 2, 4, NEEP_FAKE_ALL }, 3);
	neep_fake_stream_op(&done, NEEP_FAKE_OP_COMPLETE_LAST, (uint32_t[]){ 0, NEEP_FAKE_GLOBAL }, 2);
	assert_int_equal(submit_stream(r, 1, &done), 0);
	assert_int_equal(r->fence_count, 0);
	neep_rutabaga_dispatch(r->rutabaga);
	assert_int_equal(r->fence_count, 2);
}

static void capsets_are_exact(void **state) {
	struct recorder *r = *state;
	uint32_t count = 0, id, version, size;
	assert_int_equal(rutabaga_get_num_capsets(r->rutabaga, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(rutabaga_get_capset_info(r->rutabaga, 0, &id, &version, &size), 0);
	assert_int_equal(id, NEEP_FAKE_CAPSET);
	assert_int_equal(version, NEEP_FAKE_CAPSET_VERSION);
	assert_int_equal(size, NEEP_FAKE_CAPSET_SIZE);
	assert_int_equal(rutabaga_get_capset_info(r->rutabaga, 1, &id, &version, &size), 0);
	assert_int_equal(id, NEEP_FAKE_SHORT_CAPSET);
	assert_int_equal(rutabaga_get_capset_info(r->rutabaga, 2, &id, &version, &size), -EINVAL);
	assert_int_equal(rutabaga_get_capset_info(r->rutabaga, UINT32_MAX, &id, &version, &size), -EINVAL);
}

static void capset_data_fills_the_buffer_and_no_more(void **state) {
	struct recorder *r = *state;
	for (uint32_t size = 0; size <= 80; size += 8) {
		uint8_t *buf = malloc(size + 1);
		memset(buf, 0xee, size + 1);
		assert_int_equal(rutabaga_get_capset(r->rutabaga, NEEP_FAKE_CAPSET, 2, buf, size), 0);
		for (uint32_t i = 0; i < size; i++) {
			assert_int_equal(buf[i], i < NEEP_FAKE_CAPSET_SIZE ? (uint8_t)(32 + i) : 0);
		}
		assert_int_equal(buf[size], 0xee);
		free(buf);
	}
	uint8_t buf[NEEP_FAKE_SHORT_CAPSET_SIZE];
	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(rutabaga_get_capset(r->rutabaga, NEEP_FAKE_SHORT_CAPSET, 0, buf, sizeof(buf)), 0);
	assert_int_equal(buf[NEEP_FAKE_SHORT_CAPSET_WRITTEN - 1], 0x5a);
	for (size_t i = NEEP_FAKE_SHORT_CAPSET_WRITTEN; i < sizeof(buf); i++) {
		assert_int_equal(buf[i], 0);
	}
	assert_int_equal(rutabaga_get_capset(r->rutabaga, NEEP_FAKE_CAPSET, 3, buf, sizeof(buf)), -EINVAL);
	assert_int_equal(rutabaga_get_capset(r->rutabaga, 0, 0, buf, sizeof(buf)), -EINVAL);
	assert_int_equal(rutabaga_get_capset(r->rutabaga, 4, 0, buf, sizeof(buf)), -EINVAL);
	assert_int_equal(rutabaga_get_capset(r->rutabaga, NEEP_FAKE_CAPSET, 0, NULL, 4), -EINVAL);
}

#define WITH_2D(f)     cmocka_unit_test_setup_teardown(f, recorder_setup_2d, recorder_teardown)
#define WITH_THREAD(f) cmocka_unit_test_setup_teardown(f, recorder_setup_fake_thread, recorder_teardown)
#define WITH_FAKE(f)   cmocka_unit_test_setup_teardown(f, recorder_setup_fake, recorder_teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		WITH_FAKE(create_checks_ids_and_context_init),
		WITH_THREAD(create_replaces_what_a_published_caller_forgot),
		WITH_2D(create_is_refused_by_a_2d_instance),
		WITH_FAKE(create_reads_no_more_of_the_name_than_64_bytes),
		WITH_FAKE(create_passes_on_refusals_and_limits),
		WITH_FAKE(attach_and_detach_are_idempotent),
		WITH_FAKE(attachments_are_limited),
		WITH_FAKE(unref_and_destroy_detach),
		WITH_FAKE(submit_checks_context_and_size),
		WITH_FAKE(submit_reaches_what_is_attached),
		WITH_FAKE(fake_decodes_every_stream_totally),
		WITH_FAKE(fake_is_driven_by_streams_alone),
		WITH_FAKE(capsets_are_exact),
		WITH_FAKE(capset_data_fills_the_buffer_and_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
