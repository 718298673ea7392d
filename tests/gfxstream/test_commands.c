/* What guests ask of the component, with a renderer that does as it should. */
#include "rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/await.h"
#include "util/macros.h"

static void capset_has_104_bytes_when_more_is_asked_for(void **state) {
	struct rig *rig = *state;
	uint32_t id, version, size, words[40];
	assert_int_equal(rutabaga_get_capset_info(rig->rutabaga, 0, &id, &version, &size), 0);
	assert_int_equal(id, 3);
	assert_int_equal(size, 104);
	memset(words, 0xff, sizeof(words));
	assert_int_equal(rutabaga_get_capset(rig->rutabaga, 3, 0, (uint8_t *)words, sizeof(words)), 0);
	const uint32_t expected[40] = { 1, 12288, 1048576, UINT32_MAX, 1, 4096, 1, 1 };
	assert_memory_equal(words, expected, sizeof(expected));
	memset(words, 0xff, sizeof(words));
	assert_int_equal(rutabaga_get_capset(rig->rutabaga, 3, 0, (uint8_t *)words, 10), 0);
	assert_memory_equal(words, expected, 10);
	assert_int_equal(words[3], UINT32_MAX);
}

static void ring_is_configured_when_its_creation_returns(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	volatile uint32_t *words = rig_words(rig, 10);
	assert_int_equal(words[2180 / 4], 1048576);
	assert_int_equal(words[2184 / 4], 65536);
	assert_int_equal(words[2204 / 4], 0);
	uint32_t map_info;
	assert_int_equal(rutabaga_resource_map_info(rig->rutabaga, 10, &map_info), 0);
	assert_int_equal(map_info & RUTABAGA_MAP_CACHE_MASK, RUTABAGA_MAP_CACHE_CACHED);
}

static void *sleep_at(void *data) {
	neep_asg_bell_wait(data, 0, NULL);
	return NULL;
}

static void ping_wakes_the_consumer_of_its_ring(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	assert_int_equal(rig_ring(rig, 1, 11), 0);
	volatile uint32_t *pings = rig_words(rig, 10) + SCRIPT_PINGS / 4;
	for (uint32_t i = 1; i <= 100; i++) {
		assert_int_equal(rig_ping(rig, 1, 10), 0);
		rig_await_word(rig, pings, i);
	}
	assert_int_equal(rig_words(rig, 11)[SCRIPT_PINGS / 4], 0);
	pthread_t sleeper;
	assert_int_equal(pthread_create(&sleeper, NULL, sleep_at,
				 (void *)(uintptr_t)(rig_words(rig, 11) + SCRIPT_PINGS / 4)),
		0);
	usleep(10000);
	assert_int_equal(rig_ping(rig, 1, 11), 0);
	assert_int_equal(pthread_join(sleeper, NULL), 0);
}

static void ping_is_ignored_when_there_is_no_such_ring(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	assert_int_equal(rig_ping(rig, 1, 10), 0);
	assert_int_equal(rig_blob(rig, 1, 10, 0, 4096), 0);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, 1, 10), 0);
	assert_int_equal(rig_ping(rig, 1, 10), 0);
	assert_int_equal(rig_ring(rig, 1, 11), 0);
	assert_int_equal(rutabaga_context_detach_resource(rig->rutabaga, 1, 11), 0);
	assert_int_equal(rig_ping(rig, 1, 11), 0);
}

static int start_ring(struct rig *rig, uint32_t ctx_id, uint32_t resource_id) {
	return rig_submit(rig, ctx_id, (const uint32_t[]){ 0x1001, resource_id }, 2);
}

static void ring_is_refused_when_its_memory_will_not_do(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	assert_int_equal(rig_context(rig, 2, "other"), 0);
	assert_int_equal(start_ring(rig, 1, 10), -ENOENT);
	/* not attached */
	assert_int_equal(rig_blob(rig, 1, 10, 0, RIG_RING_SIZE), 0);
	assert_int_equal(start_ring(rig, 1, 10), -ENOENT);
	/* too small */
	assert_int_equal(rig_blob(rig, 1, 11, 0, RIG_RING_SIZE - 4096), 0);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, 1, 11), 0);
	assert_int_equal(start_ring(rig, 1, 11), -EINVAL);
	/* a ring already, here and there */
	assert_int_equal(rig_ring(rig, 1, 12), 0);
	assert_int_equal(start_ring(rig, 1, 12), -EINVAL);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, 2, 12), 0);
	assert_int_equal(start_ring(rig, 2, 12), -EINVAL);
	/* exportable, and a 2D resource */
	assert_int_equal(rig_announce(rig, 1, 5), 0);
	assert_int_equal(rig_blob(rig, 1, 13, 5, RIG_RING_SIZE), 0);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, 1, 13), 0);
	assert_int_equal(start_ring(rig, 1, 13), -EINVAL);
	struct rutabaga_create_3d image = { .target = 2,
		.format = 1,
		.bind = 2,
		.width = 1024,
		.height = 1024,
		.depth = 1,
		.array_size = 1,
		.flags = 1 };
	assert_int_equal(rutabaga_resource_create_3d(rig->rutabaga, 14, &image), 0);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, 1, 14), 0);
	assert_int_equal(start_ring(rig, 1, 14), -EINVAL);
}

