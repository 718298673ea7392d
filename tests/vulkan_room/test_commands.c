/* A guest's commands on this machine's real Vulkan driver: queues, waits, command buffers, descriptors. */
#include "support/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include "support/await.h"
#include "vulkan/context.h"
#include "vulkan/device.h"
#include "vulkan_room/guest_vulkan.h"

#define FOREVER  UINT64_MAX
#define A_SECOND (UINT64_C(1000000000))

static struct guest guest;
static struct gpu gpu;
static struct ring *ring;

static int set_up(void **state) {
	(void)state;
	guest_start(&guest, &neep_vk_default_limits);
	ring = guest_ring(&guest);
	return !gpu_open(&gpu, ring);
}

static int tear_down(void **state) {
	(void)state;
	guest_stop(&guest);
	return 0;
}

static void assert_filled(const struct memory *memory, uint32_t value) {
	for (uint64_t i = 0; i < memory->size / 4; i++) {
		assert_int_equal(memory->words[i], value);
	}
}

static void recorded_buffer_runs_again_when_it_is_submitted_again(void **state) {
	(void)state;
	struct memory memory;
	memory_create(&gpu, &memory, 65536);
	uint64_t pool = command_pool(&gpu, ring), buffer = command_buffer(&gpu, ring, pool, 0);
	struct submit what = { .command_buffer = buffer, .fence = fence(&gpu, ring) };
	record_fill_only(&gpu, ring, buffer, &memory, 0x12345678);
	for (unsigned i = 0; i < 3; i++) {
		memset(memory.words, 0, memory.size);
		submit(&gpu, ring, &what);
		assert_int_equal(fence_wait(&gpu, ring, what.fence, FOREVER), VK_SUCCESS);
		assert_int_equal(fence_status(&gpu, ring, what.fence), VK_SUCCESS);
		assert_filled(&memory, 0x12345678);
		assert_int_equal(fence_reset(&gpu, ring, what.fence), VK_SUCCESS);
		assert_int_equal(fence_status(&gpu, ring, what.fence), VK_NOT_READY);
	}
	/* Recording anew is an implicit reset. */
	record_fill_only(&gpu, ring, buffer, &memory, 7);
	submit(&gpu, ring, &what);
	assert_int_equal(fence_wait(&gpu, ring, what.fence, FOREVER), VK_SUCCESS);
	assert_filled(&memory, 7);
	memory_destroy(&gpu, &memory);
	gpu_close(&gpu);
	assert_int_equal(guest_end_ring(ring), 0);
	assert_int_equal(guest.lost_count, 0);
}

static void secondaries_run_inside_a_primary(void **state) {
	(void)state;
	struct memory first, second;
	memory_create(&gpu, &first, 4096);
	memory_create(&gpu, &second, 4096);
	uint64_t pool = command_pool(&gpu, ring);
	uint64_t primary = command_buffer(&gpu, ring, pool, 0);
	uint64_t secondaries[] = { command_buffer(&gpu, ring, pool, 1), command_buffer(&gpu, ring, pool, 1) };
	for (uint32_t i = 0; i < 2; i++) {
		struct packet payload = record_begin(1);
		record_fill(&payload, i == 0 ? &first : &second, 100 + i);
		record_send(&gpu, ring, &payload, secondaries[i]);
	}
	struct packet payload = record_begin(0);
	command_begin(&payload, OP_CMD_EXECUTE_COMMANDS);
	put_u32(&payload, 2);
	put_bytes(&payload, secondaries, sizeof(secondaries));
	command_end(&payload);
	record_send(&gpu, ring, &payload, primary);
	struct submit what = { .command_buffer = primary };
	submit(&gpu, ring, &what);
	struct packet idle = packet_of(OP_QUEUE_WAIT_IDLE, gpu.queue);
	assert_int_equal(call(ring, &idle), VK_SUCCESS);
	assert_filled(&first, 100);
	assert_filled(&second, 101);
	memory_destroy(&gpu, &first);
	memory_destroy(&gpu, &second);
}

