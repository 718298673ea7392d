#include "vulkan/recorder.h"

#include <stdlib.h>
#include <string.h>

#include "vulkan/command_buffer.h"
#include "vulkan/context.h"
#include "vulkan/decoder.h"
#include "vulkan/marshal.h"

/* What a guest may have waiting here; more waits in its ring. */
#define WAITING_MAX ((size_t)32 << 20)

/* A recording that has begun, or a submission. */
struct job {
	struct neep_list link;                 // neep_vk_recorder.jobs
	struct neep_vk_object *command_buffer; // a reference; NULL: a submission
	struct neep_vk_recording recording;
	uint32_t epoch; // of the recording
	size_t len;
	size_t here;     // of the bytes; guarded by the recorder's lock, written by the stream's thread
	bool is_cut;     // the others do not come; likewise
	uint8_t bytes[]; // the commands, or the packet
};

struct neep_vk_recorder {
	struct neep_vk_context *context; // borrowed
	struct neep_vk_decoder decoder;  // the thread's
	pthread_t thread;
	bool has_thread;
	struct job *coming; // whose bytes are not all here, the last of jobs; only for the stream's thread
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Guarded by lock: */
	struct neep_list jobs; // job.link; the first is being done
	size_t waiting;        // bytes of jobs
	uint32_t submissions;  // among jobs
	bool is_ending;
};

void neep_vk_late_init(struct neep_vk_late *late) {
	pthread_mutex_init(&late->lock, NULL);
	pthread_cond_init(&late->none, NULL);
	atomic_init(&late->count, 0);
	pthread_mutex_init(&late->fence, NULL);
}

void neep_vk_late_finish(struct neep_vk_late *late) {
	pthread_mutex_destroy(&late->fence);
	pthread_cond_destroy(&late->none);
	pthread_mutex_destroy(&late->lock);
}

void neep_vk_late_settle(struct neep_vk_late *late) {
	if (atomic_load(&late->count) == 0) {
		return;
	}
	pthread_mutex_lock(&late->lock);
	while (atomic_load(&late->count) > 0) {
		pthread_cond_wait(&late->none, &late->lock);
	}
	pthread_mutex_unlock(&late->lock);
}

static void change_late(struct neep_vk_late *late, int change) {
	pthread_mutex_lock(&late->lock);
	if (atomic_fetch_add(&late->count, (unsigned)change) + (unsigned)change == 0) {
		pthread_cond_broadcast(&late->none);
	}
	pthread_mutex_unlock(&late->lock);
}

struct neep_vk_recorder *neep_vk_recorder_create(struct neep_vk_context *context) {
	struct neep_vk_recorder *recorder = calloc(1, sizeof(*recorder));
	if (recorder == NULL) {
		return NULL;
	}
	recorder->context = context;
	const struct neep_vk_decoder_params params = {
		.context = context,
		.table = context->table,
		.arena_bytes = context->limits.arena_bytes,
	};
	neep_vk_decoder_init(&recorder->decoder, &params);
	pthread_mutex_init(&recorder->lock, NULL);
	pthread_cond_init(&recorder->changed, NULL);
	neep_list_init(&recorder->jobs);
	return recorder;
}

/* The commands of a job, as the recorder sees them. */
struct feed {
	struct neep_vk_commands commands;
	struct neep_vk_recorder *recorder;
	const struct job *job;
};

static bool wait_for_more(struct neep_vk_commands *commands) {
	struct feed *feed = neep_container_of(commands, struct feed, commands);
	size_t before = commands->here;
	pthread_mutex_lock(&feed->recorder->lock);
	while (feed->job->here == before && !feed->job->is_cut) {
		pthread_cond_wait(&feed->recorder->changed, &feed->recorder->lock);
	}
	commands->here = feed->job->here;
	pthread_mutex_unlock(&feed->recorder->lock);
	return commands->here > before;
}

static void record(struct neep_vk_recorder *recorder, const struct job *job) {
	struct feed feed = {
		.commands = { .bytes = job->bytes, .len = job->len, .more = wait_for_more },
		.recorder = recorder,
		.job = job,
	};
	neep_vk_record(&recorder->decoder, job->command_buffer, &feed.commands);
}

