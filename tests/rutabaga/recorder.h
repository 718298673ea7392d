/* An instance under test and what its callbacks were told. */
#ifndef NEEP_TESTS_RUTABAGA_RECORDER_H
#define NEEP_TESTS_RUTABAGA_RECORDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rutabaga/api.h"
#include "support/fake_component.h"

#define RECORDED_FENCES 1024

struct recorder {
	struct rutabaga *rutabaga;
	struct neep_fake *fake; // NULL without

	struct rutabaga_fence fences[RECORDED_FENCES];
	_Atomic size_t fence_count; // may come from another thread
	void (*on_fence)(struct recorder *recorder, const struct rutabaga_fence *fence); // may be NULL

	size_t messages[RUTABAGA_DEBUG_INFO + 1]; // by level
	char last_message[256];
};

/* A builder whose callbacks fill `recorder`. */
struct rutabaga_builder recorder_builder(struct recorder *recorder, uint64_t capset_mask);

/* setup and teardown functions of cmocka: *state is a struct recorder. */
int recorder_setup_2d(void **state);
int recorder_setup_fake(void **state); // caller-driven
int recorder_setup_fake_thread(void **state);
int recorder_teardown(void **state);

/* Waits until `count` fences were told; false when patience ends. */
bool recorder_wait(const struct recorder *recorder, size_t count);

/* The form of QEMU's RESOURCE_CREATE_2D. */
struct rutabaga_create_3d create_2d_args(uint32_t format, uint32_t width, uint32_t height);

/* A fence on a ring of a context, and on the global timeline. */
struct rutabaga_fence ring_fence(uint32_t ctx_id, uint32_t ring_idx, uint64_t fence_id);
struct rutabaga_fence global_fence(uint64_t fence_id);

/* Submits a stream. */
int submit_stream(struct recorder *recorder, uint32_t ctx_id, struct neep_fake_stream *stream);

/* Context `ctx_id` makes host memory `blob_id`, which becomes blob `resource_id`. */
int create_host_blob(
	struct recorder *recorder, uint32_t ctx_id, uint32_t resource_id, uint64_t blob_id, uint64_t size);

#endif