static void secondary_without_inheritance_loses_the_context(void **state) {
	(void)state;
	uint64_t pool = command_pool(&gpu, ring), secondary = command_buffer(&gpu, ring, pool, 1);
	struct packet payload = record_begin(0);
	record_send(&gpu, ring, &payload, secondary);
	assert_true(guest_wait_lost(&guest));
	assert_non_null(strstr(guest.reason, "vkBeginCommandBufferAsyncGOOGLE"));
}

static void wait_times_out_when_nothing_was_submitted(void **state) {
	(void)state;
	uint64_t one = fence(&gpu, ring);
	assert_int_equal(fence_wait(&gpu, ring, one, 0), VK_TIMEOUT);
	int64_t start = neep_clock_ns();
	assert_int_equal(fence_wait(&gpu, ring, one, 250 * NEEP_NS_PER_MS), VK_TIMEOUT);
	int64_t took = neep_clock_ns() - start;
	assert_true(took >= 250 * NEEP_NS_PER_MS && took < AWAIT_NS);
}

static void wait_ends_when_another_ring_submits_later(void **state) {
	(void)state;
	struct ring *other = guest_ring(&guest);
	struct submit what = { .fence = fence(&gpu, ring) };
	struct packet packet = packet_of(OP_WAIT_FOR_FENCES, gpu.device);
	put_u32(&packet, 1);
	put_u64(&packet, what.fence);
	put_u32(&packet, 1);
	put_u64(&packet, FOREVER);
	packet_send(ring, &packet);
	usleep(20000);
	assert_int_equal(guest_readable(ring), 0);
	submit(&gpu, other, &what);
	assert_int_equal(get_result(ring), VK_SUCCESS);
}

static void *wait_fence(void *fence_id) {
	neep_vk_wait_fence(guest.context, gpu.device, *(uint64_t *)fence_id);
	return NULL;
}

static void wait_fence_ends_when_the_fence_is_signalled(void **state) {
	(void)state;
	struct submit what = { .fence = fence(&gpu, ring) };
	uint64_t binary = semaphore(&gpu, ring, false);
	neep_vk_wait_fence(guest.context, gpu.device, binary);
	neep_vk_wait_fence(guest.context, gpu.instance, what.fence);
	pthread_t thread;
	pthread_create(&thread, NULL, wait_fence, &what.fence);
	usleep(10000);
	submit(&gpu, ring, &what);
	pthread_join(thread, NULL);
	assert_int_equal(fence_status(&gpu, ring, what.fence), VK_SUCCESS);
}

static void waits_end_when_the_context_stops(void **state) {
	(void)state;
	struct ring *other = guest_ring(&guest);
	uint64_t one = fence(&gpu, ring), timeline = semaphore(&gpu, ring, true);
	struct packet packet = packet_of(OP_WAIT_FOR_FENCES, gpu.device);
	put_u32(&packet, 1);
	put_u64(&packet, one);
	put_u32(&packet, 0);
	put_u64(&packet, FOREVER);
	packet_send(ring, &packet);
	packet = packet_of(OP_WAIT_SEMAPHORES, gpu.device);
	put_head(&packet, VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO);
	put_u32(&packet, 0);
	put_u32(&packet, 1);
	put_u64(&packet, timeline);
	put_u64(&packet, 1);
	put_u64(&packet, FOREVER);
	packet_send(other, &packet);
	pthread_t thread;
	pthread_create(&thread, NULL, wait_fence, &one);
	usleep(20000);
	int64_t start = neep_clock_ns();
	neep_vk_context_stop(guest.context);
	assert_int_equal(guest_end_ring(ring), 0);
	assert_int_equal(guest_end_ring(other), 0);
	pthread_join(thread, NULL);
	assert_true(neep_clock_ns() - start < AWAIT_NS);
}

static VkResult wait_while_destroyed(struct ring *other, uint64_t one) {
	struct packet packet = packet_of(OP_WAIT_FOR_FENCES, gpu.device);
	put_u32(&packet, 1);
	put_u64(&packet, one);
	put_u32(&packet, 1);
	put_u64(&packet, 200 * NEEP_NS_PER_MS);
	packet_send(ring, &packet);
	struct packet destroy = packet_of2(OP_DESTROY_FENCE, gpu.device, one);
	put_absent(&destroy);
	packet_send(other, &destroy);
	return get_result(ring);
}

