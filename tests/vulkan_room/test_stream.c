/* A ring's bytes: how they are cut into packets, and what loses the context. Needs no driver. */
#include "support/cmocka.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vulkan_room/guest.h"

enum {
	OP_ENUMERATE_LAYERS = 20015,
	OP_CREATE_INSTANCE = 20000,
	OP_ENUMERATE_PHYSICAL_DEVICES = 20002,
	OP_GET_QUEUE_FAMILIES = 20007,
	OP_GET_FENCE_STATUS = 20038,
	OP_CMD_DRAW = 20106,
	OP_BEGIN_COMMAND_BUFFER = 20321,
	OP_END_COMMAND_BUFFER = 20322,
	OP_TRACE_ASYNC = 286553566,
};

#define DEVICE_LOST (-4)

static struct guest guest;

static int set_up(void **state) {
	(void)state;
	guest_start(&guest, &neep_vk_default_limits);
	return 0;
}

static int tear_down(void **state) {
	(void)state;
	guest_stop(&guest);
	return 0;
}

/* A command with a reply of 24 bytes, and one without a reply. */
static struct packet layers(void) {
	struct packet packet = packet_begin(OP_ENUMERATE_LAYERS);
	put_present(&packet);
	put_u32(&packet, 0);
	put_absent(&packet);
	return packet;
}

static struct packet trace(void) {
	struct packet packet = packet_begin(OP_TRACE_ASYNC);
	put_u64(&packet, 42);
	return packet;
}

static void assert_layers_reply(struct ring *ring) {
	assert_true(get_u64(ring) != 0);
	assert_int_equal(get_u32(ring), 0);
	assert_true(get_u64(ring) == 0);
	assert_int_equal(get_result(ring), 0);
	assert_int_equal(guest_readable(ring), 0);
}

static void assert_lost(const char *reason) {
	assert_true(guest_wait_lost(&guest));
	if (strstr(guest.reason, reason) == NULL) {
		fail_msg("the reason is: %s", guest.reason);
	}
}

static void packets_are_executed_when_bytes_come_in_chunks_of_any_size(void **state) {
	(void)state;
	for (size_t chunk = 1; chunk < 80; chunk++) {
		struct guest small;
		guest_start(&small, &neep_vk_default_limits);
		struct ring *ring = guest_bare_ring(&small, chunk);
		guest_write(ring, "\0\0\0", 4);
		for (unsigned i = 0; i < 5; i++) {
			struct packet first = trace(), second = layers();
			packet_send(ring, &first);
			packet_send(ring, &second);
			assert_layers_reply(ring);
		}
		assert_int_equal(guest_end_ring(ring), 0);
		assert_int_equal(small.lost_count, 0);
		guest_stop(&small);
	}
}

static void packet_is_executed_when_it_is_longer_than_the_buffer(void **state) {
	(void)state;
	struct ring *ring = guest_ring(&guest);
	for (size_t size = 1; size < 5u << 20; size = size * 3 + 1) {
		struct packet packet = trace(), next = layers();
		uint8_t *surplus = calloc(1, size);
		put_bytes(&packet, surplus, size);
		packet_send(ring, &packet);
		packet_send(ring, &next);
		free(surplus);
		assert_layers_reply(ring);
	}
	assert_int_equal(guest_end_ring(ring), 0);
}

static void rings_take_turns_by_sequence_number(void **state) {
	(void)state;
	struct ring *a = guest_ring(&guest), *b = guest_ring(&guest);
	for (uint32_t seqno = 1; seqno < 200; seqno += 2) {
		struct packet late = layers(), early = layers();
		packet_send_as(a, &late, seqno + 1);
		if (seqno % 10 == 1) {
			usleep(300);
			assert_int_equal(guest_readable(a), 0);
		}
		packet_send_as(b, &early, seqno);
		assert_layers_reply(b);
		assert_layers_reply(a);
	}
}

