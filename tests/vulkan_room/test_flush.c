/* Large command buffers, which are recorded while their commands still come. */
#include "support/cmocka.h"

#include <stdlib.h>
#include <string.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include "support/await.h"
#include "vulkan/context.h"
#include "vulkan/device.h"
#include "vulkan_room/guest_vulkan.h"

#define FILLS 200

static struct guest guest;
static struct gpu gpu;
static struct ring *ring, *other; // other: another thread's
static struct memory memory;
static uint64_t buffer; // a command buffer
static PFN_vkCmdFillBuffer real_fill;
static atomic_uint fills;

static void VKAPI_CALL count_fill(
	VkCommandBuffer commands, VkBuffer target, VkDeviceSize offset, VkDeviceSize size, uint32_t value) {
	atomic_fetch_add(&fills, 1);
	real_fill(commands, target, offset, size, value);
}

static int set_up(void **state) {
	(void)state;
	struct neep_vk_limits limits = neep_vk_default_limits;
	limits.late_bytes = 1;
	guest_start(&guest, &limits);
	ring = guest_ring(&guest);
	other = guest_ring(&guest);
	if (!gpu_open(&gpu, other)) {
		return -1;
	}
	memory_create(&gpu, &memory, 4096);
	buffer = command_buffer(&gpu, other, command_pool(&gpu, other), 0);
	struct neep_vk_object *device = neep_vk_object_find(guest.context->table, gpu.device, NEEP_VK_DEVICE);
	real_fill = neep_vk_device_from(device)->vk.CmdFillBuffer;
	neep_vk_device_from(device)->vk.CmdFillBuffer = count_fill;
	atomic_store(&fills, 0);
	return 0;
}

static int tear_down(void **state) {
	(void)state;
	guest_stop(&guest);
	return 0;
}

/* Fills the memory again and again, the last time with `value`. */
static struct packet long_flush(uint32_t value) {
	struct packet payload = record_begin(0);
	for (uint32_t i = FILLS; i > 0; i--) {
		record_fill(&payload, &memory, value + i - 1);
	}
	return record_end(&gpu, &payload, buffer);
}

/* Sends the first half of it when it is its turn. Returns how much that is. */
static size_t send_half(struct packet *packet) {
	uint32_t seqno = packet_seqno(ring);
	packet_seal(packet, seqno);
	await_true(atomic_load(&guest.context->sequence.ended) == seqno - 1);
	guest_write(ring, packet->buf, packet->len / 2);
	return packet->len / 2;
}

static void send_rest(struct packet *packet, size_t sent) {
	guest_write(ring, packet->buf + sent, packet->len - sent);
	free(packet->buf);
}

static void submit_and_check(struct ring *on, uint32_t value) {
	struct submit what = { .command_buffer = buffer, .fence = fence(&gpu, on) };
	submit(&gpu, on, &what);
	assert_int_equal(fence_wait(&gpu, on, what.fence, UINT64_MAX), VK_SUCCESS);
	for (uint64_t i = 0; i < memory.size / 4; i++) {
		assert_int_equal(memory.words[i], value);
	}
}

static void commands_are_recorded_before_the_last_ones_have_come(void **state) {
	(void)state;
	struct packet packet = long_flush(7);
	size_t half = send_half(&packet);
	await_true(atomic_load(&fills) > FILLS / 2 - 10);
	/* Packets behind it have their turn. */
	assert_true(fence(&gpu, other) != 0);
	assert_true(atomic_load(&fills) < FILLS / 2 + 10);
	send_rest(&packet, half);
	submit_and_check(ring, 7);
	assert_int_equal(atomic_load(&fills), FILLS);
}

static void submission_of_another_ring_waits_for_the_last_ones(void **state) {
	(void)state;
	struct packet packet = long_flush(8);
	size_t half = send_half(&packet);
	await_true(atomic_load(&fills) > FILLS / 2 - 10);
	struct submit what = { .command_buffer = buffer, .fence = fence(&gpu, other) };
	submit(&gpu, other, &what);
	send_rest(&packet, half);
	assert_int_equal(fence_wait(&gpu, other, what.fence, UINT64_MAX), VK_SUCCESS);
	assert_int_equal(memory.words[0], 8);
}

static void flush_may_come_in_chunks_of_any_size(void **state) {
	(void)state;
	for (size_t chunk = 1; chunk < 100; chunk += 11) {
		struct ring *bare = guest_bare_ring(&guest, chunk);
		guest_write(bare, "\0\0\0", 4);
		struct packet packet = long_flush((uint32_t)chunk);
		packet_send(bare, &packet);
		submit_and_check(bare, (uint32_t)chunk);
		assert_int_equal(guest_end_ring(bare), 0);
	}
	assert_int_equal(guest.lost_count, 0);
}