static void fence_may_be_destroyed_while_it_is_waited_for(void **state) {
	(void)state;
	struct ring *other = guest_ring(&guest);
	uint64_t one;
	VkResult result;
	int64_t end = await_end_ns();
	/* Two threads: the fence may also be gone before anybody waits. */
	do {
		one = fence(&gpu, ring);
		result = wait_while_destroyed(other, one);
	} while (result == VK_ERROR_UNKNOWN && neep_clock_ns() < end);
	assert_int_equal(result, VK_TIMEOUT);
	assert_int_equal(fence_status(&gpu, ring, one), VK_ERROR_UNKNOWN);
}

static void timeline_is_signalled_and_waited_for(void **state) {
	(void)state;
	struct ring *other = guest_ring(&guest);
	uint64_t timeline = semaphore(&gpu, ring, true);
	assert_int_equal(semaphore_value(&gpu, ring, timeline), 0);
	struct submit what = { .signal = timeline, .signal_value = 5, .is_timeline = true };
	struct packet packet = packet_of(OP_WAIT_SEMAPHORES, gpu.device);
	put_head(&packet, VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO);
	put_u32(&packet, 0);
	put_u32(&packet, 1);
	put_u64(&packet, timeline);
	put_u64(&packet, 5);
	put_u64(&packet, FOREVER);
	packet_send(ring, &packet);
	submit(&gpu, other, &what);
	assert_int_equal(get_result(ring), VK_SUCCESS);
	assert_int_equal(semaphore_value(&gpu, ring, timeline), 5);
	packet = packet_of(OP_SIGNAL_SEMAPHORE, gpu.device);
	put_head(&packet, VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO);
	put_u64(&packet, timeline);
	put_u64(&packet, 9);
	assert_int_equal(call(ring, &packet), VK_SUCCESS);
	assert_int_equal(semaphore_value(&gpu, ring, timeline), 9);
}

/* What the guest sends around a semaphore that went through a sync file. */
static void semaphore_is_signalled_once_when_the_guest_signals_it_again(void **state) {
	(void)state;
	uint64_t binary = semaphore(&gpu, ring, false);
	struct submit signal = { .signal = binary }, wait = { .wait = binary, .fence = fence(&gpu, ring) };
	for (unsigned i = 0; i < 4; i++) {
		if (i % 2 == 0) {
			struct submit work = { .signal = binary, .fence = fence(&gpu, ring) };
			submit(&gpu, ring, &work);
			assert_int_equal(fence_wait(&gpu, ring, work.fence, FOREVER), VK_SUCCESS);
		}
		submit(&gpu, ring, &signal);
		submit(&gpu, ring, &wait);
		assert_int_equal(fence_wait(&gpu, ring, wait.fence, 10 * A_SECOND), VK_SUCCESS);
		assert_int_equal(fence_reset(&gpu, ring, wait.fence), VK_SUCCESS);
	}
}

static void opaque_semaphores_are_refused(void **state) {
	(void)state;
	uint64_t binary = semaphore(&gpu, ring, false);
	struct packet packet = packet_of(OP_GET_SEMAPHORE_FD, gpu.device);
	put_head(&packet, VK_STRUCTURE_TYPE_SEMAPHORE_GET_FD_INFO_KHR);
	put_u64(&packet, binary);
	put_u32(&packet, VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT);
	put_u32(&packet, 0);
	packet_send(ring, &packet);
	get_u32(ring);
	assert_true(get_result(ring) < 0);
	packet = packet_of(OP_IMPORT_SEMAPHORE_FD, gpu.device);
	put_head(&packet, VK_STRUCTURE_TYPE_IMPORT_SEMAPHORE_FD_INFO_KHR);
	put_u64(&packet, binary);
	put_u32(&packet, 0);
	put_u32(&packet, VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT);
	put_u32(&packet, 0);
	assert_true(call(ring, &packet) < 0);
	assert_int_equal(guest_readable(ring), 0);
}

