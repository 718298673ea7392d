/* An instance of the library, and what it has told. Rooms whose component it has add to it in a rig.h of their own. */
#ifndef NEEP_TESTS_SUPPORT_RIG_H
#define NEEP_TESTS_SUPPORT_RIG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rutabaga/api.h"
#include "support/cmocka.h"

#define RIG_FENCES_MAX   8192
#define RIG_MESSAGES_MAX 16384

struct rig {
	struct rutabaga *rutabaga;
	int event_fd;                    // -1: the library has its own thread
	pthread_mutex_t lock;            // guards the next ones
	uint64_t fences[RIG_FENCES_MAX]; // ids, in the order in which they were told
	size_t fence_count;
	char messages[RIG_MESSAGES_MAX]; // a line each
	uint64_t next_fence;
};

/* A builder with this capset whose callbacks write to the rig. */
struct rutabaga_builder rig_callbacks(struct rig *rig, uint32_t capset);

/* The instance, whose dispatch is the library's own thread. `rig` is zeroed but for what the builder leads to. */
void rig_open(struct rig *rig, const struct rutabaga_builder *builder);

/* From now on rig_turn() dispatches. Returns 0, or -1 when it cannot. */
int rig_take_turns(struct rig *rig);

/* Returns what rutabaga_finish() does. */
int rig_close(struct rig *rig);

/* One turn of the loop: waits at most `ms`. */
void rig_turn(struct rig *rig, int ms);
/* Turns for `ms`. */
void rig_idle(struct rig *rig, int ms);

/* Whether a message has `words`; and turns until one has. */
bool rig_has_message(struct rig *rig, const char *words);
void rig_await_message(struct rig *rig, const char *words);

/* Creates a fence and returns its id. */
uint64_t rig_fence(struct rig *rig, uint32_t ctx_id, uint32_t ring_idx);
/* The position of a fence among those that were told, or -1. None may be told twice. */
int rig_fence_position(struct rig *rig, uint64_t fence_id);
/* Whether it was told; and turns until it is. */
bool rig_is_done(struct rig *rig, uint64_t fence_id);
void rig_await(struct rig *rig, uint64_t fence_id);
/* Turns until so many were told, and not one more. */
void rig_await_fences(struct rig *rig, size_t count);

#endif