static void commands_are_refused_when_short_or_unknown(void **state) {
	struct rig *rig = *state;
	static const struct {
		uint32_t opcode;
		size_t words;
	} sizes[] = { { 0x1001, 2 }, { 0x1002, 2 }, { 0xa000, 5 }, { 0xa003, 14 }, { 0xf002, 3 } };
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(sizes); i++) {
		for (size_t words = 1; words < sizes[i].words; words++) {
			uint32_t command[14] = { sizes[i].opcode };
			assert_int_equal(rig_submit(rig, 1, command, words), -EINVAL);
		}
	}
	static const uint32_t unknown[] = { 0, 0x1000, 0x1003, 0x9000, 0x9001, 0xa001, 0xa002, 0xa004, 0xf001,
		UINT32_MAX };
	for (size_t i = 0; i < NEEP_ARRAY_LEN(unknown); i++) {
		const uint32_t command[64] = { unknown[i] };
		assert_int_equal(rig_submit(rig, 1, command, 64), -EINVAL);
	}
	struct rutabaga_command three = {
		.ctx_id = 1, .cmd = (uint8_t *)&(uint32_t){ 0xf002 }, .cmd_size = 3
	};
	assert_int_equal(rutabaga_submit_command(rig->rutabaga, &three), -EINVAL);
	const uint32_t cube[14] = { 0xa003, 4, [12] = 9 };
	assert_int_equal(rig_submit(rig, 1, cube, 14), -EINVAL);
	assert_int_equal(rig_announce(rig, 1, 0), -EINVAL);
}

static void fences_of_ring_0_wait_for_the_syncs_before_them(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	uint64_t before = rig_fence(rig, 1, 0);
	assert_int_equal(rig_fence_position(rig, before), 0);
	assert_int_equal(rig_order(rig, 1, SCRIPT_HOLD, 0), 0);
	uint64_t first = rig_fence(rig, 1, 0);
	uint64_t same = rig_fence(rig, 1, 0);
	assert_int_equal(rig_order(rig, 1, SCRIPT_HOLD, 0), 0);
	uint64_t second = rig_fence(rig, 1, 0);
	/* Done already, but behind. */
	assert_int_equal(rig_order(rig, 1, SCRIPT_DONE, 0), 0);
	uint64_t third = rig_fence(rig, 1, 0);
	uint64_t other_ring = rig_fence(rig, 1, 1);
	assert_int_equal(rig_fence_position(rig, other_ring), 1);
	rig_idle(rig, 50);
	rig_await_fences(rig, 2);
	assert_int_equal(rig_order(rig, 1, SCRIPT_RELEASE, 0), 0);
	rig_await_fences(rig, 6);
	assert_int_equal(rig_fence_position(rig, first), 2);
	assert_int_equal(rig_fence_position(rig, same), 3);
	assert_int_equal(rig_fence_position(rig, second), 4);
	assert_int_equal(rig_fence_position(rig, third), 5);
	rig_fence(rig, 1, 0);
	rig_await_fences(rig, 7);
}

static void sync_is_done_at_once_when_there_is_no_renderer(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	assert_int_equal(rig_order(rig, 1, SCRIPT_HOLD, 0), 0);
	rig_fence(rig, 1, 0);
	rig_await_fences(rig, 1);
	assert_int_equal(rig_processes(), 1);
}

/* Until it has read what was sent so far: one that does not read is given up. It tells by a memory of its own. */
static void await_renderer(struct rig *rig, uint32_t ctx_id, uint32_t resource_id) {
	volatile uint32_t *words = rig_words(rig, resource_id);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, ctx_id, resource_id), 0);
	rig_await_word(rig, words, resource_id);
	assert_int_equal(rutabaga_context_detach_resource(rig->rutabaga, ctx_id, resource_id), 0);
	rig_await_word(rig, words, 0);
}