static void ids_of_command_buffers_end_with_their_pool(void **state) {
	(void)state;
	struct memory memory;
	memory_create(&gpu, &memory, 4096);
	uint64_t pool = command_pool(&gpu, ring), other = command_pool(&gpu, ring);
	uint64_t ids[] = { command_buffer(&gpu, ring, pool, 0), command_buffer(&gpu, ring, pool, 0) };
	uint64_t twice[] = { ids[0], ids[0], 0, 12345, ids[1] };
	struct packet packet = packet_of2(OP_FREE_COMMAND_BUFFERS, gpu.device, other);
	put_u32(&packet, 5);
	put_present(&packet);
	put_bytes(&packet, twice, sizeof(twice));
	packet_send(ring, &packet);
	record_fill_only(&gpu, ring, ids[0], &memory, 1);
	packet = packet_of2(OP_FREE_COMMAND_BUFFERS, gpu.device, pool);
	put_u32(&packet, 4);
	put_present(&packet);
	put_bytes(&packet, twice, 4 * sizeof(twice[0]));
	packet_send(ring, &packet);
	packet = packet_of2(OP_FREE_COMMAND_BUFFERS, gpu.device, pool);
	put_u32(&packet, 4);
	put_absent(&packet);
	packet_send(ring, &packet);
	/* Gone: nothing is executed, and nothing is lost. */
	record_fill_only(&gpu, ring, ids[0], &memory, 2);
	record_fill_only(&gpu, ring, ids[1], &memory, 3);
	packet = packet_of2(OP_RESET_COMMAND_POOL, gpu.device, pool);
	put_u32(&packet, 0);
	assert_int_equal(call(ring, &packet), VK_SUCCESS);
	record_fill_only(&gpu, ring, ids[1], &memory, 4);
	packet = packet_of2(OP_DESTROY_COMMAND_POOL, gpu.device, pool);
	put_absent(&packet);
	packet_send(ring, &packet);
	record_fill_only(&gpu, ring, ids[1], &memory, 5);
	memory_destroy(&gpu, &memory);
	assert_int_equal(guest.lost_count, 0);
}

static void private_data_is_that_of_the_guests_object(void **state) {
	(void)state;
	struct packet packet = packet_of(OP_CREATE_PRIVATE_DATA_SLOT, gpu.device);
	put_head(&packet, VK_STRUCTURE_TYPE_PRIVATE_DATA_SLOT_CREATE_INFO);
	put_u32(&packet, 0);
	put_absent(&packet);
	put_u64(&packet, 0);
	uint64_t slot = create(ring, &packet, NULL), one = fence(&gpu, ring);
	static const uint32_t types[] = { VK_OBJECT_TYPE_FENCE, VK_OBJECT_TYPE_BUFFER, 0x7fffffff };
	for (unsigned i = 0; i < 3; i++) {
		packet = packet_of(OP_SET_PRIVATE_DATA, gpu.device);
		put_u32(&packet, types[i]);
		put_u64(&packet, one);
		put_u64(&packet, slot);
		put_u64(&packet, 0x1122334455667788);
		assert_int_equal(call(ring, &packet) == VK_SUCCESS, i == 0);
	}
	packet = packet_of(OP_GET_PRIVATE_DATA, gpu.device);
	put_u32(&packet, VK_OBJECT_TYPE_FENCE);
	put_u64(&packet, one);
	put_u64(&packet, slot);
	put_u64(&packet, 0);
	packet_send(ring, &packet);
	assert_int_equal(get_u64(ring), 0x1122334455667788);
}

static uint64_t create_query_pool(uint32_t count) {
	struct packet packet = packet_of(OP_CREATE_QUERY_POOL, gpu.device);
	put_head(&packet, VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO);
	put_u32(&packet, 0);
	put_u32(&packet, VK_QUERY_TYPE_OCCLUSION);
	put_u32(&packet, count);
	put_u32(&packet, 0);
	put_absent(&packet);
	put_u64(&packet, 0);
	return create(ring, &packet, NULL);
}

