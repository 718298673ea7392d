#include "rig.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/fd_check.h"
#include "util/clock.h"

#define PATIENCE_NS (10 * NEEP_NS_PER_S)

static struct rig *rig_of(uint64_t user_data) {
	return (struct rig *)(uintptr_t)user_data;
}

static void on_fence(uint64_t user_data, const struct rutabaga_fence *fence) {
	struct rig *rig = rig_of(user_data);
	pthread_mutex_lock(&rig->lock);
	rig->fences[rig->fence_count++ % RIG_FENCES_MAX] = *fence;
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

struct rutabaga_builder rig_builder(struct rig *rig) {
	return (struct rutabaga_builder){
		.user_data = (uint64_t)(uintptr_t)rig,
		.capset_mask = UINT64_C(1) << RUTABAGA_CAPSET_GFXSTREAM_VULKAN,
		.wsi = RUTABAGA_WSI_SURFACELESS,
		.fence_cb = on_fence,
		.debug_cb = on_message,
	};
}

static struct rig *rig_create(void **state) {
	struct rig *rig = calloc(1, sizeof(*rig));
	fd_check_setup(state);
	pthread_mutex_init(&rig->lock, NULL);
	rig->event_fd = -1;
	struct rutabaga_builder builder = rig_builder(rig);
	assert_int_equal(rutabaga_init(&builder, &rig->rutabaga), 0);
	*state = rig;
	return rig;
}

int rig_setup(void **state) {
	struct rig *rig = rig_create(state);
	rig->event_fd = neep_rutabaga_event_fd(rig->rutabaga);
	return rig->event_fd < 0 ? -1 : 0;
}

int rig_setup_thread(void **state) {
	rig_create(state);
	return 0;
}

int rig_teardown(void **state) {
	struct rig *rig = *state;
	int rc = rutabaga_finish(&rig->rutabaga);
	assert_int_equal(rig_processes(), 0);
	pthread_mutex_destroy(&rig->lock);
	free(rig);
	return rc != 0 ? rc : fd_check_teardown(state);
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

void rig_await_fences(struct rig *rig, size_t count) {
	int64_t end = neep_clock_ns() + PATIENCE_NS;
	for (;;) {
		pthread_mutex_lock(&rig->lock);
		size_t have = rig->fence_count;
		pthread_mutex_unlock(&rig->lock);
		if (have >= count) {
			assert_int_equal(have, count);
			return;
		}
		assert_true(neep_clock_ns() < end);
		rig_turn(rig, 1);
	}
}

bool rig_has_message(struct rig *rig, const char *words) {
	pthread_mutex_lock(&rig->lock);
	bool has = strstr(rig->messages, words) != NULL;
	pthread_mutex_unlock(&rig->lock);
	return has;
}

void rig_await_message(struct rig *rig, const char *words) {
	int64_t end = neep_clock_ns() + PATIENCE_NS;
	while (!rig_has_message(rig, words)) {
		if (neep_clock_ns() >= end) {
			fail_msg("no \"%s\" in: %s", words, rig->messages);
		}
		rig_turn(rig, 1);
	}
}

static pid_t parent_of(pid_t pid) {
	char path[64], line[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	int parent = -1;
	if (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		char *rest = strrchr(line, ')');
		sscanf(rest != NULL ? rest : "", ") %*c %d", &parent);
	}
	if (file != NULL) {
		fclose(file);
	}
	return parent;
}

size_t rig_processes(void) {
	size_t count = 0;
	DIR *folder = opendir("/proc");
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		pid_t pid = atoi(entry->d_name);
		for (pid_t up = pid; up > 1; up = parent_of(up)) {
			if (up == getpid() && pid != up) {
				count++;
			}
		}
	}
	closedir(folder);
	return count;
}

void rig_await_no_renderers(struct rig *rig) {
	int64_t end = neep_clock_ns() + PATIENCE_NS;
	while (rig_processes() > 1) {
		assert_true(neep_clock_ns() < end);
		rig_idle(rig, 10);
	}
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
	pthread_mutex_lock(&rig->lock);
	for (size_t i = 0; i < rig->fence_count && position < 0; i++) {
		position = rig->fences[i].fence_id == fence_id ? (int)i : -1;
	}
	pthread_mutex_unlock(&rig->lock);
	return position;
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
	int64_t end = neep_clock_ns() + PATIENCE_NS;
	while (*word != value) {
		assert_true(neep_clock_ns() < end);
		rig_turn(rig, 1);
	}
}
