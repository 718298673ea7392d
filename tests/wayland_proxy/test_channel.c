/* The bytes of cross-domain: commands as other guests send them, and what a host may write into a ring. */
#include "support/cmocka.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wayland/channel.h"

#define PAGE 4096

static void check_hex(const uint8_t *bytes, size_t len, const char *hex) {
	size_t at = 0;
	for (; *hex != '\0'; hex += *hex == ' ' ? 1 : 2) {
		if (*hex != ' ') {
			const char digits[3] = { hex[0], hex[1], '\0' };
			assert_true(at < len);
			assert_int_equal(bytes[at++], strtoul(digits, NULL, 16));
		}
	}
	assert_int_equal(at, len);
}

static bool is_zero(const uint8_t *bytes, size_t len) {
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* ---- commands ---- */

static void init_has_the_bytes_of_other_guests(void **state) {
	(void)state;
	uint8_t out[NEEP_WL_CHANNEL_COMMAND_MAX];
	check_hex(
		out, neep_wl_channel_init(out, 3, 4, false), "01001400 00000000 03000000 04000000 01000000");
	check_hex(out, neep_wl_channel_init(out, 3, 4, true),
		"01001800 00000000 03000000 04000000 01000000 02000000");
}

static void poll_has_the_bytes_of_other_guests(void **state) {
	(void)state;
	uint8_t out[NEEP_WL_CHANNEL_COMMAND_MAX];
	check_hex(out, neep_wl_channel_poll(out), "03001000 00000000 0000000000000000");
}

static void query_asks_for_an_image_of_one_row(void **state) {
	(void)state;
	uint8_t out[NEEP_WL_CHANNEL_COMMAND_MAX];
	check_hex(out, neep_wl_channel_query(out, 65536),
		"02001800 00000000 00000100 01000000 52382020 11000000");
}

static void send_without_ids_is_zero_between_head_and_bytes(void **state) {
	(void)state;
	uint8_t out[NEEP_WL_CHANNEL_SEND_HEAD];
	memset(out, 0xee, sizeof(out));
	assert_int_equal(neep_wl_channel_send(out, NULL, 0, 12), sizeof(out));
	check_hex(out, 16, "04006c01 00000000 00000000 0c000000");
	assert_true(is_zero(out + 16, sizeof(out) - 16));
}

static void send_puts_ids_and_types_apart(void **state) {
	(void)state;
	uint8_t out[NEEP_WL_CHANNEL_SEND_HEAD];
	const struct neep_wl_channel_id ids[] = { { .id = 7, .type = NEEP_WL_ID_BLOB },
		{ .id = NEEP_WL_READ_PIPE_FIRST, .type = NEEP_WL_ID_READ_PIPE } };
	neep_wl_channel_send(out, ids, 2, NEEP_WL_CHANNEL_SEND_MAX);
	check_hex(out, 24, "04000010 00000000 02000000 a00e0000 07000000 01000080");
	check_hex(out + 128, 8, "01000000 03000000");
	assert_true(is_zero(out + 24, 104));
	assert_true(is_zero(out + 136, sizeof(out) - 136));
}

static void write_hangs_up_without_bytes(void **state) {
	(void)state;
	uint8_t out[NEEP_WL_CHANNEL_WRITE_HEAD];
	check_hex(out, neep_wl_channel_write(out, 5, 0, true),
		"07001800 00000000 05000000 01000000 00000000 00000000");
}

static void write_of_the_most_bytes_fits_the_size_of_a_command(void **state) {
	(void)state;
	uint8_t out[NEEP_WL_CHANNEL_WRITE_HEAD];
	check_hex(out, neep_wl_channel_write(out, 5, NEEP_WL_CHANNEL_WRITE_MAX, false),
		"070018f0 00000000 05000000 00000000 00f00000 00000000");
}

static void capset_says_whether_there_is_wayland(void **state) {
	(void)state;
	const uint8_t wayland[NEEP_WL_CAPSET_SIZE] = { 1, 0, 0, 0, 2 };
	const uint8_t others[NEEP_WL_CAPSET_SIZE] = { 2, 0, 0, 0, 0xfd, 0xff, 0xff, 0xff, 2 };
	assert_true(neep_wl_capset_has_wayland(wayland));
	assert_false(neep_wl_capset_has_wayland(others));
	const uint8_t extended[NEEP_WL_CAPSET_SIZE] = { 1, 0, 0, 0, 2, [16] = 3 };
	assert_int_equal(neep_wl_capset_extensions(wayland), 0);
	assert_int_equal(neep_wl_capset_extensions(extended),
		NEEP_WL_EXTENSION_FLOW | NEEP_WL_EXTENSION_LONG_MESSAGES);
}

/* ---- messages ---- */

struct ring {
	uint8_t *bytes; // on the heap, so that ASan sees its end
	uint8_t *copy;
	struct neep_wl_channel_message message;
};

static int ring_setup(void **state) {
	struct ring *ring = calloc(1, sizeof(*ring));
	assert_non_null(ring);
	ring->bytes = calloc(1, PAGE);
	ring->copy = malloc(PAGE);
	*state = ring;
	return 0;
}

static int ring_teardown(void **state) {
	struct ring *ring = *state;
	free(ring->bytes);
	free(ring->copy);
	free(ring);
	return 0;
}

static void put(struct ring *ring, size_t at, uint32_t value) {
	memcpy(ring->bytes + at, &value, sizeof(value));
}

static int take(struct ring *ring) {
	memset(ring->copy, 0xee, PAGE);
	return neep_wl_channel_take(ring->bytes, PAGE, ring->copy, &ring->message);
}

static void put_receive(struct ring *ring, uint32_t count, uint32_t len) {
	put(ring, 0, NEEP_WL_RECEIVE);
	put(ring, 8, count);
	put(ring, 12, len);
}

static void put_read(struct ring *ring, uint32_t id, uint32_t hang_up, uint32_t len) {
	put(ring, 0, NEEP_WL_READ);
	put(ring, 8, id);
	put(ring, 12, hang_up);
	put(ring, 16, len);
}

static void receive_gives_bytes_and_ids(void **state) {
	struct ring *ring = *state;
	put_receive(ring, 2, 3);
	put(ring, 16, 11);
	put(ring, 20, 12);
	put(ring, 128, NEEP_WL_ID_BLOB);
	put(ring, 132, NEEP_WL_ID_WRITE_PIPE);
	put(ring, 240, 777);
	memcpy(ring->bytes + 352, "abc", 3);
	assert_int_equal(take(ring), 0);
	/* From the copy: the host may write again. */
	memset(ring->bytes, 0, PAGE);
	assert_int_equal(ring->message.kind, NEEP_WL_RECEIVE);
	assert_int_equal(ring->message.len, 3);
	assert_memory_equal(ring->message.bytes, "abc", 3);
	assert_int_equal(ring->message.id_count, 2);
	assert_int_equal(ring->message.ids[0].id, 11);
	assert_int_equal(ring->message.ids[0].size, 777);
	assert_int_equal(ring->message.ids[1].type, NEEP_WL_ID_WRITE_PIPE);
	/* No more of the ring is copied than the message takes. */
	assert_int_equal(ring->copy[355], 0xee);
}

static void receive_takes_28_ids_and_the_rest_of_the_ring(void **state) {
	struct ring *ring = *state;
	put_receive(ring, 28, PAGE - 352);
	assert_int_equal(take(ring), 0);
	assert_int_equal(ring->message.id_count, 28);
	assert_int_equal(ring->message.len, PAGE - 352);
}

static void receive_of_nothing_is_a_message(void **state) {
	struct ring *ring = *state;
	put_receive(ring, 0, 0);
	assert_int_equal(take(ring), 0);
	assert_int_equal(ring->message.id_count + ring->message.len, 0);
}

static void receive_is_refused_when_it_says_too_much(void **state) {
	struct ring *ring = *state;
	const uint32_t wrong[][2] = { { 29, 0 }, { UINT32_MAX, 0 }, { 0, PAGE - 351 }, { 0, UINT32_MAX },
		{ 0, UINT32_MAX - 351 }, { UINT32_MAX, UINT32_MAX } };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		put_receive(ring, wrong[i][0], wrong[i][1]);
		assert_int_equal(take(ring), -EPROTO);
	}
}