static void do_job(struct neep_vk_recorder *recorder, const struct job *job) {
	struct neep_vk_context *context = recorder->context;
	struct neep_vk_decoder *decoder = &recorder->decoder;
	if (atomic_load(&context->is_ending)) {
		return;
	}
	if (job->command_buffer != NULL) {
		record(recorder, job);
	} else {
		uint32_t epoch = neep_vk_table_enter(context->table);
		pthread_mutex_lock(&context->late.fence);
		neep_vk_decode_packet(decoder, job->bytes, job->len);
		pthread_mutex_unlock(&context->late.fence);
		neep_vk_table_leave(context->table, epoch);
	}
	if (decoder->call.is_failed) {
		neep_vk_context_lose(context, decoder->reason);
	}
}

static void end_recording(struct neep_vk_context *context, struct job *job) {
	neep_vk_table_leave(context->table, job->epoch);
	neep_vk_recordings_end(&context->recordings, &job->recording);
	neep_vk_object_unref(job->command_buffer);
}

/* With the lock, which it gives up in between. */
static void do_first(struct neep_vk_recorder *recorder) {
	struct job *job = neep_container_of(recorder->jobs.next, struct job, link);
	bool is_submission = job->command_buffer == NULL;
	pthread_mutex_unlock(&recorder->lock);
	do_job(recorder, job);
	if (!is_submission) {
		end_recording(recorder->context, job);
	}
	pthread_mutex_lock(&recorder->lock);
	/* One that was wrong may still be written to. */
	while (job->here < job->len && !job->is_cut) {
		pthread_cond_wait(&recorder->changed, &recorder->lock);
	}
	neep_list_remove(&job->link);
	recorder->waiting -= job->len;
	if (is_submission) {
		recorder->submissions--;
		change_late(&recorder->context->late, -1);
	}
	pthread_cond_broadcast(&recorder->changed);
	free(job);
}

static void *run(void *data) {
	struct neep_vk_recorder *recorder = data;
	pthread_mutex_lock(&recorder->lock);
	for (;;) {
		while (neep_list_is_empty(&recorder->jobs) && !recorder->is_ending) {
			pthread_cond_wait(&recorder->changed, &recorder->lock);
		}
		if (neep_list_is_empty(&recorder->jobs)) {
			break;
		}
		do_first(recorder);
	}
	pthread_mutex_unlock(&recorder->lock);
	return NULL;
}

void neep_vk_recorder_destroy(struct neep_vk_recorder *recorder) {
	if (recorder == NULL) {
		return;
	}
	pthread_mutex_lock(&recorder->lock);
	recorder->is_ending = true;
	pthread_cond_broadcast(&recorder->changed);
	pthread_mutex_unlock(&recorder->lock);
	if (recorder->has_thread) {
		pthread_join(recorder->thread, NULL);
	}
	neep_vk_decoder_finish(&recorder->decoder);
	pthread_cond_destroy(&recorder->changed);
	pthread_mutex_destroy(&recorder->lock);
	free(recorder);
}

static struct job *make_job(size_t len) {
	struct job *job = malloc(sizeof(*job) + len);
	if (job != NULL) {
		*job = (struct job){ .len = len };
	}
	return job;
}

static bool has_thread(struct neep_vk_recorder *recorder) {
	if (!recorder->has_thread) {
		recorder->has_thread = pthread_create(&recorder->thread, NULL, run, recorder) == 0;
	}
	return recorder->has_thread;
}

/* With the lock. */
static void append_job(struct neep_vk_recorder *recorder, struct job *job) {
	neep_list_append(&recorder->jobs, &job->link);
	recorder->waiting += job->len;
	recorder->submissions += job->command_buffer == NULL;
	pthread_cond_broadcast(&recorder->changed);
}

