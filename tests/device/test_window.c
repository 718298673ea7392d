/* The host-visible window, checks 122 to 133: what a guest sees there, and when.
 *
 * The driver puts the device's maps into its own address space and leaves the rest of the window unmapped, so that a touch
 * of what is not mapped is a fault, which the checks catch. Each check runs with the front-end's maps told back as memory
 * regions, as QEMU does it, and without. */
#include "device/harness.h"
#include "device/harness_internal.h"
#include "device/threed.h"
#include "device/touch.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

#define PAGE      UINT64_C(4096)
#define WINDOW    (UINT64_C(64) << 20)
#define CTX       1
#define FILL_WORD 0x11111111u

static const bool echoes[] = { true, false };

static struct check *open_window(bool echo_maps) {
	struct check_options options = check_3d_options(WINDOW);
	options.driver.echo_maps = echo_maps;
	touch_catch_faults();
	struct check *check = check_open(&options);
	assert_int_equal(check_ctx_create(check, CTX, NEEP_FAKE_CAPSET), CHECK_OK);
	return check;
}

static uint8_t *window(struct check *check) {
	uint64_t size;
	uint8_t *host = neep_driver_window(check_driver(check), &size);
	assert_non_null(host);
	assert_true(size <= WINDOW);
	return host;
}

static uint32_t word_at(struct check *check, uint64_t offset) {
	uint32_t word;
	assert_true(touch((volatile uint32_t *)(window(check) + offset), &word));
	return word;
}

static void assert_hole(struct check *check, uint64_t offset) {
	uint32_t word;
	assert_false(touch((volatile uint32_t *)(window(check) + offset), &word));
}

/* What a reset unmaps, nobody waits for. */
static void await_hole(struct check *check, uint64_t offset) {
	uint32_t word;
	await_turning(!touch((volatile uint32_t *)(window(check) + offset), &word),
		check_sleep(check, NEEP_NS_PER_MS));
}

/* ---- the checks ---- */

static void sees_both_ways(bool echo_maps) {
	struct check *check = open_window(echo_maps);
	check_host_blob(check, CTX, 5, 3 * PAGE, 0x11);
	assert_int_equal(check_map(check, 5, 0), CHECK_OK);
	assert_int_equal(neep_driver_window_maps(check_driver(check)), 1);
	assert_int_equal(word_at(check, 0), FILL_WORD);
	assert_int_equal(word_at(check, 3 * PAGE - 4), FILL_WORD);
	assert_hole(check, 3 * PAGE);
	*(volatile uint32_t *)(window(check) + PAGE) = 0xcafe;
	assert_int_equal(check_peek(check, CTX, 5, PAGE, 0xcafe), CHECK_OK);
	assert_int_equal(check_poke(check, CTX, 5, 2 * PAGE, 0xbeef), CHECK_OK);
	assert_int_equal(word_at(check, 2 * PAGE), 0xbeef);
	assert_int_equal(check_unmap(check, 5), CHECK_OK);
	check_close(check);
}

static void check_122_guest_and_renderer_see_the_same_bytes_when_a_host_blob_is_mapped(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(echoes); i++) {
		sees_both_ways(echoes[i]);
	}
}

/* Linux compares the whole of map_info. */
static void check_122_map_info_is_the_cache_mode_alone(void **state) {
	(void)state;
	struct check *check = open_window(true);
	for (uint32_t mode = 1; mode <= 3; mode++) {
		struct neep_fake_stream stream = { .count = 0 };
		neep_fake_stream_blob(&stream, mode, PAGE, mode, 0);
		assert_int_equal(check_submit_stream(check, CTX, &stream), CHECK_OK);
		assert_int_equal(check_create_host_blob(check, CTX, mode, mode, PAGE), CHECK_OK);
		struct virtio_gpu_resource_map_blob cmd = {
			.hdr.type = VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB,
			.resource_id = mode,
			.offset = mode * PAGE,
		};
		struct virtio_gpu_resp_map_info reply;
		assert_int_equal(check_cmd(check, &cmd, sizeof(cmd), &reply, sizeof(reply)),
			VIRTIO_GPU_RESP_OK_MAP_INFO);
		assert_int_equal(reply.map_info, mode);
	}
	check_close(check);
}

