/* Several threads of a guest, each with its ring: what they record, submit and wait for stays theirs. */
#include "support/cmocka.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include "support/await.h"
#include "vulkan/context.h"
#include "vulkan/device.h"
#include "vulkan_room/guest_vulkan.h"

#define THREADS 4
#define ROUNDS  60

static struct guest guest;
static struct gpu gpu;
static struct ring *ring;

struct worker {
	pthread_t thread;
	struct ring *ring;
	uint64_t pool;
	uint64_t command_buffer;
	struct memory memory;
	uint32_t first; // value
	unsigned wrong; // words
};

static struct worker workers[THREADS];

/* *state: how large a command buffer is recorded by a thread of its ring. */
static int set_up(void **state) {
	struct neep_vk_limits limits = neep_vk_default_limits;
	limits.late_bytes = *(const uint32_t *)*state;
	guest_start(&guest, &limits);
	ring = guest_ring(&guest);
	if (!gpu_open(&gpu, ring)) {
		return -1;
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .ring = guest_ring(&guest), .first = i << 16 };
		memory_create(&gpu, &workers[i].memory, 16384);
	}
	return 0;
}

static int tear_down(void **state) {
	(void)state;
	guest_stop(&guest);
	return 0;
}

static void run(void *(*work)(void *)) {
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].wrong, 0);
	}
	assert_int_equal(guest.lost_count, 0);
}

static void count_wrong(struct worker *worker, uint32_t value) {
	for (uint64_t i = 0; i < worker->memory.size / 4; i++) {
		worker->wrong += worker->memory.words[i] != value;
	}
}

/* Records many commands, of which the last one decides. */
static void record_long(struct worker *worker, uint64_t command_buffer, uint32_t value) {
	struct packet payload = record_begin(0);
	for (uint32_t i = 50; i > 0; i--) {
		record_fill(&payload, &worker->memory, value + i);
	}
	record_fill(&payload, &worker->memory, value);
	record_send(&gpu, worker->ring, &payload, command_buffer);
}

static void *record_submit_wait(void *arg) {
	struct worker *worker = arg;
	struct submit what = { .command_buffer = worker->command_buffer, .fence = fence(&gpu, worker->ring) };
	for (uint32_t i = 0; i < ROUNDS; i++) {
		record_long(worker, worker->command_buffer, worker->first + i);
		submit(&gpu, worker->ring, &what);
		worker->wrong += fence_wait(&gpu, worker->ring, what.fence, UINT64_MAX) != VK_SUCCESS;
		count_wrong(worker, worker->first + i);
		worker->wrong += fence_reset(&gpu, worker->ring, what.fence) != VK_SUCCESS;
	}
	return NULL;
}

static void threads_record_and_submit_with_pools_of_their_own(void **state) {
	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		uint64_t pool = command_pool(&gpu, ring);
		workers[i].command_buffer = command_buffer(&gpu, ring, pool, 0);
	}
	run(record_submit_wait);
}

/* A program may submit buffers of one pool from many threads: the guest records them then. */
static void threads_submit_buffers_of_one_pool(void **state) {
	(void)state;
	uint64_t pool = command_pool(&gpu, ring);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i].command_buffer = command_buffer(&gpu, ring, pool, 0);
	}
	run(record_submit_wait);
}

static void *make_and_destroy(void *arg) {
	struct worker *worker = arg;
	struct submit what = { .fence = fence(&gpu, worker->ring) };
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t pool = command_pool(&gpu, worker->ring);
		what.command_buffer = command_buffer(&gpu, worker->ring, pool, 0);
		record_long(worker, what.command_buffer, worker->first + i);
		submit(&gpu, worker->ring, &what);
		worker->wrong += fence_wait(&gpu, worker->ring, what.fence, UINT64_MAX) != VK_SUCCESS;
		count_wrong(worker, worker->first + i);
		worker->wrong += fence_reset(&gpu, worker->ring, what.fence) != VK_SUCCESS;
		struct packet destroy = packet_of2(OP_DESTROY_COMMAND_POOL, gpu.device, pool);
		put_absent(&destroy);
		packet_send(worker->ring, &destroy);
	}
	return NULL;
}

static void threads_make_and_destroy_while_others_record(void **state) {
	(void)state;
	run(make_and_destroy);
}