static void flush_waits_for_its_turn(void **state) {
	(void)state;
	uint32_t first = packet_seqno(ring), second = packet_seqno(ring);
	struct packet packet = long_flush(9), idle = packet_of(OP_QUEUE_WAIT_IDLE, gpu.queue);
	packet_send_as(ring, &packet, second);
	packet_send_as(other, &idle, first);
	assert_int_equal(get_result(other), VK_SUCCESS);
	submit_and_check(ring, 9);
}

/* The guest may be unable to go on elsewhere until its ring is empty. The number is in the second chunk. */
static void flush_is_read_before_its_turn(void **state) {
	(void)state;
	struct ring *bare = guest_bare_ring(&guest, 8);
	guest_write(bare, "\0\0\0", 4);
	/* Whose bytes are still where those of the flush will be. */
	for (int i = 0; i < 2; i++) {
		assert_true(fence(&gpu, bare) != 0);
	}
	uint32_t first = packet_seqno(ring), second = packet_seqno(ring);
	struct packet packet = long_flush(10), idle = packet_of(OP_QUEUE_WAIT_IDLE, gpu.queue);
	packet_send_as(bare, &packet, second);
	await_true(guest_unread(bare) == 0);
	packet_send_as(other, &idle, first);
	assert_int_equal(get_result(other), VK_SUCCESS);
	submit_and_check(bare, 10);
}

static void ring_may_end_in_the_middle_of_a_flush(void **state) {
	(void)state;
	struct packet packet = long_flush(1);
	send_half(&packet);
	free(packet.buf);
	await_true(atomic_load(&fills) > 0);
	assert_int_equal(guest_end_ring(ring), 0);
	assert_int_equal(guest.lost_count, 0);
	/* The buffer is nobody's any more. */
	struct packet again = long_flush(2);
	packet_send(other, &again);
	submit_and_check(other, 2);
}

static void wrong_command_loses_the_context_before_the_rest_has_come(void **state) {
	(void)state;
	struct packet payload = record_begin(0);
	record_fill(&payload, &memory, 1);
	put_u32(&payload, OP_CMD_FILL_BUFFER);
	put_u32(&payload, 4);
	for (uint32_t i = 0; i < FILLS; i++) {
		record_fill(&payload, &memory, 1);
	}
	struct packet packet = record_end(&gpu, &payload, buffer);
	size_t half = send_half(&packet);
	assert_true(guest_wait_lost(&guest));
	assert_non_null(strstr(guest.reason, "a command of 4 bytes"));
	/* What comes after all is nobody's. */
	send_rest(&packet, half);
	assert_true(guest_end_ring(ring) < 0);
}

static void last_command_must_be_whole(void **state) {
	(void)state;
	struct packet payload = record_begin(0);
	record_fill(&payload, &memory, 1);
	put_u32(&payload, OP_CMD_FILL_BUFFER);
	put_u32(&payload, 1000);
	struct packet packet = record_end(&gpu, &payload, buffer);
	packet_send(ring, &packet);
	assert_true(guest_wait_lost(&guest));
	assert_non_null(strstr(guest.reason, "a command of 1000 bytes"));
}

/* The length in the payload's place, and how long it is. */
#define SIZE_AT 28

static void set_size(struct packet *packet, uint64_t size) {
	memcpy(packet->buf + SIZE_AT, &size, sizeof(size));
}

static void flush_that_promises_too_much_loses_the_context(void **state) {
	(void)state;
	struct packet packet = long_flush(1);
	set_size(&packet, packet.len);
	packet_send(ring, &packet);
	assert_true(guest_wait_lost(&guest));
	assert_non_null(strstr(guest.reason, "vkQueueFlushCommandsGOOGLE"));
	assert_int_equal(atomic_load(&fills), 0);
}

static void surplus_behind_the_commands_is_left_alone(void **state) {
	(void)state;
	struct packet packet = long_flush(3);
	put_u64(&packet, UINT64_MAX);
	packet_send(ring, &packet);
	submit_and_check(ring, 3);
}

static void flush_of_what_is_no_command_buffer_is_refused(void **state) {
	(void)state;
	uint64_t id = buffer;
	buffer = memory.buffer;
	struct packet packet = long_flush(4);
	buffer = id;
	packet_send(ring, &packet);
	struct packet good = long_flush(5);
	packet_send(ring, &good);
	submit_and_check(ring, 5);
	assert_int_equal(atomic_load(&fills), FILLS);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
	static const struct CMUnitTest tests[] = {
		CASE(commands_are_recorded_before_the_last_ones_have_come),
		CASE(submission_of_another_ring_waits_for_the_last_ones),
		CASE(flush_may_come_in_chunks_of_any_size),
		CASE(flush_waits_for_its_turn),
		CASE(flush_is_read_before_its_turn),
		CASE(ring_may_end_in_the_middle_of_a_flush),
		CASE(wrong_command_loses_the_context_before_the_rest_has_come),
		CASE(last_command_must_be_whole),
		CASE(flush_that_promises_too_much_loses_the_context),
		CASE(surplus_behind_the_commands_is_left_alone),
		CASE(flush_of_what_is_no_command_buffer_is_refused),
	};
	if (!host_has_vulkan()) {
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
