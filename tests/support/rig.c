#include "support/rig.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/await.h"

static struct rig *rig_of(uint64_t user_data) {
	return (struct rig *)(uintptr_t)user_data;
}

static void on_fence(uint64_t user_data, const struct rutabaga_fence *fence) {
	struct rig *rig = rig_of(user_data);
	pthread_mutex_lock(&rig->lock);
	rig->fences[rig->fence_count++ % RIG_FENCES_MAX] = fence->fence_id;
	pthread_mutex_unlock(&rig->lock);
}

static void on_message(uint64_t user_data, const struct rutabaga_debug *debug) {
	struct rig *rig = rig_of(user_data);
	pthread_mutex_lock(&rig->lock);
	size_t used = strlen(rig->messages);
	snprintf(rig->messages + used, sizeof(rig->messages) - used, "%s\n", debug->message);
	pthread_mutex_unlock(&rig->lock);
	if (getenv("NEEP_TEST_LOG") != NULL) {
		fprintf(stderr, "# %s\n", debug->message);
	}
}

struct rutabaga_builder rig_callbacks(struct rig *rig, uint32_t capset) {
	return (struct rutabaga_builder){
		.user_data = (uint64_t)(uintptr_t)rig,
		.capset_mask = UINT64_C(1) << capset,
		.wsi = RUTABAGA_WSI_SURFACELESS,
		.fence_cb = on_fence,
		.debug_cb = on_message,
	};
}

void rig_open(struct rig *rig, const struct rutabaga_builder *builder) {
	pthread_mutex_init(&rig->lock, NULL);
	rig->event_fd = -1;
	assert_int_equal(rutabaga_init(builder, &rig->rutabaga), 0);
}

int rig_take_turns(struct rig *rig) {
	rig->event_fd = neep_rutabaga_event_fd(rig->rutabaga);
	return rig->event_fd < 0 ? -1 : 0;
}

int rig_close(struct rig *rig) {
	int rc = rutabaga_finish(&rig->rutabaga);
	pthread_mutex_destroy(&rig->lock);
	return rc;
}

void rig_turn(struct rig *rig, int ms) {
	struct pollfd polled = { .fd = rig->event_fd, .events = POLLIN };
	if (poll(&polled, 1, ms) > 0 && rig->event_fd >= 0) {
		assert_int_equal(neep_rutabaga_dispatch(rig->rutabaga), 0);
	}
}

void rig_idle(struct rig *rig, int ms) {
	int64_t end = neep_clock_ns() + ms * NEEP_NS_PER_MS;
	while (neep_clock_ns() < end) {
		rig_turn(rig, 1);
	}
}

bool rig_has_message(struct rig *rig, const char *words) {
	pthread_mutex_lock(&rig->lock);
	bool has = strstr(rig->messages, words) != NULL;
	pthread_mutex_unlock(&rig->lock);
	return has;
}

static void fail_late(struct rig *rig, int64_t end_ns, const char *what) {
	if (neep_clock_ns() >= end_ns) {
		fail_msg("no %s; messages: %s", what, rig->messages);
	}
}

void rig_await_message(struct rig *rig, const char *words) {
	int64_t end = await_end_ns();
	while (!rig_has_message(rig, words)) {
		fail_late(rig, end, words);
		rig_turn(rig, 1);
	}
}

uint64_t rig_fence(struct rig *rig, uint32_t ctx_id, uint32_t ring_idx) {
	struct rutabaga_fence fence = {
		.flags = RUTABAGA_FLAG_FENCE | RUTABAGA_FLAG_INFO_RING_IDX,
		.fence_id = ++rig->next_fence,
		.ctx_id = ctx_id,
		.ring_idx = ring_idx,
	};
	assert_int_equal(rutabaga_create_fence(rig->rutabaga, &fence), 0);
	return fence.fence_id;
}

int rig_fence_position(struct rig *rig, uint64_t fence_id) {
	int position = -1;
	size_t told = 0;
	pthread_mutex_lock(&rig->lock);
	assert_true(rig->fence_count <= RIG_FENCES_MAX);
	for (size_t i = 0; i < rig->fence_count; i++) {
		if (rig->fences[i] == fence_id) {
			position = (int)i;
			told++;
		}
	}
	pthread_mutex_unlock(&rig->lock);
	assert_true(told <= 1);
	return position;
}

bool rig_is_done(struct rig *rig, uint64_t fence_id) {
	return rig_fence_position(rig, fence_id) >= 0;
}

void rig_await(struct rig *rig, uint64_t fence_id) {
	int64_t end = await_end_ns();
	while (!rig_is_done(rig, fence_id)) {
		fail_late(rig, end, "fence");
		rig_turn(rig, 1);
	}
}

static size_t count_fences(struct rig *rig) {
	pthread_mutex_lock(&rig->lock);
	size_t count = rig->fence_count;
	pthread_mutex_unlock(&rig->lock);
	return count;
}

void rig_await_fences(struct rig *rig, size_t count) {
	int64_t end = await_end_ns();
	while (count_fences(rig) < count) {
		fail_late(rig, end, "fences");
		rig_turn(rig, 1);
	}
	assert_int_equal(count_fences(rig), count);
}