static void *wait_idle(void *arg) {
	struct worker *worker = arg;
	struct submit what = { .command_buffer = worker->command_buffer };
	for (uint32_t i = 0; i < ROUNDS; i++) {
		record_long(worker, worker->command_buffer, worker->first + i);
		submit(&gpu, worker->ring, &what);
		struct packet idle = i % 2 == 0 ? packet_of(OP_QUEUE_WAIT_IDLE, gpu.queue)
						: packet_of(OP_DEVICE_WAIT_IDLE, gpu.device);
		worker->wrong += call(worker->ring, &idle) != VK_SUCCESS;
		count_wrong(worker, worker->first + i);
	}
	return NULL;
}

static void threads_wait_for_an_idle_queue(void **state) {
	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i].pool = command_pool(&gpu, ring);
		workers[i].command_buffer = command_buffer(&gpu, ring, workers[i].pool, 0);
	}
	run(wait_idle);
}

/* One thread has recorded a buffer, another submits it at once. */
static void submission_waits_for_the_recording_of_another_ring(void **state) {
	(void)state;
	struct worker *worker = &workers[0];
	uint64_t pool = command_pool(&gpu, ring);
	struct submit what = { .command_buffer = command_buffer(&gpu, ring, pool, 0),
		.fence = fence(&gpu, ring) };
	for (uint32_t i = 0; i < ROUNDS; i++) {
		record_long(worker, what.command_buffer, i);
		submit(&gpu, workers[1].ring, &what);
		assert_int_equal(fence_wait(&gpu, ring, what.fence, UINT64_MAX), VK_SUCCESS);
		count_wrong(worker, i);
		assert_int_equal(fence_reset(&gpu, ring, what.fence), VK_SUCCESS);
	}
	assert_int_equal(worker->wrong, 0);
}

/* A legal program does none of this; it must not reach the driver. */
static void *destroy_others(void *arg) {
	struct worker *worker = arg;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t id = workers[i % THREADS].command_buffer;
		struct packet packet =
			packet_of2(OP_FREE_COMMAND_BUFFERS, gpu.device, workers[i % THREADS].pool);
		put_u32(&packet, 1);
		put_present(&packet);
		put_u64(&packet, id);
		if (i % 7 == 3) {
			packet_send(worker->ring, &packet);
		} else {
			free(packet.buf);
			record_long(worker, id, i);
		}
	}
	fence(&gpu, worker->ring);
	return NULL;
}

static void buffers_may_be_freed_while_they_are_recorded(void **state) {
	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i].pool = command_pool(&gpu, ring);
		workers[i].command_buffer = command_buffer(&gpu, ring, workers[i].pool, 0);
	}
	run(destroy_others);
}

static void *look_for_end(void *arg) {
	struct worker *worker = arg;
	for (;;) {
		struct packet packet = packet_of(OP_DEVICE_WAIT_IDLE, gpu.device);
		if (call(worker->ring, &packet) == INT32_MIN) {
			return NULL;
		}
	}
}

static void threads_end_when_the_context_is_lost(void **state) {
	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_create(&workers[i].thread, NULL, look_for_end, &workers[i]);
	}
	struct packet wrong = packet_begin(OP_QUEUE_WAIT_IDLE);
	packet_send(ring, &wrong);
	assert_true(guest_wait_lost(&guest));
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_true(guest_end_ring(workers[i].ring) < 0);
	}
	assert_int_equal(guest.lost_count, 1);
}

/* The next frame's calls are answered meanwhile. */
static void fences_are_reset_while_a_large_buffer_is_recorded(void **state) {
	(void)state;
	struct worker *worker = &workers[0];
	struct submit what = { .command_buffer = command_buffer(&gpu, ring, command_pool(&gpu, ring), 0),
		.fence = fence(&gpu, ring) };
	uint64_t other = fence(&gpu, ring);
	bool was_recording = false;
	for (uint32_t i = 0; i < 100 && !was_recording; i++) {
		struct packet payload = record_begin(0);
		for (uint32_t k = 0; k <= 50000; k++) {
			record_fill(&payload, &worker->memory, i + 50000 - k);
		}
		record_send(&gpu, ring, &payload, what.command_buffer);
		submit(&gpu, ring, &what);
		assert_int_equal(fence_reset(&gpu, ring, other), VK_SUCCESS);
		was_recording = atomic_load(&guest.context->late.count) > 0;
		assert_int_equal(fence_wait(&gpu, ring, what.fence, UINT64_MAX), VK_SUCCESS);
		count_wrong(worker, i);
		assert_int_equal(fence_reset(&gpu, ring, what.fence), VK_SUCCESS);
	}
	assert_true(was_recording);
	assert_int_equal(worker->wrong, 0);
}