static void stream_ends_quietly_when_a_packet_is_cut_off(void **state) {
	(void)state;
	struct packet whole = layers();
	uint32_t len = (uint32_t)whole.len;
	memcpy(whole.buf + 4, &len, sizeof(len));
	for (size_t cut = 0; cut < whole.len; cut++) {
		struct guest small;
		guest_start(&small, &neep_vk_default_limits);
		struct ring *ring = guest_ring(&small);
		guest_write(ring, whole.buf, cut);
		assert_int_equal(guest_end_ring(ring), 0);
		assert_int_equal(small.lost_count, 0);
		guest_stop(&small);
	}
	free(whole.buf);
}

static void context_is_lost_when_the_length_cannot_be(void **state) {
	(void)state;
	static const uint32_t lens[] = { 0, 1, 8, 11, (256u << 20) + 1, UINT32_MAX };
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct guest small;
		guest_start(&small, &neep_vk_default_limits);
		struct ring *ring = guest_ring(&small), *other = guest_ring(&small);
		uint32_t header[] = { OP_ENUMERATE_LAYERS, lens[i], 1 };
		guest_write(ring, header, sizeof(header));
		assert_true(guest_wait_lost(&small));
		assert_non_null(strstr(small.reason, "offset 4: opcode 20015 with a length of"));
		assert_int_equal(guest_end_ring(ring), -EPROTO);
		struct packet packet = layers();
		packet_send(other, &packet);
		assert_true(guest_end_ring(other) < 0);
		assert_int_equal(small.lost_count, 1);
		guest_stop(&small);
	}
}

static void context_is_lost_when_parameters_are_missing(void **state) {
	(void)state;
	struct ring *ring = guest_ring(&guest);
	struct packet packet = packet_begin(OP_ENUMERATE_LAYERS);
	packet_send(ring, &packet);
	assert_lost("vkEnumerateInstanceLayerProperties");
	assert_int_equal(guest_end_ring(ring), -EPROTO);
}

static void context_is_lost_when_the_opcode_is_unknown(void **state) {
	(void)state;
	struct ring *ring = guest_ring(&guest);
	struct packet packet = packet_begin(12345);
	packet_send_as(ring, &packet, 77);
	assert_lost("opcode 12345 is not known");
}

static void context_is_lost_when_a_recorded_command_comes_alone(void **state) {
	(void)state;
	struct ring *ring = guest_ring(&guest);
	struct packet packet = packet_begin(OP_CMD_DRAW);
	put_u64(&packet, 0);
	packet_send_as(ring, &packet, 77);
	assert_lost("vkCmdDraw");
}

static void context_is_lost_when_a_sequence_number_comes_twice(void **state) {
	(void)state;
	struct ring *ring = guest_ring(&guest);
	struct packet packet = layers(), again = layers();
	packet_send_as(ring, &packet, 1);
	assert_layers_reply(ring);
	packet_send_as(ring, &again, 1);
	assert_lost("sequence number");
}

static void streams_end_when_the_context_stops_in_a_hole(void **state) {
	(void)state;
	struct ring *rings[4];
	for (uint32_t i = 0; i < 4; i++) {
		struct packet packet = layers();
		rings[i] = guest_ring(&guest);
		packet_send_as(rings[i], &packet, 10 + i);
	}
	usleep(1000);
	neep_vk_context_stop(guest.context);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(guest_end_ring(rings[i]), 0);
		assert_int_equal(guest_readable(rings[i]), 0);
	}
	assert_int_equal(guest.lost_count, 0);
}

/* Both enumerations have room for two. */
static void ask_for_all(struct ring *ring, uint32_t opcode, size_t element) {
	static const uint8_t garbage[64];
	struct packet packet = packet_begin(opcode);
	put_u64(&packet, 0xabcdef);
	put_present(&packet);
	put_u32(&packet, 2);
	put_present(&packet);
	put_bytes(&packet, garbage, 2 * element);
	packet_send_as(ring, &packet, 4711);
	assert_true(get_u64(ring) != 0);
	assert_int_equal(get_u32(ring), 0);
	assert_true(get_u64(ring) != 0);
}