bool neep_vk_recorder_begin(struct neep_vk_recorder *recorder, uint32_t seqno,
	struct neep_vk_object *command_buffer, size_t len) {
	struct neep_vk_context *context = recorder->context;
	struct job *job = has_thread(recorder) ? make_job(len) : NULL;
	if (job == NULL) {
		return false;
	}
	neep_vk_object_ref(command_buffer);
	job->command_buffer = command_buffer;
	neep_vk_recordings_begin(&context->recordings, &job->recording, command_buffer, seqno);
	job->epoch = neep_vk_table_enter(context->table);
	recorder->coming = job;
	pthread_mutex_lock(&recorder->lock);
	while (recorder->waiting > 0 && recorder->waiting + len > WAITING_MAX) {
		pthread_cond_wait(&recorder->changed, &recorder->lock);
	}
	append_job(recorder, job);
	pthread_mutex_unlock(&recorder->lock);
	return true;
}

uint8_t *neep_vk_recorder_place(struct neep_vk_recorder *recorder) {
	return recorder->coming->bytes + recorder->coming->here;
}

void neep_vk_recorder_came(struct neep_vk_recorder *recorder, size_t len) {
	pthread_mutex_lock(&recorder->lock);
	recorder->coming->here += len;
	pthread_cond_broadcast(&recorder->changed);
	pthread_mutex_unlock(&recorder->lock);
}

void neep_vk_recorder_cut(struct neep_vk_recorder *recorder) {
	pthread_mutex_lock(&recorder->lock);
	recorder->coming->is_cut = true;
	pthread_cond_broadcast(&recorder->changed);
	pthread_mutex_unlock(&recorder->lock);
}

bool neep_vk_recorder_record(struct neep_vk_recorder *recorder, uint32_t seqno,
	struct neep_vk_object *command_buffer, const void *commands, size_t len) {
	if (!neep_vk_recorder_begin(recorder, seqno, command_buffer, len)) {
		return false;
	}
	/* One of no bytes may have been done by now. */
	if (len > 0) {
		memcpy(neep_vk_recorder_place(recorder), commands, len);
		neep_vk_recorder_came(recorder, len);
	}
	return true;
}

bool neep_vk_recorder_is_busy(struct neep_vk_recorder *recorder) {
	pthread_mutex_lock(&recorder->lock);
	bool is_busy = !neep_list_is_empty(&recorder->jobs);
	pthread_mutex_unlock(&recorder->lock);
	return is_busy;
}

void neep_vk_recorder_settle(struct neep_vk_recorder *recorder) {
	pthread_mutex_lock(&recorder->lock);
	while (!neep_list_is_empty(&recorder->jobs)) {
		pthread_cond_wait(&recorder->changed, &recorder->lock);
	}
	pthread_mutex_unlock(&recorder->lock);
}

/* Only behind a recording, and where no other recorder has a submission that must come before. */
static bool takes_submission(struct neep_vk_recorder *recorder, size_t len) {
	return !neep_list_is_empty(&recorder->jobs) && recorder->waiting + len <= WAITING_MAX &&
	       atomic_load(&recorder->context->late.count) == recorder->submissions;
}

static bool take_submission(struct neep_vk_recorder *recorder, const uint8_t *packet) {
	struct job *job = NULL;
	size_t len = neep_vk_load32(packet + NEEP_VK_PACKET_LEN);
	pthread_mutex_lock(&recorder->lock);
	if (takes_submission(recorder, len)) {
		job = make_job(len);
	}
	if (job != NULL) {
		memcpy(job->bytes, packet, len);
		job->here = len;
		change_late(&recorder->context->late, 1);
		append_job(recorder, job);
	}
	pthread_mutex_unlock(&recorder->lock);
	return job != NULL;
}

void neep_vk_call_settle(struct neep_vk_call *call) {
	struct neep_vk_recorder *recorder =
		call->stream != NULL ? neep_vk_stream_recorder(call->stream, false) : NULL;
	if (recorder != NULL) {
		neep_vk_recorder_settle(recorder);
	}
	neep_vk_late_settle(&call->context->late);
}

bool neep_vk_recorder_submits(struct neep_vk_call *call) {
	if (call->stream == NULL) {
		return false;
	}
	struct neep_vk_recorder *recorder = neep_vk_stream_recorder(call->stream, false);
	if (recorder != NULL && take_submission(recorder, neep_vk_decoder_of(call)->packet)) {
		return true;
	}
	neep_vk_late_settle(&call->context->late);
	return false;
}