static void check_123_map_is_refused_when_it_is_not_inside_the_window(void **state) {
	static const uint64_t offsets[] = { 1, 8, 4095, 4097, WINDOW, WINDOW - PAGE, WINDOW + PAGE,
		UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX - 4095, UINT64_MAX };
	(void)state;
	struct check *check = open_window(true);
	check_host_blob(check, CTX, 5, 2 * PAGE, 0);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(offsets); i++) {
		assert_int_equal(check_map(check, 5, offsets[i]), CHECK_BAD_PARAMETER);
	}
	assert_int_equal(check_map(check, 5, WINDOW - 2 * PAGE), CHECK_OK);
	check_host_blob(check, CTX, 6, WINDOW + PAGE, 0);
	assert_int_equal(check_map(check, 6, 0), CHECK_BAD_PARAMETER);
	assert_int_equal(neep_driver_window_maps(check_driver(check)), 1);
	check_close(check);
}

static void check_123_size_is_rounded_up_to_pages_when_the_blob_ends_inside_one(void **state) {
	(void)state;
	struct check *check = open_window(true);
	check_host_blob(check, CTX, 5, PAGE + 100, 0x11);
	check_host_blob(check, CTX, 6, PAGE, 0x22);
	assert_int_equal(check_map(check, 5, 0), CHECK_OK);
	assert_int_equal(check_map(check, 6, PAGE), CHECK_BAD_PARAMETER);
	assert_int_equal(check_map(check, 6, 2 * PAGE), CHECK_OK);
	assert_int_equal(word_at(check, 2 * PAGE), 0x22222222);
	check_close(check);
}

static void check_124_map_is_refused_when_it_overlaps_or_the_blob_is_mapped(void **state) {
	static const uint64_t taken[] = { 3 * PAGE, 4 * PAGE, 5 * PAGE, 7 * PAGE };
	(void)state;
	struct check *check = open_window(true);
	check_host_blob(check, CTX, 5, 4 * PAGE, 0x11);
	check_host_blob(check, CTX, 6, 2 * PAGE, 0x22);
	assert_int_equal(check_map(check, 5, 4 * PAGE), CHECK_OK);
	for (size_t i = 0; i < NEEP_ARRAY_LEN(taken); i++) {
		assert_int_equal(check_map(check, 6, taken[i]), CHECK_BAD_PARAMETER);
	}
	assert_int_equal(check_map(check, 5, 32 * PAGE), CHECK_BAD_PARAMETER);
	assert_int_equal(check_map(check, 5, 4 * PAGE), CHECK_BAD_PARAMETER);
	assert_int_equal(check_map(check, 6, 2 * PAGE), CHECK_OK);
	assert_int_equal(check_unmap(check, 6), CHECK_OK);
	assert_int_equal(check_map(check, 6, 8 * PAGE), CHECK_OK);
	assert_int_equal(word_at(check, 4 * PAGE), FILL_WORD);
	assert_int_equal(word_at(check, 8 * PAGE), 0x22222222);
	check_close(check);
}

/* What the window should hold: the blob of each page, 0 for none. */
struct model {
	uint32_t pages[16];
	uint32_t places[9]; // of each blob: its first page and one, 0 when it is not mapped
};

static uint32_t model_pages_of(uint32_t id) {
	return 1 + id % 4;
}

static bool model_takes(const struct model *model, uint32_t id, uint32_t page) {
	uint32_t count = model_pages_of(id);
	bool takes = model->places[id] == 0 && page + count <= NEEP_ARRAY_LEN(model->pages);
	for (uint32_t i = page; takes && i < page + count; i++) {
		takes = model->pages[i] == 0;
	}
	return takes;
}

static void model_fill(struct model *model, uint32_t id, uint32_t page, uint32_t content) {
	for (uint32_t i = page; i < page + model_pages_of(id); i++) {
		model->pages[i] = content;
	}
	model->places[id] = content != 0 ? page + 1 : 0;
}