/* As after the death of a process that has executed any number of packets. */
static void everything_is_refused_when_the_context_says_so(void **state) {
	(void)state;
	neep_vk_context_refuse_all(guest.context);
	struct ring *begun = guest_bare_ring(&guest, SIZE_MAX), *fresh = guest_ring(&guest);
	for (uint32_t i = 0; i < 20; i++) {
		struct ring *ring = i % 2 == 0 ? begun : fresh;
		struct packet nothing = trace();
		packet_send_as(ring, &nothing, 17);
		ask_for_all(ring, OP_ENUMERATE_PHYSICAL_DEVICES, 8);
		assert_int_equal(get_result(ring), DEVICE_LOST);
		ask_for_all(ring, OP_GET_QUEUE_FAMILIES, 24);
		struct packet status = packet_begin(OP_GET_FENCE_STATUS);
		put_u64(&status, 1);
		put_u64(&status, 2);
		packet_send_as(ring, &status, 0);
		assert_int_equal(get_result(ring), DEVICE_LOST);
		assert_int_equal(guest_readable(ring), 0);
	}
	assert_int_equal(guest_end_ring(begun), 0);
	assert_int_equal(guest_end_ring(fresh), 0);
	assert_int_equal(guest.lost_count, 0);
}

static void put_recorded(struct packet *payload, uint32_t opcode, size_t len) {
	static const uint8_t parameters[64];
	command_begin(payload, opcode);
	put_bytes(payload, parameters, len);
	command_end(payload);
}

/* The process died when it had the head of a flush, and some or all of what is recorded. */
static void stream_that_begins_in_a_flush_is_refused_what_follows(void **state) {
	(void)state;
	neep_vk_context_refuse_all(guest.context);
	for (size_t chunk = 1; chunk < 40; chunk++) {
		struct ring *ring = guest_bare_ring(&guest, chunk);
		struct packet payload = { 0 };
		put_recorded(&payload, OP_BEGIN_COMMAND_BUFFER, 16);
		put_recorded(&payload, OP_CMD_DRAW, 16);
		put_recorded(&payload, OP_END_COMMAND_BUFFER, 0);
		guest_write(ring, payload.buf, payload.len);
		ask_for_all(ring, OP_ENUMERATE_PHYSICAL_DEVICES, 8);
		assert_int_equal(get_result(ring), DEVICE_LOST);
		/* The end of the last one does not wait for what may never come. */
		guest_write(ring, payload.buf, payload.len);
		free(payload.buf);
		assert_int_equal(guest_end_ring(ring), 0);
		assert_int_equal(guest.lost_count, 0);
		guest_stop(&guest);
		guest_start(&guest, &neep_vk_default_limits);
		neep_vk_context_refuse_all(guest.context);
	}
}

static void wait_fence_returns_when_nothing_has_that_name(void **state) {
	(void)state;
	neep_vk_wait_fence(guest.context, 0, 0);
	neep_vk_wait_fence(guest.context, 1, UINT64_MAX);
	neep_vk_wait_fence(guest.context, UINT64_MAX, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
	static const struct CMUnitTest tests[] = {
		CASE(packets_are_executed_when_bytes_come_in_chunks_of_any_size),
		CASE(packet_is_executed_when_it_is_longer_than_the_buffer),
		CASE(rings_take_turns_by_sequence_number),
		CASE(stream_ends_quietly_when_a_packet_is_cut_off),
		CASE(context_is_lost_when_the_length_cannot_be),
		CASE(context_is_lost_when_parameters_are_missing),
		CASE(context_is_lost_when_the_opcode_is_unknown),
		CASE(context_is_lost_when_a_recorded_command_comes_alone),
		CASE(context_is_lost_when_a_sequence_number_comes_twice),
		CASE(streams_end_when_the_context_stops_in_a_hole),
		CASE(everything_is_refused_when_the_context_says_so),
		CASE(stream_that_begins_in_a_flush_is_refused_what_follows),
		CASE(wait_fence_returns_when_nothing_has_that_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