static void syncs_are_refused_beyond_the_quota(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	assert_int_equal(rig_announce(rig, 1, 500), 0);
	assert_int_equal(rig_blob(rig, 1, 20, 500, 4096), 0);
	for (int i = 0; i < 4096; i++) {
		assert_int_equal(rig_order(rig, 1, SCRIPT_HOLD, 0), 0);
		if (i % 128 == 0) {
			await_renderer(rig, 1, 20);
		}
	}
	uint64_t last = rig_fence(rig, 1, 0);
	assert_int_equal(rig_order(rig, 1, SCRIPT_HOLD, 0), -ENOMEM);
	/* The end of the context completes what waits. */
	assert_int_equal(rutabaga_context_destroy(rig->rutabaga, 1), 0);
	rig_await_fences(rig, 1);
	assert_int_equal(rig_fence_position(rig, last), 0);
}

/* Publishes a blob and waits for nothing but the order's own fence. */
static void publish(struct rig *rig, uint32_t ctx_id, uint64_t blob_id) {
	size_t fences = rig->fence_count;
	assert_int_equal(rig_order(rig, ctx_id, SCRIPT_PUBLISH, blob_id), 0);
	rig_fence(rig, ctx_id, 0);
	rig_await_fences(rig, fences + 1);
}

static void blob_is_the_memory_that_the_renderer_published(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	publish(rig, 1, 77);
	publish(rig, 1, 78);
	assert_int_equal(rig_blob(rig, 1, 20, 79, SCRIPT_BLOB_SIZE), -EINVAL);
	assert_int_equal(rig_blob(rig, 1, 20, 77, SCRIPT_BLOB_SIZE), 0);
	assert_int_equal(rig_words(rig, 20)[0], 77);
	assert_int_equal(rig_words(rig, 20)[SCRIPT_BLOB_SIZE / 4 - 1], 77);
	/* Once; and no more than there is. */
	assert_int_equal(rig_blob(rig, 1, 21, 77, SCRIPT_BLOB_SIZE), -EINVAL);
	assert_int_equal(rig_blob(rig, 1, 21, 78, SCRIPT_BLOB_SIZE + 4096), -EINVAL);
	/* The memory outlives its maker. */
	assert_int_equal(rutabaga_context_destroy(rig->rutabaga, 1), 0);
	rig_await_no_renderers(rig);
	assert_int_equal(rig_words(rig, 20)[1], 77);
}

static void blob_is_found_when_nobody_has_dispatched(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	volatile uint32_t *report = rig_words(rig, 10) + SCRIPT_FDS / 4;
	assert_int_equal(rig_order(rig, 1, SCRIPT_PUBLISH, 5), 0);
	/* The report is handled after the order: the blob is on its way. */
	assert_int_equal(rig_order(rig, 1, SCRIPT_REPORT, 0), 0);
	await_true(*report != 0);
	assert_int_equal(rig_blob(rig, 1, 20, 5, SCRIPT_BLOB_SIZE), 0);
}

static void blobs_are_host_memory_only(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	struct rutabaga_create_blob create = { .blob_mem = RUTABAGA_BLOB_MEM_HOST3D_GUEST, .size = 4096 };
	assert_int_equal(rutabaga_resource_create_blob(rig->rutabaga, 1, 20, &create, NULL, NULL), -EINVAL);
	assert_int_equal(rig_blob(rig, 1, 20, UINT64_MAX, 4096), -EINVAL);
}

static void exportable_memory_is_shared_with_its_maker_and_others(void **state) {
	struct rig *rig = *state;
	for (uint32_t ctx_id = 1; ctx_id <= 3; ctx_id++) {
		assert_int_equal(rig_context(rig, ctx_id, "plain"), 0);
		assert_int_equal(rig_ring(rig, ctx_id, 10 + ctx_id), 0);
	}
	assert_int_equal(rig_announce(rig, 1, 500), 0);
	assert_int_equal(rig_blob(rig, 1, 20, 500, 5000), 0);
	/* An announcement is used up. */
	assert_int_equal(rig_blob(rig, 1, 21, 500, 5000), -EINVAL);
	volatile uint32_t *words = rig_words(rig, 20);
	for (uint32_t ctx_id = 1; ctx_id <= 2; ctx_id++) {
		words[0] = 99;
		assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, ctx_id, 20), 0);
		rig_await_word(rig, words, 20);
		assert_int_equal(rutabaga_context_detach_resource(rig->rutabaga, ctx_id, 20), 0);
		rig_await_word(rig, words, 0);
	}
}