static void assert_window_is(struct check *check, const struct model *model) {
	for (uint32_t page = 0; page < NEEP_ARRAY_LEN(model->pages); page++) {
		if (model->pages[page] == 0) {
			assert_hole(check, page * PAGE);
		} else {
			assert_int_equal(word_at(check, page * PAGE), model->pages[page] * 0x01010101u);
		}
	}
}

/* A window of 16 pages, so that its end is in play. */
static void check_124_every_range_is_taken_when_it_is_free_and_refused_when_not(void **state) {
	(void)state;
	struct check_options options = check_3d_options(16 * PAGE);
	struct model model = { .pages = { 0 } };
	uint64_t random = 88172645463325252u;
	touch_catch_faults();
	struct check *check = check_open(&options);
	assert_int_equal(check_ctx_create(check, CTX, NEEP_FAKE_CAPSET), CHECK_OK);
	for (uint32_t id = 1; id < NEEP_ARRAY_LEN(model.places); id++) {
		check_host_blob(check, CTX, id, model_pages_of(id) * PAGE, (uint8_t)id);
	}
	for (uint32_t i = 0; i < 600; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		uint32_t id = 1 + (random >> 40) % 8, page = (random >> 50) % 17;
		if ((random >> 60) % 2 == 0) {
			bool takes = model_takes(&model, id, page);
			assert_int_equal(
				check_map(check, id, page * PAGE), takes ? CHECK_OK : CHECK_BAD_PARAMETER);
			if (takes) {
				model_fill(&model, id, page, id);
			}
		} else {
			bool is_mapped = model.places[id] != 0;
			assert_int_equal(check_unmap(check, id), is_mapped ? CHECK_OK : CHECK_BAD_PARAMETER);
			if (is_mapped) {
				model_fill(&model, id, model.places[id] - 1, 0);
			}
		}
		assert_window_is(check, &model);
	}
	check_close(check);
}

static void check_125_map_is_refused_when_the_resource_is_no_mappable_host_blob(void **state) {
	(void)state;
	struct check *check = open_window(true);
	struct neep_guest_buffer *memory = check_alloc(check, PAGE);
	assert_int_equal(check_create_blob(check, 5, memory, PAGE), CHECK_OK);
	assert_int_equal(check_map(check, 5, 0), CHECK_BAD_PARAMETER);
	assert_int_equal(check_create_2d(check, 6, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 8, 8), CHECK_OK);
	assert_int_equal(check_map(check, 6, 0), CHECK_BAD_PARAMETER);
	assert_int_equal(check_create_3d(check, 7, 8, 8), CHECK_OK);
	assert_int_equal(check_map(check, 7, 0), CHECK_BAD_PARAMETER);
	assert_int_equal(check_map(check, 8, 0), CHECK_BAD_RESOURCE);
	assert_int_equal(check_map(check, 0, 0), CHECK_BAD_RESOURCE);
	/* Not mappable says the renderer, or says the guest. */
	struct neep_fake_stream stream = { .count = 0 };
	neep_fake_stream_blob(&stream, 1, PAGE, 0, 0);
	neep_fake_stream_blob(&stream, 2, PAGE, 1, 0);
	assert_int_equal(check_submit_stream(check, CTX, &stream), CHECK_OK);
	assert_int_equal(check_create_host_blob(check, CTX, 9, 1, PAGE), CHECK_OK);
	assert_int_equal(check_map(check, 9, 0), CHECK_BAD_PARAMETER);
	struct virtio_gpu_resource_create_blob cmd = {
		.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, .ctx_id = CTX },
		.resource_id = 10,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.blob_id = 2,
		.size = PAGE,
	};
	assert_int_equal(check_send(check, &cmd), CHECK_OK);
	assert_int_equal(check_map(check, 10, 0), CHECK_BAD_PARAMETER);
	assert_int_equal(neep_driver_window_maps(check_driver(check)), 0);
	check_close(check);
}