/* Whoever has it keeps what is recorded from going on. */
static pthread_mutex_t *lock_of(uint64_t pool) {
	struct neep_vk_object *object = neep_vk_object_find(guest.context->table, pool, NEEP_VK_COMMAND_POOL);
	return &neep_container_of(object, struct neep_vk_command_pool, base)->lock;
}

static void *create_memory(void *arg) {
	memory_create(&gpu, arg, 1 << 20);
	return NULL;
}

/* What records may see what is destroyed meanwhile, which lives on for so long. */
static void freed_memory_can_be_had_again_while_another_ring_records(void **state) {
	(void)state;
	struct worker *worker = &workers[0];
	struct memory first, second;
	pthread_t thread;
	uint64_t pool = command_pool(&gpu, ring), buffer = command_buffer(&gpu, ring, pool, 0);
	memory_create(&gpu, &first, 1 << 20);
	guest.context->limits.memory_bytes = atomic_load(&guest.context->memory_bytes);
	pthread_mutex_t *lock = lock_of(pool);
	pthread_mutex_lock(lock);
	record_long(worker, buffer, 1);
	memory_destroy(&gpu, &first);
	/* Its second packet allocates. */
	uint32_t allocation = atomic_load(&guest.seqno) + 2;
	pthread_create(&thread, NULL, create_memory, &second);
	await_true(atomic_load(&guest.context->sequence.begun) == allocation);
	usleep(10000);
	pthread_mutex_unlock(lock);
	pthread_join(thread, NULL);
	memory_destroy(&gpu, &second);
}

static PFN_vkQueueSubmit real_submit;
static atomic_uint submissions;

static VkResult VKAPI_CALL count_submit(
	VkQueue queue, uint32_t count, const VkSubmitInfo *submits, VkFence signalled) {
	(void)submits;
	atomic_fetch_add(&submissions, count);
	return count == 0 ? real_submit(queue, 0, NULL, signalled) : VK_SUCCESS;
}

/* What has its turn later is none of its business. A driver is not to be asked for this. */
static void submission_does_not_wait_for_a_recording_behind_it(void **state) {
	(void)state;
	struct worker *worker = &workers[0];
	struct neep_vk_object *device = neep_vk_object_find(guest.context->table, gpu.device, NEEP_VK_DEVICE);
	uint64_t pool = command_pool(&gpu, ring), early = fence(&gpu, ring);
	struct submit what = { .command_buffer = command_buffer(&gpu, ring, pool, 0) };
	pthread_mutex_t *lock = lock_of(pool);
	real_submit = neep_vk_device_from(device)->vk.QueueSubmit;
	neep_vk_device_from(device)->vk.QueueSubmit = count_submit;
	atomic_store(&submissions, 0);
	pthread_mutex_lock(lock);
	record_long(worker, what.command_buffer, 1);
	submit(&gpu, worker->ring, &what);
	record_long(worker, what.command_buffer, 2);
	assert_int_equal(fence_status(&gpu, worker->ring, early), VK_NOT_READY);
	assert_int_equal(atomic_load(&guest.context->late.count), 1);
	pthread_mutex_unlock(lock);
	await_true(atomic_load(&submissions) == 1);
	struct packet idle = packet_of(OP_QUEUE_WAIT_IDLE, gpu.queue);
	assert_int_equal(call(ring, &idle), VK_SUCCESS);
	neep_vk_device_from(device)->vk.QueueSubmit = real_submit;
}

/* A submission with as many bytes behind it as it likes. */
static uint32_t submit_nothing(struct ring *on, size_t surplus) {
	struct packet packet = packet_of(OP_QUEUE_SUBMIT, gpu.queue);
	uint8_t *bytes = calloc(1, surplus);
	put_u32(&packet, 0);
	put_u64(&packet, 0);
	put_bytes(&packet, bytes, surplus);
	free(bytes);
	packet_send(on, &packet);
	return atomic_load(&guest.seqno);
}