/* Asks for two results in `count` words of 64 bits, with a stride of `stride`. */
static void ask_results(
	struct ring *on, uint64_t pool, uint64_t words[], uint32_t count, uint64_t stride, uint32_t flags) {
	struct packet packet = packet_of2(OP_GET_QUERY_POOL_RESULTS, gpu.device, pool);
	put_u32(&packet, 0);
	put_u32(&packet, 2);
	put_be64(&packet, count * sizeof(*words));
	put_bytes(&packet, words, count * sizeof(*words));
	put_u64(&packet, stride);
	put_u32(&packet, VK_QUERY_RESULT_64_BIT | flags);
	packet_send(on, &packet);
}

static void put_query(struct packet *payload, uint32_t opcode, uint64_t pool, uint32_t query) {
	command_begin(payload, opcode);
	put_u64(payload, pool);
	put_u32(payload, query);
	if (opcode != OP_CMD_END_QUERY) {
		put_u32(payload, opcode == OP_CMD_RESET_QUERY_POOL ? 2 : 0);
	}
	command_end(payload);
}

static void run_queries(struct ring *on, uint64_t pool) {
	uint64_t buffer = command_buffer(&gpu, on, command_pool(&gpu, on), 0);
	struct packet payload = record_begin(0);
	put_query(&payload, OP_CMD_RESET_QUERY_POOL, pool, 0);
	for (uint32_t query = 0; query < 2; query++) {
		put_query(&payload, OP_CMD_BEGIN_QUERY, pool, query);
		put_query(&payload, OP_CMD_END_QUERY, pool, query);
	}
	record_send(&gpu, on, &payload, buffer);
	struct submit what = { .command_buffer = buffer };
	submit(&gpu, on, &what);
}

static void query_results_are_waited_for_and_bounded(void **state) {
	(void)state;
	struct ring *other = guest_ring(&guest);
	uint64_t pool = create_query_pool(2), words[3] = { 7, 7, 7 };
	ask_results(ring, pool, words, 3, 8, 0);
	assert_true(guest_read(ring, words, sizeof(words)));
	assert_int_equal(get_result(ring), VK_NOT_READY);
	assert_int_equal(words[2], 7);
	ask_results(ring, pool, words, 3, 8, VK_QUERY_RESULT_WAIT_BIT);
	usleep(10000);
	assert_int_equal(guest_readable(ring), 0);
	run_queries(other, pool);
	assert_true(guest_read(ring, words, sizeof(words)));
	assert_int_equal(get_result(ring), VK_SUCCESS);
	assert_true(words[0] == 0 && words[1] == 0 && words[2] == 7);
	/* The driver writes more than the guest has room for. */
	words[0] = 9;
	ask_results(ring, pool, words, 1, 4096, 0);
	assert_int_equal(get_u64(ring), 0);
	assert_int_equal(get_result(ring), VK_SUCCESS);
	assert_int_equal(guest_readable(ring), 0);
}

static void context_is_lost_when_the_stride_of_results_cannot_be(void **state) {
	(void)state;
	uint64_t word = 0;
	ask_results(ring, create_query_pool(2), &word, 1, UINT64_MAX / 2, 0);
	assert_true(guest_wait_lost(&guest));
	assert_non_null(strstr(guest.reason, "vkGetQueryPoolResults"));
}

static void wait_for_results_ends_when_the_context_stops(void **state) {
	(void)state;
	uint64_t words[2] = { 0 };
	ask_results(ring, create_query_pool(2), words, 2, 8, VK_QUERY_RESULT_WAIT_BIT);
	usleep(10000);
	neep_vk_context_stop(guest.context);
	assert_int_equal(guest_end_ring(ring), 0);
}

/* A legal program does not: the device goes with the last who waits for something of it. */
static void device_may_be_destroyed_while_results_are_waited_for(void **state) {
	(void)state;
	struct ring *other = guest_ring(&guest);
	uint64_t words[2] = { 0 };
	ask_results(other, create_query_pool(2), words, 2, 8, VK_QUERY_RESULT_WAIT_BIT);
	gpu_close(&gpu);
	struct packet nothing = packet_of(OP_DEVICE_WAIT_IDLE, gpu.device);
	assert_true(call(ring, &nothing) < 0);
	assert_int_equal(neep_vk_table_count(guest.context->table), 0);
	neep_vk_context_stop(guest.context);
	assert_int_equal(guest_end_ring(other), 0);
}