/* Front-ends map for writing whatever they are told. */
static void check_125_map_is_refused_when_the_blob_may_only_be_read(void **state) {
	(void)state;
	struct check *check = open_window(true);
	struct neep_fake_stream stream = { .count = 0 };
	neep_fake_stream_blob(&stream, 1, PAGE, RUTABAGA_MAP_CACHE_CACHED | RUTABAGA_MAP_ACCESS_READ, 0);
	neep_fake_stream_blob(&stream, 2, PAGE, RUTABAGA_MAP_CACHE_CACHED | RUTABAGA_MAP_ACCESS_RW, 0);
	assert_int_equal(check_submit_stream(check, CTX, &stream), CHECK_OK);
	assert_int_equal(check_create_host_blob(check, CTX, 9, 1, PAGE), CHECK_OK);
	assert_int_equal(check_create_host_blob(check, CTX, 10, 2, PAGE), CHECK_OK);
	assert_int_equal(check_map(check, 9, 0), CHECK_BAD_PARAMETER);
	assert_int_equal(check_map(check, 10, 0), CHECK_OK);
	assert_int_equal(neep_driver_window_maps(check_driver(check)), 1);
	check_close(check);
}

static void unmaps(bool echo_maps) {
	struct check *check = open_window(echo_maps);
	for (uint32_t i = 0; i < 50; i++) {
		check_host_blob(check, CTX, 5, PAGE, 0x11);
		assert_int_equal(check_map(check, 5, PAGE), CHECK_OK);
		assert_int_equal(word_at(check, PAGE), FILL_WORD);
		assert_int_equal(check_unmap(check, 5), CHECK_OK);
		assert_hole(check, PAGE);
		/* The blob itself lives on. */
		assert_int_equal(check_peek(check, CTX, 5, 0, FILL_WORD), CHECK_OK);
		assert_int_equal(check_unref(check, 5), CHECK_OK);
	}
	assert_int_equal(check_counts(check).fake.blobs, 0);
	check_close(check);
}

static void check_126_guest_sees_nothing_old_when_unmap_is_answered(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(echoes); i++) {
		unmaps(echoes[i]);
	}
}

static void check_127_unmap_is_refused_when_nothing_is_mapped(void **state) {
	(void)state;
	struct check *check = open_window(true);
	check_host_blob(check, CTX, 5, PAGE, 0);
	assert_int_equal(check_unmap(check, 5), CHECK_BAD_PARAMETER);
	assert_int_equal(check_unmap(check, 6), CHECK_BAD_RESOURCE);
	assert_int_equal(check_map(check, 5, 0), CHECK_OK);
	assert_int_equal(check_unmap(check, 5), CHECK_OK);
	assert_int_equal(check_unmap(check, 5), CHECK_BAD_PARAMETER);
	check_close(check);
}

static void check_128_mapping_goes_first_when_its_resource_is_unreferenced(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(echoes); i++) {
		struct check *check = open_window(echoes[i]);
		check_host_blob(check, CTX, 5, PAGE, 0x11);
		assert_int_equal(check_map(check, 5, 0), CHECK_OK);
		assert_int_equal(word_at(check, 0), FILL_WORD);
		assert_int_equal(check_unref(check, 5), CHECK_OK);
		assert_hole(check, 0);
		assert_int_equal(neep_driver_window_maps(check_driver(check)), 0);
		assert_int_equal(check_counts(check).fake.blobs, 0);
		assert_int_equal(check_counts(check).device.maps, 0);
		/* The id and the range are free. */
		check_host_blob(check, CTX, 5, PAGE, 0x22);
		assert_int_equal(check_map(check, 5, 0), CHECK_OK);
		assert_int_equal(word_at(check, 0), 0x22222222);
		check_close(check);
	}
}

/* Linux sends these back to back, and waits for none. */
static void check_129_fenced_map_unmap_and_unref_are_executed_and_answered(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(echoes); i++) {
		struct check *check = open_window(echoes[i]);
		struct check_fenced fenced[3];
		check_host_blob(check, CTX, 5, PAGE, 0x11);
		struct virtio_gpu_resource_map_blob map = {
			.hdr.type = VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, .resource_id = 5, .offset = 8 * PAGE
		};
		struct virtio_gpu_resource_unmap_blob unmap = {
			.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, .resource_id = 5
		};
		struct virtio_gpu_resource_unref unref = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
			.resource_id = 5 };
		check_fence_set(&map.hdr, 0, CHECK_GLOBAL, 1);
		check_fence_set(&unmap.hdr, CTX, 7, 2);
		check_fence_set(&unref.hdr, 0, CHECK_GLOBAL, 3);
		check_fenced_send(check, &fenced[0], &map, sizeof(map));
		check_fenced_send(check, &fenced[1], &unmap, sizeof(unmap));
		check_fenced_send(check, &fenced[2], &unref, sizeof(unref));
		assert_int_equal(check_fenced_finish(check, &fenced[0]), VIRTIO_GPU_RESP_OK_MAP_INFO);
		assert_int_equal(check_fenced_finish(check, &fenced[1]), CHECK_OK);
		assert_int_equal(check_fenced_finish(check, &fenced[2]), CHECK_OK);
		assert_hole(check, 8 * PAGE);
		assert_int_equal(check_unref(check, 5), CHECK_BAD_RESOURCE);
		check_close(check);
	}
}

