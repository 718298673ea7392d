/* A thread beside a stream's own, for large command buffers. Room-internal.
 *
 * A guest encodes its next frame while this one is recorded only if its next call is answered meanwhile, such as the vkResetFences of
 * that frame: it is behind the recording in the same stream. So a large recording is left to the stream's recorder, with the
 * submissions behind it, and their turns end at once. Such a late submission is still to be made when what comes behind it has its
 * turn: all but the commands that codegen/handlers.txt marks "passes" wait for it, and in the same stream for recordings too, as
 * nothing says what those are made of. Recordings of a stream stay in their order.
 *
 * A recording may begin before all its commands are here: the stream's thread puts down what it reads, the recorder decodes behind it. */
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

/* What is to be recorded, `len` bytes of commands, comes now: neep_vk_recorder_place() says where. The packet of that number has the
 * turn, and has found the primary command buffer, which counts as being recorded from now on. False: the caller has to record. */
bool neep_vk_recorder_begin(
	struct neep_vk_recorder *recorder, uint32_t seqno, struct neep_vk_object *command_buffer, size_t len);

/* The place of the bytes that come next, as long as some are missing. Only the caller of _begin() writes there, no more than are
 * missing. */
uint8_t *neep_vk_recorder_place(struct neep_vk_recorder *recorder);

/* The next `len` lie there: what they are made of may be recorded. After the last no more are missing. */
void neep_vk_recorder_came(struct neep_vk_recorder *recorder, size_t len);

/* The missing ones do not come: what was recorded is left as it is, for a context or a program that ends. */
void neep_vk_recorder_cut(struct neep_vk_recorder *recorder);

/* All of that for bytes that are here already: takes a copy. */
bool neep_vk_recorder_record(struct neep_vk_recorder *recorder, uint32_t seqno,
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