static void submissions_wait_in_their_ring_when_too_many_bytes_are_late(void **state) {
	(void)state;
	struct worker *worker = &workers[0];
	uint64_t pool = command_pool(&gpu, ring), buffer = command_buffer(&gpu, ring, pool, 0);
	pthread_mutex_t *lock = lock_of(pool);
	pthread_mutex_lock(lock);
	record_long(worker, buffer, 1);
	submit_nothing(worker->ring, 20u << 20);
	uint32_t last = submit_nothing(worker->ring, 20u << 20);
	await_true(atomic_load(&guest.context->sequence.begun) == last);
	/* One that is taken after all is taken soon. */
	usleep(200000);
	unsigned late_count = atomic_load(&guest.context->late.count);
	pthread_mutex_unlock(lock);
	assert_int_equal(late_count, 1);
	await_true(atomic_load(&guest.context->sequence.ended) == last);
}

/* Only the first of two recordings is large. */
static void buffer_is_as_it_was_recorded_last(void **state) {
	(void)state;
	struct worker *worker = &workers[0];
	struct submit what = { .command_buffer = command_buffer(&gpu, ring, command_pool(&gpu, ring), 0),
		.fence = fence(&gpu, ring) };
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct packet payload = record_begin(0);
		for (uint32_t k = 0; k < 2000; k++) {
			record_fill(&payload, &worker->memory, i + 1000);
		}
		record_send(&gpu, ring, &payload, what.command_buffer);
		record_fill_only(&gpu, ring, what.command_buffer, &worker->memory, i);
		submit(&gpu, ring, &what);
		assert_int_equal(fence_wait(&gpu, ring, what.fence, UINT64_MAX), VK_SUCCESS);
		count_wrong(worker, i);
		assert_int_equal(fence_reset(&gpu, ring, what.fence), VK_SUCCESS);
	}
	assert_int_equal(worker->wrong, 0);
}

static void wrong_commands_lose_the_context(void **state) {
	(void)state;
	struct worker *worker = &workers[0];
	uint64_t buffer = command_buffer(&gpu, ring, command_pool(&gpu, ring), 0);
	struct submit what = { .command_buffer = buffer };
	struct packet payload = record_begin(0);
	record_fill(&payload, &worker->memory, 1);
	put_u32(&payload, 4);
	put_u32(&payload, 4);
	record_send(&gpu, ring, &payload, buffer);
	submit(&gpu, ring, &what);
	assert_true(guest_wait_lost(&guest));
	assert_non_null(strstr(guest.reason, "a command of 4 bytes"));
	assert_true(guest_end_ring(ring) < 0);
}

static uint32_t at_once = UINT32_MAX;
static uint32_t late = 1;
static uint32_t large = 4096;
#define CASE(name) \
	{ #name, name, set_up, tear_down, &at_once }
#define LATE_CASE(name) \
	{ "late_" #name, name, set_up, tear_down, &late }
#define LARGE_CASE(name) \
	{ "large_" #name, name, set_up, tear_down, &large }

int main(void) {
	static const struct CMUnitTest tests[] = {
		CASE(threads_record_and_submit_with_pools_of_their_own),
		CASE(threads_submit_buffers_of_one_pool),
		CASE(threads_make_and_destroy_while_others_record),
		CASE(threads_wait_for_an_idle_queue),
		CASE(submission_waits_for_the_recording_of_another_ring),
		CASE(buffers_may_be_freed_while_they_are_recorded),
		CASE(threads_end_when_the_context_is_lost),
		CASE(wrong_commands_lose_the_context),
		CASE(freed_memory_can_be_had_again_while_another_ring_records),
		LATE_CASE(freed_memory_can_be_had_again_while_another_ring_records),
		LATE_CASE(threads_record_and_submit_with_pools_of_their_own),
		LATE_CASE(threads_submit_buffers_of_one_pool),
		LATE_CASE(threads_make_and_destroy_while_others_record),
		LATE_CASE(threads_wait_for_an_idle_queue),
		LATE_CASE(submission_waits_for_the_recording_of_another_ring),
		LATE_CASE(buffers_may_be_freed_while_they_are_recorded),
		LATE_CASE(threads_end_when_the_context_is_lost),
		LATE_CASE(fences_are_reset_while_a_large_buffer_is_recorded),
		LATE_CASE(submission_does_not_wait_for_a_recording_behind_it),
		LATE_CASE(submissions_wait_in_their_ring_when_too_many_bytes_are_late),
		LATE_CASE(wrong_commands_lose_the_context),
		LARGE_CASE(buffer_is_as_it_was_recorded_last),
	};
	return host_has_vulkan() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