static void check_129_unref_of_a_mapped_blob_keeps_the_order_when_it_is_fenced(void **state) {
	(void)state;
	struct check *check = open_window(true);
	struct check_fenced unref_sent, after;
	check_host_blob(check, CTX, 5, PAGE, 0x11);
	assert_int_equal(check_map(check, 5, 0), CHECK_OK);
	struct virtio_gpu_resource_unref unref = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
		.resource_id = 5 };
	check_fence_set(&unref.hdr, 0, CHECK_GLOBAL, 3);
	check_fenced_send(check, &unref_sent, &unref, sizeof(unref));
	check_fenced_stream(check, &after, CTX, CHECK_GLOBAL, 4);
	assert_int_equal(check_fenced_finish(check, &after), CHECK_OK);
	assert_int_equal(check_fenced_finish(check, &unref_sent), CHECK_OK);
	assert_true(unref_sent.request.sequence < after.request.sequence);
	check_close(check);
}

/* A processor of the guest that does not care what is mapped. */
struct hammer {
	pthread_t thread;
	atomic_bool stop;
	uint8_t *window;
	uint64_t hits;
	uint64_t wrong; // neither nothing nor the bytes of the blobs
};

static void *hammer(void *data) {
	struct hammer *hammer = data;
	uint64_t random = 88172645463325252u;
	while (!atomic_load_explicit(&hammer->stop, memory_order_relaxed)) {
		uint32_t word;
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		volatile uint32_t *at = (volatile uint32_t *)(hammer->window + random % (16 * PAGE) / 4 * 4);
		if (touch(at, &word)) {
			hammer->hits++;
			hammer->wrong += word != FILL_WORD;
		}
	}
	return NULL;
}

static uint32_t cycles(void) {
	return getenv("NEEP_TEST_LONG") != NULL ? 100000 : 10000;
}

static void hammer_window(bool echo_maps) {
	struct check *check = open_window(echo_maps);
	struct hammer state = { .window = window(check) };
	for (uint32_t id = 1; id <= 4; id++) {
		check_host_blob(check, CTX, id, 4 * PAGE, 0x11);
	}
	assert_int_equal(pthread_create(&state.thread, NULL, hammer, &state), 0);
	uint64_t rss = 0;
	uint32_t fds = 0;
	for (uint32_t i = 0, count = cycles() / 2; i < count; i++) {
		uint32_t id = 1 + i % 4;
		if (i == count / 2) {
			rss = check_rss(check);
			fds = check_open_fds(check);
		}
		assert_int_equal(check_map(check, id, i % 4 * 4 * PAGE), CHECK_OK);
		assert_int_equal(check_unmap(check, id), CHECK_OK);
	}
	atomic_store(&state.stop, true);
	pthread_join(state.thread, NULL);
	assert_true(state.hits > 0);
	assert_int_equal(state.wrong, 0);
	assert_in_range(check_rss(check), 0, rss + CHECK_RSS_SLACK);
	assert_in_range(check_open_fds(check), 0, fds + 4);
	check_close(check);
}

static void check_130_device_lives_when_a_processor_hammers_the_changing_window(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(echoes); i++) {
		hammer_window(echoes[i]);
	}
}