static void memory_of_one_context_is_shared_with_others_only(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	/* This one attaches before it has a renderer. */
	assert_int_equal(rig_context(rig, 2, "late"), 0);
	publish(rig, 1, 77);
	assert_int_equal(rig_blob(rig, 1, 20, 77, SCRIPT_BLOB_SIZE), 0);
	volatile uint32_t *words = rig_words(rig, 20);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, 1, 20), 0);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, 2, 20), 0);
	rig_idle(rig, 50);
	assert_int_equal(words[0], 77);
	assert_int_equal(rig_ring(rig, 2, 11), 0);
	rig_await_word(rig, words, 20);
	assert_int_equal(rutabaga_resource_unref(rig->rutabaga, 20), 0);
}

static void implicit_contexts_have_no_renderer(void **state) {
	struct rig *rig = *state;
	for (uint32_t ctx_id = 1; ctx_id <= 20; ctx_id++) {
		assert_int_equal(rutabaga_context_create(rig->rutabaga, ctx_id, 0, NULL, 0), 0);
		rig_fence(rig, ctx_id, 0);
	}
	rig_await_fences(rig, 20);
	struct rutabaga_create_3d image = {
		.target = 2, .format = 1, .bind = 2, .width = 64, .height = 64, .depth = 1, .array_size = 1
	};
	assert_int_equal(rutabaga_resource_create_3d(rig->rutabaga, 30, &image), 0);
	assert_int_equal(rutabaga_context_attach_resource(rig->rutabaga, 1, 30), 0);
	assert_int_equal(rig_processes(), 1);
}

static void renderer_has_the_fds_it_needs_and_no_others(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "first"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	assert_int_equal(rig_context(rig, 2, "second"), 0);
	assert_int_equal(rig_ring(rig, 2, 11), 0);
	volatile uint32_t *report = rig_words(rig, 11) + SCRIPT_FDS / 4;
	assert_int_equal(rig_order(rig, 2, SCRIPT_REPORT, 0), 0);
	/* Standard three, context socket, and the spawner's signalfd. */
	rig_await_word(rig, report, 5);
}

static void rings_are_refused_beyond_the_quota(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	int rc = 0;
	uint32_t made = 0;
	for (uint32_t id = 1; id <= 1025 && rc == 0; id++) {
		rc = rig_ring(rig, 1, id);
		made += rc == 0;
		rig_turn(rig, 0);
	}
	assert_int_equal(rc, -ENOMEM);
	assert_int_equal(made, 1024);
	/* Who was refused must not wait. */
	assert_int_equal(rig_words(rig, 1025)[2176 / 4], 2);
	assert_int_equal(rutabaga_context_detach_resource(rig->rutabaga, 1, 1), 0);
	assert_int_equal(rig_ring(rig, 1, 2000), 0);
}

static void hundred_contexts_leave_nothing_behind(void **state) {
	struct rig *rig = *state;
	for (uint32_t id = 1; id <= 100; id++) {
		assert_int_equal(rig_context(rig, id, "one of many"), 0);
		assert_int_equal(rig_ring(rig, id, id), 0);
		assert_int_equal(rig_order(rig, id, SCRIPT_HOLD, 0), 0);
		rig_fence(rig, id, 0);
		rig_turn(rig, 0);
	}
	for (uint32_t id = 1; id <= 100; id++) {
		assert_int_equal(rutabaga_context_destroy(rig->rutabaga, id), 0);
		assert_int_equal(rutabaga_resource_unref(rig->rutabaga, id), 0);
	}
	rig_await_fences(rig, 100);
	rig_await_no_renderers(rig);
	assert_false(rig_has_message(rig, "lost"));
}

static void reset_ends_everything_in_flight(void **state) {
	struct rig *rig = *state;
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t id = 1; id <= 8; id++) {
			assert_int_equal(rig_context(rig, id, "in flight"), 0);
			assert_int_equal(rig_ring(rig, id, id), 0);
			assert_int_equal(rig_order(rig, id, SCRIPT_PUBLISH, 5), 0);
			assert_int_equal(rig_order(rig, id, SCRIPT_HOLD, 0), 0);
			rig_fence(rig, id, 0);
			assert_int_equal(rig_ping(rig, id, id), 0);
		}
		assert_int_equal(neep_rutabaga_reset(rig->rutabaga), 0);
		rig_await_fences(rig, 8 * (round + 1));
	}
	rig_await_no_renderers(rig);
}

