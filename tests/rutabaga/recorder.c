#include "recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "support/await.h"

static void on_fence(uint64_t user_data, const struct rutabaga_fence *fence) {
	struct recorder *recorder = (struct recorder *)(uintptr_t)user_data;
	size_t index = atomic_load(&recorder->fence_count);
	if (index < RECORDED_FENCES) {
		recorder->fences[index] = *fence;
	}
	atomic_store(&recorder->fence_count, index + 1);
	if (recorder->on_fence != NULL) {
		recorder->on_fence(recorder, fence);
	}
}

static void on_debug(uint64_t user_data, const struct rutabaga_debug *debug) {
	struct recorder *recorder = (struct recorder *)(uintptr_t)user_data;
	recorder->messages[debug->debug_type]++;
	snprintf(recorder->last_message, sizeof(recorder->last_message), "%s", debug->message);
}

struct rutabaga_builder recorder_builder(struct recorder *recorder, uint64_t capset_mask) {
	return (struct rutabaga_builder){
		.user_data = (uint64_t)(uintptr_t)recorder,
		.capset_mask = capset_mask,
		.wsi = RUTABAGA_WSI_SURFACELESS,
		.fence_cb = on_fence,
		.debug_cb = on_debug,
	};
}

int recorder_setup_2d(void **state) {
	struct recorder *recorder = calloc(1, sizeof(*recorder));
	struct rutabaga_builder builder = recorder_builder(recorder, 0);
	*state = recorder;
	return rutabaga_init(&builder, &recorder->rutabaga);
}

int recorder_setup_fake_thread(void **state) {
	struct recorder *recorder = calloc(1, sizeof(*recorder));
	struct rutabaga_builder builder = recorder_builder(recorder, 0);
	*state = recorder;
	int rc = neep_fake_rutabaga_init(&builder, &recorder->rutabaga);
	recorder->fake = rc == 0 ? neep_fake_of(recorder->rutabaga) : NULL;
	return rc;
}

int recorder_setup_fake(void **state) {
	int rc = recorder_setup_fake_thread(state);
	struct recorder *recorder = *state;
	return rc < 0 || neep_rutabaga_event_fd(recorder->rutabaga) < 0 ? -1 : 0;
}

int recorder_teardown(void **state) {
	struct recorder *recorder = *state;
	int rc = rutabaga_finish(&recorder->rutabaga);
	free(recorder);
	return rc;
}

bool recorder_wait(const struct recorder *recorder, size_t count) {
	int64_t end = await_end_ns();
	while (atomic_load(&recorder->fence_count) < count && neep_clock_ns() < end) {
		nanosleep(&(struct timespec){ .tv_nsec = NEEP_NS_PER_MS }, NULL);
	}
	return atomic_load(&recorder->fence_count) >= count;
}

struct rutabaga_create_3d create_2d_args(uint32_t format, uint32_t width, uint32_t height) {
	return (struct rutabaga_create_3d){
		.target = 2,
		.format = format,
		.bind = 2,
		.width = width,
		.height = height,
		.depth = 1,
		.array_size = 1,
		.flags = 1,
	};
}

struct rutabaga_fence ring_fence(uint32_t ctx_id, uint32_t ring_idx, uint64_t fence_id) {
	return (struct rutabaga_fence){
		.flags = RUTABAGA_FLAG_FENCE | RUTABAGA_FLAG_INFO_RING_IDX,
		.fence_id = fence_id,
		.ctx_id = ctx_id,
		.ring_idx = ring_idx,
	};
}

struct rutabaga_fence global_fence(uint64_t fence_id) {
	return (struct rutabaga_fence){ .flags = RUTABAGA_FLAG_FENCE, .fence_id = fence_id };
}

int submit_stream(struct recorder *recorder, uint32_t ctx_id, struct neep_fake_stream *stream) {
	struct rutabaga_command command = {
		.ctx_id = ctx_id,
		.cmd_size = (uint32_t)neep_fake_stream_size(stream),
		.cmd = (uint8_t *)stream->words,
	};
	return rutabaga_submit_command(recorder->rutabaga, &command);
}

int create_host_blob(
	struct recorder *recorder, uint32_t ctx_id, uint32_t resource_id, uint64_t blob_id, uint64_t size) {
	struct neep_fake_stream stream = { .count = 0 };
	neep_fake_stream_blob(
		&stream, blob_id, size, RUTABAGA_MAP_CACHE_CACHED | RUTABAGA_MAP_ACCESS_RW, 0xab);
	int rc = submit_stream(recorder, ctx_id, &stream);
	if (rc < 0) {
		return rc;
	}
	struct rutabaga_create_blob create = {
		.blob_mem = RUTABAGA_BLOB_MEM_HOST3D,
		.blob_flags = RUTABAGA_BLOB_FLAG_USE_MAPPABLE,
		.blob_id = blob_id,
		.size = size,
	};
	return rutabaga_resource_create_blob(recorder->rutabaga, ctx_id, resource_id, &create, NULL, NULL);
}