static void check_130_many_mappings_live_side_by_side_up_to_the_quota(void **state) {
	(void)state;
	struct check_options options = check_3d_options(WINDOW);
	options.device.quota.maps = 100;
	struct check *check = check_open(&options);
	assert_int_equal(check_ctx_create(check, CTX, NEEP_FAKE_CAPSET), CHECK_OK);
	for (uint32_t i = 0; i < 100; i++) {
		check_host_blob(check, CTX, 1 + i, PAGE, (uint8_t)i);
		/* From the end, and from the middle: the order of offsets is not that of arrival. */
		assert_int_equal(check_map(check, 1 + i, i * 7 % 100 * PAGE), CHECK_OK);
	}
	check_host_blob(check, CTX, 101, PAGE, 0);
	assert_int_equal(check_map(check, 101, 100 * PAGE), CHECK_NO_MEMORY);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(word_at(check, i * 7 % 100 * PAGE) & 0xff, i);
	}
	assert_int_equal(check_unmap(check, 50), CHECK_OK);
	assert_int_equal(check_map(check, 101, 100 * PAGE), CHECK_OK);
	check_close(check);
}

static void check_131_window_is_empty_when_the_driver_was_reset(void **state) {
	(void)state;
	for (size_t i = 0; i < NEEP_ARRAY_LEN(echoes); i++) {
		struct check *check = open_window(echoes[i]);
		for (uint32_t round = 0; round < 20; round++) {
			check_host_blob(check, CTX, 5, PAGE, 0x11);
			check_host_blob(check, CTX, 6, PAGE, 0x22);
			assert_int_equal(check_map(check, 5, 0), CHECK_OK);
			assert_int_equal(check_map(check, 6, 9 * PAGE), CHECK_OK);
			check_restart(check);
			assert_int_equal(check_ctx_create(check, CTX, NEEP_FAKE_CAPSET), CHECK_OK);
			assert_int_equal(check_counts(check).fake.blobs, 0);
			assert_int_equal(check_counts(check).device.resources, 0);
			await_hole(check, 0);
			await_hole(check, 9 * PAGE);
			/* The ranges are free for the new driver. */
			check_host_blob(check, CTX, 5, 4 * PAGE, 0x33);
			assert_int_equal(check_map(check, 5, 0), CHECK_OK);
			assert_int_equal(word_at(check, 0), 0x33333333);
			assert_int_equal(check_unref(check, 5), CHECK_OK);
		}
		check_close(check);
	}
}

/* The reset comes while the front-end has the request. */
static void check_131_device_lives_when_the_reset_overtakes_a_map(void **state) {
	(void)state;
	for (uint32_t round = 0; round < 40; round++) {
		struct check *check = open_window(echoes[round % 2]);
		struct check_fenced map_sent, unmap_sent;
		check_host_blob(check, CTX, 5, PAGE, 0x11);
		struct virtio_gpu_resource_map_blob map = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB,
			.resource_id = 5 };
		struct virtio_gpu_resource_unmap_blob unmap = {
			.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, .resource_id = 5
		};
		check_fence_set(&map.hdr, 0, CHECK_GLOBAL, 1);
		check_fenced_send(check, &map_sent, &map, sizeof(map));
		check_fenced_send(check, &unmap_sent, &unmap, sizeof(unmap));
		struct timespec pause = { .tv_nsec = round / 2 * 20000 };
		nanosleep(&pause, NULL);
		check_restart(check);
		check_forget(check, &map_sent.request);
		check_forget(check, &unmap_sent.request);
		check_release(check, &map_sent.request);
		check_release(check, &unmap_sent.request);
		assert_int_equal(check_ctx_create(check, CTX, NEEP_FAKE_CAPSET), CHECK_OK);
		check_host_blob(check, CTX, 5, PAGE, 0x33);
		assert_int_equal(check_map(check, 5, 0), CHECK_OK);
		assert_int_equal(word_at(check, 0), 0x33333333);
		check_close(check);
	}
}

