/* A thread beside a stream's own, for large command buffers. Room-internal.
 *
 * A guest encodes its next frame while this one is recorded only if its next call is answered meanwhile, such as the vkResetFences of
 * that frame: it is behind the recording in the same stream. So a large recording is left to the stream's recorder, with the
 * submissions behind it, and their turns end at once. Such a late submission is still to be made when what comes behind it has its
 * turn: all but the commands that codegen/handlers.txt marks "passes" wait for it, and in the same stream for recordings too, as
 * nothing says what those are made of. Recordings of a stream stay in their order. */
#ifndef NEEP_VULKAN_RECORDER_H
#define NEEP_VULKAN_RECORDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct neep_vk_call;
struct neep_vk_context;
struct neep_vk_object;
struct neep_vk_recorder;
struct neep_vk_stream;

/* The late submissions of a context. */
struct neep_vk_late {
	pthread_mutex_t lock;
	pthread_cond_t none;
	atomic_uint count; // written under lock
	pthread_mutex_t
		fence; // held while a late submission is made, and by those who pass it and change fences
};

void neep_vk_late_init(struct neep_vk_late *late);
void neep_vk_late_finish(struct neep_vk_late *late);

/* Waits until there is none. Any thread but a recorder's. */
void neep_vk_late_settle(struct neep_vk_late *late);

/* One without a thread yet. `context` is borrowed. NULL when there is no memory. */
struct neep_vk_recorder *neep_vk_recorder_create(struct neep_vk_context *context);

/* Does what is left, or leaves it out if the context ends. NULL is fine. */
void neep_vk_recorder_destroy(struct neep_vk_recorder *recorder);

/* Takes a copy of the commands to record. The call has the turn, and has found the primary command buffer, which counts as being recorded
 * from now on. False: the caller has to record them. */
bool neep_vk_recorder_record(struct neep_vk_recorder *recorder, struct neep_vk_call *call,
	struct neep_vk_object *command_buffer, const void *commands, size_t len);

/* Whether it has something left to do, and the wait until it has not. For the thread of its stream. */
bool neep_vk_recorder_is_busy(struct neep_vk_recorder *recorder);
void neep_vk_recorder_settle(struct neep_vk_recorder *recorder);

/* What the handler of a submission asks first, with the turn: true when the stream's recorder has taken the packet, and will call
 * the handler again. Else no submission is late any more. */
bool neep_vk_recorder_submits(struct neep_vk_call *call);

/* For what may not pass: waits for the recorder of the call's stream, and for late submissions of all. */
void neep_vk_call_settle(struct neep_vk_call *call);

/* Of the stream, made when it is first asked for with `is_wanted`; NULL: there is none. In stream.c. */
struct neep_vk_recorder *neep_vk_stream_recorder(struct neep_vk_stream *stream, bool is_wanted);

#endif