static void read_gives_bytes_or_the_end(void **state) {
	struct ring *ring = *state;
	put_read(ring, NEEP_WL_READ_PIPE_FIRST, 0, PAGE - 24);
	assert_int_equal(take(ring), 0);
	assert_int_equal(ring->message.kind, NEEP_WL_READ);
	assert_int_equal(ring->message.len, PAGE - 24);
	assert_false(ring->message.hang_up);
	put_read(ring, NEEP_WL_READ_PIPE_FIRST, 1, 0);
	assert_int_equal(take(ring), 0);
	assert_int_equal(ring->message.pipe_id, NEEP_WL_READ_PIPE_FIRST);
	assert_int_equal(ring->message.len, 0);
	assert_true(ring->message.hang_up);
}

static void read_is_refused_when_it_says_too_much(void **state) {
	struct ring *ring = *state;
	const uint32_t wrong[] = { PAGE - 23, PAGE, UINT32_MAX, UINT32_MAX - 23 };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		put_read(ring, NEEP_WL_READ_PIPE_FIRST, 0, wrong[i]);
		assert_int_equal(take(ring), -EPROTO);
	}
}

static void other_messages_are_refused(void **state) {
	struct ring *ring = *state;
	for (uint32_t kind = 0; kind < 256; kind++) {
		put(ring, 0, kind);
		bool is_known = kind == NEEP_WL_RECEIVE || kind == NEEP_WL_READ;
		assert_int_equal(take(ring), is_known ? 0 : -EPROTO);
	}
}