/* What the first reset left to be unmapped is still under way at the second. */
static void check_131_ranges_are_free_when_the_driver_is_reset_again_at_once(void **state) {
	(void)state;
	for (uint32_t round = 0; round < 10; round++) {
		struct check *check = open_window(echoes[round % 2]);
		for (uint32_t id = 1; id <= 16; id++) {
			check_host_blob(check, CTX, id, PAGE, 0x11);
			assert_int_equal(check_map(check, id, id * PAGE), CHECK_OK);
		}
		for (uint32_t i = 0; i <= round / 2; i++) {
			check_restart(check);
		}
		assert_int_equal(check_ctx_create(check, CTX, NEEP_FAKE_CAPSET), CHECK_OK);
		check_host_blob(check, CTX, 5, 32 * PAGE, 0x33);
		assert_int_equal(check_map(check, 5, 0), CHECK_OK);
		for (uint32_t i = 0; i < 32; i++) {
			assert_int_equal(word_at(check, i * PAGE), 0x33333333);
		}
		assert_int_equal(neep_driver_window_maps(check_driver(check)), 1);
		assert_int_equal(check_counts(check).device.maps, 1);
		check_close(check);
	}
}

static void check_132_map_is_refused_when_there_is_no_window(void **state) {
	(void)state;
	struct check_options options = check_3d_options(0);
	struct check *check = check_open(&options);
	assert_int_equal(check_ctx_create(check, CTX, NEEP_FAKE_CAPSET), CHECK_OK);
	check_host_blob(check, CTX, 5, PAGE, 0);
	assert_int_equal(check_map(check, 5, 0), CHECK_UNSPEC);
	assert_int_equal(check_unmap(check, 5), CHECK_UNSPEC);
	assert_int_equal(check_map(check, 6, 0), CHECK_UNSPEC);
	check_close(check);
}

static void check_133_map_behind_a_blob_that_failed_names_an_unknown_resource(void **state) {
	(void)state;
	struct check *check = open_window(true);
	struct check_fenced create_sent, map_sent;
	struct virtio_gpu_resource_create_blob create = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
		.resource_id = 5,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.blob_id = 1234,
		.size = PAGE,
	};
	struct virtio_gpu_resource_map_blob map = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB,
		.resource_id = 5 };
	create.hdr.ctx_id = CTX;
	check_fenced_send(check, &create_sent, &create, sizeof(create));
	check_fenced_send(check, &map_sent, &map, sizeof(map));
	check_wait(check, &map_sent.request);
	assert_int_equal(check_reply(check, &map_sent.request), CHECK_BAD_RESOURCE);
	check_wait(check, &create_sent.request);
	assert_int_equal(check_reply(check, &create_sent.request), CHECK_BAD_PARAMETER);
	check_release(check, &map_sent.request);
	check_release(check, &create_sent.request);
	check_close(check);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		device_check(check_122_guest_and_renderer_see_the_same_bytes_when_a_host_blob_is_mapped),
		device_check(check_122_map_info_is_the_cache_mode_alone),
		device_check(check_123_map_is_refused_when_it_is_not_inside_the_window),
		device_check(check_123_size_is_rounded_up_to_pages_when_the_blob_ends_inside_one),
		device_check(check_124_map_is_refused_when_it_overlaps_or_the_blob_is_mapped),
		device_check(check_124_every_range_is_taken_when_it_is_free_and_refused_when_not),
		device_check(check_125_map_is_refused_when_the_resource_is_no_mappable_host_blob),
		device_check(check_125_map_is_refused_when_the_blob_may_only_be_read),
		device_check(check_126_guest_sees_nothing_old_when_unmap_is_answered),
		device_check(check_127_unmap_is_refused_when_nothing_is_mapped),
		device_check(check_128_mapping_goes_first_when_its_resource_is_unreferenced),
		device_check(check_129_fenced_map_unmap_and_unref_are_executed_and_answered),
		device_check(check_129_unref_of_a_mapped_blob_keeps_the_order_when_it_is_fenced),
		device_check(check_130_device_lives_when_a_processor_hammers_the_changing_window),
		device_check(check_130_many_mappings_live_side_by_side_up_to_the_quota),
		device_check(check_131_window_is_empty_when_the_driver_was_reset),
		device_check(check_131_device_lives_when_the_reset_overtakes_a_map),
		device_check(check_131_ranges_are_free_when_the_driver_is_reset_again_at_once),
		device_check(check_132_map_is_refused_when_there_is_no_window),
		device_check(check_133_map_behind_a_blob_that_failed_names_an_unknown_resource),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