static VkResult VKAPI_CALL refuse_submit(
	VkQueue queue, uint32_t count, const VkSubmitInfo *submits, VkFence signalled) {
	(void)queue;
	(void)count;
	(void)submits;
	(void)signalled;
	return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

/* No driver here fails when it is told to: this one is made to. */
static void device_is_lost_when_a_submission_fails(void **state) {
	(void)state;
	struct ring *other = guest_ring(&guest);
	uint64_t early = fence(&gpu, ring), late = fence(&gpu, ring);
	struct neep_vk_object *device = neep_vk_object_find(guest.context->table, gpu.device, NEEP_VK_DEVICE);
	neep_vk_device_from(device)->vk.QueueSubmit = refuse_submit;
	struct packet wait = packet_of(OP_WAIT_FOR_FENCES, gpu.device);
	put_u32(&wait, 1);
	put_u64(&wait, early);
	put_u32(&wait, 1);
	put_u64(&wait, FOREVER);
	packet_send(other, &wait);
	pthread_t thread;
	pthread_create(&thread, NULL, wait_fence, &early);
	usleep(10000);
	struct submit what = { .fence = late };
	submit(&gpu, ring, &what);
	assert_int_equal(get_result(other), VK_ERROR_DEVICE_LOST);
	pthread_join(thread, NULL);
	assert_int_equal(fence_wait(&gpu, ring, late, FOREVER), VK_ERROR_DEVICE_LOST);
	assert_int_equal(fence_status(&gpu, ring, late), VK_ERROR_DEVICE_LOST);
	struct packet idle = packet_of(OP_QUEUE_WAIT_IDLE, gpu.queue);
	assert_int_equal(call(ring, &idle), VK_ERROR_DEVICE_LOST);
	idle = packet_of(OP_DEVICE_WAIT_IDLE, gpu.device);
	assert_int_equal(call(ring, &idle), VK_ERROR_DEVICE_LOST);
	gpu_close(&gpu);
	assert_int_equal(guest_end_ring(ring), 0);
	assert_int_equal(guest.lost_count, 0);
}

static void context_ends_while_work_is_running(void **state) {
	(void)state;
	struct memory memory;
	memory_create(&gpu, &memory, 32u << 20);
	uint64_t pool = command_pool(&gpu, ring), buffer = command_buffer(&gpu, ring, pool, 0);
	struct packet payload = record_begin(0);
	for (uint32_t i = 0; i < 20; i++) {
		record_fill(&payload, &memory, i);
	}
	record_send(&gpu, ring, &payload, buffer);
	struct submit what = { .command_buffer = buffer };
	submit(&gpu, ring, &what);
	fence(&gpu, ring);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
	static const struct CMUnitTest tests[] = {
		CASE(recorded_buffer_runs_again_when_it_is_submitted_again),
		CASE(secondaries_run_inside_a_primary),
		CASE(secondary_without_inheritance_loses_the_context),
		CASE(wait_times_out_when_nothing_was_submitted),
		CASE(wait_ends_when_another_ring_submits_later),
		CASE(wait_fence_ends_when_the_fence_is_signalled),
		CASE(waits_end_when_the_context_stops),
		CASE(fence_may_be_destroyed_while_it_is_waited_for),
		CASE(timeline_is_signalled_and_waited_for),
		CASE(semaphore_is_signalled_once_when_the_guest_signals_it_again),
		CASE(opaque_semaphores_are_refused),
		CASE(ids_of_command_buffers_end_with_their_pool),
		CASE(private_data_is_that_of_the_guests_object),
		CASE(query_results_are_waited_for_and_bounded),
		CASE(context_is_lost_when_the_stride_of_results_cannot_be),
		CASE(wait_for_results_ends_when_the_context_stops),
		CASE(device_may_be_destroyed_while_results_are_waited_for),
		CASE(device_is_lost_when_a_submission_fails),
		CASE(context_ends_while_work_is_running),
	};
	if (!host_has_vulkan()) {
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