static void everything_works_with_the_librarys_own_thread(void **state) {
	struct rig *rig = *state;
	assert_int_equal(rig_context(rig, 1, "plain"), 0);
	assert_int_equal(rig_context(rig, 2, "crashes"), 0);
	assert_int_equal(rig_ring(rig, 1, 10), 0);
	assert_int_equal(rig_ring(rig, 2, 11), 0);
	for (uint32_t i = 1; i <= 50; i++) {
		assert_int_equal(rig_order(rig, 1, SCRIPT_PUBLISH, i), 0);
		rig_fence(rig, 1, 0);
		rig_await_fences(rig, i);
		assert_int_equal(rig_blob(rig, 1, 100 + i, i, 4096), 0);
		assert_int_equal(rig_ping(rig, 1, 10), 0);
	}
	assert_int_equal(rig_order(rig, 2, SCRIPT_CRASH, 0), 0);
	rig_await_message(rig, "context 2 (crashes) is lost: its renderer was killed by SIGSEGV");
	assert_int_equal(rutabaga_context_destroy(rig->rutabaga, 1), 0);
}

static void init_says_what_to_do_when_there_is_no_renderer(void **state) {
	(void)state;
	static struct rig rig = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct rutabaga_builder builder = rig_builder(&rig);
	builder.wsi |= NEEP_RUTABAGA_WSI_FEATURES;
	builder.renderer_features = "renderer=/no/such/program";
	assert_true(rutabaga_init(&builder, &rig.rutabaga) < 0);
	assert_true(rig_has_message(&rig, "\"/no/such/program\""));
	assert_true(rig_has_message(&rig, "NEEP_RENDERER"));
	assert_int_equal(rig_processes(), 0);
}

static bool file_has(const char *path, const char *line) {
	char text[256];
	bool has = false;
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(text, sizeof(text), file) != NULL) {
		has = has || strncmp(text, line, strlen(line)) == 0;
	}
	fclose(file);
	return has;
}

static void spawner_is_started_with_little_but_its_arguments(void **state) {
	(void)state;
	static struct rig rig = { .lock = PTHREAD_MUTEX_INITIALIZER };
	char path[] = "/tmp/neep-report-XXXXXX", features[256];
	close(mkstemp(path));
	setenv("VK_NEEP_TEST", "1", 1);
	setenv("LD_NEEP_TEST", "1", 1);
	struct rutabaga_builder builder = rig_builder(&rig);
	builder.wsi |= NEEP_RUTABAGA_WSI_FEATURES;
	snprintf(features, sizeof(features), "Foo:enabled,renderer-report=%s,renderer-max-memory=1048576,",
		path);
	builder.renderer_features = features;
	assert_int_equal(rutabaga_init(&builder, &rig.rutabaga), 0);
	/* The last line. Standard three and the socket. */
	await_true(file_has(path, "fds 4\n"));
	assert_true(file_has(path, "argument --max-memory=1048576\n"));
	assert_true(file_has(path, "variable VK_NEEP_TEST=1\n"));
	assert_false(file_has(path, "variable LD_NEEP_TEST"));
	assert_false(file_has(path, "variable PATH"));
	assert_int_equal(rutabaga_finish(&rig.rutabaga), 0);
	unlink(path);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		rig_test(capset_has_104_bytes_when_more_is_asked_for),
		rig_test(ring_is_configured_when_its_creation_returns),
		rig_test(ping_wakes_the_consumer_of_its_ring),
		rig_test(ping_is_ignored_when_there_is_no_such_ring),
		rig_test(ring_is_refused_when_its_memory_will_not_do),
		rig_test(commands_are_refused_when_short_or_unknown),
		rig_test(fences_of_ring_0_wait_for_the_syncs_before_them),
		rig_test(sync_is_done_at_once_when_there_is_no_renderer),
		rig_test(syncs_are_refused_beyond_the_quota),
		rig_test(blob_is_the_memory_that_the_renderer_published),
		rig_test(blob_is_found_when_nobody_has_dispatched),
		rig_test(blobs_are_host_memory_only),
		rig_test(exportable_memory_is_shared_with_its_maker_and_others),
		rig_test(memory_of_one_context_is_shared_with_others_only),
		rig_test(implicit_contexts_have_no_renderer),
		rig_test(renderer_has_the_fds_it_needs_and_no_others),
		rig_test(rings_are_refused_beyond_the_quota),
		rig_test(hundred_contexts_leave_nothing_behind),
		rig_test(reset_ends_everything_in_flight),
		rig_thread_test(everything_works_with_the_librarys_own_thread),
		cmocka_unit_test(init_says_what_to_do_when_there_is_no_renderer),
		cmocka_unit_test(spawner_is_started_with_little_but_its_arguments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