static void ring_that_is_too_small_holds_nothing(void **state) {
	struct ring *ring = *state;
	put_receive(ring, 0, 0);
	assert_int_equal(neep_wl_channel_take(ring->bytes, 351, ring->copy, &ring->message), -EPROTO);
}

static void answer_gives_size_and_id(void **state) {
	(void)state;
	uint8_t answer[NEEP_WL_CHANNEL_ANSWER_SIZE] = { [40] = 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1 };
	struct neep_wl_channel_template template;
	assert_int_equal(neep_wl_channel_answer(answer, &template), 0);
	assert_int_equal(template.size, 65536);
	assert_int_equal(template.blob_id, 2);
}

static void answer_is_refused_when_nothing_was_written(void **state) {
	(void)state;
	uint8_t answer[NEEP_WL_CHANNEL_ANSWER_SIZE] = { 0 };
	struct neep_wl_channel_template template;
	assert_int_equal(neep_wl_channel_answer(answer, &template), -EPROTO);
	answer[48] = 2;
	assert_int_equal(neep_wl_channel_answer(answer, &template), -EPROTO);
	answer[48] = 0;
	answer[41] = 16;
	assert_int_equal(neep_wl_channel_answer(answer, &template), -EPROTO);
}

#define ring_test(fn) cmocka_unit_test_setup_teardown(fn, ring_setup, ring_teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_has_the_bytes_of_other_guests),
		cmocka_unit_test(poll_has_the_bytes_of_other_guests),
		cmocka_unit_test(query_asks_for_an_image_of_one_row),
		cmocka_unit_test(send_without_ids_is_zero_between_head_and_bytes),
		cmocka_unit_test(send_puts_ids_and_types_apart),
		cmocka_unit_test(write_hangs_up_without_bytes),
		cmocka_unit_test(write_of_the_most_bytes_fits_the_size_of_a_command),
		cmocka_unit_test(capset_says_whether_there_is_wayland),
		ring_test(receive_gives_bytes_and_ids),
		ring_test(receive_takes_28_ids_and_the_rest_of_the_ring),
		ring_test(receive_of_nothing_is_a_message),
		ring_test(receive_is_refused_when_it_says_too_much),
		ring_test(read_gives_bytes_or_the_end),
		ring_test(read_is_refused_when_it_says_too_much),
		ring_test(other_messages_are_refused),
		ring_test(ring_that_is_too_small_holds_nothing),
		cmocka_unit_test(answer_gives_size_and_id),
		cmocka_unit_test(answer_is_refused_when_nothing_was_written),
	};
	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
